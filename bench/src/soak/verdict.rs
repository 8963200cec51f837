//! The limits of the original specification, and what came of them.

use anyhow::{Result, bail};

use super::look::Look;
use super::{Course, Ending};

/// MB of resident memory at the peak.
const PEAK_MB: f64 = 40.0;
/// Descriptors.
const DESCRIPTORS: usize = 500;
/// Growth of resident memory after the warm-up, of the base.
const GROWTH: f64 = 0.05;
/// And in an hour, MB; judged when at least half an hour was measured.
const GROWTH_MB_PER_HOUR: f64 = 2.0;
const HOURLY_FROM_CYCLES: u32 = 15;
/// Series that may come beside those of instruments: each named reason has one from its first time on.
const SERIES_GROWTH: f64 = 0.05;
/// Entries by which a structure may differ between two calm moments.
const STRUCTURE_SLACK: f64 = 64.0;

/// One limit.
struct Check {
    what: String,
    measured: String,
    limit: String,
    holds: bool,
}

/// Prints every limit with what was measured; an error when one does not hold.
pub(crate) fn judge(course: &Course, (warm_up, cycles): (u32, u32), ending: &Ending) -> Result<()> {
    let (base, end) = (course.of(warm_up - 1), course.of(cycles - 1));
    let Some(last) = end.last() else { bail!("no calm look in the last cycle") };
    let mut checks = limits(course);
    checks.extend(growth((&base, &end), cycles - warm_up));
    checks.extend(return_to_base(&base, last));
    let (before, after) = (course.of_symbols, last.tally.of_symbols);
    let all_back =
        Check { what: "series of symbols, all back".into(), measured: after.to_string(), limit: format!("from {before}"), holds: after >= before };
    checks.push(all_back);
    checks.extend(state(ending));
    println!("\n{:<44} {:>22} {:>22}", "limit", "measured", "allowed");
    for Check { what, measured, limit, holds } in &checks {
        println!("{what:<44} {measured:>22} {limit:>22}  {}", if *holds { "ok" } else { "FAIL" });
    }
    println!("records refused or dropped by a sink: {:.0}", ending.last.lost);
    let broken: Vec<_> = checks.iter().filter(|check| !check.holds).map(|check| check.what.as_str()).collect();
    if !broken.is_empty() {
        bail!("the soak found: {}", broken.join(", "));
    }
    println!("the soak found nothing");
    Ok(())
}

fn limits(course: &Course) -> Vec<Check> {
    let Course { peak_mb: peak, descriptors, .. } = course;
    vec![
        Check {
            what: "resident memory at the peak, MB".into(),
            measured: format!("{peak:.1}"),
            limit: format!("{PEAK_MB:.0}"),
            holds: *peak <= PEAK_MB,
        },
        Check {
            what: "descriptors at the most".into(),
            measured: descriptors.to_string(),
            limit: format!("under {DESCRIPTORS}"),
            holds: *descriptors < DESCRIPTORS,
        },
    ]
}

fn growth((base, end): (&[&Look], &[&Look]), measured_cycles: u32) -> Vec<Check> {
    let (from, to) = (middle(base), middle(end));
    let part = if from > 0.0 { to / from - 1.0 } else { 0.0 };
    let hours = f64::from(measured_cycles) * super::CYCLE.as_secs_f64() / 3600.0;
    let hourly = if hours > 0.0 { (to - from) / hours } else { 0.0 };
    let mut checks = vec![Check {
        what: format!("growth of resident memory from {from:.1} MB"),
        measured: format!("{:+.1} %", part * 100.0),
        limit: format!("{:.0} %", GROWTH * 100.0),
        holds: part <= GROWTH,
    }];
    if measured_cycles >= HOURLY_FROM_CYCLES {
        checks.push(Check {
            what: "growth in an hour, MB".into(),
            measured: format!("{hourly:+.2}"),
            limit: format!("{GROWTH_MB_PER_HOUR:.0}"),
            holds: hourly <= GROWTH_MB_PER_HOUR,
        });
    }
    checks
}

/// The median of resident memory.
fn middle(rows: &[&Look]) -> f64 {
    let mut values: Vec<f64> = rows.iter().map(|look| look.process.rss_mb).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// One figure of a look.
type Figure<'a> = &'a dyn Fn(&Look) -> f64;

/// What must be what it was; the base is the most that a calm look of the warm-up saw.
fn return_to_base(base: &[&Look], last: &Look) -> Vec<Check> {
    let most = |figure: Figure<'_>| base.iter().map(|look| figure(look)).fold(0.0, f64::max);
    let figures: [(&str, Figure<'_>, f64); 6] = [
        ("descriptors in the calm", &|look| look.descriptors as f64, 0.0),
        ("sockets in the calm", &|look| look.sockets as f64, 0.0),
        ("threads in the calm", &|look| look.threads as f64, 0.0),
        ("tasks in the calm", &|look| look.tally.tasks, 0.0),
        ("series of symbols", &|look| look.tally.of_symbols as f64, SERIES_GROWTH),
        ("series in all", &|look| look.tally.series as f64, SERIES_GROWTH),
    ];
    let mut checks: Vec<Check> = figures
        .into_iter()
        .map(|(what, figure, more)| {
            let (from, to) = (most(figure), figure(last));
            let allowed = (from * (1.0 + more)).floor();
            Check { what: what.to_owned(), measured: format!("{to:.0}"), limit: format!("{allowed:.0}"), holds: to <= allowed }
        })
        .collect();
    let mut at_rest = 0;
    for (structure, length) in &last.tally.structures {
        let from = most(&|look| look.tally.structures.get(structure).copied().unwrap_or(0.0));
        let allowed = from * 1.25 + STRUCTURE_SLACK;
        if *length <= STRUCTURE_SLACK {
            at_rest += 1;
            continue;
        }
        let name = structure.split('"').nth(1).unwrap_or(structure);
        let measured = format!("{length:.0}");
        checks.push(Check { what: format!("entries of {name}"), measured, limit: format!("{allowed:.0}"), holds: *length <= allowed });
    }
    let all = last.tally.structures.len().to_string();
    checks.push(Check {
        what: format!("structures of at most {STRUCTURE_SLACK:.0} entries"),
        measured: at_rest.to_string(),
        limit: format!("of {all}"),
        holds: true,
    });
    checks
}

fn state(ending: &Ending) -> Vec<Check> {
    let Ending { exit, last, health, books } = ending;
    vec![
        Check {
            what: "books in step at the end".into(),
            measured: last.books_in_step.to_string(),
            limit: format!("{books}, all"),
            holds: last.books_in_step == *books,
        },
        Check { what: "loops that panicked".into(), measured: format!("{:.0}", last.panics), limit: "0".into(), holds: last.panics < 1.0 },
        Check { what: "health at the end".into(), measured: health.clone(), limit: "healthy".into(), holds: health == "healthy" },
        Check {
            what: "exit code after SIGTERM".into(),
            measured: exit.map_or_else(|| "killed".to_owned(), |code| code.to_string()),
            limit: "0".into(),
            holds: *exit == Some(0),
        },
    ]
}
