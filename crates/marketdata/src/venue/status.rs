//! What a shell may show of a venue: figures for metrics, health and pages.
//!
//! Owns: plain values. Must not know: metric names.

use std::time::Duration;

use crate::book::Side;
use crate::effect::{Reason, SnapshotTrouble, StreamKind};
use crate::session::{Lane, StreamHealth};
use crate::sync::{BookSync, Mark, SyncState};
use crate::venue::outlet::TradeCounts;

/// One instrument, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentStatus {
    /// Whether its book may be published.
    pub state: SyncState,
    /// Sequence of the book; 0 before the first.
    pub sequence: u64,
    /// The venue's time of the last delta, unix ms.
    pub event_ts_ms: Option<i64>,
    /// When that arrived here, unix ms.
    pub received_ms: Option<i64>,
    /// Levels held: bids, asks.
    pub levels: (usize, usize),
    /// Not collected for a while; see [`Pressure::PauseLow`](crate::Pressure::PauseLow).
    pub paused: bool,
    /// What is wrong with the book's sides.
    pub condition: BookCondition,
    /// Whether the published depth is all there.
    pub complete: bool,
    /// Deltas waiting for a snapshot; at most [`Tuning::buffer`](crate::Tuning::buffer).
    pub buffered: usize,
    /// When data last came (monotonic), by [`StreamKind::index`](crate::StreamKind::index); outlives connections.
    pub last_data: [Option<Duration>; 2],
    /// Streams whose silence passed its bound, by [`StreamKind::index`](crate::StreamKind::index).
    pub silent: [bool; 2],
    /// Streams the venue refused, by [`StreamKind::index`](crate::StreamKind::index).
    pub refused: [bool; 2],
    /// Deltas applied.
    pub deltas: u64,
    /// Resyncs, by [`Reason::index`].
    pub resyncs: [u64; Reason::ALL.len()],
    /// Snapshots that could not be used, by [`SnapshotTrouble::index`].
    pub snapshot_troubles: [u64; SnapshotTrouble::ALL.len()],
    /// Snapshots that became books.
    pub snapshots: u64,
    /// Trades.
    pub trades: TradeCounts,
}

/// What is wrong with the sides of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BookCondition {
    /// Nothing, or there is no exact book to look at.
    #[default]
    Sound,
    /// Nobody buys; not published until both sides have levels.
    EmptyBids,
    /// Nobody sells.
    EmptyAsks,
    /// Neither side has a level.
    Empty,
    /// Best bid was at or over best ask: the book is built anew.
    Crossed,
}

/// One venue, since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenueStats {
    /// Text frames received.
    pub frames: u64,
    /// Frames of kinds or symbols that are not collected.
    pub unknown: u64,
    /// Frames that could not be read.
    pub malformed: u64,
    /// Connections asked for.
    pub connects: u64,
    /// Connections that ended, by [`Reason::index`].
    pub disconnects: [u64; Reason::ALL.len()],
    /// Replacements that took over.
    pub hand_overs: u64,
    /// Connections open or opening now.
    pub connections: usize,
    /// Snapshot requests waiting now, at most one a book.
    pub fetches_waiting: usize,
    /// Snapshot requests under way now, at most [`Tuning::fetches_in_flight`](crate::Tuning::fetches_in_flight).
    pub fetches_under_way: usize,
    /// REST weight left of [`Tuning::weight`](crate::Tuning::weight).
    pub weight_left: u64,
    /// No REST request before this (monotonic): the venue has said so, to this one or to another at its host.
    pub rest_paused_until: Duration,
    /// Books waiting for their conflation time, at most one an instrument.
    pub books_waiting: usize,
    /// Trades held of replacement connections.
    pub trades_held: usize,
}

// === impl BookCondition ===

impl BookCondition {
    /// All, in their order.
    pub const ALL: [BookCondition; 5] =
        [BookCondition::Sound, BookCondition::EmptyBids, BookCondition::EmptyAsks, BookCondition::Empty, BookCondition::Crossed];

    /// The word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            BookCondition::Sound => "sound",
            BookCondition::EmptyBids => "empty_bids",
            BookCondition::EmptyAsks => "empty_asks",
            BookCondition::Empty => "empty",
            BookCondition::Crossed => "crossed",
        }
    }

    fn of(lane: &Lane) -> Self {
        let (state, book) = (lane.sync.state(), lane.sync.book());
        match (book.held(Side::Bid), book.held(Side::Ask)) {
            _ if state != SyncState::Synced && lane.crossed => BookCondition::Crossed,
            _ if state != SyncState::Synced => BookCondition::Sound,
            (0, 0) => BookCondition::Empty,
            (0, _) => BookCondition::EmptyBids,
            (_, 0) => BookCondition::EmptyAsks,
            _ => BookCondition::Sound,
        }
    }
}

/// Counters of one instrument that outlive connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) floor: Mark,
    pub(super) deltas: u64,
    pub(super) snapshots: u64,
    pub(super) last_data: [Option<Duration>; 2],
    pub(super) resyncs: [u64; Reason::ALL.len()],
    pub(super) snapshot_troubles: [u64; SnapshotTrouble::ALL.len()],
}

// === impl Counters ===

impl Counters {
    /// What must outlive this lane.
    pub(super) fn remember(&mut self, lane: &Lane) {
        self.floor = self.floor.max(lane.sync.floor());
        for (kind, seen) in StreamKind::ALL.into_iter().zip(&mut self.last_data) {
            *seen = lane.health(kind).and_then(StreamHealth::last).max(*seen);
        }
    }
}

/// The status of an instrument from its counters and its lane on the active connection, if there is one.
pub(super) fn of(counters: &Counters, lane: Option<&Lane>, depth: usize, trades: TradeCounts) -> InstrumentStatus {
    let sync = lane.map(|lane| &lane.sync);
    let health = |kind| lane.and_then(|lane| lane.health(kind));
    InstrumentStatus {
        state: sync.map_or(SyncState::Idle, BookSync::state),
        sequence: sync.map_or(0, |sync| sync.stamp().sequence),
        event_ts_ms: sync.and_then(|sync| sync.stamp().event_ts_ms),
        received_ms: sync.map(|sync| sync.stamp().received_ms).filter(|at| *at != 0),
        levels: sync.map_or((0, 0), |sync| (sync.book().held(Side::Bid), sync.book().held(Side::Ask))),
        paused: lane.is_some_and(|lane| lane.paused),
        condition: lane.map_or(BookCondition::Sound, BookCondition::of),
        complete: sync.is_some_and(|sync| sync.state() == SyncState::Synced && sync.book().complete(depth)),
        buffered: sync.map_or(0, BookSync::buffered),
        last_data: StreamKind::ALL.map(|kind| {
            let before = counters.last_data.get(kind.index()).copied().flatten();
            health(kind).and_then(StreamHealth::last).max(before)
        }),
        silent: StreamKind::ALL.map(|kind| health(kind).is_some_and(StreamHealth::is_silent)),
        refused: StreamKind::ALL.map(|kind| health(kind).is_some_and(StreamHealth::is_refused)),
        deltas: counters.deltas,
        resyncs: counters.resyncs,
        snapshot_troubles: counters.snapshot_troubles,
        snapshots: counters.snapshots,
        trades,
    }
}
