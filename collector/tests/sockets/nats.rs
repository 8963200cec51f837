//! The whole path to a real NATS server: what was sent is what a subscriber receives, in order.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::clocks::SystemClock;
use collector::metrics::Registry;
use collector::sink::{self, Started};
use collector::state::State;
use futures_util::StreamExt;
use venue_sim::VenueKind;

use crate::nats_server::NatsServer;
use crate::world::{Capture, Collector, SOON, Venues, config};

/// A collector that publishes to this server and shows in `capture` what it accepted.
fn collector(venues: &Venues, kind: VenueKind, (port, dir): (u16, &Path), capture: &Capture) -> Collector {
    let dir = dir.display();
    let more = format!("nats: {{url: 'nats://127.0.0.1:{port}', mode: core}}\nspool: {{dir: '{dir}/spool'}}\ndead_letter: {{dir: '{dir}/dead'}}");
    let config = config(&[venues.entry(kind, "BTC-USDT, ETH-USDT", ", publish: 20ms")], &more);
    let clock = SystemClock::shared();
    let (registry, state) = (Arc::new(Registry::new()), State::new(&config, clock));
    let nats = sink::nats::start(&config, &state, &registry).unwrap();
    let kept = Started { sink: Box::new(capture.clone()), worker: None };
    Collector::start_with(config, vec![nats, kept], (registry, state))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_what_a_subscriber_receives_in_order() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let subscriber = async_nats::connect(server.url()).await.unwrap();
    let mut all = subscriber.subscribe(">").await.unwrap();
    subscriber.flush().await.unwrap();
    let kind = VenueKind::BinanceUsdm;
    let venues = Venues::walk(kind, &["BTC-USDT", "ETH-USDT"], vec![]).await;
    let (capture, dir) = (Capture::default(), tempfile::tempdir().unwrap());
    let collector = collector(&venues, kind, (server.port, dir.path()), &capture);
    capture.more_books(150).await;
    // Stopping drains: what was accepted last arrives too.
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
    let sent = capture.records();
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let message = tokio::time::timeout(SOON, all.next()).await.expect("every record arrives").unwrap();
        if message.subject.starts_with("health.") {
            continue;
        }
        let record: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let word = |key: &str| record[key].as_str().unwrap().to_owned();
        assert_eq!(message.subject.as_str(), format!("{}.{}.{}.{}", word("data_type"), word("exchange"), word("market_type"), word("symbol")));
        received.push(record);
    }
    // The order is that of each subject.
    let by_subject = |records: Vec<serde_json::Value>| {
        let mut sorted = records;
        sorted.sort_by_key(|record| ["data_type", "symbol"].map(|key| record[key].as_str().unwrap().to_owned()));
        sorted
    };
    assert_eq!(by_subject(received), by_subject(sent));
    assert!(tokio::time::timeout(Duration::from_millis(200), all.next()).await.is_err(), "nothing arrives that was not sent");
    println!("records sent and received in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_stops_nothing_and_is_found_again() {
    let Some(mut server) = NatsServer::start(&[]) else { return };
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT", "ETH-USDT"], vec![]).await;
    let (capture, dir) = (Capture::default(), tempfile::tempdir().unwrap());
    let collector = collector(&venues, kind, (server.port, dir.path()), &capture);
    collector.wait_for("marketprism_nats_connected", 1.0).await;
    let written = "collector_sink_written_total{sink=\"nats\",kind=\"orderbook\"}";
    collector.wait_for(written, 10.0).await;
    server.kill();
    let deadline = Instant::now() + SOON;
    while collector.metric("marketprism_nats_connected").await > 0.0 {
        assert!(Instant::now() < deadline, "the loss of the server is noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Data goes on meanwhile, into memory and then the spool.
    capture.more_books(20).await;
    assert_eq!(collector.metric("collector_sink_up{sink=\"nats\"}").await, 1.0);
    server.run();
    let before = collector.metric(written).await;
    collector.wait_for("marketprism_nats_connected", 1.0).await;
    collector.wait_for(written, before + 30.0).await;
    let of_sink = |family: &str| format!("{family}{{sink=\"nats\"");
    let page = crate::world::get(collector.metrics, "/metrics").await.1;
    assert!(page.contains(&of_sink("collector_sink_accepted_total")));
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}
