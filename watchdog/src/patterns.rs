//! File patterns of configurations: `*` and `?` within one directory level, as Go's `filepath.Glob` reads them.
//!
//! Owns: from a pattern to the files there are now. Must not know: what is in them.

use std::path::{Component, Path, PathBuf};

/// Files one pattern may name.
const MATCHES_LIMIT: usize = 10_000;

/// The files that match now, sorted. A pattern without `*` or `?` names itself, whether or not the file exists: reading it tells.
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        found = match part {
            Component::Normal(name) if has_wildcard(&name.to_string_lossy()) => {
                found.iter().flat_map(|dir| entries(dir, &name.to_string_lossy())).take(MATCHES_LIMIT).collect()
            }
            other => found.into_iter().map(|dir| dir.join(other)).collect(),
        };
    }
    found.sort();
    found
}

/// The directory whose content decides what a pattern matches: the part before the first wildcard.
pub fn watched_dir(pattern: &Path) -> PathBuf {
    let fixed: PathBuf = pattern.components().take_while(|part| !has_wildcard(&part.as_os_str().to_string_lossy())).collect();
    let dir = if fixed == pattern { fixed.parent().map(Path::to_path_buf).unwrap_or_default() } else { fixed };
    if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir }
}

fn has_wildcard(name: &str) -> bool {
    name.contains(['*', '?'])
}

fn entries(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let list = std::fs::read_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let names = list.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| matches(pattern.as_bytes(), name.to_string_lossy().as_bytes())).map(|name| dir.join(name)).collect()
}

/// Whether `name` matches, byte by byte; on a mismatch the last `*` takes one byte more.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut on) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(on) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, on));
                at += 1;
            }
            Some(b'?') => (at, on) = (at + 1, on + 1),
            Some(expected) if expected == byte => (at, on) = (at + 1, on + 1),
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (at, on) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b", "aXbY", false),
            ("?.yml", "a.yml", true),
            ("?.yml", "ab.yml", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_names_files_of_one_level_and_a_plain_path_itself() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["rules/a.yml", "rules/b.yml", "rules/tests/c.yml", "other/d.yml"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            expand(&dir.path().join(pattern)).iter().map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(names("rules/*.yml"), ["rules/a.yml", "rules/b.yml"]);
        assert_eq!(names("*/?.yml"), ["other/d.yml", "rules/a.yml", "rules/b.yml"]);
        assert_eq!(names("rules/none.yml"), ["rules/none.yml"]);
        assert!(names("rules/*.json").is_empty());
        assert_eq!(watched_dir(&dir.path().join("rules/*.yml")), dir.path().join("rules"));
        assert_eq!(watched_dir(Path::new("rules.yml")), Path::new("."));
    }
}
