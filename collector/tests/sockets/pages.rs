//! The pages: true, documented, and there when the data loop is not.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use collector::metrics::catalogue;
use collector::sink::{Record, Refusal, Sink};
use tokio::io::AsyncWriteExt;
use venue_sim::VenueKind;
use venue_sim::venue::config::{FeedConfig, VenueConfig, WalkConfig};

use crate::world::{Capture, Collector, SOON, Venues, config, get};

/// A sink that holds up the data loop until it is let go.
struct Stuck {
    until: Receiver<()>,
}

impl Sink for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn offer(&mut self, _record: &Record) -> Result<(), Refusal> {
        // Ends with an error when the test lets go by dropping its end.
        let _let_go = self.until.recv();
        Ok(())
    }
}

/// A sink that panics on the first record of the first venue, and keeps the others.
struct PanicsOnce {
    panicked: bool,
    capture: Capture,
}

impl Sink for PanicsOnce {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        if record.stream < 2 && !self.panicked {
            self.panicked = true;
            panic!("on purpose, by the test");
        }
        self.capture.offer(record)
    }
}

/// One page, with how long it took.
async fn timed(collector: &Collector, path: &str) -> (u16, String, Duration) {
    let begun = Instant::now();
    let (status, body) = get(collector.metrics, path).await;
    (status, body, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_and_health_answer_while_the_data_loop_is_stuck() {
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let (let_go, until) = sync_channel(1);
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", "")], "http: {health_grace: 0s}"), vec![Box::new(Stuck { until })]);
    let (deadline, mut fastest) = (Instant::now() + SOON, SOON);
    let (stalled, over_a_second) = loop {
        let (_, page, took) = timed(&collector, "/metrics").await;
        fastest = fastest.min(took);
        let value = |series: &str| page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok()).unwrap();
        let stall = value("collector_loop_stall_seconds");
        if stall > 10.0 {
            let late = |bound: &str| value(&format!("collector_loop_stall_duration_seconds_bucket{{le=\"{bound}\"}}"));
            break (stall, late("+Inf") - late("1"));
        }
        assert!(Instant::now() < deadline, "the stall is not seen: {stall}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    // The histogram knows of it while it lasts: ten ticks a second do not come, and those of the last second are not late by one yet.
    let ticks = (stalled - 1.0) * 10.0;
    assert!((ticks - 30.0..ticks + 20.0).contains(&over_a_second), "{over_a_second} ticks of {stalled} s were late by more than a second");
    let (status, body, took) = timed(&collector, "/health").await;
    // Of some forty answers one came at once, also where the machine is busy.
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, health["status"].as_str(), health["checks"]["event_loop"]["status"].as_str()), (503, Some("unhealthy"), Some("unhealthy")));
    println!("answered in {took:?} after a stall of {stalled} s");
    drop(let_go);
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_bounded_when_the_data_loop_is_stuck() {
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let (let_go, until) = sync_channel(1);
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", "")], "shutdown: {deadline: 1s}"), vec![Box::new(Stuck { until })]);
    collector.wait_for("collector_loop_stall_seconds", 0.5).await;
    let begun = Instant::now();
    assert_eq!(collector.stop().await, collector::Outcome::DeadlineMissed);
    // The loop is stuck for good.
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    drop(let_go);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_silent_clients_do_not_keep_a_scraper_out() {
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", "")], ""), vec![Box::new(Capture::default())]);
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = tokio::net::TcpStream::connect(collector.metrics).await.unwrap();
        stream.write_all(b"GET /met").await.unwrap();
        held.push(stream);
    }
    let (status, _, took) = timed(&collector, "/metrics").await;
    // A head that does not come is given up after 20 s; this answer did not wait for that.
    assert!(status == 200 && took < Duration::from_secs(15), "{took:?}");
    assert!(collector.metric("collector_http_connections").await <= 64.0);
    collector.wait_for("collector_http_connections_evicted_total", 130.0).await;
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_there_and_every_metric_is_in_the_catalogue() {
    let kind = VenueKind::BinanceUsdm;
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let capture = Capture::default();
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", "")], ""), vec![Box::new(capture.clone())]);
    capture.more_books(3).await;
    for (path, status) in [
        ("/metrics", 200),
        ("/health", 200),
        ("/live", 200),
        ("/status", 200),
        ("/status?detailed=true", 200),
        ("/ping", 200),
        ("/version", 200),
        ("/nothing", 404),
    ] {
        assert_eq!(get(collector.health, path).await.0, status, "{path}");
    }
    let page = get(collector.metrics, "/metrics").await.1;
    let known: BTreeSet<&str> = catalogue::ALL.iter().map(|spec| spec.name).collect();
    let shown: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(shown, known);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end).filter(|name| known.contains(name))).unwrap_or(name);
        assert!(known.contains(family), "{line}");
    }
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_one_venues_loop_is_counted_and_takes_down_no_other() {
    let (spot, futures) = (VenueKind::BinanceSpot, VenueKind::BinanceUsdm);
    let walk = |kind| VenueConfig::new(kind, FeedConfig::Walk(WalkConfig::new(&["BTC-USDT"], 9)));
    let venues = Venues::start(vec![walk(spot), walk(futures)], vec![]).await;
    let capture = Capture::default();
    let entries = [venues.entry(spot, "BTC-USDT", ""), venues.entry(futures, "BTC-USDT", "")];
    let collector = Collector::start(config(&entries, ""), vec![Box::new(PanicsOnce { panicked: false, capture: capture.clone() })]);
    let panics = "collector_task_panics_total{exchange=\"binance\",market_type=\"spot\"}";
    collector.wait_for(panics, 1.0).await;
    for market in ["spot", "perpetual"] {
        let books = format!("marketprism_orderbook_updates_total{{exchange=\"binance\",market_type=\"{market}\",symbol=\"BTC-USDT\"}}");
        collector.wait_for(&books, collector.metric(&books).await + 5.0).await;
    }
    assert_eq!(collector.metric(panics).await, 1.0);
    assert_eq!(collector.metric("collector_task_panics_total{exchange=\"binance\",market_type=\"perpetual\"}").await, 0.0);
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}
