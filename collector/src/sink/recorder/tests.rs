//! The recorder as a whole: its threads, its files, disks that are slow, full, or torn by a crash.

use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use marketdata::RecordKind;

use super::*;
use crate::clocks::SystemClock;
use crate::config::{self, QueueConfig};
use crate::stream::Stream;

fn streams(symbols: &str) -> Streams {
    let text = format!("venues: [{{name: binance, market: spot, symbols: [{symbols}]}}]");
    Arc::new(Stream::all_of(&config::load("c", &text, &config::Environment::default()).config.unwrap()))
}

fn small(dir: &Path) -> RecorderConfig {
    let queue = QueueConfig { records: 100_000, bytes: 8 << 20 };
    let (flush, rotate_after) = (Duration::from_millis(20), Duration::from_hours(1));
    RecorderConfig { dir: dir.to_owned(), max_total: 1 << 20, rotate: 1 << 20, rotate_after, flush, buffer: 1 << 20, save_concurrency: 2, queue }
}

/// Patience with anything that should come soon.
const SOON: Duration = Duration::from_mins(1);

fn trade(stream: usize, n: usize) -> Record {
    let payload = Bytes::from(format!("{{\"n\":{n}}}"));
    Record { stream, kind: RecordKind::Trade, sequence: n as u64, event_ts_ms: 1, payload, offered: Duration::ZERO }
}

/// Every file below, in the order of its path.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "gz") {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn numbers(dir: &Path) -> Vec<u64> {
    let mut text = String::new();
    for file in files(dir) {
        flate2::read::MultiGzDecoder::new(File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    }
    text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap()).collect()
}

fn run(started: Started, records: impl Iterator<Item = Record>) {
    let Started { mut sink, worker } = started;
    for record in records {
        sink.offer(&record).unwrap();
    }
    drop(sink);
    worker.unwrap().thread.join().unwrap();
}

fn begin(config: &RecorderConfig, streams: &Streams, registry: &Arc<Registry>) -> Started {
    start(config, streams, registry, SystemClock::shared()).unwrap()
}

#[test]
fn what_goes_in_comes_out_in_order_by_kind_venue_symbol_and_day() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, streams) = (Arc::new(Registry::new()), streams("A-B, C-D"));
    run(begin(&small(dir.path()), &streams, &registry), (0..5_000).map(|n| trade(1, n)));
    assert_eq!(numbers(dir.path()), (0..5_000).collect::<Vec<_>>());
    let found = files(dir.path());
    let parts: Vec<&str> = found[0].strip_prefix(dir.path()).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
    assert_eq!(parts[..3], ["trade", "binance.spot", "A-B"]);
    assert!(parts[3].len() == 10 && parts[4].starts_with(&parts[3].replace('-', "")), "{parts:?}");
    let page = registry.render();
    assert!(page.contains("collector_sink_written_total{sink=\"recorder\",kind=\"trade\"} 5000\n"), "{page}");
    assert!(page.contains("collector_recorder_buffered_bytes 0\n"));
}

#[test]
fn files_are_rotated_by_size_age_and_day_and_the_oldest_removed_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { total: 1_000, file: 300, age_ms: 60_000, depth: 4 };
    let (archive, _) = Archive::open(RealDisk, dir.path().to_owned(), bounds, 1).unwrap();
    let write = |now_ms: i64| archive.write(Destination { stream: 0, dir: "trade/x.spot/A-B", day: now_ms / DAY_MS, now_ms }, &[7; 100]).unwrap();
    let rotated: Vec<i64> = [0, 1, 2, 3, 60_002, 60_003, 120_004, DAY_MS - 1, DAY_MS].into_iter().filter(|now| write(*now).rotated).collect();
    assert_eq!(rotated, [3, 60_003, 120_004, DAY_MS - 1, DAY_MS]);
    assert_eq!(archive.size(), (6, 900));
    assert_eq!((write(DAY_MS + 1).removed, archive.size()), (0, (6, 1_000)));
    assert_eq!((write(DAY_MS + 2).removed, archive.size()), (1, (5, 800)), "the oldest file goes as a whole");
    let on_disk: u64 = files(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(on_disk, 800);
    drop(archive);
    let (again, recovered) = Archive::open(RealDisk, dir.path().to_owned(), Bounds { total: 450, ..bounds }, 1).unwrap();
    assert_eq!((recovered.torn, recovered.bytes), (1, 300), "what is no member is cut off at the end of the newest file only");
    assert_eq!((again.tidy().removed, again.size()), (1, (4, 300)));
}

