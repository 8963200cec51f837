//! Where the records of a venue's instruments leave: encoded once, offered to the sinks, and books that were refused offered again in a newer state.
//!
//! Owns: per instrument its streams' places and metrics, and what is owed to which sink. Must not know: sockets.

use std::time::Duration;

use clock::Now;
use marketdata::{BookView, Instrument, InstrumentId, InstrumentStatus, RecordKind, StreamKind, SyncState, Trade, Venue, message};

use super::Shared;
use super::publisher::{Origin, Refused};
use super::venue_metrics::{StreamMetrics, VenueMetrics};
use crate::config::VenueConfig;
use crate::stream::StreamState;

/// A book that a sink refused is offered again, in its newest state, after this.
const OFFER_AGAIN: Duration = Duration::from_millis(100);

/// The outlets of all instruments of a venue, by [`InstrumentId::index`].
pub(super) struct Outlets {
    shared: Shared,
    all: Vec<Outlet>,
    /// Reused between records.
    payload: Vec<u8>,
    offer_again_at: Option<Duration>,
}

struct Outlet {
    book: Way,
    trade: Option<Way>,
    /// Sinks that refused the newest book.
    owed: Refused,
}

/// The way out of one stream.
struct Way {
    /// Place in the table of streams.
    stream: usize,
    metrics: StreamMetrics,
}

// === impl Outlets ===

impl Outlets {
    pub(super) fn new(shared: Shared, config: &VenueConfig, instruments: &[Instrument]) -> Self {
        let all = instruments.iter().filter_map(|instrument| Outlet::new(&shared, config, &instrument.symbol)).collect();
        Self { shared, all, payload: Vec::with_capacity(16 << 10), offer_again_at: None }
    }

    /// When refused books are to be offered again.
    pub(super) fn offer_again_at(&self) -> Option<Duration> {
        self.offer_again_at
    }

    /// Publishes the book as it is now.
    pub(super) fn book(&mut self, now: Now, (venue, id): (&Venue, InstrumentId), metrics: &VenueMetrics) {
        let Some(outlet) = self.all.get_mut(id.index()) else { return };
        let Some(view) = venue.book(id) else { return };
        self.payload.clear();
        message::encode_book(&view, now, &mut self.payload);
        outlet.owed = self.shared.publisher.borrow_mut().offer(outlet.book.book(&view, now), &self.payload);
        if outlet.owed != 0 {
            self.offer_again_at.get_or_insert(now.mono + OFFER_AGAIN);
        }
        outlet.book.passed(&self.shared, now);
        metrics.record(StreamKind::Book, now);
    }

    /// Publishes a trade. A refusal is counted by the sink: there is no newer state of a trade to make up for it.
    pub(super) fn trade(&mut self, now: Now, (instrument, trade): (&Instrument, &Trade), metrics: &VenueMetrics) {
        let Some(way) = self.all.get(trade.instrument.index()).and_then(|outlet| outlet.trade.as_ref()) else { return };
        self.payload.clear();
        message::encode_trade(trade, instrument, now, &mut self.payload);
        let _counted = self.shared.publisher.borrow_mut().offer(way.trade(trade, now), &self.payload);
        way.passed(&self.shared, now);
        metrics.record(StreamKind::Trade, now);
    }

    /// Offers the newest state of refused books to the sinks that refused them.
    pub(super) fn offer_owed(&mut self, now: Now, venue: &Venue) {
        self.offer_again_at = None;
        for (place, outlet) in (0_u16..).zip(&mut self.all).filter(|(_, outlet)| outlet.owed != 0) {
            let Some(view) = venue.book(InstrumentId(place)) else {
                // Not exact now: it is published when it is again.
                outlet.owed = 0;
                continue;
            };
            self.payload.clear();
            message::encode_book(&view, now, &mut self.payload);
            outlet.owed = self.shared.publisher.borrow_mut().offer_to(outlet.owed, outlet.book.book(&view, now), &self.payload);
            if outlet.owed != 0 {
                self.offer_again_at = Some(now.mono + OFFER_AGAIN);
            }
        }
    }

    /// The book became exact, or stopped being so.
    pub(super) fn sync_changed(&self, id: InstrumentId, state: SyncState) {
        let Some(outlet) = self.all.get(id.index()) else { return };
        outlet.book.metrics.synced(state);
        if state != SyncState::Synced {
            self.shared.set_state(outlet.book.stream, StreamState::Waiting);
        }
    }

    /// Copies the core's figures to metrics.
    pub(super) fn show(&mut self, status_of: impl Fn(InstrumentId) -> Option<InstrumentStatus>) {
        for (place, outlet) in (0_u16..).zip(&mut self.all) {
            if let Some(status) = status_of(InstrumentId(place)) {
                outlet.book.metrics.refresh(&status);
            }
        }
    }
}

// === impl Outlet ===

impl Outlet {
    fn new(shared: &Shared, config: &VenueConfig, symbol: &str) -> Option<Self> {
        let way = |kind| {
            let streams = &shared.state.streams;
            let stream = streams.iter().position(|stream| stream.is_of(config) && stream.symbol == symbol && stream.kind == kind)?;
            Some(Way { stream, metrics: StreamMetrics::new(streams, stream, &shared.registry)? })
        };
        Some(Self { book: way(RecordKind::OrderBook)?, trade: way(RecordKind::Trade), owed: 0 })
    }
}

// === impl Way ===

impl Way {
    fn book(&self, view: &BookView<'_>, now: Now) -> Origin {
        let (sequence, event_ts_ms) = (view.stamp.sequence, view.stamp.event_ts_ms.unwrap_or(0));
        Origin { stream: self.stream, kind: RecordKind::OrderBook, sequence, event_ts_ms, at: now.mono }
    }

    fn trade(&self, trade: &Trade, now: Now) -> Origin {
        Origin { stream: self.stream, kind: RecordKind::Trade, sequence: trade.id, event_ts_ms: trade.event_ts_ms, at: now.mono }
    }

    /// A record left: the stream is fresh.
    fn passed(&self, shared: &Shared, now: Now) {
        self.metrics.record(now);
        if let Some(stream) = shared.state.streams.get(self.stream) {
            stream.touch(now);
        }
    }
}
