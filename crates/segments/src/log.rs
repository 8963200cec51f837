//! The log: appending, rotation, the bound on bytes. Must not know: what a damaged file looks like, what records mean.
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::disk::{AppendFile, Disk, SystemDisk};
use crate::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, file_header, write_frame};
use crate::lock::{DirLock, lock};
use crate::outcome::{AppendError, Fsync, OnFull, OpenError, Options, Stats};
use crate::reader::{Reader, Source};
use crate::recovery::{Recovery, Segment, recover, segment_path};

/// The buffer of a batch is given back above this.
const KEPT_BUFFER_BYTES: usize = 256 << 10;

/// A log of records in a directory.
#[derive(Debug)]
pub struct SegmentLog {
    dir: PathBuf,
    disk: Box<dyn Disk>,
    options: Options,
    _lock: DirLock,
    /// Ended files, oldest first.
    ended: VecDeque<Segment>,
    active: Option<Active>,
    next: u64,
    buffer: Vec<u8>,
    stats: Stats,
}

/// The file appended to.
#[derive(Debug)]
struct Active {
    segment: Segment,
    file: Box<dyn AppendFile>,
    unsynced: bool,
}

// === impl SegmentLog ===

impl SegmentLog {
    /// Opens the log in `dir` (made when absent) and repairs what a crash or the disk left.
    ///
    /// # Errors
    /// Only when the directory cannot be used at all; see [`OpenError`].
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), OpenError> {
        Self::open_on(Box::new(SystemDisk), dir, options)
    }

    /// Like [`open`](Self::open), with another disk under it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(disk: Box<dyn Disk>, dir: &Path, options: Options) -> Result<(Self, Recovery), OpenError> {
        let unusable = |error| OpenError::Unusable { dir: dir.into(), error };
        fs::create_dir_all(dir).map_err(unusable)?;
        // Best effort: only a directory made just now could be lost by it.
        dir.parent().map(|parent| disk.sync_dir(parent));
        let lock = lock(dir).map_err(unusable)?.ok_or_else(|| OpenError::Locked { dir: dir.into() })?;
        let (ended, recovery) = recover(dir, &*disk).map_err(unusable)?;
        // A file must be able to go without the log being over its bound for it.
        let options = Options { segment_bytes: options.segment_bytes.min(options.total_bytes / 4), ..options };
        let next = ended.iter().map(|segment| segment.next).max().unwrap_or(1);
        let stats = Stats::default();
        let log = Self { dir: dir.into(), disk, options, _lock: lock, ended, active: None, next, buffer: Vec::new(), stats };
        Ok((log, recovery))
    }

    /// Appends a batch; the numbers it got (an empty range for an empty batch).
    ///
    /// # Errors
    /// None of the batch is kept; see [`AppendError`].
    pub fn append(&mut self, payloads: &[&[u8]], fsync: Fsync) -> Result<RangeInclusive<u64>, AppendError> {
        if let Some(large) = payloads.iter().find(|payload| payload.len() > MAX_PAYLOAD_BYTES) {
            return Err(AppendError::TooLarge { bytes: large.len() });
        }
        let bytes = payloads.iter().map(|payload| (FRAME_HEADER_BYTES + payload.len()) as u64).sum();
        self.check_room(bytes)?;
        let first = self.next;
        if !payloads.is_empty() {
            self.write(payloads, bytes, fsync)?;
        } else if fsync == Fsync::Now {
            self.sync()?;
        }
        self.stats.appended += payloads.len() as u64;
        self.remove_over_bound();
        Ok(first..=self.next.saturating_sub(1))
    }

    fn check_room(&mut self, bytes: u64) -> Result<(), AppendError> {
        let (held, limit) = (self.bytes(), self.options.total_bytes);
        // The batch may need a file of its own.
        let needed = bytes + FILE_HEADER_BYTES as u64;
        if held.saturating_add(needed) <= limit || (self.options.on_full == OnFull::RemoveOldest && needed <= limit) {
            return Ok(());
        }
        self.stats.refused_full += 1;
        Err(AppendError::Full { held, limit })
    }

    /// Writes a batch to the active file and counts it as held only when all of it went well.
    fn write(&mut self, payloads: &[&[u8]], bytes: u64, fsync: Fsync) -> Result<(), AppendError> {
        self.prepare(bytes)?;
        self.buffer.clear();
        for (sequence, payload) in (self.next..).zip(payloads) {
            write_frame(&mut self.buffer, sequence, payload);
        }
        let Some(active) = &mut self.active else { return Ok(()) };
        let written = active.file.append(&self.buffer);
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        if let Err(error) = written {
            self.stats.write_errors += 1;
            self.undo(payloads.len());
            return Err(AppendError::Write(error));
        }
        active.unsynced = true;
        if fsync == Fsync::Now
            && let Err(error) = self.sync()
        {
            self.next += payloads.len() as u64;
            return Err(error);
        }
        if let Some(active) = &mut self.active {
            self.next += payloads.len() as u64;
            active.segment.next = self.next;
            active.segment.records += payloads.len() as u64;
            active.segment.bytes += bytes;
        }
        Ok(())
    }

    /// Takes a failed write back; where the disk refuses even that, the file is left and its numbers are not given out again.
    fn undo(&mut self, records: usize) {
        let Some(active) = &mut self.active else { return };
        if active.file.truncate(active.segment.bytes).is_err() {
            self.next += records as u64;
            self.end_active();
        }
    }

    /// Brings everything appended to the disk.
    ///
    /// # Errors
    /// [`AppendError::Sync`]: what was appended since the last fsync may be lost. The file is ended, since after a failed fsync a later one may
    /// succeed without having written anything ("fsyncgate").
    pub fn sync(&mut self) -> Result<(), AppendError> {
        let Some(active) = self.active.as_mut().filter(|active| active.unsynced) else { return Ok(()) };
        let outcome = active.file.sync();
        active.unsynced = false;
        if let Err(error) = outcome {
            self.stats.sync_errors += 1;
            // The batch at hand shall not be read back; a failure here leaves it to the next recovery.
            active.file.truncate(active.segment.bytes).ok();
            self.end_active();
            return Err(AppendError::Sync(error));
        }
        Ok(())
    }

    /// Sees to an active file that has room for `bytes` more.
    fn prepare(&mut self, bytes: u64) -> Result<(), AppendError> {
        let segment_bytes = self.options.segment_bytes;
        let has_room = |segment: &Segment| segment.records == 0 || segment.bytes + bytes <= segment_bytes;
        if self.active.as_ref().is_some_and(|active| !has_room(&active.segment)) {
            self.sync()?;
            self.end_active();
        }
        if self.active.is_none() {
            let opened = match self.ended.pop_back_if(|segment| segment.appendable && has_room(segment)) {
                Some(segment) => self.disk.open(&segment_path(&self.dir, segment.first)).map(|file| Active { segment, file, unsynced: false }),
                None => self.create(),
            };
            self.active = Some(opened.map_err(|error| {
                self.stats.write_errors += 1;
                AppendError::Write(error)
            })?);
        }
        Ok(())
    }

    /// A new file whose first record will be the next one.
    fn create(&mut self) -> io::Result<Active> {
        let first = self.next;
        let path = segment_path(&self.dir, first);
        // A file of that name has no records, or the number would be taken: it is begun anew.
        self.ended.retain(|segment| segment.first != first);
        let mut file = self.disk.open(&path)?;
        file.truncate(0)?;
        file.append(&file_header(first))?;
        self.disk.sync_dir(&self.dir)?;
        let segment = Segment { first, next: first, records: 0, bytes: FILE_HEADER_BYTES as u64, appendable: false };
        Ok(Active { segment, file, unsynced: true })
    }

    fn end_active(&mut self) {
        let Some(Active { mut segment, .. }) = self.active.take() else { return };
        segment.appendable = false;
        if segment.records > 0 {
            self.ended.push_back(segment);
        } else {
            // Nothing in it; if it cannot be removed, the next opening finds it empty.
            self.disk.remove(&segment_path(&self.dir, segment.first)).ok();
        }
    }

    fn remove_over_bound(&mut self) {
        while self.options.on_full == OnFull::RemoveOldest && self.bytes() > self.options.total_bytes {
            let Ok(Some(records)) = self.remove_oldest(u64::MAX) else { return };
            self.stats.removed_full += records;
        }
    }

    /// Removes the oldest ended file if all its records are numbered `through` or lower; how many records.
    fn remove_oldest(&mut self, through: u64) -> io::Result<Option<u64>> {
        let Some(oldest) = self.ended.front().filter(|segment| segment.next <= through.saturating_add(1)) else {
            return Ok(None);
        };
        match self.disk.remove(&segment_path(&self.dir, oldest.first)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.stats.write_errors += 1;
                Err(error)
            }
            _ => Ok(self.ended.pop_front().map(|segment| segment.records)),
        }
    }

    /// Removes files whose records are all numbered `through` or lower, because they are no longer needed; how many records. Records of a file that
    /// also holds later ones stay.
    ///
    /// # Errors
    /// A file that cannot be removed, or the new one that carries the numbering on when all records go.
    pub fn remove_through(&mut self, through: u64) -> io::Result<u64> {
        let holds_records = self.active.as_ref().map_or(!self.ended.is_empty(), |active| active.segment.records > 0);
        let mut removed = 0;
        if holds_records && self.next <= through.saturating_add(1) {
            let fresh = if let Ok(fresh) = self.create() {
                fresh
            } else {
                // On a full disk nothing can be made before something has gone. The name of the file that could not be made carries the numbering on.
                removed = self.empty(through)?;
                self.create()?
            };
            self.end_active();
            self.active = Some(fresh);
        }
        while let Some(records) = self.remove_oldest(through)? {
            removed += records;
        }
        Ok(removed)
    }

    /// Lets all records go, numbered `through` or lower as they are, and the active file with its header stay; how many records.
    fn empty(&mut self, through: u64) -> io::Result<u64> {
        let mut removed = 0;
        while let Some(records) = self.remove_oldest(through)? {
            removed += records;
        }
        if let Some(active) = &mut self.active {
            active.file.truncate(FILE_HEADER_BYTES as u64)?;
            removed += std::mem::take(&mut active.segment.records);
            active.segment.bytes = FILE_HEADER_BYTES as u64;
        }
        Ok(removed)
    }

    /// The records held now from number `sequence` on, also those not yet on the disk.
    pub fn read_from(&self, sequence: u64) -> Reader {
        let held = self.ended.iter().chain(self.active.as_ref().map(|active| &active.segment));
        let wanted = held.filter(|segment| segment.next > sequence && segment.records > 0);
        let source = |segment: &Segment| Source { path: segment_path(&self.dir, segment.first), first: segment.first, bytes: segment.bytes };
        Reader::new(sequence, wanted.map(source).collect())
    }

    /// The file that holds the record of this number, or else the next one after it.
    pub(crate) fn segment_holding(&self, sequence: u64) -> Option<Segment> {
        let mut held = self.ended.iter().chain(self.active.as_ref().map(|active| &active.segment));
        held.find(|segment| segment.next > sequence && segment.records > 0).cloned()
    }

    pub(crate) fn path_of(&self, first: u64) -> PathBuf {
        segment_path(&self.dir, first)
    }

    /// Number after the last record of the oldest file, if [`remove_through`](Self::remove_through) can remove that file by itself.
    pub fn oldest_file_end(&self) -> Option<u64> {
        self.ended.front().map(|segment| segment.next)
    }

    /// Number of the next record.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Leaves out numbers below `next`: for a user who knows from elsewhere that they were given out.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.ended.iter().chain(self.active.as_ref().map(|active| &active.segment)).map(|segment| segment.bytes).sum()
    }

    /// The bounds in force.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Figures for metrics.
    pub fn stats(&self) -> Stats {
        let held = self.ended.iter().chain(self.active.as_ref().map(|active| &active.segment));
        let (segments, records) = held.fold((0, 0), |(files, records), segment| (files + 1, records + segment.records));
        Stats { segments, records, bytes: self.bytes(), next_sequence: self.next, ..self.stats }
    }
}
