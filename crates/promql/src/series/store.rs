//! The store: taking samples by Prometheus's order rules, ceilings, retention. Must not know: chunk coding, how a selection finds its series.
use std::collections::HashMap;
use std::sync::Arc;

use super::chunk::Chunk;
use super::held::HeldSeries;
use super::outcome::{AppendError, Appended, Ceilings, Counters, Reach, SeriesRefused, Stats, Swept};
use super::record::RestoreError;
use super::selection::{Snapshot, View};
use super::window::{Shape, Window};
use crate::labels::{Labels, Matcher};
use crate::{Asked, Block, Queryable, Sample, SeriesData, Wanted};

/// A series of one store. Outlives its series without harm: a later append with it is [`AppendError::UnknownSeries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId {
    slot: u32,
    generation: u32,
}

/// Series in memory.
#[derive(Debug)]
pub struct Store {
    ceilings: Ceilings,
    view: View,
    /// Counted up when a slot loses its series, so that old ids no longer fit.
    generations: Vec<u32>,
    free: Vec<u32>,
    // unordered: looked up, never iterated
    by_labels: HashMap<Labels, u32>,
    /// Bytes of the series; the index counts its own.
    series_bytes: usize,
    /// Samples before this are refused; set by `maintain`.
    horizon_ms: i64,
    reaches: Vec<Reach>,
    /// The cut that chunks sealed now belong to, from 1.
    cut: u32,
    /// Chunks of cuts up to this one may go; `u32::MAX` when nobody keeps them on a disk.
    kept: u32,
    newest_ms: Option<i64>,
    evicted_until_ms: Option<i64>,
    counters: Counters,
}

/// Bytes a series costs beside itself: slot, generation, rank, the map from labels, reference counts.
const SLOT_BYTES: usize = 96;

/// Samples this much older than the newest one are taken, however little is kept: a page may state times of its own.
const LEAST_ACCEPTED_MS: i64 = 3_600_000;

// === impl Store ===

impl Store {
    /// An empty store.
    pub fn new(ceilings: Ceilings) -> Self {
        Self {
            ceilings,
            view: View { slots: Vec::new(), index: Arc::default(), order: Arc::default(), select_samples: ceilings.select_samples },
            generations: Vec::new(),
            free: Vec::new(),
            by_labels: HashMap::new(),
            series_bytes: 0,
            horizon_ms: i64::MIN,
            reaches: Vec::new(),
            cut: 1,
            kept: u32::MAX,
            newest_ms: None,
            evicted_until_ms: None,
            counters: Counters::default(),
        }
    }

    /// The bounds in force.
    pub fn ceilings(&self) -> Ceilings {
        self.ceilings
    }

    /// Sets other bounds, as after a reload; what is over them goes with the next [`maintain`](Self::maintain).
    pub fn set_ceilings(&mut self, ceilings: Ceilings) {
        self.ceilings = ceilings;
        self.view.select_samples = ceilings.select_samples;
        self.set_keeps();
    }

    /// Keeps the samples of some series for longer than [`Ceilings::retention_ms`].
    pub fn set_reaches(&mut self, reaches: Vec<Reach>) {
        self.reaches = reaches;
        self.set_keeps();
    }

    fn set_keeps(&mut self) {
        for slot in 0..self.view.slots.len() {
            let Some(series) = self.view.slots.get(slot).and_then(Option::as_ref) else { continue };
            let keep_ms = self.keep_ms(&series.labels);
            if series.keep_ms != keep_ms
                && let Some(Some(place)) = self.view.slots.get_mut(slot)
            {
                Arc::make_mut(place).keep_ms = keep_ms;
            }
        }
    }

    /// The series that are kept for longer.
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// How far back samples of a series with these labels are kept, in milliseconds.
    pub fn keep_ms(&self, labels: &Labels) -> i64 {
        let wanted = |reach: &&Reach| reach.matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")));
        let furthest = self.reaches.iter().filter(wanted).map(|reach| reach.back_ms).max();
        furthest.unwrap_or(0).max(self.ceilings.retention_ms)
    }

    /// How far back any series is kept, in milliseconds.
    pub fn longest_keep_ms(&self) -> i64 {
        self.reaches.iter().map(|reach| reach.back_ms).max().unwrap_or(0).max(self.ceilings.retention_ms)
    }

