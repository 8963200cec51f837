//! Series on disk: what memory need not hold, and what shall be there again after a restart.
//!
//! Owns: the thread that does it (a dying disk may block it, and nobody else), when the newest samples are written and when the store is cut.
//! Must not know: rules, HTTP. The engine hands over snapshots and never waits for the disk after its start.
//!
//! * Every [`FLUSH_EVERY`] the newest samples go to a log with one fsync: killing the process or losing power costs at most that.
//! * Every [`CUT_EVERY`], or when an eighth of the memory is full of it, everything since the last cut becomes a block, which can be read by series and time.
//! * When the disk takes nothing, samples stay in memory as long as there is room, and are written when it does again.

mod history;
mod keeper;
mod recent;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use promql::series::{Ceilings, Reach, Snapshot, Store};
use tokio::sync::oneshot;

use self::keeper::{Bounds, Keeper, system_disk};
use crate::metrics::{Registry, list};

pub use history::{Asked, History, Recalled};
pub use keeper::put_back;

/// Between two writes of the newest samples: what killing the process may cost.
pub const FLUSH_EVERY: Duration = Duration::from_secs(15);
/// Between two cuts.
pub const CUT_EVERY: Duration = Duration::from_hours(2);
/// A cut that failed is tried again after this.
const CUT_AGAIN: Duration = Duration::from_mins(5);
/// Jobs that may wait for the disk.
const WAITING: usize = 4;
/// How long the start waits for the disk, and the end for the last write.
const START_WITHIN: Duration = Duration::from_secs(20);
const END_WITHIN: Duration = Duration::from_secs(5);
/// Between two blocks that are read through to find damage, and between two rounds.
const SCRUB_EVERY: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(3);

/// The engine's end.
#[derive(Debug)]
pub struct Storage {
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    metrics: Arc<Registry>,
    /// When the newest samples were handed over last, and the store cut last; monotonic.
    flushed: Option<Duration>,
    cut: Option<(Duration, u32)>,
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Shared {
    kept: AtomicU32,
    wants_cut: AtomicBool,
}

enum Job {
    Restore(Ceilings, Vec<Reach>, oneshot::Sender<(Store, i64)>),
    /// The store, and the distance of the wall clock's time to its own.
    Flush(Snapshot, i64),
    Cut(u32, Snapshot, i64),
    Recall(Ceilings, Vec<Reach>, Snapshot, oneshot::Sender<Recalled>),
    End(oneshot::Sender<()>),
}

// === impl Storage ===

impl Storage {
    /// Starts the thread. `retention` and `size` bound what is on disk; what is there is read through `history`.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(data_dir: &Path, retention: Duration, size: u64, around: (Arc<Registry>, Arc<History>)) -> std::io::Result<Self> {
        let (metrics, history) = around;
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let bounds = Bounds { dir: keeper::directory(data_dir), retention_ms, size };
        let keeper = Keeper::new(bounds, system_disk as keeper::MakeDisk, metrics.clone(), history);
        let (jobs, inbox) = sync_channel(WAITING);
        let shared = Arc::new(Shared::default());
        let told = shared.clone();
        std::thread::Builder::new().name("series-disk".to_owned()).spawn(move || work(keeper, &inbox, &told))?;
        metrics.set(&list::QUEUE_CAPACITY, &["storage"], WAITING as f64);
        metrics.flag(&list::STORAGE_OK, &[], true);
        // A counter that begins at 1 has no increase to alert on.
        metrics.add(&list::SERIES_REFUSED, &[], 0.0);
        for trouble in ["torn_tail", "quarantined", "unrepaired"] {
            metrics.add(&list::STORAGE_TROUBLES, &[trouble], 0.0);
        }
        Ok(Self { jobs, shared, metrics, flushed: None, cut: None })
    }

