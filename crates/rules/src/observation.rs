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
    /// Whether rules that read these series are to run at once.
    pub urgency: Urgency,
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
