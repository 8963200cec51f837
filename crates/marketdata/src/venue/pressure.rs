//! What a venue gives up, step by step, when its collector is short of memory, descriptors or time.
//!
//! Owns: the steps and their order. Must not know: what is short, or when (the shell measures and decides).

use std::time::Duration;

use clock::Now;

use crate::effect::{Effect, Event, EventKind, Reason};
use crate::instrument::InstrumentId;
use crate::session::Session;
use crate::venue::Venue;
use crate::venue::config::Publication;

/// How much is given up; each step includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pressure {
    /// Nothing.
    #[default]
    Normal,
    /// Previews of every second are not made any more; events still are.
    ShedPreview,
    /// Books and deltas leave less often: [`WIDENED`] times the configured interval; what left on every update is conflated.
    WidenConflation,
    /// Instruments of low priority are not collected: they are unsubscribed, and afterwards subscribed and synchronised anew.
    PauseLow,
}

/// The factor by which conflation is widened.
pub const WIDENED: u32 = 5;
/// What left on every update leaves this often under [`Pressure::WidenConflation`].
const EVERY_WIDENED: Duration = Duration::from_millis(100);

// === impl Pressure ===

impl Pressure {
    /// All, in their order.
    pub const ALL: [Pressure; 4] = [Pressure::Normal, Pressure::ShedPreview, Pressure::WidenConflation, Pressure::PauseLow];

    /// The word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pressure::Normal => "normal",
            Pressure::ShedPreview => "shed_preview",
            Pressure::WidenConflation => "widen_conflation",
            Pressure::PauseLow => "pause_low",
        }
    }

    /// Place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The least time between two publications; `None`: every update leaves.
    pub(crate) fn interval(self, configured: Publication) -> Option<Duration> {
        let wide = self >= Pressure::WidenConflation;
        match configured {
            Publication::EveryUpdate => wide.then_some(EVERY_WIDENED),
            Publication::Conflated(interval) => Some(if wide { interval.saturating_mul(WIDENED) } else { interval }),
        }
    }
}

// === impl Venue ===

impl Venue {
    /// Gives up more, or takes back; says so by an event, and names every instrument that is paused or goes on.
    pub fn set_pressure(&mut self, now: Now, pressure: Pressure, effects: &mut Vec<Effect>) {
        if self.outlets.pressure() == pressure {
            return;
        }
        effects.push(Event::venue(EventKind::Pressure(pressure)));
        let (before, after) = (self.outlets.pressure() >= Pressure::PauseLow, pressure >= Pressure::PauseLow);
        self.outlets.set_pressure(pressure);
        if before == after {
            return;
        }
        let all = (0..self.instruments().len()).filter_map(|place| u16::try_from(place).ok()).map(InstrumentId);
        let low: Vec<InstrumentId> = all.filter(|id| self.outlets.is_low(*id) && self.catalog.is_collected(*id)).collect();
        for &id in &low {
            let kind = if after { EventKind::Paused(Reason::Pressure) } else { EventKind::Resumed(Reason::Pressure) };
            effects.push(Event::of(id, kind));
            if after { self.pause(now, id, effects) } else { self.with_lane_of(now, id, effects, Session::adopt) }
        }
        if after {
            for id in low {
                self.close_unused(now, (id, Reason::Pressure), effects);
            }
        }
    }

    /// What is given up now.
    pub const fn pressure(&self) -> Pressure {
        self.outlets.pressure()
    }

    /// Whether this instrument is not collected now.
    pub(super) fn is_paused(&self, id: InstrumentId) -> bool {
        self.outlets.pressure() >= Pressure::PauseLow && self.outlets.is_low(id)
    }

    /// Gives up what is held of an instrument, and its streams.
    fn pause(&mut self, now: Now, id: InstrumentId, effects: &mut Vec<Effect>) {
        self.outlets.invalidated(id);
        self.outlets.drop_held(id);
        let lane = self.slots.get(id.index() / self.per_slot).and_then(|slot| slot.active.as_ref()?.session.lane(id));
        if let (Some(lane), Some(counters)) = (lane, self.counters.get_mut(id.index())) {
            counters.remember(lane);
        }
        self.with_lane_of(now, id, effects, Session::leave);
    }
}
