//! The feed and the venue's clock: when the next thing happens, when a replay begins and waits, and the way of a happening to the streams,
//! through the faults that stand in it.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::sync::mpsc;

use super::delivery::{Delivery, Outgoing, ToConnection};
use super::{Engine, Moment};
use crate::duration::Span;
use crate::venue::config::{FeedConfig, ReplayConfig, Start, VenueConfig, WalkConfig};
use crate::venue::deribit::frames::with_unknown_delete;
use crate::venue::fault::FaultKind;
use crate::venue::frames;
use crate::venue::happening::Happening;
use crate::venue::kind::{StreamKind, VenueKind};
use crate::venue::market::{Instrument, StreamEvent};
use crate::venue::okx::frames::Checksum;
use crate::venue::preset::instrument_of;
use crate::venue::replay::Replay;
use crate::venue::walk::Walk;
use crate::venue::wire::Snapshot;

/// At speed 0: how long a replay waits for a reader that stands at the recording's snapshot without asking for one.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(5);
/// At speed 0: pause after a subscription and after a snapshot was answered, so that the reader is not flooded while it is busy with it.
const SETTLE: Duration = Duration::from_millis(50);
/// Messages played in one turn at speed 0.
const TURN: usize = 64;

/// What the venue's data come from, and its clock.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    speed: f64,
    start: Start,
    began: Option<Instant>,
    elapsed: Duration,
    hold: Hold,
    snapshots_served: u64,
    pub(super) ended: bool,
    pub(super) played: u64,
    pub(super) failure: Option<String>,
    held_back: Option<StreamEvent>,
}

#[derive(Debug)]
enum Source {
    Replay(Box<Replay>),
    Walk(Walk),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    None,
    Until(Instant),
    ForSnapshot(Instant),
}

/// What the engine's task waits for besides commands.
#[derive(Debug)]
pub(super) enum Gate {
    /// The feed has something now.
    Now,
    /// The feed has something then.
    At(Instant),
    /// A reader must catch up first.
    Blocked(mpsc::Sender<ToConnection>),
    /// Nothing but a command.
    Idle,
}

type Starts = Vec<(Instrument, Snapshot)>;

// === impl Feed ===

impl Feed {
    /// Opens the source; returns each instrument with its book at the start.
    pub(super) fn open(config: &VenueConfig, now: Moment) -> Result<(Self, Starts)> {
        let venue = config.venue;
        match &config.feed {
            FeedConfig::Replay(replay) => Self::open_replay(venue, replay, now),
            FeedConfig::Walk(walk) => {
                let walk = Walk::new(venue, &paced(walk, config.limits.depth_interval)).map_err(|error| anyhow!(error))?;
                let starts = walk.start().collect();
                let mut feed = Self::new(Source::Walk(walk), 1.0, Start::Immediately);
                feed.start(now);
                Ok((feed, starts))
            }
        }
    }

    fn open_replay(venue: VenueKind, config: &ReplayConfig, now: Moment) -> Result<(Self, Starts)> {
        if venue.streams_snapshots() {
            return Err(anyhow!("recordings of {} are not played: walk it", venue.as_str()));
        }
        let instrument = instrument_of(venue, &config.instrument).ok_or_else(|| anyhow!("{:?} is not BASE-QUOTE", config.instrument))?;
        if !(config.speed >= 0.0 && config.speed.is_finite()) {
            return Err(anyhow!("speed {} is not a number from 0", config.speed));
        }
        let replay = Replay::open(config, &instrument.symbol, now.wall_ms)?;
        let starts = vec![(instrument, replay.start_snapshot().clone())];
        let mut feed = Self::new(Source::Replay(Box::new(replay)), config.speed, config.start.clone());
        if feed.start == Start::Immediately {
            feed.start(now);
        }
        Ok((feed, starts))
    }

    fn new(source: Source, speed: f64, start: Start) -> Self {
        let (began, elapsed, hold, held_back, failure) = (None, Duration::ZERO, Hold::None, None, None);
        Self { source, speed, start, began, elapsed, hold, snapshots_served: 0, ended: false, played: 0, failure, held_back }
    }

