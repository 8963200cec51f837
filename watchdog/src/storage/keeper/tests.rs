//! The keeper on disks that fail and processes that are killed.
#![expect(clippy::float_cmp, reason = "values are written and read as they are")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::{fs, io};

use promql::labels::Matcher;
use promql::{Queryable, Sample};
use segments::AppendFile;

use super::super::history::Asked;
use super::*;

/// A disk that takes so many operations and then nothing, as after a kill, or until it is mended.
#[derive(Clone, Debug, Default)]
struct Dying(Arc<Mutex<Option<usize>>>);

#[derive(Debug)]
struct DyingFile(Box<dyn AppendFile>, Dying);

impl Dying {
    fn after(&self, operations: Option<usize>) {
        *self.0.lock().unwrap() = operations;
    }

    /// Whether the operation may be done; the last one is done by half.
    fn step(&self) -> io::Result<()> {
        match &mut *self.0.lock().unwrap() {
            None => Ok(()),
            Some(0) => Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl Disk for Dying {
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.step()?;
        Ok(Box::new(DyingFile(SystemDisk.open(path)?, self.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.sync_dir(dir)
    }
}

impl AppendFile for DyingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let outcome = self.1.step();
        let whole = outcome.is_ok();
        self.0.append(bytes.get(..if whole { bytes.len() } else { bytes.len() / 2 }).unwrap_or(bytes))?;
        outcome
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.step()?;
        self.0.sync()
    }
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.1.step()?;
        self.0.truncate(bytes)
    }
}

type Bits = BTreeMap<String, Vec<(i64, u64)>>;

/// A store with its keeper, and what went into it.
struct House {
    dir: tempfile::TempDir,
    disk: Dying,
    history: Arc<History>,
    metrics: Arc<Registry>,
    keeper: Keeper<Box<dyn Fn() -> Box<dyn Disk>>>,
    store: Store,
    model: Bits,
    /// What the last write that succeeded had.
    safe: Bits,
    now_ms: i64,
    offset_ms: i64,
    bounds: Bounds,
}

fn ceilings() -> Ceilings {
    Ceilings { retention_ms: 60_000, ..Ceilings::default() }
}

fn reaches() -> Vec<Reach> {
    vec![Reach { matchers: vec![Matcher::new("__name__", promql::labels::MatchOp::Equal, "far", None)], back_ms: 1_000_000 }]
}

impl House {
    fn new(bounds: impl Fn(&Path) -> Bounds) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bounds = bounds(dir.path());
        let (disk, history, metrics) = (Dying::default(), Arc::default(), Arc::new(Registry::default()));
        let keeper = keeper(&bounds, &disk, &metrics, &history);
        let mut house = Self {
            dir,
            disk,
            history,
            metrics,
            keeper,
            store: Store::new(ceilings()),
            model: Bits::new(),
            safe: Bits::new(),
            now_ms: 1_700_000_000_000,
            offset_ms: 0,
            bounds,
        };
        (house.store, _) = house.keeper.restore(ceilings(), reaches());
        house
    }

    fn plain() -> Self {
        Self::new(|dir| Bounds { dir: dir.join("series"), retention_ms: 604_800_000, size: 1 << 30 })
    }

    fn append(&mut self, name: &str, v: f64) {
        let taken = self.store.append_to(&Labels::from_pairs([("__name__", name)]), Sample { t_ms: self.now_ms, v });
        if taken == Ok(promql::series::Appended::New) {
            self.model.entry(name.to_owned()).or_default().push((self.now_ms, v.to_bits()));
        }
    }

    /// `count` samples of these series, 15 s apart.
    fn run(&mut self, names: &[&str], count: i64) {
        for n in 0..count {
            self.now_ms += 15_000;
            for name in names {
                self.append(name, f64::from(i32::try_from(n).unwrap()));
            }
        }
    }

    fn flush(&mut self) -> bool {
        let done = self.keeper.flush(&self.store.snapshot(), self.offset_ms).is_ok();
        if done {
            self.safe = self.model.clone();
        }
        done
    }

    fn cut(&mut self) -> bool {
        let (cut, series) = self.store.cut();
        let done = self.keeper.flush(&series, self.offset_ms).is_ok() && self.keeper.cut(cut, &series).is_ok();
        self.store.kept_through(self.keeper.kept());
        self.store.maintain(self.now_ms);
        if done {
            self.safe = self.model.clone();
        }
        done
    }

    /// What readers see, of memory and disk.
    fn seen(&self) -> Bits {
        let asked = Asked { matchers: &[], start_ms: i64::MIN, end_ms: i64::MAX, samples: usize::MAX, given_up: &|| false };
        let mut all: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
        let on_disk = self.history.select(asked).unwrap();
        let in_memory = self.store.select(&[], i64::MIN, i64::MAX).unwrap().into_iter().map(|series| (series.labels, series.samples));
        for (labels, samples) in on_disk.into_iter().chain(in_memory) {
            assert!(samples.windows(2).all(|pair| pair[0].t_ms < pair[1].t_ms), "time goes back");
            all.entry(labels.metric_name().to_owned()).or_default().extend(samples.iter().map(|sample| (sample.t_ms, sample.v.to_bits())));
        }
        all.into_iter().map(|(name, samples)| (name, samples.into_iter().collect())).collect()
    }

    /// Dies, however it stands, and starts again on a disk that works.
    fn kill(&mut self) {
        self.disk.after(None);
        let bounds = self.bounds.clone();
        // The lock of the log goes with the process.
        self.keeper = keeper(&Bounds { dir: self.dir.path().join("nowhere"), ..bounds.clone() }, &self.disk, &self.metrics, &Arc::default());
        self.history = Arc::default();
        self.keeper = keeper(&bounds, &self.disk, &self.metrics, &self.history);
        (self.store, self.offset_ms) = self.keeper.restore(ceilings(), reaches());
        let newest_ms = self.store.stats().newest_ms.unwrap_or(self.now_ms);
        self.now_ms = self.now_ms.max(newest_ms + 1);
    }

    fn trouble(&self, word: &str) -> f64 {
        self.metrics.get(&list::STORAGE_TROUBLES, &[word]).unwrap_or(0.0)
    }

    fn blocks(&self) -> usize {
        self.history.blocks.load().len()
    }
}

fn keeper(bounds: &Bounds, disk: &Dying, metrics: &Arc<Registry>, history: &Arc<History>) -> Keeper<Box<dyn Fn() -> Box<dyn Disk>>> {
    let disk = disk.clone();
    Keeper::new(bounds.clone(), Box::new(move || Box::new(disk.clone()) as Box<dyn Disk>), metrics.clone(), history.clone())
}

#[test]
fn what_was_flushed_or_cut_is_there_after_a_kill_and_memory_has_what_rules_look_back_on() {
    let mut house = House::plain();
    house.run(&["near", "far"], 300);
    assert!(house.cut());
    house.run(&["near", "far", "late"], 10);
    assert!(house.flush());
    house.run(&["near"], 3);
    let safe = house.safe.clone();
    house.kill();
    assert_eq!(house.seen(), safe, "what was not flushed is lost, and nothing else");
    let held_from = |name: &str| house.store.oldest_of(&Labels::from_pairs([("__name__", name)])).unwrap();
    let newest_ms = house.store.stats().newest_ms.unwrap();
    assert!(held_from("far") <= newest_ms - 1_000_000, "a rule looks back on it");
    assert!(held_from("near") > newest_ms - 1_000_000, "nobody looks back on it");
    house.model = safe;
    house.run(&["near", "far"], 200);
    assert!(house.cut() && house.flush());
    assert_eq!(house.seen(), house.model);
    house.kill();
    assert_eq!(house.seen(), house.model);
    assert_eq!(house.trouble("quarantined"), 0.0);
}

#[test]
fn a_step_of_the_clock_is_remembered_over_a_restart_also_right_behind_a_cut() {
    let mut house = House::plain();
    for offset_ms in [3_600_000, -3_600_000, 0] {
        house.offset_ms = offset_ms;
        house.run(&["near"], 10);
        assert!(house.flush());
        house.kill();
        assert_eq!(house.offset_ms, offset_ms);
        house.run(&["near"], 10);
        assert!(house.cut());
        house.kill();
        assert_eq!(house.offset_ms, offset_ms);
        assert_eq!(house.seen(), house.model, "samples never go back");
    }
}

#[test]
fn a_series_that_ended_within_the_lookback_is_in_memory_again() {
    let mut house = House::plain();
    house.run(&["ended", "goes_on"], 20);
    house.run(&["goes_on"], 2);
    assert!(house.cut());
    house.kill();
    assert_eq!(house.store.latest(&[], house.now_ms - 60_000, house.now_ms).unwrap().len(), 2);
}

#[test]
fn killed_at_any_operation_of_the_disk_nothing_that_was_safe_is_lost_and_nothing_counts_twice() {
    for operations in 0..60 {
        let mut house = House::plain();
        house.run(&["near", "far"], 130);
        house.flush();
        house.disk.after(Some(operations));
        let mut alive = true;
        for round in 0..4 {
            house.run(&["near", "far"], 30);
            alive &= if round % 2 == 1 { house.cut() } else { house.flush() };
        }
        let (safe, model) = (house.safe.clone(), house.model.clone());
        house.kill();
        let seen = house.seen();
        for (name, samples) in &seen {
            let (all, sure) = (&model[name], &safe[name]);
            assert!(
                samples.len() >= sure.len() && all.starts_with(samples),
                "{operations}: {name}: {} of {} of {}",
                samples.len(),
                sure.len(),
                all.len()
            );
        }
        assert_eq!(seen.len(), 2, "{operations}");
        assert!(!alive || operations > 10, "the fault must hit");
        house.model = seen;
        house.run(&["near"], 5);
        assert!(house.cut(), "{operations}: it goes on");
        assert_eq!(house.seen(), house.model, "{operations}");
        assert_eq!(house.trouble("unrepaired"), 0.0);
    }
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_nothing() {
    let mut house = House::plain();
    house.run(&["near", "far"], 50);
    house.disk.after(Some(0));
    assert!(!house.flush());
    assert_eq!(house.metrics.get(&list::STORAGE_OK, &[]), Some(0.0));
    house.run(&["near", "far"], 200);
    assert!(!house.cut() && !house.cut());
    house.run(&["near", "new"], 20);
    house.disk.after(None);
    assert!(house.flush() && house.cut());
    assert_eq!(house.metrics.get(&list::STORAGE_OK, &[]), Some(1.0));
    assert_eq!(house.seen(), house.model);
    house.kill();
    assert_eq!(house.seen(), house.model);
}

#[test]
fn a_disk_that_is_dead_at_the_start_is_used_when_it_comes_to_life() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("series"), "a file where the directory should be").unwrap();
    let mut house = House::new(|_| Bounds { dir: dir.path().join("series"), retention_ms: 604_800_000, size: 1 << 30 });
    house.run(&["near"], 10);
    assert!(!house.flush());
    fs::remove_file(dir.path().join("series")).unwrap();
    assert!(house.flush() && house.cut());
    house.kill();
    assert_eq!(house.seen(), house.model);
}

