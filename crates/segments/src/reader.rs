//! Reading records back. Must not know: how they are written, who removes them.
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::examine::examine;
use crate::recovery::{names, segment_number, segment_path};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number; numbers grow, and a gap is a record that was lost or removed.
    pub sequence: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// The records that were in the log when this was made, from a number on. Reads one segment file at a time; the log may go on meanwhile.
///
/// An error is a file that could not be read or holds damage (which opening would have repaired); what follows it can still be read.
#[derive(Debug)]
pub struct Reader {
    from: u64,
    files: VecDeque<Source>,
    records: std::vec::IntoIter<Record>,
}

/// A file and how much of it was written.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
    pub(crate) bytes: u64,
}

impl Reader {
    pub(crate) fn new(from: u64, files: VecDeque<Source>) -> Self {
        Self { from, files, records: Vec::new().into_iter() }
    }

    /// The records numbered `from` or higher that a directory holds, looked at from outside: nothing is locked or repaired, and a log that another process
    /// writes meanwhile is no hindrance.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn of_dir(dir: &Path, from: u64) -> io::Result<Self> {
        let mut firsts: Vec<u64> = names(dir)?.iter().filter_map(|name| segment_number(name)).collect();
        firsts.sort_unstable();
        // A file ends where the next one begins.
        let ends = firsts.iter().skip(1).copied().chain([u64::MAX]);
        let wanted = firsts.iter().zip(ends).filter(|(_, end)| *end > from);
        let files = wanted.map(|(first, _)| Source { path: segment_path(dir, *first), first: *first, bytes: u64::MAX }).collect();
        Ok(Self::new(from, files))
    }

    /// Reads a file's records; whether it held damage.
    fn load(&mut self, source: &Source) -> io::Result<bool> {
        let mut bytes = Vec::new();
        match File::open(&source.path) {
            Ok(file) => file.take(source.bytes).read_to_end(&mut bytes)?,
            // Removed meanwhile, as the oldest over the bound.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let examined = examine(&bytes, source.first);
        let frames = examined.frames.iter().filter(|(sequence, _)| *sequence >= self.from);
        let record = |(sequence, payload): &(u64, std::ops::Range<usize>)| Record {
            sequence: *sequence,
            payload: bytes.get(payload.clone()).unwrap_or(&[]).to_vec(),
        };
        self.records = frames.map(record).collect::<Vec<_>>().into_iter();
        Ok(examined.is_damaged())
    }
}

impl Iterator for Reader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.records.next() {
                return Some(Ok(record));
            }
            let source = self.files.pop_front()?;
            match self.load(&source) {
                Ok(false) => {}
                Ok(true) => {
                    let text = format!("{}: damaged bytes, records are missing", source.path.display());
                    return Some(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
