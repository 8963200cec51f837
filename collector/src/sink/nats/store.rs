//! Where records go that NATS does not take: the spool, the dead letter, and the marks that say what a kill would have caught.
//!
//! Owns: opening them, again when that failed, their figures. Must not know: connections; whose turn it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use marketdata::RecordKind;
use segments::OpenError;

use crate::conditions::{Condition, Conditions};
use crate::config::{Config, SpoolConfig, StreamConfig};
use crate::metrics::{Counter, Gauge, Registry, catalogue as names};
use crate::sink::deadletter::{DeadLetters, Reason};
use crate::sink::marks::Marks;
use crate::sink::outbox::Pending;
use crate::sink::spool::{Lost, Shelf, Spool};
use crate::sink::{Record, Streams};

/// A disk that refused is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// What the spool's bound has taken is shown for this long at least.
const SHOWN: Duration = Duration::from_secs(30);

/// The disk's side of the sink.
pub(super) struct Store {
    config: SpoolConfig,
    /// None while it cannot be opened.
    pub(super) spool: Option<Spool>,
    pub(super) letters: DeadLetters,
    marks: Option<Marks>,
    /// Subjects by [`Record::stream`].
    subjects: Vec<String>,
    /// Places in the table of streams, by subject. Its order reaches nobody.
    places: HashMap<String, usize>,
    again_at: Duration,
    /// Whether the last write failed.
    pub(super) refuses: bool,
    /// When the spool's bound took records for the last time since it was empty.
    bound_bit: Option<Duration>,
    /// Troubles so far.
    pub(super) errors: u64,
    /// Conditions as last told.
    told: [bool; 4],
    figures: Figures,
}

struct Figures {
    registry: Arc<Registry>,
    records: [Gauge; StreamConfig::KINDS.len()],
    bytes: Gauge,
    letters: Gauge,
    letter_bytes: Gauge,
    removed: Counter,
}

// === impl Store ===

impl Store {
    /// Opens spool, dead letter and marks. What cannot be opened is tried again; only a spool that another process has keeps the collector from starting.
    pub(super) fn open(config: &Config, streams: &Streams, registry: &Arc<Registry>) -> Result<Self, OpenError> {
        let subjects: Vec<String> = streams.iter().map(|stream| stream.subject.clone()).collect();
        let mut store = Self {
            config: config.spool.clone(),
            spool: None,
            letters: DeadLetters::open(&config.dead_letter),
            marks: None,
            places: subjects.iter().cloned().zip(0..).collect(),
            subjects,
            again_at: Duration::ZERO,
            refuses: false,
            bound_bit: None,
            errors: 0,
            told: [false; 4],
            figures: Figures::new(registry, config.spool.max_total),
        };
        match store.open_spool() {
            Err(error @ OpenError::Locked { .. }) => return Err(error),
            Err(error) => store.trouble("open", &error, Duration::ZERO),
            Ok(()) => {}
        }
        store.figures.show(store.spool.as_ref(), &store.letters);
        Ok(store)
    }

    fn open_spool(&mut self) -> Result<(), OpenError> {
        let spool = Spool::open(&self.config)?;
        let subjects: Vec<&str> = self.subjects.iter().map(String::as_str).collect();
        match Marks::open(&spool.dir().join("marks"), &subjects) {
            Ok((marks, caught)) => {
                self.marks = Some(marks);
                let mut records = 0;
                for caught in caught {
                    records += caught.records;
                    tracing::warn!(
                        event = "unsecured_at_last_exit",
                        subject = caught.subject,
                        after = caught.after,
                        through = caught.through,
                        event_ts_ms = caught.event_ts_ms,
                        records = caught.records,
                        "the last run ended with records that were neither acknowledged nor spooled"
                    );
                }
                self.figures.registry.gauge(&names::UNSECURED_AT_LAST_EXIT, &[]).set(records as f64);
            }
            Err(error) => tracing::error!(event = "marks_unusable", "what a kill catches cannot be noted: {error}"),
        }
        self.spool = Some(spool);
        self.refuses = false;
        Ok(())
    }

    /// Tries again to open a spool that could not be; `true` when it is open now and was not.
    pub(super) fn reopen(&mut self, now: Duration) -> bool {
        if self.spool.is_some() || now < self.again_at {
            return false;
        }
        match self.open_spool() {
            Ok(()) => true,
            Err(error) => {
                self.trouble("open", &error, now);
                false
            }
        }
    }

