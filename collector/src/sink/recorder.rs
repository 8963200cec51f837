//! The built-in recorder: JSON lines in files of one directory, rotated, the oldest removed when all together would pass the limit.
//!
//! Owns: its directory (locked against a second process), its files `records-<UTC>-<n>.jsonl`. Must not know: what a payload says.
//! A line is `{"subject":"…","data":{…}}`. A new file is begun at every start and after every write error, so a torn last line stays a last line.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ByKind, Outlet, Record, Started, Streams, Worker, queue};
use crate::clocks::SharedClock;
use crate::config::RecorderConfig;
use crate::metrics::{Counter, Gauge, Registry, catalogue as names};
use crate::utc;

const NAME: &str = "recorder";
/// Records written in one go.
const BATCH: usize = 1_024;
/// Records are collected for this long before they are written, while the queue is less than half full.
const GATHER: Duration = Duration::from_millis(100);
/// After a write error, at least this long until the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// The thread's state.
struct Recorder {
    config: RecorderConfig,
    streams: Streams,
    clock: SharedClock,
    /// Ours on disk, oldest first, with their sizes; the open one is the last.
    files: VecDeque<(PathBuf, u64)>,
    open: Option<BufWriter<File>>,
    /// Numbers the files of this run.
    running: u64,
    retry_at: Option<Instant>,
    metrics: Metrics,
    /// Held for its lock.
    _lock: File,
}

struct Metrics {
    registry: Arc<Registry>,
    written: ByKind,
    up: Gauge,
    bytes: Gauge,
    files: Gauge,
    rotations: Counter,
    removed: Counter,
}

/// Opens the directory and starts the thread.
///
/// # Errors
/// When the directory cannot be made, or another process records into it.
pub fn start(config: &RecorderConfig, streams: &Streams, registry: &Arc<Registry>, clock: SharedClock) -> io::Result<Started> {
    let (inlet, outlet) = queue(NAME, config.queue, registry, None);
    let mut recorder = Recorder::open(config.clone(), Arc::clone(streams), registry, clock)?;
    let worker = Worker::spawn(NAME, move || recorder.run(outlet))?;
    Ok(Started { sink: Box::new(inlet), worker: Some(worker) })
}

// === impl Recorder ===

impl Recorder {
    fn open(config: RecorderConfig, streams: Streams, registry: &Arc<Registry>, clock: SharedClock) -> io::Result<Self> {
        fs::create_dir_all(&config.dir)?;
        let lock = lock(&config.dir)?;
        let files = existing(&config.dir)?;
        registry.gauge(&names::RECORDER_BYTES_LIMIT, &[]).set(config.max_total as f64);
        let metrics = Metrics::new(registry);
        let mut recorder = Self { config, streams, clock, files, open: None, running: 0, retry_at: None, metrics, _lock: lock };
        recorder.make_room(0);
        recorder.metrics.up.set(1.0);
        recorder.metrics.show(&recorder.files);
        Ok(recorder)
    }

    fn run(&mut self, mut outlet: Outlet) {
        let mut batch = Vec::with_capacity(BATCH);
        while outlet.take_blocking(&mut batch, BATCH) {
            self.write(&batch);
            batch.clear();
            if outlet.has_room() && !outlet.is_closed() {
                std::thread::sleep(GATHER);
            }
        }
        if let Err(error) = self.finish_file() {
            self.trouble(&error, &[]);
        }
    }

