//! RSS and CPU of the watchdog beside a real Prometheus that does the same, and the alert path while somebody asks heavy questions.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::engine::rule_file;
use crate::page;
use crate::process::{Look, Program, free_address, fresh_dir, get, wait_until};

/// A load: targets with a page of 1,000 lines each, scraped and evaluated at one interval.
struct Load {
    targets: usize,
    rules: usize,
    interval_s: u64,
}

/// Both programs at work.
struct Pair {
    ours: Program,
    peer: Program,
    web: String,
    dir: PathBuf,
}

/// Sums all 1,000 series at each of 300 seconds: `topk(1, max_over_time(sum by (symbol) ({__name__=~"bench_.*"})[5m:1s]))`.
const WORST_QUERY: &str = "/api/v1/query?query=topk(1,max_over_time(sum%20by%20(symbol)(%7B__name__%3D~%22bench_.*%22%7D)%5B5m:1s%5D))";
/// Questions at once.
const ASKERS: usize = 4;

/// Prints RSS and CPU under three loads, and the alert path with and without heavy questions.
pub(crate) fn run(bin_dir: &Path, tools: &Path, length: Duration) -> Result<()> {
    for load in [
        Load { targets: 1, rules: 30, interval_s: 1 },
        Load { targets: 1, rules: 30, interval_s: 15 },
        Load { targets: 10, rules: 1_000, interval_s: 15 },
    ] {
        let pair = Pair::start((bin_dir, tools), &load)?;
        let warm_up = Duration::from_secs(20.max(load.interval_s * 5));
        sleep(warm_up);
        let length = Duration::from_secs(length.as_secs().div_ceil(load.interval_s) * load.interval_s);
        let before = (pair.ours.look()?, pair.peer.look()?);
        sleep(length);
        let after = (pair.ours.look()?, pair.peer.look()?);
        println!(
            "watchdog: {} target(s) of {} lines, {} rules, both each {} s; {} s after {} s of warm-up",
            load.targets,
            page::LINES,
            load.rules,
            load.interval_s,
            length.as_secs(),
            warm_up.as_secs()
        );
        print(length, (before.0, after.0), (before.1, after.1));
        if load.interval_s == 1 {
            pair.questions(length)?;
        }
        let dir = pair.dir.clone();
        drop(pair);
        let _ = fs::remove_dir_all(dir);
    }
    Ok(())
}

// === impl Pair ===

impl Pair {
    /// Starts both on the same pages and rules, and waits until they answer.
    fn start((bin_dir, tools): (&Path, &Path), load: &Load) -> Result<Self> {
        let dir = fresh_dir("watchdog")?;
        let pages = (0..load.targets).map(|_| page::serve()).collect::<Result<Vec<_>>>()?;
        fs::write(dir.join("rules.yml"), rule_file(load.rules, Duration::from_secs(load.interval_s)))?;
        let (web, prometheus_web, interval) = (free_address()?, free_address()?, load.interval_s);
        let config = format!(
            "global: {{scrape_interval: {interval}s, scrape_timeout: 900ms, evaluation_interval: {interval}s}}\nrule_files: [rules.yml]\nscrape_configs:\n  - job_name: bench\n    static_configs: [{{targets: ['{}']}}]\n",
            pages.join("', '")
        );
        fs::write(dir.join("prometheus.yml"), &config)?;
        let ours_config = format!("{config}data_dir: {}/data\nweb: {{listen: '{web}'}}\nstorage: {{memory_limit: 64MB}}\n", dir.display());
        fs::write(dir.join("watchdog.yml"), ours_config)?;
        let mut ours = Command::new(bin_dir.join("watchdog"));
        ours.args(["run", "--config"]).arg(dir.join("watchdog.yml"));
        let ours = Program::start("watchdog", &dir, &mut ours)?;
        let mut peer = Command::new(tools.join("prometheus"));
        peer.arg(format!("--config.file={}/prometheus.yml", dir.display()));
        peer.arg(format!("--storage.tsdb.path={}/tsdb", dir.display())).arg(format!("--web.listen-address={prometheus_web}"));
        let peer = Program::start("prometheus", &dir, &mut peer).context("run `make tools` for the real Prometheus")?;
        wait_until("watchdog answers", Duration::from_secs(10), || !get(&web, "/-/healthy").is_empty())?;
        wait_until("Prometheus answers", Duration::from_secs(20), || !get(&prometheus_web, "/-/healthy").is_empty())?;
        Ok(Self { ours, peer, web, dir })
    }

    /// How long turns of the rule engine take while nobody asks, and while the worst question is asked in a loop.
    fn questions(&self, length: Duration) -> Result<()> {
        let quiet = self.turns(length);
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let askers: Vec<_> = (0..ASKERS)
            .map(|_| {
                let (web, stop, asked) = (self.web.clone(), Arc::clone(&stop), Arc::clone(&asked));
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if get(&web, WORST_QUERY).contains("\"status\":\"success\"") {
                            asked.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let busy = self.turns(length);
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            // A thread that panicked has asked nothing more; the count says so.
            let _ended = asker.join();
        }
        anyhow::ensure!(asked.load(Ordering::Relaxed) > 0, "no question was answered");
        println!("  turn of the rule engine while {ASKERS} clients ask a heavy question in a loop ({} answers):", asked.load(Ordering::Relaxed));
        for (title, mut turns) in [("nobody asks", quiet), ("asked in a loop", busy)] {
            turns.sort_by(f64::total_cmp);
            let at = |share: usize| turns.get(turns.len().saturating_sub(1) * share / 100).map_or(f64::NAN, |s| s * 1e3);
            println!("  {title:<18} p50 ms {:>7.2}   p99 ms {:>7.2}   ({} turns seen)", at(50), at(99), turns.len());
        }
        Ok(())
    }

    /// What the watchdog says of its last turn, looked at five times a second.
    fn turns(&self, length: Duration) -> Vec<f64> {
        let (start, mut seen) = (Instant::now(), Vec::new());
        while start.elapsed() < length {
            let page = get(&self.web, "/metrics");
            let line = page.lines().find(|line| line.starts_with("watchdog_turn_seconds{engine=\"rules\"}"));
            seen.extend(line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()));
            sleep(Duration::from_millis(200));
        }
        seen
    }
}

fn print(length: Duration, ours: (Look, Look), peer: (Look, Look)) {
    let per_minute = |(before, after): (Look, Look)| (after.cpu_s - before.cpu_s) * 60.0 / length.as_secs_f64();
    let (our_cpu, peer_cpu) = (per_minute(ours), per_minute(peer));
    let mut table = String::new();
    let _ = writeln!(table, "  {:<12} {:>9} {:>10} {:>14}", "", "RSS MB", "peak MB", "CPU s/minute");
    let _ = writeln!(table, "  {:<12} {:>9.1} {:>10.1} {:>14.2}", "watchdog", ours.1.rss_mb, ours.1.peak_mb, our_cpu);
    let _ = writeln!(table, "  {:<12} {:>9.1} {:>10.1} {:>14.2}", "prometheus", peer.1.rss_mb, peer.1.peak_mb, peer_cpu);
    let _ = write!(
        table,
        "  {:<12} {:>9.2} {:>10.2} {:>14.2}",
        "ratio",
        ours.1.rss_mb / peer.1.rss_mb,
        ours.1.peak_mb / peer.1.peak_mb,
        our_cpu / peer_cpu
    );
    println!("{table}");
}
