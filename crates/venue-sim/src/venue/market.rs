//! One symbol as the venue sees it: the true book, what it was at recent update ids, an old snapshot, and the depth streams made from the changes.
//! Knows nothing of connections or faults: those stand between here and the reader.

use std::collections::{BTreeMap, VecDeque};

use super::book::{Book, Side, decimal_key};
use super::kind::VenueKind;
use super::wire::{DEPTH_UPDATE, DepthUpdate, Level, Snapshot};

/// A symbol's place in the world: what `/exchangeInfo` says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instrument {
    /// The venue's name, `BTCUSDT`.
    pub symbol: String,
    /// Base asset, `BTC`.
    pub base: String,
    /// Quote asset, `USDT`.
    pub quote: String,
    /// Price step as a decimal string.
    pub tick_size: String,
    /// Quantity step as a decimal string.
    pub step_size: String,
    /// Largest quantity of an order as a decimal string.
    pub max_quantity: String,
    /// Fraction digits of prices.
    pub price_decimals: u32,
    /// Fraction digits of quantities.
    pub quantity_decimals: u32,
}

/// One symbol.
#[derive(Debug)]
pub(super) struct Market {
    /// What `/exchangeInfo` says.
    pub instrument: Instrument,
    /// The book after update `last_id`.
    pub book: Book,
    /// The last update in `book`.
    pub last_id: u64,
    /// Event time of that update, ms.
    pub event_ms: i64,
    streams: Vec<DepthStream>,
    history: History,
    stale: StaleSnapshots,
}

/// One `@depth…` stream of a symbol.
#[derive(Debug)]
struct DepthStream {
    name: String,
    interval_ms: u64,
    wanted: bool,
    previous_id: u64,
    /// Event time of the last event, ms.
    sent_ms: i64,
    window: u64,
    pending: Option<Pending>,
}

/// Changes gathered since the stream's last event.
#[derive(Debug)]
struct Pending {
    symbol: String,
    first_id: u64,
    last_id: u64,
    event_ms: i64,
    transaction_ms: Option<i64>,
    bids: Changed,
    asks: Changed,
}

/// Changed levels by price, each with whether the price had a level before the first change.
type Changed = BTreeMap<u128, (Level, bool)>;

/// The books of the last `cap` events: a base and the changes since.
#[derive(Debug)]
struct History {
    cap: usize,
    base: Book,
    base_id: u64,
    events: VecDeque<DepthUpdate>,
}

/// Two past snapshots, so that at any moment one is at least `STALE_AFTER_MS` old.
#[derive(Debug)]
struct StaleSnapshots {
    older: Snapshot,
    newer: Snapshot,
    taken_ms: i64,
}

const STALE_AFTER_MS: i64 = 2_000;
const SNAPSHOT_LEVELS: usize = 5_000;

/// An event of a depth stream, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamEvent {
    /// Full stream name.
    pub stream: String,
    /// The event; for a pass-through it equals the change that was applied.
    pub update: DepthUpdate,
    /// It is the applied change itself, so that recorded text may be sent unchanged.
    pub verbatim: bool,
    /// Which of its prices had a level before.
    pub held: Held,
}

/// For each level of an event: whether its price had a level before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Of the bids, in their order.
    pub bids: Vec<bool>,
    /// Of the asks.
    pub asks: Vec<bool>,
}

// === impl Market ===

impl Market {
    /// A symbol whose book is `snapshot`; `history_events` bounds how far back [`Market::book_at`] reaches.
    pub(super) fn new(venue: VenueKind, instrument: Instrument, snapshot: &Snapshot, history_events: usize) -> Self {
        let book = Book::from_snapshot(snapshot);
        let name = venue.stream_symbol(&instrument.symbol);
        let stream = |&(suffix, interval_ms): &(&str, u64)| DepthStream::new(format!("{name}{suffix}"), interval_ms, snapshot.last_update_id);
        Self {
            streams: venue.depth_streams().iter().map(stream).collect(),
            history: History { cap: history_events.max(1), base: book.clone(), base_id: snapshot.last_update_id, events: VecDeque::new() },
            stale: StaleSnapshots { older: snapshot.clone(), newer: snapshot.clone(), taken_ms: snapshot.event_ms.unwrap_or_default() },
            book,
            last_id: snapshot.last_update_id,
            event_ms: snapshot.event_ms.unwrap_or_default(),
            instrument,
        }
    }

    /// Makes the stream of an interval send every change, for load beyond the venue's.
    pub(super) fn with_every_change_at(mut self, interval_ms: u64) -> Self {
        for stream in self.streams.iter_mut().filter(|stream| stream.interval_ms == interval_ms) {
            stream.interval_ms = 0;
        }
        self
    }

