//! What changed in a published book since it was published last, so that a consumer can follow it without whole images.
//!
//! Owns: the image that consumers have, and the difference between it and the book now. Must not know: when one leaves, how it is written.
//!
//! A delta is the difference of two published states, not the venue's own: a level that fell out of the published depth is removed (quantity zero), one
//! that moved up into it is added, whatever happened in between: conflation, a deeper snapshot, another connection. So applying it gives exactly the
//! first N levels at its sequence. Where nothing is left to continue (a resync, a refused record) the next one is the whole image.

use std::cmp::Ordering;
use std::time::Duration;

use crate::book::{Level, Side, rank};
use crate::instrument::Instrument;
use crate::kind::RecordKind;
use crate::message::{BookView, Head, Stamp};
use crate::price::Quantity;

/// The difference, to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct BookDelta<'a> {
    /// Whose book.
    pub instrument: &'a Instrument,
    /// What its record begins with.
    pub head: &'a Head,
    /// Where in the venue's sequence the book is after it.
    pub stamp: Stamp,
    /// The sequence of the delta before, which it continues; `None`: it continues nothing.
    pub previous: Option<u64>,
    /// Whether it is the whole image; else only what differs.
    pub form: DeltaForm,
    /// Published levels of a side.
    pub depth: usize,
    /// Whether the published depth is all there (or the venue has no more levels).
    pub complete: bool,
    /// Bids, best first; absolute quantities, zero removes.
    pub bids: &'a [Level],
    /// Asks, best first; absolute quantities, zero removes.
    pub asks: &'a [Level],
}

/// What a delta holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaForm {
    /// All published levels: a consumer forgets what it had.
    Snapshot,
    /// The levels that differ.
    Delta,
}

/// The chain of one instrument.
#[derive(Debug, Default)]
pub(crate) struct DeltaChain {
    /// Of the delta that left last; `None`: the next begins anew.
    sequence: Option<u64>,
    snapshot_at: Duration,
    /// What consumers have, the best last, as a book holds it.
    bids: Vec<Level>,
    asks: Vec<Level>,
    /// Made with the first delta.
    head: Option<Head>,
    /// Reused between deltas.
    changed: (Vec<Level>, Vec<Level>),
}

/// A whole image is sent this often, for those who join late.
pub const SNAPSHOT_EVERY: Duration = Duration::from_mins(1);

// === impl DeltaForm ===

impl DeltaForm {
    /// The word in `update_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeltaForm::Snapshot => "snapshot",
            DeltaForm::Delta => "delta",
        }
    }
}

// === impl DeltaChain ===

impl DeltaChain {
    /// The book is not exact any more, or a consumer missed a delta: the next is the whole image.
    pub(crate) const fn break_off(&mut self) {
        self.sequence = None;
    }

    /// From what consumers have to this state, which they have from then on. `None`: nothing differs, and the next delta continues the one before.
    pub(crate) fn advance<'a>(&'a mut self, now: Duration, view: &BookView<'a>) -> Option<BookDelta<'a>> {
        let previous = self.sequence;
        let form = if previous.is_none() || now >= self.snapshot_at { DeltaForm::Snapshot } else { DeltaForm::Delta };
        for (side, had, changed) in [(Side::Bid, &mut self.bids, &mut self.changed.0), (Side::Ask, &mut self.asks, &mut self.changed.1)] {
            let now_there = view.book.top_slice(side, view.depth);
            changed.clear();
            match form {
                DeltaForm::Snapshot => changed.extend(now_there.iter().rev()),
                DeltaForm::Delta => differ(side, had, now_there, changed),
            }
            if !changed.is_empty() || form == DeltaForm::Snapshot {
                had.clear();
                had.extend_from_slice(now_there);
            }
        }
        let head = self.head.get_or_insert_with(|| Head::new(RecordKind::OrderBookDelta, view.instrument));
        let (bids, asks) = (&self.changed.0, &self.changed.1);
        match form {
            DeltaForm::Delta if bids.is_empty() && asks.is_empty() => return None,
            DeltaForm::Delta => {}
            DeltaForm::Snapshot => self.snapshot_at = now.saturating_add(SNAPSHOT_EVERY),
        }
        self.sequence = Some(view.stamp.sequence);
        Some(BookDelta {
            instrument: view.instrument,
            head,
            stamp: view.stamp,
            previous,
            form,
            depth: view.depth,
            complete: view.complete(),
            bids,
            asks,
        })
    }
}

