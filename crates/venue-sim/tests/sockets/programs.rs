//! The binary itself: the line of addresses, the ailments as /proc shows them, and the end by signal.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{SOON, http};

struct Program {
    child: Child,
    ports: Value,
    http: reqwest::Client,
}

impl Program {
    async fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_venue-sim"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(SOON, lines.next_line()).await.unwrap().unwrap().expect("a line of addresses");
        Self { child, ports: serde_json::from_str(&line).unwrap(), http: http() }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().cast_signed()), signal).unwrap();
    }

    /// Exit code after a signal.
    async fn end(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        tokio::time::timeout(SOON, self.child.wait()).await.expect("a prompt end").unwrap().code()
    }

    async fn order(&self, orders: Value) {
        let url = format!("{}/control", self.ports["http"].as_str().unwrap());
        assert_eq!(self.http.post(url).json(&orders).send().await.unwrap().status(), 200);
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id().unwrap())).unwrap()
    }

    fn resident_kb(&self) -> u64 {
        self.proc("status").lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok()).unwrap()
    }

    fn cpu_ticks(&self) -> u64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn descriptors(&self) -> Vec<String> {
        let directory = format!("/proc/{}/fd", self.child.id().unwrap());
        let links = std::fs::read_dir(directory).unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    fn close_wait(&self) -> usize {
        let own = self.descriptors();
        let table = self.proc("net/tcp");
        let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.filter(|fields| fields[3] == "08" && own.contains(&format!("socket:[{}]", fields[9]))).count()
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn ailments_are_visible_from_outside() {
    let mut sick = Program::start(&["sick", "--max-memory-mb", "60", "--max-fds", "40"]).await;
    let (memory, descriptors) = (sick.resident_kb(), sick.descriptors().len());
    sick.order(json!({"leak_memory_mb_per_s": 100, "leak_fds_per_s": 100, "close_wait": 7})).await;
    eventually("memory grows", || sick.resident_kb() > memory + 50_000).await;
    eventually("descriptors grow", || sick.descriptors().len() >= descriptors + 40).await;
    eventually("CLOSE_WAIT sockets", || sick.close_wait() == 7).await;
    let metrics_url = format!("{}/metrics", sick.ports["http"].as_str().unwrap());
    let metrics = sick.http.get(&metrics_url).send().await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line == "collector_tcp_close_wait 7"), "{metrics}");
    sick.order(json!({"heal": true, "spin": true})).await;
    eventually("CLOSE_WAIT sockets are closed", || sick.close_wait() == 0).await;
    let ticks = sick.cpu_ticks();
    eventually("CPU time grows", || sick.cpu_ticks() > ticks + 20).await;
    assert_eq!(sick.end(Signal::SIGTERM).await, Some(0));
}

#[tokio::test]
async fn a_hanging_program_accepts_and_does_not_answer() {
    let mut sick = Program::start(&["sick"]).await;
    let base = sick.ports["http"].as_str().unwrap().to_owned();
    assert_eq!(sick.http.get(format!("{base}/health")).send().await.unwrap().status(), 200);
    sick.order(json!({"hang": true, "ignore_sigterm": true})).await;
    for path in ["metrics", "health"] {
        let asked = sick.http.get(format!("{base}/{path}")).timeout(Duration::from_millis(400)).send().await;
        assert!(asked.unwrap_err().is_timeout(), "{path}");
    }
    sick.signal(Signal::SIGTERM);
    assert!(tokio::time::timeout(Duration::from_millis(500), sick.child.wait()).await.is_err(), "deaf to SIGTERM");
    sick.order(json!({"hang": false, "ignore_sigterm": false})).await;
    assert_eq!(sick.http.get(format!("{base}/health")).send().await.unwrap().status(), 200);
    assert_eq!(sick.end(Signal::SIGTERM).await, Some(0));
}

#[tokio::test]
async fn a_script_makes_it_sick_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("sick.yml");
    std::fs::write(&script, "- {at: 200ms, orders: {close_wait: 3}}\n- {at: 400ms, orders: {close_wait: 5}}\n").unwrap();
    let mut sick = Program::start(&["sick", "--script", script.to_str().unwrap()]).await;
    eventually("CLOSE_WAIT sockets", || sick.close_wait() == 5).await;
    assert_eq!(sick.end(Signal::SIGINT).await, Some(0));
}

#[tokio::test]
async fn venues_and_inboxes_end_at_a_signal_and_tell_their_ports() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    let mut venues =
        Program::start(&["run", "--spot-walk", "BTC-USDT", "--usdm-walk", "1000PEPE-USDT", "--ports-file", file.to_str().unwrap()]).await;
    assert_eq!(serde_json::from_str::<Value>(&std::fs::read_to_string(&file).unwrap()).unwrap(), venues.ports);
    let rest = venues.ports["binance_usdm"]["rest"].as_str().unwrap();
    let depth: Value = venues.http.get(format!("{rest}/fapi/v1/depth?symbol=1000PEPEUSDT&limit=5")).send().await.unwrap().json().await.unwrap();
    assert_eq!(depth["asks"].as_array().unwrap().len(), 5);
    assert_eq!(venues.end(Signal::SIGTERM).await, Some(0));
    let mut inbox = Program::start(&["inbox"]).await;
    assert!(inbox.ports["dingtalk"].as_str().unwrap().ends_with("/robot/send"));
    assert_eq!(inbox.end(Signal::SIGINT).await, Some(0));
}

#[tokio::test]
async fn wrong_arguments_fail_with_a_reason() {
    for (arguments, reason) in [(vec!["run"], "nothing to play"), (vec!["run", "--spot-walk", "BTCUSDT"], "BASE-QUOTE")] {
        let output = Command::new(env!("CARGO_BIN_EXE_venue-sim")).args(&arguments).output().await.unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(reason), "{text}");
    }
}
