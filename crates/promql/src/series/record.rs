//! One series as bytes: what a shell keeps on disk and hands back. Little endian; the frame around it carries the checksum.
//! Must not know: files, which series are kept.
use super::chunk::{CHUNK_SAMPLES, Chunk};
use super::held::HeldSeries;
use super::outcome::SeriesRefused;
use crate::Sample;
use crate::labels::Labels;

/// The first byte of a record.
const VERSION: u8 = 1;

/// Why a record was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not a record of this version, cut off, or samples that do not ascend.
    #[error("damaged series record")]
    Damaged,
    /// Its samples are not all older than those held.
    #[error("the record overlaps samples that are held")]
    Overlap,
    /// It needs a new series.
    #[error(transparent)]
    Refused(#[from] SeriesRefused),
}

/// A decoded record.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) labels: Labels,
    /// At least one, ascending.
    pub(super) chunks: Vec<Chunk>,
    pub(super) last: Sample,
}

pub(super) fn encode(series: &HeldSeries) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, series.labels.len());
    for text in series.labels.iter().flat_map(|(name, value)| [name, value]) {
        put_bytes(&mut out, text.as_bytes());
    }
    for chunk in series.chunks() {
        put_number(&mut out, chunk.len());
        put_bytes(&mut out, &chunk.bits);
    }
    out
}

pub(super) fn decode(record: &[u8]) -> Result<Restored, RecordError> {
    decode_parts(record).ok_or(RecordError::Damaged)
}

fn decode_parts(record: &[u8]) -> Option<Restored> {
    let (version, mut rest) = record.split_first()?;
    if *version != VERSION {
        return None;
    }
    let count = take_number(&mut rest)?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let name = std::str::from_utf8(take_bytes(&mut rest)?).ok()?;
        pairs.push((name, std::str::from_utf8(take_bytes(&mut rest)?).ok()?));
    }
    let mut chunks = Vec::new();
    let mut last: Option<Sample> = None;
    while !rest.is_empty() {
        let count = u16::try_from(take_number(&mut rest)?).ok().filter(|count| (1..=CHUNK_SAMPLES).contains(count))?;
        let mut chunk = Chunk { start_ms: 0, end_ms: 0, count, bits: take_bytes(&mut rest)?.into() };
        let mut read = 0;
        let mut start_ms = None;
        for sample in chunk.samples() {
            if last.is_some_and(|last| sample.t_ms <= last.t_ms) {
                return None;
            }
            start_ms = start_ms.or(Some(sample.t_ms));
            last = Some(sample);
            read += 1;
        }
        if read != chunk.len() {
            return None;
        }
        (chunk.start_ms, chunk.end_ms) = (start_ms?, last?.t_ms);
        chunks.push(chunk);
    }
    Some(Restored { labels: Labels::from_pairs(pairs), chunks, last: last? })
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    out.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend(bytes);
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let bytes = take_number(rest)?;
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}
