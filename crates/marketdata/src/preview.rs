//! Previews: what can be computed from books and trades as they pass, once a second, in time that does not grow with the book or the past.
//!
//! Owns: per instrument the meters of one second and the bar that closed last; when a second ends. Must not know: connections, how a record is written.
//!
//! A second is one of the collector's wall clock, from full second to full second; what arrives in it belongs to it. A bar that closed late (the loop
//! stood still) says how long it really was.

pub mod cvd;
pub mod feature;
pub mod fusion;
pub mod ofi;
pub mod wire;

use std::time::Duration;

use clock::Now;

use crate::effect::Effect;
use crate::instrument::{Instrument, InstrumentId};
use crate::kind::{RecordKind, RecordKinds};
use crate::message::{BookView, Trade};
use crate::preview::cvd::{Cvd, CvdMeter};
use crate::preview::feature::BookFigures;
use crate::preview::fusion::{Fusion, FusionConfig, FusionMeter};
use crate::preview::ofi::{Ofi, OfiMeter, Touch};

/// One closed second of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    /// Its begin, unix ms.
    pub start_ms: i64,
    /// Its end, unix ms.
    pub end_ms: i64,
    /// `None`: the book was not exact at the end.
    pub ofi: Option<Ofi>,
    /// `None`: no trade yet, or trades are not collected.
    pub cvd: Option<Cvd>,
    /// `None`: ofi was not complete in this second, or fusion is not wanted.
    pub fusion: Option<Fusion>,
    /// The book at the end; `None`: not exact then.
    pub book: Option<BookFigures>,
    /// Trades in it.
    pub trades: u64,
    /// Their quantities together, in units of the instrument's quantity scale.
    pub volume: i128,
}

/// A bar, to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct PreviewView<'a> {
    /// Whose.
    pub instrument: &'a Instrument,
    /// The second that closed last.
    pub bar: &'a Bar,
}

/// One instrument's meters.
#[derive(Debug)]
pub(crate) struct Previews {
    kinds: RecordKinds,
    ofi: OfiMeter,
    cvd: CvdMeter,
    fusion: Option<FusionMeter>,
    trades: u64,
    volume: i128,
    bar: Bar,
}

/// Where the seconds begin and end.
#[derive(Debug, Default)]
pub(crate) struct Seconds {
    start_ms: Option<i64>,
    end_ms: i64,
    /// When that is by the monotonic clock.
    due: Duration,
}

/// A timer that fires so little before the full second means that second.
const EARLY_MS: i64 = 50;

// === impl Previews ===

impl Previews {
    /// `None` when no kind of these is made once a second.
    pub(crate) fn new(kinds: RecordKinds, fusion: FusionConfig) -> Option<Self> {
        let every_second = kinds.iter().any(|kind| !kind.is_authoritative() && kind != RecordKind::Event);
        let fusion = kinds.has(RecordKind::Fusion).then(|| FusionMeter::new(fusion));
        every_second.then(|| Self { kinds, ofi: OfiMeter::default(), cvd: CvdMeter::default(), fusion, trades: 0, volume: 0, bar: Bar::default() })
    }

    /// The best levels now; `None`: the book is not exact.
    pub(crate) fn touch(&mut self, touch: Option<Touch>) {
        self.ofi.observe(touch);
    }

    /// A trade, and how many were missed before it.
    pub(crate) fn trade(&mut self, trade: &Trade, missing: u64) {
        self.cvd.trade(trade, missing);
        self.trades += 1;
        self.volume = self.volume.saturating_add(i128::from(trade.quantity.0));
    }

