//! The bytes of a record in the spool. All numbers little endian. Must not know: files.
//!
//! ```text
//! version u8 = 1, kind u8, length of the subject u16, sequence u64, event time i64 (unix ms), spooled at i64 (unix ms), subject, payload
//! ```

use marketdata::RecordKind;

use super::super::Record;

const VERSION: u8 = 1;
/// Bytes before the subject.
const HEAD: usize = 28;

/// A record as the spool has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: RecordKind,
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) event_ts_ms: i64,
    /// When it was spooled, unix ms.
    pub(crate) spooled_ms: i64,
    /// The whole of what was read; the payload is its end.
    bytes: Vec<u8>,
    payload_at: usize,
}

/// Appends the bytes of a record.
pub(super) fn write(record: &Record, subject: &str, now_ms: i64, out: &mut Vec<u8>) {
    // Subjects are far below 64 KiB: the server refuses longer ones, and they come from our own table.
    let length = u16::try_from(subject.len()).unwrap_or(u16::MAX);
    out.extend([VERSION, u8::try_from(record.kind.index()).unwrap_or(u8::MAX)]);
    out.extend(length.to_le_bytes());
    out.extend(record.sequence.to_le_bytes());
    out.extend(record.event_ts_ms.to_le_bytes());
    out.extend(now_ms.to_le_bytes());
    out.extend(subject.as_bytes().get(..usize::from(length)).unwrap_or_default());
    out.extend(&record.payload);
}

// === impl Entry ===

impl Entry {
    /// Reads a record's bytes; `None` for those of another version.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (event, rest) = rest.split_first_chunk()?;
        let (spooled, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let subject = std::str::from_utf8(rest.get(..length)?).ok()?.to_owned();
        let kind = *RecordKind::ALL.get(usize::from(*kind)).filter(|_| *version == VERSION)?;
        let (sequence, event_ts_ms, spooled_ms) = (u64::from_le_bytes(*sequence), i64::from_le_bytes(*event), i64::from_le_bytes(*spooled));
        Some(Self { kind, subject, sequence, event_ts_ms, spooled_ms, bytes, payload_at: HEAD + length })
    }

    /// JSON body.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_or_of_another_version_is_not() {
        let record = Record {
            stream: 3,
            kind: RecordKind::Trade,
            sequence: u64::MAX - 1,
            event_ts_ms: -7,
            payload: Bytes::from_static(b"{\"a\":1}"),
            offered: Duration::ZERO,
        };
        let mut bytes = Vec::new();
        write(&record, "trade.binance.spot.BTC-USDT", 99, &mut bytes);
        let entry = Entry::read(bytes.clone()).unwrap();
        assert_eq!((entry.kind, entry.subject.as_str()), (RecordKind::Trade, "trade.binance.spot.BTC-USDT"));
        assert_eq!((entry.sequence, entry.event_ts_ms, entry.spooled_ms, entry.payload()), (u64::MAX - 1, -7, 99, b"{\"a\":1}".as_slice()));
        for cut in 0..HEAD + 10 {
            assert_eq!(Entry::read(bytes[..cut].to_vec()), None, "{cut}");
        }
        bytes[0] = 2;
        assert_eq!(Entry::read(bytes), None);
    }
}
