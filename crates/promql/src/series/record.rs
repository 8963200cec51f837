//! Chunks as bytes: what a shell keeps on disk and hands back. Little endian; the frame around it carries the checksum.
//!
//! ```text
//! chunk: samples u16, bytes u32, time of the newest sample i64, bits (which begin with the time of the oldest)
//! ```
//! Lists can be joined by joining their bytes. Must not know: files, which series are kept.
use super::chunk::{CHUNK_SAMPLES, Chunk};

/// Why chunks were not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Not all older than the samples held, or not ascending.
    #[error("the chunks overlap samples that are held")]
    Overlap,
    /// They need a new series.
    #[error(transparent)]
    Refused(#[from] super::SeriesRefused),
}

/// The bytes of chunks, oldest first.
pub fn encode_chunks<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend(chunk.count.to_le_bytes());
        out.extend(u32::try_from(chunk.bits.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(chunk.end_ms.to_le_bytes());
        out.extend(&chunk.bits);
    }
    out
}

/// The chunks of such bytes that have a sample in `(start_ms, end_ms]`; none when the bytes are damaged.
pub fn decode_chunks(bytes: &[u8], start_ms: i64, end_ms: i64) -> Option<Vec<Chunk>> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (count, after) = rest.split_first_chunk()?;
        let (length, after) = after.split_first_chunk()?;
        let (newest, after) = after.split_first_chunk()?;
        let (bits, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        rest = after;
        let chunk = Chunk {
            // The bits begin with the time of the oldest sample, highest bit first.
            start_ms: i64::from_be_bytes(*bits.first_chunk()?),
            end_ms: i64::from_le_bytes(*newest),
            count: u16::from_le_bytes(*count),
            cut: 0,
            bits: if overlaps(bits, i64::from_le_bytes(*newest), start_ms, end_ms) { bits.into() } else { Box::default() },
        };
        if chunk.count == 0 || chunk.count > CHUNK_SAMPLES || chunk.start_ms > chunk.end_ms {
            return None;
        }
        if !chunk.bits.is_empty() {
            chunks.push(chunk);
        }
    }
    Some(chunks)
}

fn overlaps(bits: &[u8], newest_ms: i64, start_ms: i64, end_ms: i64) -> bool {
    newest_ms > start_ms && bits.first_chunk().is_some_and(|oldest| i64::from_be_bytes(*oldest) <= end_ms)
}
