//! The last step of the data path: a record is made once and offered to every sink.

use std::time::Duration;

use marketdata::RecordKind;

use super::payloads::Payloads;
use crate::sink::{Record, Sink};

/// The sinks; their number is below the bits of [`Refused`].
pub(crate) struct Publisher {
    sinks: Vec<Box<dyn Sink>>,
    payloads: Payloads,
    /// Something was offered since the last flush.
    offered: bool,
}

/// Which sinks refused a record, one bit each; 0: none.
pub(crate) type Refused = u32;

/// Which stream a record belongs to, and when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) stream: usize,
    pub(crate) kind: RecordKind,
    /// The venue's.
    pub(crate) sequence: u64,
    /// The venue's, unix ms; 0: it gives none.
    pub(crate) event_ts_ms: i64,
    pub(crate) at: Duration,
}

// === impl Publisher ===

impl Publisher {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        debug_assert!(sinks.len() < 32);
        Self { sinks, payloads: Payloads::new(), offered: false }
    }

    /// Gives spare buffers back.
    pub(crate) fn trim(&mut self) {
        self.payloads.trim();
    }

    /// Bytes of the buffers it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.payloads.bytes()
    }

    /// What was offered so far leaves now.
    pub(crate) fn flush(&mut self) {
        if std::mem::take(&mut self.offered) {
            for sink in &mut self.sinks {
                sink.flush();
            }
        }
    }

    /// Whether a sink would rather be offered less for a moment.
    pub(crate) fn is_pressed(&self) -> bool {
        self.sinks.iter().any(|sink| sink.is_pressed())
    }

    /// Offers the payload to all sinks.
    pub(crate) fn offer(&mut self, origin: Origin, payload: &[u8]) -> Refused {
        self.offer_to(Refused::MAX, origin, payload)
    }

    /// Offers the payload to those of the sinks whose bit is set.
    pub(crate) fn offer_to(&mut self, only: Refused, origin: Origin, payload: &[u8]) -> Refused {
        let Origin { stream, kind, sequence, event_ts_ms, at } = origin;
        let record = Record { stream, kind, sequence, event_ts_ms, payload: self.payloads.copy(payload), offered: at };
        self.offered = true;
        let mut refused = 0;
        let Some((last, others)) = self.sinks.split_last_mut() else { return refused };
        for (place, sink) in others.iter_mut().enumerate() {
            let bit = 1 << place;
            if only & bit != 0 && sink.offer(&record).is_err() {
                refused |= bit;
            }
        }
        let bit = 1 << others.len();
        if only & bit != 0 && last.offer_whole(record).is_err() {
            refused |= bit;
        }
        refused
    }
}
