//! The spool of one kind: a log on disk, and how far it is drained.
//!
//! A record is in the spool from the moment `append` returned (one fsync for a batch) until it is acknowledged. How far it is acknowledged stands in the
//! file `done` beside the log, written behind the fact: after a crash a few records could be sent a second time. What may have been sent before (by an
//! earlier connection, an earlier run, or from memory before it was spooled) is *doubtful*: its stream is asked for the last record of the subject, and
//! what is thereby known to be there is not sent again.
//! Must not know: connections, other kinds.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::Duration;

use marketdata::RecordKind;
use segments::{AppendError, Cursor, Fsync, OnFull, OpenError, Options, Recovery, SegmentLog};

use super::super::Record;
use super::super::outbox::{Id, Pending};
use super::entry::{self, Entry};

/// How far it is drained is written at most this often.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// After a refusal, until the next attempt; doubled up to the other.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Name of the file that says how far it is drained.
const DONE: &str = "done";

/// The spool of one kind.
#[derive(Debug)]
pub(crate) struct Shelf {
    kind: RecordKind,
    log: SegmentLog,
    /// Number of the first record that is not acknowledged.
    done: u64,
    saved: (u64, Duration),
    cursor: Cursor,
    /// Read, not yet sent.
    ahead: Option<(u64, Entry)>,
    /// Sent, in order.
    flights: VecDeque<Flight>,
    /// Records below may have been sent before: by an earlier connection, or an earlier run.
    doubtful_to: u64,
    /// Behind the last record that was sent from memory before it was spooled.
    flagged_to: u64,
    /// Of subjects that were asked about: what came of it.
    settled: BTreeMap<String, Settled>,
    /// When the first record that is not acknowledged was spooled, as last looked up: its number, and unix ms.
    oldest: Option<(u64, i64)>,
    paused_until: Duration,
    pause: Duration,
    buffer: Vec<u8>,
}

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// Nothing is due.
    Nothing,
    /// It may be stored already: the stream is to be asked for the last record it holds of the subject; [`Shelf::settle`] takes the answer.
    Doubt(u64, &'a Entry),
    /// The stream holds this record already.
    Held(u64, &'a Entry),
    /// To be sent.
    Send(u64, &'a Entry),
}

/// What a stream's answer about a subject told.
#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    /// Below, the stream holds all of them;
    held_to: u64,
    /// from there to here, none.
    known_to: u64,
}

/// A record of the spool that is under way.
#[derive(Debug)]
struct Flight {
    number: u64,
    subject: String,
    /// Its stream's place in the table, if it is configured still.
    place: Option<usize>,
    acknowledged: bool,
}

// === impl Shelf ===

impl Shelf {
    /// Opens the spool of a kind below `dir`.
    ///
    /// # Errors
    /// Another process has it, or it cannot be used at all.
    pub(crate) fn open(dir: &Path, kind: RecordKind, most: u64) -> Result<(Self, Recovery), OpenError> {
        let dir = dir.join(kind.as_str());
        // Who keeps the bound is the whole spool: it knows what is lost by it.
        let options = Options { segment_bytes: (most / 16).clamp(64 << 10, 8 << 20), total_bytes: most.saturating_mul(2), on_full: OnFull::Refuse };
        let (log, recovery) = SegmentLog::open(&dir, options)?;
        // Numbers begin at 1.
        let done = read_done(&dir).clamp(1, log.next_sequence());
        let mut shelf = Self {
            kind,
            log,
            done,
            saved: (done, Duration::ZERO),
            cursor: Cursor::at(done),
            ahead: None,
            flights: VecDeque::new(),
            doubtful_to: 0,
            flagged_to: 0,
            settled: BTreeMap::new(),
            oldest: None,
            paused_until: Duration::ZERO,
            pause: PAUSE.0,
            buffer: Vec::new(),
        };
        // How much of it the last run has sent is not known.
        shelf.doubtful_to = shelf.log.next_sequence();
        Ok((shelf, recovery))
    }

    /// Which kind.
    pub(crate) fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.log.bytes()
    }

    /// Number of the first record that is not acknowledged, and of the next one to come.
    pub(crate) fn span(&self) -> (u64, u64) {
        (self.done, self.log.next_sequence())
    }

    /// Whether everything in it was acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.done >= self.log.next_sequence()
    }

    /// Calls `each` for all records that are not acknowledged; how many could not be read.
    pub(crate) fn look(&self, until: u64, mut each: impl FnMut(u64, &Entry)) -> u64 {
        let (mut cursor, mut damaged) = (Cursor::at(self.done), 0);
        loop {
            match cursor.read(&self.log) {
                Ok(Some(record)) if record.sequence < until => match Entry::read(record.payload) {
                    Some(entry) => each(record.sequence, &entry),
                    None => damaged += 1,
                },
                Ok(_) => return damaged,
                Err(_) => damaged += 1,
            }
        }
    }

    /// Appends a batch and returns when it is on the disk.
    ///
    /// # Errors
    /// None of the batch is kept.
    pub(crate) fn append<'a>(&mut self, records: &[Pending], subject: impl Fn(&Record) -> &'a str, now_ms: i64) -> Result<(), AppendError> {
        self.buffer.clear();
        let mut ends = Vec::with_capacity(records.len());
        for pending in records {
            entry::write(pending, subject(&pending.record), now_ms, &mut self.buffer);
            ends.push(self.buffer.len());
        }
        let starts = [0].into_iter().chain(ends.iter().copied());
        let payloads: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| self.buffer.get(start..*end).unwrap_or_default()).collect();
        let outcome = self.log.append(&payloads, Fsync::Now);
        self.buffer.shrink_to(64 << 10);
        let last = *outcome?.end();
        if records.iter().any(|pending| pending.sent.is_some()) {
            self.flagged_to = last + 1;
        }
        Ok(())
    }

    /// What is to be done next; it stays the next until [`sent`](Self::sent). `single`: only one of a subject may be under way.
    pub(crate) fn next(&mut self, now: Duration, single: bool) -> Next<'_> {
        if now < self.paused_until || !self.read_ahead() {
            return Next::Nothing;
        }
        let Some((number, entry)) = &self.ahead else { return Next::Nothing };
        let settled = self.settled.get(&entry.subject).copied().unwrap_or_default();
        if *number < settled.held_to {
            return Next::Held(*number, entry);
        }
        if (*number < self.doubtful_to || entry.is_doubtful) && *number >= settled.known_to {
            return Next::Doubt(*number, entry);
        }
        if single && self.flights.iter().any(|flight| !flight.acknowledged && flight.subject == entry.subject) {
            return Next::Nothing;
        }
        Next::Send(*number, entry)
    }

    /// Reads the next record, if that is not done; whether there is one.
    fn read_ahead(&mut self) -> bool {
        while self.ahead.is_none() {
            match self.cursor.read(&self.log) {
                Ok(None) => {
                    if self.flights.is_empty() {
                        // What could not be read at the end is behind it too.
                        self.done = self.done.max(self.cursor.next_sequence());
                        self.settled.clear();
                    }
                    return false;
                }
                // One of another form is passed over.
                Ok(Some(record)) => self.ahead = Entry::read(record.payload).map(|entry| (record.sequence, entry)),
                Err(error) => tracing::error!(kind = self.kind.as_str(), event = "spool_damaged", "the spool: {error}"),
            }
        }
        true
    }

    /// Takes the streams' answers: of each subject asked about, the last record that is stored. Records of a subject are stored in their order, so all before it
    /// are there too. One not found here was acknowledged long ago, or is another's: none of the doubtful ones is there then.
    pub(crate) fn settle(&mut self, answers: &BTreeMap<String, Option<Id>>) {
        let end = self.log.next_sequence();
        let mut held = BTreeMap::<&str, u64>::new();
        if answers.values().any(Option::is_some) {
            self.look(self.doubtful_to.max(self.flagged_to), |number, entry| {
                if let Some((subject, Some(id))) = answers.get_key_value(&entry.subject)
                    && *id == entry.id()
                {
                    held.insert(subject, number + 1);
                }
            });
        }
        let settled = answers.keys().map(|subject| {
            let held_to = held.get(subject.as_str()).copied().unwrap_or_default();
            (subject.clone(), Settled { held_to, known_to: end })
        });
        let settled: Vec<_> = settled.collect();
        self.settled.extend(settled);
    }

    /// The next record is under way; `place`: that of its stream.
    pub(crate) fn sent(&mut self, place: Option<usize>) {
        if let Some((number, entry)) = self.ahead.take() {
            self.flights.push_back(Flight { number, subject: entry.subject, place, acknowledged: false });
        }
    }

    /// Records under way.
    pub(crate) fn under_way(&self) -> usize {
        self.flights.len()
    }

    /// A record was acknowledged; the places of all that are thereby done go to `done`.
    pub(crate) fn acknowledged(&mut self, number: u64, mut done: impl FnMut(Option<usize>)) {
        self.pause = PAUSE.0;
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.number == number) {
            flight.acknowledged = true;
        }
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.acknowledged) {
            self.done = flight.number + 1;
            done(flight.place);
        }
        if self.flights.is_empty() && self.ahead.is_none() {
            // Numbers that no record has are behind it too.
            self.done = self.done.max(self.cursor.next_sequence());
        }
    }

    /// A record was refused, for now: what is under way is sent again after a pause.
    pub(crate) fn refused(&mut self, now: Duration) {
        self.paused_until = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
        self.rewind();
    }

    /// Back to the first record that is not acknowledged; what was sent may be stored by now.
    pub(crate) fn rewind(&mut self) {
        if let Some(last) = self.flights.back() {
            self.doubtful_to = self.doubtful_to.max(last.number + 1);
        }
        self.settled.clear();
        self.flights.clear();
        self.ahead = None;
        self.cursor = Cursor::at(self.done);
    }

    /// A record, read once more.
    pub(crate) fn reread(&self, number: u64) -> Option<Entry> {
        let record = Cursor::at(number).read(&self.log).ok()??;
        if record.sequence == number { Entry::read(record.payload) } else { None }
    }

    /// Writes how far it is drained, and lets go of files that are done.
    ///
    /// # Errors
    /// The system's; it is tried again.
    pub(crate) fn save(&mut self, now: Duration) -> io::Result<()> {
        let (saved, at) = self.saved;
        if saved == self.done || (now.saturating_sub(at) < SAVE_EVERY && !self.is_empty()) {
            return Ok(());
        }
        self.saved.1 = now;
        // First, so that a full disk has room again. What is gone need not be told as done.
        let removed = self.log.remove_through(self.done.saturating_sub(1));
        self.write_done()?;
        self.saved.0 = self.done;
        removed.map(|_| ())
    }

    /// Writes how far it is drained.
    ///
    /// Without fsync: the kernel keeps it when the process is killed, and after a loss of power what is sent once more is asked about.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn write_done(&self) -> io::Result<()> {
        let (path, beside) = (self.log.dir().join(DONE), self.log.dir().join("done.tmp"));
        std::fs::write(&beside, format!("{}\n", self.done))?;
        std::fs::rename(beside, path)
    }

    /// End of the oldest file: what the bound takes first.
    pub(crate) fn oldest_file_end(&self) -> Option<u64> {
        self.log.oldest_file_end()
    }

    /// Number after the last record spooled before this time, if there is one.
    pub(crate) fn expired(&mut self, before_ms: i64) -> Option<u64> {
        if self.oldest.is_some_and(|(number, spooled_ms)| number == self.done && spooled_ms >= before_ms) {
            return None;
        }
        let (mut cursor, mut end) = (Cursor::at(self.done), None);
        while let Ok(Some(record)) = cursor.read(&self.log) {
            match Entry::read(record.payload) {
                Some(entry) if entry.spooled_ms >= before_ms => {
                    self.oldest = Some((end.unwrap_or(self.done), entry.spooled_ms));
                    break;
                }
                _ => end = Some(record.sequence + 1),
            }
        }
        end
    }

    /// Gives up all records below `end`, and their files.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub(crate) fn give_up(&mut self, end: u64) -> io::Result<()> {
        self.done = self.done.max(end);
        while self.flights.pop_front_if(|flight| flight.number < end).is_some() {}
        if self.ahead.as_ref().is_some_and(|(number, _)| *number < end) {
            self.ahead = None;
        }
        if self.cursor.next_sequence() < end {
            self.cursor = Cursor::at(end);
        }
        self.log.remove_through(end.saturating_sub(1)).map(|_| ())
    }
}

/// Number of the first record that is not acknowledged, as it was last written; 0 when it never was.
pub(super) fn read_done(dir: &Path) -> u64 {
    std::fs::read_to_string(dir.join(DONE)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