#[test]
fn flipped_bytes_are_found_set_aside_and_cost_only_what_they_hit() {
    let mut house = House::plain();
    for _ in 0..3 {
        house.run(&["near", "far", "other"], 150);
        assert!(house.cut());
    }
    house.run(&["near"], 20);
    house.flush();
    let block = house.history.blocks.load()[2].path().to_owned();
    let mut bytes = fs::read(&block).unwrap();
    // In the body of `far`, the first entry: the index does not tell.
    let middle = 150;
    bytes[middle] ^= 0x40;
    fs::write(&block, &bytes).unwrap();
    house.kill();
    assert_eq!(house.trouble("quarantined"), 1.0, "a rule looks back on it, so it was read and set right at once");
    let told = house.history.select(Asked { matchers: &[], start_ms: i64::MIN, end_ms: i64::MAX, samples: usize::MAX, given_up: &|| false });
    assert!(told.is_ok(), "{told:?}");
    let seen = house.seen();
    assert_eq!(seen["near"].last(), house.model["near"].last());
    let missing: usize = house.model.iter().map(|(name, samples)| samples.len() - seen[name].len()).sum();
    assert!((1..=150).contains(&missing), "{missing}");
    let aside =
        fs::read_dir(block.parent().unwrap()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().contains(".corrupt-"));
    assert_eq!(aside.count(), 1);
}

