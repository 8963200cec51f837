//! Sizes and habits of the sources (ARCHITECTURE.md, "Sizes and habits").
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use tidy::source::{code_only, functions, production};
use tidy::{CORES, read, tracked};

const FILE_LIMIT: usize = 600;
const FUNCTION_LIMIT: usize = 70;

/// Rust files that ship: no tests.
fn shipped() -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches" | "examples")));
    tracked(&["rs"])
        .unwrap()
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = read(&path).unwrap();
            (path, text)
        })
        .collect()
}

fn report(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// Whether this file belongs to a core's sources.
fn in_core(path: &Path) -> bool {
    CORES.iter().any(|core| path.starts_with(format!("crates/{core}/src")))
}

#[test]
fn no_file_is_too_long_to_read() {
    let broken: Vec<_> = shipped()
        .iter()
        .map(|(path, text)| (path, production(text).lines().count()))
        .filter(|(_, lines)| *lines > FILE_LIMIT)
        .map(|(path, lines)| format!("{}: {lines} production lines, the limit is {FILE_LIMIT}; split it by what it owns", path.display()))
        .collect();
    report("file size", &broken);
}

#[test]
fn no_function_is_too_long_to_read() {
    let mut broken = Vec::new();
    for (path, text) in shipped() {
        for function in functions(production(&text)).iter().filter(|function| function.lines > FUNCTION_LIMIT) {
            broken.push(format!(
                "{}:{}: fn {} has {} lines, the limit is {FUNCTION_LIMIT}",
                path.display(),
                function.line,
                function.name,
                function.lines
            ));
        }
    }
    report("function size", &broken);
}

#[test]
fn every_module_says_what_it_owns() {
    let broken: Vec<_> = shipped()
        .iter()
        .filter(|(path, text)| !text.starts_with("//!") && !path.ends_with("build.rs"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    report("a module starts with `//!`: what it owns, what it must not know", &broken);
}

#[test]
fn names_say_what_a_thing_is() {
    let banned = ["util", "utils", "common", "manager", "helper", "helpers", "misc", "imp"];
    let broken: Vec<_> = tracked(&["rs"])
        .unwrap()
        .into_iter()
        .filter(|path| path.components().any(|part| banned.contains(&part.as_os_str().to_string_lossy().trim_end_matches(".rs"))))
        .map(|path| path.display().to_string())
        .collect();
    report("a drawer is no name", &broken);
}

#[test]
fn cores_do_no_io_read_no_clock_and_roll_no_dice() {
    let banned = [
        "Instant::now",
        "SystemTime",
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "std::process",
        "std::env::",
        "tokio",
        "thread_rng",
        "rand::",
        "println!",
        "eprintln!",
        "static mut",
        "OnceLock",
        "LazyLock",
        "thread_local",
    ];
    let mut broken = Vec::new();
    for (path, text) in shipped().iter().filter(|(path, _)| in_core(path)) {
        for (number, line) in code_only(production(text)).lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    report("a core is given `now` and returns effects", &broken);
}

/// An unordered map is allowed where a comment on the same line or one of the three before says why its order reaches nobody: `// unordered: …`.
#[test]
fn unordered_maps_in_cores_say_why() {
    let mut broken = Vec::new();
    for (path, text) in shipped().iter().filter(|(path, _)| in_core(path)) {
        let production = production(text);
        let lines: Vec<&str> = production.lines().collect();
        for (number, line) in code_only(production).lines().enumerate() {
            let declares = (line.contains("HashMap<") || line.contains("HashSet<")) && !line.trim_start().starts_with("use ");
            let said = lines[number.saturating_sub(3)..=number].iter().any(|near| near.contains("unordered:"));
            if declares && !said {
                broken.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report("an unordered map in a core needs a comment `// unordered: why its order reaches nobody`, or a BTreeMap", &broken);
}

#[test]
fn unsafe_code_stays_in_named_modules() {
    let mut broken = Vec::new();
    for (path, text) in shipped() {
        let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
        if is_root && !text.contains("#![forbid(unsafe_code)]") && !text.contains("#![deny(unsafe_code)]") {
            broken.push(format!("{}: neither forbids nor denies unsafe code", path.display()));
        }
        if is_root && code_only(production(&text)).contains("allow(unsafe_code)") {
            broken.push(format!("{}: unsafe code belongs in a small module of its own", path.display()));
        }
    }
    report("unsafe code", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "#[ignore", "allow(dead_code)"];
    let mut broken = Vec::new();
    for path in tracked(&["rs", "yml", "yaml", "sh", "toml"]).unwrap().iter().filter(|path| !path.starts_with("tidy")) {
        for (number, line) in read(path).unwrap().lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    report("finish it or leave it out", &broken);
}
