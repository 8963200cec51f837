//! One process per directory. Must not know: what the directory holds.
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The name of the lock file.
const NAME: &str = "lock";

/// Holds a directory until it is dropped or the process ends, however it ends (an advisory lock of the kernel, not the file's existence).
#[derive(Debug)]
pub(crate) struct DirLock {
    /// Closing it unlocks.
    _file: File,
}

/// Takes the directory; `None` when another holder has it.
pub(crate) fn lock(dir: &Path) -> io::Result<Option<DirLock>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(NAME))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(DirLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
