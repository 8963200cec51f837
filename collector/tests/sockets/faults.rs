//! Each fault a venue may have: no wrong book leaves, one named reason is counted, and the books are right again.

use std::time::Duration;

use venue_sim::venue::engine::BookAnswer;
use venue_sim::{FaultKind, FaultSpec, VenueKind};

use crate::world::{Capture, Collector, Levels, Venues, config};

const SYNCED: &str = "marketprism_orderbook_sync_status{exchange=\"binance\",market_type=\"spot\",symbol=\"BTC-USDT\"}";

/// What a fault must lead to: a series with its labels' decisive part, and how many resyncs of the book are right.
struct Expected {
    fault: FaultKind,
    sign: &'static str,
    resyncs: f64,
}

fn feed_event(event: &str, reason: &str) -> String {
    format!("collector_feed_events_total{{exchange=\"binance\",market_type=\"spot\",event=\"{event}\",reason=\"{reason}\"}}")
}

/// Compares every captured book with the venue's own book at that update.
async fn all_books_are_true(capture: &Capture, venues: &Venues, kind: VenueKind) -> usize {
    let books = capture.books();
    for book in &books {
        let truth = venues.handle(kind).book(&book.venue_symbol, Some(book.sequence), 100).await;
        let Some(BookAnswer::Book { bids, asks, .. }) = truth else { panic!("no book of {} at {}: {truth:?}", book.venue_symbol, book.sequence) };
        let plain = |levels: &[(String, String)]| -> Levels {
            levels.iter().map(|(price, quantity)| [price, quantity].map(|text| crate::world::trimmed(&text.as_str().into()))).collect()
        };
        let (bids, asks) = (plain(&bids), plain(&asks));
        // Fewer levels may be published than the venue has, never other ones.
        assert_eq!(book.bids, bids[..book.bids.len()], "{} at {}", book.venue_symbol, book.sequence);
        assert_eq!(book.asks, asks[..book.asks.len()], "{} at {}", book.venue_symbol, book.sequence);
        assert!(book.bids.len() >= 50 && book.asks.len() >= 50);
    }
    books.len()
}

async fn strike(expected: &Expected) {
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT", "ETH-USDT"], vec![]).await;
    let capture = Capture::default();
    let entry = venues.entry(kind, "BTC-USDT, ETH-USDT", ", publish: 50ms");
    let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
    collector.wait_for(SYNCED, 1.0).await;
    capture.more_books(5).await;
    let spec = FaultSpec::once(expected.fault).lasting(Duration::from_secs(1));
    let spec = if expected.fault.strikes_connections() { spec } else { FaultSpec { lasts: None, ..spec.on("BTCUSDT") } };
    venues.handle(kind).inject(spec).await;
    let sign = expected.sign.split_once(' ').map_or_else(|| feed_event(expected.sign, ""), |(event, reason)| feed_event(event, reason));
    if !expected.sign.is_empty() {
        collector.wait_for(&sign, 1.0).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    collector.wait_for(SYNCED, 1.0).await;
    capture.more_books(10).await;
    let of_book = "collector_resyncs_total{exchange=\"binance\",market_type=\"spot\",symbol=\"BTC-USDT\"";
    let page = crate::world::get(collector.metrics, "/metrics").await.1;
    let resyncs: Vec<&str> = page.lines().filter(|line| line.starts_with(of_book)).collect();
    let count: f64 = resyncs.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert_eq!(count, expected.resyncs, "{:?}: {resyncs:?}\n{}", expected.fault, collector.troubles().await);
    let checked = all_books_are_true(&capture, &venues, kind).await;
    println!("{:?}: {checked} books, all true; {count} resync(s) {}", expected.fault, expected.sign);
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_the_stream_has_its_name_and_its_end() {
    for expected in [
        Expected { fault: FaultKind::DropDiff, sign: "resync gap", resyncs: 1.0 },
        Expected { fault: FaultKind::DuplicateDiff, sign: "", resyncs: 0.0 },
        Expected { fault: FaultKind::ReorderDiff, sign: "resync gap", resyncs: 1.0 },
        Expected { fault: FaultKind::MalformedFrame, sign: "malformed", resyncs: 1.0 },
        Expected { fault: FaultKind::UnknownEvent, sign: "", resyncs: 0.0 },
    ] {
        strike(&expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_connection_has_its_name_and_its_end() {
    for expected in [
        Expected { fault: FaultKind::TcpReset, sign: "disconnected closed", resyncs: 1.0 },
        Expected { fault: FaultKind::Close, sign: "disconnected closed", resyncs: 1.0 },
        Expected { fault: FaultKind::CutFrame, sign: "disconnected closed", resyncs: 1.0 },
        Expected { fault: FaultKind::HalfOpen, sign: "disconnected closed", resyncs: 1.0 },
        Expected { fault: FaultKind::ServerShutdown, sign: "hand_over_done", resyncs: 0.0 },
    ] {
        strike(&expected).await;
    }
}

/// A fault of REST while the first snapshot is fetched: told by name, and overcome.
async fn rest(fault: FaultSpec, trouble: &str) {
    let kind = VenueKind::BinanceUsdm;
    let described = format!("{fault:?}");
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let capture = Capture::default();
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", "")], ""), vec![Box::new(capture.clone())]);
    // The instrument list is got in peace; the snapshot of a resync is not.
    capture.more_books(3).await;
    venues.handle(kind).inject(fault).await;
    venues.handle(kind).inject(FaultSpec::once(FaultKind::DropDiff).on("BTCUSDT")).await;
    let series =
        format!("collector_feed_events_total{{exchange=\"binance\",market_type=\"perpetual\",event=\"snapshot_retry\",reason=\"{trouble}\"}}");
    collector.wait_for(&series, 1.0).await;
    collector.wait_for("collector_feed_events_total{exchange=\"binance\",market_type=\"perpetual\",event=\"synced\",reason=\"\"}", 2.0).await;
    capture.more_books(5).await;
    println!("{described}: {} books, all true, after {trouble}", all_books_are_true(&capture, &venues, kind).await);
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_snapshot_has_its_name_and_its_end() {
    rest(FaultSpec { retry_after: Some(1), ..FaultSpec::once(FaultKind::Rest429) }, "rate_limited").await;
    rest(FaultSpec::once(FaultKind::Rest500), "status").await;
    rest(FaultSpec::once(FaultKind::RestReset), "network").await;
    rest(FaultSpec::once(FaultKind::RestStale), "snapshot_too_old").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_that_is_away_at_the_start_is_waited_for_and_an_unknown_symbol_takes_nothing_down() {
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT", "ETH-USDT"], vec![FaultSpec::once(FaultKind::Rest500).times(1)]).await;
    let capture = Capture::default();
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT, EHT-USDT", "")], ""), vec![Box::new(capture.clone())]);
    capture.more_books(5).await;
    assert_eq!(
        collector.metric("marketprism_collector_errors_total{exchange=\"binance\",data_type=\"instruments\",code=\"symbol_unknown\"}").await,
        1.0
    );
    let never = "collector_stream_last_data_timestamp_seconds{exchange=\"binance\",market_type=\"spot\",symbol=\"EHT-USDT\",kind=\"trade\"} 0";
    assert!(crate::world::get(collector.metrics, "/metrics").await.1.contains(never), "a stream that never came has its series");
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}
