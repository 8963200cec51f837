//! One WebSocket connection of a venue.
//!
//! Owns: opening and subscribing within deadlines, turning frames into deltas and trades of its instruments, the freshness of every stream, and the
//! verdict that the connection must end or be replaced. Must not know: other connections, REST budgets, publishing. It asks by [`Step`]s.

mod health;
mod lane;
mod subscriptions;

use std::time::Duration;

use clock::Now;

use crate::book::Level;
use crate::effect::{Event, EventKind, Reason, StreamKind};
use crate::feed::{Frame, SnapshotFrame, TradeFrame};
use crate::instrument::{Catalog, Instrument, InstrumentId};
use crate::message::Trade;
use crate::price::{Price, Quantity};
use crate::sync::{Delta, Outcome, Snapshot};
use crate::venue::Tuning;
use crate::venue::dialect::Dialect;

pub use health::SilenceBounds;
pub(crate) use health::StreamHealth;
pub(crate) use lane::Lane;
use lane::read_levels;
use subscriptions::{Answer, Subscriptions};

/// What every call needs besides its input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) now: Now,
    pub(crate) catalog: &'a Catalog,
    pub(crate) dialect: &'a Dialect,
    pub(crate) tuning: &'a Tuning,
}

/// What a session asks its venue for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write a frame.
    Send(String),
    /// Fetch a snapshot of this instrument.
    Wish(InstrumentId),
    /// This book changed.
    Book(InstrumentId),
    /// This book was rebuilt.
    Synced(InstrumentId),
    /// A trade.
    Trade(Trade),
    /// Something happened.
    Event(Event),
    /// A frame could not be read.
    Malformed(Option<InstrumentId>),
    /// A frame of a kind that is not collected.
    Unknown,
    /// The connection must end.
    End(Reason),
    /// The connection should be replaced while it runs.
    Replace(Reason),
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening { since: Duration },
    Open { since: Duration },
}

/// One connection and the instruments it carries: a run of ids beginning with the first lane's.
#[derive(Debug)]
pub(crate) struct Session {
    phase: Phase,
    last_activity: Duration,
    lanes: Vec<Lane>,
    subscriptions: Subscriptions,
    bids: Vec<Level>,
    asks: Vec<Level>,
    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    wake: Duration,
}

/// Streams and lanes are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Scratch space that grew past this many levels for one large message is given back.
const SCRATCH_KEPT: usize = 4_096;

// === impl Session ===

impl Session {
    /// A connection that is being opened, for these instruments (consecutive ids).
    pub(crate) fn new(now: Duration, lanes: Vec<Lane>, tuning: &Tuning) -> Self {
        Self {
            phase: Phase::Opening { since: now },
            last_activity: now,
            lanes,
            subscriptions: Subscriptions::default(),
            bids: Vec::new(),
            asks: Vec::new(),
            wake: now.saturating_add(tuning.connect_timeout),
        }
    }

    pub(crate) fn lane(&self, id: InstrumentId) -> Option<&Lane> {
        self.place(id).and_then(|place| self.lanes.get(place))
    }

    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// When the connection opened.
    pub(crate) const fn open_since(&self) -> Option<Duration> {
        match self.phase {
            Phase::Open { since } => Some(since),
            Phase::Opening { .. } => None,
        }
    }

    pub(crate) const fn next_timeout(&self) -> Duration {
        self.wake
    }

    /// Whether every book that may be expected is exact.
    pub(crate) fn all_synced(&self) -> bool {
        self.open_since().is_some() && self.lanes.iter().all(Lane::ready)
    }

    /// The WebSocket is open: subscribe.
    pub(crate) fn connected(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        let now = scene.now.mono;
        self.phase = Phase::Open { since: now };
        self.last_activity = now;
        self.subscriptions.start(self.lanes.iter().flat_map(Lane::streams), scene.tuning.streams_per_request);
        self.subscriptions.advance(scene, steps);
        self.wake = now;
    }

    /// The peer is alive.
    pub(crate) const fn activity(&mut self, now: Duration) {
        self.last_activity = now;
    }

    /// Passes over the frames of an instrument, or follows it again.
    pub(crate) fn pause(&mut self, now: Duration, id: InstrumentId, paused: bool) {
        if let Some(lane) = self.lane_mut(id) {
            lane.pause(now, paused);
            self.wake = self.wake.min(now);
        }
    }

