//! The whole path to a real NATS server: what was sent is what a subscriber receives, in order.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::clocks::SystemClock;
use collector::metrics::Registry;
use collector::sink::{self, Started};
use collector::state::State;
use futures_util::StreamExt;
use venue_sim::VenueKind;

use crate::world::{Capture, Collector, SOON, Venues, config};

/// A server that ends with the test.
struct Server {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

/// The server's program; without it the test fails, unless SKIP_TOOLS=1.
fn program() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/nats-server");
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).map(|dir| dir.join("nats-server"));
    let found = [here].into_iter().chain(on_path).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("SKIP_TOOLS").is_some_and(|value| value == "1"), "nats-server is missing: run `make tools` (or set SKIP_TOOLS=1)");
        println!("not run: nats-server is missing (SKIP_TOOLS=1)");
    }
    found
}

impl Server {
    fn start(program: &Path, port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = if port == 0 { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() } else { port };
        let child = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + SOON;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, _dir: dir }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

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
    let Some(program) = program() else { return };
    let server = Server::start(&program, 0);
    let subscriber = async_nats::connect(format!("nats://127.0.0.1:{}", server.port)).await.unwrap();
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
    let Some(program) = program() else { return };
    let server = Server::start(&program, 0);
    let port = server.port;
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT", "ETH-USDT"], vec![]).await;
    let (capture, dir) = (Capture::default(), tempfile::tempdir().unwrap());
    let collector = collector(&venues, kind, (server.port, dir.path()), &capture);
    collector.wait_for("marketprism_nats_connected", 1.0).await;
    let written = "collector_sink_written_total{sink=\"nats\",kind=\"orderbook\"}";
    collector.wait_for(written, 10.0).await;
    drop(server);
    let deadline = Instant::now() + SOON;
    while collector.metric("marketprism_nats_connected").await > 0.0 {
        assert!(Instant::now() < deadline, "the loss of the server is noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Data goes on meanwhile, into memory and then the spool.
    capture.more_books(20).await;
    assert_eq!(collector.metric("collector_sink_up{sink=\"nats\"}").await, 1.0);
    let server = Server::start(&program, port);
    let before = collector.metric(written).await;
    collector.wait_for("marketprism_nats_connected", 1.0).await;
    collector.wait_for(written, before + 30.0).await;
    let of_sink = |family: &str| format!("{family}{{sink=\"nats\"");
    let page = crate::world::get(collector.metrics, "/metrics").await.1;
    assert!(page.contains(&of_sink("collector_sink_accepted_total")));
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
    drop(server);
}
