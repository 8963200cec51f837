//! Keeping one book exact: buffer, snapshot, join, follow; on any doubt start again.
//!
//! Owns: the state of one instrument's book on one connection, and when a snapshot is wanted. Must not know: connections, URLs, budgets, publishing.
//!
//! A book is rebuilt beside the running one: the same [`Rebuild`] serves the first synchronisation, a resync (nothing is published meanwhile) and a
//! refresh (the running book stays valid until the deeper one replaces it). Nothing is ever patched.
//!
//! Where snapshots come with the stream ([`SnapshotSource::Stream`]) a resync is a new subscription, and what comes before its acknowledgement is
//! dropped; the REST way remains for a stream that brings no snapshot, and for refreshes.

mod rebuild;

use std::time::Duration;

use crate::book::{Book, DepthBounds, Level};
use crate::effect::{Reason, SnapshotTrouble};
use crate::message::Stamp;
use crate::sequence::{Rule, UpdateIds, Verdict};
use crate::sync::rebuild::{Join, Rebuild};
use crate::venue::dialect::SnapshotSource;

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
    pub(crate) source: SnapshotSource,
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
    /// A side with as many levels may go on; `usize::MAX`: the sides are whole.
    pub(crate) limit: usize,
}

/// What a book needs to become exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A snapshot over REST.
    Fetch,
    /// Its stream subscribed anew.
    Renew,
}

/// Where a book stands, comparable between connections and over resyncs: by its sequence, or where the venue may count anew by its time first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    ts_ms: i64,
    sequence: u64,
}

