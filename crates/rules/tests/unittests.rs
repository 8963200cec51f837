//! Rule tests in promtool's format: those of the shipped rules pass, and each file under `unittest/` ends as its `.txt` says (nothing: it passes).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads its cases from files"
)]

use std::path::{Path, PathBuf};

use diagnostics::Lang;
use rules::unittest::{self, Outcome, TestFile};
use rules::{CheckOptions, RuleSource, UnknownKeys, check};

fn test_files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(".test.yml")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no tests in {}", dir.display());
    paths
}

fn run(path: &Path) -> (TestFile, Vec<Outcome>) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let file =
        unittest::read(&name, &std::fs::read_to_string(path).unwrap(), UnknownKeys::Refuse).unwrap_or_else(|found| panic!("{name}: {found:#?}"));
    let texts: Vec<(String, String)> = file
        .rule_files
        .iter()
        .map(|(pattern, _)| {
            (pattern.clone(), std::fs::read_to_string(path.parent().unwrap().join(pattern)).unwrap_or_else(|e| panic!("{pattern}: {e}")))
        })
        .collect();
    let sources: Vec<RuleSource<'_>> = texts.iter().map(|(file, text)| RuleSource { file, text }).collect();
    let checked = check(&sources, &CheckOptions::default());
    assert!(checked.is_usable(), "{name}: {:#?}", checked.diagnostics);
    let outcomes = unittest::run(&file, &checked.rules, |_| true);
    (file, outcomes)
}

fn report(file: &TestFile, outcomes: &[Outcome]) -> String {
    outcomes.iter().flat_map(|outcome| outcome.failures.iter().map(|failure| failure.render(&file.file, Lang::En))).collect()
}

#[test]
fn the_shipped_rules_pass_their_tests() {
    for path in test_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/tests")) {
        let (file, outcomes) = run(&path);
        let text = report(&file, &outcomes);
        assert!(text.is_empty(), "{text}");
    }
}

#[test]
fn each_file_ends_as_it_says() {
    for path in test_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unittest")) {
        let (file, outcomes) = run(&path);
        let want = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        assert_eq!(report(&file, &outcomes), want, "{}", file.file);
    }
}

#[test]
fn a_wrong_test_file_is_told_all_that_is_wrong() {
    let text = "rule_files: [a.yml]\nevaluation_interval: 1x\ntests:\n  - intervall: 1m\n    input_series:\n      - {series: 'up{', values: '1 y'}\n    alert_rule_test:\n      - {eval_time: 5m}\n";
    let found = unittest::read("t.yml", text, UnknownKeys::Refuse).unwrap_err();
    let codes: Vec<_> = found.iter().map(|one| (one.place.map_or(0, |place| place.line), one.code)).collect();
    assert_eq!(codes, [(2, "E112"), (4, "E002"), (6, "E101"), (6, "E131"), (8, "E003")]);
}

#[test]
fn a_build_server_gets_xml() {
    let (file, outcomes) = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unittest/failing.test.yml"));
    let xml = unittest::junit(&[(file.file, outcomes)]);
    assert!(xml.contains("<testsuite name=\"failing.test.yml\" tests=\"2\" failures=\"2\""), "{xml}");
    assert!(xml.contains("&lt;") || xml.contains("&#34;"), "{xml}");
}
