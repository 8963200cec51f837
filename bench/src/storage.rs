//! A week of 1,000 series at 15 s on disk: what the watchdog's memory has of it, and how long a dashboard waits.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use promql::Sample;
use promql::labels::Labels;
use promql::series::{Ceilings, Store, encode_chunks};
use segments::{BlockDir, Span, SystemDisk};

use crate::page;
use crate::process::{Program, free_address, fresh_dir, wait_until};

const SERIES: i32 = 1_000;
const STEP_MS: i64 = 15_000;
const WEEK_MS: i64 = 7 * 86_400_000;
/// A block has this much, as the watchdog cuts them.
const CUT_MS: i64 = 2 * 3_600_000;

/// Dashboards over the week, with a point every ten minutes.
const QUESTIONS: [(&str, &str); 3] = [
    ("one series", "bench_week%7Bn%3D%227%22%7D"),
    ("rate of ten series", "sum(rate(bench_week_total%7Bn%3D~%221.%22%7D%5B30m%5D))"),
    ("sum of fifty series", "sum(bench_week%7Bn%3D~%221%5B0-4%5D.%22%7D)"),
];

/// Writes the week, starts the watchdog on it with a page of 1,000 lines, and looks at it.
pub(crate) fn run(bin_dir: &Path, length: Duration) -> Result<()> {
    let dir = fresh_dir("storage")?;
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let begun = Instant::now();
    let bytes = write_week(&dir.join("data/series/blocks"), now_ms)?;
    let samples = i64::from(SERIES) * (WEEK_MS / STEP_MS);
    println!(
        "storage: {SERIES} series at 15 s for 7 d: {samples} samples, {:.1} MB on disk, {:.2} bytes a sample; written in {:.0} s",
        bytes as f64 / 1e6,
        bytes as f64 / samples as f64,
        begun.elapsed().as_secs_f64()
    );
    let (web, target) = (free_address()?, page::serve()?);
    let config = format!(
        "global: {{scrape_interval: 15s, scrape_timeout: 900ms, evaluation_interval: 15s}}\nscrape_configs:\n  - job_name: bench\n    static_configs: [{{targets: ['{target}']}}]\ndata_dir: {}/data\nweb: {{listen: '{web}'}}\n",
        dir.display()
    );
    fs::write(dir.join("watchdog.yml"), config)?;
    let mut command = Command::new(bin_dir.join("watchdog"));
    command.args(["run", "--config"]).arg(dir.join("watchdog.yml"));
    let begun = Instant::now();
    let watchdog = Program::start("watchdog", &dir, &mut command)?;
    wait_until("watchdog has its series", Duration::from_mins(1), || ask(&web, "/api/v1/query?query=up").is_ok_and(|body| body.contains("bench")))?;
    println!("  first scrape answered {:.1} s after the start", begun.elapsed().as_secs_f64());
    sleep(length);
    let look = watchdog.look()?;
    println!("  after {} s: RSS {:.1} MB, peak {:.1} MB", length.as_secs(), look.rss_mb, look.peak_mb);
    for (title, expr) in QUESTIONS {
        let (start, end) = ((now_ms - WEEK_MS) / 1000, now_ms / 1000);
        let path = format!("/api/v1/query_range?query={expr}&start={start}&end={end}&step=600");
        let begun = Instant::now();
        let body = ask(&web, &path)?;
        anyhow::ensure!(body.contains("\"status\":\"success\"") && body.len() > 10_000, "{title}: {}", body.get(..300).unwrap_or(&body));
        println!("  a week of {title}: {:.0} ms, {:.0} kB", begun.elapsed().as_secs_f64() * 1e3, body.len() as f64 / 1e3);
    }
    let look = watchdog.look()?;
    println!("  after these: RSS {:.1} MB, peak {:.1} MB", look.rss_mb, look.peak_mb);
    drop(watchdog);
    let _ = fs::remove_dir_all(dir);
    Ok(())
}

/// Half gauges with three decimals, half counters; bytes on disk.
fn write_week(dir: &Path, now_ms: i64) -> Result<u64> {
    let mut store = Store::new(Ceilings { memory_bytes: 1 << 30, retention_ms: CUT_MS, ..Ceilings::default() });
    store.keep_on_disk();
    let labels: Vec<Labels> = (0..SERIES)
        .map(|n| {
            let name = if n % 2 == 0 { "bench_week" } else { "bench_week_total" };
            Labels::from_pairs([
                ("__name__", name),
                ("job", "bench"),
                ("instance", "127.0.0.1:9092"),
                ("exchange", "binance"),
                ("n", &(n / 2).to_string()),
            ])
        })
        .collect();
    let ids = labels.iter().map(|labels| store.series(labels)).collect::<Result<Vec<_>, _>>()?;
    let (mut blocks, _) = BlockDir::open(Box::new(SystemDisk), dir).context("no room for the week")?;
    let mut t_ms = now_ms - WEEK_MS;
    let mut round = 0_u32;
    let mut kept = 0;
    while t_ms < now_ms - STEP_MS {
        for _ in 0..CUT_MS / STEP_MS {
            t_ms += STEP_MS;
            round += 1;
            for (n, id) in (0_u32..).zip(&ids) {
                let wave = f64::from((round.wrapping_mul(2_654_435_761) >> 20) ^ n) / 1000.0;
                let v = if n % 2 == 0 { 100.0 + wave } else { f64::from(round) * f64::from(n % 17 + 1) };
                store.append(*id, Sample { t_ms, v })?;
            }
        }
        let (cut, series) = store.cut();
        let entries = series.each().map(|held| {
            let span = Span { from: t_ms - CUT_MS + STEP_MS, to: t_ms };
            (held.labels().packed().as_bytes(), span, encode_chunks(held.chunks(kept, cut)))
        });
        blocks.add(0, entries)?;
        kept = cut;
        store.kept_through(cut);
        drop(series);
        store.maintain(t_ms);
    }
    Ok(blocks.bytes())
}

/// The answer to a GET, however long it takes.
fn ask(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}