    /// Writes the records, or counts them as dropped with the reason.
    fn write(&mut self, batch: &[Record]) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            self.metrics.dropped(batch, "unavailable");
            return;
        }
        let written = batch.iter().try_for_each(|record| self.append(record)).and_then(|()| self.open.as_mut().map_or(Ok(()), Write::flush));
        match written {
            Ok(()) => {
                self.retry_at = None;
                self.metrics.up.set(1.0);
                for record in batch {
                    self.metrics.written.inc(record.kind);
                }
            }
            // What of the batch has reached the disk is not known, so all of it counts as dropped.
            Err(error) => self.trouble(&error, batch),
        }
        self.metrics.show(&self.files);
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let (head, middle, tail) = (b"{\"subject\":\"", b"\",\"data\":", b"}\n");
        let subject_len = self.streams.get(record.stream).map_or(0, |stream| stream.subject.len());
        let size = (head.len() + subject_len + middle.len() + record.payload.len() + tail.len()) as u64;
        let full = self.files.back().is_some_and(|(_, bytes)| *bytes > 0 && bytes + size > self.config.rotate);
        if self.open.is_none() || full {
            self.begin_file(size)?;
        } else {
            self.make_room(size);
        }
        let subject = self.streams.get(record.stream).map_or("", |stream| stream.subject.as_str());
        let Some(file) = self.open.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        for part in [head.as_slice(), subject.as_bytes(), middle, &record.payload, tail] {
            file.write_all(part)?;
        }
        if let Some((_, bytes)) = self.files.back_mut() {
            *bytes += size;
        }
        Ok(())
    }

    fn begin_file(&mut self, size: u64) -> io::Result<()> {
        if self.open.is_some() {
            self.finish_file()?;
            self.metrics.rotations.inc();
        }
        self.make_room(size);
        self.running += 1;
        let name = format!("records-{}-{:06}.jsonl", utc::stamp(self.clock.now().wall_ms), self.running);
        let path = self.config.dir.join(name);
        let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        self.files.push_back((path, 0));
        self.open = Some(BufWriter::with_capacity(64 << 10, file));
        Ok(())
    }

    fn finish_file(&mut self) -> io::Result<()> {
        let Some(mut file) = self.open.take() else { return Ok(()) };
        file.flush()?;
        file.get_ref().sync_data()
    }

    /// Removes the oldest files until `size` more bytes fit; never the one that is open.
    fn make_room(&mut self, size: u64) {
        let keep = usize::from(self.open.is_some());
        let mut total: u64 = self.files.iter().map(|(_, bytes)| bytes).sum();
        while total + size > self.config.max_total && self.files.len() > keep {
            let Some((path, bytes)) = self.files.pop_front() else { return };
            total -= bytes;
            match fs::remove_file(&path) {
                Ok(()) => self.metrics.removed.inc(),
                Err(error) => self.metrics.error(&error),
            }
        }
    }

    fn trouble(&mut self, error: &io::Error, lost: &[Record]) {
        tracing::error!(sink = NAME, lost = lost.len(), reason = reason(error), "recorder cannot write: {error}");
        self.metrics.error(error);
        self.metrics.dropped(lost, reason(error));
        self.metrics.up.set(0.0);
        self.retry_at = Some(Instant::now() + RETRY);
        // Its last line may be torn: the next record begins a new file.
        self.open = None;
    }
}

// === impl Metrics ===

