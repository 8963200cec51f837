//! The real amtool against ours: which receivers take an alert, and which files load.
//!
//! Needs target/tools (run `make tools`); `SKIP_TOOLS=1` leaves it out and says so.
#![expect(clippy::disallowed_methods, reason = "tests read their cases and run a tool")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::golden::files;
use router::config;
use router::labels::Labels;

/// amtool, or `None` when it may be missing.
fn amtool() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/amtool");
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("SKIP_TOOLS").is_some(), "{} is missing: run make tools (or set SKIP_TOOLS=1)", path.display());
    println!("not run: amtool is missing and SKIP_TOOLS is set");
    None
}

fn run(amtool: &Path, arguments: &[&str]) -> Output {
    Command::new(amtool).args(arguments).output().unwrap()
}

/// Route trees; each is asked about every label set below.
const TREES: [&str; 6] = [
    "route: {receiver: a, routes: [{matchers: [x=\"1\"], receiver: b}, {matchers: [x=~\"1|2\"], receiver: c}]}",
    "route: {receiver: a, routes: [{matchers: [x=\"1\"], receiver: b, continue: true}, {matchers: [x=~\"1|2\"], receiver: c}, {receiver: d}]}",
    "route: {receiver: a, routes: [{matchers: [y!=\"\"], receiver: b, routes: [{match: {x: '1'}, receiver: c, continue: true}, {match_re: {x: '.*'}}]}]}",
    "route: {receiver: a, routes: [{matchers: ['{x!~\"1.*\",y=\"\"}'], receiver: b}, {matchers: [x=~\"1+\"], receiver: c, continue: true}, {matchers: [x=\"11\"], receiver: d}]}",
    "route: {receiver: a, routes: [{receiver: b, continue: true, routes: [{matchers: [x=\"9\"], receiver: c}]}, {matchers: [x=\"1\"], receiver: d}]}",
    "route: {receiver: a, routes: [{matchers: [x=\"a b\"], receiver: b}, {matchers: ['x=中'], receiver: c}, {matchers: ['z=~\"[[:alpha:]]{2}\"'], receiver: d}]}",
];

const LABEL_SETS: [&[(&str, &str)]; 11] = [
    &[],
    &[("x", "1")],
    &[("x", "2")],
    &[("x", "11")],
    &[("x", "1"), ("y", "1")],
    &[("x", "2"), ("y", "1")],
    &[("y", "1")],
    &[("x", "a b")],
    &[("x", "中")],
    &[("z", "ab")],
    &[("x", "9"), ("z", "abc")],
];

#[test]
fn routes_lead_where_amtool_says() {
    let Some(amtool) = amtool() else { return };
    let receivers = "\nreceivers: [{name: a}, {name: b}, {name: c}, {name: d}]\n";
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut asked = 0;
    for (at, tree) in TREES.iter().enumerate() {
        let text = format!("{tree}{receivers}");
        let file = directory.join(format!("tree{at}.yml"));
        std::fs::write(&file, &text).unwrap();
        let ours = config::load("tree.yml", &text).unwrap().config;
        for set in LABEL_SETS {
            let labels = Labels::from_pairs(set.iter().copied());
            let found: Vec<&str> = ours.routes.matching(&labels).into_iter().map(|id| &*ours.routes.get(id).unwrap().receiver).collect();
            let mut arguments = vec!["config".to_owned(), "routes".to_owned(), "test".to_owned(), format!("--config.file={}", file.display())];
            arguments.extend(set.iter().map(|(name, value)| format!("{name}=\"{value}\"")));
            let theirs = run(&amtool, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));
            let said = String::from_utf8(theirs.stdout).unwrap();
            assert_eq!(found.join(","), said.trim(), "{tree} {set:?}");
            asked += 1;
        }
    }
    println!("{asked} questions, the same answers");
}

/// What only one of the two refuses, and why.
const KNOWN: [(&str, &str); 4] = [
    ("own_urls.bad.yml", "amtool does not know the watchdog's own addresses"),
    ("old_forms.good.yml", "amtool checks the integrations that Tidemark only lists"),
    ("full.good.yml", "amtool reads the files that it names"),
    ("dingtalk", "not a file of Alertmanager"),
];

#[test]
fn files_load_where_amtool_says() {
    let Some(amtool) = amtool() else { return };
    let mut compared = 0;
    for path in files("config", ".yml") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if KNOWN.iter().any(|(known, _)| name.starts_with(known)) {
            continue;
        }
        let theirs = run(&amtool, &["check-config", &path.to_string_lossy()]);
        let said = String::from_utf8_lossy(&theirs.stdout).into_owned() + &String::from_utf8_lossy(&theirs.stderr);
        assert_eq!(theirs.status.success(), name.ends_with(".good.yml"), "{name}: {said}");
        compared += 1;
    }
    assert!(compared >= 12, "{compared}");
    println!("{compared} files, the same verdicts");
}

/// amtool loads the configuration that the API shows: with its secrets covered.
#[test]
fn the_masked_text_is_still_a_configuration() {
    let Some(amtool) = amtool() else { return };
    let text = "global: {smtp_from: a@b, smtp_smarthost: 'h:25', smtp_auth_password: 'p\"w', slack_api_url: 'https://hooks/1'}\nroute: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{url: 'http://u:p@h/x', http_config: {basic_auth: {username: u, password: p}}}]\n  email_configs: [{to: c@d}]\n";
    let shown = config::load("x.yml", text).unwrap().config.original;
    assert!(!shown.contains("p\"w") && !shown.contains("hooks/1") && !shown.contains("u:p@h"), "{shown}");
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("masked.yml");
    std::fs::write(&file, &shown).unwrap();
    let theirs = run(&amtool, &["check-config", &file.to_string_lossy()]);
    assert!(theirs.status.success(), "{shown}\n{}", String::from_utf8_lossy(&theirs.stderr));
}
