//! Configurations as data: `*.good.yml` load without an error, `*.bad.yml` yield exactly the findings of their first lines, all in one run.
//! A bad file begins with a comment for each finding: `# E302 at 9:20`, with ` ~ word` when its hint is that word.
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::path::{Path, PathBuf};

use diagnostics::{Format, Lang};
use watchdog::config::{self, Loaded};
use watchdog::findings::Findings;

fn files(suffix: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(suffix)).collect();
    files.sort();
    assert!(!files.is_empty(), "no *{suffix}");
    files
}

fn load(path: &Path) -> Result<Loaded, Findings> {
    config::load(path).map_err(|(found, source)| {
        let mut findings = Findings::default();
        findings.add(&source.name, &source.text, found);
        findings
    })
}

#[test]
fn good_files_load() {
    for path in files(".good.yml") {
        if let Err(findings) = load(&path) {
            panic!("{}:\n{}", path.display(), findings.render(Lang::En, Format::Text));
        }
    }
}

#[test]
fn bad_files_yield_every_finding_at_once() {
    for path in files(".bad.yml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
        let findings = load(&path).expect_err(&path.display().to_string());
        let found: Vec<String> = findings
            .list
            .iter()
            .zip(expected.iter().map(Some).chain(std::iter::repeat(None)))
            .map(|(one, wanted)| {
                let said = one.place.map_or_else(|| one.code.to_owned(), |at| format!("{} at {}:{}", one.code, at.line, at.column));
                let word = wanted.and_then(|wanted| wanted.split_once(" ~ ")).map(|(_, word)| word);
                let hint = one.hint.as_ref().map(|hint| hint.get(Lang::En)).unwrap_or_default();
                word.filter(|word| hint.contains(&format!("did you mean `{word}`?"))).map_or_else(|| said.clone(), |word| format!("{said} ~ {word}"))
            })
            .collect();
        assert_eq!(found, expected, "{}:\n{}", path.display(), findings.render(Lang::En, Format::Text));
        let chinese = findings.render(Lang::Zh, Format::Text);
        assert!(chinese.contains("错误[") && !chinese.contains("error["), "{chinese}");
    }
}

#[test]
fn the_shipped_configuration_means_what_it_says() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../watchdog.yml");
    let config = load(&shipped).map_err(|findings| findings.render(Lang::En, Format::Text)).unwrap().config;
    let target = &watchdog::targets::of(&config.jobs[0], &[]).targets[0];
    assert_eq!(target.labels.get("process"), Some("collector"));
    assert_eq!((target.interval.as_secs(), target.timeout.as_secs()), (5, 3));
    let restart = config.restart("collector").unwrap();
    assert!(restart.policy.verify.probe && restart.policy.verify.progress);
    assert_eq!((restart.policy.guard.per_hour, restart.policy.guard.per_day), (3, 6));
    assert_eq!(config.external_url(), "http://127.0.0.1:9099");
}

#[test]
fn every_code_that_is_found_is_explained() {
    let explained: Vec<&str> = config::CODES.iter().map(|(code, ..)| *code).collect();
    for path in files(".bad.yml") {
        for found in load(&path).unwrap_err().list {
            let general = ["E001", "E002", "E003", "E004", "E005", "E006"].contains(&found.code);
            assert!(general || explained.contains(&found.code), "{} of {}", found.code, path.display());
        }
    }
}
