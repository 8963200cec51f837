//! The words of the store: bounds, outcomes with their reasons, counts. Must not know: how the store works.
use crate::labels::Matcher;

/// The bounds of a store; each is a number to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// Series held; over it new ones are refused.
    pub series: usize,
    /// Bytes of memory, counted. From 7/8 of it on new series are refused; over it [`Store::maintain`](super::Store::maintain) lets the oldest chunks go before their time.
    pub memory_bytes: usize,
    /// How far back samples of every series are kept, in milliseconds: the lookback. [`Reach`]es add to it.
    pub retention_ms: i64,
    /// Samples one selection may return.
    pub select_samples: usize,
}

/// Series that are kept for longer, because a rule looks back on them.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Which: those that all of these match.
    pub matchers: Vec<Matcher>,
    /// How far back, in milliseconds.
    pub back_ms: i64,
}

/// Why there is no room for a new series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesRefused {
    /// [`Ceilings::series`] are held.
    #[error("new series refused: {limit} series are held already")]
    TooManySeries {
        /// The ceiling.
        limit: usize,
    },
    /// Nearly [`Ceilings::memory_bytes`] are held.
    #[error("new series refused: {held} bytes are held, near the ceiling of {limit}")]
    MemoryFull {
        /// Bytes held.
        held: usize,
        /// The ceiling.
        limit: usize,
    },
}

/// What became of a sample that was no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Held.
    New,
    /// The newest sample has the same time and value: nothing to do.
    Repeated,
}

/// Why a sample was not taken; the store is unchanged but for a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Older than the series' newest sample.
    #[error("out of order sample")]
    OutOfOrder,
    /// The newest sample has the same time and another value.
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// Older than what is kept.
    #[error("out of bounds: older than the retention")]
    TooOld,
    /// The series was removed since its id was given out; ask [`Store::series`](super::Store::series) again.
    #[error("the series is no longer held")]
    UnknownSeries,
    /// A new series would be needed.
    #[error(transparent)]
    Refused(#[from] SeriesRefused),
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Samples taken.
    pub appended: u64,
    /// Samples that came twice alike.
    pub repeated: u64,
    /// Samples refused as [`AppendError::OutOfOrder`].
    pub out_of_order: u64,
    /// Samples refused as [`AppendError::DuplicateTimestamp`].
    pub duplicate_timestamp: u64,
    /// Samples refused as [`AppendError::TooOld`].
    pub too_old: u64,
    /// Times a new series was refused as [`SeriesRefused::TooManySeries`].
    pub refused_series: u64,
    /// Times a new series was refused as [`SeriesRefused::MemoryFull`].
    pub refused_memory: u64,
    /// Series made.
    pub created: u64,
    /// Series removed because their newest sample passed the retention.
    pub removed: u64,
    /// Chunks let go because they passed the retention.
    pub expired_chunks: u64,
    /// Chunks let go before their time because memory was full.
    pub evicted_chunks: u64,
    /// Chunks let go before they were on the disk, because it does not take them and memory fills up.
    pub lost_chunks: u64,
    /// Chunks taken back from a disk.
    pub restored_chunks: u64,
}

/// The state of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Series held.
    pub series: usize,
    /// Bytes of memory held, counted.
    pub memory_bytes: usize,
    /// Time of the newest sample taken, unix milliseconds.
    pub newest_ms: Option<i64>,
    /// Everything up to here may be missing, because memory was full; unix milliseconds.
    pub evicted_until_ms: Option<i64>,
    /// The counters.
    pub counters: Counters,
}

/// What one [`Store::maintain`](super::Store::maintain) let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Series removed.
    pub series: usize,
    /// Chunks past the retention.
    pub expired_chunks: usize,
    /// Chunks let go early because memory was full.
    pub evicted_chunks: usize,
}

// === impl Ceilings ===

impl Default for Ceilings {
    /// 100,000 series, 16 MiB, one hour, 50 million samples (Prometheus's `query.max-samples`).
    fn default() -> Self {
        Self { series: 100_000, memory_bytes: 16 << 20, retention_ms: 3_600_000, select_samples: 50_000_000 }
    }
}

// === impl SeriesRefused ===

impl SeriesRefused {
    /// The reason's name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooManySeries { .. } => "too_many_series",
            Self::MemoryFull { .. } => "memory_full",
        }
    }
}

// === impl AppendError ===

impl AppendError {
    /// The reason's name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::TooOld => "too_old",
            Self::UnknownSeries => "unknown_series",
            Self::Refused(refused) => refused.as_str(),
        }
    }
}
