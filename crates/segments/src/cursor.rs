//! Reading a log on, record by record, while it is appended to: holds one record and a small buffer, not a file. Must not know: what records mean.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Found, read_frame, read_header};
use crate::log::SegmentLog;
use crate::reader::Record;

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// A place in a log. It outlives appends, rotation and the removal of files: what was removed is passed over.
///
/// ```
/// use segments::{Cursor, Fsync, Options, SegmentLog};
///
/// let dir = tempfile::tempdir()?;
/// let (mut log, _) = SegmentLog::open(dir.path(), Options::default())?;
/// let mut cursor = Cursor::at(1);
/// log.append(&[b"one".as_slice()], Fsync::Now)?;
/// assert_eq!(cursor.read(&log)?.map(|record| record.payload), Some(b"one".to_vec()));
/// assert_eq!(cursor.read(&log)?, None);
/// log.append(&[b"two".as_slice()], Fsync::Now)?;
/// assert_eq!(cursor.read(&log)?.map(|record| record.sequence), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Cursor {
    next: u64,
    open: Option<Open>,
}

/// The file it stands in.
#[derive(Debug)]
struct Open {
    first: u64,
    file: File,
    /// Bytes of the file before `buffer`.
    before: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer already taken.
    taken: usize,
}

// === impl Cursor ===

impl Cursor {
    /// Before the record of this number, or the first after it that is there.
    pub fn at(sequence: u64) -> Self {
        Self { next: sequence, open: None }
    }

    /// Number of the record that is read next, if it is there.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The next record; `None` at the end, which may be the end only for now.
    ///
    /// # Errors
    /// A file that cannot be read or holds damage; the cursor has then passed the damaged record, or the rest of the file if its end is not known.
    pub fn read(&mut self, log: &SegmentLog) -> io::Result<Option<Record>> {
        while let Some(segment) = log.segment_holding(self.next) {
            if self.open.as_ref().is_none_or(|open| open.first != segment.first) {
                self.open = match Open::new(log, segment.first) {
                    Ok(open) => Some(open),
                    Err(error) => {
                        self.next = segment.next;
                        return Err(error);
                    }
                };
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            match open.next(self.next, segment.bytes) {
                Ok(Some(record)) => {
                    self.next = record.sequence.saturating_add(1);
                    return Ok(Some(record));
                }
                Ok(None) => self.pass(segment.next),
                Err((after, error)) => {
                    match after {
                        Some(after) => self.next = after,
                        None => self.pass(segment.next),
                    }
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    fn pass(&mut self, next: u64) {
        self.next = next;
        self.open = None;
    }
}

// === impl Open ===

impl Open {
    fn new(log: &SegmentLog, first: u64) -> io::Result<Self> {
        let mut file = File::open(log.path_of(first))?;
        let before = FILE_HEADER_BYTES as u64;
        file.seek(SeekFrom::Start(before))?;
        Ok(Self { first, file, before, buffer: Vec::new(), taken: 0 })
    }

    /// The next record numbered `from` or higher within the first `bytes` of the file. With an error: where to go on, if that is known.
    fn next(&mut self, from: u64, bytes: u64) -> Result<Option<Record>, (Option<u64>, io::Error)> {
        loop {
            if !self.fill(FRAME_HEADER_BYTES, bytes).map_err(|error| (None, error))? {
                return Ok(None);
            }
            let rest = self.buffer.get(self.taken..).unwrap_or_default();
            let Some((sequence, length, _)) = rest.first_chunk().and_then(read_header) else {
                return Err((None, damaged("a frame header")));
            };
            if !self.fill(FRAME_HEADER_BYTES + length, bytes).map_err(|error| (None, error))? {
                return Err((None, damaged("the end of a frame")));
            }
            let start = self.taken;
            self.taken += FRAME_HEADER_BYTES + length;
            // What is passed over need not be sound.
            if sequence < from {
                continue;
            }
            return match read_frame(self.buffer.get(start..).unwrap_or_default()) {
                Found::Frame { sequence, payload } => Ok(Some(Record { sequence, payload: payload.to_vec() })),
                _ => Err((Some(sequence.saturating_add(1)), damaged("a payload"))),
            };
        }
    }

    /// Sees to `wanted` bytes in the buffer; `false` when the first `bytes` of the file end before.
    fn fill(&mut self, wanted: usize, bytes: u64) -> io::Result<bool> {
        while self.buffer.len() - self.taken < wanted {
            self.buffer.drain(..self.taken);
            self.before += self.taken as u64;
            self.taken = 0;
            let left = bytes.saturating_sub(self.before + self.buffer.len() as u64);
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK.max(wanted - self.buffer.len()));
            if size == 0 || (&self.file).take(size as u64).read_to_end(&mut self.buffer)? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is damaged, records are missing"))
}
