//! One series in memory: its labels, sealed chunks and the head. Must not know: other series, ceilings.
use std::sync::Arc;

use super::chunk::{Chunk, Head, Samples};
use crate::Sample;
use crate::labels::Labels;

/// One series in memory.
#[derive(Clone, Debug)]
pub(super) struct HeldSeries {
    pub(super) labels: Labels,
    /// Oldest first, all before the head.
    pub(super) sealed: Vec<Arc<Chunk>>,
    head: Head,
    last: Option<Sample>,
}

impl HeldSeries {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, sealed: Vec::new(), head: Head::default(), last: None }
    }

    /// The newest sample ever taken.
    pub(super) fn last(&self) -> Option<Sample> {
        self.last
    }

    /// Time of the oldest sample held.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.sealed.first().map(|chunk| chunk.start_ms()).or_else(|| (!self.head.is_empty()).then(|| self.head.span_ms().0))
    }

    /// Takes a sample later than [`last`](Self::last); the bytes of memory it added and gave back.
    pub(super) fn push(&mut self, sample: Sample) -> (usize, usize) {
        let given_back = self.head.memory_bytes();
        let mut added = 0;
        if self.head.is_full() {
            let chunk = self.head.to_chunk();
            added += chunk.memory_bytes();
            self.sealed.push(Arc::new(chunk));
            self.head = Head::default();
        }
        self.head.push(sample);
        self.last = Some(sample);
        added += self.head.memory_bytes();
        (added, given_back)
    }

    /// Takes chunks of an earlier life, oldest first, ascending and before every sample held; the bytes of memory they added.
    pub(super) fn restore(&mut self, chunks: Vec<Chunk>, last: Sample) -> usize {
        let added = chunks.iter().map(Chunk::memory_bytes).sum();
        self.sealed.splice(0..0, chunks.into_iter().map(Arc::new));
        self.last = self.last.or(Some(last));
        added
    }

    /// Lets go of sealed chunks that end before `horizon_ms`; how many chunks and bytes.
    pub(super) fn drop_before(&mut self, horizon_ms: i64) -> (usize, usize) {
        let gone = self.sealed.iter().take_while(|chunk| chunk.end_ms() < horizon_ms).count();
        let bytes = self.sealed.drain(..gone).map(|chunk| chunk.memory_bytes()).sum();
        if gone > 0 {
            self.sealed.shrink_to_fit();
        }
        (gone, bytes)
    }

    /// The samples in `(start_ms, end_ms]`.
    pub(super) fn samples(&self, start_ms: i64, end_ms: i64) -> impl Iterator<Item = Sample> {
        let overlaps = move |(from_ms, to_ms)| to_ms > start_ms && from_ms <= end_ms;
        let first = self.sealed.partition_point(|chunk| chunk.end_ms() <= start_ms);
        let sealed = self.sealed.get(first..).unwrap_or(&[]).iter().take_while(move |chunk| chunk.start_ms() <= end_ms).map(|chunk| chunk.samples());
        let head: Option<Samples<'_>> = (!self.head.is_empty() && overlaps(self.head.span_ms())).then(|| self.head.samples());
        let all = sealed.chain(head).flatten();
        all.skip_while(move |sample| sample.t_ms <= start_ms).take_while(move |sample| sample.t_ms <= end_ms)
    }

    /// The newest sample in `(start_ms, end_ms]`: at hand unless later ones were written.
    pub(super) fn newest(&self, start_ms: i64, end_ms: i64) -> Option<Sample> {
        match self.last {
            Some(last) if last.t_ms <= end_ms => (last.t_ms > start_ms).then_some(last),
            _ => self.samples(start_ms, end_ms).last(),
        }
    }

    /// Every chunk, the head as one of them.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Arc<Chunk>> {
        let head = (!self.head.is_empty()).then(|| Arc::new(self.head.to_chunk()));
        self.sealed.iter().cloned().chain(head)
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        let chunks: usize = self.sealed.iter().map(|chunk| chunk.memory_bytes()).sum();
        size_of::<Self>() + self.labels.text_bytes() + self.head.memory_bytes() + chunks
    }
}
