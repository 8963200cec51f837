//! The program itself: exit codes, messages, signals.
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use venue_sim::port::Port;
use venue_sim::venue::config::{FeedConfig, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::{CancellationToken, RunningVenues, VenueKind, run_venues};

const SOON: Duration = Duration::from_mins(1);

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    command.current_dir(dir).env_clear().stdin(Stdio::null());
    command
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("collector.yml"), text).unwrap();
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    command(dir).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A child that does not outlive its test.
struct Running(Child);

impl Running {
    fn start(dir: &Path) -> Self {
        Self(command(dir).args(["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Its exit code; `None` after a signal that nobody handled.
    fn wait(&mut self) -> Option<i32> {
        let mut ended = None;
        until("it ends", || {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as most tests want it to.
        let _already_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn until(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !happens() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A simulated venue on a runtime of its own.
struct Sim {
    _runtime: tokio::runtime::Runtime,
    venues: RunningVenues,
    stop: CancellationToken,
    health: Port,
    metrics: Port,
}

impl Sim {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let feed = FeedConfig::Walk(WalkConfig::new(&["BTC-USDT"], 3));
        let config = VenuesConfig { venues: vec![VenueConfig::new(VenueKind::BinanceSpot, feed)], faults: vec![] };
        let venues = runtime.block_on(run_venues(config, stop.clone())).unwrap();
        Self { _runtime: runtime, venues, stop, health: Port::reserve().unwrap(), metrics: Port::reserve().unwrap() }
    }

    fn config(&self, more: &str) -> String {
        let address = self.venues.venue(VenueKind::BinanceSpot).unwrap().address();
        let (health, metrics) = (self.health.address(), self.metrics.address());
        format!(
            "venues: [{{name: binance, market: spot, symbols: [BTC-USDT], ws_url: '{}', rest_url: '{}', publish: 20ms}}]\n\
             http: {{health: '{health}', metrics: '{metrics}'}}\n{more}\n",
            address.ws, address.rest
        )
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All records of the recorder's files, as far as they are whole; in order within a stream.
fn recorded(dir: &Path) -> Vec<serde_json::Value> {
    let mut files = Vec::new();
    gather(&dir.join("data/collector"), &mut files);
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let mut text = String::new();
        let _as_far_as_it_is_whole = flate2::read::MultiGzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text);
        all.extend(text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))));
    }
    all
}

fn gather(dir: &Path, files: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "gz") {
            files.push(path);
        }
    }
}

#[test]
fn a_wrong_configuration_ends_with_78_all_errors_and_no_port() {
    let dir = tempfile::tempdir().unwrap();
    let port = Port::reserve().unwrap();
    write(
        dir.path(),
        &format!("venues:\n  - {{name: binanse, market: spot, symbols: [BTC-USDT]}}\nhttp: {{health: '{}', health_grace: soon}}\n", port.address()),
    );
    for arguments in [["run", "--lang", "en"], ["check", "--lang", "en"]] {
        let output = run(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(78));
        let said = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout));
        assert!(said.contains("collector.yml:2:12: error[E503]: unknown venue `binanse`") && said.contains("did you mean `binance`?"), "{said}");
        assert!(said.contains("collector.yml:3:") && said.contains("`soon` is not a duration"), "{said}");
    }
    assert!(!dir.path().join("data").exists() && TcpListener::bind(port.address()).is_ok());
    let chinese = command(dir.path()).args(["check"]).env("LANG", "zh_CN.UTF-8").output().unwrap();
    assert!(String::from_utf8_lossy(&chinese.stdout).contains("未知的交易所 `binanse`"));
    let json = run(dir.path(), &["check", "--format", "json"]);
    let lines: Vec<serde_json::Value> = String::from_utf8(json.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["line"].as_u64(), json.status.code()), (2, Some(2), Some(78)));
    assert!(stderr(&run(dir.path(), &["run", "--config", "nowhere.yml"])).contains("nowhere.yml: error[E507]"));
}

