//! A test on the engine: the same groups, states and texts as live, driven over the grid of the test.

use std::time::Duration;

use clock::Now;
use diagnostics::Text;
use promql::eval::Value;
use promql::labels::Labels;
use promql::parse::print_duration;
use promql::series::{Ceilings, Store};
use promql::{Sample, SeriesData};

use super::{AlertCase, ExprCase, Failure, Outcome, Test, TestFile};
use crate::effects::Event;
use crate::engine::{EngineOptions, RuleEngine};
use crate::model::{Rule, RuleSet};

/// Series and memory of one test, at most.
const CEILINGS: Ceilings = Ceilings { series: 1_000_000, memory_bytes: 1 << 30, retention_ms: KEEP_MS, select_samples: 50_000_000 };

/// Longer than any test.
const KEEP_MS: i64 = 1 << 52;

/// Runs the tests whose names `wanted` accepts on these rules; in the order of the file.
pub fn run(file: &TestFile, rules: &RuleSet, wanted: impl Fn(&str) -> bool) -> Vec<Outcome> {
    let mut rules = rules.clone();
    // Listed groups in the order of the list, behind those that are not listed.
    rules.groups.sort_by_key(|group| file.group_eval_order.iter().position(|name| *name == group.name).unwrap_or(0));
    let numbered =
        file.tests.iter().enumerate().map(|(at, test)| (if test.name.is_empty() { format!("#{}", at + 1) } else { test.name.clone() }, test));
    let chosen = numbered.filter(|(name, _)| wanted(name));
    chosen.map(|(name, test)| Outcome { name, place: test.place, failures: Bench::new(file, test, &rules).run() }).collect()
}

/// One test at work.
struct Bench<'a> {
    file: &'a TestFile,
    test: &'a Test,
    rules: &'a RuleSet,
    engine: RuleEngine,
    failures: Vec<Failure>,
    /// How many samples of each input series were appended.
    fed: Vec<usize>,
}

// === impl Bench ===

impl<'a> Bench<'a> {
    fn new(file: &'a TestFile, test: &'a Test, rules: &'a RuleSet) -> Self {
        let options = EngineOptions {
            evaluation_interval_ms: file.evaluation_interval_ms,
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            keep_ms: KEEP_MS,
            ..EngineOptions::default()
        };
        let start = Now::new(Duration::ZERO, test.start_ms);
        let engine = RuleEngine::new(rules.clone(), Store::new(CEILINGS), options, start);
        Self { file, test, rules, engine, failures: Vec::new(), fed: vec![0; test.input.len()] }
    }

    fn run(mut self) -> Vec<Failure> {
        let last = self.test.alerts.iter().map(|case| case.at_ms).chain(self.test.exprs.iter().map(|case| case.at_ms)).max().unwrap_or(0);
        let step = self.file.evaluation_interval_ms.max(1);
        let mut tick = 0;
        while tick <= last {
            self.feed(tick);
            for group in 0..self.rules.groups.len() {
                self.engine.run_group(group, self.test.start_ms + tick);
            }
            self.collect_errors(tick);
            for case in self.test.alerts.iter().filter(|case| (tick..tick + step).contains(&case.at_ms)) {
                self.check_alerts(case);
            }
            tick += step;
        }
        self.feed(last);
        for case in &self.test.exprs {
            self.check_expr(case);
        }
        self.failures
    }

    /// Appends the input up to `tick`.
    fn feed(&mut self, tick: i64) {
        for (input, fed) in self.test.input.iter().zip(&mut self.fed) {
            for (at, value) in input.values.iter().enumerate().skip(*fed) {
                let after = self.test.interval_ms.saturating_mul(i64::try_from(at).unwrap_or(i64::MAX));
                if after > tick {
                    break;
                }
                *fed = at + 1;
                if let Some(v) = value
                    && let Err(error) = self.engine.store_mut().append_to(&input.labels, Sample { t_ms: self.test.start_ms + after, v: *v })
                {
                    let message = Text::new(format!("input {}: {error}", input.labels), format!("输入序列 {}：{error}", input.labels));
                    self.failures.push(Failure::plain(self.test.place, message));
                }
            }
        }
    }

