//! Who may import whom, what the cores may use, what may not be in the tree at all.

use std::collections::{BTreeMap, BTreeSet};

use tidy::graph::{Package, packages};

/// Rooms each room may import (ARCHITECTURE.md, "Who may import whom"). A room that is missing here may import none.
fn import_table() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("collector", &["clock", "diagnostics", "marketdata", "segments"][..]),
        ("watchdog", &["clock", "diagnostics", "gotemplate", "process", "promql", "router", "rules", "segments"][..]),
        ("marketdata", &["clock"][..]),
        ("rules", &["clock", "diagnostics", "gotemplate", "promql"][..]),
        ("router", &["clock", "diagnostics", "gotemplate"][..]),
        ("process", &["clock"][..]),
        ("bench", &["clock", "promql", "rules", "segments"][..]),
    ])
}

/// Crates from the registry that a core may use: data formats and algorithms, nothing that touches the outside.
fn allowed_in_cores() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("clock", &[][..]),
        ("gotemplate", &["jiff", "regex", "thiserror"][..]),
        ("marketdata", &["memchr", "serde", "serde_json", "thiserror"][..]),
        ("process", &["serde", "serde_json", "thiserror"][..]),
        ("promql", &["jiff", "md-5", "memchr", "regex", "thiserror"][..]),
        ("router", &["base64", "hmac", "jiff", "regex", "serde", "serde_json", "sha2", "thiserror"][..]),
        ("rules", &["serde", "serde_json", "thiserror"][..]),
    ])
}

fn names_of_ours(all: &[Package]) -> BTreeSet<&str> {
    all.iter().filter(|package| package.ours).map(|package| package.name.as_str()).collect()
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let all = packages().unwrap();
    let ours = names_of_ours(&all);
    let table = import_table();
    for package in all.iter().filter(|package| package.ours) {
        let allowed = table.get(package.name.as_str()).copied().unwrap_or_default();
        let strangers: Vec<_> = package.needs.iter().filter(|need| ours.contains(need.as_str()) && !allowed.contains(&need.as_str())).collect();
        assert!(strangers.is_empty(), "{} imports {strangers:?}; ARCHITECTURE.md allows {allowed:?}", package.name);
    }
}

#[test]
fn cores_use_only_their_allow_list() {
    let all = packages().unwrap();
    let ours = names_of_ours(&all);
    for (core, allowed) in allowed_in_cores() {
        let package = all.iter().find(|package| package.ours && package.name == core).unwrap();
        let strangers: Vec<_> = package.needs.iter().filter(|need| !ours.contains(need.as_str()) && !allowed.contains(&need.as_str())).collect();
        assert!(strangers.is_empty(), "{core} uses {strangers:?}; its allow-list is {allowed:?}");
    }
}

#[test]
fn banned_crates_are_not_in_the_tree() {
    let banned = ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls", "serde_yaml", "serde_yml", "openmetrics-parser"];
    for package in packages().unwrap() {
        assert!(!banned.contains(&package.name.as_str()), "{} {} is banned (ARCHITECTURE.md, \"Dependencies\")", package.name, package.version);
    }
}

#[test]
fn every_licence_is_one_we_can_ship() {
    let accepted = [
        "MIT",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Unicode-3.0",
        "Zlib",
        "CDLA-Permissive-2.0",
        "0BSD",
        "Unlicense",
        "BSL-1.0",
        "CC0-1.0",
        "MIT-0",
    ];
    let acceptable = |term: &str| accepted.contains(&term.trim().trim_matches(['(', ')']).trim());
    for package in packages().unwrap().iter().filter(|package| !package.ours) {
        let expression = package.license.replace('/', " OR ");
        let every_part = expression.split(" AND ").all(|part| part.split(" OR ").any(acceptable));
        assert!(every_part, "{} {} is under `{}`", package.name, package.version, package.license);
    }
}

#[test]
fn every_direct_dependency_is_justified() {
    let table = tidy::read(std::path::Path::new("ARCHITECTURE.md")).unwrap();
    let all = packages().unwrap();
    let ours = names_of_ours(&all);
    let direct: BTreeSet<&str> =
        all.iter().filter(|p| p.ours).flat_map(|p| p.needs.iter().map(String::as_str)).filter(|need| !ours.contains(need)).collect();
    let rows: BTreeSet<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ").map(|(name, _)| name)).collect();
    let missing: Vec<_> = direct.difference(&rows).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md, \"Dependencies\", says nothing of {missing:?}");
    let stale: Vec<_> = rows.difference(&direct).collect();
    assert!(stale.is_empty(), "ARCHITECTURE.md, \"Dependencies\", speaks of {stale:?}, which nobody uses");
}
