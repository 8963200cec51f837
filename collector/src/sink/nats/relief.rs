//! What is done when memory or time runs out: water marks judged, previews to the dead letter, authoritative records to the spool.
//!
//! In this order, each with a named reason: previews past their age are dropped; over the emergency mark previews become a dead letter; what is not
//! acknowledged in time, over a mark, or refused goes to the spool; only what neither NATS nor the spool takes becomes a dead letter too.
//! Must not know: connections, what a payload says.

use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use marketdata::RecordKind;

use super::NAME;
use super::desk::{Desk, subject};
use crate::config::{Bounds, Buffers, Config, NatsConfig, StreamConfig};
use crate::metrics::{Gauge, Registry, catalogue as names};
use crate::sink::deadletter::Reason;
use crate::sink::outbox::Pending;
use crate::sink::watermark::{Level, Rate, Watermark, adapted};
use crate::sink::{Record, Streams};

/// Records for the spool are collected for this long: one fsync for all of them;
const GATHER: Duration = Duration::from_millis(50);
/// and for this many times what the last one took, so that a slow disk takes a fifth of the thread's time at most.
const GATHER_TIMES: u32 = 4;
/// Bytes of one batch to the spool.
const BATCH: usize = 256 << 10;

/// Water marks and what they are judged by.
pub(super) struct Relief {
    buffers: Buffers,
    accept_within: Duration,
    lanes: Vec<Watched>,
    total: Watermark,
    flushed: Duration,
    /// What the last writing to the spool took.
    took: Duration,
    /// Reused between batches.
    batch: Vec<Pending>,
}

struct Watched {
    mark: Watermark,
    rate: Rate,
    shown: Gauge,
}

// === impl Relief ===

impl Relief {
    pub(super) fn new(config: &Config, nats: &NatsConfig, (streams, registry): (&Streams, &Arc<Registry>)) -> Self {
        for kind in RecordKind::ALL {
            registry.gauge(&names::BUFFER_HIGH, &[kind.as_str()]).set_count(config.buffers.of(kind).high);
        }
        let watched =
            |labels: [&str; 4]| Watched { mark: Watermark::default(), rate: Rate::default(), shown: registry.gauge(&names::BUFFER_RECORDS, &labels) };
        Self {
            buffers: config.buffers.clone(),
            accept_within: nats.accept_within,
            lanes: streams.iter().map(|stream| watched(stream.labels())).collect(),
            total: Watermark::default(),
            flushed: Duration::ZERO,
            took: Duration::ZERO,
            batch: Vec::new(),
        }
    }

    /// Marks of everything, in bytes.
    pub(super) fn bytes(&self) -> Bounds {
        self.buffers.bytes
    }

    /// For how long records are collected for one writing to the spool; half of the time within which they shall be secured, at most.
    fn gather(&self) -> Duration {
        (self.took * GATHER_TIMES).min(self.accept_within / 2).max(GATHER)
    }

    fn bounds(&self, kind: RecordKind, rate: Rate) -> Bounds {
        let configured = self.buffers.of(kind);
        self.buffers.adapt.map_or(configured, |hold| adapted(configured, rate, hold))
    }
}

// === impl Desk: relief ===

impl Desk {
    /// Judges the marks and relieves memory.
    pub(super) fn relieve(&mut self, now: Now) {
        let all = self.judge_all();
        for place in 0..self.outs.len() {
            let level = self.judge(place, now.mono);
            let Some(lane) = self.outbox.lanes().get(place) else { continue };
            if lane.kind.is_authoritative() {
                self.relieve_authoritative(place, (level, all), now.mono);
            } else {
                self.relieve_preview(place, (level, all), now);
            }
        }
        self.flush_to_spool(now);
    }

    fn judge_all(&mut self) -> Level {
        let bytes = self.outbox.held().bytes;
        if let Some(level) = self.relief.total.judge(bytes, self.relief.buffers.bytes) {
            self.told("all", level, bytes);
        }
        self.relief.total.level()
    }

    /// The level of one stream.
    fn judge(&mut self, place: usize, now: Duration) -> Level {
        let Some((lane, watched)) = self.outbox.lanes().get(place).zip(self.relief.lanes.get_mut(place)) else { return Level::Calm };
        let (kind, held) = (lane.kind, lane.held());
        watched.rate.look(lane.taken, now);
        watched.shown.set_count(held);
        let rate = watched.rate;
        let bounds = self.relief.bounds(kind, rate);
        let Some(watched) = self.relief.lanes.get_mut(place) else { return Level::Calm };
        let (changed, level) = (watched.mark.judge(held, bounds), watched.mark.level());
        if let Some(level) = changed {
            self.told(kind.as_str(), level, held);
        }
        level
    }

    fn told(&self, kind: &'static str, level: Level, held: usize) {
        self.meters.registry.counter(&names::BUFFER_LEVELS, &[kind, level.as_str()]).inc();
        if level == Level::Calm {
            tracing::info!(sink = NAME, event = "buffer_level", kind, level = level.as_str(), held, "a buffer is calm again");
        } else {
            tracing::warn!(sink = NAME, event = "buffer_level", kind, level = level.as_str(), held, "a buffer fills");
        }
    }

