//! RSS and CPU of the watchdog at 1 s scrapes of a 1,000-line page with 30 rules, beside a real Prometheus that does the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::page;
use crate::process::{Look, Program, free_address, fresh_dir, get, wait_until};

/// Rules evaluated each second.
const RULES: usize = 30;
/// Before the measurement starts.
const WARM_UP: Duration = Duration::from_secs(20);

/// Runs both on the same page and rules, prints both and the ratios.
pub(crate) fn run(bin_dir: &Path, tools: &Path, length: Duration) -> Result<()> {
    let dir = fresh_dir("watchdog")?;
    let target = page::serve()?;
    fs::write(dir.join("rules.yml"), rules())?;
    let (web, prometheus_web) = (free_address()?, free_address()?);
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs:\n  - job_name: bench\n    static_configs: [{{targets: ['{target}']}}]\n"
    );
    fs::write(dir.join("prometheus.yml"), &config)?;
    fs::write(dir.join("watchdog.yml"), format!("{config}data_dir: {}/data\nweb: {{listen: '{web}'}}\n", dir.display()))?;

    let mut ours = Command::new(bin_dir.join("watchdog"));
    ours.args(["run", "--config"]).arg(dir.join("watchdog.yml"));
    let ours = Program::start("watchdog", &dir, &mut ours)?;
    let mut peer = Command::new(tools.join("prometheus"));
    peer.arg(format!("--config.file={}/prometheus.yml", dir.display()));
    peer.arg(format!("--storage.tsdb.path={}/tsdb", dir.display())).arg(format!("--web.listen-address={prometheus_web}"));
    let peer = Program::start("prometheus", &dir, &mut peer).context("run `make tools` for the real Prometheus")?;
    wait_until("watchdog answers", Duration::from_secs(10), || !get(&web, "/-/healthy").is_empty())?;
    wait_until("Prometheus answers", Duration::from_secs(20), || !get(&prometheus_web, "/-/healthy").is_empty())?;

    sleep(WARM_UP);
    let before = (ours.look()?, peer.look()?);
    sleep(length);
    let after = (ours.look()?, peer.look()?);
    print(length, (before.0, after.0), (before.1, after.1));
    let _ = fs::remove_dir_all(dir);
    Ok(())
}

fn print(length: Duration, ours: (Look, Look), peer: (Look, Look)) {
    let per_minute = |(before, after): (Look, Look)| (after.cpu_s - before.cpu_s) * 60.0 / length.as_secs_f64();
    let (our_cpu, peer_cpu) = (per_minute(ours), per_minute(peer));
    println!(
        "watchdog: 1 s scrape of {} lines, {RULES} rules each second, {} s after {} s of warm-up",
        page::LINES,
        length.as_secs(),
        WARM_UP.as_secs()
    );
    println!("  {:<12} {:>9} {:>10} {:>14}", "", "RSS MB", "peak MB", "CPU s/minute");
    println!("  {:<12} {:>9.1} {:>10.1} {:>14.2}", "watchdog", ours.1.rss_mb, ours.1.peak_mb, our_cpu);
    println!("  {:<12} {:>9.1} {:>10.1} {:>14.2}", "prometheus", peer.1.rss_mb, peer.1.peak_mb, peer_cpu);
    println!("  {:<12} {:>9.2} {:>10.2} {:>14.2}", "ratio", ours.1.rss_mb / peer.1.rss_mb, ours.1.peak_mb / peer.1.peak_mb, our_cpu / peer_cpu);
}

/// Thirty alert rules of five common shapes.
fn rules() -> String {
    let mut text = String::from("groups:\n  - name: bench\n    rules:\n");
    for at in 0..RULES {
        let family = at % (page::LINES / 50);
        let expr = match at % 5 {
            0 => format!("bench_family_{}{{symbol=\"SYM1-USDT\"}} > 1e9", family - family % 2),
            1 => format!("sum by (exchange) (rate(bench_family_{}_total[1m])) > 1e9", family - family % 2 + 1),
            2 => format!("delta(bench_family_{}[1m]) > 1e9", family - family % 2),
            3 => format!("max_over_time(bench_family_{}[1m]) > 1e9", family - family % 2),
            _ => "up == 0".to_owned(),
        };
        let _ = writeln!(text, "      - alert: Bench{at}\n        expr: '{expr}'\n        for: 1m");
    }
    text
}
