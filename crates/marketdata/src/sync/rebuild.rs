//! Deltas that wait for a snapshot.
//!
//! Owns: a bounded, unbroken chain of deltas, and where a snapshot joins it. Must not know: what becomes of the result.

use std::ops::Range;
use std::time::Duration;

use crate::book::Level;
use crate::effect::Reason;
use crate::sequence::{Rule, UpdateIds, Verdict};
use crate::sync::{BufferBounds, Delta};

/// A book being built.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// When a snapshot is to be asked for; `None` while one is under way.
    pub(super) ask_at: Option<Duration>,
    /// The venue has begun to count anew since the snapshot under way was asked for: its id may be of either count.
    void: bool,
    deltas: Vec<Buffered>,
    /// The levels of all deltas one after the other.
    levels: Vec<Level>,
}

/// One delta; its bids and asks are ranges of the shared levels.
#[derive(Debug)]
struct Buffered {
    ids: UpdateIds,
    event_ts_ms: Option<i64>,
    received_ms: i64,
    bids: Range<usize>,
    asks: Range<usize>,
}

/// Where a snapshot meets the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// All deltas before this index are in the snapshot; those from it on follow. The chain's length: none follows yet.
    At(usize),
    /// Deltas between the snapshot and the chain are missing.
    TooOld,
}

// === impl Rebuild ===

impl Rebuild {
    pub(super) const fn new(ask_at: Duration) -> Self {
        Self { ask_at: Some(ask_at), void: false, deltas: Vec::new(), levels: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.deltas.len()
    }

    pub(super) fn clear(&mut self) {
        self.deltas.clear();
        self.levels.clear();
    }

    /// The ids restart with this delta: what was gathered is of no use, and neither is a snapshot of before. The next is asked for at `ask_at`.
    pub(super) fn restart(&mut self, ask_at: Duration) {
        self.clear();
        match &mut self.ask_at {
            Some(at) => *at = ask_at.max(*at),
            None => self.void = true,
        }
    }

    /// Whether the snapshot that has just come must not be used; said once.
    pub(super) const fn take_void(&mut self) -> bool {
        std::mem::replace(&mut self.void, false)
    }

    /// Appends to the chain. An old delta is ignored; one that breaks the chain or passes a bound is an error and is not appended.
    pub(super) fn push(&mut self, rule: Rule, bounds: BufferBounds, delta: &Delta<'_>) -> Result<(), Reason> {
        if let Some(last) = self.deltas.last() {
            match rule.next(last.ids, delta.ids) {
                Verdict::Joins => {}
                Verdict::Old | Verdict::Alive => return Ok(()),
                Verdict::Gap => return Err(Reason::Gap),
            }
        }
        let grown = self.levels.len() + delta.bids.len() + delta.asks.len();
        if !self.deltas.is_empty() && (self.deltas.len() >= bounds.deltas || grown > bounds.levels) {
            return Err(Reason::BufferOverflow);
        }
        let start = self.levels.len();
        self.levels.extend_from_slice(delta.bids);
        let middle = self.levels.len();
        self.levels.extend_from_slice(delta.asks);
        let (bids, asks) = (start..middle, middle..self.levels.len());
        self.deltas.push(Buffered { ids: delta.ids, event_ts_ms: delta.event_ts_ms, received_ms: delta.received_ms, bids, asks });
        Ok(())
    }

    pub(super) fn join(&self, rule: Rule, snapshot: u64) -> Join {
        for (index, delta) in self.deltas.iter().enumerate() {
            match rule.after_snapshot(snapshot, delta.ids) {
                Verdict::Old => {}
                Verdict::Joins | Verdict::Alive => return Join::At(index),
                Verdict::Gap => return Join::TooOld,
            }
        }
        Join::At(self.deltas.len())
    }

    pub(super) fn from(&self, start: usize) -> impl Iterator<Item = Delta<'_>> {
        let levels = |range: &Range<usize>| self.levels.get(range.clone()).unwrap_or_default();
        self.deltas.iter().skip(start).map(move |delta| Delta {
            ids: delta.ids,
            event_ts_ms: delta.event_ts_ms,
            received_ms: delta.received_ms,
            bids: levels(&delta.bids),
            asks: levels(&delta.asks),
        })
    }
}
