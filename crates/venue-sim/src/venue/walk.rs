//! A seeded random walk of any number of instruments. Books change level by level, each change takes an update id; a best price that moves is a ticker,
//! a taken best level is a trade, and the changes of one step make one diff. So ids relate to each other as at the venue: spot ids are consecutive for
//! each symbol, futures ids and Deribit's are drawn from one count that all symbols share, OKX's leap for each symbol by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::WalkConfig;
use super::deal::Deal;
use super::deribit;
use super::deribit::frames::TRADES_MS;
use super::frames;
use super::happening::Happening;
use super::kind::VenueKind;
use super::market::Instrument;
use super::preset::{Preset, decimal, instrument_of, preset_of};
use super::rng::Rng;
use super::wire::{BOOK_TICKER, BookTicker, DEPTH_UPDATE, DepthUpdate, Level, Snapshot, to_json};

/// The first update id of every walk.
const FIRST_ID: u64 = 5_000_000_000;
/// How far ids fall back at a reset: far enough that they never meet those they had.
const RESET_FALL: u64 = 100_000_000;
/// Ids that a millisecond uses up at the very most: where the ids of an instrument begin that is listed later.
const IDS_PER_MS: u64 = 10;
/// Lag that is made up.
const MADE_UP_MAX: Duration = Duration::from_secs(1);

/// The walk of all instruments of a venue.
#[derive(Debug)]
pub(super) struct Walk {
    venue: VenueKind,
    seed: u64,
    step: Duration,
    next: Duration,
    changes_per_step_milli: u64,
    shared_id: u64,
    paths: Vec<Path>,
}

/// One instrument's walk, in whole ticks and lots.
#[derive(Debug)]
struct Path {
    venue: VenueKind,
    instrument: Instrument,
    /// The symbol as it stands in stream names.
    name: String,
    grid: Preset,
    rng: Rng,
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
    last_id: u64,
    diff_id: u64,
    trade_id: u64,
    credit_milli: u64,
    ticker: (u64, u64, u64, u64),
    resets: u64,
    /// Trades that wait to be told together (Deribit).
    gathered: Vec<Deal>,
}

/// The changes of one step.
#[derive(Debug, Default)]
struct Changes {
    first_id: Option<u64>,
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
    happenings: Vec<Happening>,
}

// === impl Walk ===

impl Walk {
    /// A walk; names that are not `BASE-QUOTE` are returned as the error.
    pub(super) fn new(venue: VenueKind, config: &WalkConfig) -> Result<Self, String> {
        let paths = config.instruments.iter().map(|name| path_of(venue, name, config.seed)).collect::<Result<Vec<_>, String>>()?;
        let step = config.step.0.max(Duration::from_millis(1));
        let step_micros = u64::try_from(step.as_micros()).unwrap_or(u64::MAX);
        let changes_per_step_milli = u64::from(config.changes_per_second).saturating_mul(step_micros) / 1_000;
        Ok(Self { venue, seed: config.seed, step, next: step, changes_per_step_milli, shared_id: FIRST_ID, paths })
    }

    /// Lists another instrument; returns it and its book. The ids of one that comes again are higher than those it had.
    pub(super) fn list(&mut self, name: &str) -> Result<(Instrument, Snapshot), String> {
        let mut path = path_of(self.venue, name, self.seed)?;
        if self.paths.iter().any(|other| other.instrument.symbol == path.instrument.symbol) {
            return Err(format!("{name} is listed already"));
        }
        let ahead = u64::try_from(self.next.as_millis()).unwrap_or_default() * IDS_PER_MS;
        self.shared_id = (self.shared_id + 1).max(FIRST_ID + ahead);
        (path.last_id, path.diff_id) = (self.shared_id, self.shared_id);
        path.trade_id += ahead;
        let start = (path.instrument.clone(), path.snapshot());
        self.paths.push(path);
        Ok(start)
    }

    /// Takes an instrument off the list, by the venue's name.
    pub(super) fn delist(&mut self, symbol: &str) {
        self.paths.retain(|path| path.instrument.symbol != symbol);
    }

    /// Lets a symbol's sequence fall back, as after maintenance.
    pub(super) fn reset_ids(&mut self, symbol: &str) {
        for path in self.paths.iter_mut().filter(|path| path.instrument.symbol == symbol) {
            path.resets += 1;
            path.last_id = FIRST_ID.saturating_sub(RESET_FALL.saturating_mul(path.resets));
        }
    }

