//! The program itself, stopped and killed at many points of a lively run: every accepted record arrives once and in order, and what a kill caught is named.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use venue_sim::duration::Span;
use venue_sim::venue::config::{FeedConfig, LimitsConfig, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::{CancellationToken, RunningVenues, VenueKind, run_venues};

use crate::server::{SOON, Server};

/// Books a second of each symbol, each published; with the trades about 2,000 records a second.
const BOOKS: u32 = 400;
const SYMBOLS: [&str; 4] = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"];

/// A venue that never rests, and the directory of one collector.
struct World {
    _venues: RunningVenues,
    stop: CancellationToken,
    dir: tempfile::TempDir,
    metrics: u16,
}

/// A run of the program.
struct Run(Child);

/// What the log of a start says of the run before it.
struct Caught {
    subject: String,
    after: u64,
    through: u64,
    records: u64,
}

impl World {
    async fn start(server: &Server) -> Self {
        let stop = CancellationToken::new();
        let walk = WalkConfig { changes_per_second: BOOKS, ..WalkConfig::new(&SYMBOLS, 7) };
        let limits = LimitsConfig { depth_interval: Some(Span(Duration::from_micros(1_000_000 / u64::from(BOOKS)))), ..LimitsConfig::default() };
        let venue = VenueConfig { limits, ..VenueConfig::new(VenueKind::BinanceSpot, FeedConfig::Walk(walk)) };
        let venues = run_venues(VenuesConfig { venues: vec![venue], faults: vec![] }, stop.clone()).await.unwrap();
        let (dir, address) = (tempfile::tempdir().unwrap(), venues.venue(VenueKind::BinanceSpot).unwrap().address());
        let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (health, metrics) = (port(), port());
        let text = format!(
            "venues: [{{name: binance, market: spot, symbols: [{}], ws_url: '{}', rest_url: '{}', publish: every, depth: 5}}]\n\
             http: {{health: '127.0.0.1:{health}', metrics: '127.0.0.1:{metrics}'}}\nnats: {{url: '{}'}}\nlog: {{format: json}}\n",
            SYMBOLS.join(", "),
            address.ws,
            address.rest,
            server.url()
        );
        std::fs::write(dir.path().join("collector.yml"), text).unwrap();
        Self { _venues: venues, stop, dir, metrics }
    }

    fn run(&self) -> Run {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_collector"))
            .current_dir(self.dir.path())
            .args(["run"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Run(child)
    }

    /// Runs a command of the program: its exit code and what it said.
    fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_collector")).current_dir(self.dir.path()).args(arguments).env_clear().output().unwrap();
        (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    }

    /// The sum of a family's series; 0 while nobody answers.
    fn metric(&self, family: &str) -> f64 {
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.metrics)) else { return 0.0 };
        let mut page = String::new();
        let asked = std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        if asked.is_err() || stream.read_to_string(&mut page).is_err() {
            return 0.0;
        }
        let lines = page.lines().filter(|line| line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family} ")));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn until(&self, what: &str, happens: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON + crate::troubles::outage();
        while !happens(self) {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what}\n{}", log.chars().rev().take(3_000).collect::<String>().chars().rev().collect::<String>());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What this start said of the run before it.
    fn caught(&self) -> Vec<Caught> {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
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

    fn spool(&self) -> std::path::PathBuf {
        self.dir.path().join("data/spool")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Run {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn wait(mut self) -> Option<i32> {
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
    fn resident(&self) -> f64 {
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
fn check(stored: &BTreeMap<String, Vec<u64>>) -> BTreeMap<String, Vec<(u64, u64)>> {
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

async fn stored(server: &Server) -> BTreeMap<String, Vec<u64>> {
    let mut all = server.stored("TRADE").await;
    all.extend(server.stored("ORDERBOOK").await);
    all
}

/// Rows of the marks: subject, taken, secured.
fn marks(spool: &Path) -> Vec<(String, u64, u64)> {
    let text = std::fs::read_to_string(spool.join("marks")).unwrap();
    let row = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        (words[0].to_owned(), words[1].parse().unwrap(), words[4].parse().unwrap())
    };
    text.lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_many_points_it_loses_nothing_accepted_and_names_what_it_caught() {
    let Some(mut server) = Server::start(true) else { return };
    let world = World::start(&server).await;
    let mut named: Vec<Caught> = Vec::new();
    // Seven lives: some with the server away from the start, or killed on the way, so that kills fall into sending, spooling and draining.
    for life in 0..7_u64 {
        if life % 4 == 2 {
            server.kill();
        }
        let run = world.run();
        if life % 4 == 2 {
            world.until("the spool fills", |world| world.metric("collector_spooled_total") > 200.0);
        } else {
            world.until("records are acknowledged", |world| world.metric("collector_sink_written_total") > 300.0);
        }
        named.extend(world.caught());
        if life % 4 == 1 {
            server.kill();
            world.until("the spool fills", |world| world.metric("collector_spooled_total") > 200.0);
        }
        // Not in step with anything: another moment of the run each time.
        tokio::time::sleep(Duration::from_millis(life * 37)).await;
        run.signal(Signal::KILL);
        drop(run);
        if !server.is_running() {
            server.run();
        }
    }
    // The last life ends in order, with everything delivered.
    let run = world.run();
    world.until("records are acknowledged", |world| world.metric("collector_sink_written_total") > 300.0);
    world.until("the spool is drained", |world| world.metric("collector_spool_records") == 0.0);
    named.extend(world.caught());
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    let stored = stored(&server).await;
    let gaps = check(&stored);
    let count: usize = stored.values().map(Vec::len).sum();
    println!(
        "{count} records of {} subjects stored once and in order; {} gaps at kills; named {:?}",
        stored.len(),
        gaps.values().map(Vec::len).sum::<usize>(),
        named.iter().map(|caught| caught.records).collect::<Vec<_>>()
    );
    // Every gap lies behind what was secured: nothing accepted is in it.
    for (subject, gaps) in &gaps {
        for (before, next) in gaps {
            let secured_in_gap = named.iter().filter(|caught| caught.subject == *subject && caught.after > *before && caught.after < *next).count();
            assert_eq!(secured_in_gap, 0, "{subject}: {before}..{next}");
        }
    }
    for caught in &named {
        assert!(caught.records <= 2_500 && caught.after <= caught.through, "{}: {} records", caught.subject, caught.records);
    }
    for (subject, taken, secured) in marks(&world.spool()) {
        assert_eq!(taken, secured, "{subject}: an orderly end leaves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_little_memory_and_a_stop_in_it_costs_nothing() {
    let Some(mut server) = Server::start(true) else { return };
    let world = World::start(&server).await;
    let outage = crate::troubles::outage();
    let run = world.run();
    world.until("records are acknowledged", |world| world.metric("collector_sink_written_total") > 8_000.0);
    let before = run.resident();
    let (written, begun) = (world.metric("collector_sink_accepted_total"), Instant::now());
    server.kill();
    let mut peak = before;
    while begun.elapsed() < outage {
        tokio::time::sleep(Duration::from_millis(200)).await;
        peak = peak.max(run.resident());
    }
    let rate = (world.metric("collector_sink_accepted_total") - written) / begun.elapsed().as_secs_f64();
    let waiting = world.metric("collector_spool_records");
    println!("outage of {} s at {rate:.0} records/s: RSS {before:.1} → {peak:.1} MB, {waiting} records in the spool", outage.as_secs());
    assert!(peak - before < 8.0, "RSS grew from {before} to {peak} MB");
    // Stopped in the middle of it, started again, and only then the server comes back.
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    let (code, said) = world.command(&["spool", "ls"]);
    assert!(code == Some(0) && said.contains("trade.binance.spot.BTC-USDT\t"), "{code:?} {said}");
    let (code, said) = world.command(&["spool", "purge", "--stream", "trade"]);
    assert!(code == Some(1) && said.contains("--yes"), "{code:?} {said}");
    let run = world.run();
    world.until("the spool grows", |world| world.metric("collector_spooled_total") > 100.0);
    assert_eq!(world.caught().len(), 0, "an orderly stop catches nothing");
    let (code, said) = world.command(&["spool", "ls"]);
    assert!(code == Some(69) && said.contains("E515") && said.contains("in use by another process"), "{code:?} {said}");
    server.run();
    world.until("the spool is drained", |world| {
        world.metric("collector_spool_records") == 0.0 && world.metric("collector_sink_written_total") > waiting
    });
    server.kill();
    let spooled = world.metric("collector_spooled_total");
    world.until("the spool fills", |world| world.metric("collector_spooled_total") > spooled + 100.0);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), Some(0));
    // What is left can be sent without a collector.
    server.run();
    let (code, said) = world.command(&["spool", "replay", "--lang", "zh"]);
    assert!(code == Some(0) && said.contains("全部已发送并确认"), "{code:?} {said}");
    assert!(world.command(&["spool", "ls"]).1.contains(" 0 records of 0 subjects"));
    let stored = stored(&server).await;
    // The one gap of a subject is the time between the two runs.
    for (subject, gaps) in check(&stored) {
        assert!(gaps.len() <= 1, "{subject}: {gaps:?}");
    }
}