    /// The store as it was before the start (the newest samples, and the history that these reaches ask for), and the distance of the wall clock's time to its own.
    /// An empty one when the disk does not answer.
    pub async fn restore(&self, ceilings: Ceilings, reaches: Vec<Reach>) -> (Store, i64) {
        let (to, from) = oneshot::channel();
        let asked = self.jobs.try_send(Job::Restore(ceilings, reaches, to)).is_ok();
        let answer = tokio::time::timeout(START_WITHIN, from).await;
        if let (true, Ok(Ok(restored))) = (asked, answer) {
            return restored;
        }
        tracing::error!("the disk does not answer; starting without the series of before");
        self.metrics.flag(&list::STORAGE_OK, &[], false);
        let mut store = Store::new(ceilings);
        store.keep_on_disk();
        (store, 0)
    }

    /// Does what is due at `mono`; takes a snapshot of the store now and then, and never waits. `offset_ms` is added to its times to show them.
    pub fn keep(&mut self, mono: Duration, store: &mut Store, offset_ms: i64) {
        store.kept_through(self.shared.kept.load(Ordering::Acquire));
        if self.flushed.is_some_and(|last| mono.saturating_sub(last) < FLUSH_EVERY) {
            return;
        }
        self.flushed = Some(mono);
        let job = if self.wants_cut(mono, store) {
            let (cut, series) = store.cut();
            self.cut = Some((mono, cut));
            Job::Cut(cut, series, offset_ms)
        } else {
            Job::Flush(store.snapshot(), offset_ms)
        };
        self.hand_over(job);
    }

    fn wants_cut(&mut self, mono: Duration, store: &Store) -> bool {
        let (at, cut) = *self.cut.get_or_insert((mono, 0));
        let passed = mono.saturating_sub(at);
        if self.shared.kept.load(Ordering::Acquire) < cut {
            return passed >= CUT_AGAIN;
        }
        let full = store.unkept_bytes() >= store.ceilings().memory_bytes / 8;
        passed >= CUT_EVERY || full || self.shared.wants_cut.load(Ordering::Relaxed)
    }

    /// A full queue means that the disk does not keep up: what is dropped comes with the next snapshot.
    fn hand_over(&self, job: Job) {
        if self.jobs.try_send(job).is_err() {
            self.metrics.add(&list::QUEUE_DROPPED, &["storage"], 1.0);
            self.metrics.flag(&list::STORAGE_OK, &[], false);
        }
    }

    /// Asks for history that new rules look back on; it comes later, or not at all.
    pub fn recall(&self, store: &Store) -> oneshot::Receiver<Recalled> {
        let (to, from) = oneshot::channel();
        self.hand_over(Job::Recall(store.ceilings(), store.reaches().to_vec(), store.snapshot(), to));
        from
    }

    /// Writes the newest samples a last time.
    pub async fn end(self, store: &Store, offset_ms: i64) {
        let (to, from) = oneshot::channel();
        self.hand_over(Job::Flush(store.snapshot(), offset_ms));
        self.hand_over(Job::End(to));
        if tokio::time::timeout(END_WITHIN, from).await.is_err() {
            tracing::error!("the last samples are perhaps not on disk");
        }
    }
}

fn work(mut keeper: Keeper, inbox: &Receiver<Job>, shared: &Shared) {
    let mut more_to_scrub = true;
    loop {
        let job = match inbox.recv_timeout(if more_to_scrub { SCRUB_EVERY } else { IDLE }) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                keeper.mend();
                more_to_scrub = keeper.scrub();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match job {
            Job::Restore(ceilings, reaches, answer) => {
                let _ = answer.send(keeper.restore(ceilings, reaches));
            }
            // What went wrong is told by the keeper, and tried again with the next snapshot.
            Job::Flush(series, offset_ms) => drop(keeper.flush(&series, offset_ms)),
            Job::Cut(cut, series, offset_ms) => drop(keeper.flush(&series, offset_ms).and_then(|()| keeper.cut(cut, &series))),
            Job::Recall(ceilings, reaches, series, answer) => {
                let _ = answer.send(keeper.recall(ceilings, reaches, &series));
            }
            Job::End(answer) => {
                let _ = answer.send(());
                return;
            }
        }
        shared.kept.store(keeper.kept(), Ordering::Release);
        shared.wants_cut.store(keeper.is_crowded(), Ordering::Relaxed);
    }
}
