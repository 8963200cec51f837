//! The real promtool as judge: the same verdicts on rule files and rule tests, the same texts from templates, the same alerts over random histories.
//! It comes by `make tools`; `SKIP_TOOLS=1` runs the other tests without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, reads its cases from files and asks another program"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rules::unittest::{self, Outcome};
use rules::{CheckOptions, Checked, RuleSource, UnknownKeys, check};

/// The program, or nothing when it may be left out.
fn promtool() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/promtool");
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("SKIP_TOOLS").is_some(), "{} is missing: run `make tools`, or set SKIP_TOOLS=1", path.display());
    println!("not run: no promtool (SKIP_TOOLS)");
    None
}

fn asked(promtool: &Path, args: &[&str], dir: &Path) -> (bool, String) {
    let output = Command::new(promtool).args(args).current_dir(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn cases(dir: &str, end: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(dir);
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(end)).collect();
    paths.sort();
    paths
}

fn checked(path: &Path) -> Checked {
    check(&[RuleSource { file: "r.yml", text: &std::fs::read_to_string(path).unwrap() }], &CheckOptions::default())
}

/// A directory of this test's own.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn the_same_verdict_on_every_rule_file() {
    let Some(promtool) = promtool() else { return };
    for path in cases("check", ".yml").into_iter().chain(cases("original", ".yml")) {
        let (accepted, text) = asked(&promtool, &["check", "rules", path.to_str().unwrap()], path.parent().unwrap());
        assert_eq!(checked(&path).is_usable(), accepted, "{}:\n{text}", path.file_name().unwrap().display());
    }
}

/// Name, text, our verdict, and whether promtool's must be the same.
fn verdicts() -> Vec<(String, String, bool, bool)> {
    let parts = include_str!("verdicts.txt").split("\n=== ").skip(1);
    let parts = parts.map(|part| {
        let (head, text) = part.split_once('\n').unwrap_or((part, ""));
        let (verdict, name) = head.split_once(' ').unwrap();
        let same = !name.contains('|');
        (name.split(" |").next().unwrap().to_owned(), text.to_owned(), verdict == "ok", same)
    });
    parts.collect()
}

#[test]
fn each_small_file_has_its_verdict() {
    for (name, text, accepted, _) in verdicts() {
        let checked = check(&[RuleSource { file: &name, text: &text }], &CheckOptions::default());
        assert_eq!(checked.is_usable(), accepted, "{name}: {:#?}", checked.diagnostics);
    }
}

#[test]
fn promtool_has_the_same_verdict_on_each_small_file() {
    let Some(promtool) = promtool() else { return };
    let dir = scratch("verdicts");
    for (name, text, accepted, same) in verdicts() {
        std::fs::write(dir.join("r.yml"), &text).unwrap();
        let (theirs, said) = asked(&promtool, &["check", "rules", "--lint=none", "r.yml"], &dir);
        assert_eq!(theirs == accepted, same, "{name}:\n{said}");
    }
}

#[test]
fn the_same_verdict_on_every_rule_test() {
    let Some(promtool) = promtool() else { return };
    // What this release of promtool does not know yet.
    let newer = ["start.test.yml"];
    for path in cases("unittest", ".test.yml").into_iter().filter(|path| !newer.contains(&path.file_name().unwrap().to_str().unwrap())) {
        let dir = path.parent().unwrap();
        let (passed, text) = asked(&promtool, &["test", "rules", path.to_str().unwrap()], dir);
        let outcomes = ours(&std::fs::read_to_string(&path).unwrap(), &std::fs::read_to_string(dir.join("rules.yml")).unwrap());
        assert_eq!(outcomes.iter().all(Outcome::passed), passed, "{}:\n{text}", path.display());
    }
}

fn ours(test: &str, rules: &str) -> Vec<Outcome> {
    let file = unittest::read("t.yml", test, UnknownKeys::Refuse).unwrap();
    let checked = check(&[RuleSource { file: "rules.yml", text: rules }], &CheckOptions::default());
    assert!(checked.is_usable(), "{:#?}", checked.diagnostics);
    unittest::run(&file, &checked.rules, |_| true)
}

