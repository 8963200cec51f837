//! Series as an evaluation reads them: all samples in one piece of memory. Must not know: where they come from, what is computed from them.
use crate::labels::Labels;
use crate::{Sample, SeriesData};

/// Series with at least one sample each, in the order they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Labels, and where the samples of the series end.
    series: Vec<(Labels, usize)>,
    samples: Vec<Sample>,
}

/// The most samples for which room is made before they are there.
const ROOM: usize = 1 << 16;

// === impl Block ===

impl Block {
    /// Bytes of memory that a series takes beside its samples.
    pub(crate) const SERIES_BYTES: usize = size_of::<(Labels, usize)>();

    /// An empty one for about so many series.
    pub fn with_room(series: usize) -> Self {
        Self { series: Vec::with_capacity(series), samples: Vec::new() }
    }

    /// Appends a series with the samples that `read` appends, oldest first; no series when there are none.
    pub fn read(&mut self, labels: &Labels, read: impl FnOnce(&mut Vec<Sample>)) {
        let before = self.samples.len();
        read(&mut self.samples);
        let read = self.samples.len() - before;
        if read == 0 {
            return;
        }
        if self.series.is_empty() {
            // The others are likely to have as many.
            self.samples.reserve(self.series.capacity().saturating_mul(read).min(ROOM));
        }
        self.series.push((labels.clone(), self.samples.len()));
    }

    /// Puts in the place of each series' samples what `renew` makes of them, by appending it; `spare` is memory to do it in.
    pub(crate) fn renew(&mut self, spare: &mut Vec<Sample>, mut renew: impl FnMut(&[Sample], &mut Vec<Sample>)) {
        spare.clear();
        // One more for each series is what mostly comes.
        spare.reserve_exact(self.samples.len() + self.series.len());
        let mut start = 0;
        for (_, end) in &mut self.series {
            renew(self.samples.get(start..*end).unwrap_or_default(), spare);
            start = *end;
            *end = spare.len();
        }
        if spare.capacity() <= spare.len() + spare.len() / 4 {
            return std::mem::swap(&mut self.samples, spare);
        }
        // The memory of a larger one is left to the next of its kind.
        self.samples.clear();
        self.samples.reserve_exact(spare.len());
        self.samples.extend_from_slice(spare);
    }

    /// How many samples there is memory for.
    pub(crate) fn room(&self) -> usize {
        self.samples.capacity()
    }

    /// How many series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// How many samples.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Each series with its samples.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[Sample])> {
        let starts = std::iter::once(0).chain(self.series.iter().map(|(_, end)| *end));
        self.series.iter().zip(starts).map(|((labels, end), start)| (labels, self.samples.get(start..*end).unwrap_or_default()))
    }

    /// Each series with samples of its own.
    pub fn into_series(self) -> Vec<SeriesData> {
        self.iter().map(|(labels, samples)| SeriesData { labels: labels.clone(), samples: samples.to_vec() }).collect()
    }

    /// Adds `by_ms` to every time.
    pub fn shift(&mut self, by_ms: i64) {
        for sample in &mut self.samples {
            sample.t_ms = sample.t_ms.saturating_add(by_ms);
        }
    }
}
