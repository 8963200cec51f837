//! Selecting series by matchers, from the store itself or from a snapshot of it. Must not know: who asks, what is computed.
use std::sync::Arc;

use super::chunk::{Chunk, Head};
use super::held::HeldSeries;
use super::index::{Candidates, Index};
use super::store::SeriesId;
use crate::labels::{Labels, Matcher};
use crate::{Queryable, Sample, SeriesData};

/// Everything a selection reads. Cloning copies one pointer a series: writers copy a series on its first change after that.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) slots: Vec<Option<Arc<HeldSeries>>>,
    pub(super) index: Arc<Index>,
    /// Samples one selection may return.
    pub(super) select_samples: usize,
}

/// The store as it was at one moment; may be read on another thread while the store goes on.
#[derive(Clone, Debug)]
pub struct Snapshot(pub(super) View);

impl View {
    pub(super) fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.gather(matchers, |series, left| series.samples(start_ms, end_ms).take(left).collect())
    }

    pub(super) fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.gather(matchers, |series, _| series.newest(start_ms, end_ms).into_iter().collect())
    }

    /// The series that match, each with what `read` takes of it: at most as many samples as it is given, one more than may be returned.
    fn gather(&self, matchers: &[Matcher], read: impl Fn(&HeldSeries, usize) -> Vec<Sample>) -> Result<Vec<SeriesData>, String> {
        let mut found = Vec::new();
        let mut left = self.select_samples;
        let mut visit = |series: &HeldSeries| -> Result<(), String> {
            if !matchers.iter().all(|matcher| matcher.matches(series.labels.get(&matcher.name).unwrap_or(""))) {
                return Ok(());
            }
            let samples = read(series, left.saturating_add(1));
            left = left.checked_sub(samples.len()).ok_or_else(|| format!("the selection has more than {} samples", self.select_samples))?;
            if !samples.is_empty() {
                found.push(SeriesData { labels: series.labels.clone(), samples });
            }
            Ok(())
        };
        match self.index.candidates(matchers) {
            Candidates::Some(slots) => slots.into_iter().filter_map(|slot| self.held(slot)).try_for_each(&mut visit)?,
            Candidates::All => self.slots.iter().flatten().try_for_each(|series| visit(series))?,
        }
        // Slots are used again after a removal: only the labels give an order that lasts.
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// The labels of the series that match and have a sample in `(start_ms, end_ms]`, in order.
    pub(super) fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<Labels> {
        let wanted = |series: &&HeldSeries| {
            matchers.iter().all(|matcher| matcher.matches(series.labels.get(&matcher.name).unwrap_or("")))
                && series.newest(start_ms, end_ms).is_some()
        };
        let mut found: Vec<Labels> = match self.index.candidates(matchers) {
            Candidates::Some(slots) => {
                slots.into_iter().filter_map(|slot| self.held(slot)).filter(wanted).map(|series| series.labels.clone()).collect()
            }
            Candidates::All => self.slots.iter().flatten().map(|series| &**series).filter(wanted).map(|series| series.labels.clone()).collect(),
        };
        found.sort();
        found
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
        let mut chunks = Vec::new();
        let mut head = Head::default();
        for sample in self.0.samples(t_ms, i64::MAX) {
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
        self.0.select(matchers, start_ms, end_ms)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.0.latest(matchers, start_ms, end_ms)
    }
}
