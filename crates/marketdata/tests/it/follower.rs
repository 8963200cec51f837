//! What a consumer makes of an instrument's records, and what its previews should be: computed anew from everything that was published.

use std::collections::BTreeMap;

use marketdata::preview::cvd::CvdReset;
use marketdata::{Bar, BookDelta, BookView, DeltaForm, Level, Side, Trade};

/// Best bid, its size, best ask, its size.
type Touch = [i64; 4];

/// Of one instrument.
#[derive(Default)]
pub(crate) struct Follower {
    sequence: Option<u64>,
    sides: [BTreeMap<i64, i64>; 2],
    /// With the time each was seen; `None`: the book was lost.
    touches: Vec<(i64, Option<Touch>)>,
    /// When it came, and what the taker bought (sold: negative).
    trades: Vec<(i64, i64)>,
    /// What trades of compared seconds came to.
    compared: i128,
    last_bar: i64,
    /// Books are conflated: not every change is seen.
    sees_part: bool,
    /// Deltas and whole images that were applied.
    pub(crate) applied: (u64, u64),
    /// Complete seconds that were compared, and those of them whose ofi was not zero.
    pub(crate) seconds: (u64, u64),
}

impl Follower {
    /// Of books that are conflated.
    pub(crate) fn seeing_part(sees_part: bool) -> Self {
        Self { sees_part, ..Self::default() }
    }

    /// As docs/collector.md tells a consumer to be.
    pub(crate) fn apply(&mut self, delta: &BookDelta<'_>) {
        match delta.form {
            DeltaForm::Snapshot => {
                self.sides = Default::default();
                self.applied.1 += 1;
            }
            DeltaForm::Delta => {
                assert_eq!(delta.previous, self.sequence, "a hole in the chain");
                self.applied.0 += 1;
            }
        }
        assert!(delta.previous.is_none_or(|previous| previous <= delta.stamp.sequence));
        self.sequence = Some(delta.stamp.sequence);
        for (side, levels) in self.sides.iter_mut().zip([delta.bids, delta.asks]) {
            for level in levels {
                if level.quantity.0 == 0 {
                    side.remove(&level.price.0);
                } else {
                    side.insert(level.price.0, level.quantity.0);
                }
            }
        }
    }

    /// After a delta, or where there was nothing to tell, the consumer has what is published.
    pub(crate) fn equals(&self, view: &BookView<'_>) {
        let pair = |level: Level| (level.price.0, level.quantity.0);
        let bids: Vec<(i64, i64)> = self.sides[0].iter().rev().map(|(p, q)| (*p, *q)).collect();
        let asks: Vec<(i64, i64)> = self.sides[1].iter().map(|(p, q)| (*p, *q)).collect();
        assert_eq!(bids, view.levels(Side::Bid).map(pair).collect::<Vec<_>>(), "bids at {}", view.stamp.sequence);
        assert_eq!(asks, view.levels(Side::Ask).map(pair).collect::<Vec<_>>(), "asks at {}", view.stamp.sequence);
    }

    pub(crate) fn book(&mut self, at_ms: i64, view: &BookView<'_>) {
        let best = |side| view.book.best(side).map(|level| [level.price.0, level.quantity.0]);
        if let (Some([bid, bid_size]), Some([ask, ask_size])) = (best(Side::Bid), best(Side::Ask)) {
            self.touches.push((at_ms, Some([bid, bid_size, ask, ask_size])));
        }
    }

    pub(crate) fn lost(&mut self, at_ms: i64) {
        self.touches.push((at_ms, None));
    }

    pub(crate) fn trade(&mut self, at_ms: i64, trade: &Trade) {
        let sign = if trade.taker == Side::Bid { 1 } else { -1 };
        self.trades.push((at_ms, sign * trade.quantity.0));
    }

    /// Compares a closed second, once.
    pub(crate) fn bar(&mut self, bar: &Bar) {
        if bar.end_ms == self.last_bar {
            return;
        }
        assert!(bar.start_ms >= self.last_bar && bar.end_ms > bar.start_ms && bar.end_ms % 1_000 == 0);
        self.last_bar = bar.end_ms;
        let inside = |at: i64| at >= bar.start_ms && at < bar.end_ms;
        let traded: Vec<i64> = self.trades.iter().filter(|(at, _)| inside(*at)).map(|(_, signed)| *signed).collect();
        assert_eq!((bar.trades, bar.volume), (traded.len() as u64, traded.iter().map(|q| i128::from(q.abs())).sum()));
        let before: i128 = self.trades.iter().filter(|(at, _)| *at < bar.end_ms).map(|(_, signed)| i128::from(*signed)).sum();
        self.compared += before;
        self.trades.retain(|(at, _)| *at >= bar.end_ms);
        if let Some(cvd) = bar.cvd {
            assert_eq!(cvd.value(), self.compared);
            assert_eq!((cvd.reset, cvd.change), (CvdReset::Start, traded.iter().map(|q| i128::from(*q)).sum()));
        }
        self.imbalance(bar);
        let over = self.touches.iter().rposition(|(at, _)| *at < bar.end_ms).unwrap_or(0);
        self.touches.drain(..over);
    }

    fn imbalance(&mut self, bar: &Bar) {
        // Where it says incomplete, changes were missed: by it, or by those who see only what is published.
        let Some(ofi) = bar.ofi.filter(|ofi| ofi.complete && !self.sees_part) else { return };
        let inside = |at: i64| at >= bar.start_ms && at < bar.end_ms;
        let whole = self.touches.iter().rfind(|(at, _)| *at < bar.start_ms).is_some_and(|(_, touch)| touch.is_some());
        let lost = self.touches.iter().any(|(at, touch)| inside(*at) && touch.is_none());
        assert!(whole && !lost, "the second to {}", bar.end_ms);
        let pairs = self.touches.windows(2).filter(|pair| inside(pair[1].0));
        let naive: i128 = pairs.filter_map(|pair| Some(contribution(pair[0].1?, pair[1].1?))).sum();
        assert_eq!(ofi.value, naive, "in the second to {}", bar.end_ms);
        self.seconds.0 += 1;
        self.seconds.1 += u64::from(naive != 0);
    }
}

/// The definition of Cont, Kukanov and Stoikov.
fn contribution(old: Touch, new: Touch) -> i128 {
    let is = |yes: bool, size: i64| if yes { i128::from(size) } else { 0 };
    is(new[0] >= old[0], new[1]) - is(new[0] <= old[0], old[1]) - is(new[2] <= old[2], new[3]) + is(new[2] >= old[2], old[3])
}
