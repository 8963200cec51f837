//! An order book that holds only what the venue has vouched for.
//!
//! Owns: two sorted, bounded sides and the *horizon* of each: the worst price up to which the side is known without holes. A snapshot that was cut at a
//! limit says nothing of levels past its last one, and deltas past it would leave holes between, so levels past the horizon are not held at all
//! (Binance says the same: levels outside the snapshot are unknown until they change). Truncation moves the horizon inwards. Every level held is
//! therefore right, and the first N are the venue's first N. Must not know: sequences, venues, time.

use crate::price::{Price, Quantity};

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// What is offered there in all; zero in a delta removes the level.
    pub quantity: Quantity,
}

/// Side of a book, or of the taker of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

/// How many levels are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthBounds {
    /// A side is cut when it grows past this…
    pub most: usize,
    /// …to this many. The distance is the hysteresis: a cut costs a memmove.
    pub kept: usize,
}

/// One side, sorted with the best level at the end: most changes are near the touch, where a sorted vector moves least.
#[derive(Clone, Debug)]
struct Ladder {
    side: Side,
    levels: Vec<Level>,
    horizon: Option<Price>,
    /// While [`notes`](Book::take_notes) are taken of it: best first, each level once.
    notes: Option<Vec<Change>>,
}

/// A level that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The [`rank`] of its price.
    pub(crate) rank: i64,
    /// What was there before the first change and after the last one; zero: nothing.
    pub(crate) before: Quantity,
    pub(crate) after: Quantity,
}

/// Both sides of one instrument.
#[derive(Clone, Debug)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    bounds: DepthBounds,
    /// Whose notes are taken: the number that their reader gave; 0: nobody's.
    reader: u64,
}

/// Levels at the best end that are searched alone.
const NEAR: usize = 256;

/// Levels of a side whose changes are noted at most: who reads so seldom has to compare.
const NOTED: usize = 512;

// === impl Book ===

impl Book {
    /// An empty book.
    pub const fn new(bounds: DepthBounds) -> Self {
        Self {
            bids: Ladder { side: Side::Bid, levels: Vec::new(), horizon: None, notes: None },
            asks: Ladder { side: Side::Ask, levels: Vec::new(), horizon: None, notes: None },
            bounds,
            reader: 0,
        }
    }

    /// Replaces everything by a snapshot that was asked for with `limit` levels a side: a side with fewer is whole, one with as many may go on.
    pub fn load(&mut self, bids: &[Level], asks: &[Level], limit: usize) {
        self.bids.load(bids, limit, self.bounds);
        self.asks.load(asks, limit, self.bounds);
    }

    /// Applies absolute quantities; zero removes. Removing what is not held is normal (venues say so).
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        self.bids.set_all(bids, self.bounds);
        self.asks.set_all(asks, self.bounds);
    }

    /// Hands over what has changed on both sides since the reading of number `after`, and notes for the reading `next` from now on. `false`: that is not
    /// known, as the book is another one, was loaded anew, or has changed too much.
    pub(crate) fn take_notes(&mut self, (after, next): (u64, u64), into: [&mut Vec<Change>; 2]) -> bool {
        let mut known = std::mem::replace(&mut self.reader, next) == after && after != 0;
        for (ladder, into) in [&mut self.bids, &mut self.asks].into_iter().zip(into) {
            into.clear();
            known &= ladder.notes.is_some();
            std::mem::swap(ladder.notes.get_or_insert_default(), into);
        }
        known
    }

    /// The worst price up to which a side is known; `None`: all of it is.
    pub(crate) const fn horizon(&self, side: Side) -> Option<Price> {
        self.ladder(side).horizon
    }

    /// Up to `depth` levels of a side, best first.
    pub fn top(&self, side: Side, depth: usize) -> impl ExactSizeIterator<Item = Level> + '_ {
        let levels = &self.ladder(side).levels;
        levels.iter().rev().take(depth).copied()
    }

    /// The levels of a side below its first `depth`, and those; the best last in each.
    pub(crate) fn split(&self, side: Side, depth: usize) -> (&[Level], &[Level]) {
        let levels = &self.ladder(side).levels;
        levels.split_at_checked(levels.len().saturating_sub(depth)).unwrap_or_default()
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<Level> {
        self.ladder(side).levels.last().copied()
    }

    /// Whether a level is held at this price; `None` beyond what is known.
    pub fn holds(&self, side: Side, price: Price) -> Option<bool> {
        let ladder = self.ladder(side);
        let place = rank(side, price);
        let known = ladder.horizon.is_none_or(|horizon| place >= rank(side, horizon));
        known.then(|| ladder.levels.binary_search_by_key(&place, |held| rank(side, held.price)).is_ok())
    }

    /// Levels held on a side; all of them are the venue's.
    pub fn held(&self, side: Side) -> usize {
        self.ladder(side).levels.len()
    }

    /// Whether the first `depth` levels of both sides are all there: held, or the venue has no more.
    pub fn complete(&self, depth: usize) -> bool {
        [&self.bids, &self.asks].into_iter().all(|ladder| ladder.horizon.is_none() || ladder.levels.len() >= depth)
    }

    /// Best bid at or over best ask: no venue matches so, the book is wrong.
    pub fn is_crossed(&self) -> bool {
        matches!((self.best(Side::Bid), self.best(Side::Ask)), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }

    /// A side has no level.
    pub fn has_empty_side(&self) -> bool {
        self.bids.levels.is_empty() || self.asks.levels.is_empty()
    }

    /// Forgets all levels and gives their memory back.
    pub fn clear(&mut self) {
        for ladder in [&mut self.bids, &mut self.asks] {
            ladder.levels = Vec::new();
            ladder.horizon = None;
            ladder.notes = None;
        }
    }

    const fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }
}

