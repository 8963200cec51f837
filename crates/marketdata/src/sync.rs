//! Keeping one book exact: buffer, snapshot, join, follow; on any doubt start again.
//!
//! Owns: the state of one instrument's book on one connection, and when a snapshot is wanted. Must not know: connections, URLs, budgets, publishing.
//!
//! A book is rebuilt beside the running one: the same [`Rebuild`] serves the first synchronisation, a resync (nothing is published meanwhile) and a
//! refresh (the running book stays valid until the deeper one replaces it). Nothing is ever patched.

mod rebuild;

use std::time::Duration;

use crate::book::{Book, DepthBounds, Level};
use crate::effect::{Reason, SnapshotTrouble};
use crate::message::Stamp;
use crate::sequence::{Rule, UpdateIds, Verdict};
use crate::sync::rebuild::{Join, Rebuild};

/// Whether a book may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// No connection, or not subscribed.
    Idle,
    /// Deltas are buffered until a snapshot joins them.
    Syncing,
    /// The book is the venue's at its sequence.
    Synced,
}

/// What a book of a venue needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BookRules {
    pub(crate) rule: Rule,
    pub(crate) bounds: DepthBounds,
    /// Levels a side that a snapshot is asked for.
    pub(crate) snapshot_limit: usize,
    /// Published levels; a refresh is due when a side that goes on holds fewer than twice as many.
    pub(crate) depth: usize,
    /// Most deltas and most levels buffered.
    pub(crate) buffer: BufferBounds,
    /// Least time between two refreshes.
    pub(crate) refresh_every: Duration,
    /// How long the first snapshot waits for a first delta; fetched at once it would often be older than the stream.
    pub(crate) quiet: Duration,
    /// A snapshot that failed is asked for again after this, doubled each time…
    pub(crate) retry_first: Duration,
    /// …up to this.
    pub(crate) retry_most: Duration,
}

/// Bounds of the buffer of deltas that wait for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferBounds {
    /// Most deltas.
    pub deltas: usize,
    /// Most levels in them together.
    pub levels: usize,
}

/// A delta in the instrument's scales.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delta<'a> {
    pub(crate) ids: UpdateIds,
    pub(crate) event_ts_ms: Option<i64>,
    pub(crate) received_ms: i64,
    pub(crate) bids: &'a [Level],
    pub(crate) asks: &'a [Level],
}

/// A snapshot in the instrument's scales.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot<'a> {
    pub(crate) id: u64,
    pub(crate) event_ts_ms: Option<i64>,
    pub(crate) received_ms: i64,
    pub(crate) bids: &'a [Level],
    pub(crate) asks: &'a [Level],
}

/// What an input did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to publish.
    Quiet,
    /// The running book changed.
    Updated,
    /// The book became exact, or was replaced by a deeper one.
    Synced,
    /// The book stopped being exact.
    Resync(Reason),
    /// The snapshot could not be used.
    Retry(SnapshotTrouble),
}

/// One instrument's book on one connection.
#[derive(Debug)]
pub(crate) struct BookSync {
    rules: BookRules,
    state: SyncState,
    book: Book,
    stamp: Stamp,
    confirmed: bool,
    /// Nothing older than this is ever published again; it outlives resyncs and connections.
    floor: u64,
    rebuild: Option<Rebuild>,
    /// Snapshots that failed since the book was last exact for a while.
    attempts: u32,
    /// Snapshots below the floor in a row.
    below_floor: u32,
    synced_at: Duration,
    refresh_after: Duration,
}

/// A book that stayed exact this long has earned a fresh back-off.
const TRUSTED_AFTER: Duration = Duration::from_mins(1);
/// A book that broke sooner than this after it was built waits longer before the next snapshot.
const BROKE_SOON: Duration = Duration::from_secs(5);
/// After this many snapshots in a row below the floor the venue has evidently restarted its ids: the floor falls.
const FLOOR_TRIES: u32 = 8;

// === impl SyncState ===

impl SyncState {
    /// The word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            SyncState::Idle => "idle",
            SyncState::Syncing => "syncing",
            SyncState::Synced => "synced",
        }
    }
}

// === impl BookSync ===

impl BookSync {
    pub(crate) fn new(rules: BookRules, floor: u64) -> Self {
        Self {
            rules,
            state: SyncState::Idle,
            book: Book::new(rules.bounds),
            stamp: Stamp::default(),
            confirmed: false,
            floor,
            rebuild: None,
            attempts: 0,
            below_floor: 0,
            synced_at: Duration::ZERO,
            refresh_after: Duration::ZERO,
        }
    }

