//! What turns the first N levels that consumers have into those that a book has now: by comparing the two, or from what the book has noted meanwhile.
//!
//! Owns: both ways, which give the same. Must not know: instruments, time, which way is gone when.

use std::cmp::Ordering;

use crate::book::{Book, Change, Level, Side, price_of, rank};
use crate::price::{Price, Quantity};

/// How far down consumers know a side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// The worst price of the published depth; where there are fewer levels, the horizon.
    edge: Option<Price>,
    /// The worst price up to which the book itself was known then; `None`: all of it.
    horizon: Option<Price>,
}

/// Levels eight at a time.
type Eight = [Level; 8];

// === impl Reach ===

impl Reach {
    pub(super) fn of(book: &Book, side: Side, depth: usize) -> Self {
        let (_, published) = book.split(side, depth);
        let (last, horizon) = (published.first().filter(|_| published.len() >= depth), book.horizon(side));
        Self { edge: last.map(|level| level.price).or(horizon), horizon }
    }

    /// Whether a level of this price is published, if there is one.
    fn has(self, side: Side, price: Price) -> bool {
        self.edge.is_none_or(|edge| rank(side, price) >= rank(side, edge))
    }

    /// Whether a book that is known to `horizon` now still holds what was published then and has not changed.
    fn is_within(self, side: Side, horizon: Option<Price>) -> bool {
        horizon == self.horizon || horizon.is_none_or(|horizon| self.edge.is_some_and(|edge| rank(side, horizon) <= rank(side, edge)))
    }
}

/// Appends what turns `had` into `new`, best first; both have the best last.
pub(super) fn compared(side: Side, mut had: &[Level], mut new: &[Level], changed: &mut Vec<Level>) {
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

/// Appends what has changed of the first `depth` levels since they were published to `before`, best first, by the changes that the book has noted since then;
/// how far they reach now. `None`: the book no longer holds what it would need.
pub(super) fn noted((book, side, depth): (&Book, Side, usize), (before, notes): (Reach, &[Change]), changed: &mut Vec<Level>) -> Option<Reach> {
    let now = Reach::of(book, side, depth);
    if !before.is_within(side, now.horizon) {
        return None;
    }
    if notes.is_empty() {
        return Some(now);
    }
    for Change { rank, before: old, after } in notes.iter().copied() {
        let price = price_of(side, rank);
        let (was, is) = (old.0 != 0 && before.has(side, price), after.0 != 0 && now.has(side, price));
        if is && !(was && old == after) {
            changed.push(Level { price, quantity: after });
        } else if was && !is {
            changed.push(Level { price, quantity: Quantity(0) });
        }
    }
    if before.edge != now.edge {
        let noted = |level: &Level| notes.binary_search_by(|change| rank(side, level.price).cmp(&change.rank)).is_ok();
        let (below, published) = book.split(side, depth);
        // What others have pushed out of the depth, and what came into it as others went; one of them is nothing.
        changed.extend(below.iter().rev().take_while(|level| before.has(side, level.price)).filter(|level| !noted(level)).copied().map(gone));
        let came = published.iter().take_while(|level| !before.has(side, level.price)).count();
        changed.extend(published.iter().take(came).rev().filter(|level| !noted(level)));
        let place = |level: &Level| std::cmp::Reverse(rank(side, level.price));
        if !changed.is_sorted_by_key(place) {
            changed.sort_unstable_by_key(place);
        }
    }
    Some(now)
}

const fn gone(level: Level) -> Level {
    Level { price: level.price, quantity: Quantity(0) }
}

fn equal(a: &Eight, b: &Eight) -> bool {
    let differing = a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.price.0 ^ b.price.0) | (a.quantity.0 ^ b.quantity.0));
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::DepthBounds;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// Both ways give the same, whatever has happened between two readings; and the notes are nearly always enough.
        #[test]
        fn what_was_noted_is_what_a_comparison_finds(
            messages in proptest::collection::vec((proptest::collection::vec((1i64..60, 0i64..4), 0..12), 0u8..10), 1..60),
            start in 0i64..50, limit in 1usize..60, depth in 1usize..12, kept in 4usize..20, slack in 0usize..6, bid in any::<bool>(),
        ) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let level = |(price, quantity): (i64, i64)| Level { price: Price(if bid { price } else { 100 - price }), quantity: Quantity(quantity) };
            let mut book = Book::new(DepthBounds { most: kept + slack, kept });
            let whole: Vec<Level> = (0..start).rev().map(|price| level((price + 1, 1))).collect();
            if bid { book.load(&whole, &[], limit) } else { book.load(&[], &whole, limit) }
            let (mut notes, mut others, mut reading) = (Vec::new(), Vec::new(), 0);
            let (mut had, mut before): (Vec<Level>, _) = (Vec::new(), Reach::default());
            for (levels, what) in messages {
                let levels: Vec<Level> = levels.into_iter().map(level).collect();
                if bid { book.apply(&levels, &[]) } else { book.apply(&[], &levels) }
                match what {
                    0 => continue,
                    1 => book.load(&levels, &levels, 5),
                    _ => {}
                }
                let known = book.take_notes((reading, reading + 1), if bid { [&mut notes, &mut others] } else { [&mut others, &mut notes] });
                reading += 1;
                prop_assert!(!known || what != 1, "a book that was loaded anew says so");
                let now = book.split(side, depth).1;
                if known {
                    let (mut by_notes, mut by_comparison) = (Vec::new(), Vec::new());
                    let told = noted((&book, side, depth), (before, &notes), &mut by_notes);
                    compared(side, &had, now, &mut by_comparison);
                    match told {
                        Some(reach) => {
                            prop_assert_eq!(&by_notes, &by_comparison);
                            prop_assert_eq!(reach, Reach::of(&book, side, depth));
                        }
                        None => prop_assert!(kept < depth + 48, "a cut has taken what was published"),
                    }
                }
                before = Reach::of(&book, side, depth);
                had = now.to_vec();
            }
        }
    }

    #[test]
    fn what_was_not_read_for_long_is_not_noted_for_ever() {
        let mut book = Book::new(DepthBounds { most: 10, kept: 10 });
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        let level = |quantity| [Level { price: Price(1), quantity: Quantity(quantity) }];
        book.apply(&level(1), &[]);
        assert!(!book.take_notes((0, 1), [&mut bids, &mut asks]), "nobody has read before");
        book.apply(&level(2), &[]);
        assert!(book.take_notes((1, 2), [&mut bids, &mut asks]));
        assert_eq!((bids.len(), asks.len()), (1, 0));
        assert!(!book.take_notes((1, 2), [&mut bids, &mut asks]), "another has read");
        for price in 1..2_000 {
            book.apply(&[Level { price: Price(price), quantity: Quantity(1) }], &[]);
        }
        assert!(!book.take_notes((2, 3), [&mut bids, &mut asks]) && bids.is_empty());
        book.apply(&[Level { price: Price(3_000), quantity: Quantity(1) }], &level(9));
        assert!(book.take_notes((3, 4), [&mut bids, &mut asks]));
        assert_eq!((bids.len(), asks.len()), (1, 1));
    }
}
