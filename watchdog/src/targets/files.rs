//! `file_sd_configs`: targets listed in JSON and YAML files.
//!
//! Owns: reading them, keeping what a file last said while it cannot be read. Must not know: when they are read, what a target is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diagnostics::yaml;
use serde::Deserialize;

use crate::config::job::{FileSd, Group};
use crate::patterns::expand;

/// The file a target is from.
const FILE_PATH: &str = "__meta_filepath";

/// Longest file that is read.
const SIZE_LIMIT: u64 = 16 << 20;

/// What each file last said.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<PathBuf, Vec<Group>>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

// === impl Files ===

impl Files {
    /// Reads every file that `wanted` names now. A file that cannot be read keeps its targets; one that is gone has none. Returns what is wrong, for the log.
    pub fn read<'a>(&mut self, wanted: impl IntoIterator<Item = &'a FileSd>) -> Vec<String> {
        let mut before = std::mem::take(&mut self.0);
        let mut wrong = Vec::new();
        for path in wanted.into_iter().flat_map(|one| &one.patterns).flat_map(|pattern| expand(pattern)) {
            if self.0.contains_key(&path) {
                continue;
            }
            let known = before.remove(&path);
            match groups(&path) {
                Ok(Some(groups)) => drop(self.0.insert(path, groups)),
                // A pattern without `*` names itself whether or not it exists.
                Ok(None) => {}
                Err(error) => {
                    wrong.push(format!("{}: {error}", path.display()));
                    self.0.insert(path, known.unwrap_or_default());
                }
            }
        }
        wrong
    }

    /// The groups that the files of one job list.
    pub fn groups(&self, wanted: &[FileSd]) -> Vec<Group> {
        let paths = wanted.iter().flat_map(|one| &one.patterns).flat_map(|pattern| expand(pattern));
        paths.filter_map(|path| self.0.get(&path)).flatten().cloned().collect()
    }
}

/// The groups of one file; `None` when there is no such file.
fn groups(path: &Path) -> Result<Option<Vec<Group>>, String> {
    match std::fs::metadata(path) {
        Ok(about) if about.len() > SIZE_LIMIT => return Err(format!("{} bytes, over the limit of {SIZE_LIMIT}", about.len())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let written: Vec<Written> = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())?
    } else if text.trim().is_empty() {
        Vec::new()
    } else {
        yaml::read(&path.display().to_string(), &text).map_err(|found| {
            let at = found.place.map(|place| format!("{}:{}: ", place.line, place.column)).unwrap_or_default();
            format!("{at}{}", found.message.en)
        })?
    };
    let group = |one: Written| Group {
        targets: one.targets,
        labels: one.labels.into_iter().chain([(FILE_PATH.to_owned(), path.display().to_string())]).collect(),
    };
    Ok(Some(written.into_iter().map(group).collect()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn addresses(files: &Files, wanted: &[FileSd]) -> Vec<String> {
        files.groups(wanted).into_iter().flat_map(|group| group.targets).collect()
    }

    #[test]
    fn files_are_read_whole_or_keep_what_they_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("a.json", r#"[{"targets": ["h:1", "h:2"], "labels": {"env": "x"}}]"#);
        write("b.yml", "- targets: [h:3]\n");
        let wanted = [FileSd { patterns: vec![path("*.json"), path("b.yml"), path("none.yaml")], refresh: Duration::from_secs(1) }];
        let mut files = Files::default();
        assert!(files.read(&wanted).is_empty());
        assert_eq!(addresses(&files, &wanted), ["h:1", "h:2", "h:3"]);
        let labels = &files.groups(&wanted)[0].labels;
        assert_eq!((labels["env"].as_str(), labels[FILE_PATH].as_str()), ("x", path("a.json").to_str().unwrap()));

        write("a.json", r#"[{"targets": ["h:9"#);
        write("b.yml", "- target: [h:4]\n");
        write("c.json", "[]");
        let wrong = files.read(&wanted);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[1].contains("1:3: unknown key `target`"), "{wrong:?}");
        assert_eq!(addresses(&files, &wanted), ["h:1", "h:2", "h:3"], "a half-written file changes nothing");

        std::fs::remove_file(path("a.json")).unwrap();
        write("b.yml", "");
        assert!(files.read(&wanted).is_empty());
        assert!(addresses(&files, &wanted).is_empty());
    }
}