// === impl Ladder ===

impl Ladder {
    fn load(&mut self, best_first: &[Level], limit: usize, bounds: DepthBounds) {
        self.notes = None;
        self.levels.clear();
        self.levels.extend(best_first.iter().rev().filter(|level| level.quantity.0 != 0));
        let side = self.side;
        // Venues send sorted sides; an unsorted one costs a sort, not a wrong book.
        if !self.levels.is_sorted_by_key(|level| rank(side, level.price)) {
            self.levels.sort_by_key(|level| rank(side, level.price));
        }
        self.levels.dedup_by_key(|level| level.price);
        self.horizon = if best_first.len() >= limit { self.levels.first().map(|level| level.price) } else { None };
        self.cut(bounds);
    }

    fn set_all(&mut self, changes: &[Level], bounds: DepthBounds) {
        for level in changes {
            self.set(*level, bounds);
        }
    }

    #[inline]
    fn set(&mut self, level: Level, bounds: DepthBounds) {
        let side = self.side;
        if self.horizon.is_some_and(|horizon| rank(side, level.price) < rank(side, horizon)) {
            return;
        }
        let (at, after) = (self.find(level.price), level.quantity);
        let before = match self.levels.get_mut(at).filter(|held| held.price == level.price) {
            Some(held) if after.0 != 0 => std::mem::replace(&mut held.quantity, after),
            Some(held) => {
                let before = held.quantity;
                self.levels.remove(at);
                before
            }
            None if after.0 == 0 => return,
            None => {
                self.levels.insert(at, level);
                if self.levels.len() > bounds.most {
                    self.cut(bounds);
                }
                Quantity(0)
            }
        };
        if let Some(notes) = &mut self.notes
            && before != after
        {
            note(Change { rank: rank(side, level.price), before, after }, notes);
            if notes.len() > NOTED {
                self.notes = None;
            }
        }
    }

    /// Where a level of this price is, or belongs. Most changes are near the touch: that end is searched alone, and is all that a busy book needs of the cache.
    fn find(&self, price: Price) -> usize {
        match self.side {
            Side::Bid => self.first_not(|held| held.price < price),
            Side::Ask => self.first_not(|held| held.price > price),
        }
    }

    /// How many levels are worse.
    fn first_not(&self, worse: impl Fn(&Level) -> bool) -> usize {
        let near = self.levels.len().saturating_sub(NEAR);
        let from = if self.levels.get(near).is_some_and(&worse) { near } else { 0 };
        from + self.levels.get(from..).unwrap_or_default().partition_point(worse)
    }

    fn cut(&mut self, bounds: DepthBounds) {
        let surplus = self.levels.len().saturating_sub(bounds.kept);
        if self.levels.len() > bounds.most && surplus > 0 {
            self.levels.drain(..surplus);
            self.horizon = self.levels.first().map(|level| level.price);
        }
    }
}

/// Rises towards the best level on both sides.
pub(crate) const fn rank(side: Side, price: Price) -> i64 {
    match side {
        Side::Bid => price.0,
        Side::Ask => -price.0,
    }
}

/// The price of a rank.
pub(crate) const fn price_of(side: Side, rank: i64) -> Price {
    match side {
        Side::Bid => Price(rank),
        Side::Ask => Price(-rank),
    }
}

