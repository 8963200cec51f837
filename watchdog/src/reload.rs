//! When the configuration is read again: on SIGHUP, on request, and when a file of it changes.
//!
//! Owns: watching directories (editors and ConfigMaps replace files by renaming, so a watch on a file goes blind), the pause until writers are done, telling
//! a change of content from a touched file. Must not know: what the files say.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::patterns::{expand, watched_dir};

/// Files are read this long after the last change: writers write in pieces.
pub const SETTLE: Duration = Duration::from_millis(500);
/// Without any notice the content is compared this often: some file systems give none.
pub const COMPARE_EVERY: Duration = Duration::from_mins(1);

/// Watches the directories of a configuration's files.
#[derive(Debug)]
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

// === impl Watch ===

impl Watch {
    /// A watch that tells of every change through `changed`. Without inotify there is only the comparison once a minute, and a line in the log.
    pub fn new(changed: mpsc::Sender<()>) -> Self {
        let tell = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, notify::EventKind::Access(_))) {
                // One waiting notice is enough.
                let _ = changed.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(tell);
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "files are not watched; changes are noticed once a minute")).ok();
        Self { watcher, watched: BTreeSet::new() }
    }

    /// Watches these directories, and no others.
    pub fn set(&mut self, dirs: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(&dirs) {
            // It may not exist any more.
            let _ = watcher.unwatch(gone);
        }
        for new in dirs.difference(&self.watched) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::warn!(dir = %new.display(), %error, "this directory is not watched; changes are noticed once a minute");
            }
        }
        self.watched = dirs;
    }
}

/// The files that a configuration names, by pattern; `templates` are those of alertmanager.yml. Certificates count, since clients are made with them;
/// secrets do not, since they are read at each use.
pub fn patterns(config: &Config, templates: &[PathBuf]) -> Vec<PathBuf> {
    let files =
        std::iter::once(&config.path).chain(&config.rule_files).chain(&config.alertmanager_file).chain(&config.dingtalk_file).chain(templates);
    files.cloned().chain(config.certificates()).collect()
}

/// The directories to be watched for these patterns.
pub fn directories(patterns: &[PathBuf]) -> BTreeSet<PathBuf> {
    patterns.iter().map(|pattern| watched_dir(pattern)).collect()
}

/// A number that changes when the content of a file, or the set of files, does. It is taken before the files are read for use, or of what was read
/// ([`fingerprint_of`]): never afterwards, or a change in between would be missed.
pub fn fingerprint(patterns: &[PathBuf]) -> u64 {
    let files: BTreeSet<PathBuf> = patterns.iter().flat_map(|pattern| expand(pattern)).collect();
    let texts = files.iter().filter_map(|path| Some((path.display().to_string(), std::fs::read_to_string(path).ok()?))).collect();
    fingerprint_of(&texts)
}

/// The same number of texts that were read. `./a.yml` and `a.yml` are one file.
pub fn fingerprint_of(texts: &BTreeMap<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let texts: BTreeMap<PathBuf, &String> = texts.iter().map(|(path, text)| (Path::new(path).components().collect(), text)).collect();
    texts.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_replaced_file_is_noticed_and_a_touched_one_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yml");
        std::fs::write(&file, "one").unwrap();
        let patterns = vec![dir.path().join("*.yml")];
        let before = fingerprint(&patterns);
        let (tell, mut changed) = mpsc::channel(1);
        let mut watch = Watch::new(tell);
        watch.set(directories(&patterns));
        std::fs::write(dir.path().join("a.new"), "two").unwrap();
        std::fs::rename(dir.path().join("a.new"), &file).unwrap();
        tokio::time::timeout(Duration::from_mins(1), changed.recv()).await.unwrap().unwrap();
        let after = fingerprint(&patterns);
        assert_ne!(before, after);
        assert_eq!(after, fingerprint_of(&BTreeMap::from([(file.display().to_string(), "two".to_owned())])));
        let written_otherwise = format!("{}/./a.yml", dir.path().display());
        assert_eq!(after, fingerprint_of(&BTreeMap::from([(written_otherwise, "two".to_owned())])));
        std::fs::write(&file, "two").unwrap();
        assert_eq!(fingerprint(&patterns), after);
        std::fs::write(dir.path().join("b.yml"), "").unwrap();
        assert_ne!(fingerprint(&patterns), after, "a new file is a change");
    }
}