    /// Each instrument and its book at the start.
    pub(super) fn start(&self) -> impl Iterator<Item = (Instrument, Snapshot)> + '_ {
        self.paths.iter().map(|path| (path.instrument.clone(), path.snapshot()))
    }

    /// When the next step is due on the venue's clock.
    pub(super) fn due(&self) -> Duration {
        self.next
    }

    /// One step of every instrument. `elapsed` is the venue's clock, `now_ms` becomes the messages' time. Steps that a busy machine missed are made up,
    /// but not those of a machine that slept. The books of symbols that are `still` do not move.
    pub(super) fn step(&mut self, elapsed: Duration, now_ms: i64, still: &dyn Fn(&str) -> bool) -> Vec<Happening> {
        self.next += self.step;
        if self.next + MADE_UP_MAX < elapsed {
            self.next = elapsed;
        }
        let mut happenings = Vec::new();
        for path in &mut self.paths {
            path.tell_gathered(now_ms, &mut happenings);
            if still(&path.instrument.symbol) {
                continue;
            }
            path.credit_milli += self.changes_per_step_milli;
            let changes = path.credit_milli / 1_000;
            path.credit_milli %= 1_000;
            happenings.extend(path.step(changes, now_ms, &mut self.shared_id));
        }
        happenings
    }
}

// === impl Path ===

impl Path {
    fn new(venue: VenueKind, instrument: Instrument, grid: Preset, mut rng: Rng) -> Self {
        let mid = grid.price / grid.tick;
        let (mut bids, mut asks) = (BTreeMap::new(), BTreeMap::new());
        let (mut bid, mut ask) = (mid, mid + 1);
        for _ in 0..venue.book_levels() {
            if bid > 0 {
                bids.insert(bid, quantity(&mut rng, &grid));
                bid = bid.saturating_sub(1 + rng.below(grid.gap * 2));
            }
            asks.insert(ask, quantity(&mut rng, &grid));
            ask += 1 + rng.below(grid.gap * 2);
        }
        let trade_id = 1_000_000 + rng.below(1_000_000);
        let name = venue.stream_symbol(&instrument.symbol);
        Self {
            venue,
            instrument,
            name,
            grid,
            rng,
            bids,
            asks,
            last_id: FIRST_ID,
            diff_id: FIRST_ID,
            trade_id,
            credit_milli: 0,
            ticker: (0, 0, 0, 0),
            resets: 0,
            gathered: Vec::new(),
        }
    }

    fn step(&mut self, changes: u64, now_ms: i64, shared_id: &mut u64) -> Vec<Happening> {
        let mut step = Changes::default();
        for _ in 0..changes {
            let id = self.take_id(shared_id);
            step.first_id.get_or_insert(id);
            self.change(&mut step, now_ms);
            self.tick(&mut step, now_ms);
        }
        let Some(first_id) = step.first_id else { return step.happenings };
        let update = self.diff(first_id, &step, now_ms);
        self.diff_id = self.last_id;
        step.happenings.push(Happening::Diff { update, verbatim: None });
        step.happenings
    }

    fn take_id(&mut self, shared_id: &mut u64) -> u64 {
        self.last_id = match self.venue {
            VenueKind::BinanceSpot => self.last_id + 1,
            VenueKind::OkxSpot | VenueKind::OkxSwap => self.last_id + 1 + self.rng.below(60),
            VenueKind::BinanceUsdm | VenueKind::Deribit => {
                *shared_id += 1 + self.rng.below(60);
                *shared_id
            }
        };
        self.last_id
    }

    /// One change: usually a level near the touch is set, at times one goes, at times the best is taken by a trade.
    /// An order that came and went between two diffs leaves an id and no level.
    fn change(&mut self, step: &mut Changes, now_ms: i64) {
        let bid_side = self.rng.chance(50);
        match self.rng.below(100) {
            0..=11 => self.trade(bid_side, step, now_ms),
            12..=14 => {}
            15..=34 => self.remove(bid_side, step),
            _ => self.place(bid_side, step),
        }
        self.keep_depth(step);
    }

    fn place(&mut self, bid_side: bool, step: &mut Changes) {
        let (best_bid, best_ask) = self.touch();
        let away = self.rng.skewed(10) * self.grid.gap;
        let inside = best_ask - best_bid - 1;
        let improve = if inside > 0 && self.rng.chance(40) { 1 + self.rng.below(inside) } else { 0 };
        let price = match (bid_side, improve) {
            (true, 0) => best_bid.saturating_sub(away).max(1),
            (true, better) => best_bid + better,
            (false, 0) => best_ask + away,
            (false, better) => best_ask - better,
        };
        let lots = quantity(&mut self.rng, &self.grid);
        self.set(bid_side, price, lots, step);
    }

    fn remove(&mut self, bid_side: bool, step: &mut Changes) {
        let away = self.rng.skewed(7);
        let nth = usize::try_from(away).unwrap_or(0);
        let price = if bid_side { self.bids.keys().rev().nth(nth) } else { self.asks.keys().nth(nth) };
        if let Some(&price) = price {
            self.set(bid_side, price, 0, step);
        }
    }