    /// A text frame.
    pub(crate) fn handle_frame(&mut self, scene: &Scene<'_>, text: &str, steps: &mut Vec<Step>) {
        self.last_activity = scene.now.mono;
        match (scene.dialect.decode)(text) {
            Ok(Frame::Delta(frame)) => match scene.catalog.find(frame.symbol).and_then(|id| Some((id, scene.catalog.get(id)?))) {
                Some((id, instrument)) => self.delta(scene, (id, instrument), &frame, steps),
                None => steps.push(Step::Unknown),
            },
            Ok(Frame::Trade(frame)) => match scene.catalog.find(frame.symbol).and_then(|id| Some((id, scene.catalog.get(id)?))) {
                Some((id, instrument)) => self.trade(scene, (id, instrument), &frame, steps),
                None => steps.push(Step::Unknown),
            },
            Ok(Frame::Ack { id }) => self.answered(scene, Some(id), Answer::Accepted, steps),
            Ok(Frame::Refused { id }) => self.answered(scene, id, Answer::Refused, steps),
            Ok(Frame::Shutdown) => steps.push(Step::Replace(Reason::ServerShutdown)),
            Ok(Frame::Other) => steps.push(Step::Unknown),
            Err(_) => self.malformed(scene, text, steps),
        }
    }

    /// The snapshot that was wished for.
    pub(crate) fn handle_snapshot(&mut self, scene: &Scene<'_>, id: InstrumentId, frame: &SnapshotFrame<'_>, steps: &mut Vec<Step>) {
        let Some(instrument) = scene.catalog.get(id) else { return };
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        let read = read_levels(frame.bids, instrument, &mut bids).and_then(|()| read_levels(frame.asks, instrument, &mut asks));
        let now = scene.now;
        let Some(lane) = self.lane_mut(id) else { return };
        let outcome = match read {
            Ok(()) => {
                let snapshot = Snapshot { id: frame.id, event_ts_ms: frame.event_ts_ms, received_ms: now.wall_ms, bids: &bids, asks: &asks };
                lane.sync.snapshot(now.mono, &snapshot)
            }
            Err(_) => lane.sync.snapshot_failed(now.mono, crate::SnapshotTrouble::Malformed),
        };
        self.settle(scene, id, outcome, steps);
    }

    /// The snapshot that was wished for did not come.
    pub(crate) fn snapshot_failed(&mut self, scene: &Scene<'_>, id: InstrumentId, trouble: crate::SnapshotTrouble, steps: &mut Vec<Step>) {
        let Some(lane) = self.lane_mut(id) else { return };
        let outcome = lane.sync.snapshot_failed(scene.now.mono, trouble);
        self.settle(scene, id, outcome, steps);
    }

    /// Time has passed: deadlines, wishes that are due, freshness.
    pub(crate) fn handle_timeout(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        let now = scene.now.mono;
        if now < self.wake {
            return;
        }
        match self.phase {
            Phase::Opening { since } => {
                self.wake = since.saturating_add(scene.tuning.connect_timeout);
                if now >= self.wake {
                    steps.push(Step::End(Reason::ConnectTimeout));
                }
                return;
            }
            Phase::Open { since } => {
                if now.saturating_sub(since) >= scene.tuning.max_age {
                    steps.push(Step::Replace(Reason::AgeLimit));
                }
            }
        }
        if now.saturating_sub(self.last_activity) >= scene.tuning.idle {
            return steps.push(Step::End(Reason::Silent));
        }
        if self.subscriptions.overdue(now) {
            return steps.push(Step::End(Reason::SubscribeTimeout));
        }
        self.subscriptions.advance(scene, steps);
        self.wake = self.subscriptions.next_timeout().unwrap_or(Duration::MAX).min(now + LOOK_EVERY);
        for lane in &mut self.lanes {
            lane.look(scene, steps);
            if let Some(at) = lane.sync.wanted_at() {
                self.wake = self.wake.min(at);
            }
        }
    }

