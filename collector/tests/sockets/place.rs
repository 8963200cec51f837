//! One market for a test: which venue, which instruments, how its figures read; and what holds for a fault at any of them.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use venue_sim::venue::book::decimal_key;
use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, WalkConfig};
use venue_sim::venue::engine::BookAnswer;
use venue_sim::{FaultKind, FaultSpec, VenueKind};

use crate::world::{Book, Capture, Collector, Venues, config, get};

/// Worlds at the same time.
const AT_ONCE: usize = 4;

/// A market.
pub(crate) struct Place {
    pub(crate) kind: VenueKind,
    pub(crate) exchange: &'static str,
    pub(crate) market: &'static str,
    /// Two instruments as we write them, the first and its neighbour.
    pub(crate) symbols: [&'static str; 2],
    /// The first as the venue writes it.
    pub(crate) raw: &'static str,
    /// Contracts of each that make one of the base; 1 where the venue counts in what we publish.
    pub(crate) contracts: [u128; 2],
}

pub(crate) const BINANCE_SPOT: Place =
    Place { kind: VenueKind::BinanceSpot, exchange: "binance", market: "spot", symbols: ["BTC-USDT", "ETH-USDT"], raw: "BTCUSDT", contracts: [1, 1] };

pub(crate) const BINANCE_USDM: Place = Place {
    kind: VenueKind::BinanceUsdm,
    exchange: "binance",
    market: "perpetual",
    symbols: ["BTC-USDT", "ETH-USDT"],
    raw: "BTCUSDT",
    contracts: [1, 1],
};

pub(crate) const OKX_SPOT: Place =
    Place { kind: VenueKind::OkxSpot, exchange: "okx", market: "spot", symbols: ["BTC-USDT", "ETH-USDT"], raw: "BTC-USDT", contracts: [1, 1] };

/// Contracts of 0.01 BTC and of 0.1 ETH.
pub(crate) const OKX_SWAP: Place = Place {
    kind: VenueKind::OkxSwap,
    exchange: "okx",
    market: "perpetual",
    symbols: ["BTC-USDT", "ETH-USDT"],
    raw: "BTC-USDT-SWAP",
    contracts: [100, 10],
};

/// Amounts are dollars of the inverse contract, coins of the linear one.
pub(crate) const DERIBIT: Place = Place {
    kind: VenueKind::Deribit,
    exchange: "deribit",
    market: "perpetual",
    symbols: ["BTC-USD", "ETH-USDC"],
    raw: "BTC-PERPETUAL",
    contracts: [1, 1],
};

/// What a fault must lead to.
pub(crate) struct Expected {
    pub(crate) fault: FaultSpec,
    /// A feed event, with its reason behind a space; empty: none.
    pub(crate) sign: &'static str,
    /// How many resyncs of the first book are right.
    pub(crate) resyncs: f64,
}

// === impl Place ===

impl Place {
    /// A lively walk of both instruments that remembers every book it had.
    pub(crate) async fn walk(&self, limits: LimitsConfig) -> Venues {
        let feed = FeedConfig::Walk(WalkConfig { changes_per_second: 100, ..WalkConfig::new(&self.symbols, 5) });
        let limits = LimitsConfig { history_events: Some(1_000_000), ..limits };
        Venues::start(vec![VenueConfig { limits, ..VenueConfig::new(self.kind, feed) }], vec![]).await
    }

    /// The labels of this market, and more.
    pub(crate) fn labels(&self, more: &str) -> String {
        format!("{{exchange=\"{}\",market_type=\"{}\",{more}}}", self.exchange, self.market)
    }

    /// Whether the first book is in step.
    pub(crate) fn synced(&self) -> String {
        format!("marketprism_orderbook_sync_status{}", self.labels(&format!("symbol=\"{}\"", self.symbols[0])))
    }

    /// A named event, its reason behind a space.
    pub(crate) fn event(&self, sign: &str) -> String {
        let (event, reason) = sign.split_once(' ').unwrap_or((sign, ""));
        format!("collector_feed_events_total{}", self.labels(&format!("event=\"{event}\",reason=\"{reason}\"")))
    }

