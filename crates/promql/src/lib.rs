//! PromQL and its data: labels, exposition, series, parser, evaluator.
//!
//! Owns: what a series is, how a page becomes samples, what an expression means (Prometheus documentation, "Querying").
//! Must not know: rules, alerts, sockets, files, clocks.
#![forbid(unsafe_code)]

pub mod eval;
pub mod exposition;
pub mod functions;
pub mod labels;
pub mod notation;
pub mod parse;
pub mod regex;
pub mod relabel;
pub mod series;

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

    /// Whether the answer is no longer wanted, as when the asker's time is up. An evaluation asks now and then, and ends in an error if so.
    fn given_up(&self) -> bool {
        false
    }
}
