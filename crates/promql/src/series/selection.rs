//! Selecting series by matchers, from the store itself or from a snapshot of it. Must not know: who asks, what is computed.
use std::sync::Arc;

use super::chunk::{Chunk, Head};
use super::held::HeldSeries;
use super::index::{Candidates, Index};
use super::order::Order;
use super::store::SeriesId;
use crate::labels::{Labels, Matcher};
use crate::{Asked, Block, Queryable, SeriesData, Wanted};

/// Everything a selection reads. Cloning copies one pointer a series: writers copy a series on its first change after that.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) slots: Vec<Option<Arc<HeldSeries>>>,
    pub(super) index: Arc<Index>,
    pub(super) order: Arc<Order>,
    /// Samples one selection may return.
    pub(super) select_samples: usize,
}

/// The store as it was at one moment; may be read on another thread while the store goes on.
#[derive(Clone, Debug)]
pub struct Snapshot(pub(super) View);

impl View {
    /// What is asked for, in order of labels.
    pub(super) fn read(&self, asked: &Asked<'_>) -> Result<Block, String> {
        self.read_each(asked, |_, _, _| {})
    }

    /// The same; `note` is told of every series that matches, with its slot and how many of its samples were read.
    pub(super) fn read_each(&self, asked: &Asked<'_>, mut note: impl FnMut(u32, &HeldSeries, usize)) -> Result<Block, String> {
        let slots = self.matching(asked.matchers);
        let mut block = Block::with_room(slots.len());
        for (slot, series) in slots.iter().filter_map(|slot| Some((*slot, self.held(*slot)?))) {
            let before = block.samples();
            block.read(&series.labels, |samples| series.read(asked, samples));
            note(slot, series, block.samples() - before);
            if block.samples() > self.select_samples {
                return Err(format!("the selection has more than {} samples", self.select_samples));
            }
        }
        Ok(block)
    }

    /// The labels of the series that match and have a sample in `(start_ms, end_ms]`, in order.
    pub(super) fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<Labels> {
        let slots = self.matching(matchers);
        let held = slots.iter().filter_map(|slot| self.held(*slot));
        held.filter(|series| series.newest(start_ms, end_ms).is_some()).map(|series| series.labels.clone()).collect()
    }

    /// Time of the oldest sample held of any series that all `matchers` match.
    pub(super) fn oldest_ms(&self, matchers: &[Matcher]) -> Option<i64> {
        self.matching_unordered(matchers).filter_map(|(_, series)| series.oldest_ms()).min()
    }

    /// Whether any series that all `matchers` match has a sample in `(start_ms, end_ms]`.
    pub(super) fn has_sample(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> bool {
        self.matching_unordered(matchers).any(|(_, series)| series.newest(start_ms, end_ms).is_some())
    }

    /// The slots whose series all `matchers` match, in order of labels: slots are used again after a removal, so that their own order means nothing.
    fn matching(&self, matchers: &[Matcher]) -> Vec<u32> {
        let mut slots: Vec<u32> = self.matching_unordered(matchers).map(|(slot, _)| slot).collect();
        self.order.sort(&mut slots, |slot| self.held(slot).map(|series| &series.labels));
        slots
    }

    /// The series that all `matchers` match and their slots, found one after another: who needs only the first looks no further.
    fn matching_unordered<'v>(&'v self, matchers: &'v [Matcher]) -> impl Iterator<Item = (u32, &'v HeldSeries)> {
        let Candidates { slots, unchecked } = self.index.candidates(matchers);
        let matches = move |series: &HeldSeries| unchecked.iter().all(|matcher| matcher.matches(series.labels.get(&matcher.name).unwrap_or("")));
        let count = slots.as_ref().map_or(self.slots.len(), |slots| slots.len());
        let slot_at = move |at: usize| slots.as_ref().map_or_else(|| u32::try_from(at).ok(), |slots| slots.get(at).copied());
        (0..count).filter_map(slot_at).filter_map(|slot| Some((slot, self.held(slot)?))).filter(move |(_, series)| matches(series))
    }

    pub(super) fn held(&self, slot: u32) -> Option<&HeldSeries> {
        self.slots.get(slot as usize)?.as_deref()
    }
}

/// A series of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
pub struct Held<'a>(&'a HeldSeries);

// === impl Snapshot ===

impl Snapshot {
    /// Every series.
    pub fn each(&self) -> impl Iterator<Item = Held<'_>> {
        self.0.slots.iter().flatten().map(|series| Held(series))
    }

    /// The labels of the series that all `matchers` match and that have a sample in `(start_ms, end_ms]`, in order.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<Labels> {
        self.0.labels(matchers, start_ms, end_ms)
    }
}

// === impl Held ===

impl<'a> Held<'a> {
    /// Which series of its store.
    pub fn id(self) -> SeriesId {
        self.0.id
    }

    /// Its labels.
    pub fn labels(self) -> &'a Labels {
        &self.0.labels
    }

    /// Time of its oldest sample held.
    pub fn oldest_ms(self) -> Option<i64> {
        self.0.oldest_ms()
    }

    /// Time of its newest sample.
    pub fn newest_ms(self) -> Option<i64> {
        self.0.last().map(|last| last.t_ms)
    }

    /// Its chunks of the cuts after `kept`, up to `cut`.
    pub fn chunks(self, kept: u32, cut: u32) -> impl Iterator<Item = &'a Chunk> {
        self.0.sealed.iter().map(|chunk| &**chunk).filter(move |chunk| chunk.cut > kept && chunk.cut <= cut)
    }

    /// Its samples after `t_ms` as chunks.
    pub fn chunks_after(self, t_ms: i64) -> Vec<Chunk> {
        let (mut chunks, mut samples, mut head) = (Vec::new(), Vec::new(), Head::default());
        self.0.read(&Asked { matchers: &[], start_ms: t_ms, end_ms: i64::MAX, wanted: Wanted::All }, &mut samples);
        for sample in samples {
            if head.is_full() {
                chunks.push(std::mem::take(&mut head).to_chunk(0));
            }
            head.push(sample);
        }
        if !head.is_empty() {
            chunks.push(head.to_chunk(0));
        }
        chunks
    }
}

impl Queryable for Snapshot {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.0.read(&Asked { matchers, start_ms, end_ms, wanted: Wanted::All }).map(Block::into_series)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.0.read(&Asked { matchers, start_ms, end_ms, wanted: Wanted::Newest }).map(Block::into_series)
    }

    fn read(&self, asked: &Asked<'_>) -> Result<Arc<Block>, String> {
        self.0.read(asked).map(Arc::new)
    }
}
