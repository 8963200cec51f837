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
    pub(crate) waiting: VecDeque<Pending>,
    /// Sent and not secured, oldest first; all of them before those that wait.
    pub(crate) sent: VecDeque<Sent>,
    /// The stream is asked whether it holds what was sent; nothing is sent until it has answered.
    pub(crate) asked: bool,
    /// By way of the spool.
    pub(crate) spilled: bool,
    /// Its records in the spool.
    pub(crate) backlog: u64,
    /// Stands in the list of lanes to be sent from.
    pub(crate) listed: bool,
    /// Records taken so far.
    pub(crate) taken: u64,
}

/// A record that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) record: Record,
    /// When it was sent for the first time, if it was and nobody knows whether the stream holds it.
    pub(crate) sent: Option<Duration>,
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
    /// When it was sent for the first time.
    pub(crate) first: Duration,
    /// Stored, but one before it is not yet.
    pub(crate) done: bool,
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(kind: RecordKind, confirm: Confirm) -> Self {
        let (waiting, sent) = (VecDeque::new(), VecDeque::new());
        Self { kind, confirm, waiting, sent, asked: false, spilled: false, backlog: 0, listed: false, taken: 0 }
    }

    /// Records in memory.
    pub(crate) fn held(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// When its oldest record in memory was offered.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let waits = || self.waiting.front().map(|pending| &pending.record);
        self.sent.front().map(|sent| &sent.record).or_else(waits).map(|record| record.offered)
    }

    /// Its records in memory, in their order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.sent.iter().map(|sent| &sent.record).chain(self.waiting.iter().map(|pending| &pending.record))
    }

    /// What was sent waits again, in its order, before everything else.
    pub(super) fn take_back(&mut self) {
        while let Some(Sent { record, first, .. }) = self.sent.pop_back() {
            self.waiting.push_front(Pending { record, sent: Some(first) });
        }
    }

    /// How many of those that wait, from the first on, may be in the stream already.
    pub(super) fn doubtful(&self) -> usize {
        self.waiting.iter().take_while(|pending| pending.sent.is_some()).count()
    }
}