    pub(crate) const fn state(&self) -> SyncState {
        self.state
    }

    /// Exact, and not older than what has been published.
    pub(crate) const fn publishable(&self) -> bool {
        matches!(self.state, SyncState::Synced) && self.stamp.sequence >= self.floor
    }

    pub(crate) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) const fn confirmed(&self) -> bool {
        self.confirmed
    }

    pub(crate) const fn floor(&self) -> u64 {
        self.floor
    }

    /// Something this new was published elsewhere; nothing older may follow.
    pub(crate) fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
    }

    pub(crate) const fn book(&self) -> &Book {
        &self.book
    }

    /// Deltas buffered now.
    pub(crate) fn buffered(&self) -> usize {
        self.rebuild.as_ref().map_or(0, Rebuild::len)
    }

    /// Subscribed: deltas may come, and a snapshot is wanted after the first of them, or when it stays quiet.
    pub(crate) fn begin(&mut self, now: Duration) {
        if self.state == SyncState::Idle {
            self.state = SyncState::Syncing;
            self.rebuild = Some(Rebuild::new(now.saturating_add(self.rules.quiet)));
        }
    }

    /// The book is not followed for a while: all of it is forgotten but what has been published.
    pub(crate) fn rest(&mut self) {
        self.state = SyncState::Idle;
        self.confirmed = false;
        self.book.clear();
        self.rebuild = None;
        self.attempts = 0;
    }

    /// When the next snapshot is wanted, if one is and none is under way.
    pub(crate) fn wanted_at(&self) -> Option<Duration> {
        self.rebuild.as_ref().and_then(|rebuild| rebuild.ask_at)
    }

    /// Takes the wish for a snapshot: the caller fetches one and reports back.
    pub(crate) fn take_wish(&mut self, now: Duration) -> bool {
        match &mut self.rebuild {
            Some(rebuild) if rebuild.ask_at.is_some_and(|at| at <= now) => {
                rebuild.ask_at = None;
                true
            }
            _ => false,
        }
    }

    /// A delta arrived.
    pub(crate) fn delta(&mut self, now: Duration, delta: Delta<'_>) -> Outcome {
        if self.state != SyncState::Synced {
            self.begin(now);
            return self.buffer(now, delta);
        }
        let verdict = if self.confirmed {
            self.rules.rule.next(self.stamp.sequence, delta.ids)
        } else {
            self.rules.rule.after_snapshot(self.stamp.sequence, delta.ids)
        };
        match verdict {
            Verdict::Old => Outcome::Quiet,
            Verdict::Gap => {
                let reason = if self.confirmed { Reason::Gap } else { Reason::SnapshotTooOld };
                self.invalidate(now, reason, Some(delta))
            }
            Verdict::Joins => self.follow(now, delta),
        }
    }

    /// A delta of this instrument could not be read, or its connection is gone: the book cannot be followed.
    pub(crate) fn lose(&mut self, now: Duration, reason: Reason) -> Outcome {
        match self.state {
            SyncState::Synced => self.invalidate(now, reason, None),
            SyncState::Syncing => {
                if let Some(rebuild) = &mut self.rebuild {
                    rebuild.clear();
                }
                Outcome::Quiet
            }
            SyncState::Idle => Outcome::Quiet,
        }
    }

    /// A snapshot arrived.
    pub(crate) fn snapshot(&mut self, now: Duration, snapshot: &Snapshot<'_>) -> Outcome {
        let Some(mut rebuild) = self.rebuild.take() else { return Outcome::Quiet };
        let Join::At(start) = rebuild.join(self.rules.rule, snapshot.id) else {
            return self.retry(now, rebuild, SnapshotTrouble::TooOld);
        };
        let mut book = Book::new(self.rules.bounds);
        book.load(snapshot.bids, snapshot.asks, self.rules.snapshot_limit);
        let mut stamp =
            Stamp { sequence: snapshot.id, first: None, previous: None, event_ts_ms: snapshot.event_ts_ms, received_ms: snapshot.received_ms };
        for delta in rebuild.from(start) {
            book.apply(delta.bids, delta.asks);
            stamp = stamp_of(&delta);
        }
        if stamp.sequence < self.floor && self.below_floor < FLOOR_TRIES {
            self.below_floor += 1;
            return self.retry(now, rebuild, SnapshotTrouble::TooOld);
        }
        if book.is_crossed() {
            rebuild.clear();
            return self.retry(now, rebuild, SnapshotTrouble::Crossed);
        }
        self.confirmed = start < rebuild.len();
        self.book = book;
        self.stamp = stamp;
        self.floor = stamp.sequence;
        self.below_floor = 0;
        self.synced_at = now;
        self.refresh_after = now.saturating_add(self.rules.refresh_every);
        self.state = SyncState::Synced;
        Outcome::Synced
    }

    /// The snapshot that was asked for did not come, or not in a usable form.
    pub(crate) fn snapshot_failed(&mut self, now: Duration, trouble: SnapshotTrouble) -> Outcome {
        match self.rebuild.take() {
            Some(rebuild) => self.retry(now, rebuild, trouble),
            None => Outcome::Quiet,
        }
    }

    /// Starts a refresh if few levels are left that the venue vouched for. True when one was started.
    pub(crate) fn refresh_if_shallow(&mut self, now: Duration) -> bool {
        let wanted = self.rules.depth.saturating_mul(2).min(self.rules.snapshot_limit);
        let due = self.state == SyncState::Synced && self.rebuild.is_none() && now >= self.refresh_after && !self.book.complete(wanted);
        if due {
            self.refresh_after = now.saturating_add(self.rules.refresh_every);
            self.rebuild = Some(Rebuild::new(now));
        }
        due
    }

    fn follow(&mut self, now: Duration, delta: Delta<'_>) -> Outcome {
        self.book.apply(delta.bids, delta.asks);
        if self.book.is_crossed() {
            return self.invalidate(now, Reason::Crossed, None);
        }
        self.stamp = stamp_of(&delta);
        self.floor = self.floor.max(delta.ids.last);
        self.confirmed = true;
        if self.attempts > 0 && now.saturating_sub(self.synced_at) >= TRUSTED_AFTER {
            self.attempts = 0;
        }
        if let Some(rebuild) = &mut self.rebuild
            && rebuild.push(self.rules.rule, self.rules.buffer, &delta).is_err()
        {
            self.rebuild = None; // a refresh that cannot keep up is given up; the running book is right
        }
        Outcome::Updated
    }

    fn buffer(&mut self, now: Duration, delta: Delta<'_>) -> Outcome {
        let (rule, bounds) = (self.rules.rule, self.rules.buffer);
        let first_try = self.attempts == 0;
        let Some(rebuild) = &mut self.rebuild else { return Outcome::Quiet };
        let result = rebuild.push(rule, bounds, &delta);
        if first_try && let Some(at) = &mut rebuild.ask_at {
            *at = (*at).min(now); // the stream has begun: what is fetched from now on reaches it
        }
        match result {
            Ok(()) => Outcome::Quiet,
            Err(reason) => {
                rebuild.clear();
                // The delta that showed the break is the start of the new chain; alone it is within every bound.
                let _ = rebuild.push(rule, bounds, &delta);
                Outcome::Resync(reason)
            }
        }
    }

    fn invalidate(&mut self, now: Duration, reason: Reason, delta: Option<Delta<'_>>) -> Outcome {
        self.state = SyncState::Syncing;
        self.confirmed = false;
        self.book.clear();
        let wait = if self.attempts == 0 { Duration::ZERO } else { self.backoff() };
        self.attempts += u32::from(now.saturating_sub(self.synced_at) < BROKE_SOON);
        let rebuild = self.rebuild.get_or_insert_with(|| Rebuild::new(now.saturating_add(wait)));
        rebuild.clear();
        if let Some(delta) = delta {
            let _ = rebuild.push(self.rules.rule, self.rules.buffer, &delta);
        }
        Outcome::Resync(reason)
    }

    fn retry(&mut self, now: Duration, mut rebuild: Rebuild, trouble: SnapshotTrouble) -> Outcome {
        rebuild.ask_at = Some(now.saturating_add(self.backoff()));
        self.attempts += 1;
        self.rebuild = Some(rebuild);
        Outcome::Retry(trouble)
    }

    fn backoff(&self) -> Duration {
        let doubled = self.rules.retry_first.saturating_mul(1 << self.attempts.min(16));
        doubled.min(self.rules.retry_most)
    }
}

const fn stamp_of(delta: &Delta<'_>) -> Stamp {
    Stamp {
        sequence: delta.ids.last,
        first: Some(delta.ids.first),
        previous: delta.ids.previous,
        event_ts_ms: delta.event_ts_ms,
        received_ms: delta.received_ms,
    }
}