/// Appends what turns `had` into `new`, best first; both have the best last.
fn differ(side: Side, mut had: &[Level], mut new: &[Level], changed: &mut Vec<Level>) {
    let gone = |level: Level| Level { price: level.price, quantity: Quantity(0) };
    loop {
        // Most levels are as they were: eight at a time, without a branch for each.
        while let (Some((others, same)), Some((rest, now))) = (had.split_last_chunk::<8>(), new.split_last_chunk::<8>()) {
            if !equal(same, now) {
                break;
            }
            (had, new) = (others, rest);
        }
        match (had.split_last(), new.split_last()) {
            (None, None) => return,
            (Some((passed, others)), None) => {
                changed.push(gone(*passed));
                had = others;
            }
            (None, Some((level, rest))) => {
                changed.push(*level);
                new = rest;
            }
            (Some((old, others)), Some((level, rest))) => match rank(side, old.price).cmp(&rank(side, level.price)) {
                // A better price than any that is left now.
                Ordering::Greater => {
                    changed.push(gone(*old));
                    had = others;
                }
                Ordering::Equal => {
                    if old.quantity != level.quantity {
                        changed.push(*level);
                    }
                    (had, new) = (others, rest);
                }
                Ordering::Less => {
                    changed.push(*level);
                    new = rest;
                }
            },
        }
    }
}

