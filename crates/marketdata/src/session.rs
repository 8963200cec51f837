//! One WebSocket connection of a venue.
//!
//! Owns: opening and subscribing within deadlines, turning frames into deltas and trades of its instruments, the freshness of every stream, and the
//! verdict that the connection must end or be replaced. Must not know: other connections, REST budgets, publishing. It asks by [`Step`]s.

mod health;
mod lane;
mod subscriptions;

use std::time::Duration;

use clock::Now;

use crate::book::{Level, Side};
use crate::effect::{Event, EventKind, Reason, StreamKind};
use crate::feed::{Action, DeltaFrame, Frame, Refusal, Rows, SnapshotFrame, TradeFrame};
use crate::instrument::{Catalog, Instrument, InstrumentId};
use crate::message::Trade;
use crate::price::Price;
use crate::sync::{Delta, Outcome, Snapshot, SyncState, Wish};
use crate::venue::Tuning;
use crate::venue::dialect::Dialect;

use health::Remedy;
pub use health::SilenceBounds;
pub(crate) use health::StreamHealth;
pub(crate) use lane::Lane;
use lane::{LevelError, read_levels};
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
    /// When we last asked for a sign of life, in this silence.
    pinged: bool,
    lanes: Vec<Lane>,
    subscriptions: Subscriptions,
    scratch: Scratch,
    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    wake: Duration,
}

/// Space for the levels of one message, reused.
#[derive(Debug, Default)]
struct Scratch {
    bids: Vec<Level>,
    asks: Vec<Level>,
    /// Levels the venue says were there, where it says so.
    known: Vec<(Side, Price)>,
}

/// Streams and lanes are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Scratch space that grew past this many levels for one large message is given back.
const SCRATCH_KEPT: usize = 4_096;

// === impl Session ===

