//! Files that are not YAML, one mistake each, and what is said of them in both languages: `tests/yaml/*.yml` with `*.txt` beside.
//! A new case is a new file; `UPDATE_GOLDEN=1` writes what is said now.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking, and reads its cases from files")]

use std::collections::BTreeMap;
use std::path::Path;

use diagnostics::{Format, Lang, render, yaml};
use serde::Deserialize;

/// Takes anything, so that only what is no YAML is a mistake; texts are below `texts`.
#[derive(Debug, Deserialize)]
struct Anything {
    #[serde(default, rename = "texts")]
    _texts: BTreeMap<String, String>,
    #[serde(default, rename = "number")]
    _number: u32,
    #[serde(default, rename = "switch")]
    _switch: bool,
    #[serde(default, rename = "list")]
    _list: Vec<String>,
}

#[test]
fn a_mistake_is_told_as_what_it_is_in_both_languages() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml");
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "yml")).collect();
    files.sort();
    assert!(files.len() > 30);
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let (_, found) = yaml::read_all::<Anything>(&name, &text);
        let said: String =
            [Lang::En, Lang::Zh].iter().flat_map(|lang| found.iter().map(|one| render(one, Some(&text), *lang, Format::Text))).collect();
        // A sentence of the reader inside a Chinese one is a kind that is not translated.
        assert!(!said.contains('“'), "{name}:\n{said}");
        assert!(
            found.iter().all(|one| one.place.is_some() && (one.hint.is_some() || one.expected.is_some() || one.code == "E006")),
            "{name}:\n{said}"
        );
        let golden = file.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(said);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
