//! The built-in recorder: every record as a line of packed files, by kind, venue, symbol and day; the oldest removed when all would pass the limit.
//!
//! Owns: its directory (locked against a second process), the threads that gather and write. Must not know: what a payload says.
//!
//! One thread gathers records into lines per stream ([`shelf`]); a few threads (`save_concurrency`) take what is due under the lock, and pack and
//! write it outside ([`segment`], [`archive`]). What a disk refuses is counted and gone; it never comes back into memory.

mod archive;
mod segment;
mod shelf;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use archive::Disk;
pub(crate) use archive::{Archive, Bounds, Destination, RealDisk};
pub(crate) use segment::Packer;
use shelf::{Chunk, Limits, Shelf};

use super::fading::Fading;
use super::{Outlet, Record, Started, Streams, Worker, queue};
use crate::clocks::SharedClock;
use crate::config::RecorderConfig;
use crate::metrics::{Bound, Counter, Gauge, Histogram, Registry, Structure, catalogue as names};
use crate::stream::Stream;

const NAME: &str = "recorder";
/// Records taken from the queue in one go.
const BATCH: usize = 1_024;
/// Records are collected for this long before they are taken, while the queue is less than half full.
const GATHER: Duration = Duration::from_millis(100);
/// Writers look again after this, when nobody has woken them.
const LOOK: Duration = Duration::from_millis(250);
const DAY_MS: i64 = 86_400_000;

/// What the gatherer and the writers share.
struct Shared<D> {
    shelf: Mutex<Shelf>,
    due: Condvar,
    archive: Archive<D>,
    streams: Streams,
    /// By stream: its directory below the recorder's.
    dirs: Vec<String>,
    clock: SharedClock,
    metrics: Metrics,
    closing: std::sync::atomic::AtomicBool,
}

struct Metrics {
    registry: Arc<Registry>,
    up: Gauge,
    buffered: Gauge,
    held: Structure,
    bytes: Gauge,
    files: Gauge,
    troubled: Gauge,
    rotations: Counter,
    removed: Counter,
    lines: Counter,
    packed: Counter,
    writing: Histogram,
    rotating: Histogram,
    failures: Mutex<Fading>,
    recent: Gauge,
}

/// Opens the directory and starts the threads.
///
/// # Errors
/// When the directory cannot be used, or another process records into it.
pub fn start(config: &RecorderConfig, streams: &Streams, registry: &Arc<Registry>, clock: SharedClock) -> io::Result<Started> {
    start_on(RealDisk, config, streams, (registry, clock))
}

fn start_on<D: Disk + 'static>(
    disk: D,
    config: &RecorderConfig,
    streams: &Streams,
    (registry, clock): (&Arc<Registry>, SharedClock),
) -> io::Result<Started> {
    fs::create_dir_all(&config.dir)?;
    let lock = lock(&config.dir)?;
    let metrics = Metrics::new(registry, config.buffer);
    let bounds =
        Bounds { total: config.max_total, file: config.rotate, age_ms: i64::try_from(config.rotate_after.as_millis()).unwrap_or(i64::MAX), depth: 4 };
    let (archive, recovered) = Archive::open(disk, config.dir.clone(), bounds, streams.len())?;
    metrics.start(config, registry);
    if recovered.torn > 0 {
        registry.counter(&names::RECORDER_TORN, &[]).add(recovered.torn);
        tracing::warn!(
            sink = NAME,
            event = "torn_tail",
            files = recovered.torn,
            bytes = recovered.bytes,
            "what a crash left at the end of files was cut off"
        );
    }
    let limits = Limits { bytes: config.buffer, chunk: (config.buffer / 16).min(256 << 10), flush: config.flush };
    let dirs = streams.iter().map(Stream::labels).map(|[exchange, market, symbol, kind]| format!("{kind}/{exchange}.{market}/{symbol}"));
    let shared = Arc::new(Shared {
        shelf: Mutex::new(Shelf::new(limits, streams.len())),
        due: Condvar::new(),
        archive,
        dirs: dirs.collect(),
        streams: Arc::clone(streams),
        clock,
        metrics,
        closing: std::sync::atomic::AtomicBool::new(false),
    });
    shared.show(shared.archive.tidy());
    let (inlet, outlet) = queue(NAME, config.queue, registry, None);
    let writers = (1..=config.save_concurrency).map(|n| {
        let shared = Arc::clone(&shared);
        std::thread::Builder::new().name(format!("save-{n}")).spawn(move || shared.write_all())
    });
    let writers = writers.collect::<io::Result<Vec<_>>>()?;
    let worker = Worker::spawn(NAME, move || {
        shared.gather(outlet);
        shared.finish(writers);
        drop(lock);
    })?;
    Ok(Started { sink: Box::new(inlet), worker: Some(worker) })
}

