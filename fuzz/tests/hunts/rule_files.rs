//! Rule files and their unit tests.
use fuzz::{Bound, Target, shape};
use rules::{CheckOptions, RuleSource, UnknownKeys};

use crate::{hunt, seeds};

const WORDS: &[&str] = &[
    "groups:\n",
    "  - name: a\n",
    "    rules:\n",
    "      - alert: A\n",
    "        expr: up\n",
    "        for: 5m\n",
    "        keep_firing_for: 1m\n",
    "        labels: {a: b}\n",
    "        annotations: {summary: '{{ $value }}'}\n",
    "      - record: a:b\n",
    "interval",
    "limit",
    "query_offset",
    "- ",
    ": ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    "|\n",
    ">-\n",
    "&x ",
    "*x",
    "<<: ",
    "!!str ",
    "\"",
    "'",
    "#",
    "---\n",
    "\t",
    "null",
    "1h30m",
    "tests:\n",
    "input_series:\n",
    "values: '0+1x5'\n",
    "exp_alerts:\n",
    "eval_time: 5m\n",
];

#[test]
fn rule_files() {
    let options = CheckOptions::default();
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let checked = rules::check(&[RuleSource { file: "fuzz.yml", text: &text }], &options);
        let codes: Vec<&str> = checked.diagnostics.iter().map(|found| found.code).take(6).collect();
        // A place in the file, or behind its end.
        let lines = text.lines().count() + 2;
        assert!(checked.diagnostics.iter().filter_map(|found| found.place).all(|place| place.line <= lines));
        shape(&codes.concat(), &[checked.counts.iter().sum(), checked.rules.groups.len()])
    };
    let seeds = seeds(&[
        "groups:\n  - name: a\n    interval: 30s\n    rules:\n      - alert: Down\n        expr: up == 0\n        for: 5m\n        labels: {severity: critical}\n        annotations:\n          summary: \"{{ $labels.instance }} is down\"\n      - record: job:up:sum\n        expr: |\n          sum by (job) (\n            up)\n",
        "groups:\n- name: b\n  limit: 3\n  query_offset: 1m\n  labels: &l {team: x}\n  rules:\n  - {alert: B, expr: 'rate(x_total[5m]) > 1', keep_firing_for: 10m, labels: *l}\n",
    ]);
    hunt(&Target { name: "rule files", seeds, words: WORDS, memory: Bound { base: 32 << 20, each: 16_384 }, run: &run }, 600);
}

#[test]
fn rule_tests() {
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        match rules::unittest::read("fuzz.yml", &text, UnknownKeys::Refuse) {
            Ok(file) => shape("read", &[file.rule_files.len()]),
            Err(found) => shape(&found.iter().map(|found| found.code).take(6).collect::<String>(), &[found.len()]),
        }
    };
    let seeds = seeds(&[
        "rule_files: [a.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      - {series: 'up{job=\"a\"}', values: '1 0x5 stale'}\n    alert_rule_test:\n      - eval_time: 10m\n        alertname: Down\n        exp_alerts:\n          - exp_labels: {severity: critical}\n            exp_annotations: {summary: x}\n    promql_expr_test:\n      - expr: up\n        eval_time: 1m\n        exp_samples: [{labels: 'up', value: 1}]\n",
    ]);
    hunt(&Target { name: "rule tests", seeds, words: WORDS, memory: Bound { base: 32 << 20, each: 16_384 }, run: &run }, 200);
}
