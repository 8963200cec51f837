//! Levels go up and down with the figures, steps take effect, and the pages behind the token tell of it. Alone in its program: it watches the
//! descriptors and the memory of the process it runs in.
#![expect(clippy::float_cmp, reason = "metrics compared here are whole numbers")]
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::clocks::SystemClock;
use collector::config::{self, Environment};
use collector::http::Listeners;
use collector::metrics::Registry;
use collector::state::State;
use collector::{Deps, Outcome, feed};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_mins(1);
/// More than the hard limit of the test's memory.
const BALLAST: usize = 700 << 20;
const TOKEN: &str = "a-token-for-the-test-only";

/// A collector without a venue that answers, with a small budget.
struct Small {
    stop: CancellationToken,
    running: std::thread::JoinHandle<Outcome>,
    address: SocketAddr,
}

impl Small {
    fn start(dir: &Path) -> Self {
        let token = dir.join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let text = format!(
            "venues: [{{name: binance, market: spot, symbols: [A-B], ws_url: 'ws://127.0.0.1:1', rest_url: 'http://127.0.0.1:1'}}]\n\
             http: {{token_file: '{}'}}\n\
             pressure: {{memory: {{soft: 1MB, hard: 500MB}}, sockets: {{soft: 30, hard: 60}}, dwell: 1s}}\n",
            token.display()
        );
        let config = config::load("test.yml", &text, &Environment::default()).config.unwrap();
        let listeners = Listeners { health: TcpListener::bind("127.0.0.1:0").unwrap(), metrics: TcpListener::bind("127.0.0.1:0").unwrap() };
        let address = listeners.metrics.local_addr().unwrap();
        let state = State::new(&config, SystemClock::shared());
        let registry = Arc::new(Registry::new());
        let network = feed::real_network(&config, &registry).unwrap();
        let deps = Deps { registry, state, listeners, network, sinks: vec![] };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(collector::run(config, stopped, deps)).unwrap()
        });
        Self { stop, running, address }
    }

    fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn metric(&self, series: &str) -> f64 {
        let page = self.get("/metrics", None).1;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok()).unwrap_or_else(|| panic!("{series} in\n{page}"))
    }

    fn until(&self, series: &str, is: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + SOON;
        while !is(self.metric(series)) {
            assert!(Instant::now() < deadline, "{series} is {}", self.metric(series));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn memory(&self) -> Value {
        let (status, body) = self.get("/debug/memory", Some(TOKEN));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn sockets(count: usize) -> Vec<UdpSocket> {
    (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect()
}

/// One request, after which the connection is kept.
fn idle_connection(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = [0_u8; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

#[test]
fn levels_rise_and_fall_steps_take_effect_and_the_pages_tell() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Small::start(dir.path());
    let level = |resource: &str| format!("collector_pressure_level{{resource=\"{resource}\"}}");

    // Memory is over its soft limit from the start, and no purge can help.
    collector.until(&level("memory"), |level| level == 1.0);
    collector.until("collector_pressure_step_active{step=\"shed_preview\"}", |active| active == 1.0);
    collector.until("collector_pressure_events_total{event=\"still_too_high_after_purge\",resource=\"memory\"}", |count| count >= 1.0);
    assert_eq!(collector.metric("marketprism_memory_warnings_count"), 1.0);
    assert!(collector.metric("marketprism_forced_gc_count") >= 1.0);

    // Over the hard limit every step stands, and those of the soft one remain when it is left.
    let paused = "collector_pressure_step_active{step=\"pause_low_priority\"}";
    let ballast = vec![1_u8; BALLAST];
    collector.until(&level("memory"), |level| level == 2.0);
    collector.until(paused, |active| active == 1.0);
    drop(ballast);
    collector.until(&level("memory"), |level| level == 1.0);
    collector.until(paused, |active| active == 0.0);

    // Sockets: a connection that waits for nothing is closed, and what is held elsewhere makes it critical.
    collector.until(&level("sockets"), |level| level == 0.0);
    let mut idle = idle_connection(collector.address);
    let mut held = sockets(40);
    collector.until(&level("sockets"), |level| level == 1.0);
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    held.extend(sockets(40));
    collector.until(&level("sockets"), |level| level == 2.0);
    let health: Value = serde_json::from_str(&collector.get("/health", None).1).unwrap();
    let reasons: Vec<&str> = health["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect();
    assert!(reasons.contains(&"sockets_critical") && reasons.contains(&"memory_elevated"), "{reasons:?}");
    drop(held);
    collector.until(&level("sockets"), |level| level == 0.0);
    for (to, reason) in [("elevated", "over_soft"), ("critical", "over_hard"), ("elevated", "recovered"), ("normal", "recovered")] {
        let transitions = format!("collector_pressure_transitions_total{{resource=\"sockets\",to=\"{to}\",reason=\"{reason}\"}}");
        assert_eq!(collector.metric(&transitions), 1.0, "{transitions}");
    }
    assert!(collector.metric("collector_pressure_steps_total{step=\"close_idle\"}") >= 2.0);

    // One venue, and the pulse.
    collector.until("collector_tasks{runtime=\"loops\"}", |tasks| tasks == 2.0);

    // The pages behind the token.
    for (token, status) in [(None, 401), (Some("another-token-of-some-length"), 401), (Some(TOKEN), 200)] {
        assert_eq!(collector.get("/debug/memory", token).0, status, "{token:?}");
    }
    let first = collector.memory();
    assert_eq!(first["pressure"]["level"], "elevated");
    assert_eq!(first["pressure"]["resources"][2]["origin"], "config");
    let second = collector.memory();
    let series = |page: &Value| page["structures"].as_array().unwrap().iter().find(|entry| entry["structure"] == "metric_series").cloned().unwrap();
    assert!(series(&second)["length"].as_u64().unwrap() > 50 && series(&second)["length_growth"] == 0, "{second:#}");
    assert!(second["since_last_call_seconds"].as_f64().unwrap() < SOON.as_secs_f64() && second["suspects"] == serde_json::json!([]), "{second:#}");
    let (status, body) = collector.get("/debug/heap", Some(TOKEN));
    assert!(status == 501 && body.contains(if cfg!(feature = "jemalloc") { "_RJEM_MALLOC_CONF" } else { "--features" }), "{status} {body}");

    collector.stop.cancel();
    assert_eq!(collector.running.join().unwrap(), Outcome::Clean);
}