    /// Gives the book a time before its first change.
    pub(super) fn made_at(self, event_ms: i64) -> Self {
        Self { event_ms, ..self }
    }

    /// Makes a depth stream gather changes; streams nobody ever asked for cost nothing.
    pub(super) fn want(&mut self, stream: &str, now_ms: i64) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.name == stream) {
            stream.wanted = true;
            stream.sent_ms = now_ms;
        }
    }

    /// Takes one change as it happened: the book, the history and the streams follow. `native_ms` is the interval the change was already gathered over
    /// (a recording's own stream); streams not slower than it pass the change through. Changes the book already contains only pass through; an id that
    /// falls back while it chains to the last one is a reset, and new.
    pub(super) fn apply(&mut self, diff: &DepthUpdate, native_ms: u64) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        for stream in &mut self.streams {
            stream.take(diff, (native_ms, &self.book), &mut events);
        }
        if diff.last_id > self.last_id || diff.previous_id == Some(self.last_id) {
            self.book.apply(diff);
            self.last_id = diff.last_id;
            self.history.push(diff);
        }
        self.event_ms = diff.event_ms;
        self.stale.keep(diff.event_ms, || snapshot_of(&self.book, self.last_id, SNAPSHOT_LEVELS));
        events
    }

    /// The empty repetitions of the last id that streams owe which had no change for so long.
    pub(super) fn keep_alive(&mut self, now_ms: i64, after_ms: i64) -> Vec<StreamEvent> {
        let (last_id, symbol) = (self.last_id, self.instrument.symbol.as_str());
        let owed = self.streams.iter_mut().filter_map(|stream| stream.keep_alive(now_ms, after_ms).then(|| stream.name.clone()));
        owed.map(|stream| StreamEvent::empty((stream, symbol), last_id, now_ms)).collect()
    }

    /// What the gathered streams owe at `event_ms` although no change came.
    pub(super) fn flush(&mut self, event_ms: i64) -> Vec<StreamEvent> {
        self.streams.iter_mut().filter_map(|stream| stream.flush_before(window_of(event_ms, stream.interval_ms))).collect()
    }

    /// The current book as `/depth` answers it, without times.
    pub(super) fn snapshot(&self, limit: usize) -> Snapshot {
        snapshot_of(&self.book, self.last_id, limit)
    }

    /// A snapshot that was right some seconds ago.
    pub(super) fn stale_snapshot(&self, limit: usize) -> Snapshot {
        let mut snapshot = self.stale.older.clone();
        snapshot.bids.truncate(limit);
        snapshot.asks.truncate(limit);
        snapshot
    }

    /// The book right after update `id`, if an event ended there and it is recent enough.
    pub(super) fn book_at(&self, id: u64) -> Option<Book> {
        if id == self.last_id { Some(self.book.clone()) } else { self.history.book_at(id) }
    }

    /// The update ids [`Market::book_at`] reaches.
    pub(super) fn known_ids(&self) -> (u64, u64) {
        (self.history.base_id, self.last_id)
    }
}

// === impl StreamEvent ===

impl StreamEvent {
    /// An event that repeats an id and changes nothing.
    fn empty((stream, symbol): (String, &str), last_id: u64, event_ms: i64) -> Self {
        let update = DepthUpdate {
            e: DEPTH_UPDATE,
            event_ms,
            transaction_ms: Some(event_ms),
            s: symbol.to_owned(),
            first_id: last_id,
            last_id,
            previous_id: Some(last_id),
            b: Vec::new(),
            a: Vec::new(),
        };
        Self { stream, update, verbatim: false, held: Held::default() }
    }

    /// The same id once more, without levels.
    pub(super) fn repeating(event: &Self) -> Self {
        Self::empty((event.stream.clone(), &event.update.s), event.update.last_id, event.update.event_ms)
    }
}

// === impl DepthStream ===

impl DepthStream {
    fn new(name: String, interval_ms: u64, previous_id: u64) -> Self {
        Self { name, interval_ms, wanted: false, previous_id, sent_ms: 0, window: 0, pending: None }
    }