impl Session {
    /// A connection that is being opened, for these instruments (consecutive ids).
    pub(crate) fn new(now: Duration, lanes: Vec<Lane>, (tuning, dialect): (&Tuning, &Dialect)) -> Self {
        Self {
            phase: Phase::Opening { since: now },
            last_activity: now,
            pinged: false,
            lanes,
            subscriptions: Subscriptions::new(dialect),
            scratch: Scratch::default(),
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

    /// Whether everything that may be expected is there.
    pub(crate) fn is_ready(&self, now: Duration) -> bool {
        self.open_since().is_some() && self.lanes.iter().all(|lane| lane.ready(now))
    }

    /// The WebSocket is open: greet and subscribe.
    pub(crate) fn connected(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        let now = scene.now.mono;
        self.phase = Phase::Open { since: now };
        self.last_activity = now;
        if let Some(greeting) = scene.dialect.wire.greeting {
            steps.push(Step::Send(greeting(self.subscriptions.fresh_id())));
        }
        self.subscriptions.add(self.lanes.iter().flat_map(Lane::streams), scene.tuning);
        self.subscriptions.advance(scene, steps);
        self.wake = now;
    }

    /// Carries one more instrument, or again one that was retired; its id follows the last one's.
    pub(crate) fn adopt(&mut self, scene: &Scene<'_>, lane: Lane) {
        let streams: Vec<_> = lane.streams().collect();
        match self.lane_mut(lane.id) {
            Some(place) => *place = lane,
            None => self.lanes.push(lane),
        }
        if self.open_since().is_some() {
            self.subscriptions.add(streams.into_iter(), scene.tuning);
            self.wake = scene.now.mono;
        }
    }

    /// Carries an instrument no longer; `retired` keeps its place.
    pub(crate) fn retire(&mut self, scene: &Scene<'_>, retired: Lane) {
        let Some(lane) = self.lane_mut(retired.id) else { return };
        let streams = lane.streams().collect();
        *lane = retired;
        if self.open_since().is_some() {
            self.subscriptions.remove(streams);
            self.wake = scene.now.mono;
        }
    }

    /// The peer is alive.
    pub(crate) const fn activity(&mut self, now: Duration) {
        self.last_activity = now;
        self.pinged = false;
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
        self.activity(scene.now.mono);
        if (scene.dialect.decode)(text, &mut |frame| self.take(scene, &frame, steps)).is_err() {
            self.malformed(scene, text, steps);
        }
    }

    fn take(&mut self, scene: &Scene<'_>, frame: &Frame<'_>, steps: &mut Vec<Step>) {
        match frame {
            Frame::Delta(frame) => match self.carried(scene, frame.symbol) {
                Some((id, _)) if self.is_paused(id) => {}
                Some(of) => self.delta(scene, of, frame, steps),
                None => steps.push(Step::Unknown),
            },
            Frame::Trade(frame) => match self.carried(scene, frame.symbol) {
                Some(of) => self.trade(scene, of, frame, steps),
                None => steps.push(Step::Unknown),
            },
            Frame::Snapshot { symbol, book } => match self.carried(scene, symbol) {
                Some((id, _)) if self.is_paused(id) => {}
                Some(of) => self.stream_snapshot(scene, of, book, steps),
                None => steps.push(Step::Unknown),
            },
            Frame::Subscribed { id, symbol, kind } => {
                if let Some(instrument) = scene.catalog.find(symbol)
                    && self.subscriptions.subscribed(*id, (instrument, *kind))
                    && let Some(lane) = self.lane_mut(instrument)
                {
                    lane.subscribed(scene, *kind);
                }
                self.subscriptions.forget_done(scene.dialect);
                self.wake = scene.now.mono;
            }
            Frame::Unsubscribed { symbol, kind } => {
                if let Some(instrument) = scene.catalog.find(symbol) {
                    self.subscriptions.unsubscribed((instrument, *kind));
                }
                self.subscriptions.forget_done(scene.dialect);
                self.wake = scene.now.mono;
            }
            Frame::Ack { id } => self.answered(scene, Some(*id), Answer::Accepted, steps),
            Frame::Refused { refusal: Refusal::TooMuch, .. } => steps.push(Step::End(Reason::RateLimited)),
            Frame::Refused { id, refusal } => self.answered(scene, *id, Answer::Refused(*refusal), steps),
            Frame::Challenge => {
                let id = self.subscriptions.fresh_id();
                steps.extend(scene.dialect.wire.challenged.map(|answer| Step::Send(answer(id))));
            }
            Frame::Shutdown => steps.push(Step::Replace(Reason::ServerShutdown)),
            Frame::Alive => {}
            Frame::Other => steps.push(Step::Unknown),
        }
    }

    /// The snapshot that was wished for.
    pub(crate) fn handle_snapshot(&mut self, scene: &Scene<'_>, id: InstrumentId, frame: &SnapshotFrame<'_>, steps: &mut Vec<Step>) {
        let Some(instrument) = scene.catalog.get(id) else { return };
        let snapshots = &scene.dialect.snapshots;
        let limit = if snapshots.windowed { usize::MAX } else { scene.tuning.snapshot_limit };
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        let read = read_levels(frame.bids, instrument, &mut bids, |_, _| {}).and_then(|()| read_levels(frame.asks, instrument, &mut asks, |_, _| {}));
        let now = scene.now;
        let Some(lane) = self.lane_mut(id) else { return };
        let outcome = match read {
            Ok(()) => {
                let snapshot = Snapshot { id: frame.id, event_ts_ms: frame.event_ts_ms, received_ms: now.wall_ms, bids: &bids, asks: &asks, limit };
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
        let silence = now.saturating_sub(self.last_activity);
        if silence >= scene.tuning.idle {
            return steps.push(Step::End(Reason::Silent));
        }
        if let Some((after, ping)) = scene.dialect.wire.ping
            && silence >= after
            && !self.pinged
        {
            self.pinged = true;
            steps.push(Step::Send(ping()));
        }
        let first = self.lanes.first().map_or(0, |lane| lane.id.index());
        let lanes = &mut self.lanes;
        let overdue = self.subscriptions.overdue(now, |(id, kind)| {
            if let Some(lane) = id.index().checked_sub(first).and_then(|place| lanes.get_mut(place)) {
                lane.refused(now, kind, steps);
            }
        });
        if overdue {
            return steps.push(Step::End(Reason::SubscribeTimeout));
        }
        self.look_at_lanes(scene, steps);
        self.subscriptions.advance(scene, steps);
        self.wake = self.subscriptions.next_timeout().unwrap_or(Duration::MAX).min(now + LOOK_EVERY);
        for lane in &self.lanes {
            self.wake = lane.sync.wanted_at().map_or(self.wake, |at| self.wake.min(at));
        }
    }

    fn look_at_lanes(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        for place in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(place) else { continue };
            let (id, remedies) = (lane.id, lane.look(scene, steps));
            for (kind, remedy) in StreamKind::ALL.into_iter().zip(remedies) {
                match remedy {
                    Some(Remedy::Renew) => self.subscriptions.renew((id, kind)),
                    Some(Remedy::TryAgain) => self.subscriptions.try_again((id, kind)),
                    Some(Remedy::Replace) => steps.push(Step::Replace(Reason::NoData)),
                    None => {}
                }
            }
            self.grant(scene, id, steps);
        }
    }

    fn delta(&mut self, scene: &Scene<'_>, (id, instrument): (InstrumentId, &Instrument), frame: &DeltaFrame<'_>, steps: &mut Vec<Step>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = scratch.read((frame.bids, frame.asks), instrument);
        if let Some(lane) = self.lane_mut(id) {
            lane.heard(scene, StreamKind::Book, steps);
            let now = scene.now;
            let outcome = if read.is_ok() {
                let (ids, event_ts_ms) = (frame.ids, frame.event_ts_ms);
                let unknown = scratch.unknown_to(lane);
                let delta = Delta { ids, event_ts_ms, received_ms: now.wall_ms, bids: &scratch.bids, asks: &scratch.asks };
                let outcome = lane.sync.delta(now.mono, delta);
                if unknown && outcome == Outcome::Updated {
                    steps.push(Step::Event(Event { instrument: Some(id), kind: EventKind::UnknownLevel }));
                }
                outcome
            } else {
                steps.push(Step::Malformed(Some(id)));
                lane.sync.lose(now.mono, Reason::Malformed)
            };
            self.settle(scene, id, outcome, steps);
        }
        self.scratch = scratch.kept();
    }

    /// A whole book that came with its stream.
    fn stream_snapshot(
        &mut self,
        scene: &Scene<'_>,
        (id, instrument): (InstrumentId, &Instrument),
        frame: &SnapshotFrame<'_>,
        steps: &mut Vec<Step>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = scratch.read((frame.bids, frame.asks), instrument);
        if let Some(lane) = self.lane_mut(id) {
            lane.heard(scene, StreamKind::Book, steps);
            let now = scene.now;
            let (bids, asks) = (&scratch.bids[..], &scratch.asks[..]);
            let outcome = if read.is_ok() {
                let (event_ts_ms, limit) = (frame.event_ts_ms, usize::MAX);
                lane.sync.begin_with(now.mono, &Snapshot { id: frame.id, event_ts_ms, received_ms: now.wall_ms, bids, asks, limit })
            } else {
                steps.push(Step::Malformed(Some(id)));
                lane.sync.lose(now.mono, Reason::Malformed)
            };
            self.settle(scene, id, outcome, steps);
        }
        self.scratch = scratch.kept();
    }

    fn trade(&mut self, scene: &Scene<'_>, (id, instrument): (InstrumentId, &Instrument), frame: &TradeFrame<'_>, steps: &mut Vec<Step>) {
        let Some(lane) = self.lane_mut(id).filter(|lane| !lane.paused) else { return };
        lane.heard(scene, StreamKind::Trade, steps);
        let (Ok(price), Ok(quantity)) = (instrument.price.parse(frame.price), instrument.parse_quantity(frame.quantity)) else {
            return steps.push(Step::Malformed(Some(id)));
        };
        steps.push(Step::Trade(Trade {
            instrument: id,
            id: frame.id,
            covers: frame.covers,
            price: Price(price),
            quantity,
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
            Outcome::Updated | Outcome::Restarted { .. } => {
                if let Outcome::Restarted { from, to } = outcome {
                    steps.push(event(EventKind::SequenceReset { from, to }));
                }
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
        self.grant(scene, id, steps);
    }

    /// Passes on what a book wishes for now, or wakes when it will.
    fn grant(&mut self, scene: &Scene<'_>, id: InstrumentId, steps: &mut Vec<Step>) {
        let Some(lane) = self.lane_mut(id) else { return };
        match lane.sync.take_wish(scene.now.mono) {
            Some(Wish::Fetch) => steps.push(Step::Wish(id)),
            Some(Wish::Renew) => {
                self.subscriptions.renew((id, StreamKind::Book));
                self.subscriptions.advance(scene, steps);
                self.wake = self.subscriptions.next_timeout().map_or(self.wake, |at| self.wake.min(at));
            }
            None => self.wake = lane.sync.wanted_at().map_or(self.wake, |at| self.wake.min(at)),
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
        let first = self.lanes.first().map(|lane| lane.id);
        let lanes = &mut self.lanes;
        self.subscriptions.answered(scene, id, answer, |decided| {
            let place = first.and_then(|first| decided.instrument.index().checked_sub(first.index()));
            let Some(lane) = place.and_then(|place| lanes.get_mut(place)) else { return };
            if decided.accepted {
                lane.subscribed(scene, decided.kind);
            } else {
                lane.refused(scene.now.mono, decided.kind, steps);
            }
        });
        self.wake = scene.now.mono;
    }

    /// The instrument of this name, if this connection carries it.
    fn carried<'a>(&self, scene: &Scene<'a>, symbol: &str) -> Option<(InstrumentId, &'a Instrument)> {
        let id = scene.catalog.find(symbol)?;
        let instrument = scene.catalog.get(id)?;
        self.lane(id).is_some_and(|lane| !lane.is_retired()).then_some((id, instrument))
    }

    fn is_paused(&self, id: InstrumentId) -> bool {
        self.lane(id).is_some_and(|lane| lane.paused)
    }

    fn place(&self, id: InstrumentId) -> Option<usize> {
        let first = self.lanes.first()?.id;
        id.index().checked_sub(first.index())
    }

    pub(crate) fn lane_mut(&mut self, id: InstrumentId) -> Option<&mut Lane> {
        self.place(id).and_then(|place| self.lanes.get_mut(place))
    }
}

// === impl Scratch ===

impl Scratch {
    fn read(&mut self, (bids, asks): (Rows<'_>, Rows<'_>), instrument: &Instrument) -> Result<(), LevelError> {
        self.bids.clear();
        self.asks.clear();
        self.known.clear();
        let known = &mut self.known;
        for (side, rows, levels) in [(Side::Bid, bids, &mut self.bids), (Side::Ask, asks, &mut self.asks)] {
            read_levels(rows, instrument, levels, |action, price| {
                if matches!(action, Action::Change | Action::Delete) {
                    known.push((side, price));
                }
            })?;
        }
        Ok(())
    }

    /// Whether the venue speaks of levels as known that the exact book of this lane does not hold.
    fn unknown_to(&self, lane: &Lane) -> bool {
        let book = lane.sync.book();
        lane.sync.state() == SyncState::Synced && self.known.iter().any(|(side, price)| book.holds(*side, *price) == Some(false))
    }

    /// For the next message: space that one large message needed is given back.
    fn kept(mut self) -> Self {
        for levels in [&mut self.bids, &mut self.asks] {
            if levels.capacity() > SCRATCH_KEPT {
                *levels = Vec::new();
            }
        }
        if self.known.capacity() > SCRATCH_KEPT {
            self.known = Vec::new();
        }
        self
    }
}
