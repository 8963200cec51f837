//! One watchdog a data directory: two would both restart the same children.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

/// Takes the directory (made when it is missing); it is ours until the file is dropped. `None` on a dead disk: alerting starts all the same, and says so.
///
/// # Errors
/// When it cannot be used because of how it is configured, or another instance has it; the message says which.
pub(super) fn only(data_dir: &Path) -> anyhow::Result<Option<File>> {
    let shown = data_dir.display();
    let path = data_dir.join("watchdog.pid");
    let mut file = match open(data_dir, &path) {
        Ok(file) => file,
        Err(error) if is_dead_disk(&error) => {
            tracing::error!(data_dir = %shown, %error, "the disk does not take anything; starting without it, state lives in memory only");
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot use the data directory {shown}")),
    };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        file.read_to_string(&mut pid).ok();
        bail!("another watchdog (process {}) uses the data directory {shown}; end it, or set another data_dir", pid.trim());
    }
    if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
        // A full disk: the lock holds, only the number is missing.
        tracing::warn!(path = %path.display(), %error, "the process id is not written");
    }
    Ok(Some(file))
}

fn open(data_dir: &Path, path: &Path) -> io::Result<File> {
    std::fs::create_dir_all(data_dir)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Trouble of the disk, not of the configuration: read-only, full, failing.
fn is_dead_disk(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
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
        assert!(only(dir.path()).unwrap().is_some());
    }

    #[test]
    fn a_directory_that_cannot_be_is_the_operators_to_mend_and_a_dead_disk_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(only(&dir.path().join("file/data")).is_err());
        for code in [30, 28, 5] {
            assert!(is_dead_disk(&io::Error::from_raw_os_error(code)), "{code}");
        }
        assert!(!is_dead_disk(&io::Error::from_raw_os_error(13)));
    }
}
