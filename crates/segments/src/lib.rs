//! Append files that survive a crash: a log of records in rotated segment files, a journal (snapshot and log) on top of it, and blocks: files that are
//! written once and read by key.
//!
//! Owns: framing and checksums, rotation, the bound on bytes, fsync, recovery with quarantine, the lock against a second process.
//! Must not know: what a record means, any clock, who reads.
//!
//! * A record is kept once [`SegmentLog::append`] or [`Journal::append`] returned after its fsync; killing the process at any moment loses no such record.
//! * Opening never fails because of what files hold: a torn tail is cut off, a damaged file is set aside as `….corrupt-N` and its good records are kept,
//!   and all of it is told in a [`Recovery`]. It fails when the directory cannot be used at all, or another process has it.
//! * Records are numbered from 1 without gaps; a number is never used twice. Files are called after their first record, so their names sort.
//!
//! ```
//! use segments::{Fsync, Options, SegmentLog};
//!
//! let dir = tempfile::tempdir()?;
//! let (mut log, recovery) = SegmentLog::open(dir.path(), Options::default())?;
//! assert!(recovery.is_clean());
//! log.append(&[b"one".as_slice(), b"two"], Fsync::Now)?;
//! let read: Vec<_> = log.read_from(2).collect::<Result<_, _>>()?;
//! assert_eq!(read, [segments::Record { sequence: 2, payload: b"two".to_vec() }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod atomic;
mod block;
mod block_dir;
mod cursor;
mod disk;
mod examine;
mod frame;
mod journal;
mod lock;
mod log;
mod outcome;
mod reader;
mod recovery;

pub use atomic::write_atomic;
pub use block::{Block, BlockEntry, BlockIndex, BlockMeta, BlockWriter, Span};
pub use block_dir::BlockDir;
pub use cursor::Cursor;
pub use disk::{AppendFile, Disk, SystemDisk};
pub use frame::MAX_PAYLOAD_BYTES;
pub use journal::{Journal, JournalOptions, Restored};
pub use log::SegmentLog;
pub use outcome::{AppendError, Fsync, OnFull, OpenError, Options, Stats};
pub use reader::{Reader, Record};
pub use recovery::{Recovery, Trouble};
