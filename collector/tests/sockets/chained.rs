//! OKX and Deribit: books that come over the stream and are chained by the previous number. Every published book is the venue's own, every fault has
//! its name and its end, and what happens to one instrument happens to no other.

use std::time::{Duration, Instant};

use venue_sim::duration::Span;
use venue_sim::venue::config::LimitsConfig;
use venue_sim::{FaultKind, FaultSpec};

use crate::place::{DERIBIT, Expected, OKX_SPOT, OKX_SWAP, Place};
use crate::world::{Capture, Collector, SOON, config, get};

const ALL: [Place; 3] = [OKX_SPOT, OKX_SWAP, DERIBIT];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_update_published_is_the_venues_book_at_that_sequence() {
    for place in ALL {
        let venues = place.walk(LimitsConfig::default()).await;
        let capture = Capture::default();
        let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: every");
        let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
        capture.more_books(80).await;
        let trades = capture.records().iter().filter(|record| record["data_type"] == "trade").count();
        let checked = place.all_books_are_true(&capture, &venues).await;
        println!("{} {}: {checked} books, all true; {trades} trades", place.exchange, place.market);
        assert_eq!(place.resyncs(&collector).await, 0.0, "{}", collector.troubles().await);
        assert_eq!(collector.metric(&place.event("trade_gap")).await, 0.0, "{}", collector.troubles().await);
        assert!(trades > 20);
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_okxs_stream_has_its_name_and_its_end() {
    let all = [
        (FaultKind::DropDiff, ("resync gap", 1.0)),
        (FaultKind::ReorderDiff, ("resync gap", 1.0)),
        (FaultKind::MalformedFrame, ("malformed", 1.0)),
        (FaultKind::UnknownEvent, ("", 0.0)),
        (FaultKind::KeepAlive, ("", 0.0)),
        (FaultKind::SequenceReset, ("sequence_reset", 0.0)),
        (FaultKind::ChecksumAbsent, ("", 0.0)),
        (FaultKind::ChecksumWrong, ("", 0.0)),
    ];
    OKX_SWAP.strike_each(all.map(|(fault, outcome)| Expected::of_data(&OKX_SWAP, fault, outcome))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_deribits_stream_has_its_name_and_its_end() {
    let all = [
        (FaultKind::DropDiff, ("resync gap", 1.0)),
        (FaultKind::ReorderDiff, ("resync gap", 1.0)),
        (FaultKind::MalformedFrame, ("malformed", 1.0)),
        (FaultKind::UnknownEvent, ("", 0.0)),
        (FaultKind::UnknownDelete, ("unknown_level", 0.0)),
    ];
    DERIBIT.strike_each(all.map(|(fault, outcome)| Expected::of_data(&DERIBIT, fault, outcome))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_connection_has_its_name_and_its_end() {
    for place in [&OKX_SPOT, &DERIBIT] {
        let all = [FaultKind::TcpReset, FaultKind::CutFrame, FaultKind::HalfOpen];
        place.strike_each(all.map(|fault| Expected::of_links(fault, ("disconnected closed", 1.0)))).await;
    }
    // The reader was too slow, says the venue.
    let close = Expected { fault: FaultSpec { code: Some(4005), ..FaultSpec::once(FaultKind::Close) }, sign: "disconnected closed", resyncs: 1.0 };
    OKX_SWAP.strike(close).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_upgrade_loses_no_update_and_no_trade() {
    for place in [OKX_SPOT, OKX_SWAP] {
        let venues = place.walk(LimitsConfig::default()).await;
        let capture = Capture::default();
        let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: every");
        let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
        capture.more_books(20).await;
        venues.handle(place.kind).inject(FaultSpec::once(FaultKind::ServerShutdown).lasting(Duration::from_secs(4))).await;
        collector.wait_for(&place.event("hand_over_started server_shutdown"), 1.0).await;
        collector.wait_for(&place.event("hand_over_done"), 1.0).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        capture.more_books(20).await;
        for sign in ["disconnected closed", "trade_gap", "resync gap", "resync closed"] {
            assert_eq!(collector.metric(&place.event(sign)).await, 0.0, "{sign}\n{}", collector.troubles().await);
        }
        let mut last = std::collections::BTreeMap::new();
        for book in capture.books() {
            let before = last.insert(book.venue_symbol.clone(), book.sequence);
            assert!(before.is_none_or(|before| before < book.sequence), "{} twice at {}", book.venue_symbol, book.sequence);
        }
        println!("{} {}: {} books over the hand-over, all true", place.exchange, place.market, place.all_books_are_true(&capture, &venues).await);
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_snapshot_on_the_stream_rest_anchors_the_book() {
    let place = OKX_SPOT;
    let venues = place.walk(LimitsConfig::default()).await;
    venues.handle(place.kind).inject(FaultSpec::once(FaultKind::NoSnapshot).lasting(Duration::from_mins(10))).await;
    let capture = Capture::default();
    let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: every");
    let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
    capture.more_books(40).await;
    println!("{} books from REST and the chain, all true", place.all_books_are_true(&capture, &venues).await);
    assert_eq!(place.resyncs(&collector).await, 0.0, "{}", collector.troubles().await);
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_book_is_not_stale_while_the_venue_repeats_its_number() {
    let place = OKX_SPOT;
    let limits = LimitsConfig { keep_alive: Some(Span(Duration::from_millis(500))), ..LimitsConfig::default() };
    let venues = place.walk(limits).await;
    let capture = Capture::default();
    let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: every");
    let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
    capture.more_books(10).await;
    venues.handle(place.kind).inject(FaultSpec::once(FaultKind::QuietBook)).await;
    // What was under way has come when nothing more comes, while the venue repeats its number.
    let deadline = Instant::now() + SOON;
    loop {
        let before = capture.books().len();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        if capture.books().len() == before {
            break;
        }
        assert!(Instant::now() < deadline, "a repeated number is published");
    }
    venues.handle(place.kind).clear_faults().await;
    capture.more_books(10).await;
    assert_eq!(place.resyncs(&collector).await, 0.0, "{}", collector.troubles().await);
    place.all_books_are_true(&capture, &venues).await;
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

/// Waits for a line of `/metrics` that holds all of these.
async fn wait_for_line(collector: &Collector, parts: &[&str]) {
    let deadline = Instant::now() + SOON;
    while !get(collector.metrics, "/metrics").await.1.lines().any(|line| parts.iter().all(|part| line.contains(part))) {
        assert!(Instant::now() < deadline, "{parts:?}\n{}", collector.troubles().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_symbol_and_a_refused_channel_take_down_no_neighbour() {
    for place in ALL {
        let venues = place.walk(LimitsConfig::default()).await;
        let refused = FaultSpec::once(FaultKind::RefuseSubscribe).on(place.raw).lasting(Duration::from_mins(10));
        venues.handle(place.kind).inject(refused).await;
        let capture = Capture::default();
        let symbols = format!("{}, NOPE-USDT", place.symbols.join(", "));
        let collector = Collector::start(config(&[venues.entry(place.kind, &symbols, ", publish: 50ms")], ""), vec![Box::new(capture.clone())]);
        let unknown =
            format!("marketprism_collector_errors_total{{exchange=\"{}\",data_type=\"instruments\",code=\"symbol_unknown\"}}", place.exchange);
        collector.wait_for(&unknown, 1.0).await;
        capture.more_books(10).await;
        wait_for_line(&collector, &["collector_feed_events_total", "event=\"refused\"", place.exchange]).await;
        assert!(capture.books().iter().all(|book| book.venue_symbol.starts_with("ETH")), "only the neighbour's books come");
        place.all_books_are_true(&capture, &venues).await;
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_runs_out_of_credits_is_begun_again() {
    let place = DERIBIT;
    let venues = place.walk(LimitsConfig::default()).await;
    let capture = Capture::default();
    let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: 50ms");
    let collector = Collector::start(config(&[entry], ""), vec![Box::new(capture.clone())]);
    capture.more_books(10).await;
    // The gap makes the collector ask again, and that call is one too many.
    venues.handle(place.kind).inject(FaultSpec::once(FaultKind::TooManyRequests)).await;
    venues.handle(place.kind).inject(FaultSpec::once(FaultKind::DropDiff).on(place.raw)).await;
    collector.wait_for(&place.event("resync gap"), 1.0).await;
    collector.wait_for(&place.event("disconnected rate_limited"), 1.0).await;
    // It does not come back before the venue's patience may have returned.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(collector.metric(&place.event("connected")).await, 1.0);
    collector.wait_for(&place.event("connected"), 2.0).await;
    collector.wait_for(&place.synced(), 1.0).await;
    capture.more_books(10).await;
    place.all_books_are_true(&capture, &venues).await;
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}