impl Metrics {
    fn new(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
            written: ByKind::new(registry, &names::SINK_WRITTEN, NAME),
            up: registry.gauge(&names::SINK_UP, &[NAME]),
            bytes: registry.gauge(&names::RECORDER_BYTES, &[]),
            files: registry.gauge(&names::RECORDER_FILES, &[]),
            rotations: registry.counter(&names::RECORDER_ROTATIONS, &[]),
            removed: registry.counter(&names::RECORDER_REMOVED, &[]),
        }
    }

    fn show(&self, files: &VecDeque<(PathBuf, u64)>) {
        self.files.set_count(files.len());
        self.bytes.set(files.iter().map(|(_, bytes)| *bytes as f64).sum());
    }

    fn error(&self, error: &io::Error) {
        self.registry.counter(&names::SINK_ERRORS, &[NAME, reason(error)]).inc();
    }

    fn dropped(&self, records: &[Record], reason: &str) {
        for record in records {
            self.registry.counter(&names::SINK_DROPPED, &[NAME, record.kind.as_str(), reason]).inc();
        }
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

/// Our files that are there already, oldest first, with their sizes.
fn existing(dir: &Path) -> io::Result<VecDeque<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with("records-") && name.strip_suffix(".jsonl").is_some());
        if ours && entry.file_type()?.is_file() {
            files.push((entry.path(), entry.metadata()?.len()));
        }
    }
    files.sort();
    Ok(files.into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use marketdata::RecordKind;

    use super::*;
    use crate::clocks::SystemClock;
    use crate::config::{self, QueueConfig};
    use crate::stream::Stream;

    fn streams() -> Streams {
        let loaded = config::load("c", "venues: [{name: binance, market: spot, symbols: [A-B]}]", &config::Environment::default());
        Arc::new(Stream::all_of(&loaded.config.unwrap()))
    }

    fn recorder(dir: &Path, registry: &Arc<Registry>) -> io::Result<Recorder> {
        let config = RecorderConfig { dir: dir.to_owned(), max_total: 4_000, rotate: 1_000, queue: QueueConfig { records: 1_000, bytes: 1 << 20 } };
        Recorder::open(config, streams(), registry, SystemClock::shared())
    }

    fn trades(range: std::ops::Range<usize>) -> Vec<Record> {
        range
            .map(|n| Record {
                stream: 1,
                kind: RecordKind::Trade,
                sequence: n as u64,
                event_ts_ms: 1,
                payload: Bytes::from(format!("{{\"n\":{n}}}")),
                offered: Duration::ZERO,
            })
            .collect()
    }

    fn lines(dir: &Path) -> Vec<serde_json::Value> {
        let texts: Vec<String> = existing(dir).unwrap().iter().map(|(path, _)| fs::read_to_string(path).unwrap()).collect();
        texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn what_goes_in_comes_out_in_order_over_rotations_within_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::new());
        let mut recorder = recorder(dir.path(), &registry).unwrap();
        recorder.write(&trades(0..300));
        recorder.finish_file().unwrap();
        let numbers: Vec<u64> = lines(dir.path()).iter().map(|line| line["data"]["n"].as_u64().unwrap()).collect();
        assert_eq!(*numbers.last().unwrap(), 299);
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1) && numbers[0] > 0, "{numbers:?}");
        assert_eq!(lines(dir.path())[0]["subject"], "trade.binance.spot.A-B");
        let total: u64 = existing(dir.path()).unwrap().iter().map(|(_, bytes)| bytes).sum();
        assert!(total <= 4_000 && total > 2_500, "{total}");
        let page = registry.render();
        assert!(page.contains("collector_sink_written_total{sink=\"recorder\",kind=\"trade\"} 300\n"));
        assert!(page.contains(&format!("collector_recorder_bytes {total}\n")), "{page}");
    }

    #[test]
    fn a_second_process_is_kept_out_and_a_restart_goes_on_beside_the_old_files() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::new());
        let mut first = recorder(dir.path(), &registry).unwrap();
        first.write(&trades(0..3));
        assert!(recorder(dir.path(), &registry).err().is_some_and(|error| error.kind() == io::ErrorKind::AlreadyExists));
        drop(first);
        std::thread::sleep(Duration::from_millis(2));
        let mut second = recorder(dir.path(), &registry).unwrap();
        second.write(&trades(3..5));
        assert_eq!(lines(dir.path()).len(), 5);
    }

    #[test]
    fn a_directory_that_goes_away_is_told_and_nothing_is_kept_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::new());
        let mut recorder = recorder(dir.path(), &registry).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        recorder.write(&trades(0..4));
        recorder.write(&trades(4..6));
        let page = registry.render();
        assert!(page.contains("collector_sink_dropped_total{sink=\"recorder\",kind=\"trade\",reason=\"not_found\"} 4\n"), "{page}");
        assert!(page.contains("collector_sink_dropped_total{sink=\"recorder\",kind=\"trade\",reason=\"unavailable\"} 2\n"));
        assert!(page.contains("collector_sink_up{sink=\"recorder\"} 0\n"));
        fs::create_dir_all(dir.path()).unwrap();
        recorder.retry_at = None;
        recorder.write(&trades(6..7));
        assert_eq!(lines(dir.path()).len(), 1);
    }
}
