//! RSS and CPU of the collector with 12 books and 100 published levels: at 5,000 depth messages a second to the recorder, and at the venues' real pace.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::nats;
use crate::process::{Look, Program, free_address, fresh_dir, get, wait_until};

/// Books: six symbols on each of two markets.
const SYMBOLS: [&str; 6] = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "PEPE-USDT"];
/// Depth messages a second over all books.
const RATE: u32 = 5_000;
/// The symbols on both markets.
const BOOKS: u32 = 12;
/// Before the first look.
pub(crate) const WARM_UP: Duration = Duration::from_secs(15);

/// Runs the collector against the fake venues and prints its figures.
pub(crate) fn run(bin_dir: &Path, length: Duration) -> Result<()> {
    let dir = fresh_dir("collector")?;
    let load = Load { depth_interval: Duration::from_micros(u64::from(1_000_000 * BOOKS / RATE)), trades: 2 * RATE / BOOKS };
    let sink = format!("recorder: {{dir: '{}/recorded'}}\n", dir.display());
    let seen = measure(bin_dir, &dir, (load, &sink), length)?;
    seen.tell("100 published levels each 100 ms to the recorder", &format!("CPU s per million messages {:.2}", seen.cpu_s / seen.messages * 1e6));
    let _ = fs::remove_dir_all(dir);
    Ok(())
}

/// The same at the pace of real venues: 12 books with 10 updates a second each, the first 100 levels of each every 100 ms to a real JetStream.
pub(crate) fn at_real_pace(bin_dir: &Path, tools: &Path, length: Duration) -> Result<()> {
    let dir = fresh_dir("pace")?;
    let server = nats::start(tools, &dir)?;
    let load = Load { depth_interval: Duration::from_millis(100), trades: 1 };
    let sink = format!("nats: {{url: 'nats://{}'}}\nrecorder: {{enabled: false}}\nspool: {{dir: '{}/spool'}}\n", server.address, dir.display());
    let seen = measure(bin_dir, &dir, (load, &sink), length)?;
    let cores = seen.cpu_s / length.as_secs_f64();
    let cost = format!("CPU s an hour {:.0} ({:.2} % of a core)", cores * 3_600.0, cores * 100.0);
    seen.tell("10 updates a second each, 100 published levels each 100 ms to JetStream", &cost);
    let _ = fs::remove_dir_all(dir);
    Ok(())
}

/// What the fake venues send.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) depth_interval: Duration,
    /// Trades a second of each market.
    pub(crate) trades: u32,
}

/// What came of it, after the warm-up.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) messages: f64,
    pub(crate) cpu_s: f64,
    pub(crate) after: Look,
    pub(crate) length: Duration,
}

impl Seen {
    /// Prints its two lines.
    pub(crate) fn tell(&self, load: &str, cost: &str) {
        let Self { messages, after, length, .. } = self;
        println!("collector: {BOOKS} books, {load}, {} s after {} s of warm-up", length.as_secs(), WARM_UP.as_secs());
        let rate = messages / length.as_secs_f64();
        println!("  messages/s {rate:.0}   RSS MB {:.1}   peak MB {:.1}   {cost}", after.rss_mb, after.peak_mb);
    }
}

/// Starts venues and collector and looks at it after the warm-up and at the end.
pub(crate) fn measure(bin_dir: &Path, dir: &Path, (load, sink): (Load, &str), length: Duration) -> Result<Seen> {
    let ports = dir.join("venues.json");
    // An earlier measurement may have left its own here.
    if ports.exists() {
        fs::remove_file(&ports)?;
    }
    let mut venues = Command::new(bin_dir.join("venue-sim"));
    let symbols = SYMBOLS.join(",");
    venues.args(["run", "--spot-walk", &symbols, "--usdm-walk", &symbols, "--rate", &load.trades.to_string()]);
    venues.args(["--depth-interval", &format!("{}us", load.depth_interval.as_micros()), "--ports-file"]).arg(&ports);
    let _venues = Program::start("venue-sim", dir, &mut venues)?;
    wait_until("venue-sim tells its ports", Duration::from_secs(10), || ports.is_file())?;
    let told: Value = serde_json::from_str(&fs::read_to_string(&ports)?)?;
    let address = |venue: &str| told.pointer(&format!("/{venue}/address")).and_then(Value::as_str).map(str::to_owned).context("a port is missing");
    let (spot, usdm, metrics, health) = (address("binance_spot")?, address("binance_usdm")?, free_address()?, free_address()?);
    let symbols = SYMBOLS.join(", ");
    let config = format!(
        "venues:\n  - {{name: binance, market: spot, symbols: [{symbols}], ws_url: 'ws://{spot}', rest_url: 'http://{spot}'}}\n  - {{name: binance, market: perpetual, symbols: [{symbols}], ws_url: 'ws://{usdm}', rest_url: 'http://{usdm}'}}\n{sink}http: {{metrics: '{metrics}', health: '{health}'}}\n"
    );
    fs::write(dir.join("collector.yml"), config)?;
    let mut collector = Command::new(bin_dir.join("collector"));
    collector.args(["run", "--config"]).arg(dir.join("collector.yml")).current_dir(dir);
    let collector = Program::start("collector", dir, &mut collector)?;
    wait_until("messages flow", Duration::from_secs(30), || updates(&metrics) > 200.0)?;
    sleep(WARM_UP);
    let (before, first) = (collector.look()?, updates(&metrics));
    sleep(length);
    let (after, last) = (collector.look()?, updates(&metrics));
    Ok(Seen { messages: last - first, cpu_s: after.cpu_s - before.cpu_s, after, length })
}

/// WebSocket messages received so far, over all venues: nearly all of them depth.
fn updates(metrics: &str) -> f64 {
    let page = get(metrics, "/metrics");
    let lines = page.lines().filter(|line| line.starts_with("marketprism_websocket_messages_received_total{"));
    lines.filter_map(|line| line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok())).sum()
}
