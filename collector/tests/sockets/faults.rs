//! Each fault a venue may have: no wrong book leaves, one named reason is counted, and the books are right again.

use std::time::{Duration, Instant};

use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, WalkConfig};
use venue_sim::{FaultKind, FaultSpec, VenueKind};

use crate::place::{BINANCE_SPOT, BINANCE_USDM, DERIBIT, Expected, OKX_SPOT};
use crate::world::{Capture, Collector, Venues, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_the_stream_has_its_name_and_its_end() {
    let all = [
        (FaultKind::DropDiff, ("resync gap", 1.0)),
        (FaultKind::DuplicateDiff, ("", 0.0)),
        (FaultKind::ReorderDiff, ("resync gap", 1.0)),
        (FaultKind::MalformedFrame, ("malformed", 1.0)),
        (FaultKind::UnknownEvent, ("", 0.0)),
    ];
    BINANCE_SPOT.strike_each(all.map(|(fault, outcome)| Expected::of_data(&BINANCE_SPOT, fault, outcome))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_connection_has_its_name_and_its_end() {
    let ends = [FaultKind::TcpReset, FaultKind::Close, FaultKind::CutFrame, FaultKind::HalfOpen];
    let ends = ends.map(|fault| Expected::of_links(fault, ("disconnected closed", 1.0)));
    // Announced long enough ahead for a connection that has only just been opened.
    let farewell = FaultSpec::once(FaultKind::ServerShutdown).lasting(Duration::from_secs(20));
    let announced = Expected { fault: farewell, sign: "hand_over_done", resyncs: 0.0 };
    BINANCE_SPOT.strike_each(ends.into_iter().chain([announced])).await;
}

/// A fault of REST while a snapshot is fetched: told by name, and overcome; how long that took.
async fn rest(fault: FaultSpec, trouble: &str) -> Duration {
    let kind = VenueKind::BinanceUsdm;
    let described = format!("{fault:?}");
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let capture = Capture::default();
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", "")], ""), vec![Box::new(capture.clone())]);
    // The instrument list is got in peace; the snapshot of a resync is not.
    capture.more_books(3).await;
    venues.handle(kind).inject(fault).await;
    venues.handle(kind).inject(FaultSpec::once(FaultKind::DropDiff).on("BTCUSDT")).await;
    let begun = Instant::now();
    let series =
        format!("collector_feed_events_total{{exchange=\"binance\",market_type=\"perpetual\",event=\"snapshot_retry\",reason=\"{trouble}\"}}");
    collector.wait_for(&series, 1.0).await;
    collector.wait_for("collector_feed_events_total{exchange=\"binance\",market_type=\"perpetual\",event=\"synced\",reason=\"\"}", 2.0).await;
    let took = begun.elapsed();
    capture.more_books(5).await;
    println!("{described}: {} books, all true, after {trouble}", BINANCE_USDM.all_books_are_true(&capture, &venues).await);
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_snapshot_has_its_name_and_its_end() {
    let imposing = |kind| FaultSpec { retry_after: Some(3), ..FaultSpec::once(kind) };
    let (limited, banned, ..) = tokio::join!(
        rest(imposing(FaultKind::Rest429), "rate_limited"),
        rest(imposing(FaultKind::Rest418), "banned"),
        rest(FaultSpec::once(FaultKind::Rest500), "status"),
        rest(FaultSpec::once(FaultKind::RestReset), "network"),
        rest(FaultSpec::once(FaultKind::RestStale), "snapshot_too_old"),
    );
    for took in [limited, banned] {
        assert!(took >= Duration::from_secs(3), "asked again after {took:?}, though Retry-After was 3 s");
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_out_of_order_and_behind_the_data_are_understood() {
    for place in [BINANCE_SPOT, OKX_SPOT, DERIBIT] {
        let venues = place.walk(LimitsConfig::default()).await;
        venues.handle(place.kind).inject(FaultSpec::once(FaultKind::ReorderAcks).times(10)).await;
        let capture = Capture::default();
        let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: 50ms");
        let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
        collector.wait_for(&place.synced(), 1.0).await;
        capture.more_books(20).await;
        let checked = place.all_books_are_true(&capture, &venues).await;
        println!("{} {}: {checked} books, all true, behind late acknowledgements", place.exchange, place.market);
        assert_eq!(collector.metric(&place.event("refused orderbook")).await, 0.0, "{}", collector.troubles().await);
        assert_eq!(collector.metric(&place.event("disconnected subscribe_timeout")).await, 0.0, "{}", collector.troubles().await);
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_whose_clock_is_off_is_collected_and_the_difference_is_shown() {
    for (place, ahead_ms) in [(BINANCE_SPOT, 60_000_i32), (OKX_SPOT, -60_000), (DERIBIT, 60_000)] {
        let feed = FeedConfig::Walk(WalkConfig { changes_per_second: 100, ..WalkConfig::new(&place.symbols, 5) });
        let limits = LimitsConfig { history_events: Some(1_000_000), ..LimitsConfig::default() };
        let venue = VenueConfig { limits, clock_skew_ms: i64::from(ahead_ms), ..VenueConfig::new(place.kind, feed) };
        let venues = Venues::start(vec![venue], vec![]).await;
        let capture = Capture::default();
        let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: 50ms");
        let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
        capture.more_books(60).await;
        assert!(place.all_books_are_true(&capture, &venues).await >= 60);
        let age = collector.metric(&format!("collector_event_age_seconds{}", place.labels(&format!("symbol=\"{}\"", place.symbols[0])))).await;
        let expected = -f64::from(ahead_ms) / 1_000.0;
        assert!((age - expected).abs() < 30.0, "{} {}: {age} s, expected about {expected}", place.exchange, place.market);
        for record in capture.records().iter().filter(|record| record["data_type"] == "orderbook") {
            // A snapshot of Binance Spot has no time.
            let Some(event) = record["event_ts_ms"].as_i64() else { continue };
            let difference = record["collected_ts_ms"].as_i64().unwrap() - event;
            assert!((difference + i64::from(ahead_ms)).abs() < 30_000, "both clocks are told as they are: {difference} ms");
        }
        assert_eq!(place.resyncs(&collector).await, 0.0, "{}", collector.troubles().await);
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}
