//! RSS and CPU of the watchdog beside a real Prometheus that does the same, and the alert path while somebody asks heavy questions.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::engine::rule_file;
use crate::page;
use crate::process::{Look, Program, free_address, fresh_dir, get, wait_until};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// RSS and CPU beside Prometheus: a page of 1,000 lines and 30 rules each second
    #[value(name = "1s")]
    OneSecond,
    /// The same each 15 s
    #[value(name = "15s")]
    FifteenSeconds,
    /// 1,000 rules over 10 such pages each 15 s
    #[value(name = "1000-rules")]
    ManyRules,
    /// The alert path with and without heavy questions
    Questions,
}

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

/// A histogram of the watchdog's page: upper bounds and how many were counted up to each.
struct Buckets(Vec<(f64, f64)>);

/// The families that tell of the alert path, and what they tell.
const ALERT_PATH: [(&str, &str); 3] = [
    ("watchdog_turn_duration_seconds_bucket{engine=\"rules\"", "turn of the rule engine"),
    ("watchdog_rule_group_duration_seconds_bucket{", "evaluation of a rule group"),
    ("watchdog_rule_group_delay_seconds_bucket{", "a group's time until its alerts were handed on"),
];

/// Sums all 1,000 series at each of 300 seconds: `topk(1, max_over_time(sum by (symbol) ({__name__=~"bench_.*"})[5m:1s]))`.
const WORST_QUERY: &str = "/api/v1/query?query=topk(1,max_over_time(sum%20by%20(symbol)(%7B__name__%3D~%22bench_.*%22%7D)%5B5m:1s%5D))";
/// Questions at once.
const ASKERS: usize = 4;

/// Prints the tables that are asked for; all of them when none is.
pub(crate) fn run(bin_dir: &Path, tools: &Path, length: Duration, tables: &[Table]) -> Result<()> {
    for table in Table::value_variants().iter().filter(|table| tables.is_empty() || tables.contains(table)) {
        let load = table.load();
        let pair = Pair::start((bin_dir, tools), &load)?;
        let warm_up = Duration::from_secs(20.max(load.interval_s * 5));
        sleep(warm_up);
        // Whole intervals, so that no scrape is counted in part.
        let length = Duration::from_secs(length.as_secs().div_ceil(load.interval_s) * load.interval_s);
        println!(
            "watchdog: {} target(s) of {} lines, {} rules, both each {} s; {} s after {} s of warm-up",
            load.targets,
            page::LINES,
            load.rules,
            load.interval_s,
            length.as_secs(),
            warm_up.as_secs()
        );
        match table {
            Table::Questions => pair.questions(length)?,
            _ => pair.compare(length)?,
        }
        let dir = pair.dir.clone();
        drop(pair);
        let _ = fs::remove_dir_all(dir);
    }
    Ok(())
}

// === impl Table ===

impl Table {
    fn load(self) -> Load {
        match self {
            Self::OneSecond | Self::Questions => Load { targets: 1, rules: 30, interval_s: 1 },
            Self::FifteenSeconds => Load { targets: 1, rules: 30, interval_s: 15 },
            Self::ManyRules => Load { targets: 10, rules: 1_000, interval_s: 15 },
        }
    }
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

    /// RSS and CPU of both over `length`.
    fn compare(&self, length: Duration) -> Result<()> {
        let before = (self.ours.look()?, self.peer.look()?);
        sleep(length);
        let after = (self.ours.look()?, self.peer.look()?);
        print(length, (before.0, after.0), (before.1, after.1));
        Ok(())
    }

    /// The alert path while nobody asks, and while the worst question is asked in a loop; the peer, which has no part in it, is not asked.
    fn questions(&self, length: Duration) -> Result<()> {
        let quiet = self.alert_path(length);
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
        let busy = self.alert_path(length);
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            // A thread that panicked has asked nothing more; the count says so.
            let _ended = asker.join();
        }
        anyhow::ensure!(asked.load(Ordering::Relaxed) > 0, "no question was answered");
        println!("  {ASKERS} clients ask a heavy question in a loop: {} answers", asked.load(Ordering::Relaxed));
        for (at, (family, title)) in ALERT_PATH.iter().enumerate() {
            println!("  {title}");
            for (when, seen) in [("nobody asks", &quiet), ("asked in a loop", &busy)] {
                let Some(seen) = seen.get(at) else { continue };
                anyhow::ensure!(seen.count() > 0.0, "{family} counted nothing");
                let ms = |share| seen.quantile(share) * 1e3;
                println!("    {when:<16} p50 ms {:>8.2}   p99 ms {:>8.2}   ({} counted)", ms(0.5), ms(0.99), seen.count());
            }
        }
        Ok(())
    }

    /// What the watchdog's own histograms count within `length`.
    fn alert_path(&self, length: Duration) -> Vec<Buckets> {
        let read = || ALERT_PATH.map(|(family, _)| Buckets::read(&get(&self.web, "/metrics"), family));
        let before = read();
        sleep(length);
        read().into_iter().zip(&before).map(|(after, before)| after.since(before)).collect()
    }
}

// === impl Buckets ===

impl Buckets {
    /// The buckets whose lines begin with `family`, an opening brace or labels included.
    fn read(page: &str, family: &str) -> Self {
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix(family)?.split_once("le=\"")?.1.split_once("\"} ")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, count.parse().ok()?))
        };
        Self(page.lines().filter_map(bucket).collect())
    }

    fn since(self, before: &Self) -> Self {
        let earlier = |bound: f64| before.0.iter().find(|(known, _)| known.total_cmp(&bound).is_eq()).map_or(0.0, |(_, count)| *count);
        Self(self.0.into_iter().map(|(bound, count)| (bound, count - earlier(bound))).collect())
    }

    fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// Interpolated inside the bucket, as `histogram_quantile` does.
    fn quantile(&self, share: f64) -> f64 {
        let rank = self.count() * share;
        let (mut from, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= rank {
                return if bound.is_finite() { from + (bound - from) * (rank - below) / (count - below) } else { from };
            }
            (from, below) = (*bound, *count);
        }
        f64::NAN
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
