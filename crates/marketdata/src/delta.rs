//! What changed in a published book since it was published last, so that a consumer can follow it without whole images.
//!
//! Owns: the image that consumers have, and the difference between it and the book now. Must not know: when one leaves, how it is written.
//!
//! A delta is the difference of two published states, not the venue's own: a level that fell out of the published depth is removed (quantity zero), one
//! that moved up into it is added, whatever happened in between: conflation, a deeper snapshot, another connection. So applying it gives exactly the
//! first N levels at its sequence. Where nothing is left to continue (a resync, a refused record) the next one is the whole image; where each update leaves
//! by itself so is the one after a book was replaced by a deeper snapshot or another connection's, as nobody has noted then what differs.

mod difference;

use std::time::Duration;

use crate::book::{Book, Change, Level, Side};
use crate::instrument::Instrument;
use crate::kind::RecordKind;
use crate::message::{BookView, Head, Stamp};
use crate::venue::Publication;
use difference::Reach;

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
#[derive(Debug)]
pub(crate) struct DeltaChain {
    /// Of the delta that left last; `None`: the next begins anew.
    sequence: Option<u64>,
    snapshot_at: Duration,
    bids: Known,
    asks: Known,
    /// Made with the first delta.
    head: Option<Head>,
    /// How it learns what has changed.
    source: Source,
}

/// Where differences come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// From comparing with what consumers have: whatever has happened in between, much of it is the same.
    Comparison,
    /// From the changes that the book has noted since this reading of it; 0: none yet. Where each update leaves by itself they are few.
    Notes(u64),
}

/// What is known of a side that consumers have.
#[derive(Debug, Default)]
struct Known {
    /// Its levels, the best last, as a book holds them; only to be compared with.
    levels: Vec<Level>,
    /// How far it reaches, and what the book has noted since; only to go by notes.
    reach: Reach,
    notes: Vec<Change>,
    /// What differs, best first; reused between deltas.
    changed: Vec<Level>,
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
    /// The chain of a stream that leaves so often.
    pub(crate) fn new(publication: Publication) -> Self {
        let source = match publication {
            Publication::EveryUpdate => Source::Notes(0),
            Publication::Conflated(_) => Source::Comparison,
        };
        Self { sequence: None, snapshot_at: Duration::ZERO, bids: Known::default(), asks: Known::default(), head: None, source }
    }

    /// The book is not exact any more, or a consumer missed a delta: the next is the whole image.
    pub(crate) const fn break_off(&mut self) {
        self.sequence = None;
    }

    /// Takes what the book has noted, before [`advance`](Self::advance). Notes that do not continue what was read before are of no use: an image is due.
    pub(crate) fn read(&mut self, book: &mut Book) {
        let Source::Notes(after) = self.source else { return };
        let next = after + 1;
        self.source = Source::Notes(next);
        if !book.take_notes((after, next), [&mut self.bids.notes, &mut self.asks.notes]) {
            self.snapshot_at = Duration::ZERO;
        }
    }

    /// From what consumers have to this state, which they have from then on. `None`: nothing differs, and the next delta continues the one before.
    pub(crate) fn advance<'a>(&'a mut self, now: Duration, (view, instrument): (&BookView<'_>, &'a Instrument)) -> Option<BookDelta<'a>> {
        let previous = self.sequence;
        let known = previous.is_some() && now < self.snapshot_at && self.differ(view);
        let form = if known { DeltaForm::Delta } else { DeltaForm::Snapshot };
        match form {
            DeltaForm::Delta if self.bids.changed.is_empty() && self.asks.changed.is_empty() => return None,
            DeltaForm::Delta => {}
            DeltaForm::Snapshot => {
                self.bids.restate((view, Side::Bid), self.source);
                self.asks.restate((view, Side::Ask), self.source);
                self.snapshot_at = now.saturating_add(SNAPSHOT_EVERY);
            }
        }
        self.sequence = Some(view.stamp.sequence);
        let head = self.head.get_or_insert_with(|| Head::new(RecordKind::OrderBookDelta, instrument));
        Some(BookDelta {
            instrument,
            head,
            stamp: view.stamp,
            previous,
            form,
            depth: view.depth,
            complete: view.complete(),
            bids: &self.bids.changed,
            asks: &self.asks.changed,
        })
    }

    /// Finds what differs; `false`: that cannot be told.
    fn differ(&mut self, view: &BookView<'_>) -> bool {
        let Self { bids, asks, source, .. } = self;
        bids.differ((view, Side::Bid), *source) && asks.differ((view, Side::Ask), *source)
    }
}

// === impl Known ===