    /// Ends a second.
    pub(crate) fn close(&mut self, (start_ms, end_ms): (i64, i64), book: Option<&BookView<'_>>) {
        let (ofi, cvd) = (self.ofi.take(), self.cvd.take(end_ms));
        let change = cvd.map_or(0, |cvd| cvd.change);
        let fusion = match (&mut self.fusion, ofi) {
            // Units do not matter to a z-score.
            (Some(meter), Some(ofi)) if ofi.complete => Some(meter.observe(ofi.value as f64, change as f64)),
            _ => None,
        };
        let book = book.and_then(BookFigures::of);
        self.bar = Bar { start_ms, end_ms, ofi, cvd, fusion, book, trades: self.trades, volume: self.volume };
        (self.trades, self.volume) = (0, 0);
    }

    /// Asks for what the closed second has of the wanted kinds.
    pub(crate) fn publish(&self, instrument: InstrumentId, effects: &mut Vec<Effect>) {
        let there = |kind: &RecordKind| match kind {
            RecordKind::Ofi => self.bar.ofi.is_some(),
            RecordKind::Cvd => self.bar.cvd.is_some(),
            RecordKind::Fusion => self.bar.fusion.is_some(),
            RecordKind::Feature => self.bar.book.is_some(),
            RecordKind::OrderBook | RecordKind::Trade | RecordKind::OrderBookDelta | RecordKind::Event => false,
        };
        effects.extend(self.kinds.iter().filter(there).map(|kind| Effect::Preview { instrument, kind }));
    }

    /// The second that closed last.
    pub(crate) const fn bar(&self) -> &Bar {
        &self.bar
    }
}

// === impl Seconds ===

impl Seconds {
    /// When [`turn`](Self::turn) has something to do.
    pub(crate) const fn due(&self) -> Duration {
        self.due
    }

    /// The second that has ended by now, as begin and end in unix ms.
    pub(crate) fn turn(&mut self, now: Now) -> Option<(i64, i64)> {
        let Some(start_ms) = self.start_ms else {
            self.aim(now, now.wall_ms);
            return None;
        };
        if now.wall_ms < self.end_ms && now.mono < self.due {
            return None;
        }
        let end_ms = (now.wall_ms + EARLY_MS).div_euclid(1_000) * 1_000;
        self.aim(now, end_ms);
        // Not when the wall clock was set back: the bar goes on, and time does not come twice.
        (end_ms > start_ms).then_some((start_ms, end_ms))
    }

    fn aim(&mut self, now: Now, start_ms: i64) {
        self.start_ms = Some(start_ms);
        self.end_ms = start_ms.div_euclid(1_000) * 1_000 + 1_000;
        self.due = until(now, self.end_ms);
    }
}

fn until(now: Now, wall_ms: i64) -> Duration {
    let wait = u64::try_from(wall_ms - now.wall_ms).unwrap_or(0).max(1);
    now.mono.saturating_add(Duration::from_millis(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_end_on_the_full_second_and_a_late_one_says_how_long_it_was() {
        let mut seconds = Seconds::default();
        let start = Now::new(Duration::from_secs(7), 1_700_000_000_300);
        let at = |ms: u64| start.later(Duration::from_millis(ms));
        assert_eq!(seconds.turn(start), None);
        assert_eq!(seconds.due(), at(700).mono);
        assert_eq!(seconds.turn(at(699)), None);
        assert_eq!(seconds.turn(at(700)), Some((1_700_000_000_300, 1_700_000_001_000)));
        assert_eq!(seconds.turn(at(4_900)), Some((1_700_000_001_000, 1_700_000_005_000)), "the loop stood still");
        assert_eq!(seconds.due(), at(5_700).mono);
    }

    #[test]
    fn a_clock_that_is_set_back_gives_no_second_twice() {
        let mut seconds = Seconds::default();
        let start = Now::new(Duration::ZERO, 1_700_000_000_000);
        seconds.turn(start);
        let back = Now::new(Duration::from_secs(1), 1_699_999_990_000);
        assert_eq!(seconds.turn(back), None);
        assert_eq!(seconds.turn(back.later(Duration::from_secs(1))), Some((1_699_999_990_000, 1_699_999_991_000)));
    }
}
