//! What a message costs from the venue's socket on, beside cryptofeed and barter-data on the same stream; and how long it takes to NATS.
//!
//! The peers keep the books and do nothing with them; the collector publishes to a real JetStream besides: (i) conflated top-100 books,
//! (ii) every update as a delta, acknowledged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::nats;
use crate::process::{Look, Program, free_address, fresh_dir, get, wait_until};
use crate::venue::{LEVELS, Pace, SYMBOLS, Venue};

/// Messages a second of the second shape.
const PACED: u32 = 20_000;
/// Messages a second while latency is measured.
const LATENCY_RATE: u32 = 5_000;
/// About what a delta of ten levels has.
const DELTA_BYTES: usize = 850;
/// cryptofeed is given this part of the messages: it would take minutes.
const SLOW_PART: u64 = 10;
/// Before the first look: books are synchronised, everything is touched.
const WARM_UP: u64 = 50_000;

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    pub(crate) bin_dir: &'a Path,
    pub(crate) tools: &'a Path,
    /// `cryptofeed/bin/python` and `barter-books`; what is missing is not run, and said so.
    pub(crate) peers: &'a Path,
}

/// What reads the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// (i): the first 100 levels of each book each 100 ms.
    Conflated,
    /// (ii): every update as a delta, acknowledged.
    Delta,
    /// The peer in Rust.
    Barter,
    /// The peer in Python.
    Cryptofeed,
}

/// How fast the stream comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// As fast as the client reads.
    Full,
    /// 20,000 messages a second.
    Paced,
}

/// A collector between the venue and a real NATS server, its books exact.
pub(crate) struct Rig {
    pub(crate) venue: Venue,
    pub(crate) collector: Program,
    /// `HOST:PORT` of its page of metrics.
    pub(crate) metrics: String,
    /// Gone at the end.
    pub(crate) dir: PathBuf,
    /// Held until the end of the measurement.
    _server: nats::Server,
}

struct Measured {
    cpu_s_per_million: f64,
    after: Look,
    /// After the first million messages.
    first: Look,
}

/// Prints the table of costs: of these clients and shapes, all when none is named.
pub(crate) fn run(places: Places<'_>, messages: u64, (clients, shapes): (&[Client], &[Shape])) {
    println!("pipeline: {} symbols, {LEVELS} levels a message, Binance Spot diffs over loopback, {messages} messages", SYMBOLS.len());
    println!("  {:<34} {:>12} {:>22} {:>9} {:>12}", "", "shape", "CPU s/million messages", "peak MB", "growth MB");
    for shape in Shape::value_variants().iter().filter(|shape| shapes.is_empty() || shapes.contains(shape)) {
        for client in Client::value_variants().iter().copied().filter(|client| clients.is_empty() || clients.contains(client)) {
            let messages = if client == Client::Cryptofeed { shape.of(messages) / SLOW_PART } else { shape.of(messages) };
            let (shape, pace) = (shape.title(), shape.pace());
            match measure(places, client, (pace, messages)) {
                Ok(Some(seen)) => println!(
                    "  {:<34} {shape:>12} {:>22.2} {:>9.1} {:>12.2}",
                    client.title(),
                    seen.cpu_s_per_million,
                    seen.after.peak_mb,
                    seen.after.rss_mb - seen.first.rss_mb
                ),
                Ok(None) => println!("  {:<34} {shape:>12} not there: run `make bench-peers`", client.title()),
                Err(error) => println!("  {:<34} {shape:>12} failed: {error:#}", client.title()),
            }
        }
    }
}