#[test]
fn the_example_in_the_repository_is_valid() {
    let output = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &["check"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    assert!(String::from_utf8_lossy(&output.stdout).contains("configuration is valid"));
}

#[test]
fn a_taken_port_ends_with_69_and_names_its_holder_and_the_option() {
    let dir = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    write(dir.path(), "venues: [{name: binance, market: spot, symbols: [BTC-USDT]}]\nhttp: {health: '127.0.0.1:0'}\n");
    let output = command(dir.path()).arg("run").env("METRICS_PORT", port.to_string()).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains(&format!("pid {}", std::process::id())) && said.contains("`http.metrics`"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing is touched before the ports are had");
}

#[test]
fn a_stop_signal_drains_and_ends_with_0_and_nothing_accepted_is_lost() {
    let (dir, sim) = (tempfile::tempdir().unwrap(), Sim::start());
    write(dir.path(), &sim.config("recorder: {flush: 50ms}"));
    let mut collector = Running::start(dir.path());
    until("records are on disk", || recorded(dir.path()).len() > 50);
    collector.signal(Signal::TERM);
    assert_eq!(collector.wait(), Some(0));
    let records = recorded(dir.path());
    let trades: Vec<u64> =
        records.iter().filter(|record| record["data_type"] == "trade").map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert!(trades.windows(2).all(|pair| pair[1] == pair[0] + 1), "{trades:?}");
    println!("{} records, {} trades", records.len(), trades.len());
}

#[test]
fn after_sigkill_everything_up_to_the_last_flush_can_be_read_and_the_next_start_goes_on() {
    let (dir, sim) = (tempfile::tempdir().unwrap(), Sim::start());
    write(dir.path(), &sim.config("recorder: {flush: 50ms}"));
    let mut before = 0;
    for round in 0..2 {
        let mut collector = Running::start(dir.path());
        until("records are on disk", || recorded(dir.path()).len() > before + 50);
        collector.signal(Signal::KILL);
        assert_eq!(collector.wait(), None);
        let records = recorded(dir.path());
        println!("round {round}: {} records after SIGKILL", records.len());
        before = records.len();
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let (dir, sim) = (tempfile::tempdir().unwrap(), Sim::start());
    let nowhere = Port::reserve().unwrap();
    write(dir.path(), &sim.config(&format!("nats: {{url: 'nats://{}'}}\nshutdown: {{deadline: 10m}}", nowhere.address())));
    let mut collector = Running::start(dir.path());
    let mut said = BufReader::new(collector.0.stderr.take().unwrap()).lines();
    assert!(said.by_ref().map_while(Result::ok).any(|line| line.contains("synced")), "data flows towards a server that is not there");
    std::thread::sleep(Duration::from_millis(300));
    collector.signal(Signal::TERM);
    assert!(said.any(|line| line.unwrap().contains("a second signal ends at once")));
    collector.signal(Signal::INT);
    // Not after the deadline of ten minutes.
    assert_eq!(collector.wait(), Some(143));
}

#[test]
fn the_health_check_tells_by_its_exit_code() {
    let (dir, sim) = (tempfile::tempdir().unwrap(), Sim::start());
    write(dir.path(), &sim.config(""));
    let health = sim.health.address();
    let url = format!("http://{health}/health");
    assert_eq!(run(dir.path(), &["healthcheck", "--url", &url]).status.code(), Some(1));
    let mut collector = Running::start(dir.path());
    until("it listens", || TcpStream::connect(health).is_ok());
    assert_eq!(run(dir.path(), &["healthcheck", "--url", &url]).status.code(), Some(0));
    until("it is ready", || run(dir.path(), &["healthcheck", "--url", &format!("http://{health}/ready")]).status.code() == Some(0));
    collector.signal(Signal::TERM);
    assert_eq!(collector.wait(), Some(0));
    assert!(String::from_utf8_lossy(&run(dir.path(), &["version"]).stdout).starts_with("collector "));
}

#[test]
fn a_code_is_explained_and_one_that_does_not_exist_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, code, expected) in [
        (&["explain", "e510"][..], 0, "E510  A port is taken"),
        (&["explain", "E002", "--lang", "zh"], 0, "E002  此处没有这个键"),
        (&["explain", "--list"], 0, "W502"),
        (&["explain", "E999"], 2, "no code E999"),
        (&["explain"], 2, "Usage"),
    ] {
        let output = run(dir.path(), arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{arguments:?}: {said}");
    }
}

/// One series of the metrics page; 0 when it is not there.
fn metric(sim: &Sim, series: &str) -> f64 {
    let Ok(mut stream) = TcpStream::connect(sim.metrics.address()) else { return 0.0 };
    std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page.lines().filter_map(|line| line.strip_prefix(series)?.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let (dir, sim) = (tempfile::tempdir().unwrap(), Sim::start());
    write(dir.path(), &sim.config(""));
    // A pipe that is full from the start and never read: the first line of the log already finds no room.
    let (_never_read, mut pipe) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK).unwrap();
    while std::io::Write::write(&mut pipe, &[b'x'; 4_096]).is_ok() {}
    rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::empty()).unwrap();
    let collector = Running(command(dir.path()).arg("run").stdout(Stdio::null()).stderr(pipe).spawn().unwrap());
    until("records are made", || metric(&sim, "collector_stream_records_total") > 0.0);
    let before = metric(&sim, "collector_stream_records_total");
    until("records go on", || metric(&sim, "collector_stream_records_total") > before + 50.0);
    collector.signal(Signal::TERM);
    let mut collector = collector;
    assert_eq!(collector.wait(), Some(0));
}

#[test]
fn repeats_in_the_log_are_held_back_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let [venue, health, metrics] = [(); 3].map(|()| Port::reserve().unwrap());
    write(
        dir.path(),
        &format!(
            "venues: [{{name: binance, market: spot, symbols: [A-B], rest_url: 'http://{}'}}]\n\
             http: {{health: '{}', metrics: '{}'}}\nlog: {{format: json, repeat_limit: 1, repeat_interval: 5s}}\n",
            venue.address(),
            health.address(),
            metrics.address()
        ),
    );
    let mut collector = Running::start(dir.path());
    let lines = BufReader::new(collector.0.stderr.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
    let said = told.into_iter().find(|line| line["event"] == "suppressed").unwrap();
    assert!(said["suppressed"].as_u64() >= Some(1) && said["message"].as_str().unwrap().contains("in 5 s: instrument list: tcp refused"), "{said}");
}
