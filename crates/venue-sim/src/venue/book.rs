//! The venue's own book of one symbol: the truth that the collector's books are compared with.
//! Written independently of `marketdata`, so that a misreading is not shared: prices are keyed by their decimal value, levels kept as the strings that were sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::wire::{DepthUpdate, Level, Snapshot};

/// Fraction digits kept in a price key; venues send at most eight.
const KEY_DECIMALS: usize = 12;

/// Side of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

/// All levels of one symbol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    bids: BTreeMap<u128, Level>,
    asks: BTreeMap<u128, Level>,
}

// === impl Book ===

impl Book {
    /// The book a snapshot describes.
    pub fn from_snapshot(snapshot: &Snapshot) -> Self {
        let mut book = Self::default();
        for level in &snapshot.bids {
            book.set(Side::Bid, level);
        }
        for level in &snapshot.asks {
            book.set(Side::Ask, level);
        }
        book
    }

    /// Puts an absolute quantity at a price; zero removes the price. A price that is no decimal number is left out.
    pub fn set(&mut self, side: Side, level: &Level) {
        let Some(key) = decimal_key(&level.0) else { return };
        let levels = self.side_mut(side);
        if is_zero(&level.1) {
            levels.remove(&key);
        } else {
            levels.insert(key, level.clone());
        }
    }

    /// Applies all changes of an event.
    pub fn apply(&mut self, diff: &DepthUpdate) {
        for level in &diff.b {
            self.set(Side::Bid, level);
        }
        for level in &diff.a {
            self.set(Side::Ask, level);
        }
    }

    /// The best `limit` levels of a side, best first.
    pub fn levels(&self, side: Side, limit: usize) -> Vec<Level> {
        match side {
            Side::Bid => self.bids.values().rev().take(limit).cloned().collect(),
            Side::Ask => self.asks.values().take(limit).cloned().collect(),
        }
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<&Level> {
        match side {
            Side::Bid => self.bids.values().next_back(),
            Side::Ask => self.asks.values().next(),
        }
    }

    /// Whether a side has a level at this one's price.
    pub fn has(&self, side: Side, level: &Level) -> bool {
        decimal_key(&level.0).is_some_and(|key| self.side(side).contains_key(&key))
    }

    /// Number of levels of a side.
    pub fn depth(&self, side: Side) -> usize {
        match side {
            Side::Bid => self.bids.len(),
            Side::Ask => self.asks.len(),
        }
    }

    /// The changes that turn this side into that of `target`.
    pub fn changes_to(&self, target: &Self, side: Side) -> Vec<Level> {
        let (from, to) = (self.side(side), target.side(side));
        let gone = from.iter().filter(|(key, _)| !to.contains_key(key)).map(|(_, level)| (level.0.clone(), zero_like(&level.1)));
        let set = to.iter().filter(|(key, level)| from.get(key) != Some(level)).map(|(_, level)| level.clone());
        gone.chain(set).collect()
    }

    fn side(&self, side: Side) -> &BTreeMap<u128, Level> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<u128, Level> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

/// A decimal string as a number of 1e-12 units; `None` if it is not a plain non-negative decimal.
pub fn decimal_key(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > KEY_DECIMALS {
        return None;
    }
    let digits = |part: &str| part.bytes().try_fold(0u128, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u128::from(b - b'0')));
    let scale = 10u128.pow(u32::try_from(KEY_DECIMALS - fraction.len()).ok()?);
    if whole.len() > 20 {
        return None;
    }
    Some(digits(whole)? * 10u128.pow(12) + digits(fraction)? * scale)
}

fn is_zero(quantity: &str) -> bool {
    quantity.bytes().all(|b| b == b'0' || b == b'.')
}

fn zero_like(quantity: &str) -> String {
    quantity.chars().map(|c| if c == '.' { '.' } else { '0' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: &str, quantity: &str) -> Level {
        (price.to_owned(), quantity.to_owned())
    }

    #[test]
    fn keys_order_by_value_not_by_text() {
        let sorted = ["0.00000890", "0.5", "9.99", "10.0", "61800.2", "61800.30"];
        for pair in sorted.windows(2) {
            assert!(decimal_key(pair[0]) < decimal_key(pair[1]), "{pair:?}");
        }
        assert_eq!(decimal_key("1.50"), decimal_key("1.5"));
        for bad in ["", ".", "1e5", "-1", "1.2.3", "x"] {
            assert_eq!(decimal_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn zero_removes_and_best_is_best() {
        let mut book = Book::default();
        book.set(Side::Bid, &level("9", "1"));
        book.set(Side::Bid, &level("10", "2"));
        book.set(Side::Ask, &level("11", "3"));
        assert_eq!(book.best(Side::Bid), Some(&level("10", "2")));
        book.set(Side::Bid, &level("10.0", "0.00"));
        assert_eq!(book.levels(Side::Bid, 5), vec![level("9", "1")]);
        assert_eq!(book.depth(Side::Ask), 1);
    }

    #[test]
    fn changes_lead_from_one_book_to_another() {
        let mut from = Book::default();
        let mut to = Book::default();
        for (price, quantity) in [("1", "1.0"), ("2", "2.0"), ("3", "3.0")] {
            from.set(Side::Ask, &level(price, quantity));
        }
        for (price, quantity) in [("2", "2.0"), ("3", "5.0"), ("4", "4.0")] {
            to.set(Side::Ask, &level(price, quantity));
        }
        for change in from.changes_to(&to, Side::Ask) {
            from.set(Side::Ask, &change);
        }
        assert_eq!(from, to);
    }
}