    fn relieve_preview(&mut self, place: usize, (level, all): (Level, Level), now: Now) {
        let too_old = now.mono.saturating_sub(self.relief.buffers.preview_max_age);
        for record in self.outbox.shed(place, too_old) {
            self.meters.dropped(&record, subject(&self.outs, &record), "too_old");
        }
        if level.max(all) == Level::Emergency || self.state.pressure.sheds_preview() {
            let shed = self.outbox.shed(place, Duration::MAX);
            self.bury(&shed, Reason::Emergency, now);
        }
    }

    fn relieve_authoritative(&mut self, place: usize, (level, all): (Level, Level), now: Duration) {
        let Some(lane) = self.outbox.lanes().get(place) else { return };
        let Some(oldest) = lane.oldest().filter(|_| !lane.spilled) else { return };
        let slow = now.saturating_sub(oldest) >= self.relief.accept_within;
        let takes = self.linked && (lane.confirm == crate::sink::outbox::Confirm::Pong || self.outbox.is_open(lane.kind));
        let reason = match level.max(all) {
            Level::Emergency => "emergency",
            // Sent at once, that is as fast as the server takes it; spooled at once when it takes nothing.
            Level::High if !takes => "high",
            _ if slow => "slow",
            _ => return,
        };
        if self.store.is_usable(now) {
            self.spill(place, reason);
        }
    }

    /// A stream goes by way of the spool.
    pub(super) fn spill(&mut self, place: usize, reason: &'static str) {
        let Some(kind) = self.outbox.lanes().get(place).filter(|lane| !lane.spilled).map(|lane| lane.kind) else { return };
        self.meters.registry.counter(&names::SPILLS, &[kind.as_str(), reason]).inc();
        tracing::debug!(sink = NAME, event = "spill", kind = kind.as_str(), reason, "a stream goes by way of the spool");
        self.outbox.spill(place);
    }

    /// Writes what waits for the spool, some of it at a time unless it is much.
    fn flush_to_spool(&mut self, now: Now) {
        let much = self.outbox.held().bytes >= self.relief.buffers.bytes.high / 4;
        if self.store.is_usable(now.mono) && (much || now.mono.saturating_sub(self.relief.flushed) >= self.relief.gather()) {
            self.write_to_spool(now);
            self.relief.flushed = self.clock.now().mono;
            self.relief.took = self.relief.flushed.saturating_sub(now.mono);
        }
        if self.outbox.held().bytes >= self.relief.buffers.bytes.emergency && !self.store.is_usable(now.mono) {
            self.last_resort(Reason::SpoolFailed, now);
        }
    }

    /// Spools everything that waits for it; `false` when the disk refuses.
    fn write_to_spool(&mut self, now: Now) -> bool {
        for kind in StreamConfig::KINDS {
            loop {
                let mut batch = std::mem::take(&mut self.relief.batch);
                self.outbox.for_spool(kind, BATCH, &mut batch);
                let written = !batch.is_empty() && self.store.append(&batch, now);
                if written {
                    self.spooled += batch.len() as u64;
                    self.outbox.spooled(&batch);
                    for pending in &batch {
                        self.store.secured(&pending.record);
                    }
                    batch.clear();
                }
                let failed = !batch.is_empty();
                self.outbox.not_spooled(&mut batch);
                self.relief.batch = batch;
                if failed {
                    self.outbox.stay_in_memory();
                    return false;
                }
                if !written {
                    break;
                }
            }
        }
        true
    }

    /// Neither NATS nor the spool takes anything and memory is full: what waits becomes a dead letter, and if that fails it is lost, and counted.
    fn last_resort(&mut self, reason: Reason, now: Now) {
        for place in 0..self.outs.len() {
            // What is under way may be stored by now: it stays.
            let shed = self.outbox.shed(place, Duration::MAX);
            for record in &shed {
                self.store.secured(record);
            }
            self.bury(&shed, reason, now);
        }
    }

    /// Records of one stream become a dead letter; what cannot even be that is counted as dropped.
    fn bury(&mut self, records: &[Record], reason: Reason, now: Now) {
        if !self.store.bury(records, reason, now) {
            for record in records {
                self.meters.dropped(record, subject(&self.outs, record), reason.as_str());
            }
        }
    }

    /// The end: what is not secured goes to the spool, previews to the dead letter.
    pub(super) fn finish(&mut self) {
        let now = self.clock.now();
        let (letter, errors) = (self.rest_of_letter(now.mono), self.store.errors);
        for place in 0..self.outs.len() {
            if self.outbox.lanes().get(place).is_some_and(|lane| lane.kind.is_authoritative()) {
                self.spill(place, "stopping");
            }
        }
        self.disconnected();
        if self.store.spool.is_some() {
            self.write_to_spool(now);
        }
        self.last_resort(Reason::Shutdown, now);
        if let Some(path) = letter.filter(|_| errors == self.store.errors) {
            self.store.letters.done(&path);
        }
        self.store.tidy(now);
        self.store.note();
        self.meters.show(self.outbox.held(), 0, Duration::ZERO);
        self.meters.up.set(0.0);
    }
}
