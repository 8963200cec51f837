//! What a book and its trades look like at the end of a second: the figures models are fed with.
//!
//! Owns: mid, spread, microprice, imbalances of one book. Prices are exact (with more decimals than the instrument's); imbalances are ratios, so floats.
//! Must not know: when a second ends, how it is written.

use crate::book::Side;
use crate::message::BookView;
use crate::preview::ofi::Touch;

/// A book in figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BookFigures {
    /// Sequence of the book.
    pub sequence: u64,
    /// Half of best bid plus best ask, in units of the price scale with one decimal more: exact.
    pub mid: i128,
    /// Best ask minus best bid, in units of the price scale.
    pub spread: i128,
    /// The best prices weighted by the size on the other side (bid·size of ask + ask·size of bid, over both sizes), in units of the price scale with
    /// [`MICRO_DIGITS`] decimals more, rounded down; `None` when it does not fit.
    pub microprice: Option<i128>,
    /// (bids − asks) / (bids + asks) of the quantities on the first 1, 5 and 10 levels; from −1 to 1.
    pub imbalance: [f64; DEPTHS.len()],
}

/// Levels over which imbalances are taken.
pub const DEPTHS: [usize; 3] = [1, 5, 10];
/// The deepest of them.
const DEEPEST: usize = 10;
/// Decimals of a microprice past those of the price scale.
pub const MICRO_DIGITS: u8 = 4;

// === impl BookFigures ===

impl BookFigures {
    /// `None`: a side is empty.
    pub(crate) fn of(view: &BookView<'_>) -> Option<Self> {
        let Touch { bid, ask } = Touch::of(view)?;
        let (bid_price, ask_price) = (i128::from(bid.price.0), i128::from(ask.price.0));
        let spread = ask_price - bid_price;
        Some(Self {
            sequence: view.stamp.sequence,
            mid: (bid_price + ask_price) * 5,
            spread,
            microprice: microprice((bid_price, i128::from(bid.quantity.0)), (spread, i128::from(ask.quantity.0))),
            imbalance: imbalances(view),
        })
    }
}

/// bid + spread · (size of bid) / (both sizes): the same figure, with smaller numbers on the way.
fn microprice((bid, bid_size): (i128, i128), (spread, ask_size): (i128, i128)) -> Option<i128> {
    let unit = 10i128.pow(u32::from(MICRO_DIGITS));
    let above = spread.checked_mul(unit)?.checked_mul(bid_size)?.checked_div_euclid(bid_size + ask_size)?;
    bid.checked_mul(unit)?.checked_add(above)
}

fn imbalances(view: &BookView<'_>) -> [f64; DEPTHS.len()] {
    let mut found = [0.0; DEPTHS.len()];
    let (mut bids, mut asks) = (view.book.top(Side::Bid, DEEPEST), view.book.top(Side::Ask, DEEPEST));
    let mut sums = (0i128, 0i128);
    let mut taken = 0;
    for (depth, imbalance) in DEPTHS.into_iter().zip(&mut found) {
        for _ in taken..depth {
            sums.0 += bids.next().map_or(0, |level| i128::from(level.quantity.0));
            sums.1 += asks.next().map_or(0, |level| i128::from(level.quantity.0));
        }
        taken = depth;
        let both = sums.0 + sums.1;
        *imbalance = if both > 0 { (sums.0 - sums.1) as f64 / both as f64 } else { 0.0 };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Book, DepthBounds, Level};
    use crate::instrument::{Exchange, Instrument, MarketType};
    use crate::message::Stamp;
    use crate::price::{Price, Quantity, Scale};
    use proptest::prelude::*;

    fn figures(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Option<BookFigures> {
        let levels = |side: &[(i64, i64)]| side.iter().map(|&(p, q)| Level { price: Price(p), quantity: Quantity(q) }).collect::<Vec<_>>();
        let mut book = Book::new(DepthBounds { most: 100, kept: 100 });
        book.load(&levels(bids), &levels(asks), 1_000);
        let (exchange, market_type, scale) = (Exchange::Binance, MarketType::Spot, Scale::new(2));
        let instrument = Instrument::new(exchange, market_type, ("AB", "A-B"), (scale, scale));
        BookFigures::of(&BookView {
            instrument: &instrument,
            book: &book,
            depth: 2,
            stamp: Stamp { sequence: 7, ..Stamp::default() },
            confirmed: true,
        })
    }

    #[test]
    fn computed_by_hand() {
        let found = figures(&[(100, 30), (99, 10), (98, 20)], &[(103, 10), (104, 10)]).unwrap();
        assert_eq!((found.mid, found.spread), (1_015, 3), "101.5, which needs a decimal more");
        // (100·10 + 103·30) / 40 = 102.25
        assert_eq!(found.microprice, Some(1_022_500));
        // 20 of 40, then 40 of 80 twice: a side with fewer levels counts what it has.
        assert!(found.imbalance.iter().all(|imbalance| (imbalance - 0.5).abs() < 1e-12), "{:?}", found.imbalance);
        assert_eq!(figures(&[(1, 1)], &[]), None);
    }

    proptest! {
        #[test]
        fn the_microprice_lies_between_the_best_prices_and_is_the_definition(
            bid in 1i64..1_000_000, spread in 1i64..1_000, bid_size in 1i64..i64::MAX, ask_size in 1i64..i64::MAX
        ) {
            let found = figures(&[(bid, bid_size)], &[(bid + spread, ask_size)]).unwrap();
            let micro = found.microprice.unwrap() as f64 / 10_000.0;
            let (b, a) = (bid_size as f64, ask_size as f64);
            let naive = (bid as f64 * a + (bid + spread) as f64 * b) / (a + b);
            prop_assert!((micro - naive).abs() < 1e-3, "{micro} {naive}");
            prop_assert!(micro >= bid as f64 && micro <= (bid + spread) as f64);
        }
    }
}