/// Notes a change in its place. Venues mostly write the best level first.
#[inline]
fn note(change: Change, notes: &mut Vec<Change>) {
    if notes.last().is_none_or(|last| last.rank > change.rank) {
        return notes.push(change);
    }
    let at = notes.partition_point(|noted| noted.rank > change.rank);
    match notes.get_mut(at).filter(|noted| noted.rank == change.rank) {
        Some(noted) => noted.after = change.after,
        None => notes.insert(at, change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ROOMY: DepthBounds = DepthBounds { most: 1_000, kept: 900 };

    fn level(price: i64, quantity: i64) -> Level {
        Level { price: Price(price), quantity: Quantity(quantity) }
    }

    fn prices(book: &Book, side: Side) -> Vec<i64> {
        book.top(side, usize::MAX).map(|level| level.price.0).collect()
    }

    #[test]
    fn sides_read_best_first() {
        let mut book = Book::new(ROOMY);
        book.load(&[level(10, 1), level(9, 1)], &[level(11, 1), level(13, 1)], 1_000);
        book.apply(&[level(8, 4), level(10, 0)], &[level(12, 5), level(99, 0)]);
        assert_eq!(prices(&book, Side::Bid), [9, 8]);
        assert_eq!(prices(&book, Side::Ask), [11, 12, 13]);
        assert!(!book.is_crossed() && !book.has_empty_side() && book.complete(100), "a whole snapshot stays complete");
        book.apply(&[level(11, 1)], &[]);
        assert!(book.is_crossed(), "a bid at the ask");
    }

    #[test]
    fn nothing_is_held_past_the_last_level_of_a_cut_snapshot() {
        let mut book = Book::new(ROOMY);
        book.load(&[level(10, 1), level(9, 1)], &[level(11, 1), level(12, 1)], 2);
        book.apply(&[level(8, 1), level(7, 1)], &[level(13, 1)]);
        assert_eq!((prices(&book, Side::Bid), prices(&book, Side::Ask)), (vec![10, 9], vec![11, 12]));
        book.apply(&[level(10, 0), level(9, 0), level(9, 3)], &[]);
        assert_eq!(prices(&book, Side::Bid), [9], "the horizon itself is known");
        assert!(book.complete(1) && !book.complete(2));
    }

    #[test]
    fn a_cut_moves_the_horizon_inwards() {
        let mut book = Book::new(DepthBounds { most: 4, kept: 2 });
        book.load(&[level(1, 1)], &[level(100, 1)], 1_000);
        book.apply(&[level(2, 1), level(3, 1), level(4, 1)], &[]);
        assert_eq!(book.held(Side::Bid), 4);
        book.apply(&[level(5, 1)], &[]);
        assert_eq!(prices(&book, Side::Bid), [5, 4]);
        book.apply(&[level(5, 0), level(3, 7)], &[]);
        assert_eq!(prices(&book, Side::Bid), [4], "3 is past the cut: what lies between is forgotten");
        assert!(book.complete(1) && !book.complete(2));
    }

    #[test]
    fn an_unsorted_snapshot_is_put_in_order() {
        let mut book = Book::new(ROOMY);
        book.load(&[level(8, 1), level(10, 1), level(9, 0)], &[level(12, 1), level(11, 1)], 1_000);
        assert_eq!((prices(&book, Side::Bid), prices(&book, Side::Ask)), (vec![10, 8], vec![11, 12]));
    }

    fn sided() -> impl Strategy<Value = Vec<(bool, i64, i64)>> {
        proptest::collection::vec((any::<bool>(), 1i64..60, 0i64..4), 0..300)
    }

    proptest! {
        /// Against a map of the venue's whole book: what is held is a prefix of the truth, whatever the bounds and the snapshot's limit.
        #[test]
        fn what_is_held_is_the_venues_best(start in sided(), changes in sided(), limit in 1usize..40, kept in 1usize..20, slack in 0usize..10) {
            let mut truth = [BTreeMap::new(), BTreeMap::new()];
            let place = |truth: &mut [BTreeMap<i64, i64>; 2], (bid, price, quantity): (bool, i64, i64)| {
                let side = &mut truth[usize::from(!bid)];
                let rank = if bid { -price } else { price };
                if quantity == 0 { side.remove(&rank); } else { side.insert(rank, quantity); }
            };
            for &change in &start { place(&mut truth, change); }
            let side = |map: &BTreeMap<i64, i64>, limit: usize| map.iter().take(limit).map(|(rank, q)| level(rank.abs(), *q)).collect::<Vec<_>>();
            let mut book = Book::new(DepthBounds { most: kept + slack, kept });
            book.load(&side(&truth[0], limit), &side(&truth[1], limit), limit);
            for &change in &changes {
                place(&mut truth, change);
                let (bid, price, quantity) = change;
                let one = [level(price, quantity)];
                if bid { book.apply(&one, &[]) } else { book.apply(&[], &one) }
                for (which, map) in [(Side::Bid, &truth[0]), (Side::Ask, &truth[1])] {
                    let held: Vec<Level> = book.top(which, usize::MAX).collect();
                    prop_assert!(held.len() <= kept + slack);
                    prop_assert_eq!(&held, &side(map, held.len()));
                    if book.complete(5) { prop_assert!(held.len() >= 5.min(map.len())); }
                }
            }
        }
    }
}