/// What an input did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to publish.
    Quiet,
    /// The running book changed.
    Updated,
    /// The running book changed, and the venue counts its updates anew.
    Restarted { from: u64, to: u64 },
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
    floor: Mark,
    rebuild: Option<Rebuild>,
    /// When the stream is to be subscribed anew, if it is.
    renew_at: Option<Duration>,
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
/// Deltas older than a snapshot that come for so long after it are not late: the venue has counted anew between the two.
const LATE_AT_MOST: Duration = Duration::from_secs(5);
/// A snapshot over REST may be so old that its id is of the count before the ids restarted.
const AFTER_RESTART: Duration = Duration::from_secs(1);
/// Where snapshots come with the stream, after so many failures in a row over REST the stream is subscribed anew.
const FETCHES_BEFORE_RENEWAL: u32 = 3;
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
    pub(crate) fn new(rules: BookRules, floor: Mark) -> Self {
        Self {
            rules,
            state: SyncState::Idle,
            book: Book::new(rules.bounds),
            stamp: Stamp::default(),
            confirmed: false,
            floor,
            rebuild: None,
            renew_at: None,
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
    pub(crate) fn publishable(&self) -> bool {
        matches!(self.state, SyncState::Synced) && self.mark() >= self.floor
    }

    pub(crate) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) const fn confirmed(&self) -> bool {
        self.confirmed
    }

    pub(crate) const fn floor(&self) -> Mark {
        self.floor
    }

    /// Whether the book is as new as what may have been published from `other`.
    pub(crate) fn has_reached(&self, other: &BookSync) -> bool {
        self.mark() >= other.floor
    }

    /// Something this new was published elsewhere; nothing older may follow.
    pub(crate) fn raise_floor(&mut self, floor: Mark) {
        self.floor = self.floor.max(floor);
    }

    pub(crate) const fn book(&self) -> &Book {
        &self.book
    }

    /// For its notes to be taken.
    pub(crate) const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// Deltas buffered now.
    pub(crate) fn buffered(&self) -> usize {
        self.rebuild.as_ref().map_or(0, Rebuild::len)
    }

    /// Subscribed: deltas may come. A snapshot is wanted after the first of them or when it stays quiet; one that comes with the stream is awaited first.
    pub(crate) fn begin(&mut self, now: Duration) {
        let anew = self.rules.source == SnapshotSource::Stream && self.state == SyncState::Syncing;
        if self.state == SyncState::Idle || anew {
            self.state = SyncState::Syncing;
            self.renew_at = None;
            self.rebuild = Some(Rebuild::new(now.saturating_add(self.rules.quiet)));
        }
    }

    /// When the next wish is due, if there is one and it is not under way.
    pub(crate) fn wanted_at(&self) -> Option<Duration> {
        self.rebuild.as_ref().and_then(|rebuild| rebuild.ask_at).into_iter().chain(self.renew_at).min()
    }

    /// Takes the wish that is due: the caller grants it and reports back.
    pub(crate) fn take_wish(&mut self, now: Duration) -> Option<Wish> {
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew_at = None;
            return Some(Wish::Renew);
        }
        let rebuild = self.rebuild.as_mut().filter(|rebuild| rebuild.ask_at.is_some_and(|at| at <= now))?;
        rebuild.ask_at = None;
        Some(Wish::Fetch)
    }

    /// A delta arrived.
    pub(crate) fn delta(&mut self, now: Duration, delta: Delta<'_>) -> Outcome {
        if self.state == SyncState::Idle {
            self.begin(now);
        }
        if self.state != SyncState::Synced {
            return self.buffer(now, delta);
        }
        let verdict = if self.confirmed {
            self.rules.rule.next(ids_of(&self.stamp), delta.ids)
        } else {
            self.rules.rule.after_snapshot(self.stamp.sequence, delta.ids)
        };
        match verdict {
            // A sign of life that brings levels is taken at its word.
            Verdict::Alive if delta.bids.is_empty() && delta.asks.is_empty() => Outcome::Quiet,
            Verdict::Old if self.rules.rule == Rule::Chain && !self.confirmed && now.saturating_sub(self.synced_at) > LATE_AT_MOST => {
                self.invalidate(now, Reason::Gap, None)
            }
            Verdict::Old => Outcome::Quiet,
            Verdict::Gap => {
                let reason = if self.confirmed { Reason::Gap } else { Reason::SnapshotTooOld };
                self.invalidate(now, reason, Some(delta))
            }
            Verdict::Joins | Verdict::Alive => self.follow(now, delta),
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

    /// A snapshot came with the stream: it is the book, and the next delta continues it.
    pub(crate) fn begin_with(&mut self, now: Duration, snapshot: &Snapshot<'_>) -> Outcome {
        let mut book = Book::new(self.rules.bounds);
        book.load(snapshot.bids, snapshot.asks, snapshot.limit);
        if book.is_crossed() {
            return self.invalidate(now, Reason::Crossed, None);
        }
        self.rebuild = None;
        self.renew_at = None;
        self.confirmed = true;
        self.settle(now, book, stamp_of_snapshot(snapshot))
    }

    /// A snapshot that was fetched arrived.
    pub(crate) fn snapshot(&mut self, now: Duration, snapshot: &Snapshot<'_>) -> Outcome {
        let Some(mut rebuild) = self.rebuild.take() else { return Outcome::Quiet };
        if rebuild.take_void() {
            return self.retry(now, rebuild, SnapshotTrouble::TooOld);
        }
        let Join::At(start) = rebuild.join(self.rules.rule, snapshot.id) else {
            return self.retry(now, rebuild, SnapshotTrouble::TooOld);
        };
        let mut book = Book::new(self.rules.bounds);
        book.load(snapshot.bids, snapshot.asks, snapshot.limit);
        let mut stamp = stamp_of_snapshot(snapshot);
        for delta in rebuild.from(start) {
            book.apply(delta.bids, delta.asks);
            stamp = stamp_of(&delta);
        }
        if self.mark_of(&stamp) < self.floor && self.below_floor < FLOOR_TRIES {
            self.below_floor += 1;
            return self.retry(now, rebuild, SnapshotTrouble::TooOld);
        }
        if book.is_crossed() {
            rebuild.clear();
            return self.retry(now, rebuild, SnapshotTrouble::Crossed);
        }
        self.confirmed = start < rebuild.len();
        self.floor = self.mark_of(&stamp);
        self.settle(now, book, stamp)
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

    /// The book is exact from now on.
    fn settle(&mut self, now: Duration, book: Book, stamp: Stamp) -> Outcome {
        self.book = book;
        self.stamp = stamp;
        self.floor = self.floor.max(self.mark());
        self.below_floor = 0;
        self.synced_at = now;
        self.refresh_after = now.saturating_add(self.rules.refresh_every);
        self.state = SyncState::Synced;
        Outcome::Synced
    }

    fn follow(&mut self, now: Duration, delta: Delta<'_>) -> Outcome {
        let publishable = self.publishable();
        let from = self.stamp.sequence;
        self.book.apply(delta.bids, delta.asks);
        if self.book.is_crossed() {
            return self.invalidate(now, Reason::Crossed, None);
        }
        self.stamp = stamp_of(&delta);
        // The chain proves that this is newer, whatever its id and its time.
        if publishable || self.mark() >= self.floor {
            self.floor = self.mark();
        }
        self.confirmed = true;
        if self.attempts > 0 && now.saturating_sub(self.synced_at) >= TRUSTED_AFTER {
            self.attempts = 0;
        }
        let restarts = self.rules.rule == Rule::Chain && delta.ids.restarts();
        if let Some(rebuild) = &mut self.rebuild
            && (restarts || rebuild.push(self.rules.rule, self.rules.buffer, &delta).is_err())
        {
            self.rebuild = None; // a refresh that cannot keep up is given up; the running book is right
        }
        if restarts { Outcome::Restarted { from, to: delta.ids.last } } else { Outcome::Updated }
    }

    fn buffer(&mut self, now: Duration, delta: Delta<'_>) -> Outcome {
        let (rule, bounds) = (self.rules.rule, self.rules.buffer);
        let first_try = self.attempts == 0 && self.rules.source == SnapshotSource::Rest;
        // None while the stream is being subscribed anew: what still comes of the old subscription is of no use.
        let Some(rebuild) = &mut self.rebuild else { return Outcome::Quiet };
        if rule == Rule::Chain && delta.ids.restarts() {
            rebuild.restart(now.saturating_add(AFTER_RESTART));
        }
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
        let soon = self.state != SyncState::Synced || now.saturating_sub(self.synced_at) < BROKE_SOON;
        self.state = SyncState::Syncing;
        self.confirmed = false;
        self.book.clear();
        let wait = if self.attempts == 0 { Duration::ZERO } else { self.backoff() };
        self.attempts += u32::from(soon);
        if self.rules.source == SnapshotSource::Stream {
            self.rebuild = None;
            self.renew_at = Some(now.saturating_add(wait));
            return Outcome::Resync(reason);
        }
        let rebuild = self.rebuild.get_or_insert_with(|| Rebuild::new(now.saturating_add(wait)));
        rebuild.clear();
        if let Some(delta) = delta {
            let _ = rebuild.push(self.rules.rule, self.rules.buffer, &delta);
        }
        Outcome::Resync(reason)
    }

    fn retry(&mut self, now: Duration, mut rebuild: Rebuild, trouble: SnapshotTrouble) -> Outcome {
        let at = now.saturating_add(self.backoff());
        self.attempts += 1;
        let renew = self.rules.source == SnapshotSource::Stream && self.state == SyncState::Syncing;
        if renew && self.attempts.is_multiple_of(FETCHES_BEFORE_RENEWAL) {
            self.renew_at = Some(at);
        } else {
            rebuild.ask_at = Some(at);
            self.rebuild = Some(rebuild);
        }
        Outcome::Retry(trouble)
    }

    fn backoff(&self) -> Duration {
        let doubled = self.rules.retry_first.saturating_mul(1 << self.attempts.min(16));
        doubled.min(self.rules.retry_most)
    }

    fn mark(&self) -> Mark {
        self.mark_of(&self.stamp)
    }

    fn mark_of(&self, stamp: &Stamp) -> Mark {
        let ts_ms = if self.rules.rule == Rule::Chain { stamp.event_ts_ms.unwrap_or(0) } else { 0 };
        Mark { ts_ms, sequence: stamp.sequence }
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

const fn stamp_of_snapshot(snapshot: &Snapshot<'_>) -> Stamp {
    Stamp { sequence: snapshot.id, first: None, previous: None, event_ts_ms: snapshot.event_ts_ms, received_ms: snapshot.received_ms }
}

fn ids_of(stamp: &Stamp) -> UpdateIds {
    UpdateIds { first: stamp.first.unwrap_or(stamp.sequence), last: stamp.sequence, previous: stamp.previous }
}
