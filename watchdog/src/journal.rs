//! State that survives SIGKILL: records of an engine on disk before what follows from them is done.
//!
//! Owns: one thread a journal (a dying disk may block it, and nobody else), one fsync a batch, compaction, going on from memory when the disk is dead, and
//! making the disk whole again when it comes back. Must not know: what a record means.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use segments::{JournalOptions, Restored};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::metrics::{Registry, list};

/// After this long a write is taken for failed, and the engine goes on from memory.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Batches that may wait for the disk.
const WAITING: usize = 16;

/// The engine's end of a journal.
#[derive(Debug)]
pub struct Journal {
    name: &'static str,
    jobs: SyncSender<Job>,
    metrics: Arc<Registry>,
    /// Something is not on disk: the next success must be a snapshot.
    behind: bool,
    /// The disk's end wants a snapshot.
    wants_snapshot: bool,
}

#[derive(Debug)]
enum Job {
    Append(Vec<Vec<u8>>, oneshot::Sender<Result<Written, String>>),
    Snapshot(Vec<u8>, oneshot::Sender<Result<Written, String>>),
}

#[derive(Clone, Copy, Debug)]
struct Written {
    wants_snapshot: bool,
}

/// The disk's end.
struct Disk {
    name: &'static str,
    dir: PathBuf,
    journal: Option<segments::Journal>,
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `dir` and gives the records that were kept, oldest first. A journal that cannot be opened is tried again with every write; a record
    /// that cannot be read is told and left out: alerting starts whatever the disk holds.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn open<R: DeserializeOwned>(name: &'static str, dir: PathBuf, metrics: Arc<Registry>) -> std::io::Result<(Self, Vec<R>)> {
        let mut disk = Disk { name, dir, journal: None };
        let restored = disk.open().unwrap_or_else(|error| {
            tracing::error!(journal = name, error, "the journal cannot be opened; state lives in memory until it can");
            Restored::default()
        });
        let behind = disk.journal.is_none();
        metrics.flag(&list::JOURNAL_OK, &[name], !behind);
        let snapshot = restored.snapshot.unwrap_or_default();
        let lines = snapshot.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = lines.chain(restored.records.iter().map(|record| record.payload.as_slice())).filter_map(|line| read(name, line)).collect();
        let (jobs, inbox) = sync_channel(WAITING);
        std::thread::Builder::new().name(format!("{name}-disk")).spawn(move || disk.work(&inbox))?;
        Ok((Self { name, jobs, metrics, behind, wants_snapshot: false }, records))
    }

    /// Appends a batch; when this returns it is on disk, or the trouble was told and the engine goes on from memory.
    pub async fn append<R: Serialize>(&mut self, records: &[R]) {
        if records.is_empty() {
            return;
        }
        let lines: Vec<Vec<u8>> = records.iter().filter_map(|record| line(self.name, record)).collect();
        self.write(|done| Job::Append(lines, done)).await;
    }

    /// Whether [`snapshot`](Self::snapshot) should be called now: the log has grown, or the disk missed something.
    pub fn wants_snapshot(&self) -> bool {
        self.wants_snapshot
    }

    /// Replaces everything so far by the records that amount to the present state.
    pub async fn snapshot<R: Serialize>(&mut self, records: &[R]) {
        let mut state = Vec::new();
        for record in records.iter().filter_map(|record| line(self.name, record)) {
            state.extend_from_slice(&record);
            state.push(b'\n');
        }
        if self.write(|done| Job::Snapshot(state, done)).await {
            self.behind = false;
        }
        self.wants_snapshot = false;
    }

    async fn write(&mut self, job: impl FnOnce(oneshot::Sender<Result<Written, String>>) -> Job) -> bool {
        let started = Instant::now();
        let (done, written) = oneshot::channel();
        let result = match self.jobs.try_send(job(done)) {
            Err(_) => Err("the disk does not keep up".to_owned()),
            Ok(()) => match tokio::time::timeout(WRITE_WITHIN, written).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err("the disk thread has ended".to_owned()),
                Err(_) => Err("the disk does not answer".to_owned()),
            },
        };
        self.metrics.set(&list::JOURNAL_SECONDS, &[self.name], started.elapsed().as_secs_f64());
        self.metrics.add(&list::JOURNAL_WRITES, &[self.name, if result.is_ok() { "ok" } else { "failed" }], 1.0);
        self.metrics.flag(&list::JOURNAL_OK, &[self.name], result.is_ok());
        match result {
            Ok(written) => {
                if self.behind {
                    tracing::info!(journal = self.name, "the disk takes writes again; writing the whole state");
                }
                self.wants_snapshot = written.wants_snapshot || self.behind;
                true
            }
            Err(error) => {
                tracing::error!(journal = self.name, error, "state is not on disk; alerting goes on from memory");
                self.behind = true;
                false
            }
        }
    }
}

