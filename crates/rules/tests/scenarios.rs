//! Scenarios: rules, what is observed second by second, and what must come of it. One file each under `scenarios/`; a new case is a new file.
//!
//! A file has a part `--- rules` (a second one, `--- rules NAME`, can be loaded later) and a part `--- script`. A line of the script is a time and a step:
//! `set SERIES VALUE` (from now on in every scrape, every 5 s), `gone SERIES`, `urgent SERIES VALUE` (at once), `pause`/`resume` of scrapes,
//! `wall +1h` (the wall clock steps), `late 60s` (nobody calls the engine for so long), `reload NAME`, `restart` (the process dies and comes back from its journal),
//! `pending|firing|none ALERT`, `sent firing|resolved ALERT` and `silent` (since the last such line), `query EXPR = VALUE|nothing`,
//! `health RULE ok|TEXT OF THE ERROR`, `missed N`, `annotation NAME TEXT` (of the alert sent last).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads its cases from files"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clock::Now;
use promql::eval::Value;
use promql::labels::Labels;
use promql::parse::{duration_ms, parse_series};
use promql::series::{Ceilings, Store};
use rules::{Alert, AlertState, CheckOptions, EngineOptions, Observation, Record, RuleEngine, RuleSet, RuleSource, Urgency, check};

const SCRAPE_EVERY_S: u64 = 5;
const WALL_START_MS: i64 = 1_700_000_000_000;

struct World {
    engine: RuleEngine,
    rules: BTreeMap<String, String>,
    loaded: String,
    journal: Vec<Record>,
    sent: Vec<Alert>,
    last_sent: Option<Alert>,
    scraped: BTreeMap<Labels, f64>,
    second: u64,
    wall_step_ms: i64,
    scraping: bool,
}

fn load(text: &str) -> RuleSet {
    let checked = check(&[RuleSource { file: "r.yml", text }], &CheckOptions::default());
    assert!(checked.is_usable(), "{:#?}", checked.diagnostics);
    checked.rules
}

fn options() -> EngineOptions {
    EngineOptions {
        evaluation_interval_ms: 5_000,
        external_labels: Labels::from_pairs([("host", "md-1")]),
        external_url: "http://w:9099".to_owned(),
        ..EngineOptions::default()
    }
}

impl World {
    fn new(rules: BTreeMap<String, String>) -> Self {
        let now = Now::new(Duration::from_secs(1_000), WALL_START_MS);
        let engine = RuleEngine::new(load(&rules[""]), Store::new(Ceilings::default()), options(), now);
        Self {
            engine,
            rules,
            loaded: String::new(),
            journal: Vec::new(),
            sent: Vec::new(),
            last_sent: None,
            scraped: BTreeMap::new(),
            second: 0,
            wall_step_ms: 0,
            scraping: true,
        }
    }

    fn now(&self) -> Now {
        let mut now = Now::new(Duration::from_secs(1_000), WALL_START_MS).later(Duration::from_secs(self.second));
        now.wall_ms += self.wall_step_ms;
        now
    }

    fn turn(&mut self) {
        loop {
            let effects = self.engine.turn(self.now());
            // What is journalled must survive being written down.
            let lines = effects.persist.iter().map(|record| serde_json::to_string(record).unwrap());
            self.journal.extend(lines.map(|line| serde_json::from_str::<Record>(&line).unwrap()));
            self.sent.extend(effects.alerts);
            if !effects.more {
                return;
            }
        }
    }

    fn run_until(&mut self, second: u64) {
        while self.second < second {
            self.second += 1;
            if self.scraping && self.second.is_multiple_of(SCRAPE_EVERY_S) {
                self.scrape();
            }
            self.turn();
        }
    }

    fn scrape(&mut self) {
        let now = self.now();
        let samples = self.scraped.iter().map(|(labels, v)| (labels.clone(), *v)).collect();
        self.engine.observe(now, Observation { at_ms: now.wall_ms, samples, ..Observation::default() });
    }

    fn state(&mut self, name: &str) -> String {
        let now = self.now();
        let views = self.engine.view(now);
        let alerts = views.iter().flat_map(|group| &group.rules).filter(|rule| rule.name == name).flat_map(|rule| &rule.alerts);
        let states: Vec<AlertState> = alerts.map(|alert| alert.state).filter(|state| *state != AlertState::Inactive).collect();
        states.iter().max().map_or("none", |state| state.as_str()).to_owned()
    }

