//! What is done with the disk: the newest samples into a log every few seconds, cuts of the store into blocks, blocks joined, removed and repaired.
//!
//! A cut is everything since the last one. Once its block is on the disk, the log before it is not needed; a block remembers how far the log was then, so that
//! nothing counts twice after a crash between the two. Must not know: threads, queues, the engine.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use promql::labels::Labels;
use promql::series::{Ceilings, Held, Reach, SeriesId, Snapshot, Store, encode_chunks};
use segments::{BlockDir, Disk, Fsync, OnFull, Options, SegmentLog, Span, SystemDisk, Trouble};

use super::history::{History, Recalled};
use super::recent::{Batch, Replay};
use crate::metrics::{Registry, list};

/// Blocks that are joined into one.
const JOINED: usize = 8;
/// The log of the newest samples is cut into a block long before this.
const RECENT_BYTES: u64 = 64 << 20;

/// What is kept.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// The directory.
    pub(super) dir: PathBuf,
    /// How far back, milliseconds.
    pub(super) retention_ms: i64,
    /// Bytes on disk.
    pub(super) size: u64,
}

/// Makes the disks under log and blocks; tests give faulty ones.
pub(super) type MakeDisk = fn() -> Box<dyn Disk>;

/// The disk's keeper. Every operation tries to open what could not be opened before.
#[derive(Debug)]
pub(super) struct Keeper<M = MakeDisk> {
    bounds: Bounds,
    make_disk: M,
    metrics: Arc<Registry>,
    history: Arc<History>,
    files: Option<Files>,
    // unordered: looked up, never iterated
    known: HashMap<SeriesId, Known>,
    next_series: u32,
    /// The store's cut whose block was written last.
    kept: u32,
    newest_ms: i64,
    /// What the last run said of the wall clock.
    offset_ms: i64,
    scrub: VecDeque<u64>,
}

#[derive(Debug)]
struct Files {
    recent: SegmentLog,
    blocks: BlockDir,
}

/// What the log has of a series.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its number in the log; none before its labels are there.
    number: Option<u32>,
    newest_ms: i64,
}

/// The real disk.
pub(super) fn system_disk() -> Box<dyn Disk> {
    Box::new(SystemDisk)
}

// === impl Keeper ===

impl<M: Fn() -> Box<dyn Disk>> Keeper<M> {
    pub(super) fn new(bounds: Bounds, make_disk: M, metrics: Arc<Registry>, history: Arc<History>) -> Self {
        let (files, known, scrub) = (None, HashMap::new(), VecDeque::new());
        Self { bounds, make_disk, metrics, history, files, known, next_series: 0, kept: 0, newest_ms: i64::MIN, offset_ms: 0, scrub }
    }

    /// A store with what was in memory before, and what rules look back on; and what was added to its times to show them in the wall clock's. Whatever the disk
    /// holds, there is a store.
    pub(super) fn restore(&mut self, ceilings: Ceilings, reaches: Vec<Reach>) -> (Store, i64) {
        let mut store = Store::new(ceilings);
        store.set_reaches(reaches);
        store.keep_on_disk();
        if let Err(error) = self.open(Some(&mut store)) {
            self.failed("open", &error);
        }
        if self.newest_ms > i64::MIN {
            store.begin_after(self.newest_ms);
            let newest_ms = store.stats().newest_ms.unwrap_or(self.newest_ms);
            let wants = |labels: &Labels| (store.keep_ms(labels), store.oldest_of(labels));
            let recalled = self.read_back(newest_ms, store.longest_keep_ms(), ceilings.memory_bytes / 2, wants);
            put_back(&mut store, recalled);
        }
        // What came from the disk need not go there again.
        self.known = store.snapshot().each().map(|held| (held.id(), known(held))).collect();
        (store, self.offset_ms)
    }

    /// What a store with these bounds wants besides what it holds.
    pub(super) fn recall(&mut self, ceilings: Ceilings, reaches: Vec<Reach>, held: &Snapshot) -> Recalled {
        let mut wanted = Store::new(ceilings);
        wanted.set_reaches(reaches);
        let oldest: HashMap<&Labels, i64> = held.each().filter_map(|held| Some((held.labels(), held.oldest_ms()?))).collect();
        let newest_ms = held.each().filter_map(Held::newest_ms).max().unwrap_or(self.newest_ms);
        let wants = |labels: &Labels| (wanted.keep_ms(labels), oldest.get(labels).copied());
        self.read_back(newest_ms, wanted.longest_keep_ms(), ceilings.memory_bytes / 4, wants)
    }

