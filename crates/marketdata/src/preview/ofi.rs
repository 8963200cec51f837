//! Order-flow imbalance at the best level: how much the touch gained on the bid against the ask.
//!
//! Owns: the sum over one second, exact in the instrument's quantity scale. Must not know: when a second ends, how it is written.
//!
//! R. Cont, A. Kukanov, S. Stoikov, "The price impact of order book events", Journal of Financial Econometrics 12 (2014), equation (1): with best bid
//! `P^b` of size `q^b` and best ask `P^a` of size `q^a`, the n-th change of the touch contributes
//! `e_n = 1{P^b_n ≥ P^b_(n-1)} q^b_n − 1{P^b_n ≤ P^b_(n-1)} q^b_(n-1) − 1{P^a_n ≤ P^a_(n-1)} q^a_n + 1{P^a_n ≥ P^a_(n-1)} q^a_(n-1)`.

use crate::book::{Level, Side};
use crate::message::BookView;

/// The best level of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) bid: Level,
    pub(crate) ask: Level,
}

/// The imbalance of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ofi {
    /// The sum of the contributions, in units of the instrument's quantity scale.
    pub value: i128,
    /// Changes of the touch in it.
    pub changes: u64,
    /// Whether the book was exact all the while; else changes were missed.
    pub complete: bool,
}

/// Adds up the contributions of a second.
#[derive(Debug, Default)]
pub(crate) struct OfiMeter {
    last: Option<Touch>,
    sum: i128,
    changes: u64,
    broken: bool,
}

// === impl Touch ===

impl Touch {
    /// `None`: a side is empty.
    pub(crate) fn of(view: &BookView<'_>) -> Option<Self> {
        Some(Self { bid: view.book.best(Side::Bid)?, ask: view.book.best(Side::Ask)? })
    }
}

// === impl OfiMeter ===

impl OfiMeter {
    /// The touch now; `None`: the book is not exact. The same touch again adds nothing.
    pub(crate) fn observe(&mut self, touch: Option<Touch>) {
        let Some(new) = touch else {
            self.last = None;
            self.broken = true;
            return;
        };
        match self.last {
            Some(old) if old != new => {
                self.sum = self.sum.saturating_add(contribution(old, new));
                self.changes += 1;
            }
            Some(_) => {}
            None => self.broken = true,
        }
        self.last = Some(new);
    }

    /// Ends the second. `None`: the book is not exact now.
    pub(crate) fn take(&mut self) -> Option<Ofi> {
        let ended = Ofi { value: self.sum, changes: self.changes, complete: !self.broken };
        (self.sum, self.changes, self.broken) = (0, 0, self.last.is_none());
        self.last.map(|_| ended)
    }
}

fn contribution(old: Touch, new: Touch) -> i128 {
    let size = |level: Level, counts: bool| if counts { i128::from(level.quantity.0) } else { 0 };
    size(new.bid, new.bid.price >= old.bid.price) - size(old.bid, new.bid.price <= old.bid.price) - size(new.ask, new.ask.price <= old.ask.price)
        + size(old.ask, new.ask.price >= old.ask.price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{Price, Quantity};
    use proptest::prelude::*;

    fn touch((bid, bid_size): (i64, i64), (ask, ask_size): (i64, i64)) -> Touch {
        let level = |price, quantity| Level { price: Price(price), quantity: Quantity(quantity) };
        Touch { bid: level(bid, bid_size), ask: level(ask, ask_size) }
    }

    #[test]
    fn every_kind_of_change_contributes_as_the_paper_says() {
        let start = touch((100, 5), (101, 7));
        let rows = [
            (touch((100, 9), (101, 7)), 4, "the bid grew"),
            (touch((100, 2), (101, 7)), -3, "the bid shrank"),
            (touch((100, 5), (101, 10)), -3, "the ask grew"),
            (touch((100, 5), (101, 1)), 6, "the ask shrank"),
            (touch((99, 8), (101, 7)), -5, "the bid fell: its old size is gone"),
            (touch((101, 8), (102, 4)), 8 + 7, "both rose: the new bid counts, the old ask is gone"),
            (touch((100, 5), (100, 3)), -3, "the ask fell: its new size counts"),
            (touch((98, 1), (99, 2)), -5 - 2, "both fell"),
            (start, 0, "nothing happened"),
        ];
        for (new, expected, why) in rows {
            let mut meter = OfiMeter::default();
            meter.observe(Some(start));
            meter.take();
            meter.observe(Some(new));
            let taken = meter.take().unwrap();
            assert_eq!((taken.value, taken.changes, taken.complete), (expected, u64::from(new != start), true), "{why}");
        }
    }

    #[test]
    fn a_second_in_which_the_book_was_lost_says_so_and_joins_nothing_across_the_hole() {
        let mut meter = OfiMeter::default();
        assert_eq!(meter.take(), None);
        meter.observe(Some(touch((100, 5), (101, 7))));
        assert_eq!(meter.take(), Some(Ofi { value: 0, changes: 0, complete: false }), "it began inside this second");
        meter.observe(Some(touch((100, 6), (101, 7))));
        meter.observe(None);
        assert_eq!(meter.take(), None, "not exact at the end");
        meter.observe(Some(touch((90, 50), (91, 70))));
        assert_eq!(meter.take(), Some(Ofi { value: 0, changes: 0, complete: false }));
        assert_eq!(meter.take(), Some(Ofi { value: 0, changes: 0, complete: true }), "a quiet second is a zero");
    }

    proptest! {
        /// Against the definition with real indicator functions, over the whole list of touches at once.
        #[test]
        fn the_running_sum_is_the_definition(touches in proptest::collection::vec((1i64..6, 1i64..5, 1i64..6, 1i64..5), 1..100)) {
            let touches: Vec<Touch> = touches.iter().map(|&(bid, bid_size, ask, ask_size)| touch((bid, bid_size), (10 + ask, ask_size))).collect();
            let is = |yes: bool| i128::from(yes);
            let naive: i128 = touches.windows(2).map(|pair| {
                let [old, new] = [pair[0], pair[1]].map(|t| (t.bid.price.0, i128::from(t.bid.quantity.0), t.ask.price.0, i128::from(t.ask.quantity.0)));
                is(new.0 >= old.0) * new.1 - is(new.0 <= old.0) * old.1 - is(new.2 <= old.2) * new.3 + is(new.2 >= old.2) * old.3
            }).sum();
            let mut meter = OfiMeter::default();
            for touch in &touches {
                meter.observe(Some(*touch));
            }
            prop_assert_eq!(meter.take().unwrap().value, naive);
        }
    }
}