    fn trade(&mut self, bid_side: bool, step: &mut Changes, now_ms: i64) {
        let best = if bid_side { self.bids.last_key_value() } else { self.asks.first_key_value() };
        let Some((&price, &lots)) = best else { return };
        let taken = if self.rng.chance(40) { lots } else { 1 + self.rng.below(lots) };
        self.set(bid_side, price, lots - taken, step);
        let fills = self.fills(taken);
        let deal = Deal {
            symbol: self.instrument.symbol.clone(),
            price: self.price(price),
            quantity: self.quantity(taken),
            fills,
            update_id: self.last_id,
            buyer_is_maker: bid_side,
            ms: now_ms,
        };
        if self.venue == VenueKind::Deribit {
            self.gathered.push(deal);
            return;
        }
        for (suffix, data) in frames::trades(self.venue, &deal) {
            step.event(&self.instrument.symbol, format!("{}{suffix}", self.name), data);
        }
    }

    /// The trade ids of what was taken: at OKX sometimes two fills, which `trades` tells as one.
    fn fills(&mut self, taken: u64) -> Vec<(u64, String)> {
        let okx = matches!(self.venue, VenueKind::OkxSpot | VenueKind::OkxSwap);
        let parts = if okx && taken > 1 && self.rng.chance(10) { vec![1, taken - 1] } else { vec![taken] };
        let mut fills = Vec::new();
        for lots in parts {
            self.trade_id += 1;
            fills.push((self.trade_id, self.quantity(lots)));
        }
        fills
    }

    /// Tells the trades of an interval that is over.
    fn tell_gathered(&mut self, now_ms: i64, happenings: &mut Vec<Happening>) {
        let over = self.gathered.first().is_some_and(|deal| deal.ms / TRADES_MS != now_ms / TRADES_MS);
        if over {
            let symbol = self.instrument.symbol.clone();
            let data = deribit::frames::trades(&symbol, &std::mem::take(&mut self.gathered));
            happenings.push(Happening::Event { stream: format!("{}@trades.100ms", self.name), symbol, data });
        }
    }

    /// Keeps both sides deep and never empty: a new level grows behind the last one, or the last one goes.
    fn keep_depth(&mut self, step: &mut Changes) {
        for bid_side in [true, false] {
            let (count, last) = if bid_side {
                (self.bids.len(), self.bids.first_key_value().map(|(&price, _)| price))
            } else {
                (self.asks.len(), self.asks.last_key_value().map(|(&price, _)| price))
            };
            let Some(last) = last else { continue };
            let gap = 1 + self.rng.below(self.grid.gap * 2);
            if count > self.venue.book_levels() {
                self.set(bid_side, last, 0, step);
            } else if count < self.venue.book_levels() && !(bid_side && last <= gap) {
                let lots = quantity(&mut self.rng, &self.grid);
                self.set(bid_side, if bid_side { last - gap } else { last + gap }, lots, step);
            }
        }
    }

    fn set(&mut self, bid_side: bool, price: u64, lots: u64, step: &mut Changes) {
        let (levels, changed) = if bid_side { (&mut self.bids, &mut step.bids) } else { (&mut self.asks, &mut step.asks) };
        // The last level of a side stays: a book with an empty side is a halt, which this walk does not play.
        if lots == 0 && levels.len() == 1 {
            return;
        }
        if lots == 0 {
            levels.remove(&price);
        } else {
            levels.insert(price, lots);
        }
        changed.insert(price, lots);
    }

    fn touch(&self) -> (u64, u64) {
        let bid = self.bids.last_key_value().map_or(1, |(&price, _)| price);
        let ask = self.asks.first_key_value().map_or(bid + 1, |(&price, _)| price);
        (bid, ask.max(bid + 1))
    }

    /// A best price that moved, where the venue has a stream for it.
    fn tick(&mut self, step: &mut Changes, now_ms: i64) {
        if self.venue.stream_kind("@bookTicker").is_none() {
            return;
        }
        let (Some((&bid, &bid_lots)), Some((&ask, &ask_lots))) = (self.bids.last_key_value(), self.asks.first_key_value()) else { return };
        let ticker = (bid, bid_lots, ask, ask_lots);
        if ticker == self.ticker {
            return;
        }
        self.ticker = ticker;
        let futures = (self.venue == VenueKind::BinanceUsdm).then_some(now_ms);
        let message = BookTicker {
            e: futures.map(|_| BOOK_TICKER),
            u: self.last_id,
            s: self.instrument.symbol.clone(),
            b: self.price(bid),
            bid_qty: self.quantity(bid_lots),
            a: self.price(ask),
            ask_qty: self.quantity(ask_lots),
            transaction_ms: futures,
            event_ms: futures,
        };
        step.event(&self.instrument.symbol, format!("{}@bookTicker", self.name), to_json(&message));
    }

