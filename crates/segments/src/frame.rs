//! The bytes of a segment file: a header, then frames. All numbers little endian.
//!
//! ```text
//! file header (16): "TIDESEG1", first sequence u64
//! frame  (20 + n):  sequence u64, payload length u32, CRC32C of the payload u32, CRC32C of these 16 bytes u32, payload
//! ```
//! The header has its own checksum so that a damaged length is told from a torn tail, and the frame after a damaged one can be found again.
//! Must not know: files, recovery.

/// The largest payload of one record.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Bytes of a segment file before its first frame.
pub(crate) const FILE_HEADER_BYTES: usize = 16;

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 20;

const MAGIC: &[u8; 8] = b"TIDESEG1";

/// What stands at a place of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole, undamaged frame.
    Frame { sequence: u64, payload: &'a [u8] },
    /// A good frame header whose payload reaches past the end of the file.
    Cut,
    /// A whole frame with a damaged payload.
    BadPayload,
    /// No frame header, or a damaged one.
    BadHeader,
}

pub(crate) fn file_header(first: u64) -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    let (magic, number) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    number.copy_from_slice(&first.to_le_bytes());
    header
}

/// Whether `bytes` begin as a segment file whose first record is `first`.
pub(crate) fn has_file_header(bytes: &[u8], first: u64) -> bool {
    bytes.starts_with(&file_header(first))
}

/// Appends a frame to `out`. The payload is at most [`MAX_PAYLOAD_BYTES`].
pub(crate) fn write_frame(out: &mut Vec<u8>, sequence: u64, payload: &[u8]) {
    let start = out.len();
    out.extend(sequence.to_le_bytes());
    out.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(crc32c::crc32c(payload).to_le_bytes());
    let check = crc32c::crc32c(out.get(start..).unwrap_or(&[]));
    out.extend(check.to_le_bytes());
    out.extend(payload);
}

/// The sequence, payload length and payload checksum of a frame header; none when it is damaged.
pub(crate) fn read_header(header: &[u8; FRAME_HEADER_BYTES]) -> Option<(u64, usize, u32)> {
    let (sequence, rest) = header.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (payload_check, rest) = rest.split_first_chunk()?;
    let (check, _) = rest.split_first_chunk()?;
    if crc32c::crc32c(header.first_chunk::<16>()?) != u32::from_le_bytes(*check) {
        return None;
    }
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES)?;
    Some((u64::from_le_bytes(*sequence), length, u32::from_le_bytes(*payload_check)))
}

/// What stands at the start of `bytes`.
pub(crate) fn read_frame(bytes: &[u8]) -> Found<'_> {
    let Some((header, rest)) = bytes.split_first_chunk() else {
        return Found::BadHeader;
    };
    let Some((sequence, length, check)) = read_header(header) else {
        return Found::BadHeader;
    };
    match rest.get(..length) {
        None => Found::Cut,
        Some(payload) if crc32c::crc32c(payload) == check => Found::Frame { sequence, payload },
        Some(_) => Found::BadPayload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_and_every_flipped_bit_is_seen() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, 7, b"payload");
        assert_eq!(bytes.len(), FRAME_HEADER_BYTES + 7);
        assert_eq!(read_frame(&bytes), Found::Frame { sequence: 7, payload: b"payload" });
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let want = if bit / 8 < FRAME_HEADER_BYTES { Found::BadHeader } else { Found::BadPayload };
            assert_eq!(read_frame(&bytes), want, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for cut in 0..bytes.len() {
            let want = if cut < FRAME_HEADER_BYTES { Found::BadHeader } else { Found::Cut };
            assert_eq!(read_frame(&bytes[..cut]), want, "cut {cut}");
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(read_frame(&[0; 64]), Found::BadHeader);
    }
}
