//! A world for one test: simulated venues, a collector between them and a sink that keeps everything.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use collector::clocks::SystemClock;
use collector::config::{self, Config, Environment};
use collector::http::Listeners;
use collector::metrics::Registry;
use collector::sink::{Record, Refusal, Sink, Started};
use collector::state::State;
use collector::{Deps, Outcome, RunError, feed};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::{FaultSpec, RunningVenues, VenueHandle, VenueKind, run_venues};

/// Patience with anything that should come soon.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Simulated venues that end with the test.
pub(crate) struct Venues {
    pub(crate) running: RunningVenues,
    stop: CancellationToken,
}

/// A running collector.
pub(crate) struct Collector {
    stop: CancellationToken,
    thread: JoinHandle<Result<Outcome, RunError>>,
    pub(crate) health: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

/// A sink that keeps what it is offered.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<(usize, Bytes)>>>);

/// The levels of a book, best first.
pub(crate) type Levels = Vec<[String; 2]>;

/// A published book.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) venue_symbol: String,
    pub(crate) sequence: u64,
    pub(crate) bids: Levels,
    pub(crate) asks: Levels,
}

// === impl Venues ===

impl Venues {
    pub(crate) async fn start(venues: Vec<VenueConfig>, faults: Vec<FaultSpec>) -> Self {
        let stop = CancellationToken::new();
        let running = run_venues(VenuesConfig { venues, faults }, stop.clone()).await.unwrap();
        Self { running, stop }
    }

    /// A lively random walk that remembers every book it had.
    pub(crate) async fn walk(kind: VenueKind, symbols: &[&str], faults: Vec<FaultSpec>) -> Self {
        let feed = FeedConfig::Walk(WalkConfig { changes_per_second: 100, ..WalkConfig::new(symbols, 5) });
        let limits = LimitsConfig { history_events: Some(1_000_000), ..LimitsConfig::default() };
        Self::start(vec![VenueConfig { limits, ..VenueConfig::new(kind, feed) }], faults).await
    }

    pub(crate) fn handle(&self, kind: VenueKind) -> &VenueHandle {
        self.running.venue(kind).unwrap()
    }

    /// The entry of collector.yml for a venue of these.
    pub(crate) fn entry(&self, kind: VenueKind, symbols: &str, more: &str) -> String {
        let address = self.handle(kind).address();
        let name = kind.as_str().split('_').next().unwrap();
        let market = if matches!(kind, VenueKind::BinanceSpot | VenueKind::OkxSpot) { "spot" } else { "perpetual" };
        format!("{{name: {name}, market: {market}, symbols: [{symbols}], ws_url: '{}', rest_url: '{}'{more}}}", address.ws, address.rest)
    }
}

impl Drop for Venues {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

// === impl Collector ===

/// A configuration from its venues and more top-level keys.
pub(crate) fn config(venues: &[String], more: &str) -> Config {
    let text = format!("venues: [{}]\n{more}\n", venues.join(", "));
    let loaded = config::load("test.yml", &text, &Environment::default());
    loaded.config.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.findings))
}

impl Collector {
    pub(crate) fn start(config: Config, sinks: Vec<Box<dyn Sink>>) -> Self {
        let registry = Arc::new(Registry::new());
        let state = State::new(&config, SystemClock::shared());
        let sinks = sinks.into_iter().map(|sink| Started { sink, worker: None }).collect();
        Self::start_with(config, sinks, (registry, state))
    }

    pub(crate) fn start_with(config: Config, sinks: Vec<Started>, (registry, state): (Arc<Registry>, Arc<State>)) -> Self {
        let listeners = Listeners { health: TcpListener::bind("127.0.0.1:0").unwrap(), metrics: TcpListener::bind("127.0.0.1:0").unwrap() };
        let (health, metrics) = (listeners.health.local_addr().unwrap(), listeners.metrics.local_addr().unwrap());
        let network = feed::real_network(&config, &registry).unwrap();
        let deps = Deps { registry, state, listeners, network, sinks };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(collector::run(config, stopped, deps))
        });
        Self { stop, thread, health, metrics }
    }

    /// Stops it, as SIGTERM would.
    pub(crate) async fn stop(self) -> Outcome {
        self.stop.cancel();
        tokio::task::spawn_blocking(|| self.thread.join().unwrap().unwrap()).await.unwrap()
    }

    /// The value of a series as `/metrics` has it now; 0 when it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let page = get(self.metrics, "/metrics").await.1;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok()).unwrap_or(0.0)
    }

    /// Waits until a series reaches a value.
    pub(crate) async fn wait_for(&self, series: &str, at_least: f64) {
        let deadline = Instant::now() + SOON;
        while self.metric(series).await < at_least {
            assert!(Instant::now() < deadline, "{series} is {} and not {at_least}\n{}", self.metric(series).await, self.troubles().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The sum of all series of a family.
    pub(crate) async fn sum(&self, family: &str) -> f64 {
        let page = get(self.metrics, "/metrics").await.1;
        let values = page.lines().filter(|line| line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family} ")));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The lines of `/metrics` that say what went wrong.
    pub(crate) async fn troubles(&self) -> String {
        let page = get(self.metrics, "/metrics").await.1;
        let wanted = ["collector_feed_events_total{", "collector_resyncs_total{", "marketprism_collector_errors_total{", "collector_sink_"];
        page.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start))).collect::<Vec<_>>().join("\n")
    }
}

/// One GET; status and body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

// === impl Capture ===

impl Sink for Capture {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        self.0.lock().unwrap().push((record.stream, record.payload.clone()));
        Ok(())
    }
}

impl Capture {
    /// Everything so far, in order.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.0.lock().unwrap().iter().map(|(_, payload)| serde_json::from_slice(payload).unwrap()).collect()
    }

    /// Forgets everything so far.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Everything so far, in order, as it was encoded.
    pub(crate) fn payloads(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn books(&self) -> Vec<Book> {
        self.records().iter().filter(|record| record["data_type"] == "orderbook").map(Book::read).collect()
    }

    pub(crate) fn trade_ids(&self) -> Vec<u64> {
        self.records().iter().filter(|record| record["data_type"] == "trade").map(|record| record["sequence"].as_u64().unwrap()).collect()
    }

    /// Waits until this many more books have come.
    pub(crate) async fn more_books(&self, more: usize) {
        let (deadline, wanted) = (Instant::now() + SOON, self.books().len() + more);
        while self.books().len() < wanted {
            assert!(Instant::now() < deadline, "{} of {wanted} books", self.books().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

// === impl Book ===

impl Book {
    fn read(record: &Value) -> Self {
        let levels = |side: &str| record[side].as_array().unwrap().iter().map(|level| [trimmed(&level[0]), trimmed(&level[1])]).collect();
        let venue_symbol = record["venue_symbol"].as_str().unwrap().to_owned();
        Self { venue_symbol, sequence: record["sequence"].as_u64().unwrap(), bids: levels("bids"), asks: levels("asks") }
    }
}

/// A number's text without zeros that mean nothing, so that texts of different padding compare equal.
pub(crate) fn trimmed(number: &Value) -> String {
    let text = number.as_str().unwrap();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// A recording beside the project; a git worktree lies one directory deeper.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../../shared/recordings", "../../../shared/recordings"].iter().map(|up| here.join(up).join(name)).find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no recording {name} beside the project");
    }
    found
}