// === impl Disk ===

impl Disk {
    fn open(&mut self) -> Result<Restored, String> {
        let (journal, restored) = segments::Journal::open(&self.dir, JournalOptions::default()).map_err(|error| error.to_string())?;
        for trouble in &restored.recovery.troubles {
            tracing::error!(journal = self.name, %trouble, "the journal was damaged; what could be read is kept");
        }
        self.journal = Some(journal);
        Ok(restored)
    }

    fn work(mut self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            let (result, done) = match job {
                Job::Append(lines, done) => (self.append(&lines), done),
                Job::Snapshot(state, done) => (self.snapshot(&state), done),
            };
            // The engine may have given up waiting.
            let _ = done.send(result);
        }
    }

    fn append(&mut self, lines: &[Vec<u8>]) -> Result<Written, String> {
        let payloads: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let journal = self.opened()?;
        journal.append(&payloads).map_err(|error| error.to_string())?;
        Ok(Written { wants_snapshot: journal.wants_snapshot() })
    }

    fn snapshot(&mut self, state: &[u8]) -> Result<Written, String> {
        self.opened()?.snapshot(state).map_err(|error| error.to_string())?;
        Ok(Written { wants_snapshot: false })
    }

    /// The journal, opened now if it could not be before. What it then holds is older than what the engine knows.
    fn opened(&mut self) -> Result<&mut segments::Journal, String> {
        if self.journal.is_none() {
            self.open()?;
        }
        self.journal.as_mut().ok_or_else(|| "not open".to_owned())
    }
}

fn line<R: Serialize>(name: &str, record: &R) -> Option<Vec<u8>> {
    let written = serde_json::to_vec(record);
    written.inspect_err(|error| tracing::error!(journal = name, %error, "a record cannot be written")).ok()
}

fn read<R: DeserializeOwned>(name: &str, line: &[u8]) -> Option<R> {
    let read = serde_json::from_slice(line);
    read.inspect_err(|error| tracing::error!(journal = name, %error, "a record of the journal cannot be read; it is left out")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &std::path::Path) -> (Journal, Vec<String>, Arc<Registry>) {
        let metrics = Arc::new(Registry::default());
        let (journal, records) = Journal::open("test", dir.to_path_buf(), metrics.clone()).unwrap();
        (journal, records, metrics)
    }

    #[tokio::test]
    async fn what_was_appended_is_there_again_after_a_snapshot_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (mut journal, records, _) = open(&path);
        assert!(records.is_empty());
        journal.append(&["a", "b"]).await;
        journal.snapshot(&["ab"]).await;
        journal.append(&["c\nd"]).await;
        drop(journal);
        let deadline = Instant::now() + Duration::from_secs(10);
        // The thread lets the directory go a moment after its handle.
        let records = loop {
            let (_journal, records, _) = open(&path);
            if !records.is_empty() || Instant::now() > deadline {
                break records;
            }
        };
        assert_eq!(records, ["ab", "c\nd"]);
    }

    #[tokio::test]
    async fn a_disk_that_dies_is_told_and_made_whole_when_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        std::fs::write(&path, "a file where the directory should be").unwrap();
        let (mut journal, _, metrics) = open(&path);
        assert_eq!(metrics.get(&list::JOURNAL_OK, &["test"]), Some(0.0));
        journal.append(&["lost to the disk, not to memory"]).await;
        assert!(!journal.wants_snapshot());
        std::fs::remove_file(&path).unwrap();
        journal.append(&["b"]).await;
        assert!(journal.wants_snapshot(), "the whole state is wanted");
        journal.snapshot(&["whole"]).await;
        assert_eq!(metrics.get(&list::JOURNAL_OK, &["test"]), Some(1.0));
        journal.append(&["c"]).await;
        assert!(!journal.wants_snapshot());
    }
}
