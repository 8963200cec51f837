//! The commands beside `run`, as a person and a build server use them.

// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn watchdog(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchdog"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("DINGTALK_URL")
        .env_remove("DINGTALK_SECRET")
        .env("LC_ALL", "C")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Files in a directory of this test's own.
fn files(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

const RULES: &[u8] = b"groups: [{name: g, rules: [{alert: Down, expr: up == 0, labels: {severity: page}}]}]\n";

/// A test that passes, and one that does not.
const TESTS: &[u8] = b"rule_files: [../*.yml]
evaluation_interval: 1m
tests:
  - name: a target that is down
    interval: 1m
    input_series: [{series: 'up{job=\"a\"}', values: '0x3'}]
    alert_rule_test: [{eval_time: 1m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, job: a}}]}]
  - name: a target that is up
    interval: 1m
    input_series: [{series: 'up{job=\"a\"}', values: '1x3'}]
    alert_rule_test: [{eval_time: 1m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, job: a}}]}]
";

#[test]
fn the_shipped_rule_tests_pass_here_and_with_promtool() {
    let tests: Vec<PathBuf> = watchdog::patterns::expand(&root().join("rules/tests/*.yml"));
    let tests: Vec<&str> = tests.iter().map(|path| path.to_str().unwrap()).collect();
    assert!(!tests.is_empty());
    let output = watchdog(&root(), &[&["test", "rules"], &tests[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let promtool = root().join("target/tools/bin/promtool");
    if !promtool.is_file() {
        assert!(std::env::var_os("SKIP_TOOLS").is_some(), "{} is missing: run `make tools`, or set SKIP_TOOLS=1", promtool.display());
        println!("not run: promtool test rules (SKIP_TOOLS)");
        return;
    }
    let output = Command::new(promtool).args(["test", "rules"]).args(&tests).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_failed_rule_test_shows_what_differs_and_can_be_chosen_by_name() {
    let dir = files(&[("rules.yml", RULES), ("tests/t.yml", TESTS)]);
    let run = |more: &[&str]| watchdog(dir.path(), &[&["test", "rules", "tests/t.yml"], more].concat());
    let all = run(&["--junit", "report.xml"]);
    assert_eq!(all.status.code(), Some(1));
    let shown = said(&all);
    assert!(shown.contains("ok      a target that is down\n  FAILED  a target that is up\ntests/t.yml:11:"), "{shown}");
    assert!(shown.contains("\n    - ") && shown.ends_with("2 tests, 1 failed\n"), "{shown}");
    let report = std::fs::read_to_string(dir.path().join("report.xml")).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"1\"") && report.contains("<testcase name=\"a target that is down\"/>"), "{report}");
    assert_eq!(run(&["--run", "is down$"]).status.code(), Some(0));
    assert_eq!(run(&["--run", "none", "--run", "is up"]).status.code(), Some(1));
    assert_eq!(run(&["--run", "("]).status.code(), Some(2));
    assert!(said(&run(&["--diff"])).contains("\u{1b}[31m    - "));
    let chinese = said(&run(&["--lang", "zh"]));
    assert!(chinese.contains("失败  a target that is up") && chinese.ends_with("2 个测试，1 个失败\n"), "{chinese}");
}

#[test]
fn a_rule_test_whose_files_cannot_be_used_fails_and_says_why() {
    let test = b"rule_files: [broken.yml]\ntests: [{promql_expr_test: [{expr: '1', eval_time: 1m, exp_samples: [{labels: '{}', value: 1}]}]}]\n";
    let dir =
        files(&[("broken.yml", b"groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]\n"), ("t.yml", test), ("u.yml", b"tests: [{nmae: x}]\n")]);
    let output = watchdog(dir.path(), &["test", "rules", "t.yml", "u.yml", "none.yml", "--junit", "report.xml"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = said(&output);
    assert!(shown.contains("broken.yml:1:") && shown.contains("u.yml:1:10: error[E002]") && shown.contains("none.yml: error[E310]"), "{shown}");
    assert!(shown.ends_with("0 tests, 0 failed, 3 files could not be used\n"), "{shown}");
    assert_eq!(std::fs::read_to_string(dir.path().join("report.xml")).unwrap().matches("<failure").count(), 3);
    // As promtool: a pattern without a file is only worth a warning.
    std::fs::remove_file(dir.path().join("broken.yml")).unwrap();
    let output = watchdog(dir.path(), &["test", "rules", "t.yml"]);
    assert!(output.status.success() && said(&output).contains("warning[W130]"), "{}", said(&output));
}

#[test]
fn the_shipped_files_have_nothing_wrong_but_the_missing_secrets() {
    let output = watchdog(&root(), &["check", "rules", "--strict", "rules/collector.yml", "rules/watchdog.yml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for (lang, first, second) in [
        ("en", "the environment variable DINGTALK_URL is not set", "the environment variable DINGTALK_SECRET is not set"),
        ("zh", "环境变量 DINGTALK_URL 没有设置", "环境变量 DINGTALK_SECRET 没有设置"),
    ] {
        let output = watchdog(&root(), &["check", "config", "--lang", lang, "watchdog.yml"]);
        assert_eq!(output.status.code(), Some(1));
        let shown = said(&output);
        assert!(shown.contains(first) && shown.contains(second) && shown.matches("E312").count() == 2, "{shown}");
        assert!(!shown.contains("E243"), "{shown}");
    }
}

#[test]
fn a_file_that_is_none_is_said_in_both_languages() {
    let dir = files(&[("garbage.yml", b"groups:\n\xff\xfe\x00"), ("dir.yml/x", b"")]);
    for (file, en, zh) in [
        ("none.yml", "there is no such file", "文件不存在"),
        ("dir.yml", "this is a directory", "这是目录"),
        ("garbage.yml", "not a text file: byte 8, on line 2", "不是文本文件"),
    ] {
        for (what, lang, expected) in [("rules", "en", en), ("config", "en", en), ("rules", "zh", zh), ("config", "zh", zh)] {
            let output = watchdog(dir.path(), &["check", what, "--lang", lang, file]);
            assert_eq!(output.status.code(), Some(1));
            assert!(said(&output).contains(expected) && said(&output).contains("E310"), "{}", said(&output));
        }
        let output = watchdog(dir.path(), &["run", "--lang", "en", "--config", file]);
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).contains(en), "{}", said(&output));
    }
}

#[test]
fn every_verb_shows_two_examples() {
    let all = said(&watchdog(&root(), &["--help"]));
    for verb in [&["run"][..], &["check", "rules"], &["check", "config"], &["test", "rules"], &["notify", "test"], &["explain"], &["healthcheck"]] {
        let example = format!("\n  watchdog {}", verb.join(" "));
        let shown = said(&watchdog(&root(), &[verb, &["--help"]].concat()));
        assert!(shown.matches(&example).count() >= 2, "{shown}");
        assert!(all.contains(&example), "{all}");
    }
}

/// `UPDATE_DOCS=1` writes the document.
#[test]
fn every_code_is_documented() {
    let path = root().join("docs/errors.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- begin watchdog -->\n", "<!-- end watchdog -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (found, after) = rest.split_once(end).unwrap();
    let expected = watchdog::cli::explain::to_markdown();
    if found != expected {
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        assert!(update, "docs/errors.md is not the code's; run UPDATE_DOCS=1 cargo test -p watchdog --test commands; expected:\n{expected}");
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    }
    let unique: std::collections::BTreeSet<_> = watchdog::cli::explain::all_codes().iter().map(|(code, ..)| *code).collect();
    assert_eq!(unique.len(), watchdog::cli::explain::all_codes().len(), "a code has two meanings");
}