fn equal(a: &[Level; 8], b: &[Level; 8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.price.0 ^ b.price.0) | (a.quantity.0 ^ b.quantity.0));
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Book, DepthBounds};
    use crate::instrument::{Exchange, MarketType};
    use crate::price::{Price, Scale};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn instrument() -> Instrument {
        let scale = Scale::new(2);
        let (exchange, market_type) = (Exchange::Binance, MarketType::Spot);
        Instrument::new(exchange, market_type, ("AB", "A-B"), (scale, scale))
    }

    fn level(price: i64, quantity: i64) -> Level {
        Level { price: Price(price), quantity: Quantity(quantity) }
    }

    fn view<'a>(instrument: &'a Instrument, book: &'a Book, sequence: u64, depth: usize) -> BookView<'a> {
        BookView { instrument, book, depth, stamp: Stamp { sequence, ..Stamp::default() }, confirmed: true }
    }

    /// A consumer, as the manual tells it to be.
    #[derive(Default)]
    struct Consumer {
        sequence: Option<u64>,
        bids: BTreeMap<i64, i64>,
        asks: BTreeMap<i64, i64>,
    }

    impl Consumer {
        fn take(&mut self, delta: &BookDelta<'_>) {
            match delta.form {
                DeltaForm::Snapshot => {
                    self.bids.clear();
                    self.asks.clear();
                }
                DeltaForm::Delta => assert_eq!(delta.previous, self.sequence, "the chain"),
            }
            self.sequence = Some(delta.stamp.sequence);
            for (map, levels) in [(&mut self.bids, delta.bids), (&mut self.asks, delta.asks)] {
                for level in levels {
                    if level.quantity.0 == 0 {
                        assert!(map.remove(&level.price.0).is_some(), "only what was there is removed");
                    } else {
                        map.insert(level.price.0, level.quantity.0);
                    }
                }
            }
        }

        fn has(&self, view: &BookView<'_>) -> bool {
            let bids: Vec<Level> = self.bids.iter().rev().map(|(p, q)| level(*p, *q)).collect();
            let asks: Vec<Level> = self.asks.iter().map(|(p, q)| level(*p, *q)).collect();
            bids == view.levels(Side::Bid).collect::<Vec<_>>() && asks == view.levels(Side::Ask).collect::<Vec<_>>()
        }
    }

    #[test]
    fn a_level_that_falls_out_of_the_depth_is_removed_and_the_next_one_comes_in() {
        let (instrument, mut book, mut chain) = (instrument(), Book::new(DepthBounds { most: 10, kept: 10 }), DeltaChain::default());
        book.load(&[level(10, 1), level(9, 2), level(8, 3)], &[level(11, 1), level(12, 2)], 100);
        let first = chain.advance(Duration::ZERO, &view(&instrument, &book, 5, 2)).unwrap();
        assert_eq!((first.form, first.previous, first.bids, first.asks.len()), (DeltaForm::Snapshot, None, &[level(10, 1), level(9, 2)][..], 2));
        book.apply(&[level(10, 0)], &[]);
        let second = chain.advance(Duration::ZERO, &view(&instrument, &book, 7, 2)).unwrap();
        assert_eq!((second.form, second.previous, second.stamp.sequence), (DeltaForm::Delta, Some(5), 7));
        assert_eq!((second.bids, second.asks), (&[level(10, 0), level(8, 3)][..], &[][..]));
        book.apply(&[level(1, 7)], &[]);
        assert!(chain.advance(Duration::ZERO, &view(&instrument, &book, 8, 2)).is_none(), "nothing that is published changed");
        book.apply(&[level(11, 0)], &[level(11, 4)]);
        let third = chain.advance(Duration::ZERO, &view(&instrument, &book, 9, 2)).unwrap();
        assert_eq!((third.previous, third.asks), (Some(7), &[level(11, 4)][..]), "it continues the last that left");
    }

    #[test]
    fn a_whole_image_comes_after_a_break_and_every_minute() {
        let (instrument, mut book, mut chain) = (instrument(), Book::new(DepthBounds { most: 10, kept: 10 }), DeltaChain::default());
        book.load(&[level(10, 1)], &[level(11, 1)], 100);
        let mut form = |chain: &mut DeltaChain, at: u64| {
            book.apply(&[level(10, 1 + at as i64)], &[]);
            chain.advance(Duration::from_secs(at), &view(&instrument, &book, at, 2)).map(|delta| (delta.form, delta.previous))
        };
        assert_eq!(form(&mut chain, 1), Some((DeltaForm::Snapshot, None)));
        assert_eq!(form(&mut chain, 2), Some((DeltaForm::Delta, Some(1))));
        chain.break_off();
        assert_eq!(form(&mut chain, 3), Some((DeltaForm::Snapshot, None)));
        assert_eq!(form(&mut chain, 62), Some((DeltaForm::Delta, Some(3))));
        assert_eq!(form(&mut chain, 63), Some((DeltaForm::Snapshot, Some(62))), "who is in the chain may go on");
    }

    proptest! {
        /// Whatever the book does between two publications, the consumer has the first N levels after each.
        #[test]
        fn the_consumer_has_the_book(
            changes in proptest::collection::vec((any::<bool>(), 1i64..40, 0i64..4, 0u8..12), 1..300),
            depth in 1usize..12, kept in 4usize..30,
        ) {
            let instrument = instrument();
            let (mut book, mut chain, mut consumer) = (Book::new(DepthBounds { most: kept + 5, kept }), DeltaChain::default(), Consumer::default());
            book.load(&[level(20, 1)], &[level(21, 1)], 1);
            let mut at = 0;
            for (bid, price, quantity, what) in changes {
                at += 1;
                let change = [level(if bid { 100 + price } else { 200 + price }, quantity)];
                if bid { book.apply(&change, &[]) } else { book.apply(&[], &change) }
                match what {
                    // Conflated: this state does not leave.
                    0..=3 => continue,
                    // A deeper snapshot replaces the book; a resync does so and breaks the chain.
                    4 => book.load(&[level(100 + price, 1), level(100, 2)], &[level(240, quantity)], 3),
                    5 => chain.break_off(),
                    _ => {}
                }
                let now = view(&instrument, &book, at, depth);
                match chain.advance(Duration::from_secs(at * 7), &now) {
                    Some(delta) => consumer.take(&delta),
                    None => prop_assert!(consumer.sequence.is_some()),
                }
                prop_assert!(consumer.has(&now), "at {at}");
            }
        }
    }
}