// === impl Shared ===

impl<D: Disk> Shared<D> {
    fn gather(&self, mut outlet: Outlet) {
        let mut batch = Vec::with_capacity(BATCH);
        while outlet.take_blocking(&mut batch, BATCH) {
            self.put(&batch);
            batch.clear();
            self.due.notify_one();
            if outlet.has_room() && !outlet.is_closed() {
                std::thread::sleep(GATHER);
            }
        }
    }

    fn put(&self, batch: &[Record]) {
        let now = self.clock.now();
        let day = now.wall_ms.div_euclid(DAY_MS);
        let mut shelf = self.lock();
        for record in batch {
            if let Err(refused) = shelf.put((record.stream, day), now.mono, &record.payload) {
                self.metrics.dropped((1, record.kind.as_str()), refused.as_str());
            }
        }
        self.metrics.holds(&shelf);
    }

    /// A writer's life.
    fn write_all(&self) {
        let mut packer = Packer::new();
        while let Some(chunk) = self.next_chunk() {
            let written = self.write(&mut packer, &chunk);
            let mut shelf = self.lock();
            shelf.done(chunk.stream, self.clock.now().mono, (chunk.lines.len(), written));
            let (troubled, all) = shelf.troubled();
            self.metrics.holds(&shelf);
            drop(shelf);
            self.metrics.troubled.set_count(troubled);
            self.metrics.up.set(if all { 0.0 } else { 1.0 });
        }
    }

    /// What is due next, waited for; `None`: everything is written and nothing will come.
    fn next_chunk(&self) -> Option<Chunk> {
        let mut shelf = self.lock();
        loop {
            let last = self.closing.load(std::sync::atomic::Ordering::Acquire);
            if let Some(chunk) = shelf.take(self.clock.now().mono, last) {
                return Some(chunk);
            }
            if last && shelf.is_empty() {
                return None;
            }
            (shelf, _) = self.due.wait_timeout(shelf, LOOK).unwrap_or_else(PoisonError::into_inner);
            self.metrics.fade(self.clock.now().mono);
        }
    }

    /// Packs and writes a chunk; counts what came of it.
    fn write(&self, packer: &mut Packer, chunk: &Chunk) -> bool {
        let begun = Instant::now();
        let dir = self.dirs.get(chunk.stream).map_or("", String::as_str);
        let to = Destination { stream: chunk.stream, dir, day: chunk.day, now_ms: self.clock.now().wall_ms };
        let packed = packer.member(&chunk.lines);
        let outcome = packed.and_then(|member| Ok((self.archive.write(to, &member)?, member.len())));
        self.metrics.writing.observe_duration(begun.elapsed());
        let kind = self.streams.get(chunk.stream).map_or("", |stream| stream.kind.as_str());
        match outcome {
            Ok((turnover, packed)) => {
                if turnover.rotated {
                    self.metrics.rotating.observe_duration(begun.elapsed());
                }
                self.metrics.registry.counter(&names::SINK_WRITTEN, &[NAME, kind]).add(chunk.records);
                self.metrics.lines.add(chunk.lines.len() as u64);
                self.metrics.packed.add(packed as u64);
                self.show(turnover);
                true
            }
            Err(error) => {
                let reason = reason(&error);
                tracing::error!(sink = NAME, stream = dir, lost = chunk.records, reason, "recorder cannot write: {error}");
                self.metrics.failed(reason, self.clock.now().mono);
                self.metrics.dropped((chunk.records, kind), reason);
                false
            }
        }
    }