    fn step(&mut self, words: &str) {
        let now = self.now();
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        match verb {
            "set" => {
                let (labels, v) = series_and_value(rest);
                self.scraped.insert(labels, v);
            }
            "gone" => {
                let labels = parse_series(rest).unwrap();
                self.scraped.remove(&labels);
                self.engine.observe(now, Observation { at_ms: now.wall_ms, stale: vec![labels], ..Observation::default() });
            }
            "urgent" => {
                let (labels, v) = series_and_value(rest);
                self.scraped.insert(labels.clone(), v);
                self.engine
                    .observe(now, Observation { at_ms: now.wall_ms, samples: vec![(labels, v)], urgency: Urgency::Urgent, ..Observation::default() });
                self.turn();
            }
            "pause" => self.scraping = false,
            "resume" => self.scraping = true,
            "wall" => self.wall_step_ms += signed(rest),
            "late" => self.second += u64::try_from(duration_ms(rest).unwrap() / 1000).unwrap(),
            "reload" => {
                let rules = load(&self.rules[rest]);
                rest.clone_into(&mut self.loaded);
                self.engine.reload(now, rules);
            }
            "restart" => {
                let rules = load(&self.rules[&self.loaded]);
                self.engine = RuleEngine::new(rules, Store::new(Ceilings::default()), options(), now);
                self.engine.restore(now, self.journal.clone());
            }
            "pending" | "firing" | "none" => assert_eq!(self.state(rest), verb, "state of {rest}"),
            "silent" => assert!(self.sent.is_empty(), "sent: {:#?}", self.sent),
            "sent" => self.expect_sent(rest),
            "query" => self.expect_value(rest),
            "health" => self.expect_health(rest),
            "missed" => assert_eq!(self.engine.figures().missed.to_string(), rest),
            "annotation" => {
                let (name, want) = rest.split_once(' ').unwrap();
                let alert = self.last_sent.as_ref().expect("an alert was sent");
                assert_eq!(alert.annotations.iter().find(|(have, _)| have == name).map(|(_, text)| text.as_str()), Some(want));
            }
            other => panic!("no step {other:?}"),
        }
    }

    fn expect_sent(&mut self, rest: &str) {
        let (state, name) = rest.split_once(' ').unwrap();
        let sent = std::mem::take(&mut self.sent);
        let found = sent.iter().find(|alert| alert.labels.get("alertname") == Some(name) && alert.resolved == (state == "resolved"));
        let alert = found.unwrap_or_else(|| panic!("not sent: {rest}; sent: {sent:#?}"));
        assert_eq!(alert.labels.get("host"), Some("md-1"));
        assert!(alert.ends_at_ms >= alert.starts_at_ms);
        self.last_sent = Some(alert.clone());
    }

    fn expect_value(&self, rest: &str) {
        let (expr, want) = rest.rsplit_once(" = ").unwrap();
        let answer = self.engine.query(self.now(), expr, None).unwrap();
        let got = match answer.value {
            Value::Vector(elements) if elements.is_empty() => "nothing".to_owned(),
            Value::Vector(elements) => elements.iter().map(|element| element.sample.v.to_string()).collect::<Vec<_>>().join(" "),
            Value::Scalar(one) => one.v.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(got, want, "{expr}");
    }

    fn expect_health(&mut self, rest: &str) {
        let (name, want) = rest.split_once(' ').unwrap();
        let now = self.now();
        let views = self.engine.view(now);
        let rule = views.iter().flat_map(|group| &group.rules).find(|rule| rule.name == name).unwrap();
        match want {
            "ok" => assert_eq!((rule.health.as_str(), rule.last_error.as_deref()), ("ok", None)),
            text => assert!(rule.last_error.as_deref().is_some_and(|error| error.contains(text)), "{:?}", rule.last_error),
        }
    }
}

fn series_and_value(text: &str) -> (Labels, f64) {
    let (series, value) = text.rsplit_once(' ').unwrap();
    (parse_series(series).unwrap(), value.parse().unwrap())
}

fn signed(text: &str) -> i64 {
    let ms = duration_ms(text.trim_start_matches(['+', '-'])).unwrap();
    if text.starts_with('-') { -ms } else { ms }
}

fn run(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut rules = BTreeMap::new();
    let mut script = "";
    for part in text.split("--- ").skip(1) {
        let (head, body) = part.split_once('\n').unwrap();
        match head.split_once(' ').unwrap_or((head, "")) {
            ("rules", name) => _ = rules.insert(name.to_owned(), body.to_owned()),
            ("script", _) => script = body,
            other => panic!("no part {other:?}"),
        }
    }
    let mut world = World::new(rules);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        println!("{}: {line}", path.file_name().unwrap_or_default().display());
        let (time, step) = line.split_once(' ').unwrap();
        world.run_until(u64::try_from(duration_ms(time).unwrap() / 1000).unwrap());
        world.step(step.trim());
    }
}

#[test]
fn every_scenario_ends_as_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "only {} scenarios", paths.len());
    for path in paths {
        run(&path);
    }
}
