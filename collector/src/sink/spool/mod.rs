//! The spool: where authoritative records wait on disk when NATS does not take them, in order, until it does.
//!
//! Owns: one [`Shelf`] for each kind, the bound in bytes and age over all of them, what is lost by it. Must not know: connections, lanes; the subject of a
//! record says whose it is.

mod entry;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Now;
pub(crate) use entry::Entry;
use marketdata::RecordKind;
use segments::{AppendError, OpenError, Reader};
pub(crate) use shelf::{Next, Shelf};

use super::Record;
use super::outbox::Pending;
use crate::config::{SpoolConfig, StreamConfig};

/// Ages are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// All kinds.
#[derive(Debug)]
pub(crate) struct Spool {
    config: SpoolConfig,
    shelves: Vec<Shelf>,
    looked: Duration,
}

/// Records that were given up because a bound bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) kind: RecordKind,
    pub(crate) reason: &'static str,
    /// How many, by subject.
    pub(crate) subjects: BTreeMap<String, u64>,
}

// === impl Spool ===

impl Spool {
    /// Opens (and repairs) the spool of all authoritative kinds.
    ///
    /// # Errors
    /// Another process has it, or it cannot be used at all.
    pub(crate) fn open(config: &SpoolConfig) -> Result<Self, OpenError> {
        let mut shelves = Vec::new();
        for kind in StreamConfig::KINDS {
            let (shelf, recovery) = Shelf::open(&config.dir, kind, config.max_total)?;
            for trouble in recovery.troubles {
                tracing::warn!(kind = kind.as_str(), event = "spool_repaired", reason = trouble.as_str(), "the spool: {trouble}");
            }
            shelves.push(shelf);
        }
        Ok(Self { config: config.clone(), shelves, looked: Duration::ZERO })
    }

    /// The shelves.
    pub(crate) fn shelves(&self) -> &[Shelf] {
        &self.shelves
    }

    /// The shelf of a kind.
    pub(crate) fn shelf(&mut self, kind: RecordKind) -> Option<&mut Shelf> {
        self.shelves.iter_mut().find(|shelf| shelf.kind() == kind)
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.shelves.iter().map(Shelf::bytes).sum()
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &PathBuf {
        &self.config.dir
    }

    /// How many records wait, by subject, over all kinds.
    pub(crate) fn backlog(&self) -> BTreeMap<String, u64> {
        let mut waiting = BTreeMap::new();
        for shelf in &self.shelves {
            shelf.look(u64::MAX, |_, entry| *waiting.entry(entry.subject.clone()).or_default() += 1);
        }
        waiting
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.shelves.iter().all(Shelf::is_empty)
    }

    /// Whether the disk takes anything, found out by a small file.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn probe(&self) -> io::Result<()> {
        self.shelves.iter().try_for_each(Shelf::write_done)
    }

    /// Appends records of one kind, in order, and returns when they are on the disk. What the bound takes for it goes to `lost`.
    ///
    /// # Errors
    /// None of them is kept.
    pub(crate) fn append<'a>(
        &mut self,
        records: &[Pending],
        subject: impl Fn(&Record) -> &'a str,
        now: Now,
        lost: &mut Vec<Lost>,
    ) -> Result<(), AppendError> {
        let Some(kind) = records.first().map(|pending| pending.record.kind) else { return Ok(()) };
        let bytes: usize = records.iter().map(|pending| pending.record.payload.len() + 128).sum();
        self.make_room(bytes as u64, lost).map_err(AppendError::Write)?;
        self.shelf(kind).map_or(Ok(()), |shelf| shelf.append(records, subject, now.wall_ms))
    }

    /// Gives up the oldest file of the fullest kind until there is room.
    fn make_room(&mut self, bytes: u64, lost: &mut Vec<Lost>) -> io::Result<()> {
        while self.bytes() + bytes > self.config.max_total {
            let fullest = self.shelves.iter_mut().filter(|shelf| shelf.oldest_file_end().is_some()).max_by_key(|shelf| shelf.bytes());
            let Some((shelf, end)) = fullest.and_then(|shelf| shelf.oldest_file_end().map(|end| (shelf, end))) else { return Ok(()) };
            lost.extend(give_up(shelf, end, "size")?);
        }
        Ok(())
    }

    /// Gives up what is too old, and writes how far each kind is drained.
    ///
    /// # Errors
    /// The disk refuses; it is tried again.
    pub(crate) fn tidy(&mut self, now: Now, lost: &mut Vec<Lost>) -> io::Result<()> {
        let due = now.mono.saturating_sub(self.looked) >= LOOK_EVERY;
        let oldest_ms = now.wall_ms.saturating_sub(i64::try_from(self.config.max_age.as_millis()).unwrap_or(i64::MAX));
        if due {
            self.looked = now.mono;
        }
        for shelf in &mut self.shelves {
            // The first record speaks for the rest: they were spooled in order.
            if due && let Some(end) = shelf.expired(oldest_ms) {
                lost.extend(give_up(shelf, end, "age")?);
            }
            shelf.save(now.mono)?;
        }
        Ok(())
    }
}

/// Whether there is a spool in this directory.
pub(crate) fn is_there(dir: &Path) -> bool {
    StreamConfig::KINDS.iter().any(|kind| dir.join(kind.as_str()).is_dir())
}

/// Calls `each` for the records of a kind that wait below `dir`, looked at from outside: nothing is locked or repaired, also while a collector uses it.
/// How many pieces of it are damaged.
///
/// # Errors
/// It cannot be read.
pub(crate) fn look_at(dir: &Path, kind: RecordKind, mut each: impl FnMut(&Entry)) -> io::Result<u64> {
    let (dir, mut damaged) = (dir.join(kind.as_str()), 0);
    if !dir.is_dir() {
        return Ok(0);
    }
    for record in Reader::of_dir(&dir, shelf::read_done(&dir))? {
        match record.map(|record| Entry::read(record.payload)) {
            Ok(Some(entry)) => each(&entry),
            Ok(None) => damaged += 1,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => damaged += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(damaged)
}

/// Gives up a shelf's records below `end`; what that loses, if anything.
fn give_up(shelf: &mut Shelf, end: u64, reason: &'static str) -> io::Result<Option<Lost>> {
    let mut subjects = BTreeMap::new();
    shelf.look(end, |_, entry| *subjects.entry(entry.subject.clone()).or_default() += 1);
    shelf.give_up(end)?;
    Ok((!subjects.is_empty()).then_some(Lost { kind: shelf.kind(), reason, subjects }))
}
