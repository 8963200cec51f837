//! `config/*.good.yml` load (warnings beside them in `.txt`), `config/*.bad.yml` do not: every finding, in both languages, stands in the `.txt`.
//! A new case is a new file. Files that begin with `dingtalk` are dingtalk.yml, the others alertmanager.yml; all are linked as well.
#![expect(clippy::disallowed_methods, reason = "tests read their cases")]

use std::path::Path;

use crate::golden::{compare, files};
use diagnostics::{Diagnostic, Format, Lang, render_all};
use router::{Setup, Surroundings, config, dingtalk};

const ROBOTS: &str = "targets: {ops: {url: 'http://h/robot?access_token=a'}}\n";

/// Findings of loading and linking.
fn findings(name: &str, text: &str) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    if name.starts_with("dingtalk") {
        let loaded = dingtalk::load(name, text)?;
        return Ok(loaded.warnings);
    }
    let loaded = config::load(name, text)?;
    let surroundings = Surroundings {
        own_addresses: vec!["127.0.0.1:9099".to_owned(), "localhost:9099".to_owned(), "[::1]:9099".to_owned()],
        restarts: vec!["collector".to_owned()],
        ..Surroundings::default()
    };
    let robots = dingtalk::load("dingtalk.yml", ROBOTS).unwrap().config;
    Setup::link(loaded.config, robots, &[], &surroundings)?;
    Ok(loaded.warnings)
}

fn shown(found: &[Diagnostic], text: &str) -> String {
    let source = |_: &str| Some(text);
    [Lang::En, Lang::Zh].map(|lang| render_all(found, source, lang, Format::Text)).join("")
}

fn check(path: &Path, good: bool) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let found = match (findings(&name, &text), good) {
        (Ok(warnings), true) => warnings,
        (Err(errors), false) => errors,
        (Ok(_), false) => panic!("{name} loads"),
        (Err(errors), true) => panic!("{name} does not load:\n{}", shown(&errors, &text)),
    };
    assert!(found.iter().all(|one| one.place.is_some() || matches!(one.code, "E201" | "E241")), "{name}: a finding without place: {found:?}");
    compare(&path.with_extension("txt"), &shown(&found, &text));
}

#[test]
fn good_files_load() {
    let files = files("config", ".good.yml");
    assert!(files.len() >= 5, "{files:?}");
    for path in &files {
        check(path, true);
    }
}

#[test]
fn bad_files_are_told_all_at_once() {
    let files = files("config", ".bad.yml");
    assert!(files.len() >= 12, "{files:?}");
    for path in &files {
        check(path, false);
    }
}

/// `explain` knows every code that a finding can have, and nothing else (E230–E234 are found when files are linked).
#[test]
fn every_code_seen_is_explained() {
    let known: Vec<&str> = router::explain::CODES.iter().map(|(code, ..)| *code).collect();
    let mut sorted = known.clone();
    sorted.sort_unstable();
    assert_eq!(known, sorted);
    let mut seen = std::collections::BTreeSet::new();
    for path in files("config", ".yml") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (Ok(list) | Err(list)) = findings(&name, &std::fs::read_to_string(path).unwrap());
        seen.extend(list.into_iter().map(|one| one.code));
    }
    let own = |code: &&&str| !code.starts_with("E00");
    let unknown: Vec<_> = seen.iter().filter(own).filter(|code| !known.contains(code)).collect();
    assert!(unknown.is_empty(), "not explained: {unknown:?}");
    let untested: Vec<_> = known.iter().filter(|code| !seen.contains(**code) && !matches!(**code, "E233" | "E234")).collect();
    assert!(untested.is_empty(), "no file shows: {untested:?}");
}
