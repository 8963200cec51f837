//! Minutes of two real markets, through the whole core: best bid and ask of every book equal the venue's own book ticker at the same update id.
//!
//! A recording holds one snapshot of 1,000 levels, and these markets leave it behind within minutes. The deeper ones the core then asks for come from
//! [`Everything`]: all levels the recording ever told, the only account of the venue's book there is.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clock::Now;
use marketdata::{
    Effect, EventKind, Input, Instrument, InstrumentId, Publication, RecordKind, RecordKinds, Response, Scale, Side, SyncState, Venue, VenueConfig,
    VenueKind,
};
use serde::Deserialize;

use crate::follower::Follower;

#[derive(Deserialize)]
struct Ticker {
    u: u64,
    b: String,
    #[serde(rename = "B")]
    bid_quantity: String,
    a: String,
    #[serde(rename = "A")]
    ask_quantity: String,
}

#[derive(Deserialize)]
struct Combined<T> {
    data: T,
}

#[derive(Deserialize)]
struct Told {
    #[serde(alias = "lastUpdateId")]
    u: u64,
    #[serde(alias = "bids")]
    b: Vec<(String, String)>,
    #[serde(alias = "asks")]
    a: Vec<(String, String)>,
}

/// Every level the recording told, by price without its point.
#[derive(Default)]
struct Everything {
    last: u64,
    bids: BTreeMap<u64, (String, String)>,
    asks: BTreeMap<u64, (String, String)>,
}

impl Everything {
    fn hear(&mut self, told: Told) {
        if told.u < self.last {
            return; // a delta from before the snapshot
        }
        self.last = told.u;
        for (side, rows) in [(&mut self.bids, told.b), (&mut self.asks, told.a)] {
            for (price, quantity) in rows {
                let key = price.replace('.', "").parse().unwrap();
                if quantity.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
                    side.remove(&key)
                } else {
                    side.insert(key, (price, quantity))
                };
            }
        }
    }

    fn snapshot(&self) -> String {
        let bids: Vec<_> = self.bids.values().rev().take(1_000).collect();
        let asks: Vec<_> = self.asks.values().take(1_000).collect();
        let text = |rows| serde_json::to_string(rows).unwrap();
        format!(r#"{{"lastUpdateId":{},"bids":{},"asks":{}}}"#, self.last, text(&bids), text(&asks))
    }
}

/// What a run brought.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    books: usize,
    /// Deltas that told something; a consumer of them had the published book after each.
    deltas: usize,
    compared: usize,
    trades: usize,
    incomplete: usize,
    refreshes: usize,
    resyncs: usize,
    gaps: usize,
    unknown: u64,
    malformed: u64,
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the test reads the recording; the core it feeds does no I/O")]
pub(crate) fn read(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings").join(name);
    let worktree = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/recordings").join(name);
    let found = [path, worktree].into_iter().find(|path| path.exists());
    let Some(found) = found else {
        println!("skipped: no recording {name} in ../shared/recordings");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(found).unwrap()).read_to_string(&mut text).unwrap();
    Some(text)
}

fn tickers(text: &str) -> HashMap<u64, Ticker> {
    let lines = text.lines().filter(|line| line.contains("@bookTicker\""));
    let parsed = lines.map(|line| serde_json::from_str::<Combined<Ticker>>(line.split_once(' ').unwrap().1).unwrap().data);
    parsed.map(|ticker| (ticker.u, ticker)).collect()
}

struct Replay {
    venue: Venue,
    tickers: HashMap<u64, Ticker>,
    count: Count,
    to_do: Vec<Effect>,
    follower: Follower,
    fetch: Option<marketdata::FetchId>,
}

impl Replay {
    fn new(kind: VenueKind, decimals: (u8, u8), text: &str) -> Self {
        let mut config = VenueConfig::new(kind);
        config.output.book = Publication::EveryUpdate;
        config.output.delta = Some(Publication::EveryUpdate);
        config.output.previews = RecordKinds::NONE.with(RecordKind::Ofi).with(RecordKind::Feature);
        let scales = (Scale::new(decimals.0), Scale::new(decimals.1));
        let btc = Instrument::new(kind.exchange(), kind.market_type(), ("BTCUSDT", "BTC-USDT"), scales);
        let venue = Venue::new(config, vec![btc]).unwrap();
        Self { venue, tickers: tickers(text), count: Count::default(), to_do: Vec::new(), follower: Follower::default(), fetch: None }
    }

    fn input(&mut self, now: Now, input: Input<'_>) {
        let mut effects = std::mem::take(&mut self.to_do);
        self.venue.handle(now, input, &mut effects);
        for effect in effects.drain(..) {
            self.perform(now, effect);
        }
        self.to_do = effects;
    }

