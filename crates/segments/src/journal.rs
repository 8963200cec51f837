//! State that survives: a snapshot of it and a log of what came after. Must not know: what the state is.
//!
//! Two snapshots are kept, and the log reaches back to the older one, so that a damaged snapshot costs nothing.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic::write_atomic;
use crate::disk::{Disk, SystemDisk};
use crate::frame::{FRAME_HEADER_BYTES, Found, MAX_PAYLOAD_BYTES, read_frame, write_frame};
use crate::log::SegmentLog;
use crate::outcome::{AppendError, Fsync, OnFull, OpenError, Options, Stats};
use crate::reader::Record;
use crate::recovery::{Recovery, Trouble, names, set_aside};

const START: &str = "snapshot-";
const ENDING: &str = ".snap";

/// The bounds of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes of the log after which [`Journal::wants_snapshot`].
    pub snapshot_after_bytes: u64,
    /// Bytes of the log over which appends are refused; at least six times `snapshot_after_bytes`, since the log reaches back over two snapshots and
    /// gives room back a file at a time.
    pub log_bytes: u64,
}

/// State that survives, in a directory of its own.
///
/// ```
/// use segments::{Journal, JournalOptions};
///
/// let dir = tempfile::tempdir()?;
/// let (mut journal, _) = Journal::open(dir.path(), JournalOptions::default())?;
/// journal.append(&[b"silence 1 added".as_slice()])?;
/// journal.snapshot(b"silences: 1")?;
/// journal.append(&[b"silence 1 expired".as_slice()])?;
/// drop(journal);
///
/// let (_, restored) = Journal::open(dir.path(), JournalOptions::default())?;
/// assert_eq!(restored.snapshot.as_deref(), Some(b"silences: 1".as_slice()));
/// assert_eq!(restored.records[0].payload, b"silence 1 expired");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Journal {
    log: SegmentLog,
    snapshot_after_bytes: u64,
    /// The records each kept snapshot covers, ascending.
    snapshots: Vec<u64>,
    /// Bytes appended since the last snapshot.
    pending_bytes: u64,
}

/// What a journal held when it was opened.
#[derive(Debug, Default)]
pub struct Restored {
    /// The newest sound snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// What was appended after it, in order.
    pub records: Vec<Record>,
    /// What was found wrong; none of it kept the journal from opening.
    pub recovery: Recovery,
}

// === impl JournalOptions ===

impl Default for JournalOptions {
    /// A snapshot after 1 MiB, a log of at most 16 MiB.
    fn default() -> Self {
        Self { snapshot_after_bytes: 1 << 20, log_bytes: 16 << 20 }
    }
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `dir` (made when absent).
    ///
    /// # Errors
    /// Only when the directory cannot be used at all; see [`OpenError`]. The caller then goes on from memory, loudly.
    pub fn open(dir: &Path, options: JournalOptions) -> Result<(Self, Restored), OpenError> {
        Self::open_on(Box::new(SystemDisk), dir, options)
    }

