//! The text of a book's levels, kept from one publication to the next: most levels are as they were, and numbers are what costs.
//!
//! Owns: the levels that were written last, and their text. Must not know: what else is in a record.

use std::cmp::Ordering;

use crate::book::{Level, Side, rank};
use crate::message::{BookView, book_with, row};
use clock::Now;

/// Writes the books of one instrument, one after the other.
#[derive(Debug, Default)]
pub struct BookText {
    bids: SideText,
    asks: SideText,
    /// Reused between sides.
    scratch: SideText,
}

/// One side, best first.
#[derive(Debug, Default)]
struct SideText {
    levels: Vec<Level>,
    /// Where each level's text ends.
    ends: Vec<u32>,
    /// `["price","quantity"],` of each level.
    text: Vec<u8>,
}

// === impl BookText ===

impl BookText {
    /// Appends what [`encode_book`](crate::message::encode_book) appends.
    pub fn encode(&mut self, view: &BookView<'_>, now: Now, out: &mut Vec<u8>) {
        for (side, known) in [(Side::Bid, &mut self.bids), (Side::Ask, &mut self.asks)] {
            self.scratch.rewrite(view, side, known);
            std::mem::swap(&mut self.scratch, known);
        }
        book_with(view, now, (self.bids.joined(), self.asks.joined()), out);
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        [&self.bids, &self.asks, &self.scratch]
            .into_iter()
            .map(|side| side.text.capacity() + side.ends.capacity() * size_of::<u32>() + side.levels.capacity() * size_of::<Level>())
            .sum()
    }
}

// === impl SideText ===

impl SideText {
    /// The text without the last comma.
    fn joined(&self) -> &[u8] {
        self.text.strip_suffix(b",").unwrap_or_default()
    }

    /// Becomes the text of the book's side; runs of levels that `known` has are copied as they are.
    fn rewrite(&mut self, view: &BookView<'_>, side: Side, known: &Self) {
        self.levels.clear();
        self.ends.clear();
        self.text.clear();
        let mut at = 0;
        let mut run: Option<(usize, usize)> = None;
        for level in view.levels(side) {
            let place = rank(side, level.price);
            while known.levels.get(at).is_some_and(|old| rank(side, old.price).cmp(&place) == Ordering::Greater) {
                at += 1;
            }
            if known.levels.get(at) == Some(&level) {
                run = match run {
                    Some((from, to)) if to == at => Some((from, at + 1)),
                    other => {
                        self.copy(known, other);
                        Some((at, at + 1))
                    }
                };
                at += 1;
            } else {
                self.copy(known, run.take());
                self.levels.push(level);
                row(view.instrument, level, &mut self.text);
                self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
            }
        }
        self.copy(known, run);
    }

    fn copy(&mut self, known: &Self, run: Option<(usize, usize)>) {
        let Some((from, to)) = run else { return };
        let begin = from.checked_sub(1).and_then(|before| known.ends.get(before)).copied().unwrap_or(0);
        let (Some(levels), Some(ends)) = (known.levels.get(from..to), known.ends.get(from..to)) else { return };
        let end = ends.last().copied().unwrap_or(begin);
        let base = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.levels.extend_from_slice(levels);
        self.ends.extend(ends.iter().map(|end| base + (end - begin)));
        self.text.extend_from_slice(known.text.get(begin as usize..end as usize).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Book, DepthBounds};
    use crate::instrument::tests::named;
    use crate::message::{Stamp, encode_book};
    use crate::price::{Price, Quantity};
    use proptest::prelude::*;

    proptest! {
        /// Whatever happened to the book in between, the text is the one that is written anew.
        #[test]
        fn the_kept_text_is_the_text(changes in proptest::collection::vec((any::<bool>(), 1i64..60, 0i64..5, any::<bool>()), 1..200), depth in 1usize..30) {
            let instrument = named("AB");
            let mut book = Book::new(DepthBounds { most: 40, kept: 30 });
            let mut kept = BookText::default();
            for (bid, price, quantity, leaves) in changes {
                let level = [Level { price: Price(if bid { price } else { 100 + price }), quantity: Quantity(quantity * 1_234_567) }];
                if bid { book.apply(&level, &[]) } else { book.apply(&[], &level) }
                if !leaves {
                    continue;
                }
                let view = BookView { instrument: &instrument, book: &book, depth, stamp: Stamp::default(), confirmed: true };
                let (mut anew, mut from_kept) = (Vec::new(), Vec::new());
                encode_book(&view, Now::default(), &mut anew);
                kept.encode(&view, Now::default(), &mut from_kept);
                prop_assert_eq!(String::from_utf8(anew).unwrap(), String::from_utf8(from_kept).unwrap());
            }
        }
    }
}