    fn perform(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Connect { conn, .. } => self.input(now, Input::Connected { conn }),
            Effect::Send { conn, .. } => self.input(now, Input::Frame { conn, text: r#"{"result":null,"id":1}"# }),
            Effect::Fetch { fetch, .. } => self.fetch = Some(fetch),
            Effect::Book { instrument } => {
                self.follower.book(now.wall_ms, &self.venue.book(instrument).unwrap());
                self.compare(instrument);
            }
            Effect::Delta { instrument } => {
                if let Some(delta) = self.venue.delta(now, instrument) {
                    self.follower.apply(&delta);
                    self.count.deltas += 1;
                }
                self.follower.equals(&self.venue.book(instrument).unwrap());
            }
            Effect::Preview { instrument, .. } => self.follower.bar(self.venue.preview(instrument).unwrap().bar),
            Effect::Trade(trade) => {
                self.follower.trade(now.wall_ms, &trade);
                self.count.trades += 1;
            }
            Effect::Event(event) => match event.kind {
                EventKind::Resync(_) => self.count.resyncs += 1,
                EventKind::Refresh => self.count.refreshes += 1,
                EventKind::TradeGap { .. } => self.count.gaps += 1,
                EventKind::EmptySide => self.follower.lost(now.wall_ms),
                _ => {}
            },
            Effect::Close { reason, .. } => panic!("closed: {}", reason.as_str()),
        }
    }

    fn compare(&mut self, id: InstrumentId) {
        self.count.books += 1;
        let view = self.venue.book(id).unwrap();
        self.count.incomplete += usize::from(!view.complete());
        let Some(ticker) = self.tickers.get(&view.stamp.sequence) else { return };
        let best = |side| {
            let level = view.book.best(side).unwrap();
            (view.instrument.price.text(level.price.0), view.instrument.quantity.text(level.quantity.0))
        };
        assert_eq!(best(Side::Bid), (ticker.b.clone(), ticker.bid_quantity.clone()), "bid at {}", ticker.u);
        assert_eq!(best(Side::Ask), (ticker.a.clone(), ticker.ask_quantity.clone()), "ask at {}", ticker.u);
        self.count.compared += 1;
    }
}

fn replay(kind: VenueKind, name: &str, decimals: (u8, u8)) -> Option<Count> {
    let text = read(name)?;
    let mut replay = Replay::new(kind, decimals, &text);
    let at = |line: &str| line.split_once(' ').and_then(|(ns, _)| ns.parse::<u64>().ok()).unwrap();
    let start = at(text.lines().next().unwrap());
    let mut everything = Everything::default();
    for line in text.lines() {
        let ns = at(line);
        let now = Now::new(Duration::from_nanos(ns - start), i64::try_from(ns / 1_000_000).unwrap());
        while replay.venue.next_timeout().is_some_and(|at| at <= now.mono) {
            replay.input(now, Input::Timeout);
        }
        let frame = line.split_once(' ').unwrap().1;
        let first_snapshot = frame.starts_with("{\"lastUpdateId\"");
        if first_snapshot {
            everything.hear(serde_json::from_str(frame).unwrap());
        } else {
            if frame.contains("\"depthUpdate\"") {
                everything.hear(serde_json::from_str::<Combined<Told>>(frame).unwrap().data);
            }
            replay.input(now, Input::Frame { conn: marketdata::ConnId(1), text: frame });
        }
        if (first_snapshot || replay.count.books > 0)
            && let Some(fetch) = replay.fetch.take()
        {
            let body = if first_snapshot { frame.to_owned() } else { everything.snapshot() };
            let response = Response { status: 200, retry_after: None, used_weight: None, body: &body };
            replay.input(now, Input::Fetched { fetch, response });
        }
    }
    let status = replay.venue.status(InstrumentId(0)).unwrap();
    assert_eq!(status.state, SyncState::Synced);
    assert_eq!(replay.fetch, None, "no second snapshot was needed");
    let stats = replay.venue.stats();
    assert!(replay.follower.seconds.1 > 100, "complete seconds with an imbalance that was compared: {:?}", replay.follower.seconds);
    Some(Count { unknown: stats.unknown, malformed: stats.malformed, ..replay.count })
}

#[test]
fn spot_books_equal_the_book_ticker() {
    if let Some(count) = replay(VenueKind::BinanceSpot, "binance_spot_btcusdt_20240808.gz", (8, 8)) {
        println!("spot: {count:?}");
        let expected = Count {
            books: 3_449,
            deltas: 3_386,
            compared: 564,
            trades: 9_757,
            incomplete: 0,
            refreshes: 1,
            resyncs: 0,
            gaps: 0,
            unknown: 28_040,
            malformed: 0,
        };
        assert_eq!(count, expected);
    }
}

#[test]
fn futures_books_equal_the_book_ticker() {
    if let Some(count) = replay(VenueKind::BinanceUsdm, "binance_usdm_btcusdt_20240808.gz", (2, 3)) {
        println!("futures: {count:?}");
        let expected = Count {
            books: 6_546,
            deltas: 6_442,
            compared: 629,
            trades: 21_313,
            incomplete: 0,
            refreshes: 1,
            resyncs: 0,
            gaps: 0,
            unknown: 66_089,
            malformed: 0,
        };
        assert_eq!(count, expected);
    }
}
