//! A directory with a configuration, a program under test, and what it watches.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use venue_sim::port::Port;

/// Longer than anything here takes, even on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Makes the arguments of each test's child its own, so that tests in parallel do not find each other's.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What the watched program says of itself; the test plays it.
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) page: Arc<Mutex<String>>,
    pub(crate) healthy: Arc<AtomicBool>,
    /// Bodies that were posted, by path.
    pub(crate) posted: Arc<Mutex<Vec<(String, String)>>>,
}

/// One watchdog with its directory. Everything it started is ended with it.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) web: String,
    /// An argument that only this stage's child has.
    pub(crate) mark: String,
    watchdog: Option<Child>,
    _reserved: Port,
}

// === impl Target ===

impl Target {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Self {
            address: listener.local_addr().unwrap().to_string(),
            page: Arc::new(Mutex::new("sick 0\n".to_owned())),
            healthy: Arc::new(AtomicBool::new(true)),
            posted: Arc::default(),
        };
        let (page, healthy, posted) = (target.page.clone(), target.healthy.clone(), target.posted.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (page, healthy, posted) = (page.clone(), healthy.clone(), posted.clone());
                std::thread::spawn(move || drop(answer(stream, &page, &healthy, &posted)));
            }
        });
        target
    }

    pub(crate) fn say(&self, page: &str) {
        page.clone_into(&mut self.page.lock().unwrap());
    }
}

fn answer(mut stream: TcpStream, page: &Mutex<String>, healthy: &AtomicBool, posted: &Mutex<Vec<(String, String)>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE / 4))?;
    let (head, body) = read_message(&mut stream)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = path.split('?').next().unwrap_or_default();
    let kind = if asked == "/metrics" { "text/plain; version=0.0.4" } else { "application/json" };
    let (status, body) = match asked {
        "/metrics" => (200, page.lock().unwrap().clone()),
        "/health" => (if healthy.load(Ordering::SeqCst) { 200 } else { 503 }, String::new()),
        _ => {
            posted.lock().unwrap().push((path, body));
            (200, "{\"errcode\":0,\"errmsg\":\"ok\"}".to_owned())
        }
    };
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Head and body of a request or an answer.
fn read_message(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut text = Vec::new();
    let mut piece = [0_u8; 4096];
    loop {
        let count = stream.read(&mut piece)?;
        text.extend_from_slice(&piece[..count]);
        let shown = String::from_utf8_lossy(&text);
        let Some((head, body)) = shown.split_once("\r\n\r\n") else {
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let length =
            head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length:").and_then(|value| value.trim().parse().ok()));
        if count == 0 || length.is_some_and(|length: usize| body.len() >= length) || (length.is_none() && head.starts_with("GET")) {
            return Ok((head.to_owned(), body.to_owned()));
        }
    }
}

// === impl Stage ===

impl Stage {
    /// A stage whose configuration is `config`, with these words replaced: `WEB`, `MARK`, `DIR`, and what `more` names.
    pub(crate) fn new(config: &str, more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rules")).unwrap();
        let reserved = Port::reserve().unwrap();
        let web = reserved.address().to_string();
        let mark = format!("{}.{}", 50_000 + std::process::id() % 10_000, 1_000 + NUMBER.fetch_add(1, Ordering::SeqCst));
        let stage = Self { dir, web, mark, watchdog: None, _reserved: reserved };
        stage.write("watchdog.yml", config, more);
        stage
    }

    pub(crate) fn write(&self, file: &str, text: &str, more: &[(&str, &str)]) {
        let mut text = text.replace("WEB", &self.web).replace("MARK", &self.mark).replace("DIR", &self.path("").display().to_string());
        for (word, value) in more {
            text = text.replace(word, value);
        }
        // Replaced by renaming, as an editor does.
        let beside = self.path(&format!("{file}.beside"));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.path(file)).unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Starts the program; its log goes to a file.
    pub(crate) fn start(&mut self) {
        self.start_with("watchdog.yml", &[]);
    }

    /// The same with another configuration and further arguments; state lives beside the configuration.
    pub(crate) fn start_with(&mut self, config: &str, arguments: &[&str]) {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        let mut command = watchdog(&["run", "--config", self.path(config).to_str().unwrap()]);
        command.args(arguments);
        self.watchdog = Some(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// The same below another program, which becomes it in the end.
    pub(crate) fn start_under(&mut self, outer: &[&str]) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let inner = watchdog(&["run", "--config", self.path("watchdog.yml").to_str().unwrap()]);
        let mut command = Command::new(outer[0]);
        command.args(&outer[1..]).arg(inner.get_program()).args(inner.get_args()).env("LANG", "en_US.UTF-8");
        self.watchdog = Some(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start_and_wait(&mut self) {
        self.start();
        self.until("the page answers", |stage| get(&stage.web, "/-/ready").is_some_and(|(status, _)| status == 200));
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut watchdog = self.watchdog.take().unwrap();
        watchdog.kill().unwrap();
        watchdog.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut watchdog = self.watchdog.take().unwrap();
        send_signal(watchdog.id(), "TERM");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = watchdog.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        watchdog.kill().unwrap();
        watchdog.wait().unwrap();
        panic!("the watchdog does not end:\n{}", self.log());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.watchdog.as_ref().unwrap().id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits for a condition; the log is shown when it does not come.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "not seen: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let body = get(&self.web, "/api/status").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// The value of one of its own metrics, by the text before the value.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let (_, page) = get(&self.web, "/metrics")?;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Processes with this stage's mark among their arguments; the children.
    pub(crate) fn children(&self) -> Vec<u32> {
        pids().into_iter().filter(|pid| has_argument(*pid, &self.mark)).collect()
    }

    /// The one child, once there is exactly one.
    pub(crate) fn child(&self) -> u32 {
        self.until("one child", |stage| stage.children().len() == 1);
        self.children()[0]
    }

    /// What the restart `name` has on disk.
    pub(crate) fn saved(&self, name: &str) -> process::restart::Saved {
        let text = std::fs::read_to_string(self.path(&format!("data/restarts/{name}.json"))).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// How often each stage of a restart was told in the log.
    pub(crate) fn told(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.log().lines().filter(|line| line.contains("restarts::service: restart ")) {
            let stage = line.split("stage=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            *counts.entry(stage.to_owned()).or_insert(0) += 1;
        }
        counts
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
        for child in self.children() {
            send_signal(child, "KILL");
        }
    }
}

/// The program with these arguments.
pub(crate) fn watchdog(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchdog"));
    command.args(arguments).env("LANG", "en_US.UTF-8").env_remove("LC_ALL").env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

pub(crate) fn send_signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A GET; `None` when nobody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    request(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
}

/// The same with more header lines.
pub(crate) fn get_with(address: &str, path: &str, headers: &str) -> Option<(u16, String)> {
    request(address, &format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n"))
}

/// A POST; `None` when nobody answers.
pub(crate) fn post(address: &str, path: &str, body: &str) -> Option<(u16, String)> {
    request(address, &format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()))
}

fn request(address: &str, text: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE / 4)).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

fn pids() -> Vec<u32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn has_argument(pid: u32, word: &str) -> bool {
    let alive = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    alive
        && std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("cmdline"))
            .is_ok_and(|line| line.split('\0').any(|have| have == word))
}