    /// Whether the disk may be written to now.
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        self.spool.is_some() && (!self.refuses || now >= self.again_at)
    }

    /// The disk refused: said, counted, and left alone for a second.
    pub(super) fn trouble(&mut self, reason: &'static str, error: &dyn std::fmt::Display, now: Duration) {
        let counter = self.figures.registry.counter(&names::SPOOL_ERRORS, &[reason]);
        counter.inc();
        self.errors += 1;
        if !self.refuses || counter.get() % 60 == 1 {
            tracing::error!(event = "spool_refuses", reason, dir = %self.config.dir.display(), "the spool cannot be written: {error}");
        }
        self.refuses = true;
        self.again_at = now + AGAIN;
    }

    /// Place of a subject in the table of streams.
    pub(super) fn place(&self, subject: &str) -> Option<usize> {
        self.places.get(subject).copied()
    }

    /// The subject of a record.
    pub(super) fn subject(&self, record: &Record) -> &str {
        self.subjects.get(record.stream).map_or("", String::as_str)
    }

    /// Spools records of one kind; `true` when they are on the disk.
    pub(super) fn append(&mut self, records: &[Pending], now: Now) -> bool {
        let (Some(spool), subjects) = (&mut self.spool, &self.subjects) else { return false };
        let mut lost = Vec::new();
        let subject = |record: &Record| subjects.get(record.stream).map_or("", String::as_str);
        let outcome = spool.append(records, subject, now, &mut lost);
        if !lost.is_empty() {
            self.bound_bit = Some(now.mono);
        }
        self.lost(&lost);
        match outcome {
            Ok(()) => {
                self.refuses = false;
                if let Some(first) = records.first() {
                    self.figures.registry.counter(&names::SPOOLED, &[first.record.kind.as_str()]).add(records.len() as u64);
                }
                true
            }
            Err(error) => {
                self.trouble(error.as_str(), &error, now.mono);
                false
            }
        }
    }

    /// Keeps the bounds and writes how far the spool is drained.
    pub(super) fn tidy(&mut self, now: Now) {
        self.letters.keep_bounds(now);
        self.tidy_spool(now);
        self.figures.show(self.spool.as_ref(), &self.letters);
    }

    fn tidy_spool(&mut self, now: Now) {
        // A disk that refused and has nothing to take is tried by itself: nobody else would find that it is well again.
        let due = now.mono >= self.again_at;
        let Some(spool) = &mut self.spool else { return };
        let mut lost = Vec::new();
        let mut outcome = spool.tidy(now, &mut lost);
        if outcome.is_ok() && self.refuses && due && spool.is_empty() {
            outcome = spool.probe();
            self.refuses = outcome.is_err();
        }
        if !lost.is_empty() {
            self.bound_bit = Some(now.mono);
        }
        self.lost(&lost);
        // Also while the disk refuses: what is drained goes, and that may be the room it needs.
        if let Err(error) = outcome
            && (due || !self.refuses)
        {
            self.trouble("tidy", &error, now.mono);
        }
    }

    fn lost(&mut self, lost: &[Lost]) {
        for lost in lost {
            let records: u64 = lost.subjects.values().sum();
            self.figures.registry.counter(&names::SPOOL_LOST, &[lost.kind.as_str(), lost.reason]).add(records);
            tracing::error!(
                event = "spool_lost",
                kind = lost.kind.as_str(),
                reason = lost.reason,
                records,
                "the bound of the spool took records for good"
            );
        }
    }

    /// Makes a dead letter of records of one stream; `false` when that failed, and they are lost.
    pub(super) fn bury(&mut self, records: &[Record], reason: Reason, now: Now) -> bool {
        let Some(first) = records.first() else { return true };
        let (kind, subject) = (first.kind.as_str(), self.subject(first).to_owned());
        match self.letters.put(records, &subject, reason, now) {
            Ok(path) => {
                self.figures.registry.counter(&names::DEAD_LETTERS, &[kind, reason.as_str()]).add(records.len() as u64);
                tracing::warn!(event = "dead_letter", kind, subject, reason = reason.as_str(), rows = records.len(), file = %path.display(), "records went to the dead letter");
                true
            }
            Err(error) => {
                self.figures.registry.counter(&names::SPOOL_ERRORS, &["dead_letter"]).inc();
                self.errors += 1;
                tracing::error!(
                    event = "dead_letter_failed",
                    kind,
                    subject,
                    rows = records.len(),
                    "records are lost, the dead letter cannot be written: {error}"
                );
                false
            }
        }
    }

    /// Says what is not as it should be.
    pub(super) fn tell(&mut self, conditions: &Conditions, now: Duration) {
        let in_use = self.spool.as_ref().is_some_and(|spool| !spool.is_empty());
        self.bound_bit = self.bound_bit.filter(|bit| in_use || now.saturating_sub(*bit) < SHOWN);
        let now = [
            (Condition::SpoolInUse, in_use),
            (Condition::SpoolBound, self.bound_bit.is_some()),
            (Condition::DeadLetters, self.letters.len() > 0),
            (Condition::DiskRefuses, self.refuses),
        ];
        // Only what changed: others may tell of their disks too.
        for ((condition, holds), told) in now.into_iter().zip(&mut self.told) {
            if std::mem::replace(told, holds) != holds {
                if holds { conditions.raise(condition) } else { conditions.clear(condition) }
            }
        }
    }

    /// A record was taken.
    pub(super) fn taken(&mut self, record: &Record) {
        if let Some(marks) = self.marks.as_mut().filter(|_| record.kind.is_authoritative()) {
            marks.taken(record.stream, record.sequence, record.event_ts_ms);
        }
    }

    /// A record was secured.
    pub(super) fn secured(&mut self, record: &Record) {
        if let Some(marks) = self.marks.as_mut().filter(|_| record.kind.is_authoritative()) {
            marks.secured(record.stream, record.sequence);
        }
    }

    /// Brings the marks to the kernel.
    pub(super) fn note(&mut self) {
        if let Some(Err(error)) = self.marks.as_mut().map(Marks::write) {
            tracing::error!(event = "marks_unusable", "what a kill catches cannot be noted any more: {error}");
            self.marks = None;
        }
    }

    /// The shelf of a kind.
    pub(super) fn shelf(&mut self, kind: RecordKind) -> Option<&mut Shelf> {
        self.spool.as_mut()?.shelf(kind)
    }

    /// The spool, and the places of subjects in the table of streams.
    pub(super) fn both(&mut self) -> (Option<&mut Spool>, &HashMap<String, usize>) {
        (self.spool.as_mut(), &self.places)
    }

    /// Everything that is under way from the spool is sent again.
    pub(super) fn rewind(&mut self) {
        for kind in StreamConfig::KINDS {
            if let Some(shelf) = self.shelf(kind) {
                shelf.rewind();
            }
        }
    }
}

