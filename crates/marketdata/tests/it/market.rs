//! A tiny venue's truth: a book that moves at random, its update ids, and what it looked like at every id it ever told.

use std::collections::{BTreeMap, HashMap};

use marketdata::VenueKind;

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
}

pub(crate) struct Market {
    kind: VenueKind,
    raw: &'static str,
    /// By price; the best bid is the last, the best ask the first.
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    middle: i64,
    update: u64,
    told: u64,
    pending: BTreeMap<(bool, i64), i64>,
    pub(crate) first_trade: u64,
    pub(crate) last_trade: u64,
    history: HashMap<u64, Truth>,
}

/// Levels a side that the history keeps; more than any test publishes.
const KEPT: usize = 12;

impl Market {
    pub(crate) fn new(kind: VenueKind, raw: &'static str, dice: &mut Dice) -> Self {
        let update = 1_000 + dice.below(1_000);
        let trade = 500 + dice.below(500);
        let mut market = Self {
            kind,
            raw,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            middle: 50_000,
            update,
            told: update,
            pending: BTreeMap::new(),
            first_trade: trade + 1,
            last_trade: trade,
            history: HashMap::new(),
        };
        for _ in 0..200 {
            market.change(dice);
        }
        market.told = market.update;
        market.pending.clear();
        market.remember();
        market
    }

    /// One random change of the book; now and then the middle moves far, so that one side runs dry of known levels.
    fn change(&mut self, dice: &mut Dice) {
        if dice.chance(30) {
            let far = if dice.chance(50) { 40 } else { 4 };
            self.middle += i64::try_from(dice.below(2 * far + 1)).unwrap() - i64::try_from(far).unwrap();
            let middle = self.middle;
            let wrong_bids: Vec<i64> = self.bids.range(middle..).map(|(price, _)| *price).collect();
            let wrong_asks: Vec<i64> = self.asks.range(..=middle).map(|(price, _)| *price).collect();
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
        // Futures share their ids with all other symbols.
        self.update += if self.kind == VenueKind::BinanceSpot { 1 } else { 3 };
        let side = if bid { &mut self.bids } else { &mut self.asks };
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
        let truth = Truth {
            bids: self.bids.iter().rev().take(KEPT).map(|(p, q)| (*p, *q)).collect(),
            asks: self.asks.iter().take(KEPT).map(|(p, q)| (*p, *q)).collect(),
            sizes: (self.bids.len(), self.asks.len()),
        };
        self.history.insert(self.update, truth);
    }

    pub(crate) fn truth_at(&self, sequence: u64) -> Option<&Truth> {
        self.history.get(&sequence)
    }

    /// Last id that a delta told.
    pub(crate) fn told(&self) -> u64 {
        self.told
    }

    /// The delta since the last one; `None` when nothing changed.
    pub(crate) fn delta(&mut self, wall_ms: i64) -> Option<String> {
        if self.pending.is_empty() {
            return None;
        }
        let (first, last, previous) = (self.told + 1, self.update, self.told);
        let side = |wanted: bool| {
            let rows: Vec<String> =
                self.pending.iter().filter(|((bid, _), _)| *bid == wanted).map(|((_, price), quantity)| row(*price, *quantity)).collect();
            rows.join(",")
        };
        let previous = if self.kind == VenueKind::BinanceSpot { String::new() } else { format!(r#""pu":{previous},"T":{wall_ms},"st":1,"#) };
        let text = format!(
            r#"{{"stream":"{}@depth@100ms","data":{{"e":"depthUpdate","E":{wall_ms},"s":"{}","U":{first},"u":{last},{previous}"b":[{}],"a":[{}]}}}}"#,
            self.raw.to_lowercase(),
            self.raw,
            side(true),
            side(false)
        );
        self.pending.clear();
        self.told = self.update;
        self.remember();
        Some(text)
    }

    pub(crate) fn trade(&mut self, wall_ms: i64, dice: &mut Dice) -> String {
        self.last_trade += 1;
        format!(
            r#"{{"stream":"{}@trade","data":{{"e":"trade","E":{wall_ms},"T":{wall_ms},"s":"{}","t":{},"p":"{}","q":"0.020","m":{},"M":true}}}}"#,
            self.raw.to_lowercase(),
            self.raw,
            self.last_trade,
            price(self.middle),
            dice.chance(500)
        )
    }

    /// A REST snapshot of this moment.
    pub(crate) fn snapshot(&mut self, limit: usize) -> String {
        self.remember();
        let bids: Vec<String> = self.bids.iter().rev().take(limit).map(|(p, q)| row(*p, *q)).collect();
        let asks: Vec<String> = self.asks.iter().take(limit).map(|(p, q)| row(*p, *q)).collect();
        format!(r#"{{"lastUpdateId":{},"bids":[{}],"asks":[{}]}}"#, self.update, bids.join(","), asks.join(","))
    }
}

fn row(ticks: i64, lots: i64) -> String {
    format!(r#"["{}","{}.{:03}"]"#, price(ticks), lots / 1_000, lots % 1_000)
}

fn price(ticks: i64) -> String {
    format!("{}.{:02}", ticks / 100, ticks % 100)
}
