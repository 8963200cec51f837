//! What a page is shown of groups: the same view while nothing changed, a new one when something did.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use promql::labels::Labels;
use promql::series::{Ceilings, Store};
use rules::{AlertState, CheckOptions, EngineOptions, GroupView, Observation, Record, RuleEngine, RuleSet, RuleSource, RuleState, check};

const START: Now = Now::new(Duration::from_secs(1_000), 1_700_000_000_000);

const FAST: &str = "  - {name: fast, interval: 5s, rules: [{alert: Down, expr: 'up{job=\"a\"} == 0'}]}\n";
const SLOW: &str = "  - {name: slow, interval: 1h, rules: [{alert: Hot, expr: temp > 5}, {alert: Gone, expr: absent(temp)}]}\n";

/// An engine that is turned once a second, and the rules' views.
struct World {
    engine: RuleEngine,
    now: Now,
    journal: Vec<Record>,
}

fn load(groups: &[&str]) -> RuleSet {
    let text = format!("groups:\n{}", groups.concat());
    let checked = check(&[RuleSource { file: "r.yml", text: &text }], &CheckOptions::default());
    assert!(checked.is_usable(), "{:#?}", checked.diagnostics);
    checked.rules
}

fn engine(now: Now) -> RuleEngine {
    RuleEngine::new(load(&[FAST, SLOW]), Store::new(Ceilings::default()), EngineOptions::default(), now)
}

// === impl World ===

impl World {
    fn new() -> Self {
        Self { engine: engine(START), now: START, journal: Vec::new() }
    }

    fn observe(&mut self, name: &str, v: f64) {
        let labels = Labels::from_pairs([("__name__", name), ("job", "a")]);
        self.engine.observe(self.now, Observation { at_ms: self.now.wall_ms, samples: vec![(labels, v)], ..Observation::default() });
    }

    /// So many seconds later, turned in each of them; what a page shows then.
    fn later(&mut self, seconds: u64) -> Vec<Arc<GroupView>> {
        for _ in 0..seconds {
            self.now = self.now.later(Duration::from_secs(1));
            while {
                let effects = self.engine.turn(self.now);
                self.journal.extend(effects.persist);
                effects.more
            } {}
        }
        self.views()
    }

    fn views(&mut self) -> Vec<Arc<GroupView>> {
        self.engine.view(self.now)
    }
}

/// Which of two groups are the same view in both lists.
fn reused(before: &[Arc<GroupView>], after: &[Arc<GroupView>]) -> Vec<bool> {
    before.iter().zip(after).map(|(before, after)| Arc::ptr_eq(before, after)).collect()
}

fn missing(view: &GroupView) -> Vec<&str> {
    view.rules.iter().flat_map(|rule| &rule.missing).map(|missing| missing.selector.as_str()).collect()
}

#[test]
fn a_view_is_used_again_until_its_group_is_evaluated() {
    let mut world = World::new();
    world.observe("up", 1.0);
    let before = world.later(10);
    let same = world.views();
    assert_eq!(reused(&before, &same), [true, true]);
    let after = world.later(5);
    assert_eq!(reused(&before, &after), [false, true], "only the group of 5 s was evaluated");
    assert_eq!(after[0].last_evaluation_ms, before[0].last_evaluation_ms.map(|at| at + 5_000));
    world.observe("up", 0.0);
    let firing = world.later(5);
    assert_eq!(firing[0].rules[0].state, RuleState::Known(AlertState::Firing));
    assert_eq!(firing[0].rules[0].alerts.len(), 1);
}

#[test]
fn a_selector_that_matches_nothing_any_more_turns_up() {
    let mut world = World::new();
    for name in ["up", "temp"] {
        world.observe(name, 1.0);
    }
    let before = world.later(20);
    assert!(before.iter().all(|view| missing(view).is_empty()), "{before:#?}");
    // Five minutes after the last sample the fast group finds none, and the slow one too, although it is evaluated once an hour.
    let after = world.later(320);
    assert_eq!((missing(&after[0]), missing(&after[1])), (vec!["up{job=\"a\"}"], vec!["temp"]), "what is asked to be absent is not missing");
    let there = &after[0].rules[0].missing[0];
    assert!(!there.name_exists);
    world.observe("temp", 1.0);
    assert!(missing(&world.later(15)[1]).is_empty());
}

#[test]
fn a_reload_a_step_of_the_clock_and_a_restart_draw_anew() {
    let mut world = World::new();
    world.observe("up", 0.0);
    let before = world.later(10);
    let changed = SLOW.replace("temp > 5", "temp > 6");
    world.engine.reload(world.now, load(&[FAST, &changed]));
    let after = world.views();
    assert_eq!(after[1].rules[0].query, "temp > 6");
    assert_eq!(after[0].rules[0].alerts.len(), before[0].rules[0].alerts.len(), "an unchanged group keeps its alerts");

    world.now.wall_ms += 3_600_000;
    let stepped = world.later(1);
    assert!(stepped[0].last_evaluation_ms.unwrap() - after[0].last_evaluation_ms.unwrap() >= 3_600_000);

    world.engine = engine(world.now);
    assert!(world.views()[0].rules[0].alerts.is_empty());
    world.engine.restore(world.now, std::mem::take(&mut world.journal));
    assert_eq!(world.views()[0].rules[0].alerts.len(), 1);
}