    fn delta(
        &mut self,
        scene: &Scene<'_>,
        (id, instrument): (InstrumentId, &Instrument),
        frame: &crate::feed::DeltaFrame<'_>,
        steps: &mut Vec<Step>,
    ) {
        if self.lane(id).is_none_or(|lane| lane.paused) {
            return;
        }
        let (mut bids, mut asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
        bids.clear();
        asks.clear();
        let read = read_levels(frame.bids, instrument, &mut bids).and_then(|()| read_levels(frame.asks, instrument, &mut asks));
        if let Some(lane) = self.lane_mut(id) {
            lane.heard(scene, StreamKind::Book, steps);
            let now = scene.now;
            let outcome = if read.is_ok() {
                let (ids, event_ts_ms) = (frame.ids, frame.event_ts_ms);
                lane.sync.delta(now.mono, Delta { ids, event_ts_ms, received_ms: now.wall_ms, bids: &bids, asks: &asks })
            } else {
                steps.push(Step::Malformed(Some(id)));
                lane.sync.lose(now.mono, Reason::Malformed)
            };
            self.settle(scene, id, outcome, steps);
        }
        for scratch in [&mut bids, &mut asks] {
            if scratch.capacity() > SCRATCH_KEPT {
                *scratch = Vec::new();
            }
        }
        (self.bids, self.asks) = (bids, asks);
    }

    fn trade(&mut self, scene: &Scene<'_>, (id, instrument): (InstrumentId, &Instrument), frame: &TradeFrame<'_>, steps: &mut Vec<Step>) {
        let Some(lane) = self.lane_mut(id).filter(|lane| !lane.paused) else { return };
        lane.heard(scene, StreamKind::Trade, steps);
        let (Ok(price), Ok(quantity)) = (instrument.price.parse(frame.price), instrument.quantity.parse(frame.quantity)) else {
            return steps.push(Step::Malformed(Some(id)));
        };
        steps.push(Step::Trade(Trade {
            instrument: id,
            id: frame.id,
            price: Price(price),
            quantity: Quantity(quantity),
            taker: frame.taker,
            trade_ts_ms: frame.trade_ts_ms,
            event_ts_ms: frame.event_ts_ms,
            received_ms: scene.now.wall_ms,
        }));
    }

    /// Turns what happened to a book into steps.
    fn settle(&mut self, scene: &Scene<'_>, id: InstrumentId, outcome: Outcome, steps: &mut Vec<Step>) {
        let now = scene.now.mono;
        let Some(lane) = self.lane_mut(id) else { return };
        let event = |kind| Step::Event(Event { instrument: Some(id), kind });
        match outcome {
            Outcome::Quiet => {}
            Outcome::Updated => {
                steps.push(Step::Book(id));
                lane.refresh_if_shallow(now, steps);
            }
            Outcome::Synced => {
                lane.crossed = false;
                steps.push(Step::Synced(id));
            }
            Outcome::Resync(reason) => {
                lane.crossed = reason == Reason::Crossed;
                steps.push(event(EventKind::Resync(reason)));
            }
            Outcome::Retry(trouble) => steps.push(event(EventKind::SnapshotRetry(trouble))),
        }
        lane.tell_empty_side(steps);
        if lane.sync.take_wish(now) {
            steps.push(Step::Wish(id));
        } else if let Some(at) = lane.sync.wanted_at() {
            self.wake = self.wake.min(at);
        }
    }

    /// A frame that cannot be read: if it can be told whose book it was about, that book has lost a delta.
    fn malformed(&mut self, scene: &Scene<'_>, text: &str, steps: &mut Vec<Step>) {
        let id = (scene.dialect.lost)(text).and_then(|symbol| scene.catalog.find(symbol));
        steps.push(Step::Malformed(id));
        if let Some(id) = id
            && let Some(lane) = self.lane_mut(id)
        {
            let outcome = lane.sync.lose(scene.now.mono, Reason::Malformed);
            self.settle(scene, id, outcome, steps);
        }
    }

    fn answered(&mut self, scene: &Scene<'_>, id: Option<u64>, answer: Answer, steps: &mut Vec<Step>) {
        for (instrument, kind, refused) in self.subscriptions.answered(id, answer) {
            if let Some(lane) = self.lane_mut(instrument) {
                if refused {
                    lane.refused(kind, steps);
                } else {
                    lane.subscribed(scene, kind);
                }
            }
        }
        self.wake = scene.now.mono;
    }

    fn place(&self, id: InstrumentId) -> Option<usize> {
        let first = self.lanes.first()?.id;
        id.index().checked_sub(first.index())
    }

    pub(crate) fn lane_mut(&mut self, id: InstrumentId) -> Option<&mut Lane> {
        self.place(id).and_then(|place| self.lanes.get_mut(place))
    }
}