#[test]
fn a_torn_end_is_cut_and_counted_and_a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, streams) = (Arc::new(Registry::new()), streams("A-B"));
    let config = small(dir.path());
    run(begin(&config, &streams, &registry), (0..10).map(|n| trade(1, n)));
    let file = files(dir.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let torn = Packer::new().member(b"{\"n\":10}\n").unwrap();
    fs::write(&file, [&whole, &torn[..torn.len() - 3]].concat()).unwrap();
    let second = begin(&config, &streams, &registry);
    assert!(start(&config, &streams, &registry, SystemClock::shared()).is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert!(registry.render().contains("collector_recorder_torn_tails_total 1\n"));
    run(second, (10..12).map(|n| trade(1, n)));
    assert_eq!(numbers(dir.path()), (0..12).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_refuses_is_told_and_nothing_is_kept_in_memory_and_it_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, streams) = (Arc::new(Registry::new()), streams("A-B"));
    let Started { mut sink, worker } = begin(&small(dir.path()), &streams, &registry);
    // A file stands where a directory must be made, also for root.
    fs::write(dir.path().join("trade"), "").unwrap();
    let wait_for = |line: &str| {
        let begun = Instant::now();
        while !registry.render().contains(line) {
            assert!(begun.elapsed() < SOON, "{line}\n{}", registry.render());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    sink.offer(&trade(1, 0)).unwrap();
    wait_for("collector_sink_dropped_total{sink=\"recorder\",kind=\"trade\",reason=\"io\"} 1\n");
    wait_for("collector_sink_up{sink=\"recorder\"} 0\n");
    // Between two attempts nothing is taken.
    let begun = Instant::now();
    while registry.counter(&names::SINK_DROPPED, &[NAME, "trade", "unavailable"]).get() == 0 {
        sink.offer(&trade(1, 1)).unwrap();
        assert!(begun.elapsed() < SOON, "{}", registry.render());
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_for("collector_recorder_buffered_bytes 0\n");
    fs::remove_file(dir.path().join("trade")).unwrap();
    let mut next = 2;
    while !registry.render().contains("collector_sink_up{sink=\"recorder\"} 1\n") {
        sink.offer(&trade(1, next)).unwrap();
        next += 1;
        assert!(begun.elapsed() < SOON * 2, "{}", registry.render());
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(sink);
    worker.unwrap().thread.join().unwrap();
    // From some record on all of them.
    let written = numbers(dir.path());
    assert!(written.first() >= Some(&2) && written == (written[0]..next as u64).collect::<Vec<_>>(), "{written:?}");
}

/// A disk that writes one symbol only when it is told to.
struct SlowFor {
    symbol: &'static str,
    go: Mutex<Receiver<()>>,
}

impl Disk for SlowFor {
    fn append(&self, path: &Path, begin: bool, bytes: &[u8]) -> io::Result<()> {
        if path.iter().any(|part| part == self.symbol) {
            // Ends with an error when the test lets go by dropping its end.
            let _let_go = self.go.lock().unwrap().recv();
        }
        RealDisk.append(path, begin, bytes)
    }

    fn settle(&self, path: &Path) -> io::Result<()> {
        RealDisk.settle(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

#[test]
fn one_slow_symbol_delays_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, streams) = (Arc::new(Registry::new()), streams("SLOW-X, A-B"));
    let (hold, go) = sync_channel(0);
    let disk = SlowFor { symbol: "SLOW-X", go: Mutex::new(go) };
    let config = small(dir.path());
    let Started { mut sink, worker } = start_on(disk, &config, &streams, (&registry, SystemClock::shared())).unwrap();
    let begun = Instant::now();
    let [slow, quick] =
        ["SLOW-X", "A-B"].map(|symbol| streams.iter().position(|stream| stream.labels() == ["binance", "spot", symbol, "trade"]).unwrap());
    for n in 0.. {
        sink.offer(&trade(slow, 1_000_000)).unwrap();
        sink.offer(&trade(quick, n)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        let written = registry.counter(&names::SINK_WRITTEN, &[NAME, "trade"]).get();
        assert!(begun.elapsed() < SOON, "{written} written");
        if written > 300 {
            break;
        }
    }
    assert_eq!(files(&dir.path().join("trade/binance.spot")).iter().filter(|path| path.iter().any(|part| part == "SLOW-X")).count(), 0);
    drop(hold);
    drop(sink);
    worker.unwrap().thread.join().unwrap();
    let ours = numbers(&dir.path().join("trade/binance.spot/A-B"));
    assert_eq!(ours, (0..ours.len() as u64).collect::<Vec<_>>());
}
