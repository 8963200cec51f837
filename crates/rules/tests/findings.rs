//! Rule files with what the check finds: `check/NAME.yml`, and what is said of it in `check/NAME.txt` as `LINE:COLUMN CODE MESSAGE`; a new case is two new files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads its cases from files"
)]

use std::fmt::Write as _;
use std::path::Path;

use diagnostics::Lang;
use rules::{CheckOptions, RuleSource, check};

#[test]
fn each_file_is_said_to_have_what_it_has() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "yml")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let options = CheckOptions { scrape_interval_ms: Some(30_000), known_metrics: None, ..CheckOptions::default() };
    let mut wrong = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let checked = check(&[RuleSource { file: "r.yml", text: &text }], &options);
        let mut got = String::new();
        for found in &checked.diagnostics {
            let place = found.place.unwrap_or_default();
            writeln!(got, "{}:{} {} {}", place.line, place.column, found.code, found.message.get(Lang::En)).unwrap();
            assert_ne!(found.message.en, found.message.zh, "{}: not translated", path.display());
        }
        let want = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if got != want {
            writeln!(wrong, "{}:\n--- wanted\n{want}--- got\n{got}", path.file_name().unwrap().to_string_lossy()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn templates_are_told_what_may_have_been_meant() {
    let text = include_str!("check/texts.yml");
    let checked = check(&[RuleSource { file: "r.yml", text }], &CheckOptions::default());
    let hints: Vec<_> =
        checked.diagnostics.iter().filter(|found| matches!(found.code, "E116" | "W122")).filter_map(|found| found.hint.as_ref()).collect();
    let hints: Vec<_> = hints.iter().map(|hint| hint.get(Lang::En)).collect();
    assert_eq!(hints, ["did you mean `$labels`?", "did you mean `humanize`?", "did you mean `.Labels`?"]);
}

#[test]
fn a_metric_that_no_target_exposes_is_named_with_the_nearest_that_is_there() {
    let text = "groups:\n  - name: a\n    rules:\n      - {alert: A, expr: 'proc_opn_fds > 9 and on (process) proc_up == 1'}\n      - {alert: B, expr: 'absent(ALERTS)'}\n";
    let known = ["proc_up", "proc_open_fds"].map(str::to_owned).into();
    let options = CheckOptions { known_metrics: Some(known), ..CheckOptions::default() };
    let found = check(&[RuleSource { file: "r.yml", text }], &options).diagnostics;
    let said: Vec<_> = found.iter().map(|one| (one.code, one.hint.as_ref().map(|hint| hint.en.clone()))).collect();
    assert_eq!(said, [("W118", Some("did you mean `proc_open_fds`?".to_owned()))]);
    let none = check(&[RuleSource { file: "r.yml", text }], &CheckOptions::default()).diagnostics;
    assert!(none.is_empty(), "without a look at a server nothing is known: {none:?}");
}
