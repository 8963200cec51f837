//! What must not disturb a `for`: reloads every second with changing and broken files, kills every few seconds, both with steps of the wall clock.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use clock::Now;
use promql::labels::Labels;
use promql::series::{Ceilings, Store};
use proptest::prelude::*;
use rules::{CheckOptions, EngineOptions, Observation, Record, RuleEngine, RuleSet, RuleSource, check};

/// The rule that is watched, among others that change with `version`; every third version is no valid file.
fn rules(version: u64) -> Option<RuleSet> {
    let broken = if version % 3 == 2 { "}" } else { "" };
    let text = format!(
        "groups:\n- name: g{}\n  rules:\n  - {{record: r{version}, expr: x + {version}}}\n  - {{alert: A, expr: up == 0, for: 5m, annotations: {{v: '{version}'}}}}\n{broken}",
        version % 2
    );
    let checked = check(&[RuleSource { file: "r.yml", text: &text }], &CheckOptions::default());
    checked.is_usable().then_some(checked.rules)
}

struct Run {
    engine: RuleEngine,
    journal: Vec<Record>,
    wall_step_ms: i64,
    fired_at: Option<u64>,
}

impl Run {
    fn new() -> Self {
        Self { engine: engine(Now::default()), journal: Vec::new(), wall_step_ms: 0, fired_at: None }
    }

    fn now(&self, second: u64) -> Now {
        let mut now = Now::new(Duration::ZERO, 1_700_000_000_000).later(Duration::from_secs(second));
        now.wall_ms += self.wall_step_ms;
        now
    }

    /// One second: a scrape every five, and a turn.
    fn second(&mut self, second: u64) {
        let now = self.now(second);
        if second.is_multiple_of(5) {
            let samples = vec![(Labels::from_pairs([("__name__", "up")]), 0.0), (Labels::from_pairs([("__name__", "x")]), 1.0)];
            self.engine.observe(now, Observation { at_ms: now.wall_ms, samples, ..Observation::default() });
        }
        let effects = self.engine.turn(now);
        self.journal.extend(effects.persist);
        if self.fired_at.is_none() && effects.alerts.iter().any(|alert| alert.labels.get("alertname") == Some("A")) {
            self.fired_at = Some(second);
        }
    }

    fn kill(&mut self, second: u64) {
        let now = self.now(second);
        self.engine = engine(now);
        self.engine.restore(now, self.journal.clone());
    }
}

fn engine(now: Now) -> RuleEngine {
    let options = EngineOptions { evaluation_interval_ms: 5_000, ..EngineOptions::default() };
    RuleEngine::new(rules(0).unwrap(), Store::new(Ceilings::default()), options, now)
}

#[test]
fn a_reload_every_second_for_ten_minutes_loses_no_for() {
    let mut run = Run::new();
    run.engine = engine(run.now(0));
    let mut refused = 0;
    for second in 1..600 {
        match rules(second) {
            Some(rules) => run.engine.reload(run.now(second), rules),
            None => refused += 1,
        }
        run.second(second);
    }
    assert_eq!(refused, 200);
    // First evaluation with the first scrape, then five minutes and at most one interval.
    assert!(run.fired_at.is_some_and(|second| (305..=311).contains(&second)), "{:?}", run.fired_at);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kills_reloads_and_steps_of_the_clock_neither_fire_nor_lose_a_for(
        kills in prop::collection::vec(10u64..300, 0..12),
        reloads in prop::collection::vec(1u64..300, 0..12),
        steps in prop::collection::vec((1u64..300, -3_700_000i64..3_700_000), 0..4),
    ) {
        let mut run = Run::new();
        run.engine = engine(run.now(0));
        for second in 1..420 {
            if let Some((_, by)) = steps.iter().find(|(at, _)| *at == second) {
                // Not together with a kill: a step while the process is down cannot be told from downtime.
                run.wall_step_ms += by;
            } else if kills.contains(&second) {
                run.kill(second);
            }
            if reloads.contains(&second)
                && let Some(rules) = rules(second)
            {
                run.engine.reload(run.now(second), rules);
            }
            run.second(second);
        }
        // Each kill may cost the wait for the first scrape, one interval.
        let latest = 311 + 6 * u64::try_from(kills.len()).unwrap();
        prop_assert!(run.fired_at.is_some_and(|second| (305..=latest).contains(&second)), "fired at {:?}", run.fired_at);
    }

    #[test]
    fn no_text_makes_the_check_panic(text in "(groups:|rules:|- |  |\\n|name: a|alert: A|record: r|expr: |up == 0|sum\\(|\\[5m\\]|for: |5m|labels: |\\{|\\}|\\[|\\]|'|\"|\\||>-|&a |\\*a|\\{\\{ \\$value \\}\\}|\\PC){0,30}") {
        let _ = check(&[RuleSource { file: "r.yml", text: &text }], &CheckOptions::default());
        let _ = rules::unittest::read("t.yml", &text, rules::UnknownKeys::Refuse);
    }
}
