//! One stream's way out. Must not know: the other lanes.

use std::collections::VecDeque;
use std::time::Duration;

use marketdata::RecordKind;

use super::super::Record;

/// Records of one stream.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) kind: RecordKind,
    pub(crate) confirm: Confirm,
    /// Not sent, or for the spool, oldest first.
    pub(crate) waiting: VecDeque<Record>,
    /// Sent and not secured, oldest first; all of them before those that wait.
    pub(crate) sent: VecDeque<Sent>,
    /// By way of the spool.
    pub(crate) spilled: bool,
    /// Its records in the spool.
    pub(crate) backlog: u64,
    /// Stands in the list of lanes to be sent from.
    pub(crate) listed: bool,
    /// Records taken so far.
    pub(crate) taken: u64,
}

/// How a record is known to have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// JetStream acknowledges it.
    Ack,
    /// The server answered a PING that came after it.
    Pong,
}

/// A record that is under way.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: Option<u64>,
    pub(crate) record: Record,
    /// Stored, but one before it is not yet.
    pub(crate) done: bool,
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(kind: RecordKind, confirm: Confirm) -> Self {
        Self { kind, confirm, waiting: VecDeque::new(), sent: VecDeque::new(), spilled: false, backlog: 0, listed: false, taken: 0 }
    }

    /// Records in memory.
    pub(crate) fn held(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// When its oldest record in memory was offered.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.sent.front().map(|sent| &sent.record).or(self.waiting.front()).map(|record| record.offered)
    }
}
