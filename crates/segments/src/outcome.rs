//! The words of the log: bounds, errors with their reasons, figures. Must not know: how the log works.
use std::io;
use std::path::PathBuf;

use crate::frame::MAX_PAYLOAD_BYTES;

/// The bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A file that would grow over this is ended and a new one begun; recovery and reading hold one file in memory.
    pub segment_bytes: u64,
    /// Bytes of all files together. Files set aside as damaged come on top, at most four.
    pub total_bytes: u64,
    /// What happens over `total_bytes`.
    pub on_full: OnFull,
}

/// What happens when the log is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// The oldest file goes, counted.
    RemoveOldest,
    /// The append is refused.
    Refuse,
}

/// When an append returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// After the records are on the disk: one fsync for the batch.
    Now,
    /// At once; [`SegmentLog::sync`](crate::SegmentLog::sync), rotation or a later append brings them to the disk.
    Later,
}

/// Why a directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another log of this one) has it.
    #[error("{} is in use by another process", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// It cannot be made, locked or listed.
    #[error("{}: {error}", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// Why records were not kept; the log can be used again at once, and none of the batch is read back.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A payload over [`MAX_PAYLOAD_BYTES`].
    #[error("a record of {bytes} bytes, over the limit of {MAX_PAYLOAD_BYTES}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// Over [`Options::total_bytes`] with [`OnFull::Refuse`].
    #[error("the log is full: {held} of {limit} bytes")]
    Full {
        /// Bytes held.
        held: u64,
        /// The bound.
        limit: u64,
    },
    /// Writing failed, as on a full disk.
    #[error("write: {0}")]
    Write(#[source] io::Error),
    /// The fsync failed. Records appended before with [`Fsync::Later`] may be lost too.
    #[error("fsync: {0}")]
    Sync(#[source] io::Error),
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files.
    pub segments: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Records held.
    pub records: u64,
    /// Number of the next record.
    pub next_sequence: u64,
    /// Records appended since opening.
    pub appended: u64,
    /// Records removed since opening because the log was full.
    pub removed_full: u64,
    /// Appends refused since opening because the log was full.
    pub refused_full: u64,
    /// Writes that failed since opening.
    pub write_errors: u64,
    /// Calls of fsync that failed since opening.
    pub sync_errors: u64,
}

// === impl Options ===

impl Default for Options {
    /// Files of 4 MiB, 64 MiB together, the oldest go.
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, total_bytes: 64 << 20, on_full: OnFull::RemoveOldest }
    }
}

// === impl AppendError ===

impl AppendError {
    /// The reason's name in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Full { .. } => "full",
            Self::Write(_) => "write_failed",
            Self::Sync(_) => "sync_failed",
        }
    }
}
