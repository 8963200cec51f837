//! A disk whose faults a test switches on.
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use segments::{AppendFile, Disk, SystemDisk};

/// What shall fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Bytes until the disk is full.
    pub(crate) room: Option<usize>,
    pub(crate) sync: bool,
    pub(crate) truncate: bool,
    pub(crate) read_only: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<Faults>>);

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn AppendFile>,
    disk: FaultyDisk,
    length: usize,
}

impl FaultyDisk {
    pub(crate) fn set(&self, faults: Faults) {
        *self.0.lock().unwrap() = faults;
    }

    /// There is room again for what has gone.
    fn give_back(&self, bytes: usize) {
        if let Some(room) = &mut self.0.lock().unwrap().room {
            *room += bytes;
        }
    }

    fn writable(&self) -> io::Result<()> {
        if self.0.lock().unwrap().read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.writable()?;
        let length = std::fs::metadata(path).map_or(0, |meta| usize::try_from(meta.len()).unwrap());
        Ok(Box::new(FaultyFile { file: SystemDisk.open(path)?, disk: self.clone(), length }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writable().and_then(|()| SystemDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let length = std::fs::metadata(path).map_or(0, |meta| usize::try_from(meta.len()).unwrap());
        self.writable().and_then(|()| SystemDisk.remove(path))?;
        self.give_back(length);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(dir)
    }
}

impl AppendFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len();
        let mut faults = self.disk.0.lock().unwrap();
        let Some(room) = &mut faults.room else { return self.file.append(bytes) };
        let fits = bytes.len().min(*room);
        *room -= fits;
        self.length -= bytes.len() - fits;
        self.file.append(bytes.get(..fits).unwrap_or(bytes))?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.0.lock().unwrap().sync { Err(io::Error::other("lost")) } else { self.file.sync() }
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        if self.disk.0.lock().unwrap().truncate {
            Err(io::Error::other("stuck"))
        } else {
            self.file.truncate(bytes)?;
            let bytes = usize::try_from(bytes).unwrap();
            self.disk.give_back(self.length.saturating_sub(bytes));
            self.length = bytes;
            Ok(())
        }
    }
}