    /// A rule that fails to evaluate fails the test.
    fn collect_errors(&mut self, tick: i64) {
        for event in self.engine.drain_events() {
            if let Event::RuleFailed { group, rule, error } = event {
                let at = print_duration(tick);
                let message = Text::new(
                    format!("rule `{rule}` of group `{group}` failed at {at}: {error}"),
                    format!("规则组 `{group}` 的规则 `{rule}` 在 {at} 计算失败：{error}"),
                );
                self.failures.push(Failure::plain(self.test.place, message));
            }
        }
    }

    fn check_alerts(&mut self, case: &AlertCase) {
        let firing = self.engine.firing(&case.alertname);
        let mut got: Vec<String> = firing.iter().map(|alert| alert_line(alert.labels.iter(), borrowed(&alert.annotations))).collect();
        let mut expected: Vec<String> = case.expected.iter().map(|alert| alert_line(borrowed(&alert.labels), borrowed(&alert.annotations))).collect();
        got.sort();
        expected.sort();
        if got == expected {
            return;
        }
        let (name, at) = (&case.alertname, print_duration(case.at_ms));
        let known = self.rules.groups.iter().flat_map(|group| &group.rules).any(|rule| matches!(&**rule, Rule::Alert(_)) && rule.name() == name);
        let (en, zh) = if known { ("", "") } else { (" (no rule has this name)", "（没有这个名称的规则）") };
        let message = Text::new(format!("alerts `{name}` at {at} are not as expected{en}"), format!("{at} 时的告警 `{name}` 与预期不符{zh}"));
        self.failures.push(Failure { place: case.place, message, expected, got });
    }

    fn check_expr(&mut self, case: &ExprCase) {
        let now = Now::new(Duration::ZERO, self.test.start_ms);
        let at = print_duration(case.at_ms);
        let got = match self.engine.query(now, &case.query, Some(self.test.start_ms + case.at_ms)).map(|answer| samples(answer.value)) {
            Ok(got) => got,
            Err(error) => {
                let message = Text::new(format!("`{}` at {at} failed: {error}", case.query), format!("`{}` 在 {at} 计算失败：{error}", case.query));
                self.failures.push(Failure::plain(case.place, message));
                return;
            }
        };
        let mut got = got;
        let mut expected = case.expected.clone();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let equal = got.len() == expected.len() && got.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && same(a.1, b.1, self.file.fuzzy_compare));
        if !equal {
            let message = Text::new(format!("`{}` at {at} is not as expected", case.query), format!("`{}` 在 {at} 的结果与预期不符", case.query));
            let lines = |samples: &[(Labels, f64)]| samples.iter().map(|(labels, value)| format!("{labels} {}", shown(*value))).collect();
            self.failures.push(Failure { place: case.place, message, expected: lines(&expected), got: lines(&got) });
        }
    }
}

/// An alert on one line, for comparison and for people.
fn alert_line<'p>(labels: impl Iterator<Item = (&'p str, &'p str)>, annotations: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    format!("labels {{{}}} annotations {{{}}}", list(labels), list(annotations))
}

fn list<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    pairs.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(", ")
}

fn borrowed<'p>(pairs: impl IntoIterator<Item = &'p (String, String)>) -> impl Iterator<Item = (&'p str, &'p str)> {
    pairs.into_iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn samples(value: Value) -> Vec<(Labels, f64)> {
    match value {
        Value::Scalar(one) => vec![(Labels::default(), one.v)],
        Value::Vector(elements) => elements.into_iter().map(|element| (element.labels, element.sample.v)).collect(),
        Value::Matrix(series) => series.into_iter().filter_map(last).collect(),
        Value::Text(_) => Vec::new(),
    }
}

fn last(series: SeriesData) -> Option<(Labels, f64)> {
    Some((series.labels, series.samples.last()?.v))
}

/// Equal, also NaN with NaN; with `fuzzy` one unit in the last place apart.
#[expect(clippy::float_cmp, reason = "a test compares exactly unless it asks for less")]
fn same(a: f64, b: f64, fuzzy: bool) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    fuzzy && a.is_sign_positive() == b.is_sign_positive() && a.to_bits().abs_diff(b.to_bits()) <= 1
}

/// A value as a person writes it.
fn shown(value: f64) -> String {
    gotemplate::format::float(value, 'g', None)
}
