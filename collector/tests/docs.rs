//! The documents hold the same tables as the code. `UPDATE_DOCS=1` writes them.
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use collector::config::{self, environment};
use collector::metrics::{catalogue, old_names};

/// Tests run side by side, and some hold the same document: one at a time writes.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The part of a document between `<!-- begin NAME -->` and `<!-- end NAME -->` is the generated table.
fn holds(file: &str, name: &str, table: &str) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("docs/{file}: {error}"));
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("docs/{file} has no {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("docs/{file} has no {end}"));
    if found == table {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "docs/{file}: the table `{name}` is not the code's; run UPDATE_DOCS=1 cargo test -p collector --test docs"
    );
    std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
}

#[test]
fn every_metric_is_documented() {
    holds("metrics-collector.md", "metrics", &catalogue::to_markdown());
    holds("metrics-collector.md", "old names", &old_names::to_markdown());
}

#[test]
fn every_code_is_documented() {
    holds("collector.md", "codes", &config::codes_to_markdown());
    holds("collector.zh-CN.md", "codes", &config::codes_to_markdown());
    holds("errors.md", "codes", &config::codes_to_markdown());
}

#[test]
fn every_old_variable_is_documented() {
    holds("collector.md", "environment", &environment::to_markdown());
    holds("collector.zh-CN.md", "environment", &environment::to_markdown());
}
