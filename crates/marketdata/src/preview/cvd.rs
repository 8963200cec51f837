//! Cumulative volume delta: what takers bought minus what they sold, since 00:00 UTC.
//!
//! Owns: the sums of the day, exact in the instrument's quantity scale, and from when they count. Must not know: how it is written.
//!
//! The day is that of the trade's own time. Nothing is invented: after a start of the collector it counts from the first trade it saw, and says so;
//! trades that were missed are said with their number.

use crate::book::Side;
use crate::message::Trade;

/// The sums so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cvd {
    /// Bought by takers, in units of the instrument's quantity scale.
    pub bought: i128,
    /// Sold by takers.
    pub sold: i128,
    /// By how much `bought - sold` changed in this second.
    pub change: i128,
    /// Trades counted.
    pub trades: u64,
    /// Trades missed meanwhile: holes in the venue's ids.
    pub missing: u64,
    /// From when it counts, unix ms.
    pub since_ms: i64,
    /// Why from then.
    pub reset: CvdReset,
}

/// What began a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CvdReset {
    /// The collector's first trade; the part of the day before it is not known.
    Start,
    /// 00:00 UTC: the whole day counts.
    Midnight,
}

/// Adds up trades.
#[derive(Debug, Default)]
pub(crate) struct CvdMeter {
    day: Option<i64>,
    sums: Option<Cvd>,
}

const DAY_MS: i64 = 86_400_000;
/// Trades of the old day may still arrive for so long after midnight; then the new day begins also without a trade.
const LATE_MS: i64 = 5_000;

// === impl CvdReset ===

impl CvdReset {
    /// The word in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            CvdReset::Start => "start",
            CvdReset::Midnight => "midnight",
        }
    }
}

// === impl Cvd ===

impl Cvd {
    /// Bought minus sold.
    pub const fn value(&self) -> i128 {
        self.bought.saturating_sub(self.sold)
    }

    /// Whether the whole day since 00:00 UTC is in it.
    pub fn complete(&self) -> bool {
        self.reset == CvdReset::Midnight && self.missing == 0
    }

    const fn begin(since_ms: i64, reset: CvdReset) -> Self {
        Self { bought: 0, sold: 0, change: 0, trades: 0, missing: 0, since_ms, reset }
    }
}

// === impl CvdMeter ===

impl CvdMeter {
    /// A trade, and how many were missed before it. One of a day that is over is not counted.
    pub(crate) fn trade(&mut self, trade: &Trade, missing: u64) {
        let day = trade.trade_ts_ms.div_euclid(DAY_MS);
        match self.day {
            Some(today) if day < today => return,
            Some(today) if day > today => self.begin_day(day),
            Some(_) => {}
            None => {
                self.day = Some(day);
                self.sums = Some(Cvd::begin(trade.trade_ts_ms, CvdReset::Start));
            }
        }
        let Some(sums) = &mut self.sums else { return };
        let quantity = i128::from(trade.quantity.0);
        let (side, signed) = match trade.taker {
            Side::Bid => (&mut sums.bought, quantity),
            Side::Ask => (&mut sums.sold, -quantity),
        };
        *side = side.saturating_add(quantity);
        sums.change = sums.change.saturating_add(signed);
        sums.trades += 1;
        sums.missing = sums.missing.saturating_add(missing);
    }

    /// Ends the second that ended at `wall_ms`. `None` before the first trade.
    pub(crate) fn take(&mut self, wall_ms: i64) -> Option<Cvd> {
        let today = (wall_ms - LATE_MS).div_euclid(DAY_MS);
        if self.day.is_some_and(|day| day < today) {
            self.begin_day(today);
        }
        let sums = self.sums.as_mut()?;
        let taken = *sums;
        sums.change = 0;
        Some(taken)
    }

