//! RSS and CPU of the collector: 12 books, 100 published levels, 5,000 depth messages a second over loopback.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{Program, free_address, fresh_dir, get, wait_until};

/// Books: six symbols on each of two markets.
const SYMBOLS: [&str; 6] = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "PEPE-USDT"];
/// Depth messages a second over all books.
const RATE: u32 = 5_000;
/// The symbols on both markets.
const BOOKS: u32 = 12;
const WARM_UP: Duration = Duration::from_secs(15);

/// Runs the collector against the fake venues and prints its figures.
pub(crate) fn run(bin_dir: &Path, length: Duration) -> Result<()> {
    let dir = fresh_dir("collector")?;
    let ports = dir.join("venues.json");
    let mut venues = Command::new(bin_dir.join("venue-sim"));
    let (symbols, interval_us) = (SYMBOLS.join(","), 1_000_000 * BOOKS / RATE);
    venues.args(["run", "--spot-walk", &symbols, "--usdm-walk", &symbols, "--rate", &(2 * RATE / BOOKS).to_string()]);
    venues.args(["--depth-interval", &format!("{interval_us}us"), "--ports-file"]).arg(&ports);
    let _venues = Program::start("venue-sim", &dir, &mut venues)?;
    wait_until("venue-sim tells its ports", Duration::from_secs(10), || ports.is_file())?;
    let told: Value = serde_json::from_str(&fs::read_to_string(&ports)?)?;
    let address = |venue: &str| told.pointer(&format!("/{venue}/address")).and_then(Value::as_str).map(str::to_owned).context("a port is missing");
    let (spot, usdm, metrics, health) = (address("binance_spot")?, address("binance_usdm")?, free_address()?, free_address()?);
    let symbols = SYMBOLS.join(", ");
    let config = format!(
        "venues:\n  - {{name: binance, market: spot, symbols: [{symbols}], ws_url: 'ws://{spot}', rest_url: 'http://{spot}'}}\n  - {{name: binance, market: perpetual, symbols: [{symbols}], ws_url: 'ws://{usdm}', rest_url: 'http://{usdm}'}}\nrecorder: {{dir: '{}/recorded'}}\nhttp: {{metrics: '{metrics}', health: '{health}'}}\n",
        dir.display()
    );
    fs::write(dir.join("collector.yml"), config)?;
    let mut collector = Command::new(bin_dir.join("collector"));
    collector.args(["run", "--config"]).arg(dir.join("collector.yml"));
    let collector = Program::start("collector", &dir, &mut collector)?;
    wait_until("messages flow", Duration::from_secs(30), || updates(&metrics) > 10_000.0)?;

    sleep(WARM_UP);
    let (before, first) = (collector.look()?, updates(&metrics));
    sleep(length);
    let (after, last) = (collector.look()?, updates(&metrics));
    let (rate, cpu) = ((last - first) / length.as_secs_f64(), after.cpu_s - before.cpu_s);
    println!(
        "collector: {} books, 100 published levels each 100 ms to the recorder, {} s after {} s of warm-up",
        SYMBOLS.len() * 2,
        length.as_secs(),
        WARM_UP.as_secs()
    );
    println!(
        "  messages/s {rate:.0}   RSS MB {:.1}   peak MB {:.1}   CPU s per million messages {:.2}",
        after.rss_mb,
        after.peak_mb,
        cpu / (last - first) * 1e6
    );
    let _ = fs::remove_dir_all(dir);
    Ok(())
}

/// WebSocket messages received so far, over all venues: nearly all of them depth.
fn updates(metrics: &str) -> f64 {
    let page = get(metrics, "/metrics");
    let lines = page.lines().filter(|line| line.starts_with("marketprism_websocket_messages_received_total{"));
    lines.filter_map(|line| line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok())).sum()
}