/// Prints how long a delta takes from the venue's write to a subscriber of NATS.
pub(crate) fn latency(places: Places<'_>, length: Duration) -> Result<()> {
    let dir = fresh_dir("latency")?;
    let (venue, server) = (Venue::start()?, nats::start(places.tools, &dir)?);
    let metrics = free_address()?;
    let _collector = start_collector(places, &dir, (Client::Delta, &venue.address, &server.address, &metrics))?;
    wait_until("messages flow", Duration::from_secs(20), || synced(&metrics))?;
    venue.send(u64::from(LATENCY_RATE) * 3, Pace::Rate(LATENCY_RATE));
    let arrivals = nats::subscribe(&server.address, &format!("orderbook_delta.binance.spot.{}", SYMBOLS[0].1))?;
    sleep(Duration::from_millis(500));
    venue.stamp();
    venue.send(u64::from(LATENCY_RATE) * length.as_secs(), Pace::Rate(LATENCY_RATE));
    sleep(Duration::from_secs(1));
    let stamps = venue.stamps();
    println!("latency: venue's write to subscriber of NATS, every delta acknowledged, {LATENCY_RATE} messages/s for {} s", length.as_secs());
    tell("through the collector", &stamps, &arrivals);
    // The server's own share: the same subjects, stream and size, without the collector.
    drop(venue);
    let subjects: Vec<String> = SYMBOLS.iter().map(|(_, symbol, _)| format!("orderbook_delta.alone.spot.{symbol}")).collect();
    let arrivals = nats::subscribe(&server.address, subjects.first().map_or("", String::as_str))?;
    sleep(Duration::from_millis(500));
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    let written = nats::publish(&server.address, &subjects, (DELTA_BYTES, LATENCY_RATE), length)?;
    sleep(Duration::from_secs(1));
    tell("NATS alone", &written, &arrivals);
    let _ = fs::remove_dir_all(dir);
    Ok(())
}

/// Prints the percentiles of the time from a stamp to its arrival.
fn tell(what: &str, stamps: &[(u64, u64)], arrivals: &nats::Arrivals) {
    let arrived: std::collections::BTreeMap<u64, u64> =
        std::mem::take(&mut *arrivals.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect();
    let mut took: Vec<u64> = stamps.iter().filter_map(|(id, written)| Some(arrived.get(id)?.saturating_sub(*written))).collect();
    took.sort_unstable();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = ((took.len() as f64 - 1.0) * share) as usize;
        took.get(place).map_or(f64::NAN, |ns| *ns as f64 / 1_000.0)
    };
    println!("  {what:<24} {} of {} arrived   p50 µs {:.0}   p99 µs {:.0}   p99.9 µs {:.0}", took.len(), stamps.len(), at(0.5), at(0.99), at(0.999));
}

/// One client under one shape; `None`: it is not there.
fn measure(places: Places<'_>, client: Client, (pace, messages): (Pace, u64)) -> Result<Option<Measured>> {
    if client.is_ours() {
        let rig = Rig::start(places, client)?;
        return load((&rig.venue, &rig.collector), (pace, messages)).map(Some);
    }
    let dir = fresh_dir(&format!("pipeline-{client:?}"))?;
    let venue = Venue::start()?;
    let Some(program) = start_peer(places, &dir, (client, &venue.address))? else {
        fs::remove_dir_all(dir)?;
        return Ok(None);
    };
    wait_until("the peer reads", Duration::from_secs(20), || venue.sent() > 200)?;
    sleep(Duration::from_secs(3));
    let measured = load((&venue, &program), (pace, messages));
    drop(program);
    let _ = fs::remove_dir_all(dir);
    measured.map(Some)
}

/// The figures of a program that reads, or will read, what the venue sends.
fn load((venue, program): (&Venue, &Program), (pace, messages): (Pace, u64)) -> Result<Measured> {
    venue.send(WARM_UP.min(messages), pace);
    let before = settled(program)?;
    let first = messages.min(1_000_000);
    venue.send(first, pace);
    let first_million = settled(program)?;
    venue.send(messages - first, pace);
    let after = settled(program)?;
    let cpu_s_per_million = (after.cpu_s - before.cpu_s) * 1e6 / messages as f64;
    Ok(Measured { cpu_s_per_million, after, first: first_million })
}

/// The figures once what was sent has been worked off: CPU stands nearly still.
pub(crate) fn settled(program: &Program) -> Result<Look> {
    let mut before = program.look()?;
    for _ in 0..240 {
        sleep(Duration::from_millis(500));
        let now = program.look()?;
        if now.cpu_s - before.cpu_s < 0.05 {
            return Ok(now);
        }
        before = now;
    }
    Ok(before)
}