    fn begin_day(&mut self, day: i64) {
        // What the last second of the old day brought, and the new day did not, is still a change of this second.
        let change = self.sums.map_or(0, |sums| sums.change);
        self.day = Some(day);
        self.sums = Some(Cvd { change, ..Cvd::begin(day.saturating_mul(DAY_MS), CvdReset::Midnight) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::InstrumentId;
    use crate::price::{Price, Quantity};
    use proptest::prelude::*;

    const MIDNIGHT: i64 = 20_000 * DAY_MS;

    fn trade(at_ms: i64, signed: i64) -> Trade {
        Trade {
            name: crate::message::TradeName::NONE,
            instrument: InstrumentId(0),
            id: 1,
            covers: 1,
            price: Price(1),
            quantity: Quantity(signed.abs()),
            taker: if signed > 0 { Side::Bid } else { Side::Ask },
            trade_ts_ms: at_ms,
            event_ts_ms: at_ms,
            received_ms: at_ms,
        }
    }

    #[test]
    fn it_counts_from_the_first_trade_then_from_midnight_and_says_which() {
        let mut meter = CvdMeter::default();
        assert_eq!(meter.take(MIDNIGHT - 60_000), None, "nothing is known");
        for (at, signed) in [(-50_000, 7), (-49_000, -2)] {
            meter.trade(&trade(MIDNIGHT + at, signed), 0);
        }
        let first = meter.take(MIDNIGHT - 48_000).unwrap();
        let since_ms = MIDNIGHT - 50_000;
        assert_eq!(first, Cvd { bought: 7, sold: 2, change: 5, trades: 2, missing: 0, since_ms, reset: CvdReset::Start });
        assert_eq!((first.value(), first.complete()), (5, false), "the day before the start is not known");
        assert_eq!(meter.take(MIDNIGHT - 47_000).unwrap().change, 0);
        meter.trade(&trade(MIDNIGHT, -4), 0);
        let second = meter.take(MIDNIGHT + 1_000).unwrap();
        assert_eq!(second, Cvd { bought: 0, sold: 4, change: -4, trades: 1, missing: 0, since_ms: MIDNIGHT, reset: CvdReset::Midnight });
        assert!(second.complete());
        meter.trade(&trade(MIDNIGHT - 1, 100), 0);
        assert_eq!(meter.take(MIDNIGHT + 2_000).unwrap().value(), -4, "a trade of the day before does not count to this one");
        meter.trade(&trade(MIDNIGHT + 3_000, 1), 12);
        let third = meter.take(MIDNIGHT + 4_000).unwrap();
        assert_eq!((third.value(), third.missing, third.complete()), (-3, 12, false));
    }

    #[test]
    fn a_day_begins_also_without_a_trade() {
        let mut meter = CvdMeter::default();
        meter.trade(&trade(MIDNIGHT - 100_000, 9), 0);
        assert_eq!(meter.take(MIDNIGHT + 1_000).unwrap().value(), 9, "late trades are waited for");
        meter.trade(&trade(MIDNIGHT - 10, 1), 0);
        assert_eq!(meter.take(MIDNIGHT + 4_000).unwrap().value(), 10);
        let begun = meter.take(MIDNIGHT + 5_000).unwrap();
        assert_eq!((begun.value(), begun.change, begun.since_ms, begun.reset), (0, 0, MIDNIGHT, CvdReset::Midnight));
    }

    proptest! {
        /// Against the sum of all trades of the last day, taken anew.
        #[test]
        fn the_running_sums_are_the_sums(steps in proptest::collection::vec((0i64..40_000_000, -9i64..10), 1..60)) {
            let mut meter = CvdMeter::default();
            let (mut at, mut trades, mut changes) = (MIDNIGHT + 1, Vec::new(), 0i128);
            for (wait, signed) in steps {
                at += wait;
                trades.push((at, signed));
                meter.trade(&trade(at, signed), 0);
                let taken = meter.take(at + 1).unwrap();
                let day = at.div_euclid(DAY_MS);
                let today: Vec<i128> = trades.iter().filter(|(at, _)| at.div_euclid(DAY_MS) == day).map(|(_, signed)| i128::from(*signed)).collect();
                prop_assert_eq!(taken.value(), today.iter().sum::<i128>());
                prop_assert_eq!(taken.trades, today.len() as u64);
                changes += taken.change;
            }
            prop_assert_eq!(changes, trades.iter().map(|(_, signed)| i128::from(*signed)).sum::<i128>(), "no change is lost at midnight");
        }
    }
}
