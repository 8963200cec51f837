//! What a query reads: the series of one moment, in memory and on disk, in the wall clock's time, until the asker's time is up. Must not know: expressions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use promql::labels::{Labels, Matcher};
use promql::{Queryable, Sample, SeriesData};
use rules::Shown;

use super::Present;
use crate::storage::{Asked, History};

/// The series that one query may read.
#[derive(Debug)]
pub struct Past {
    all: Joined,
    offset_ms: i64,
}

/// Memory and disk as one, in steady time.
#[derive(Debug)]
struct Joined {
    present: Present,
    history: Arc<History>,
    /// Samples that may be read from disk.
    samples: usize,
    deadline: Instant,
    /// The asker has gone.
    gone: Arc<AtomicBool>,
}

// === impl Past ===

impl Past {
    pub(super) fn new(present: Present, (history, samples): (Arc<History>, usize), (deadline, gone): (Instant, Arc<AtomicBool>)) -> Self {
        Self { offset_ms: present.offset_ms, all: Joined { present, history, samples, deadline, gone } }
    }

    fn shown(&self) -> Shown<'_> {
        Shown::new(&self.all, self.offset_ms)
    }

    /// The labels of the series that all `matchers` match and that have a sample in about `(start_ms, end_ms]`, in order.
    ///
    /// # Errors
    /// When the asker's time is up, or a file cannot be read.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, String> {
        let (start_ms, end_ms) = (start_ms.saturating_sub(self.offset_ms), end_ms.saturating_sub(self.offset_ms));
        let given_up = || self.all.given_up();
        if given_up() {
            return Err("query timed out".to_owned());
        }
        let memory = self.all.present.series.labels(matchers, start_ms, end_ms);
        if start_ms >= self.all.present.whole_from_ms {
            return Ok(memory);
        }
        let mut all = self.all.history.labels(Asked { matchers, start_ms, end_ms, samples: 0, given_up: &given_up })?;
        all.extend(memory);
        Ok(all.into_iter().collect())
    }
}

impl Queryable for Past {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.shown().select(matchers, start_ms, end_ms)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.shown().latest(matchers, start_ms, end_ms)
    }

    fn given_up(&self) -> bool {
        self.all.given_up()
    }
}

// === impl Joined ===

impl Joined {
    /// What of the stretch is on disk; memory's own is left to memory.
    fn older(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<BTreeMap<Labels, Vec<Sample>>, String> {
        let given_up = || self.given_up();
        if given_up() {
            return Err("query timed out".to_owned());
        }
        if start_ms >= self.present.whole_from_ms {
            return Ok(BTreeMap::new());
        }
        self.history.select(Asked { matchers, start_ms, end_ms, samples: self.samples, given_up: &given_up })
    }
}

impl Queryable for Joined {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let memory = self.present.series.select(matchers, start_ms, end_ms)?;
        let mut all = self.older(matchers, start_ms, end_ms)?;
        if all.is_empty() {
            return Ok(memory);
        }
        for series in memory {
            // Memory has the end of a series without a gap: what the disk adds lies before it.
            let older = all.entry(series.labels).or_default();
            let from_ms = series.samples.first().map_or(i64::MAX, |sample| sample.t_ms);
            older.truncate(older.partition_point(|sample| sample.t_ms < from_ms));
            older.extend(series.samples);
        }
        Ok(all.into_iter().map(|(labels, samples)| SeriesData { labels, samples }).collect())
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        if start_ms >= self.present.whole_from_ms {
            return self.present.series.latest(matchers, start_ms, end_ms);
        }
        let mut found = self.select(matchers, start_ms, end_ms)?;
        for series in &mut found {
            let older = series.samples.len().saturating_sub(1);
            series.samples.drain(..older);
        }
        Ok(found)
    }

    fn given_up(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }
}
