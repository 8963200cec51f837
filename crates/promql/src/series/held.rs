//! One series in memory: its labels, sealed chunks and the head. Must not know: other series, ceilings.
use std::sync::Arc;

use super::chunk::{Chunk, Head, Samples};
use super::store::SeriesId;
use crate::labels::Labels;
use crate::{Asked, Sample, Wanted};

/// One series in memory.
#[derive(Clone, Debug)]
pub(super) struct HeldSeries {
    pub(super) id: SeriesId,
    pub(super) labels: Labels,
    /// How far back its samples are kept, milliseconds.
    pub(super) keep_ms: i64,
    /// Oldest first, all before the head.
    pub(super) sealed: Vec<Arc<Chunk>>,
    head: Head,
    last: Option<Sample>,
}

/// What a series has taken since some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Since {
    Nothing,
    /// Only its newest sample.
    One(Sample),
    /// More than one, or it cannot be told without reading it.
    Unknown,
}

impl HeldSeries {
    pub(super) fn new(id: SeriesId, labels: Labels, keep_ms: i64) -> Self {
        Self { id, labels, keep_ms, sealed: Vec::new(), head: Head::default(), last: None }
    }

    /// The newest sample ever taken.
    pub(super) fn last(&self) -> Option<Sample> {
        self.last
    }

    /// What came after `t_ms`, the time of a sample that was its newest, or before all.
    pub(super) fn since(&self, t_ms: i64) -> Since {
        let Some(last) = self.last.filter(|last| last.t_ms > t_ms) else { return Since::Nothing };
        let before_ms = match self.head.second_newest_ms() {
            None if self.head.is_empty() => return Since::Unknown,
            None => self.sealed.last().map_or(i64::MIN, |chunk| chunk.end_ms()),
            Some(before_ms) => before_ms,
        };
        if before_ms <= t_ms { Since::One(last) } else { Since::Unknown }
    }

    /// Time of the oldest sample held.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.sealed.first().map(|chunk| chunk.start_ms()).or_else(|| (!self.head.is_empty()).then(|| self.head.span_ms().0))
    }

    /// Takes a sample later than [`last`](Self::last); the bytes of memory it added and gave back. A head that is full becomes a chunk of this cut.
    pub(super) fn push(&mut self, sample: Sample, cut: u32) -> (usize, usize) {
        let given_back = self.head.memory_bytes();
        let sealed = if self.head.is_full() { self.seal(cut).0 } else { 0 };
        self.head.push(sample);
        self.last = Some(sample);
        (sealed + self.head.memory_bytes(), given_back)
    }

    /// Makes what the head holds a chunk of this cut; the bytes of memory that added and gave back.
    pub(super) fn seal(&mut self, cut: u32) -> (usize, usize) {
        if self.head.is_empty() {
            return (0, 0);
        }
        let given_back = self.head.memory_bytes();
        let chunk = self.head.to_chunk(cut);
        let added = chunk.memory_bytes();
        self.sealed.push(Arc::new(chunk));
        self.head = Head::default();
        (added, given_back)
    }

    /// Takes chunks from the disk, oldest first, ascending and before every sample held; the bytes of memory they added.
    pub(super) fn restore(&mut self, chunks: Vec<Chunk>) -> usize {
        let added = chunks.iter().map(Chunk::memory_bytes).sum();
        self.last = self.last.or_else(|| chunks.last()?.samples().last());
        self.sealed.splice(0..0, chunks.into_iter().map(Arc::new));
        added
    }

    /// Whether nothing of it is missing on the disk when cuts up to `kept` are there (`u32::MAX`: nothing is kept on a disk).
    pub(super) fn is_kept(&self, kept: u32) -> bool {
        kept == u32::MAX || self.head.is_empty() && self.sealed.last().is_none_or(|chunk| chunk.cut <= kept)
    }

    /// Lets go of sealed chunks that end before `horizon_ms` and belong to a cut up to `kept`; how many chunks and bytes.
    pub(super) fn drop_before(&mut self, horizon_ms: i64, kept: u32) -> (usize, usize) {
        let gone = self.sealed.iter().take_while(|chunk| chunk.end_ms() < horizon_ms && chunk.cut <= kept).count();
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

    /// Appends what is asked for to `out`.
    pub(super) fn read(&self, asked: &Asked<'_>, out: &mut Vec<Sample>) {
        let (start_ms, end_ms) = (asked.start_ms, asked.end_ms);
        if asked.wanted == Wanted::Newest {
            return out.extend(self.newest(start_ms, end_ms));
        }
        let first = self.sealed.partition_point(|chunk| chunk.end_ms() <= start_ms);
        for chunk in self.sealed.get(first..).unwrap_or_default() {
            if !chunk.samples().read_into(asked, out) {
                return;
            }
        }
        if !self.head.is_empty() && self.head.span_ms().1 > start_ms {
            self.head.samples().read_into(asked, out);
        }
    }

    /// The newest sample in `(start_ms, end_ms]`: at hand unless later ones were written.
    pub(super) fn newest(&self, start_ms: i64, end_ms: i64) -> Option<Sample> {
        match self.last {
            Some(last) if last.t_ms <= end_ms => (last.t_ms > start_ms).then_some(last),
            _ => self.samples(start_ms, end_ms).last(),
        }
    }

    /// Bytes of the chunks that belong to a cut after `kept`.
    pub(super) fn unkept_bytes(&self, kept: u32) -> usize {
        self.sealed.iter().rev().take_while(|chunk| chunk.cut > kept).map(|chunk| chunk.memory_bytes()).sum()
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        let chunks: usize = self.sealed.iter().map(|chunk| chunk.memory_bytes()).sum();
        size_of::<Self>() + self.labels.text_bytes() + self.head.memory_bytes() + chunks
    }
}