    fn diff(&self, first_id: u64, step: &Changes, now_ms: i64) -> DepthUpdate {
        let futures = self.venue.chains_by_previous();
        let level = |(&price, &lots): (&u64, &u64)| -> Level { (self.price(price), self.quantity(lots)) };
        DepthUpdate {
            e: DEPTH_UPDATE,
            event_ms: now_ms,
            transaction_ms: futures.then_some(now_ms),
            s: self.instrument.symbol.clone(),
            first_id,
            last_id: self.last_id,
            previous_id: futures.then_some(self.diff_id),
            b: step.bids.iter().rev().map(level).collect(),
            a: step.asks.iter().map(level).collect(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let level = |(&price, &lots): (&u64, &u64)| -> Level { (self.price(price), self.quantity(lots)) };
        let (bids, asks) = (self.bids.iter().rev().map(level).collect(), self.asks.iter().map(level).collect());
        Snapshot { last_update_id: self.last_id, event_ms: None, transaction_ms: None, bids, asks }
    }

    /// Binance Spot writes eight fraction digits whatever the step is, the others as many as the instrument has.
    fn shown(&self, decimals: u32) -> u32 {
        match self.venue {
            VenueKind::BinanceSpot => 8,
            _ => decimals,
        }
    }

    fn price(&self, ticks: u64) -> String {
        decimal(ticks * self.grid.tick, self.grid.price_decimals, self.shown(self.grid.price_decimals))
    }

    fn quantity(&self, lots: u64) -> String {
        decimal(lots * self.grid.lot, self.grid.quantity_decimals, self.shown(self.grid.quantity_decimals))
    }
}

// === impl Changes ===

impl Changes {
    fn event(&mut self, symbol: &str, stream: String, data: String) {
        self.happenings.push(Happening::Event { symbol: symbol.to_owned(), stream, data });
    }
}

fn path_of(venue: VenueKind, name: &str, seed: u64) -> Result<Path, String> {
    let instrument = instrument_of(venue, name).ok_or_else(|| format!("{name:?} is not BASE-QUOTE"))?;
    let grid = preset_of(venue, &instrument.base, &instrument.quote);
    Ok(Path::new(venue, instrument, grid, Rng::for_name(seed, name)))
}

fn quantity(rng: &mut Rng, grid: &Preset) -> u64 {
    let scale = 1u64 << rng.below(5);
    1 + rng.below(grid.lots.saturating_mul(scale) / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::book::{Book, Side, decimal_key};

    fn play(venue: VenueKind, seed: u64) -> Vec<String> {
        let config = WalkConfig::new(&["BTC-USDT", "PEPE-USDT"], seed);
        let mut walk = Walk::new(venue, &config).unwrap();
        let mut books: BTreeMap<String, (Book, u64)> = walk.start().map(|(i, s)| (i.symbol, (Book::from_snapshot(&s), s.last_update_id))).collect();
        let mut log = Vec::new();
        for step in 1..=200u32 {
            for happening in walk.step(Duration::from_millis(20) * step, 1_000 + i64::from(step) * 20, &|_| false) {
                let Happening::Diff { update, .. } = &happening else {
                    log.push(format!("{happening:?}"));
                    continue;
                };
                let (book, last) = books.get_mut(&update.s).unwrap();
                if venue.chains_by_previous() {
                    assert_eq!(update.previous_id, Some(*last));
                } else {
                    assert_eq!(update.first_id, *last + 1);
                }
                *last = update.last_id;
                book.apply(update);
                let (bid, ask) = (book.best(Side::Bid).unwrap(), book.best(Side::Ask).unwrap());
                assert!(decimal_key(&bid.0) < decimal_key(&ask.0), "crossed: {bid:?} {ask:?}");
                // A price of 890 steps has no room for more bids.
                assert!((350..=venue.book_levels()).contains(&book.depth(Side::Bid)), "{}", book.depth(Side::Bid));
                log.push(to_json(update));
            }
        }
        log
    }

    #[test]
    fn books_never_cross_and_ids_chain() {
        for venue in VenueKind::ALL {
            assert!(play(venue, 7).len() > 400);
        }
    }

    #[test]
    fn a_seed_fixes_the_walk() {
        assert_eq!(play(VenueKind::BinanceSpot, 3), play(VenueKind::BinanceSpot, 3));
        assert_ne!(play(VenueKind::BinanceSpot, 3), play(VenueKind::BinanceSpot, 4));
    }
}
