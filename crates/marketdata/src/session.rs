//! One WebSocket connection of a venue.
//!
//! Owns: opening and subscribing within deadlines, turning frames into deltas and trades of its instruments, the freshness of every stream, and the
//! verdict that the connection must end or be replaced. Must not know: other connections, REST budgets, publishing. It asks by [`Step`]s.

mod frames;
mod health;
mod lane;
mod subscriptions;

use std::time::Duration;

use clock::Now;

use crate::effect::{Event, EventKind, Reason, StreamKind};
use crate::feed::SnapshotFrame;
use crate::instrument::{Catalog, InstrumentId};
use crate::message::Trade;
use crate::sync::{Outcome, Snapshot, Wish};
use crate::venue::Tuning;
use crate::venue::allowance::Dialing;
use crate::venue::dialect::Dialect;

use frames::Scratch;
use health::Remedy;
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
    /// When we last asked for a sign of life, in this silence.
    pinged: bool,
    lanes: Vec<Lane>,
    subscriptions: Subscriptions,
    scratch: Scratch,
    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    wake: Duration,
}

/// Streams and lanes are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
// === impl Session ===

impl Session {
    /// A connection that is being opened, for these instruments (consecutive ids).
    pub(crate) fn new(now: Duration, lanes: Vec<Lane>, (tuning, dialect, dialing): (&Tuning, &Dialect, Dialing)) -> Self {
        Self {
            phase: Phase::Opening { since: now },
            last_activity: now,
            pinged: false,
            lanes,
            subscriptions: Subscriptions::new(dialect, dialing),
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

    /// Carries one more instrument, or again one that was left; its id follows the last one's.
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

    /// Carries an instrument no longer, or not for a while; `left` keeps its place.
    pub(crate) fn leave(&mut self, scene: &Scene<'_>, left: Lane) {
        let Some(lane) = self.lane_mut(left.id) else { return };
        let streams = lane.streams().collect();
        *lane = left;
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

    fn place(&self, id: InstrumentId) -> Option<usize> {
        let first = self.lanes.first()?.id;
        id.index().checked_sub(first.index())
    }

    pub(crate) fn lane_mut(&mut self, id: InstrumentId) -> Option<&mut Lane> {
        self.place(id).and_then(|place| self.lanes.get_mut(place))
    }
}
