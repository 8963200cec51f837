//! What a query reads: the series of one moment, in the wall clock's time, until the asker's time is up. Must not know: expressions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use promql::labels::{Labels, Matcher};
use promql::{Queryable, SeriesData};
use rules::Shown;

use super::Present;

/// The series that one query may read.
#[derive(Debug)]
pub struct Past {
    present: Present,
    deadline: Instant,
    /// The asker has gone.
    gone: Arc<AtomicBool>,
}

impl Past {
    pub(super) fn new(present: Present, deadline: Instant, gone: Arc<AtomicBool>) -> Self {
        Self { present, deadline, gone }
    }

    fn shown(&self) -> Shown<'_> {
        Shown::new(&self.present.series, self.present.offset_ms)
    }

    /// The labels of the series that all `matchers` match and that have a sample in `(start_ms, end_ms]`, in order.
    ///
    /// # Errors
    /// When the asker's time is up.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, String> {
        self.still_wanted()?;
        let steady = |ms: i64| ms.saturating_sub(self.present.offset_ms);
        Ok(self.present.series.labels(matchers, steady(start_ms), steady(end_ms)))
    }

    fn still_wanted(&self) -> Result<(), String> {
        if self.given_up() { Err("query timed out".to_owned()) } else { Ok(()) }
    }
}

impl Queryable for Past {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.still_wanted()?;
        self.shown().select(matchers, start_ms, end_ms)
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        self.still_wanted()?;
        self.shown().latest(matchers, start_ms, end_ms)
    }

    fn given_up(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }
}
