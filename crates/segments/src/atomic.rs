//! Replacing a file whole: after a crash there is the old one or the new one. Must not know: what it holds.
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// The ending of a file that is not yet whole.
pub(crate) const ENDING: &str = ".tmp";

/// Writes `bytes` as `path`: into a file beside it, fsync, rename over it, fsync of the directory.
///
/// # Errors
/// The system's; `path` is then unchanged (or, when only the last step failed, new but perhaps not yet on the disk).
pub fn write_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = temporary(path);
    let written = write_beside(disk, &beside, bytes).and_then(|()| disk.rename(&beside, path));
    if written.is_err() {
        // The error above is the one that counts; a file left over is overwritten by the next attempt.
        disk.remove(&beside).ok();
    }
    written?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn write_beside(disk: &dyn Disk, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk.open(beside)?;
    file.truncate(0)?;
    file.append(bytes)?;
    file.sync()
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ENDING);
    path.with_file_name(name)
}