impl Known {
    fn differ(&mut self, (view, side): (&BookView<'_>, Side), source: Source) -> bool {
        self.changed.clear();
        match source {
            Source::Comparison => {
                let (_, published) = view.book.split(side, view.depth);
                difference::compared(side, &self.levels, published, &mut self.changed);
                if !self.changed.is_empty() {
                    self.keep(published);
                }
                true
            }
            Source::Notes(_) => match difference::noted((view.book, side, view.depth), (self.reach, &self.notes), &mut self.changed) {
                Some(reach) => {
                    self.reach = reach;
                    true
                }
                None => false,
            },
        }
    }

    /// All of it.
    fn restate(&mut self, (view, side): (&BookView<'_>, Side), source: Source) {
        let (_, published) = view.book.split(side, view.depth);
        self.changed.clear();
        self.changed.extend(published.iter().rev());
        match source {
            Source::Comparison => self.keep(published),
            Source::Notes(_) => self.reach = Reach::of(view.book, side, view.depth),
        }
    }

    fn keep(&mut self, published: &[Level]) {
        self.levels.clear();
        self.levels.extend_from_slice(published);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::DepthBounds;
    use crate::instrument::{Exchange, MarketType};
    use crate::price::{Price, Quantity, Scale};
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

    /// The next of the chain, as a venue takes it.
    fn next<'a>(chain: &'a mut DeltaChain, at: u64, (instrument, book, depth): (&'a Instrument, &mut Book, usize)) -> Option<BookDelta<'a>> {
        chain.read(book);
        chain.advance(Duration::from_secs(at), (&view(instrument, book, at, depth), instrument))
    }

    const WAYS: [Publication; 2] = [Publication::EveryUpdate, Publication::Conflated(Duration::from_millis(100))];

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
        for way in WAYS {
            let (instrument, mut book, mut chain) = (instrument(), Book::new(DepthBounds { most: 10, kept: 10 }), DeltaChain::new(way));
            book.load(&[level(10, 1), level(9, 2), level(8, 3)], &[level(11, 1), level(12, 2)], 100);
            let first = next(&mut chain, 5, (&instrument, &mut book, 2)).unwrap();
            assert_eq!((first.form, first.previous, first.bids, first.asks.len()), (DeltaForm::Snapshot, None, &[level(10, 1), level(9, 2)][..], 2));
            book.apply(&[level(10, 0)], &[]);
            let second = next(&mut chain, 7, (&instrument, &mut book, 2)).unwrap();
            assert_eq!((second.form, second.previous, second.stamp.sequence), (DeltaForm::Delta, Some(5), 7));
            assert_eq!((second.bids, second.asks), (&[level(10, 0), level(8, 3)][..], &[][..]));
            book.apply(&[level(1, 7)], &[]);
            assert!(next(&mut chain, 8, (&instrument, &mut book, 2)).is_none(), "nothing that is published changed");
            book.apply(&[level(11, 0)], &[level(11, 4)]);
            let third = next(&mut chain, 9, (&instrument, &mut book, 2)).unwrap();
            assert_eq!((third.previous, third.asks), (Some(7), &[level(11, 4)][..]), "it continues the last that left");
        }
    }

    #[test]
    fn a_whole_image_comes_after_a_break_and_every_minute() {
        for way in WAYS {
            let (instrument, mut book, mut chain) = (instrument(), Book::new(DepthBounds { most: 10, kept: 10 }), DeltaChain::new(way));
            book.load(&[level(10, 1)], &[level(11, 1)], 100);
            let mut form = |chain: &mut DeltaChain, at: u64| {
                book.apply(&[level(10, 1 + at as i64)], &[]);
                next(chain, at, (&instrument, &mut book, 2)).map(|delta| (delta.form, delta.previous))
            };
            assert_eq!(form(&mut chain, 1), Some((DeltaForm::Snapshot, None)));
            assert_eq!(form(&mut chain, 2), Some((DeltaForm::Delta, Some(1))));
            chain.break_off();
            assert_eq!(form(&mut chain, 3), Some((DeltaForm::Snapshot, None)));
            assert_eq!(form(&mut chain, 62), Some((DeltaForm::Delta, Some(3))));
            assert_eq!(form(&mut chain, 63), Some((DeltaForm::Snapshot, Some(62))), "who is in the chain may go on");
        }
    }

    #[test]
    fn another_book_is_compared_or_told_whole() {
        for (way, expected) in WAYS.into_iter().zip([DeltaForm::Snapshot, DeltaForm::Delta]) {
            let (instrument, mut book, mut chain) = (instrument(), Book::new(DepthBounds { most: 10, kept: 10 }), DeltaChain::new(way));
            book.load(&[level(10, 1)], &[level(11, 1)], 100);
            assert!(next(&mut chain, 1, (&instrument, &mut book, 2)).is_some());
            let mut deeper = Book::new(DepthBounds { most: 10, kept: 10 });
            deeper.load(&[level(10, 2)], &[level(11, 1)], 100);
            let told = next(&mut chain, 2, (&instrument, &mut deeper, 2)).unwrap();
            assert_eq!((told.form, told.previous), (expected, Some(1)));
        }
    }

    proptest! {
        /// Whatever the book does between two publications, the consumer has the first N levels after each.
        #[test]
        fn the_consumer_has_the_book(
            changes in proptest::collection::vec((any::<bool>(), 1i64..40, 0i64..4, 0u8..12), 1..300),
            depth in 1usize..12, kept in 4usize..30, way in 0usize..2,
        ) {
            let instrument = instrument();
            let (mut book, mut chain, mut consumer) =
                (Book::new(DepthBounds { most: kept + 5, kept }), DeltaChain::new(WAYS[way]), Consumer::default());
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
                match next(&mut chain, at * 7, (&instrument, &mut book, depth)) {
                    Some(delta) => consumer.take(&BookDelta { stamp: Stamp { sequence: at * 7, ..delta.stamp }, ..delta }),
                    None => prop_assert!(consumer.sequence.is_some()),
                }
                prop_assert!(consumer.has(&view(&instrument, &book, at, depth)), "at {at}");
            }
        }
    }
}