    /// Resyncs of the first book, over all reasons.
    pub(crate) async fn resyncs(&self, collector: &Collector) -> f64 {
        let family =
            format!("collector_resyncs_total{{exchange=\"{}\",market_type=\"{}\",symbol=\"{}\"", self.exchange, self.market, self.symbols[0]);
        let page = get(collector.metrics, "/metrics").await.1;
        page.lines().filter(|line| line.starts_with(&family)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Compares every captured book with the venue's own book at that sequence; returns how many there were.
    pub(crate) async fn all_books_are_true(&self, capture: &Capture, venues: &Venues) -> usize {
        let books = capture.books();
        for book in &books {
            let truth = venues.handle(self.kind).book(&book.venue_symbol, Some(book.sequence), 100).await;
            let Some(BookAnswer::Book { bids, asks, .. }) = truth else { panic!("no book of {} at {}: {truth:?}", book.venue_symbol, book.sequence) };
            self.is_true(book, [&bids, &asks]);
        }
        books.len()
    }

    fn is_true(&self, book: &Book, truth: [&[(String, String)]; 2]) {
        let contracts = self.contracts[usize::from(book.venue_symbol.starts_with("ETH"))];
        for (ours, truth) in [&book.bids, &book.asks].into_iter().zip(truth) {
            // Fewer levels may be published than the venue has, never other ones.
            assert!((50..=truth.len()).contains(&ours.len()), "{} of {} levels", ours.len(), truth.len());
            for (ours, truth) in ours.iter().zip(truth) {
                let key = |text: &str| decimal_key(text).unwrap();
                assert_eq!(
                    (key(&ours[0]), key(&ours[1]) * contracts),
                    (key(&truth.0), key(&truth.1)),
                    "{} at {}: {ours:?} {truth:?}",
                    book.venue_symbol,
                    book.sequence
                );
            }
        }
    }

    /// Several faults, some of them at the same time, each in a world of its own: nearly all of it is waiting.
    pub(crate) async fn strike_each(&self, all: impl IntoIterator<Item = Expected>) {
        let strikes = all.into_iter().map(|expected| self.strike(expected));
        stream::iter(strikes).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Lets a fault strike in the middle of a run: its sign comes, the books come back, and every one that was published is true.
    pub(crate) async fn strike(&self, expected: Expected) {
        let limits = LimitsConfig { short_heartbeats: true, ..LimitsConfig::default() };
        let venues = self.walk(limits).await;
        let capture = Capture::default();
        let entry = venues.entry(self.kind, &self.symbols.join(", "), ", publish: 50ms");
        let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
        collector.wait_for(&self.synced(), 1.0).await;
        capture.more_books(5).await;
        let Expected { fault, sign, resyncs } = expected;
        let kind = fault.kind;
        venues.handle(self.kind).inject(fault).await;
        if !sign.is_empty() {
            collector.wait_for(&self.event(sign), 1.0).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        collector.wait_for(&self.synced(), 1.0).await;
        capture.more_books(10).await;
        assert_eq!(self.resyncs(&collector).await, resyncs, "{kind:?}\n{}", collector.troubles().await);
        let checked = self.all_books_are_true(&capture, &venues).await;
        println!("{} {} {kind:?}: {checked} books, all true; {resyncs} resync(s) {sign}", self.exchange, self.market);
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}

// === impl Expected ===

impl Expected {
    /// A fault of one symbol's data, once.
    pub(crate) fn of_data(place: &Place, fault: FaultKind, (sign, resyncs): (&'static str, f64)) -> Self {
        Self { fault: FaultSpec::once(fault).on(place.raw), sign, resyncs }
    }

    /// A fault of the connections.
    pub(crate) fn of_links(fault: FaultKind, (sign, resyncs): (&'static str, f64)) -> Self {
        Self { fault: FaultSpec::once(fault).lasting(Duration::from_secs(1)), sign, resyncs }
    }
}