fn start_collector(places: Places<'_>, dir: &Path, (client, venue, nats, metrics): (Client, &str, &str, &str)) -> Result<Program> {
    let symbols: Vec<&str> = SYMBOLS.iter().map(|(_, symbol, _)| *symbol).collect();
    let output = match client {
        Client::Delta => "publish: 60s, delta: every",
        _ => "publish: 100ms",
    };
    let config = format!(
        "venues:\n  - {{name: binance, market: spot, symbols: [{}], trades: false, {output}, ws_url: 'ws://{venue}', rest_url: 'http://{venue}'}}\nnats: {{url: 'nats://{nats}', mode: jetstream}}\nrecorder: {{enabled: false}}\nspool: {{dir: '{}'}}\nhttp: {{metrics: '{metrics}', health: '{}'}}\n",
        symbols.join(", "),
        dir.join("spool").display(),
        free_address()?
    );
    fs::write(dir.join("collector.yml"), config)?;
    let mut collector = Command::new(places.bin_dir.join("collector"));
    collector.args(["run", "--config"]).arg(dir.join("collector.yml")).current_dir(dir);
    Program::start("collector", dir, &mut collector)
}

fn start_peer(places: Places<'_>, dir: &Path, (client, venue): (Client, &str)) -> Result<Option<Program>> {
    let (program, script): (PathBuf, Option<&str>) = match client {
        Client::Cryptofeed => (places.peers.join("cryptofeed/bin/python"), Some("bench/peers/cryptofeed_books.py")),
        _ => (places.peers.join("barter-books"), None),
    };
    if !program.is_file() {
        return Ok(None);
    }
    let mut command = Command::new(&program);
    command.args(script).arg(venue);
    command.args(SYMBOLS.iter().map(|(raw, symbol, _)| if client == Client::Cryptofeed { symbol } else { raw }));
    Ok(Some(Program::start("peer", dir, &mut command)?))
}

/// Whether every book of the collector is exact.
fn synced(metrics: &str) -> bool {
    let page = get(metrics, "/metrics");
    let books = page.lines().filter(|line| line.starts_with("marketprism_orderbook_sync_status{") && line.ends_with(" 1"));
    books.count() == SYMBOLS.len()
}

// === impl Rig ===

impl Rig {
    /// Starts all three, and waits for the books.
    pub(crate) fn start(places: Places<'_>, client: Client) -> Result<Self> {
        let dir = fresh_dir(&format!("pipeline-{client:?}"))?;
        let (venue, metrics) = (Venue::start()?, free_address()?);
        let server = nats::start(places.tools, &dir)?;
        let collector = start_collector(places, &dir, (client, &venue.address, &server.address, &metrics))?;
        wait_until("books are synchronised", Duration::from_secs(20), || synced(&metrics))?;
        Ok(Self { venue, collector, metrics, dir, _server: server })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

// === impl Shape ===

impl Shape {
    pub(crate) const fn pace(self) -> Pace {
        match self {
            Self::Full => Pace::Full,
            Self::Paced => Pace::Rate(PACED),
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Full => "full speed",
            Self::Paced => "20,000/s",
        }
    }

    /// How many messages are sent when so many are sent at full speed: a fifth, but for five seconds at least.
    pub(crate) fn of(self, messages: u64) -> u64 {
        match self {
            Self::Full => messages,
            Self::Paced => (messages / 5).max(u64::from(PACED) * 5),
        }
    }
}

// === impl Client ===

impl Client {
    const fn is_ours(self) -> bool {
        matches!(self, Client::Conflated | Client::Delta)
    }

    const fn title(self) -> &'static str {
        match self {
            Client::Conflated => "collector, (i) conflated, JetStream",
            Client::Delta => "collector, (ii) deltas, acked",
            Client::Barter => "barter-data 0.13, books only",
            Client::Cryptofeed => "cryptofeed 2.4, books only",
        }
    }
}
