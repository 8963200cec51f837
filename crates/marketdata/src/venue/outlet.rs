//! What leaves, and when: conflation of books, continuity of trades.
//!
//! Owns: per instrument, the last sequence and trade that left, and the time the next book may. Live, replay and tests conflate by this same code.
//! Must not know: connections, encoding.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::effect::{Effect, Event, EventKind};
use crate::instrument::InstrumentId;
use crate::message::Trade;
use crate::venue::config::Publication;

/// Outlets of all instruments of a venue.
#[derive(Debug)]
pub(super) struct Outlets {
    publication: Publication,
    outlets: Vec<Outlet>,
    /// Books that wait for their time; each instrument at most once.
    due: BinaryHeap<Reverse<(Duration, InstrumentId)>>,
}

/// One instrument's.
#[derive(Debug, Default)]
struct Outlet {
    /// Sequence of the book that left last; `None` after a resync.
    sequence: Option<u64>,
    next_at: Duration,
    waiting: bool,
    trade: Option<u64>,
    /// Trades of a replacement connection that the running one has not brought yet.
    held: VecDeque<Trade>,
    counts: TradeCounts,
}

/// Trades of one instrument, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradeCounts {
    /// Published.
    pub published: u64,
    /// Came twice and left once.
    pub duplicates: u64,
    /// Holes in the ids.
    pub gaps: u64,
    /// Ids missing in them.
    pub missing: u64,
}

/// Trades held of a replacement connection; over it the oldest go, and the hole is told when it takes over.
const HELD_MOST: usize = 10_000;
/// A trade id this far behind is no duplicate: the venue has restarted its ids.
const RESTART_DISTANCE: u64 = 1_000_000;

// === impl Outlets ===

impl Outlets {
    pub(super) fn new(count: usize, publication: Publication) -> Self {
        let outlets = std::iter::repeat_with(Outlet::default).take(count).collect();
        Self { publication, outlets, due: BinaryHeap::with_capacity(count) }
    }

    /// A book changed: whether it leaves now. It may wait for its time instead.
    pub(super) fn changed(&mut self, now: Duration, id: InstrumentId, sequence: u64) -> bool {
        let Some(outlet) = self.outlets.get_mut(id.index()) else { return false };
        match self.publication {
            Publication::EveryUpdate => outlet.leave(sequence),
            Publication::Conflated(_) if outlet.waiting => false,
            Publication::Conflated(interval) if now >= outlet.next_at => {
                outlet.next_at = now.saturating_add(interval);
                outlet.leave(sequence)
            }
            Publication::Conflated(_) => {
                outlet.waiting = true;
                self.due.push(Reverse((outlet.next_at, id)));
                false
            }
        }
    }

    /// An instrument whose waiting book is due now.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<InstrumentId> {
        let Reverse((at, id)) = *self.due.peek()?;
        if at > now {
            return None;
        }
        self.due.pop();
        if let Some(outlet) = self.outlets.get_mut(id.index()) {
            outlet.waiting = false;
        }
        Some(id)
    }

    /// The book is no longer exact: the next one that leaves starts anew.
    pub(super) fn invalidated(&mut self, id: InstrumentId) {
        if let Some(outlet) = self.outlets.get_mut(id.index()) {
            outlet.sequence = None;
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// A trade of the running connection.
    pub(super) fn trade(&mut self, trade: Trade, effects: &mut Vec<Effect>) {
        if let Some(outlet) = self.outlets.get_mut(trade.instrument.index()) {
            outlet.trade(trade, effects);
        }
    }

    /// A trade of a replacement connection: kept until the running one has brought it, or is gone.
    pub(super) fn hold(&mut self, trade: Trade) {
        let Some(outlet) = self.outlets.get_mut(trade.instrument.index()) else { return };
        while outlet.held.len() >= HELD_MOST || outlet.held.front().is_some_and(|held| Some(held.id) <= outlet.trade) {
            outlet.held.pop_front();
        }
        outlet.held.push_back(trade);
    }

    /// The replacement took over: what it brought first leaves now.
    pub(super) fn release(&mut self, id: InstrumentId, effects: &mut Vec<Effect>) {
        let Some(outlet) = self.outlets.get_mut(id.index()) else { return };
        for trade in std::mem::take(&mut outlet.held) {
            outlet.trade(trade, effects);
        }
    }

    /// The replacement is gone.
    pub(super) fn drop_held(&mut self, id: InstrumentId) {
        if let Some(outlet) = self.outlets.get_mut(id.index()) {
            outlet.held = VecDeque::new();
        }
    }

    pub(super) fn trade_counts(&self, id: InstrumentId) -> TradeCounts {
        self.outlets.get(id.index()).map_or_else(TradeCounts::default, |outlet| outlet.counts)
    }

    /// Books waiting for their time, trades held.
    pub(super) fn gauges(&self) -> (usize, usize) {
        (self.due.len(), self.outlets.iter().map(|outlet| outlet.held.len()).sum())
    }
}

// === impl Outlet ===

impl Outlet {
    /// Whether this state is newer than the one that left last.
    fn leave(&mut self, sequence: u64) -> bool {
        let newer = self.sequence.is_none_or(|last| sequence > last);
        if newer {
            self.sequence = Some(sequence);
        }
        newer
    }

    fn trade(&mut self, trade: Trade, effects: &mut Vec<Effect>) {
        match self.trade {
            Some(last) if trade.id <= last && last - trade.id < RESTART_DISTANCE => {
                self.counts.duplicates += 1;
                return;
            }
            Some(last) if trade.id > last && trade.id - last > 1 => {
                self.counts.gaps += 1;
                self.counts.missing = self.counts.missing.saturating_add(trade.id - last - 1);
                effects.push(Event::of(trade.instrument, EventKind::TradeGap { from: last + 1, to: trade.id - 1 }));
            }
            _ => {}
        }
        self.trade = Some(trade.id);
        // Futures announce insurance-fund and delivery bookings as trades of nothing; they use up an id.
        if trade.quantity.0 != 0 {
            self.counts.published += 1;
            effects.push(Effect::Trade(trade));
        }
    }
}
