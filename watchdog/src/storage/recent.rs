//! The newest samples as records of a log: what a crash would cost if it were not for them. Must not know: files, when they are written.
//!
//! ```text
//! record: 1u8, distance of the wall clock's time to the steady one i64, then entries: series u32, bytes of its labels u32 (none when they came before), labels, bytes of its chunks u32, chunks
//! ```

use std::collections::BTreeMap;

use promql::Sample;
use promql::labels::Labels;
use promql::series::{Chunk, decode_chunks, encode_chunks};

const VERSION: u8 = 1;
/// A record is ended above this: a damaged one costs no more.
const RECORD_BYTES: usize = 64 << 10;
/// Records of one write.
const AT_ONCE: usize = 4;

/// Records being made.
#[derive(Debug)]
pub(super) struct Batch {
    offset_ms: i64,
    ended: Vec<Vec<u8>>,
    record: Vec<u8>,
}

/// Records being read.
#[derive(Debug, Default)]
pub(super) struct Replay {
    series: BTreeMap<u32, Labels>,
    /// Entries whose labels are missing, or that are damaged.
    pub(super) lost: u64,
    /// What the last record said of the wall clock.
    pub(super) offset_ms: i64,
}

// === impl Batch ===

impl Batch {
    /// A first record without entries.
    pub(super) fn new(offset_ms: i64) -> Self {
        Self { offset_ms, ended: Vec::new(), record: head(offset_ms) }
    }

    /// Adds samples of a series; its labels when the log does not have them yet.
    pub(super) fn push(&mut self, series: u32, labels: Option<&Labels>, chunks: &[Chunk]) {
        self.record.extend(series.to_le_bytes());
        put(&mut self.record, labels.map_or("", Labels::packed).as_bytes());
        put(&mut self.record, &encode_chunks(chunks));
        if self.record.len() >= RECORD_BYTES {
            self.ended.push(std::mem::replace(&mut self.record, head(self.offset_ms)));
        }
    }

    /// Whether there is enough to be written. So only right behind the end of a record: everything pushed is then in complete ones.
    pub(super) fn is_long(&self) -> bool {
        self.ended.len() >= AT_ONCE
    }

    /// The records that are complete.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.ended)
    }

    /// The records that are left.
    pub(super) fn into_records(mut self) -> Vec<Vec<u8>> {
        self.ended.push(self.record);
        self.ended
    }
}

// === impl Replay ===

impl Replay {
    /// Reads a record, oldest first, and hands over its samples.
    pub(super) fn read(&mut self, record: &[u8], mut take: impl FnMut(&Labels, Sample)) {
        let Some((offset, mut rest)) = record.strip_prefix(&[VERSION]).and_then(|rest| rest.split_first_chunk()) else {
            self.lost += 1;
            return;
        };
        self.offset_ms = i64::from_le_bytes(*offset);
        while !rest.is_empty() {
            let Some((number, labels, chunks, after)) = entry(rest) else {
                self.lost += 1;
                return;
            };
            rest = after;
            if let Some(labels) = std::str::from_utf8(labels).ok().filter(|text| !text.is_empty()).and_then(Labels::from_packed) {
                self.series.insert(number, labels);
            }
            match (self.series.get(&number), decode_chunks(chunks, i64::MIN, i64::MAX)) {
                (Some(labels), Some(chunks)) => chunks.iter().flat_map(Chunk::samples).for_each(|sample| take(labels, sample)),
                _ => self.lost += 1,
            }
        }
    }

    /// A number above every series' so far.
    pub(super) fn next_series(&self) -> u32 {
        self.series.keys().next_back().map_or(0, |last| last.saturating_add(1))
    }
}

fn head(offset_ms: i64) -> Vec<u8> {
    let mut record = vec![VERSION];
    record.extend(offset_ms.to_le_bytes());
    record
}

type Entry<'a> = (u32, &'a [u8], &'a [u8], &'a [u8]);

fn entry(rest: &[u8]) -> Option<Entry<'_>> {
    let (number, rest) = rest.split_first_chunk()?;
    let (labels, rest) = take(rest)?;
    let (chunks, rest) = take(rest)?;
    Some((u32::from_le_bytes(*number), labels, chunks, rest))
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(bytes);
}

fn take(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = rest.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
