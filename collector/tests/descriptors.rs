//! The pages answer while no descriptor is left in the process. Alone in its program: it changes the limits of the process it runs in.
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]
#![expect(clippy::float_cmp, reason = "metrics compared here are whole numbers")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::clocks::SystemClock;
use collector::config::{self, Environment};
use collector::http::Listeners;
use collector::metrics::Registry;
use collector::state::State;
use collector::{Deps, Outcome, feed};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

/// Patience with anything that should come soon.
const SOON: Duration = Duration::from_mins(1);
/// The fastest of several answers comes within this, also where the machine is busy.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Connects; gives up hoarded descriptors for it one by one, as the collector's own attempts to connect may take what is free.
fn connect(address: SocketAddr, hoarded: &mut Vec<File>) -> TcpStream {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => assert!(hoarded.pop().is_some(), "{error}"),
        }
    }
}

fn get(address: SocketAddr, path: &str, hoarded: &mut Vec<File>) -> (String, Duration) {
    let mut stream = connect(address, hoarded);
    let begun = Instant::now();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer, begun.elapsed())
}

fn value(page: &str, series: &str) -> f64 {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok()).unwrap_or_else(|| panic!("{series} in\n{page}"))
}

/// Every descriptor that is left.
fn hoard() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn metrics_and_health_answer_while_descriptors_are_exhausted() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), maximum: getrlimit(Resource::Nofile).maximum }).unwrap();
    // A venue that takes a connection and says nothing: attempts that come and go would free descriptors and take them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let text = format!("venues: [{{name: binance, market: spot, symbols: [A-B], ws_url: 'ws://{address}', rest_url: 'http://{address}'}}]");
    let config = config::load("test.yml", &text, &Environment::default()).config.unwrap();
    let listeners = Listeners { health: TcpListener::bind("127.0.0.1:0").unwrap(), metrics: TcpListener::bind("127.0.0.1:0").unwrap() };
    let (health, metrics) = (listeners.health.local_addr().unwrap(), listeners.metrics.local_addr().unwrap());
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
    assert!(get(metrics, "/metrics", &mut vec![]).0.starts_with("HTTP/1.1 200"));

    let _asked = silent.accept().unwrap();

    // Only what this client itself needs is free: the collector finds none left.
    let (mut hoarded, mut fastest) = (hoard(), SOON);
    for round in 0..5 {
        let (page, took) = get(metrics, "/metrics", &mut hoarded);
        assert!(page.starts_with("HTTP/1.1 200"), "round {round}: {took:?}\n{page}");
        fastest = fastest.min(took);
        assert!(value(&page, "process_open_fds") >= 190.0 && value(&page, "process_max_fds") == 200.0);
        assert_eq!(value(&page, "collector_proc_read_failures_total"), 0.0);
        let (page, took) = get(health, "/health", &mut hoarded);
        assert!(page.starts_with("HTTP/1.1 200"), "round {round}: {took:?}\n{page}");
        fastest = fastest.min(took);
        println!("round {round}: /health in {took:?} with {} descriptors hoarded", hoarded.len());
    }
    assert!(fastest < AT_ONCE, "{fastest:?}");
    drop(hoarded);
    let page = get(metrics, "/metrics", &mut vec![]).0;
    assert!(value(&page, "collector_http_accept_errors_total{reason=\"descriptors_exhausted\"}") >= 10.0);
    let deadline = Instant::now() + SOON;
    while value(&get(metrics, "/metrics", &mut vec![]).0, "collector_http_reserve_descriptors") < 7.0 {
        assert!(Instant::now() < deadline, "the reserve is filled again");
    }
    stop.cancel();
    assert_eq!(running.join().unwrap(), Outcome::Clean);
}
