//! PromQL and its data: labels, exposition, series, parser, evaluator.
//!
//! Owns: what a series is, how a page becomes samples, what an expression means (Prometheus documentation, "Querying").
//! Must not know: rules, alerts, sockets, files, clocks.
#![forbid(unsafe_code)]

mod block;
pub mod eval;
pub mod exposition;
pub mod functions;
pub mod labels;
pub mod notation;
pub mod parse;
pub mod regex;
pub mod relabel;
pub mod series;

use std::sync::Arc;

pub use block::Block;
use labels::{Labels, Matcher};

/// One point of a series: unix milliseconds and value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Unix time in milliseconds.
    pub t_ms: i64,
    /// Value; [`STALE_NAN_BITS`] marks the end of the series.
    pub v: f64,
}

/// The bit pattern of Prometheus's stale marker (a NaN no computation yields).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether `v` is the stale marker.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// A series with some of its samples, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesData {
    /// All labels, `__name__` included.
    pub labels: Labels,
    /// Samples with `start < t_ms <= end` of the selection, stale markers included, ascending in time.
    pub samples: Vec<Sample>,
}

/// What an evaluation asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Series that all of these match.
    pub matchers: &'a [Matcher],
    /// Samples after this time, unix milliseconds.
    pub start_ms: i64,
    /// Samples up to this time.
    pub end_ms: i64,
    /// Which of them.
    pub wanted: Wanted,
}

/// Which samples of a stretch of time are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest of each series, be it a stale marker.
    Newest,
    /// All, stale markers included: they end what an instant selector sees.
    All,
    /// All but stale markers, which are no samples of a range.
    Live,
}

/// What an evaluation reads: a store, a snapshot of one, or a test's list.
pub trait Queryable {
    /// Every series that all `matchers` match, with its samples in the left-open range `(start_ms, end_ms]`; series without a sample there are left out.
    ///
    /// # Errors
    /// A text for the user when the selection cannot be answered (over a limit, unreadable chunk).
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String>;

    /// The newest sample, a stale marker included, of every series that [`select`](Self::select) would give. A store that keeps it at hand answers without
    /// reading the rest: an alert rule that looks at the present asks nothing else.
    ///
    /// # Errors
    /// As for [`select`](Self::select).
    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let mut series = self.select(matchers, start_ms, end_ms)?;
        for one in &mut series {
            let older = one.samples.len().saturating_sub(1);
            one.samples.drain(..older);
        }
        Ok(series)
    }

    /// The same for an evaluation: in one piece, and in order of labels. A store that can read straight into it need not go through the others.
    ///
    /// # Errors
    /// As for [`select`](Self::select).
    fn read(&self, asked: &Asked<'_>) -> Result<Arc<Block>, String> {
        let Asked { matchers, start_ms, end_ms, wanted } = *asked;
        let mut series = if wanted == Wanted::Newest { self.latest(matchers, start_ms, end_ms)? } else { self.select(matchers, start_ms, end_ms)? };
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut block = Block::with_room(series.len());
        for one in series {
            block.read(&one.labels, |samples| samples.extend(one.samples.iter().filter(|sample| wanted != Wanted::Live || !is_stale(sample.v))));
        }
        Ok(Arc::new(block))
    }

    /// Whether the answer is no longer wanted, as when the asker's time is up. An evaluation asks now and then, and ends in an error if so.
    fn given_up(&self) -> bool {
        false
    }
}