#[test]
fn damage_that_nobody_reads_is_found_by_reading_everything_through() {
    let mut house = House::plain();
    house.run(&["near"], 150);
    assert!(house.cut());
    house.run(&["near"], 300);
    assert!(house.cut());
    let block = house.history.blocks.load()[0].path().to_owned();
    let mut bytes = fs::read(&block).unwrap();
    bytes[60] ^= 1;
    fs::write(&block, &bytes).unwrap();
    house.kill();
    while house.keeper.scrub() {}
    assert_eq!((house.trouble("quarantined"), house.blocks()), (1.0, 1), "nothing of it was sound");
    // A reader that comes first is told, and the next is answered.
    house.run(&["near"], 150);
    assert!(house.cut());
    let block = house.history.blocks.load()[1].path().to_owned();
    let mut bytes = fs::read(&block).unwrap();
    bytes[60] ^= 1;
    fs::write(&block, &bytes).unwrap();
    let asked = Asked { matchers: &[], start_ms: i64::MIN, end_ms: i64::MAX, samples: usize::MAX, given_up: &|| false };
    assert!(house.history.select(asked).unwrap_err().contains("damaged"));
    house.keeper.mend();
    assert!(house.history.select(asked).is_ok());
    assert_eq!(house.trouble("quarantined"), 2.0);
}

