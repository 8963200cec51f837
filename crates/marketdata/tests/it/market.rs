//! A tiny venue's truth: a book that moves at random, its update ids, and what it looked like at every id it ever told.

use std::collections::{BTreeMap, HashMap};

use marketdata::VenueKind;

use crate::simulation::LIMIT;

/// SplitMix64: the tests' only dice, always from a printed seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }
}

/// Best levels of both sides as (price in ticks, quantity in lots), and how many levels there are in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) bids: Vec<(i64, i64)>,
    pub(crate) asks: Vec<(i64, i64)>,
    pub(crate) sizes: (usize, usize),
    /// Rises with every state, also when the venue counts anew.
    pub(crate) order: u64,
}

/// What a delta tells.
pub(crate) struct Change {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) previous: u64,
    /// (price, quantity, whether the level was told before).
    pub(crate) bids: Vec<(i64, i64, bool)>,
    pub(crate) asks: Vec<(i64, i64, bool)>,
}

/// What a snapshot tells, best first.
pub(crate) struct Whole {
    pub(crate) id: u64,
    pub(crate) bids: Vec<(i64, i64)>,
    pub(crate) asks: Vec<(i64, i64)>,
}

/// A trade, standing for `count` ids up to its own.
pub(crate) struct Deal {
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) price: i64,
    pub(crate) buyer_is_maker: bool,
}

/// Both sides by price; the best bid is the last, the best ask the first.
#[derive(Clone, Default)]
struct Sides {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

pub(crate) struct Market {
    kind: VenueKind,
    now: Sides,
    /// As the last delta left it with those who follow the stream.
    told_book: Sides,
    middle: i64,
    update: u64,
    told: u64,
    pending: BTreeMap<(bool, i64), i64>,
    restarts: u64,
    pub(crate) first_trade: u64,
    pub(crate) last_trade: u64,
    history: HashMap<u64, Truth>,
    order: u64,
}

/// Levels a side that the history keeps; more than any test publishes.
const KEPT: usize = 12;

impl Market {
    pub(crate) fn new(kind: VenueKind, dice: &mut Dice) -> Self {
        let update = 1_000_000 + dice.below(1_000);
        let trade = 500 + dice.below(500);
        let mut market = Self {
            kind,
            now: Sides::default(),
            told_book: Sides::default(),
            middle: 50_000,
            update,
            told: update,
            pending: BTreeMap::new(),
            restarts: 0,
            first_trade: trade + 1,
            last_trade: trade,
            history: HashMap::new(),
            order: 0,
        };
        for _ in 0..200 {
            market.change(dice);
        }
        market.told = market.update;
        market.pending.clear();
        market.told_book = market.now.clone();
        market.remember();
        market
    }

    /// Whether each delta names the one before it, and books come with the stream.
    pub(crate) fn streams_books(kind: VenueKind) -> bool {
        !matches!(kind, VenueKind::BinanceSpot | VenueKind::BinanceUsdm)
    }

    /// Whether only the first levels are told, and what enters and leaves them.
    fn windowed(&self) -> bool {
        matches!(self.kind, VenueKind::OkxSpot | VenueKind::OkxSwap)
    }

    /// One random change of the book; now and then the middle moves far, so that one side runs dry of known levels.
    fn change(&mut self, dice: &mut Dice) {
        if dice.chance(30) {
            let far = if dice.chance(50) { 40 } else { 4 };
            self.middle += i64::try_from(dice.below(2 * far + 1)).unwrap() - i64::try_from(far).unwrap();
            let middle = self.middle;
            let wrong_bids: Vec<i64> = self.now.bids.range(middle..).map(|(price, _)| *price).collect();
            let wrong_asks: Vec<i64> = self.now.asks.range(..=middle).map(|(price, _)| *price).collect();
            for price in wrong_bids {
                self.put(true, price, 0);
            }
            for price in wrong_asks {
                self.put(false, price, 0);
            }
        }
        let bid = dice.chance(500);
        let away = i64::try_from(1 + dice.below(80)).unwrap();
        let price = if bid { self.middle - away } else { self.middle + away };
        let quantity = if dice.chance(400) { 0 } else { i64::try_from(1 + dice.below(900)).unwrap() };
        self.put(bid, price, quantity);
    }

    fn put(&mut self, bid: bool, price: i64, quantity: i64) {
        // Futures share their ids with all other symbols; chains jump as they like.
        self.update += if self.kind == VenueKind::BinanceSpot { 1 } else { 3 };
        let side = if bid { &mut self.now.bids } else { &mut self.now.asks };
        if quantity == 0 {
            side.remove(&price);
        } else {
            side.insert(price, quantity);
        }
        self.pending.insert((bid, price), quantity);
    }

