//! The state of each restart on disk: one small JSON file a target, replaced whole, on a thread of its own so that a dying disk blocks nobody.
//!
//! Owns: write, sync, rename, sync of the directory. Must not know: what the state means.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use process::restart::Saved;
use tokio::sync::oneshot;

use crate::metrics::{Registry, list};

/// After this long the write is taken for failed, and restarts go on from memory.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Writes that may wait for the disk.
const WAITING: usize = 16;
const NAME: &str = "restarts";

struct Job {
    path: PathBuf,
    bytes: Vec<u8>,
    done: oneshot::Sender<io::Result<()>>,
}

/// The files, and the thread that writes them.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    jobs: SyncSender<Job>,
    metrics: Arc<Registry>,
    ok: bool,
}

// === impl Store ===

impl Store {
    /// A store in `dir`, which is made when it is missing. When it cannot be made, every write is told as failed until it can.
    pub(super) fn start(dir: PathBuf, metrics: Arc<Registry>) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel(WAITING);
        std::thread::Builder::new().name("restarts-disk".into()).spawn(move || work(&inbox))?;
        metrics.set(&list::JOURNAL_OK, &[NAME], 1.0);
        Ok(Self { dir, jobs, metrics, ok: true })
    }

    /// What was saved of a target. A file that cannot be read is set aside and counts as none: a restart guard that forgets is better than none at all.
    pub(super) fn load(&self, name: &str) -> Saved {
        let path = self.path(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Saved::default(),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the state of a restart cannot be read; starting without");
                return Saved::default();
            }
        };
        serde_json::from_str(&text).unwrap_or_else(|error| {
            let aside = path.with_extension("corrupt");
            let kept = std::fs::rename(&path, &aside).is_ok();
            tracing::error!(path = %path.display(), %error, kept, "the state of a restart is damaged; it was set aside");
            Saved::default()
        })
    }

    /// Writes the state; when this returns it is on disk, or the trouble was told and the caller goes on.
    pub(super) async fn save(&mut self, name: &str, saved: &Saved) {
        let started = Instant::now();
        let result = self.write(name, saved).await;
        self.metrics.set(&list::JOURNAL_SECONDS, &[NAME], started.elapsed().as_secs_f64());
        self.metrics.add(&list::JOURNAL_WRITES, &[NAME, if result.is_ok() { "ok" } else { "failed" }], 1.0);
        self.metrics.flag(&list::JOURNAL_OK, &[NAME], result.is_ok());
        match &result {
            Err(error) => tracing::error!(restart = name, %error, "the state of a restart is not on disk; it lives in memory until a write succeeds"),
            Ok(()) if !self.ok => tracing::info!("the state of restarts is on disk again"),
            Ok(()) => {}
        }
        self.ok = result.is_ok();
    }

    async fn write(&self, name: &str, saved: &Saved) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(saved).map_err(io::Error::other)?;
        let (done, written) = oneshot::channel();
        self.jobs.try_send(Job { path: self.path(name), bytes, done }).map_err(|_| io::Error::other("the disk does not keep up"))?;
        match tokio::time::timeout(WRITE_WITHIN, written).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(io::Error::other("the disk thread has ended")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer")),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }
}

fn work(inbox: &Receiver<Job>) {
    while let Ok(job) = inbox.recv() {
        let result = write(&job);
        // The writer may have given up waiting.
        let _ = job.done.send(result);
    }
}

fn write(job: &Job) -> io::Result<()> {
    if let Some(dir) = job.path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    segments::write_atomic(&segments::SystemDisk, &job.path, &job.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_saved_is_loaded_and_damage_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Registry::default());
        let mut store = Store::start(dir.path().join("restarts"), metrics.clone()).unwrap();
        assert_eq!(store.load("a"), Saved::default());
        let saved = Saved { held: true, ..Saved::default() };
        store.save("a", &saved).await;
        assert_eq!(store.load("a"), saved);
        std::fs::write(store.path("a"), "{\"ledger\"").unwrap();
        assert_eq!(store.load("a"), Saved::default());
        assert!(store.path("a").with_extension("corrupt").exists());
        assert_eq!(metrics.get(&list::JOURNAL_OK, &[NAME]), Some(1.0));
    }

    #[tokio::test]
    async fn a_dead_disk_is_told_and_does_not_stop_anything() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Registry::default());
        let mut store = Store::start(dir.path().join("restarts"), metrics.clone()).unwrap();
        std::fs::write(dir.path().join("restarts"), "in the way").unwrap();
        store.save("a", &Saved::default()).await;
        assert_eq!(metrics.get(&list::JOURNAL_OK, &[NAME]), Some(0.0));
        std::fs::remove_file(dir.path().join("restarts")).unwrap();
        store.save("a", &Saved::default()).await;
        assert_eq!(metrics.get(&list::JOURNAL_OK, &[NAME]), Some(1.0));
    }
}
