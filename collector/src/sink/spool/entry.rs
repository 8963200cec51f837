//! The bytes of a record in the spool. All numbers little endian. Must not know: files.
//!
//! ```text
//! form u8 (2: never sent before it was spooled; 1: it may have been), kind u8, length of the subject u16, sequence u64, event time i64 (unix ms), spooled at i64 (unix ms), subject, payload
//! ```

use marketdata::RecordKind;

use super::super::outbox::{Id, Pending};

/// Never sent before it was spooled.
const FRESH: u8 = 2;
/// Sent, and nobody knows whether the stream holds it. Earlier versions wrote nothing else.
const DOUBTFUL: u8 = 1;
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
    /// It was sent before it was spooled, and the stream may hold it.
    pub(crate) is_doubtful: bool,
    /// The whole of what was read; the payload is its end.
    bytes: Vec<u8>,
    payload_at: usize,
}

/// Appends the bytes of a record.
pub(super) fn write(pending: &Pending, subject: &str, now_ms: i64, out: &mut Vec<u8>) {
    let Pending { record, sent } = pending;
    // Subjects are far below 64 KiB: the server refuses longer ones, and they come from our own table.
    let length = u16::try_from(subject.len()).unwrap_or(u16::MAX);
    out.extend([if sent.is_some() { DOUBTFUL } else { FRESH }, u8::try_from(record.kind.index()).unwrap_or(u8::MAX)]);
    out.extend(length.to_le_bytes());
    out.extend(record.sequence.to_le_bytes());
    out.extend(record.event_ts_ms.to_le_bytes());
    out.extend(now_ms.to_le_bytes());
    out.extend(subject.as_bytes().get(..usize::from(length)).unwrap_or_default());
    out.extend(&record.payload);
}

// === impl Entry ===

impl Entry {
    /// Reads a record's bytes; `None` for those of another form.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (event, rest) = rest.split_first_chunk()?;
        let (spooled, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let subject = std::str::from_utf8(rest.get(..length)?).ok()?.to_owned();
        let kind = *RecordKind::ALL.get(usize::from(*kind)).filter(|_| [DOUBTFUL, FRESH].contains(form))?;
        let (sequence, event_ts_ms, spooled_ms) = (u64::from_le_bytes(*sequence), i64::from_le_bytes(*event), i64::from_le_bytes(*spooled));
        let is_doubtful = *form == DOUBTFUL;
        Some(Self { kind, subject, sequence, event_ts_ms, spooled_ms, is_doubtful, bytes, payload_at: HEAD + length })
    }

    /// What its message id is made of.
    pub(crate) fn id(&self) -> Id {
        (self.sequence, self.event_ts_ms)
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
    fn what_is_written_is_read_and_what_is_cut_or_of_another_form_is_not() {
        let record = crate::sink::Record {
            stream: 3,
            kind: RecordKind::Trade,
            sequence: u64::MAX - 1,
            event_ts_ms: -7,
            payload: Bytes::from_static(b"{\"a\":1}"),
            offered: Duration::ZERO,
        };
        let (mut bytes, mut pending) = (Vec::new(), Pending { record, sent: None });
        write(&pending, "trade.binance.spot.BTC-USDT", 99, &mut bytes);
        let entry = Entry::read(bytes.clone()).unwrap();
        assert_eq!((entry.kind, entry.subject.as_str()), (RecordKind::Trade, "trade.binance.spot.BTC-USDT"));
        assert_eq!((entry.sequence, entry.event_ts_ms, entry.spooled_ms, entry.payload()), (u64::MAX - 1, -7, 99, b"{\"a\":1}".as_slice()));
        for cut in 0..HEAD + 10 {
            assert_eq!(Entry::read(bytes[..cut].to_vec()), None, "{cut}");
        }
        assert!(!entry.is_doubtful);
        bytes[0] = 3;
        assert_eq!(Entry::read(bytes), None);
        pending.sent = Some(Duration::ZERO);
        let mut bytes = Vec::new();
        write(&pending, "trade.a", 99, &mut bytes);
        assert!(Entry::read(bytes).unwrap().is_doubtful);
    }
}
