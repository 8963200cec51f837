//! One watchdog a data directory: two would both restart the same children.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

/// Takes the directory (made when it is missing); it is ours until the file is dropped.
///
/// # Errors
/// When it cannot be used, or another instance has it; the message says which.
pub(super) fn only(data_dir: &Path) -> anyhow::Result<File> {
    let shown = data_dir.display();
    std::fs::create_dir_all(data_dir).with_context(|| format!("cannot make the data directory {shown}"))?;
    let path = data_dir.join("watchdog.pid");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        file.read_to_string(&mut pid).ok();
        bail!("another watchdog (process {}) uses the data directory {shown}; end it, or set another data_dir", pid.trim());
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_refused_and_the_first_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let held = only(dir.path()).unwrap();
        let refused = only(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(held);
        assert!(only(dir.path()).is_ok());
    }
}