    /// Reads history; what turns out to be damaged is set right first.
    fn read_back(&mut self, newest_ms: i64, longest_ms: i64, budget: usize, wants: impl Fn(&Labels) -> (i64, Option<i64>)) -> Recalled {
        loop {
            let recalled = self.history.recall(newest_ms, longest_ms, budget, &wants);
            if !self.mend() {
                return recalled;
            }
        }
    }

    /// Writes what is new since the last time.
    pub(super) fn flush(&mut self, series: &Snapshot, offset_ms: i64) -> Result<(), String> {
        let outcome = self.try_flush(series, offset_ms);
        self.settle("recent", outcome)
    }

    /// Writes the chunks of the cuts since the last one written, up to `cut`, as a block.
    pub(super) fn cut(&mut self, cut: u32, series: &Snapshot) -> Result<(), String> {
        let outcome = self.try_cut(cut, series);
        self.settle("block", outcome)
    }

    /// The cut whose block was written last.
    pub(super) fn kept(&self) -> u32 {
        self.kept
    }

    /// Whether the log of the newest samples should be cut into a block, however little time has passed.
    pub(super) fn is_crowded(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.recent.bytes() > RECENT_BYTES / 2)
    }

    /// Reads one block through; whether there are more.
    pub(super) fn scrub(&mut self) -> bool {
        if let Some(number) = self.scrub.pop_front() {
            self.repair(number);
        }
        !self.scrub.is_empty()
    }

    /// Sees to what readers found damaged; whether anything was set right.
    pub(super) fn mend(&mut self) -> bool {
        let damaged = std::mem::take(&mut *self.history.damaged.lock().unwrap_or_else(PoisonError::into_inner));
        damaged.into_iter().filter(|number| self.repair(*number)).count() > 0
    }

    fn repair(&mut self, number: u64) -> bool {
        let Some(files) = &mut self.files else { return false };
        let Some(trouble) = files.blocks.repair(number) else { return false };
        let blocks = files.blocks.blocks().to_vec();
        self.tell(&trouble);
        self.history.blocks.store(Arc::new(blocks));
        self.measure();
        matches!(trouble, Trouble::Quarantined { .. })
    }

    fn open(&mut self, store: Option<&mut Store>) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let (blocks, found) = BlockDir::open((self.make_disk)(), &self.bounds.dir.join("blocks")).map_err(|error| told(&error))?;
        found.troubles.iter().for_each(|trouble| self.tell(trouble));
        let options = Options { segment_bytes: 1 << 20, total_bytes: RECENT_BYTES, on_full: OnFull::Refuse };
        let (mut recent, found) = SegmentLog::open_on((self.make_disk)(), &self.bounds.dir.join("recent"), options).map_err(|error| told(&error))?;
        found.troubles.iter().for_each(|trouble| self.tell(trouble));
        let covered = blocks.blocks().iter().map(|block| block.meta().tag).max().unwrap_or(0);
        // Should the log's files be gone, new records must still count as later than the blocks.
        recent.skip_to(covered + 1);
        self.newest_ms = blocks.blocks().iter().map(|block| block.meta().span.to).max().unwrap_or(i64::MIN).max(self.newest_ms);
        self.scrub = blocks.blocks().iter().map(|block| block.meta().number).collect();
        self.history.blocks.store(Arc::new(blocks.blocks().to_vec()));
        if let Some(store) = store {
            self.replay(&recent, covered, store);
        }
        self.files = Some(Files { recent, blocks });
        self.measure();
        Ok(())
    }

    /// Brings the log's samples back into the store.
    fn replay(&mut self, recent: &SegmentLog, covered: u64, store: &mut Store) {
        let mut replay = Replay::default();
        let mut refused = 0_u64;
        for record in recent.read_from(covered + 1) {
            match record {
                Ok(record) => replay.read(&record.payload, |labels, sample| refused += u64::from(store.append_to(labels, sample).is_err())),
                Err(error) => tracing::error!(%error, "samples of before the start cannot be read"),
            }
        }
        if replay.lost + refused > 0 {
            tracing::error!(lost = replay.lost, refused, "some samples of before the start did not come back");
        }
        (self.next_series, self.offset_ms) = (replay.next_series(), replay.offset_ms);
        self.newest_ms = self.newest_ms.max(store.stats().newest_ms.unwrap_or(i64::MIN));
    }

    fn files(&mut self) -> Result<&mut Files, String> {
        if self.files.is_none() {
            self.open(None)?;
        }
        self.files.as_mut().ok_or_else(|| "not open".to_owned())
    }

    fn try_flush(&mut self, series: &Snapshot, offset_ms: i64) -> Result<(), String> {
        self.files()?;
        let mut batch = Batch::new(offset_ms);
        let mut written = Vec::new();
        for held in series.each() {
            let Some(newest_ms) = held.newest_ms() else { continue };
            let before = self.known.get(&held.id()).copied().unwrap_or(Known { number: None, newest_ms: i64::MIN });
            if newest_ms <= before.newest_ms {
                continue;
            }
            let number = before.number.unwrap_or(self.next_series);
            self.next_series = self.next_series.max(number.saturating_add(1));
            batch.push(number, before.number.is_none().then(|| held.labels()), &held.chunks_after(before.newest_ms));
            written.push((held.id(), Known { number: Some(number), newest_ms }));
            if batch.is_long() {
                self.write_part(&batch.take(), &mut written, Fsync::Later)?;
            }
        }
        self.write_part(&batch.into_records(), &mut written, Fsync::Now)?;
        self.offset_ms = offset_ms;
        Ok(())
    }

    /// Writes a part of a flush, and notes what is in it as written: the first flush holds the labels of every series, and would else be in memory three times.
    fn write_part(&mut self, records: &[Vec<u8>], written: &mut Vec<(SeriesId, Known)>, fsync: Fsync) -> Result<(), String> {
        let payloads: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        self.files()?.recent.append(&payloads, fsync).map_err(|error| error.to_string())?;
        self.newest_ms = written.iter().map(|(_, known)| known.newest_ms).max().unwrap_or(i64::MIN).max(self.newest_ms);
        self.known.extend(written.drain(..));
        Ok(())
    }

    fn try_cut(&mut self, cut: u32, series: &Snapshot) -> Result<(), String> {
        let (kept, offset_ms) = (self.kept, self.offset_ms);
        let files = self.files()?;
        let tag = files.recent.next_sequence().saturating_sub(1);
        let mut all: Vec<Held<'_>> = series.each().filter(|held| held.chunks(kept, cut).next().is_some()).collect();
        all.sort_by(|a, b| a.labels().cmp(b.labels()));
        let entries = all.iter().map(|held| {
            let chunks = || held.chunks(kept, cut);
            let oldest_ms = chunks().map(promql::series::Chunk::start_ms).min().unwrap_or(i64::MAX);
            let newest_ms = chunks().map(promql::series::Chunk::end_ms).max().unwrap_or(i64::MIN);
            (held.labels().packed().as_bytes(), Span { from: oldest_ms, to: newest_ms }, encode_chunks(chunks()))
        });
        files.blocks.add(tag, entries).map_err(|error| error.to_string())?;
        if let Err(error) = files.recent.remove_through(tag) {
            // It stays until the next cut; the block says that it is not needed.
            tracing::warn!(%error, "the log of the newest samples is not shortened");
        }
        for head in Batch::new(offset_ms).into_records() {
            // Should it fail, the next write says it again.
            files.recent.append(&[head.as_slice()], Fsync::Later).ok();
        }
        let blocks = files.blocks.blocks().to_vec();
        self.history.blocks.store(Arc::new(blocks));
        self.kept = cut;
        self.known = series.each().map(|held| (held.id(), known(held))).collect();
        self.newest_ms = series.each().filter_map(Held::newest_ms).max().unwrap_or(i64::MIN).max(self.newest_ms);
        self.tidy();
        Ok(())
    }

    /// Joins small blocks, and removes what is past the bounds.
    fn tidy(&mut self) {
        let (Bounds { retention_ms, size, .. }, newest_ms) = (self.bounds.clone(), self.newest_ms);
        let Some(files) = &mut self.files else { return };
        if let Some((first, last)) = joinable(&files.blocks, retention_ms / 8)
            && let Err(error) = files.blocks.join(first, last)
        {
            tracing::warn!(%error, "blocks are not joined; they stay as they are");
        }
        while let Some(oldest) = files.blocks.blocks().first() {
            let span = oldest.meta().span;
            let reason = if span.to < newest_ms.saturating_sub(retention_ms) {
                "retention"
            } else if files.blocks.bytes() + files.recent.bytes() > size {
                tracing::warn!(size, oldest_ms = span.to, "series on disk reached storage.size: the oldest go before their time");
                "size"
            } else {
                break;
            };
            if let Err(error) = files.blocks.remove_oldest() {
                tracing::error!(%error, "the oldest block cannot be removed");
                break;
            }
            self.metrics.add(&list::STORAGE_REMOVED, &[reason], 1.0);
        }
        let blocks = files.blocks.blocks().to_vec();
        self.history.blocks.store(Arc::new(blocks));
        self.measure();
    }

    fn measure(&self) {
        let Some(files) = &self.files else { return };
        let blocks = files.blocks.blocks();
        self.metrics.set(&list::STORAGE_BYTES, &[], (files.blocks.bytes() + files.recent.bytes()) as f64);
        self.metrics.set(&list::STORAGE_BLOCKS, &[], blocks.len() as f64);
        if let Some(oldest) = blocks.first() {
            self.metrics.set(&list::STORAGE_OLDEST, &[], oldest.meta().span.from as f64 / 1000.0);
        }
    }

    fn settle(&self, what: &'static str, outcome: Result<(), String>) -> Result<(), String> {
        self.metrics.add(&list::STORAGE_WRITES, &[what, if outcome.is_ok() { "ok" } else { "failed" }], 1.0);
        match &outcome {
            Ok(()) => {
                if self.metrics.get(&list::STORAGE_OK, &[]) == Some(0.0) {
                    tracing::info!("series are written to disk again");
                }
                self.metrics.flag(&list::STORAGE_OK, &[], true);
                self.measure();
            }
            Err(error) => self.failed(what, error),
        }
        outcome
    }

    fn failed(&self, what: &str, error: &str) {
        if self.metrics.get(&list::STORAGE_OK, &[]) != Some(0.0) {
            tracing::error!(what, error, "series are not written to disk; alerting goes on from memory");
        }
        self.metrics.flag(&list::STORAGE_OK, &[], false);
    }

    fn tell(&self, trouble: &Trouble) {
        self.metrics.add(&list::STORAGE_TROUBLES, &[trouble.as_str()], 1.0);
        if matches!(trouble, Trouble::TornTail { .. }) {
            tracing::warn!(%trouble, "series on disk: the last write was cut short");
        } else {
            tracing::error!(%trouble, "series on disk were damaged; what is sound is kept");
        }
    }
}