    fn take(&mut self, diff: &DepthUpdate, (native_ms, before): (u64, &Book), out: &mut Vec<StreamEvent>) {
        if self.interval_ms <= native_ms {
            (self.previous_id, self.sent_ms) = (diff.last_id, diff.event_ms);
            let has = |side, levels: &[Level]| levels.iter().map(|level| before.has(side, level)).collect();
            let held = if self.wanted { Held { bids: has(Side::Bid, &diff.b), asks: has(Side::Ask, &diff.a) } } else { Held::default() };
            out.push(StreamEvent { stream: self.name.clone(), update: diff.clone(), verbatim: true, held });
            return;
        }
        if !self.wanted {
            self.previous_id = diff.last_id;
            return;
        }
        let window = window_of(diff.event_ms, self.interval_ms);
        out.extend(self.flush_before(window));
        self.window = window;
        self.pending.get_or_insert_with(|| Pending::starting(diff)).gather(diff, before);
    }

    fn flush_before(&mut self, window: u64) -> Option<StreamEvent> {
        if window == self.window {
            return None;
        }
        let pending = self.pending.take()?;
        // Futures chain by `pu`; spot events carry no such field.
        let previous_id = pending.transaction_ms.map(|_| self.previous_id);
        (self.previous_id, self.sent_ms) = (pending.last_id, pending.event_ms);
        let (update, held) = pending.into_update(previous_id);
        Some(StreamEvent { stream: self.name.clone(), update, verbatim: false, held })
    }

    /// Whether a repetition of the last id is owed; the clock of the next one starts.
    fn keep_alive(&mut self, now_ms: i64, after_ms: i64) -> bool {
        let due = self.wanted && self.pending.is_none() && now_ms - self.sent_ms >= after_ms;
        if due {
            self.sent_ms = now_ms;
        }
        due
    }
}

// === impl Pending ===

impl Pending {
    fn starting(diff: &DepthUpdate) -> Self {
        let (bids, asks) = (BTreeMap::new(), BTreeMap::new());
        Self {
            symbol: diff.s.clone(),
            first_id: diff.first_id,
            last_id: diff.last_id,
            event_ms: diff.event_ms,
            transaction_ms: diff.transaction_ms,
            bids,
            asks,
        }
    }

    fn gather(&mut self, diff: &DepthUpdate, before: &Book) {
        self.last_id = diff.last_id;
        self.event_ms = diff.event_ms;
        self.transaction_ms = diff.transaction_ms;
        for (side, levels, changed) in [(Side::Bid, &diff.b, &mut self.bids), (Side::Ask, &diff.a, &mut self.asks)] {
            for level in levels {
                let Some(key) = decimal_key(&level.0) else { continue };
                changed.entry(key).or_insert_with(|| (level.clone(), before.has(side, level))).0.clone_from(level);
            }
        }
    }

    fn into_update(self, previous_id: Option<u64>) -> (DepthUpdate, Held) {
        let (b, bids) = self.bids.into_values().rev().unzip();
        let (a, asks) = self.asks.into_values().unzip();
        let update = DepthUpdate {
            e: DEPTH_UPDATE,
            event_ms: self.event_ms,
            transaction_ms: self.transaction_ms,
            s: self.symbol,
            first_id: self.first_id,
            last_id: self.last_id,
            previous_id,
            b,
            a,
        };
        (update, Held { bids, asks })
    }
}

// === impl History ===

impl History {
    fn push(&mut self, diff: &DepthUpdate) {
        self.events.push_back(diff.clone());
        if self.events.len() > self.cap
            && let Some(oldest) = self.events.pop_front()
        {
            self.base.apply(&oldest);
            self.base_id = oldest.last_id;
        }
    }

    fn book_at(&self, id: u64) -> Option<Book> {
        if id == self.base_id {
            return Some(self.base.clone());
        }
        let end = self.events.iter().position(|event| event.last_id == id)?;
        let mut book = self.base.clone();
        for event in self.events.iter().take(end + 1) {
            book.apply(event);
        }
        Some(book)
    }
}

// === impl StaleSnapshots ===

impl StaleSnapshots {
    fn keep(&mut self, now_ms: i64, take: impl FnOnce() -> Snapshot) {
        if now_ms - self.taken_ms < STALE_AFTER_MS {
            return;
        }
        self.taken_ms = now_ms;
        self.older = std::mem::replace(&mut self.newer, take());
    }
}

fn snapshot_of(book: &Book, last_update_id: u64, limit: usize) -> Snapshot {
    let (bids, asks) = (book.levels(Side::Bid, limit), book.levels(Side::Ask, limit));
    Snapshot { last_update_id, event_ms: None, transaction_ms: None, bids, asks }
}