    /// Whether readers set the pace.
    pub(super) fn is_lossless(&self) -> bool {
        self.speed <= 0.0
    }

    /// Begins, if it has not begun.
    pub(super) fn start(&mut self, now: Moment) {
        if self.began.is_none() {
            self.began = Some(now.instant);
            self.settle(now);
        }
    }

    /// Somebody subscribed: perhaps that is what the replay waited for.
    pub(super) fn subscribed(&mut self, delivery: &Delivery, now: Moment) {
        match &self.start {
            Start::FirstSubscriber => self.start(now),
            Start::Streams(names) if names.iter().all(|name| delivery.is_subscribed(name)) => self.start(now),
            Start::Streams(_) | Start::Control | Start::Immediately => {}
        }
    }

    /// A snapshot was answered.
    pub(super) fn snapshot_served(&mut self, now: Moment) {
        self.snapshots_served += 1;
        self.settle(now);
    }

    /// The venue's clock.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// `replay` or `walk`.
    pub(super) fn kind(&self) -> &'static str {
        match self.source {
            Source::Replay(_) => "replay",
            Source::Walk(_) => "walk",
        }
    }

    /// Another instrument of a walk.
    pub(super) fn list(&mut self, name: &str) -> Result<(Instrument, Snapshot), String> {
        match &mut self.source {
            Source::Walk(walk) => walk.list(name),
            Source::Replay(_) => Err("a recording has its instrument".to_owned()),
        }
    }

    /// An instrument of a walk goes.
    pub(super) fn delist(&mut self, symbol: &str) -> Result<(), String> {
        match &mut self.source {
            Source::Walk(walk) => {
                walk.delist(symbol);
                Ok(())
            }
            Source::Replay(_) => Err("a recording keeps its instrument".to_owned()),
        }
    }

    /// A symbol's sequence falls back; recordings go on as they are.
    pub(super) fn reset_ids(&mut self, symbol: &str) {
        if let Source::Walk(walk) = &mut self.source {
            walk.reset_ids(symbol);
        }
    }

    /// The venue's clock time in ms since 1970, as messages carry it, and the interval the changes were already gathered over.
    fn native_ms(&self) -> u64 {
        match &self.source {
            Source::Replay(replay) => replay.native_ms(),
            Source::Walk(_) => 0,
        }
    }

    fn settle(&mut self, now: Moment) {
        if self.is_lossless() {
            self.hold = Hold::Until(now.instant + SETTLE);
        }
    }

    fn due(&self) -> Option<Duration> {
        match &self.source {
            Source::Replay(replay) => replay.due(),
            Source::Walk(walk) => Some(walk.due()),
        }
    }

    /// When a moment of the venue's clock is; `None` before the beginning and at speed 0.
    fn instant_of(&self, elapsed: Duration) -> Option<Instant> {
        if self.speed <= 0.0 {
            return None;
        }
        Some(self.began? + elapsed.div_f64(self.speed))
    }

    fn held(&mut self, now: Instant) -> Option<Instant> {
        match self.hold {
            Hold::Until(until) | Hold::ForSnapshot(until) if until > now => Some(until),
            _ => {
                self.hold = Hold::None;
                None
            }
        }
    }

    fn next(&mut self, due: Duration, now: Moment, still: &dyn Fn(&str) -> bool) -> Vec<Happening> {
        self.elapsed = self.elapsed.max(due);
        match &mut self.source {
            Source::Walk(walk) => walk.step(due, now.wall_ms, still),
            Source::Replay(replay) => replay.next().unwrap_or_else(|error| {
                self.failure = Some(format!("{error:#}"));
                tracing::error!(error = format!("{error:#}"), "replay stopped");
                vec![Happening::Ended]
            }),
        }
    }
}

// === impl Engine ===