    /// The series with these labels, made if there is none.
    ///
    /// # Errors
    /// A new series over a ceiling is refused and counted.
    pub fn series(&mut self, labels: &Labels) -> Result<SeriesId, SeriesRefused> {
        if let Some(&slot) = self.by_labels.get(labels) {
            return Ok(self.id(slot));
        }
        self.room_for_series()?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.view.slots.push(None);
            self.generations.push(0);
            u32::try_from(self.generations.len() - 1).unwrap_or(u32::MAX)
        });
        let series = HeldSeries::new(self.id(slot), labels.clone(), self.keep_ms(labels));
        self.series_bytes += series.memory_bytes() + SLOT_BYTES;
        if let Some(place) = self.view.slots.get_mut(slot as usize) {
            *place = Some(Arc::new(series));
        }
        Arc::make_mut(&mut self.view.index).insert(labels, slot);
        Arc::make_mut(&mut self.view.order).insert(slot);
        self.by_labels.insert(labels.clone(), slot);
        self.counters.created += 1;
        Ok(self.id(slot))
    }

    fn id(&self, slot: u32) -> SeriesId {
        SeriesId { slot, generation: self.generations.get(slot as usize).copied().unwrap_or(0) }
    }

    fn room_for_series(&mut self) -> Result<(), SeriesRefused> {
        let limit = self.ceilings.series.min(u32::MAX as usize);
        if self.by_labels.len() >= limit {
            self.counters.refused_series += 1;
            return Err(SeriesRefused::TooManySeries { limit });
        }
        let (held, limit) = (self.memory_bytes(), self.ceilings.memory_bytes);
        if held >= limit - limit / 8 {
            self.counters.refused_memory += 1;
            return Err(SeriesRefused::MemoryFull { held, limit });
        }
        Ok(())
    }

    /// Takes a sample of a held series. Time need not be near any clock, but must grow within the series, as in Prometheus without an out-of-order
    /// window.
    ///
    /// # Errors
    /// See [`AppendError`]; each is counted.
    pub fn append(&mut self, id: SeriesId, sample: Sample) -> Result<Appended, AppendError> {
        if self.generations.get(id.slot as usize) != Some(&id.generation) {
            return Err(AppendError::UnknownSeries);
        }
        let Some(Some(place)) = self.view.slots.get_mut(id.slot as usize) else {
            return Err(AppendError::UnknownSeries);
        };
        if let Some(last) = place.last().filter(|last| sample.t_ms <= last.t_ms) {
            if sample.t_ms < last.t_ms {
                self.counters.out_of_order += 1;
                return Err(AppendError::OutOfOrder);
            }
            if sample.v.to_bits() != last.v.to_bits() {
                self.counters.duplicate_timestamp += 1;
                return Err(AppendError::DuplicateTimestamp);
            }
            self.counters.repeated += 1;
            return Ok(Appended::Repeated);
        }
        if sample.t_ms < self.horizon_ms {
            self.counters.too_old += 1;
            return Err(AppendError::TooOld);
        }
        let (added, given_back) = Arc::make_mut(place).push(sample, self.cut);
        self.series_bytes = (self.series_bytes + added).saturating_sub(given_back);
        self.newest_ms = self.newest_ms.max(Some(sample.t_ms));
        self.counters.appended += 1;
        Ok(Appended::New)
    }

    /// Takes a sample of the series with these labels, made if there is none.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append_to(&mut self, labels: &Labels, sample: Sample) -> Result<Appended, AppendError> {
        let id = self.series(labels)?;
        self.append(id, sample)
    }

    /// The labels of a held series.
    pub fn labels(&self, id: SeriesId) -> Option<&Labels> {
        let current = self.generations.get(id.slot as usize) == Some(&id.generation);
        self.view.held(id.slot).filter(|_| current).map(|series| &series.labels)
    }

    /// Lets go of what is older than the retention at sample time `now_ms`, of series that ended before it and, while memory is over its ceiling, of
    /// the oldest chunks. Call it every minute or so; it looks at each series once.
    pub fn maintain(&mut self, now_ms: i64) -> Swept {
        // A clock ahead of the samples must not cost history: time is what the samples say, at most `now_ms`.
        let newest_ms = self.newest_ms.map_or(now_ms, |newest_ms| newest_ms.min(now_ms));
        self.horizon_ms = newest_ms.saturating_sub(self.longest_keep_ms().max(LEAST_ACCEPTED_MS));
        // What waits for a disk that does not take it must not fill the memory that alerting needs.
        let crowded = self.memory_bytes() > self.ceilings.memory_bytes / 4 * 3;
        let kept = if crowded { u32::MAX } else { self.kept };
        let mut swept = Swept::default();
        for slot in 0..self.generations.len() {
            let Some(Some(place)) = self.view.slots.get_mut(slot) else { continue };
            let horizon_ms = newest_ms.saturating_sub(place.keep_ms);
            if place.last().is_none_or(|last| last.t_ms < horizon_ms) && (crowded || place.is_kept(kept)) {
                self.counters.lost_chunks += u64::from(!place.is_kept(self.kept));
                self.remove(slot);
                swept.series += 1;
            } else if place.sealed.first().is_some_and(|chunk| chunk.end_ms() < horizon_ms && chunk.cut <= kept) {
                let unkept = place.sealed.iter().filter(|chunk| chunk.end_ms() < horizon_ms && chunk.cut > self.kept).count();
                self.counters.lost_chunks += unkept as u64;
                let (chunks, bytes) = Arc::make_mut(place).drop_before(horizon_ms, kept);
                self.series_bytes = self.series_bytes.saturating_sub(bytes);
                swept.expired_chunks += chunks;
            }
        }
        swept.evicted_chunks = self.evict();
        self.counters.removed += swept.series as u64;
        self.counters.expired_chunks += swept.expired_chunks as u64;
        self.counters.evicted_chunks += swept.evicted_chunks as u64;
        swept
    }

    fn remove(&mut self, slot: usize) {
        let Some(series) = self.view.slots.get_mut(slot).and_then(Option::take) else { return };
        let Ok(number) = u32::try_from(slot) else { return };
        if let Some(generation) = self.generations.get_mut(slot) {
            *generation = generation.wrapping_add(1);
        }
        self.free.push(number);
        self.by_labels.remove(&series.labels);
        self.series_bytes = self.series_bytes.saturating_sub(series.memory_bytes() + SLOT_BYTES);
        Arc::make_mut(&mut self.view.index).remove(&series.labels, number);
        Arc::make_mut(&mut self.view.order).remove(number);
    }

    /// Lets the oldest sealed chunks go until memory is under its ceiling; how many.
    fn evict(&mut self) -> usize {
        if self.memory_bytes() <= self.ceilings.memory_bytes {
            return 0;
        }
        let mut ends: Vec<i64> = self.view.slots.iter().flatten().flat_map(|series| series.sealed.iter().map(|chunk| chunk.end_ms())).collect();
        ends.sort_unstable();
        let mut evicted = 0;
        // An eighth of the chunks at a time: a pass over the series costs more than a chunk too many.
        for oldest in ends.chunks(ends.len() / 8 + 1) {
            let Some(&until_ms) = oldest.last() else { break };
            for place in self.view.slots.iter_mut().flatten() {
                if place.sealed.first().is_some_and(|chunk| chunk.end_ms() <= until_ms) {
                    let (chunks, bytes) = Arc::make_mut(place).drop_before(until_ms.saturating_add(1), u32::MAX);
                    self.series_bytes = self.series_bytes.saturating_sub(bytes);
                    evicted += chunks;
                }
            }
            self.evicted_until_ms = self.evicted_until_ms.max(Some(until_ms));
            if self.memory_bytes() <= self.ceilings.memory_bytes {
                break;
            }
        }
        evicted
    }

    /// Bytes of memory held, counted: labels, chunks, index.
    pub fn memory_bytes(&self) -> usize {
        self.series_bytes + self.view.index.memory_bytes()
    }

    /// Figures for metrics.
    pub fn stats(&self) -> Stats {
        Stats {
            series: self.by_labels.len(),
            memory_bytes: self.memory_bytes(),
            newest_ms: self.newest_ms,
            evicted_until_ms: self.evicted_until_ms,
            counters: self.counters,
        }
    }

    /// Time of the oldest sample held of any series that all `matchers` match; tells how much of a range there is.
    pub fn oldest_ms(&self, matchers: &[Matcher]) -> Option<i64> {
        self.view.oldest_ms(matchers)
    }

    /// Whether any series that all `matchers` match has a sample, be it a stale marker, in `(start_ms, end_ms]`; looks no further than the first that has.
    pub fn has_sample(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> bool {
        self.view.has_sample(matchers, start_ms, end_ms)
    }

    /// Finds the place of series that are new since the last time in the order of labels. Selections are right without it, and quicker after it: call it before
    /// many of them.
    pub fn settle_order(&mut self) {
        if !self.view.order.is_settled() {
            let slots = &self.view.slots;
            let labels_of = |slot: u32| slots.get(slot as usize)?.as_deref().map(|series| &series.labels);
            Arc::make_mut(&mut self.view.order).settle(labels_of);
        }
    }

    /// Reads what is asked for as [`Queryable::read`] does, in order to go on from there later.
    ///
    /// # Errors
    /// As for [`Queryable::select`].
    pub fn open(&self, asked: &Asked<'_>) -> Result<Window, String> {
        Window::open(&self.view, self.shape(), asked)
    }

    /// Brings a window of this store to what is asked for, which it must [lead to](Window::leads_to), in the memory of `spare`; whether that could be done: a window
    /// that could not be followed is of no use any more.
    pub fn follow(&self, window: &mut Window, asked: &Asked<'_>, spare: &mut Vec<Sample>) -> bool {
        window.follow(&self.view, self.shape(), asked, spare)
    }

    fn shape(&self) -> Shape {
        let Counters { created, removed, expired_chunks, evicted_chunks, restored_chunks, .. } = self.counters;
        [created, removed, expired_chunks, evicted_chunks, restored_chunks]
    }

    /// The store as it is now, for readers on other threads; costs a pointer a series.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.view.clone())
    }

    /// From now on chunks wait until [`kept_through`](Self::kept_through) says that they are on a disk, as long as there is memory for it.
    pub fn keep_on_disk(&mut self) {
        self.kept = self.kept.min(self.cut.saturating_sub(1));
    }

    /// Seals every head; the number of this cut, and the store at this moment, whose chunks up to the number are to be kept.
    pub fn cut(&mut self) -> (u32, Snapshot) {
        let cut = self.cut;
        for place in self.view.slots.iter_mut().flatten() {
            let (added, given_back) = Arc::make_mut(place).seal(cut);
            self.series_bytes = (self.series_bytes + added).saturating_sub(given_back);
        }
        self.cut = self.cut.saturating_add(1);
        (cut, self.snapshot())
    }

    /// Chunks of cuts up to this one are on the disk, and may go when nobody looks back on them.
    pub fn kept_through(&mut self, cut: u32) {
        if self.kept != u32::MAX {
            self.kept = self.kept.max(cut);
        }
    }

    /// Bytes of the chunks that wait for the disk. Looks at each series once.
    pub fn unkept_bytes(&self) -> usize {
        self.view.slots.iter().flatten().map(|series| series.unkept_bytes(self.kept)).sum()
    }

    /// Takes back chunks of a series, oldest first, made if there is none; how many samples. Samples held must be later.
    ///
    /// # Errors
    /// Chunks that overlap what is held or each other, or belong to a refused series; nothing of them is taken.
    pub fn restore(&mut self, labels: &Labels, chunks: Vec<Chunk>) -> Result<usize, RestoreError> {
        let Some(newest_ms) = chunks.last().map(Chunk::end_ms) else { return Ok(0) };
        let id = self.series(labels)?;
        let Some(Some(place)) = self.view.slots.get_mut(id.slot as usize) else { return Ok(0) };
        let ascending = chunks.iter().zip(chunks.iter().skip(1)).all(|(a, b)| a.end_ms() < b.start_ms());
        if !ascending || place.oldest_ms().is_some_and(|oldest_ms| oldest_ms <= newest_ms) {
            return Err(RestoreError::Overlap);
        }
        let samples = chunks.iter().map(Chunk::len).sum();
        self.counters.restored_chunks += chunks.len() as u64;
        self.series_bytes += Arc::make_mut(place).restore(chunks);
        self.newest_ms = self.newest_ms.max(Some(newest_ms));
        Ok(samples)
    }

    /// Time of the oldest sample held of the series with these labels.
    pub fn oldest_of(&self, labels: &Labels) -> Option<i64> {
        self.by_labels.get(labels).and_then(|slot| self.view.held(*slot)).and_then(HeldSeries::oldest_ms)
    }

    /// Notes that samples up to here may be missing, although they would be kept.
    pub fn missing_until(&mut self, t_ms: i64) {
        self.evicted_until_ms = self.evicted_until_ms.max(Some(t_ms));
    }

    /// From here on every series is held whole, whether or not it has ended since.
    pub fn whole_from_ms(&self) -> i64 {
        let kept_ms = self.newest_ms.map_or(i64::MAX, |newest_ms| newest_ms.saturating_sub(self.ceilings.retention_ms));
        kept_ms.max(self.evicted_until_ms.unwrap_or(i64::MIN))
    }

    /// Everything up to here was taken before, or is not held: samples come later.
    pub fn begin_after(&mut self, newest_ms: i64) {
        self.newest_ms = self.newest_ms.max(Some(newest_ms));
    }
}

impl Queryable for Store {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.view.read(&Asked { matchers, start_ms, end_ms, wanted: Wanted::All }).map(Block::into_series)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.view.read(&Asked { matchers, start_ms, end_ms, wanted: Wanted::Newest }).map(Block::into_series)
    }

    fn read(&self, asked: &Asked<'_>) -> Result<Arc<Block>, String> {
        self.view.read(asked).map(Arc::new)
    }
}