fn window_of(event_ms: i64, interval_ms: u64) -> u64 {
    event_ms.unsigned_abs() / interval_ms.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instrument() -> Instrument {
        let (symbol, base, quote) = ("BTCUSDT".to_owned(), "BTC".to_owned(), "USDT".to_owned());
        let (tick_size, step_size, max_quantity) = ("0.01".to_owned(), "0.00001".to_owned(), "9000".to_owned());
        Instrument { symbol, base, quote, tick_size, step_size, max_quantity, price_decimals: 2, quantity_decimals: 5 }
    }

    fn market(venue: VenueKind) -> Market {
        let snapshot = Snapshot { last_update_id: 100, event_ms: None, transaction_ms: None, bids: vec![], asks: vec![] };
        Market::new(venue, instrument(), &snapshot, 4)
    }

    fn diff(event_ms: i64, first_id: u64, last_id: u64, bid: (&str, &str)) -> DepthUpdate {
        let b = vec![(bid.0.to_owned(), bid.1.to_owned())];
        DepthUpdate {
            e: DEPTH_UPDATE,
            event_ms,
            transaction_ms: Some(event_ms),
            s: "BTCUSDT".into(),
            first_id,
            last_id,
            previous_id: Some(first_id - 1),
            b,
            a: vec![],
        }
    }

    #[test]
    fn a_slower_stream_gathers_and_chains() {
        let mut market = market(VenueKind::BinanceUsdm);
        market.want("btcusdt@depth@100ms", 0);
        let slow = |events: Vec<StreamEvent>| events.into_iter().filter(|e| e.stream == "btcusdt@depth@100ms").collect::<Vec<_>>();
        assert!(slow(market.apply(&diff(1010, 101, 105, ("10", "1")), 0)).is_empty());
        assert!(slow(market.apply(&diff(1060, 106, 110, ("10", "2")), 0)).is_empty());
        let events = slow(market.apply(&diff(1110, 111, 115, ("11", "1")), 0));
        assert_eq!(events.len(), 1);
        let first = &events[0].update;
        assert_eq!((first.first_id, first.last_id, first.previous_id), (101, 110, Some(100)));
        assert_eq!(first.b, vec![("10".to_owned(), "2".to_owned())]);
        let events = slow(market.flush(1200));
        assert_eq!((events[0].update.last_id, events[0].update.previous_id), (115, Some(110)));
        assert!(slow(market.flush(1300)).is_empty());
    }

    #[test]
    fn the_past_is_known_as_far_as_the_history_reaches() {
        let mut market = market(VenueKind::BinanceSpot);
        for id in 101..=110u64 {
            market.apply(&diff(1000, id, id, ("10", &id.to_string())), 100);
        }
        assert_eq!(market.known_ids(), (106, 110));
        assert_eq!(market.book_at(108).unwrap().best(Side::Bid), Some(&("10".to_owned(), "108".to_owned())));
        assert_eq!(market.book_at(106).unwrap().best(Side::Bid), Some(&("10".to_owned(), "106".to_owned())));
        assert_eq!(market.book_at(105), None);
        assert_eq!(market.book_at(111), None);
    }

    #[test]
    fn a_sequence_that_falls_back_is_new_and_quiet_books_repeat_their_id() {
        let mut market = market(VenueKind::OkxSpot);
        let name = "BTCUSDT@books";
        market.want(name, 0);
        market.apply(&DepthUpdate { previous_id: Some(100), ..diff(1000, 15, 15, ("10", "1")) }, 0);
        market.apply(&DepthUpdate { previous_id: Some(15), ..diff(1010, 20, 20, ("10", "2")) }, 0);
        let event = market.flush(1100).remove(0);
        assert_eq!((event.update.previous_id, event.update.last_id, event.held.bids), (Some(100), 20, vec![false]));
        assert_eq!(market.book_at(15).unwrap().best(Side::Bid), Some(&("10".to_owned(), "1".to_owned())));
        assert!(market.keep_alive(1_500, 1_000).is_empty());
        let quiet = market.keep_alive(2_100, 1_000).remove(0).update;
        assert_eq!((quiet.previous_id, quiet.last_id, quiet.b.len()), (Some(20), 20, 0));
        assert!(market.keep_alive(2_200, 1_000).is_empty());
        market.apply(&DepthUpdate { previous_id: Some(20), ..diff(2300, 21, 21, ("10", "0")) }, 0);
        assert_eq!(market.flush(2_400).remove(0).held.bids, [true]);
    }

    #[test]
    fn a_stale_snapshot_lags_the_book() {
        let mut market = market(VenueKind::BinanceSpot);
        for step in 0..10i64 {
            let id = 101 + step.unsigned_abs();
            market.apply(&diff(step * 1_000, id, id, ("10", "1")), 100);
        }
        assert!(market.stale_snapshot(10).last_update_id + 2 <= market.last_id);
    }
}
