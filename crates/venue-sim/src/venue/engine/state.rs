//! What a test or a person may look at: counts, positions and the true books.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Engine, Moment};
use crate::venue::book::Side;
use crate::venue::wire::Level;

/// A book, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BookAnswer {
    /// The book after an update.
    Book {
        /// Symbol.
        symbol: String,
        /// The update.
        u: u64,
        /// Bids, best first.
        bids: Vec<Level>,
        /// Asks, best first.
        asks: Vec<Level>,
    },
    /// No such symbol.
    UnknownSymbol {
        /// The symbols there are.
        symbols: Vec<String>,
    },
    /// No event ended at the update, or it is too long ago.
    UnknownId {
        /// The oldest update known.
        oldest_u: u64,
        /// The newest.
        newest_u: u64,
    },
}

// === impl Engine ===

impl Engine {
    /// The true book of a symbol.
    pub(super) fn book(&self, symbol: &str, at_id: Option<u64>, limit: usize) -> BookAnswer {
        let Some(market) = self.markets.get(symbol) else {
            return BookAnswer::UnknownSymbol { symbols: self.markets.keys().cloned().collect() };
        };
        let u = at_id.unwrap_or(market.last_id);
        let Some(book) = market.book_at(u) else {
            let (oldest_u, newest_u) = market.known_ids();
            return BookAnswer::UnknownId { oldest_u, newest_u };
        };
        BookAnswer::Book { symbol: symbol.to_owned(), u, bids: book.levels(Side::Bid, limit), asks: book.levels(Side::Ask, limit) }
    }

    /// Everything else.
    pub(super) fn state(&self, _now: Moment) -> Value {
        let [open, total, slow, said] = self.delivery.counts();
        let markets: serde_json::Map<_, _> = self
            .markets
            .iter()
            .map(|(symbol, market)| {
                let depth = [market.book.depth(Side::Bid), market.book.depth(Side::Ask)];
                let best = [market.book.best(Side::Bid), market.book.best(Side::Ask)];
                (symbol.clone(), json!({"last_u": market.last_id, "event_ms": market.event_ms, "levels": depth, "best": best}))
            })
            .collect();
        json!({
            "venue": self.venue,
            "feed": {
                "kind": self.feed.kind(), "begun": self.feed.has_begun(), "ended": self.feed.ended, "played": self.feed.played,
                "elapsed_s": self.feed.elapsed().as_secs_f64(), "failure": self.feed.failure,
            },
            "symbols": markets,
            "streams": self.delivery.stream_counts(),
            "connections": {
                "open": open, "total": total, "slow_readers_dropped": slow, "client_messages": said,
                "closed": self.closed, "subscriptions": self.delivery.subscriptions(),
            },
            "rest": {"requests": self.rest_requests, "used_weight_1m": self.budget.used()},
            "faults": {"active": self.faults.status(), "struck": self.faults.struck()},
        })
    }
}
