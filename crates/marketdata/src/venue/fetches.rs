//! Snapshots over REST: who waits, what is under way, what the venue allows.
//!
//! Owns: the queue and deadlines; the weight and the pause are the address's ([`Asking`]). Must not know: what is in a snapshot.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effect::{ConnId, FetchId, Response, SnapshotTrouble};
use crate::instrument::InstrumentId;
use crate::venue::allowance::Asking;

/// All snapshot requests of a venue.
#[derive(Debug)]
pub(super) struct Fetches {
    waiting: VecDeque<Ask>,
    under_way: Vec<(FetchId, Ask, Duration)>,
    most: usize,
    timeout: Duration,
    pub(super) asking: Asking,
    last: u64,
}

/// One instrument's wish, for one connection's book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) conn: ConnId,
    pub(super) instrument: InstrumentId,
}

// === impl Fetches ===

impl Fetches {
    pub(super) const fn new(most: usize, timeout: Duration, asking: Asking) -> Self {
        Self { waiting: VecDeque::new(), under_way: Vec::new(), most, timeout, asking, last: 0 }
    }

    /// A book wants a snapshot. A book asks again only after an answer, so the queue holds at most one ask a book.
    pub(super) fn wish(&mut self, ask: Ask) {
        if !self.waiting.contains(&ask) {
            self.waiting.push_back(ask);
        }
    }

    /// The next request that may be sent now, by count, pause and budget.
    pub(super) fn next(&mut self, now: Duration, weight: u32) -> Option<(FetchId, Ask)> {
        if self.waiting.is_empty() || self.under_way.len() >= self.most || !self.asking.ask(now, weight) {
            return None;
        }
        let ask = self.waiting.pop_front()?;
        self.last += 1;
        let fetch = FetchId(self.last);
        self.under_way.push((fetch, ask, now.saturating_add(self.timeout)));
        Some((fetch, ask))
    }

    /// An answer or a failure came: whose. `None` if it is no longer awaited.
    pub(super) fn done(&mut self, fetch: FetchId) -> Option<Ask> {
        let place = self.under_way.iter().position(|(id, ..)| *id == fetch)?;
        Some(self.under_way.swap_remove(place).1)
    }

    /// A request that has had no answer in time.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<Ask> {
        let (fetch, ..) = *self.under_way.iter().find(|(_, _, deadline)| now >= *deadline)?;
        self.done(fetch)
    }

    /// A connection is gone, and with it its books.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.waiting.retain(|ask| ask.conn != conn);
        self.under_way.retain(|(_, ask, _)| ask.conn != conn);
    }

    /// Reads an answer's status and headers: the trouble with it, and the pause it imposes, if any.
    pub(super) fn judge(&self, now: Duration, response: &Response<'_>) -> Result<(), (SnapshotTrouble, Option<Duration>)> {
        self.asking.judge(now, response)
    }

    /// When something is due; what a request weighs.
    pub(super) fn next_timeout(&self, weight: u32) -> Option<Duration> {
        let may_send = !self.waiting.is_empty() && self.under_way.len() < self.most;
        let send = may_send.then(|| self.asking.at(weight));
        send.into_iter().chain(self.under_way.iter().map(|(_, _, deadline)| *deadline)).min()
    }

    /// Waiting, under way.
    pub(super) fn gauges(&self) -> (usize, usize) {
        (self.waiting.len(), self.under_way.len())
    }
}