/// Each line of `templates.txt` is an annotation; what it gives here must be what promtool expects.
#[test]
fn the_same_texts_from_every_template() {
    let Some(promtool) = promtool() else { return };
    let list = include_str!("templates.txt");
    let templates: Vec<&str> = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut rules = "groups: [{name: g, rules: [{alert: A, expr: x > 0, annotations: {".to_owned();
    for (at, template) in templates.iter().enumerate() {
        write!(rules, "a{at}: {}, ", serde_json::to_string(template).unwrap()).unwrap();
    }
    rules.push_str("}}]}]\n");
    let head = "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  external_labels: {host: md-1}\n  external_url: http://w:9099/base\n  input_series:\n  - {series: 'x{instance=\"h.d:90\",job=\"j\",empty_not=\"e\"}', values: '1234.5x5'}\n  - {series: 'y{i=\"2\"}', values: '7x5'}\n  - {series: 'y{i=\"1\"}', values: '8x5'}\n  alert_rule_test:\n  - eval_time: 1m\n    alertname: A\n    exp_alerts:\n    - exp_labels: {instance: 'h.d:90', job: j, empty_not: e}\n      exp_annotations: {";
    // Ours first, with nothing expected: the failure says what came.
    let got = &ours(&format!("{head}}}\n"), &rules)[0].failures[0].got[0];
    let mut test = head.to_owned();
    for (at, template) in templates.iter().enumerate() {
        let start = got.find(&format!("a{at}=")).unwrap() + format!("a{at}=").len();
        let text: String = rust_literal(&got[start..]);
        assert_eq!(template.starts_with("{{/* fails */}}"), text.contains("error expanding"), "{template}: {text}");
        write!(test, "a{at}: {}, ", serde_json::to_string(&with_prelude(&text)).unwrap()).unwrap();
    }
    test.push_str("}\n");
    let dir = scratch("templates");
    std::fs::write(dir.join("rules.yml"), &rules).unwrap();
    std::fs::write(dir.join("t.yml"), &test).unwrap();
    let (passed, text) = asked(&promtool, &["test", "rules", "--diff", "t.yml"], &dir);
    assert!(passed, "{} templates\n{text}", templates.len());
}

/// An error's column as Prometheus counts it: it puts the definitions of its variables before the text, on the same line.
fn with_prelude(text: &str) -> String {
    let prelude = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";
    let Some((before, rest)) = text.split_once("__alert_A:1:") else { return text.to_owned() };
    let (column, after) = rest.split_once(':').unwrap();
    format!("{before}__alert_A:1:{}:{after}", column.parse::<usize>().unwrap() + prelude.len())
}

/// The text of the Rust string literal at the start of `rest`.
fn rust_literal(rest: &str) -> String {
    let mut out = String::new();
    let mut chars = rest.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '"' => return out,
            '\\' => match chars.next().unwrap() {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'u' => {
                    let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    out.push(char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap());
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    out
}

/// A small generator, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Random rules over random histories with gaps and stale markers: at every minute promtool must see the alerts that are seen here.
#[test]
fn the_same_alerts_over_random_histories() {
    let Some(promtool) = promtool() else { return };
    let dir = scratch("histories");
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (rules, head) = history(&mut dice);
        let mut test = head.clone();
        for minute in 0..40 {
            for alert in ["A", "B", "C"] {
                writeln!(test, "  - {{eval_time: {minute}m, alertname: {alert}, exp_alerts: [{{exp_labels: {{none: such}}}}]}}").unwrap();
            }
        }
        let outcomes = ours(&test, &rules);
        let mut expected = head.clone();
        for failure in &outcomes[0].failures {
            let words: Vec<&str> = failure.message.en.split(['`', ' ']).collect();
            let (alert, at) = (words[2], words[5]);
            write!(expected, "  - {{eval_time: {at}, alertname: {alert}, exp_alerts: [").unwrap();
            for line in &failure.got {
                let labels = line.strip_prefix("labels {").unwrap().split_once('}').unwrap().0.replace('=', ": ");
                write!(expected, "{{exp_labels: {{{labels}}}}}, ").unwrap();
            }
            expected.push_str("]}\n");
        }
        assert!(ours(&expected, &rules).iter().all(Outcome::passed), "seed {seed}: the expectation is not our own");
        std::fs::write(dir.join("rules.yml"), &rules).unwrap();
        std::fs::write(dir.join("t.yml"), &expected).unwrap();
        let (passed, text) = asked(&promtool, &["test", "rules", "t.yml"], &dir);
        assert!(passed, "seed {seed}:\n{rules}\n{expected}\n{text}");
    }
}

fn history(dice: &mut Dice) -> (String, String) {
    let mut rules = "groups:\n- name: g\n  rules:\n".to_owned();
    for alert in ["A", "B", "C"] {
        let (threshold, hold, keep) = (dice.roll(4), dice.roll(6), dice.roll(6));
        let label = ["{severity: page}", "{severity: '{{ if gt $value 3.0 }}high{{ else }}low{{ end }}'}", "{job: ''}"]
            [usize::try_from(dice.roll(3)).unwrap()];
        writeln!(rules, "  - {{alert: {alert}, expr: m > {threshold}, for: {hold}m, keep_firing_for: {keep}m, labels: {label}}}").unwrap();
    }
    let mut head = "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n".to_owned();
    for series in ["m{i=\"1\",job=\"j\"}", "m{i=\"2\",job=\"j\"}", "m{i=\"3\"}"] {
        let mut values = String::new();
        for _ in 0..12 {
            let item = match dice.roll(8) {
                0 => "_x3 ".to_owned(),
                1 => "stale ".to_owned(),
                2 => "_x7 ".to_owned(),
                _ => format!("{}x{} ", dice.roll(6), dice.roll(5)),
            };
            values.push_str(&item);
        }
        writeln!(head, "  - {{series: '{series}', values: '{values}'}}").unwrap();
    }
    head.push_str("  alert_rule_test:\n");
    (rules, head)
}
