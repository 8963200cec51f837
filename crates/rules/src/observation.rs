//! What the engine is told: samples from a scrape, a probe, a look at a process, the watchdog's own figures.

use promql::Sample;
use promql::labels::Labels;
use promql::series::{AppendError, Appended};

/// The samples of one look at one source, all of one moment.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// When the look began, in unix milliseconds of the wall clock; a value far from `now` is replaced by `now`.
    pub at_ms: i64,
    /// Series (with `__name__`) and values.
    pub samples: Vec<(Labels, f64)>,
    /// Series whose page gave a time of its own, in unix milliseconds.
    pub stamped: Vec<(Labels, Sample)>,
    /// Series that ended: they get a stale marker.
    pub stale: Vec<Labels>,
    /// The same of series that are known by number.
    pub page: Option<Page>,
    /// Whether rules that read these series are to run at once.
    pub urgency: Urgency,
}

/// A look at a source that numbers its series, so that a thousand known ones are told without their labels.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Which source; a number means something within one only.
    pub source: u64,
    /// A source that this one takes the place of: its series that this page has not end, and its numbers mean nothing any more.
    pub replaces: Option<u64>,
    /// Numbers from now on, and the series (with `__name__`) they stand for.
    pub learned: Vec<(u32, Labels)>,
    /// Values of the observation's moment.
    pub samples: Vec<(u32, f64)>,
    /// Values with a time of their own, in unix milliseconds.
    pub stamped: Vec<(u32, Sample)>,
    /// Series that ended: they get a stale marker.
    pub stale: Vec<u32>,
    /// Numbers that mean nothing from now on.
    pub freed: Vec<u32>,
    /// Whether the source ends with this.
    pub last: bool,
}

/// Whether an observation can wait for the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// The groups run at their times.
    #[default]
    Routine,
    /// The alert rules that read these metric names run at the next turn, at most once a second (a process ended, a probe flipped, a verdict).
    Urgent,
}

/// What became of an observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Samples and stale markers taken in.
    pub accepted: usize,
    /// Samples of new series that the store had no room for.
    pub over_limit: usize,
    /// Samples not newer than what their series has, or older than what is kept.
    pub out_of_order: usize,
}

// === impl Observed ===

impl Observed {
    /// Counts what became of one sample.
    pub(crate) fn count(&mut self, outcome: Result<Appended, AppendError>) {
        match outcome {
            Ok(_) => self.accepted += 1,
            Err(AppendError::Refused(_)) => self.over_limit += 1,
            Err(_) => self.out_of_order += 1,
        }
    }
}