    /// Like [`open`](Self::open), with another disk under it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(disk: Box<dyn Disk>, dir: &Path, options: JournalOptions) -> Result<(Self, Restored), OpenError> {
        let log_options = Options { segment_bytes: options.snapshot_after_bytes, total_bytes: options.log_bytes, on_full: OnFull::Refuse };
        let (mut log, recovery) = SegmentLog::open_on(disk, dir, log_options)?;
        let mut restored = Restored { recovery, ..Restored::default() };
        let mut covered: Vec<u64> =
            names(dir).map_err(|error| OpenError::Unusable { dir: dir.into(), error })?.iter().filter_map(|name| number(name)).collect();
        covered.sort_unstable();
        while let Some(&newest) = covered.last() {
            match load(&snapshot_path(dir, newest), log.disk()) {
                Ok(payload) => {
                    restored.snapshot = Some(payload);
                    break;
                }
                Err(trouble) => restored.recovery.troubles.push(trouble),
            }
            covered.pop();
        }
        let after = covered.last().copied().unwrap_or(0);
        // Should the log's files be gone, new records must still count as later than the snapshot.
        log.skip_to(after + 1);
        for record in log.read_from(after + 1) {
            match record {
                Ok(record) => restored.records.push(record),
                Err(error) => restored.recovery.troubles.push(Trouble::Unrepaired { file: dir.into(), error }),
            }
        }
        let pending_bytes = restored.records.iter().map(|record| (FRAME_HEADER_BYTES + record.payload.len()) as u64).sum();
        Ok((Self { log, snapshot_after_bytes: options.snapshot_after_bytes, snapshots: covered, pending_bytes }, restored))
    }

    /// Appends a batch and returns when it is on the disk: one fsync.
    ///
    /// # Errors
    /// None of the batch is kept; see [`AppendError`]. A full journal has room again after a snapshot.
    pub fn append(&mut self, payloads: &[&[u8]]) -> Result<(), AppendError> {
        self.log.append(payloads, Fsync::Now)?;
        self.pending_bytes += payloads.iter().map(|payload| (FRAME_HEADER_BYTES + payload.len()) as u64).sum::<u64>();
        Ok(())
    }

    /// Whether enough was appended since the last snapshot to take one.
    pub fn wants_snapshot(&self) -> bool {
        self.pending_bytes >= self.snapshot_after_bytes
    }

    /// Keeps `state` as what all records so far amount to, and lets go of records no snapshot needs.
    ///
    /// # Errors
    /// The state is not kept, and everything stands as before, except for an error in removing old files, which the next snapshot makes good.
    pub fn snapshot(&mut self, state: &[u8]) -> io::Result<()> {
        if state.len() > MAX_PAYLOAD_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("a snapshot of {} bytes, over the limit of {MAX_PAYLOAD_BYTES}", state.len()),
            ));
        }
        let covered = self.log.next_sequence().saturating_sub(1);
        let mut bytes = Vec::with_capacity(state.len() + 64);
        write_frame(&mut bytes, covered, state);
        write_atomic(self.log.disk(), &snapshot_path(self.log.dir(), covered), &bytes)?;
        self.pending_bytes = 0;
        self.snapshots.retain(|kept| *kept != covered);
        self.snapshots.push(covered);
        while self.snapshots.len() > 2 {
            self.log.disk().remove(&snapshot_path(self.log.dir(), self.snapshots.remove(0)))?;
        }
        // With a log half full its room is worth more than a second way back.
        let crowded = self.log.bytes() > self.log.options().total_bytes / 2;
        let reach = if crowded { self.snapshots.last() } else { self.snapshots.first().filter(|_| self.snapshots.len() > 1) };
        if let Some(&through) = reach {
            self.log.remove_through(through)?;
        }
        Ok(())
    }

    /// Figures of the log, for metrics.
    pub fn stats(&self) -> Stats {
        self.log.stats()
    }
}

fn snapshot_path(dir: &Path, covered: u64) -> PathBuf {
    dir.join(format!("{START}{covered:020}{ENDING}"))
}

/// The records a snapshot covers, from its name.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(START)?.strip_suffix(ENDING)?;
    digits.parse().ok().filter(|_| digits.len() == 20)
}

/// Reads a snapshot; a damaged one is set aside.
fn load(path: &Path, disk: &dyn Disk) -> Result<Vec<u8>, Trouble> {
    let unrepaired = |error| Trouble::Unrepaired { file: path.into(), error };
    let bytes = fs::read(path).map_err(unrepaired)?;
    if let Found::Frame { payload, .. } = read_frame(&bytes) {
        return Ok(payload.to_vec());
    }
    let aside = set_aside(disk, path).map_err(unrepaired)?;
    Err(Trouble::Quarantined { file: path.into(), aside, kept: 0, damaged_bytes: bytes.len() as u64 })
}
