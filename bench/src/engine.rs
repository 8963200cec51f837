//! What one evaluation of a rule costs: the rule engine alone, in this process, over series as scrapes leave them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use clock::Now;
use promql::labels::Labels;
use promql::series::{Ceilings, Store};
use rules::{CheckOptions, EngineOptions, Observation, RuleEngine, RuleSource};

use crate::page;
use crate::process::thread_cpu_time;

/// Time that passes before the measurement: ranges are full.
const WARM_UP: Duration = Duration::from_secs(90);
/// Rules in a group.
const GROUP: usize = 50;
/// Measured evaluations of all rules.
const ROUNDS: u32 = 60;

/// Measures 30 rules over one page each second, and 1,000 rules over ten pages each 15 s.
pub(crate) fn run() -> Result<()> {
    println!("rules: evaluation alone, {ROUNDS} rounds after {} s of samples; series from pages of {} lines", WARM_UP.as_secs(), page::LINES);
    println!("  {:<34} {:>12} {:>12} {:>16} {:>16}", "", "median ms", "p99 ms", "CPU ms, median", "CPU µs a rule");
    for (title, pages, rules, every) in
        [("30 rules, 1 page, each 1 s", 1, 30, Duration::from_secs(1)), ("1,000 rules, 10 pages, each 15 s", 10, 1_000, Duration::from_secs(15))]
    {
        let (mut took, mut cpu): (Vec<Duration>, Vec<Duration>) = measure(pages, rules, every)?.into_iter().unzip();
        took.sort_unstable();
        cpu.sort_unstable();
        let at = |sorted: &[Duration], share: usize| sorted.get((sorted.len() - 1) * share / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
        let each = at(&cpu, 50) * 1e3 / rules as f64;
        println!("  {title:<34} {:>12.3} {:>12.3} {:>16.3} {each:>16.2}", at(&took, 50), at(&took, 99), at(&cpu, 50));
    }
    Ok(())
}

/// How long each round of all rules took, and how much of it on the processor.
fn measure(pages: usize, rules: usize, every: Duration) -> Result<Vec<(Duration, Duration)>> {
    let text = rule_file(rules, every);
    let checked = rules::check(&[RuleSource { file: "bench.yml", text: &text }], &CheckOptions::default());
    anyhow::ensure!(checked.is_usable(), "the bench's rules are refused");
    let mut now = Now::new(Duration::ZERO, 1_700_000_000_000);
    let ceilings = Ceilings { series: 100_000, memory_bytes: 1 << 30, ..Ceilings::default() };
    let mut engine = RuleEngine::new(checked.rules, Store::new(ceilings), EngineOptions::default(), now);
    let series = series(pages);
    let mut took = Vec::new();
    let warm_up = u32::try_from(WARM_UP.as_secs().div_ceil(every.as_secs()))?;
    for round in 0..warm_up + ROUNDS {
        let samples = (0_u32..).zip(&series).map(|(place, labels)| (labels.clone(), f64::from(round * 7 + place))).collect();
        engine.observe(now, Observation { at_ms: now.wall_ms, samples, ..Observation::default() });
        now = now.later(every);
        let (start, cpu, before) = (Instant::now(), thread_cpu_time(), engine.figures().evaluations);
        while engine.turn(now).more {}
        let spent = (start.elapsed(), thread_cpu_time().saturating_sub(cpu));
        let evaluated = engine.figures().evaluations - before;
        if round >= warm_up {
            anyhow::ensure!(evaluated == rules.div_ceil(GROUP) as u64, "{evaluated} groups of {} were evaluated", rules.div_ceil(GROUP));
            took.push(spent);
        }
    }
    Ok(took)
}

/// The series of as many pages, each of its own target.
fn series(pages: usize) -> Vec<Labels> {
    let mut all = Vec::new();
    for target in 0..pages {
        for line in 0..page::LINES {
            let (family, symbol) = (line / 50, line % 50);
            let suffix = if family % 2 == 0 { "" } else { "_total" };
            all.push(Labels::from_pairs([
                ("__name__", format!("bench_family_{family}{suffix}").as_str()),
                ("exchange", "binance"),
                ("instance", format!("127.0.0.1:{target}").as_str()),
                ("job", "bench"),
                ("market_type", "spot"),
                ("symbol", format!("SYM{symbol}-USDT").as_str()),
            ]));
        }
    }
    all
}

/// Alert rules of five common shapes, as many as asked, in groups of at most 50.
pub(crate) fn rule_file(rules: usize, every: Duration) -> String {
    let mut text = String::from("groups:\n");
    for at in 0..rules {
        if at % GROUP == 0 {
            let _ = writeln!(text, "  - name: bench{}\n    interval: {}s\n    rules:", at / GROUP, every.as_secs());
        }
        let _ = writeln!(text, "      - alert: Bench{at}\n        expr: '{}'\n        for: 1m", expression(at, every));
    }
    text
}

/// The ranges hold four scrapes and more.
fn expression(at: usize, every: Duration) -> String {
    let (range, symbol) = (60.max(every.as_secs() * 4), at / 5 % 50);
    let (gauge, counter) = (at % 20 / 2 * 2, at % 20 / 2 * 2 + 1);
    match at % 5 {
        0 => format!("bench_family_{gauge}{{symbol=\"SYM{symbol}-USDT\"}} > 1e9"),
        1 => format!("sum by (exchange) (rate(bench_family_{counter}_total[{range}s])) > 1e9"),
        2 => format!("delta(bench_family_{gauge}[{range}s]) > 1e9"),
        3 => format!("max_over_time(bench_family_{gauge}[{range}s]) > 1e9"),
        _ => format!("bench_family_{gauge} / on (instance, symbol) bench_family_{counter}_total > 1e9"),
    }
}
