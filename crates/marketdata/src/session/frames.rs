//! What a frame means to a session: deltas and trades of its instruments, answers to its requests, signs of life.
//!
//! Owns: reading a frame's levels and numbers at the instrument's scales, what an unreadable one costs. Must not know: time that passes without frames.

use crate::book::{Level, Side};
use crate::effect::{Event, EventKind, Reason, StreamKind};
use crate::feed::{Action, DeltaFrame, Frame, Refusal, Rows, SnapshotFrame, TradeFrame};
use crate::instrument::{Instrument, InstrumentId};
use crate::message::{Trade, TradeName};
use crate::price::Price;
use crate::session::lane::{Lane, LevelError, read_levels};
use crate::session::subscriptions::Answer;
use crate::session::{Scene, Session, Step};
use crate::sync::{Delta, Outcome, Snapshot, SyncState};

/// Space for the levels of one message, reused.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bids: Vec<Level>,
    asks: Vec<Level>,
    /// Levels the venue says were there, where it says so.
    known: Vec<(Side, Price)>,
}

/// Scratch space that grew past this many levels for one large message is given back.
const SCRATCH_KEPT: usize = 4_096;

impl Session {
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
        let numbers = (instrument.price.parse(frame.price), instrument.parse_quantity(frame.quantity));
        let (Ok(price), Ok(quantity), Some(name)) = (numbers.0, numbers.1, TradeName::of(frame.name.unwrap_or_default())) else {
            return steps.push(Step::Malformed(Some(id)));
        };
        steps.push(Step::Trade(Trade {
            instrument: id,
            id: frame.id,
            name,
            covers: frame.covers,
            price: Price(price),
            quantity,
            taker: frame.taker,
            trade_ts_ms: frame.trade_ts_ms,
            event_ts_ms: frame.event_ts_ms,
            received_ms: scene.now.wall_ms,
        }));
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

    /// The instrument of this name, if this connection carries it.
    fn carried<'a>(&self, scene: &Scene<'a>, symbol: &str) -> Option<(InstrumentId, &'a Instrument)> {
        let id = scene.catalog.find(symbol)?;
        let instrument = scene.catalog.get(id)?;
        self.lane(id).is_some_and(|lane| !lane.is_retired()).then_some((id, instrument))
    }

    fn is_paused(&self, id: InstrumentId) -> bool {
        self.lane(id).is_some_and(|lane| lane.paused)
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