    fn finish(&self, writers: Vec<JoinHandle<()>>) {
        self.closing.store(true, std::sync::atomic::Ordering::Release);
        self.due.notify_all();
        for writer in writers {
            if writer.join().is_err() {
                tracing::error!(sink = NAME, "a writer ended by a panic");
            }
        }
        if let Err(error) = self.archive.finish() {
            tracing::error!(sink = NAME, "the last files may not be on the disk: {error}");
            self.metrics.failed(reason(&error), self.clock.now().mono);
        }
    }

    fn show(&self, turnover: archive::Turnover) {
        let (files, bytes) = self.archive.size();
        self.metrics.files.set_count(files);
        self.metrics.bytes.set(bytes as f64);
        self.metrics.rotations.add(u64::from(turnover.rotated));
        self.metrics.removed.add(turnover.removed);
        (0..turnover.stuck).for_each(|_| self.metrics.failed("remove", self.clock.now().mono));
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // The shelf is consistent between its calls: a panic elsewhere does not spoil it.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Metrics ===

impl Metrics {
    fn new(registry: &Arc<Registry>, buffer: usize) -> Self {
        Self {
            registry: Arc::clone(registry),
            up: registry.gauge(&names::SINK_UP, &[NAME]),
            buffered: registry.gauge(&names::RECORDER_BUFFERED, &[]),
            held: Structure::register(registry, "recorder_buffer", Bound::Bytes(buffer)),
            bytes: registry.gauge(&names::RECORDER_BYTES, &[]),
            files: registry.gauge(&names::RECORDER_FILES, &[]),
            troubled: registry.gauge(&names::RECORDER_TROUBLED, &[]),
            rotations: registry.counter(&names::RECORDER_ROTATIONS, &[]),
            removed: registry.counter(&names::RECORDER_REMOVED, &[]),
            lines: registry.counter(&names::RECORDER_LINE_BYTES, &[]),
            packed: registry.counter(&names::RECORDER_PACKED_BYTES, &[]),
            writing: registry.histogram(&names::RECORDER_WRITE_DURATION, &[]),
            rotating: registry.histogram(&names::RECORDER_ROTATION_DURATION, &[]),
            failures: Mutex::default(),
            recent: registry.gauge(&names::SINK_RECENT_ERRORS, &[NAME]),
        }
    }

    fn start(&self, config: &RecorderConfig, registry: &Registry) {
        self.up.set(1.0);
        registry.gauge(&names::RECORDER_BYTES_LIMIT, &[]).set(config.max_total as f64);
        registry.gauge(&names::RECORDER_BUFFER_LIMIT, &[]).set_count(config.buffer);
        registry.counter(&names::RECORDER_TORN, &[]);
    }

    fn holds(&self, shelf: &Shelf) {
        self.buffered.set_count(shelf.bytes());
        self.held.set(shelf.chunks(), shelf.bytes());
    }

    fn failed(&self, reason: &str, now: Duration) {
        self.registry.counter(&names::SINK_ERRORS, &[NAME, reason]).inc();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        self.recent.set(failures.add(1, now));
    }

    fn fade(&self, now: Duration) {
        self.recent.set(self.failures.lock().unwrap_or_else(PoisonError::into_inner).at(now));
    }

    fn dropped(&self, (records, kind): (u64, &str), reason: &str) {
        self.registry.counter(&names::SINK_DROPPED, &[NAME, kind, reason]).add(records);
    }
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk_full",
        io::ErrorKind::ReadOnlyFilesystem => "read_only",
        io::ErrorKind::PermissionDenied => "permission",
        io::ErrorKind::NotFound => "not_found",
        _ => "io",
    }
}

/// Locks the directory for this process; the lock ends with it.
fn lock(dir: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(".lock"))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "another process records into this directory")),
        Err(error) => Err(error.into()),
    }
}