// === impl Figures ===

impl Figures {
    fn new(registry: &Arc<Registry>, most: u64) -> Self {
        registry.gauge(&names::SPOOL_BYTES_LIMIT, &[]).set(most as f64);
        // Present from the start, so that an alert on their increase sees the first one.
        for kind in StreamConfig::KINDS {
            for reason in ["size", "age"] {
                registry.counter(&names::SPOOL_LOST, &[kind.as_str(), reason]);
            }
        }
        for kind in RecordKind::ALL {
            for reason in Reason::ALL {
                registry.counter(&names::DEAD_LETTERS, &[kind.as_str(), reason.as_str()]);
            }
        }
        Self {
            registry: Arc::clone(registry),
            records: StreamConfig::KINDS.map(|kind| registry.gauge(&names::SPOOL_RECORDS, &[kind.as_str()])),
            bytes: registry.gauge(&names::SPOOL_BYTES, &[]),
            letters: registry.gauge(&names::DEAD_LETTER_FILES, &[]),
            letter_bytes: registry.gauge(&names::DEAD_LETTER_BYTES, &[]),
            removed: registry.counter(&names::DEAD_LETTER_REMOVED, &[]),
        }
    }

    fn show(&self, spool: Option<&Spool>, letters: &DeadLetters) {
        for (gauge, shelf) in self.records.iter().zip(spool.into_iter().flat_map(Spool::shelves)) {
            let (done, next) = shelf.span();
            gauge.set(next.saturating_sub(done) as f64);
        }
        self.bytes.set(spool.map_or(0, Spool::bytes) as f64);
        self.letters.set_count(letters.len());
        self.letter_bytes.set(letters.bytes() as f64);
        self.removed.add(letters.removed().saturating_sub(self.removed.get()));
    }
}