    pub(crate) fn turn(&mut self, dice: &mut Dice) {
        for _ in 0..dice.below(6) {
            self.change(dice);
        }
    }

    fn remember(&mut self) {
        self.order += 1;
        let truth = Truth {
            bids: self.now.bids.iter().rev().take(KEPT).map(|(p, q)| (*p, *q)).collect(),
            asks: self.now.asks.iter().take(KEPT).map(|(p, q)| (*p, *q)).collect(),
            sizes: (self.now.bids.len(), self.now.asks.len()),
            order: self.order,
        };
        self.history.entry(self.update).or_insert(truth);
    }

    pub(crate) fn truth_at(&self, sequence: u64) -> Option<&Truth> {
        self.history.get(&sequence)
    }

    /// Last id that a delta told.
    pub(crate) fn told(&self) -> u64 {
        self.told
    }

    /// States between the one with this id and the last told.
    pub(crate) fn behind(&self, sequence: u64) -> u64 {
        let order = |id| self.history.get(&id).map_or(0, |truth| truth.order);
        order(self.told).saturating_sub(order(sequence))
    }

    /// The venue counts anew from its next delta on; each count has a range of its own.
    pub(crate) fn restart(&mut self) {
        if !self.pending.is_empty() {
            self.restarts += 1;
            self.update = 1_000_000 - 30_000 * self.restarts;
        }
    }

    /// The delta since the last one; `None` when nothing changed.
    pub(crate) fn delta(&mut self) -> Option<Change> {
        if self.pending.is_empty() {
            return None;
        }
        let side = |bid: bool, now: &BTreeMap<i64, i64>, told: &BTreeMap<i64, i64>| -> Vec<(i64, i64, bool)> {
            if self.windowed() {
                return moved(&window(bid, told), &window(bid, now));
            }
            let of_side = self.pending.iter().filter(|((pending_bid, _), _)| *pending_bid == bid);
            let told_all = Self::streams_books(self.kind);
            // Deribit tells of what is; a level that came and went is no news.
            of_side
                .map(|((_, price), quantity)| (*price, *quantity, told.contains_key(price)))
                .filter(|(_, quantity, known)| !told_all || *known || *quantity != 0)
                .collect()
        };
        let (bids, asks) = (side(true, &self.now.bids, &self.told_book.bids), side(false, &self.now.asks, &self.told_book.asks));
        let change = Change { first: self.told + 1, last: self.update, previous: self.told, bids, asks };
        self.pending.clear();
        self.told = self.update;
        self.told_book = self.now.clone();
        self.remember();
        Some(change)
    }

    pub(crate) fn trade(&mut self, dice: &mut Dice) -> Deal {
        let count = if self.windowed() { 1 + dice.below(3) } else { 1 };
        self.last_trade += count;
        Deal { id: self.last_trade, count, price: self.middle, buyer_is_maker: dice.chance(500) }
    }

    /// A snapshot of this moment over REST.
    pub(crate) fn snapshot(&mut self, limit: usize) -> Whole {
        self.remember();
        whole(self.update, &self.now, limit)
    }

    /// A snapshot that the next delta continues.
    pub(crate) fn told_snapshot(&self) -> Whole {
        whole(self.told, &self.told_book, if self.windowed() { LIMIT } else { usize::MAX })
    }
}

fn whole(id: u64, sides: &Sides, limit: usize) -> Whole {
    let bids = sides.bids.iter().rev().take(limit).map(|(p, q)| (*p, *q)).collect();
    let asks = sides.asks.iter().take(limit).map(|(p, q)| (*p, *q)).collect();
    Whole { id, bids, asks }
}

fn window(bid: bool, side: &BTreeMap<i64, i64>) -> BTreeMap<i64, i64> {
    let pairs = side.iter().map(|(price, quantity)| (*price, *quantity));
    if bid { pairs.rev().take(LIMIT).collect() } else { pairs.take(LIMIT).collect() }
}

/// What entered, changed and left.
fn moved(before: &BTreeMap<i64, i64>, after: &BTreeMap<i64, i64>) -> Vec<(i64, i64, bool)> {
    let gone = before.keys().filter(|price| !after.contains_key(*price)).map(|price| (*price, 0, true));
    let there = after.iter().filter(|(price, quantity)| before.get(*price) != Some(*quantity));
    gone.chain(there.map(|(price, quantity)| (*price, *quantity, before.contains_key(price)))).collect()
}