impl Engine {
    /// What to wait for.
    pub(super) fn gate(&mut self, now: Moment) -> Gate {
        if let Some(queue) = self.delivery.flush() {
            return Gate::Blocked(queue);
        }
        if !self.feed.has_begun() {
            return Gate::Idle;
        }
        let fault = self.faults.next_due().and_then(|due| self.feed.instant_of(due));
        let next = if self.feed.ended {
            None
        } else if let Some(until) = self.feed.held(now.instant) {
            Some(until)
        } else if self.feed.is_lossless() {
            return Gate::Now;
        } else {
            self.feed.due().and_then(|due| self.feed.instant_of(due))
        };
        match [fault, next].into_iter().flatten().min() {
            Some(at) if at <= now.instant => Gate::Now,
            Some(at) => Gate::At(at),
            None => Gate::Idle,
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn turn(&mut self, now: Moment) {
        let now = now.skewed(self.skew_ms);
        self.delivery.release_late(now.instant);
        let real = self.feed.began.map(|began| now.instant.saturating_duration_since(began).mul_f64(self.feed.speed)).unwrap_or_default();
        for _ in 0..TURN {
            if self.feed.ended || self.feed.held(now.instant).is_some() || self.delivery.is_blocked() {
                break;
            }
            let Some(due) = self.feed.due() else { break };
            if !self.feed.is_lossless() && due > real {
                break;
            }
            self.strike_due(due, now);
            let walk_time = if matches!(self.feed.source, Source::Walk(_)) { real.max(due) } else { due };
            let faults = &self.faults;
            for happening in self.feed.next(walk_time, now, &|symbol| faults.holds(FaultKind::QuietBook, symbol, now.instant)) {
                self.happen(happening, now);
            }
            self.feed.played += 1;
        }
        if matches!(self.feed.source, Source::Walk(_)) {
            self.send_owed(now, 0);
            self.send_keep_alives(now);
        }
        if !self.feed.is_lossless() && self.feed.has_begun() {
            self.feed.elapsed = self.feed.elapsed.max(real);
            self.strike_due(real, now);
        }
    }

    fn strike_due(&mut self, elapsed: Duration, now: Moment) {
        while let Some(spec) = self.faults.due(elapsed) {
            self.inject(spec, now);
        }
    }

    fn happen(&mut self, happening: Happening, now: Moment) {
        match happening {
            Happening::Diff { update, verbatim } => {
                let native_ms = self.feed.native_ms();
                let Some(market) = self.markets.get_mut(&update.s) else { return };
                for event in market.apply(&update, native_ms) {
                    self.send_diff(event, verbatim.as_deref(), now);
                }
            }
            Happening::Event { symbol, stream, data } => self.send_event(&symbol, &stream, &data, now),
            Happening::SnapshotPassed { symbol } => {
                let waits = self.delivery.follows(&symbol.to_lowercase(), "@depth") && self.feed.snapshots_served == 0;
                if self.feed.is_lossless() && waits {
                    self.feed.hold = Hold::ForSnapshot(now.instant + SNAPSHOT_PATIENCE);
                }
            }
            Happening::Rewound { symbol } => {
                let Some(market) = self.markets.get_mut(&symbol) else { return };
                let Source::Replay(replay) = &mut self.feed.source else { return };
                let update = replay.bridge(market);
                self.happen(Happening::Diff { update, verbatim: None }, now);
            }
            Happening::Ended => self.end(now),
        }
    }

    /// The end of a recording: what the slower streams gathered is still owed.
    fn end(&mut self, now: Moment) {
        self.feed.ended = true;
        self.send_owed(now, i64::MAX / 2);
    }

    /// What the gathered streams owe: their interval is over and no change came to say so.
    pub(super) fn send_owed(&mut self, now: Moment, ahead_ms: i64) {
        let owed: Vec<_> = self.markets.values_mut().flat_map(|market| market.flush(now.wall_ms.saturating_add(ahead_ms))).collect();
        for event in owed {
            self.send_diff(event, None, now);
        }
    }

    /// OKX: books that did not change repeat their number now and then.
    fn send_keep_alives(&mut self, now: Moment) {
        let Some(after_ms) = self.keep_alive.and_then(|after| i64::try_from(after.as_millis()).ok()) else { return };
        let quiet: Vec<_> = self.markets.values_mut().flat_map(|market| market.keep_alive(now.wall_ms, after_ms)).collect();
        for event in quiet {
            self.send_diff(event, None, now);
        }
    }

    fn send_event(&mut self, symbol: &str, stream: &str, data: &str, now: Moment) {
        let suffix = stream.get(symbol.len()..).unwrap_or_default();
        let Some(kind) = self.venue.stream_kind(suffix) else { return };
        if !self.delivery.is_heard(stream, kind) || self.faults.strike(FaultKind::SilentStreams, symbol, now.instant).is_some() {
            return;
        }
        self.delivery.publish(Outgoing { stream, kind, data });
    }

    /// What stands in OKX's dead checksum field.
    fn checksum(&mut self, symbol: &str, now: Moment) -> Checksum {
        if self.strikes(FaultKind::ChecksumAbsent, symbol, now) {
            return Checksum::Absent;
        }
        if self.strikes(FaultKind::ChecksumWrong, symbol, now) { Checksum::Wrong } else { Checksum::Zero }
    }

    /// A diff meets the faults of its kind only where somebody listens, so that a count counts what a reader missed.
    fn send_diff(&mut self, mut event: StreamEvent, recorded: Option<&str>, now: Moment) {
        let symbol = event.update.s.clone();
        let suffix = event.stream.get(symbol.len()..).unwrap_or_default();
        let Some(kind) = self.venue.stream_kind(suffix) else { return };
        if !self.delivery.is_heard(&event.stream, kind) || self.strikes(FaultKind::SilentStreams, &symbol, now) {
            return;
        }
        if self.strikes(FaultKind::DropDiff, &symbol, now) {
            return;
        }
        if self.feed.held_back.is_none() && self.strikes(FaultKind::ReorderDiff, &symbol, now) {
            self.feed.held_back = Some(event);
            return;
        }
        if self.venue == VenueKind::Deribit && self.strikes(FaultKind::UnknownDelete, &symbol, now) {
            event = with_unknown_delete(event);
        }
        let written;
        let data = match recorded {
            Some(text) if event.verbatim => text,
            _ => {
                let checksum = self.checksum(&symbol, now);
                written = frames::depth(self.venue, &event, checksum);
                &written
            }
        };
        let outgoing = Outgoing { stream: &event.stream, kind, data };
        if self.strikes(FaultKind::UnknownEvent, &symbol, now) {
            let data = frames::unknown(self.venue, &symbol, event.update.event_ms);
            self.delivery.publish(Outgoing { data: &data, ..outgoing });
        }
        if self.strikes(FaultKind::MalformedFrame, &symbol, now) {
            self.delivery.publish_cut(outgoing);
            return;
        }
        self.delivery.publish(outgoing);
        if self.strikes(FaultKind::DuplicateDiff, &symbol, now) {
            self.delivery.publish(outgoing);
        }
        if self.strikes(FaultKind::KeepAlive, &symbol, now) {
            let same = StreamEvent::repeating(&event);
            self.delivery.publish(Outgoing { data: &frames::depth(self.venue, &same, Checksum::Zero), ..outgoing });
        }
        self.send_held_back(&event.stream, kind);
    }

    fn send_held_back(&mut self, stream: &str, kind: StreamKind) {
        if self.feed.held_back.as_ref().is_some_and(|held| held.stream == stream)
            && let Some(held) = self.feed.held_back.take()
        {
            self.delivery.publish(Outgoing { stream, kind, data: &frames::depth(self.venue, &held, Checksum::Zero) });
        }
    }

    fn strikes(&mut self, kind: FaultKind, symbol: &str, now: Moment) -> bool {
        self.faults.strike(kind, symbol, now.instant).is_some()
    }
}

/// A walk that moves as often as events are wanted, with a few changes in each.
fn paced(walk: &WalkConfig, depth_interval: Option<Span>) -> WalkConfig {
    let Some(Span(interval)) = depth_interval else { return walk.clone() };
    let steps_per_second = Duration::from_secs(1).as_micros() / interval.as_micros().max(1);
    let least = u32::try_from(steps_per_second.saturating_mul(3)).unwrap_or(u32::MAX);
    WalkConfig { step: Span(interval), changes_per_second: walk.changes_per_second.max(least), ..walk.clone() }
}