#[test]
fn damage_in_the_log_of_the_newest_samples_costs_a_record_and_no_start() {
    let mut house = House::plain();
    for _ in 0..5 {
        house.run(&["near"], 10);
        house.flush();
    }
    let log = fs::read_dir(house.dir.path().join("series/recent"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .unwrap();
    let mut bytes = fs::read(&log).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    bytes.truncate(last + 5);
    fs::write(&log, &bytes).unwrap();
    house.kill();
    assert_eq!(house.trouble("torn_tail") + house.trouble("quarantined"), 1.0);
    assert_eq!(house.seen()["near"].len(), 40);
}

#[test]
fn blocks_are_joined_and_go_at_the_end_of_their_time_or_over_the_size() {
    let day_ms = 86_400_000;
    let mut house = House::new(|dir| Bounds { dir: dir.join("series"), retention_ms: day_ms, size: 1 << 30 });
    for _ in 0..40 {
        house.run(&["near"], 60);
        assert!(house.cut());
    }
    assert!(house.blocks() < 24, "{}", house.blocks());
    assert_eq!(house.seen(), house.model, "joined, nothing missing");
    for _ in 0..100 {
        house.run(&["near"], 120);
        assert!(house.cut());
    }
    let oldest_ms = house.seen()["near"][0].0;
    assert!(oldest_ms > house.now_ms - 2 * day_ms && oldest_ms <= house.now_ms - day_ms, "{}", house.now_ms - oldest_ms);
    assert!(house.metrics.get(&list::STORAGE_REMOVED, &["retention"]) > Some(0.0));
    let mut house = House::new(|dir| Bounds { dir: dir.join("series"), retention_ms: 7 * day_ms, size: 6_000 });
    for _ in 0..40 {
        house.run(&["near"], 120);
        assert!(house.cut());
    }
    assert!(house.metrics.get(&list::STORAGE_REMOVED, &["size"]) > Some(0.0));
    assert!(house.metrics.get(&list::STORAGE_BYTES, &[]) <= Some(6_000.0));
}

/// The engine over the keeper's store: scrapes each 15 s, steps of the wall clock, kills.
#[test]
fn a_step_of_the_clock_and_a_kill_neither_fire_nor_lose_a_for_and_tear_no_range() {
    use clock::Now;
    use rules::{CheckOptions, EngineOptions, Observation, RuleEngine, RuleSource};
    use std::time::Duration;

    // Once the range is full, it would see a hole and a jump.
    let torn = "(rate(far[5m]) < 0.5 or count_over_time(far[5m]) < 15) and far > 600";
    let text = format!("groups: [{{name: g, interval: 15s, rules: [{{alert: Torn, expr: '{torn}'}}, {{alert: Long, expr: 'far > 0', for: 30m}}]}}]");
    let parsed = || rules::check(&[RuleSource { file: "r.yml", text: &text }], &CheckOptions::default()).rules;
    for step_ms in [3_600_000, -3_600_000] {
        let mut house = House::plain();
        let mut now = Now::new(Duration::from_secs(1_000), 1_700_000_000_000);
        let mut engine = RuleEngine::new(parsed(), std::mem::replace(&mut house.store, Store::new(ceilings())), EngineOptions::default(), now);
        let (mut ticks, mut seen) = (0.0, Vec::new());
        let mut records = Vec::new();
        let mut run = |engine: &mut RuleEngine, now: &mut Now, rounds: u32| {
            for _ in 0..rounds {
                *now = now.later(Duration::from_secs(15));
                ticks += 15.0;
                let samples = vec![(Labels::from_pairs([("__name__", "far")]), ticks)];
                assert_eq!(engine.observe(*now, Observation { at_ms: now.wall_ms, samples, ..Observation::default() }).accepted, 1, "samples go on");
                loop {
                    let effects = engine.turn(*now);
                    records.extend(effects.persist);
                    seen.extend(effects.alerts.into_iter().map(|alert| (alert.labels.get("alertname").unwrap_or_default().to_owned(), now.mono)));
                    if !effects.more {
                        break;
                    }
                }
            }
            records.clone()
        };
        run(&mut engine, &mut now, 40);
        now.wall_ms += step_ms;
        let records = run(&mut engine, &mut now, 40);
        let (series, offset_ms) = engine.series_now();
        assert_eq!(offset_ms, step_ms);
        assert!(house.keeper.flush(&series, offset_ms).is_ok());
        // As text: a stale marker is no number that equals itself.
        let before = format!("{:?}", series.select(&[], i64::MIN, i64::MAX).unwrap());
        house.kill();
        let store = std::mem::replace(&mut house.store, Store::new(ceilings()));
        assert_eq!(format!("{:?}", store.select(&[], i64::MIN, i64::MAX).unwrap()), before);
        // The kill, and the time until the next start.
        now = Now::new(Duration::from_secs(5), now.wall_ms + 10_000);
        let mut engine = RuleEngine::resume(parsed(), (store, house.offset_ms), EngineOptions::default(), now);
        engine.restore(now, records);
        let rate = engine.query(now, "rate(far[5m])", None).unwrap().value;
        assert!(matches!(&rate, promql::eval::Value::Vector(found) if found.len() == 1), "{step_ms}: the range reaches over step and kill: {rate:?}");
        run(&mut engine, &mut now, 50);
        assert!(seen.iter().all(|(name, _)| name == "Long"), "{step_ms}: {seen:?}");
        assert!(!seen.is_empty(), "{step_ms}: 20 min before the kill and 12 after it are 30 min");
    }
}
