//! The rules of the original systems, verbatim: they load, the check warns of the trap in each, and they behave as Prometheus would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads its cases from files"
)]

use std::time::Duration;

use clock::Now;
use diagnostics::Severity;
use promql::labels::Labels;
use promql::series::{Ceilings, Store};
use rules::{CheckOptions, EngineOptions, Observation, RuleEngine, RuleSource, check};

const RULES: &str = include_str!("original/rules.yml");

#[test]
fn each_loads_and_the_check_names_its_trap() {
    let checked = check(&[RuleSource { file: "rules.yml", text: RULES }], &CheckOptions::default());
    assert!(checked.is_usable());
    assert_eq!((checked.rules.rules(), checked.counts.as_slice()), (6, &[6][..]));
    let found: Vec<_> = checked.diagnostics.iter().map(|one| (one.place.map_or(0, |place| place.line), one.code)).collect();
    assert_eq!(found, [(7, "W114"), (12, "W114"), (17, "W119"), (24, "W114"), (29, "W115"), (34, "W113"), (34, "W114")]);
    assert!(checked.diagnostics.iter().all(|one| one.severity == Severity::Warning && one.hint.is_some()));
    let quantile = checked.diagnostics.iter().find(|one| one.code == "W115").unwrap();
    assert_eq!(quantile.place.map(|place| place.column), Some(15));
}

/// Values of the sick collector: over every threshold from the first scrape on; descriptors drop once, which `increase` takes for a reset.
fn samples(second: u64) -> Vec<(Labels, f64)> {
    let collector = |name: &str| Labels::from_pairs([("__name__", name), ("job", "collector"), ("instance", "c:1")]);
    let fds = if second < 120 { 400.0 } else { 100.0 };
    vec![
        (collector("process_resident_memory_bytes"), 3.1e9),
        (collector("collector_tcp_connections"), 97.0),
        (collector("up"), 0.0),
        (collector("process_memory_rss_bytes"), 70e6),
        (collector("gc_pause_duration_seconds"), 0.3),
        (collector("process_open_fds"), fds),
    ]
}

/// The seconds at which each alert was first sent, up to ten minutes.
fn first_sent() -> Vec<(String, u64)> {
    let start = Now::new(Duration::from_secs(1), 1_700_000_000_000);
    let rules = check(&[RuleSource { file: "rules.yml", text: RULES }], &CheckOptions::default()).rules;
    let options = EngineOptions { evaluation_interval_ms: 30_000, ..EngineOptions::default() };
    let mut engine = RuleEngine::new(rules, Store::new(Ceilings::default()), options, start);
    let mut sent: Vec<(String, u64)> = Vec::new();
    for second in 0..600 {
        let now = start.later(Duration::from_secs(second));
        if second % 15 == 0 {
            engine.observe(now, Observation { at_ms: now.wall_ms, samples: samples(second), ..Observation::default() });
        }
        for alert in engine.turn(now).alerts {
            let name = alert.labels.get("alertname").unwrap_or_default().to_owned();
            if !sent.iter().any(|(have, _)| *have == name) {
                sent.push((name, second));
            }
        }
    }
    sent
}

#[test]
fn they_behave_as_prometheus_would() {
    let sent = first_sent();
    let at = |name: &str| sent.iter().find(|(have, _)| have == name).map(|(_, second)| *second);
    assert_eq!(at("CollectorDown"), Some(61));
    for name in ["CollectorHighMemory", "CollectorHighConnections", "MemoryUsageHigh"] {
        assert_eq!(at(name), Some(301), "{name}");
    }
    // A drop from 400 to 100 is taken for a reset, an increase by 100: the trap that W113 warns of.
    assert_eq!(at("FDLeakDetected"), Some(301));
    // Nothing has the label `le`: the rule loads and never fires, as W115 says.
    assert_eq!(at("GCPauseTimeHigh"), None);
}