/// Puts back what was recalled; what overlaps by now is left out.
pub fn put_back(store: &mut Store, recalled: Recalled) {
    for (labels, chunks) in recalled.series {
        if let Err(error) = store.restore(&labels, chunks) {
            tracing::debug!(%labels, %error, "history not taken back");
        }
    }
    if let Some(until_ms) = recalled.missing_until_ms {
        store.missing_until(until_ms);
    }
}

fn known(held: Held<'_>) -> Known {
    Known { number: None, newest_ms: held.newest_ms().unwrap_or(i64::MIN) }
}

/// The oldest run of blocks of about one length that together span at most `most_ms`.
fn joinable(blocks: &BlockDir, most_ms: i64) -> Option<(u64, u64)> {
    let length = |span: Span| span.to.saturating_sub(span.from).max(1);
    blocks.blocks().windows(JOINED).find_map(|run| {
        let spans = run.iter().map(|block| block.meta().span);
        let all = spans.clone().reduce(Span::with)?;
        let longest = spans.map(length).max()?;
        let alike = longest <= length(all) / 2;
        (alike && length(all) <= most_ms).then_some((run.first()?.meta().number, run.last()?.meta().number))
    })
}

/// Where a store's files are in the data directory.
pub(super) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("series")
}

#[cfg(test)]
mod tests;
