//! The program itself, as an operator runs it, beside a venue that never rests: its commands, its figures, what its log says.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use venue_sim::duration::Span;
use venue_sim::port::Port;
use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::{CancellationToken, RunningVenues, VenueKind, run_venues};

use crate::server::{SOON, Server};

/// Books a second of each symbol, each published; with the trades about 2,000 records a second.
const BOOKS: u32 = 400;
const SYMBOLS: [&str; 4] = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"];

/// A venue that never rests, and the directory of one collector.
pub(crate) struct World {
    _venues: RunningVenues,
    stop: CancellationToken,
    pub(crate) dir: tempfile::TempDir,
    health: Port,
    metrics: Port,
}

/// A run of the program.
pub(crate) struct Run(Child);

/// What the log of a start says of the run before it.
pub(crate) struct Caught {
    pub(crate) subject: String,
    pub(crate) after: u64,
    pub(crate) through: u64,
    pub(crate) records: u64,
}

impl World {
    /// A venue, and the files of a collector that publishes to `url`; `more` keys of `nats`, and behind them of the whole.
    pub(crate) async fn start(url: &str, more: &str) -> Self {
        let stop = CancellationToken::new();
        let walk = WalkConfig { changes_per_second: BOOKS, ..WalkConfig::new(&SYMBOLS, 7) };
        let limits = LimitsConfig { depth_interval: Some(Span(Duration::from_micros(1_000_000 / u64::from(BOOKS)))), ..LimitsConfig::default() };
        let venue = VenueConfig { limits, ..VenueConfig::new(VenueKind::BinanceSpot, FeedConfig::Walk(walk)) };
        let venues = run_venues(VenuesConfig { venues: vec![venue], faults: vec![] }, stop.clone()).await.unwrap();
        let (dir, address) = (tempfile::tempdir().unwrap(), venues.venue(VenueKind::BinanceSpot).unwrap().address());
        let (health, metrics) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        let text = format!(
            "venues: [{{name: binance, market: spot, symbols: [{}], ws_url: '{}', rest_url: '{}', publish: every, depth: 5}}]\n\
             http: {{health: '{}', metrics: '{}'}}\nlog: {{format: json}}\nnats:\n  url: '{url}'\n{more}\n",
            SYMBOLS.join(", "),
            address.ws,
            address.rest,
            health.address(),
            metrics.address()
        );
        std::fs::write(dir.path().join("collector.yml"), text).unwrap();
        Self { _venues: venues, stop, dir, health, metrics }
    }

    pub(crate) fn run(&self) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
        self.start_of(command.arg("run"))
    }

    /// With a file system of its own for its data, made with these options.
    pub(crate) fn run_with_data(&self, options: &str) -> Run {
        std::fs::create_dir_all(self.dir.path().join("data")).unwrap();
        let script = format!("mount -t tmpfs -o {options} tmpfs data && exec {} run", env!("CARGO_BIN_EXE_collector"));
        self.start_of(Command::new("unshare").args(["-Urm", "sh", "-c", &script]))
    }

    fn start_of(&self, command: &mut Command) -> Run {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Run(child)
    }

    /// Runs a command of the program: its exit code and what it said.
    pub(crate) fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_collector")).current_dir(self.dir.path()).args(arguments).env_clear().output().unwrap();
        (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    }

    /// A page of the program; empty while nobody answers.
    fn page(port: &Port, path: &str) -> String {
        let mut page = String::new();
        let Ok(mut stream) = std::net::TcpStream::connect(port.address()) else { return page };
        let asked = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        if asked.is_err() || stream.read_to_string(&mut page).is_err() {
            page.clear();
        }
        page
    }

    pub(crate) fn health(&self) -> String {
        Self::page(&self.health, "/health")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// What the program says of delivery, as far as it is not 0.
    fn figures(&self) -> String {
        let page = Self::page(&self.metrics, "/metrics");
        let wanted = ["collector_nats_", "collector_spool", "collector_unsecured", "collector_sink_", "collector_dead", "marketprism_nats_connected"];
        let told = |line: &&str| wanted.iter().any(|start| line.starts_with(start)) && !line.ends_with(" 0") && !line.contains("bucket");
        page.lines().filter(told).collect::<Vec<_>>().join("\n")
    }

    /// The sum of a family's series; 0 while nobody answers.
    pub(crate) fn metric(&self, family: &str) -> f64 {
        self.metric_with(family, "")
    }

    /// The same of those that have this label.
    pub(crate) fn metric_with(&self, family: &str, label: &str) -> f64 {
        let page = Self::page(&self.metrics, "/metrics");
        let lines = page.lines().filter(|line| line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family} ")));
        lines.filter(|line| line.contains(label)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub(crate) fn until(&self, what: &str, happens: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON + crate::troubles::outage();
        while !happens(self) {
            let log = self.log();
            assert!(Instant::now() < deadline, "{what}\n{}\n{}", self.figures(), log.get(log.len().saturating_sub(3_000)..).unwrap_or(&log));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What this start said of the run before it.
    pub(crate) fn caught(&self) -> Vec<Caught> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines
            .filter(|line| line["event"] == "unsecured_at_last_exit")
            .map(|line| Caught {
                subject: line["subject"].as_str().unwrap().to_owned(),
                after: line["after"].as_u64().unwrap(),
                through: line["through"].as_u64().unwrap(),
                records: line["records"].as_u64().unwrap(),
            })
            .collect()
    }

    pub(crate) fn spool(&self) -> std::path::PathBuf {
        self.dir.path().join("data/spool")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Run {
    /// A child that ends with the test at the latest.
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Resident memory, in MB.
    pub(crate) fn resident(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.0.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * rustix::param::page_size() as f64 / 1e6
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended already.
        let _already_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Once each and rising, by subject. Ids of trades have no gap but behind one of these; the gaps found.
pub(crate) fn check(stored: &BTreeMap<String, Vec<u64>>) -> BTreeMap<String, Vec<(u64, u64)>> {
    let mut gaps = BTreeMap::<String, Vec<(u64, u64)>>::new();
    for (subject, sequences) in stored {
        for pair in sequences.windows(2) {
            assert!(pair[0] < pair[1], "{subject}: {} before {}", pair[0], pair[1]);
            if subject.starts_with("trade") && pair[1] != pair[0] + 1 {
                gaps.entry(subject.clone()).or_default().push((pair[0], pair[1]));
            }
        }
    }
    gaps
}

pub(crate) async fn stored(server: &Server) -> BTreeMap<String, Vec<u64>> {
    let mut all = server.stored("TRADE").await;
    all.extend(server.stored("ORDERBOOK").await);
    all
}

/// Rows of the marks: subject, taken, secured.
pub(crate) fn marks(spool: &Path) -> Vec<(String, u64, u64)> {
    let text = std::fs::read_to_string(spool.join("marks")).unwrap();
    let row = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        (words[0].to_owned(), words[1].parse().unwrap(), words[4].parse().unwrap())
    };
    text.lines().map(row).collect()
}
