//! Where the records of a venue's instruments leave: encoded once, offered to the sinks, and books that were refused offered again in a newer state.
//!
//! Owns: per instrument its streams' places and metrics, and what is owed to which sink. Must not know: sockets.
#![expect(clippy::indexing_slicing, reason = "arrays that are as long as the list of kinds, by the place of a kind in it")]

use std::time::Duration;

use clock::Now;
use marketdata::message::text::BookText;
use marketdata::{
    BookView, Effect, Event, EventKind, Instrument, InstrumentId, InstrumentStatus, RecordKind, StreamKind, SyncState, Trade, Venue, message,
};

use super::Shared;
use super::publisher::{Origin, Refused};
use super::venue_metrics::{StreamMetrics, VenueMetrics};
use crate::config::VenueConfig;
use crate::stream::StreamState;

/// A book that a sink refused is offered again, in its newest state, after this.
const OFFER_AGAIN: Duration = Duration::from_millis(100);

/// What the buffer of a record begins with: a book of 100 levels a side fits.
const PAYLOAD: usize = 16 << 10;

/// The outlets of all instruments of a venue, by [`InstrumentId::index`].
pub(super) struct Outlets {
    shared: Shared,
    all: Vec<Outlet>,
    /// Reused between records.
    payload: Vec<u8>,
    offer_again_at: Option<Duration>,
    /// Events published so far: their sequence.
    events: u64,
}

struct Outlet {
    text: BookText,
    /// By [`RecordKind::index`]; `None`: not published.
    ways: [Option<Way>; RecordKind::ALL.len()],
    /// Sinks that refused the newest book.
    owed: Refused,
    /// A sink refused a delta: the next, a whole image, is owed to all.
    delta_owed: bool,
}

/// The way out of one stream.
struct Way {
    kind: RecordKind,
    /// Place in the table of streams.
    stream: usize,
    metrics: StreamMetrics,
}

// === impl Outlets ===

impl Outlets {
    pub(super) fn new(shared: Shared, config: &VenueConfig, instruments: &[Instrument]) -> Self {
        let all = instruments.iter().map(|instrument| Outlet::new(&shared, config, &instrument.symbol)).collect();
        Self { shared, all, payload: Vec::with_capacity(PAYLOAD), offer_again_at: None, events: 0 }
    }

    /// One instrument more, or one that is back.
    pub(super) fn put(&mut self, id: InstrumentId, config: &VenueConfig, symbol: &str) {
        // Sinks hold handles of series that went when the instrument did.
        let registry = &self.shared.registry;
        registry.restore(&[("exchange", config.exchange.as_str()), ("market_type", config.market_type.as_str()), ("symbol", symbol)]);
        let outlet = Outlet::new(&self.shared, config, symbol);
        for stream in outlet.ways.iter().flatten().filter_map(|way| self.shared.state.streams.get(way.stream)) {
            registry.restore(&[("subject", &stream.subject)]);
        }
        match self.all.get_mut(id.index()) {
            Some(place) => *place = outlet,
            None => self.all.push(outlet),
        }
        self.set_state(id, StreamState::Waiting);
    }

    /// The instrument is no longer collected; its series stay until they are swept.
    pub(super) fn retired(&mut self, id: InstrumentId) {
        self.sync_changed(id, SyncState::Idle);
        let Some(outlet) = self.all.get_mut(id.index()) else { return };
        (outlet.owed, outlet.delta_owed) = (0, false);
        for way in outlet.ways.iter().flatten() {
            self.shared.set_state(way.stream, StreamState::Delisted);
        }
    }

    /// The series of an instrument that is gone leave the page; returns how many.
    pub(super) fn sweep(&mut self, id: InstrumentId, instrument: &Instrument) -> usize {
        let Some(outlet) = self.all.get_mut(id.index()) else { return 0 };
        let gone = std::mem::replace(
            outlet,
            Outlet { text: BookText::default(), ways: [const { None }; RecordKind::ALL.len()], owed: 0, delta_owed: false },
        );
        let registry = &self.shared.registry;
        let subjects = gone.ways.iter().flatten().filter_map(|way| self.shared.state.streams.get(way.stream));
        let of_subjects: usize = subjects.map(|stream| registry.remove(&[("subject", &stream.subject)])).sum();
        let (exchange, market_type) = (instrument.exchange.as_str(), instrument.market_type.as_str());
        of_subjects + registry.remove(&[("exchange", exchange), ("market_type", market_type), ("symbol", &instrument.symbol)])
    }

    /// When refused books are to be offered again.
    pub(super) fn offer_again_at(&self) -> Option<Duration> {
        self.offer_again_at
    }

    /// Lets out what an effect is of; effects that are no records are left to the caller, and so is the log of events.
    pub(super) fn carry_out(&mut self, now: Now, (venue, metrics): (&mut Venue, &VenueMetrics), effect: &Effect) {
        match effect {
            Effect::Book { instrument } => self.book(now, (venue, *instrument), metrics),
            Effect::Delta { instrument } => self.delta(now, (venue, *instrument)),
            Effect::Preview { instrument, kind } => self.preview(now, (venue, *instrument), *kind),
            Effect::Event(event) => self.event(now, venue, event),
            Effect::Trade(trade) => {
                if let Some(instrument) = venue.instrument(trade.instrument) {
                    self.trade(now, (instrument, trade), metrics);
                }
            }
            Effect::Connect { .. } | Effect::Send { .. } | Effect::Close { .. } | Effect::Fetch { .. } => {}
        }
    }

    /// Publishes the book as it is now.
    fn book(&mut self, now: Now, (venue, id): (&Venue, InstrumentId), metrics: &VenueMetrics) {
        let Some(outlet) = self.all.get_mut(id.index()) else { return };
        let (Some(way), Some(view)) = (&outlet.ways[RecordKind::OrderBook.index()], venue.book(id)) else { return };
        self.payload.clear();
        outlet.text.encode(&view, now, &mut self.payload);
        outlet.owed = self.shared.publisher.borrow_mut().offer(way.book(&view, now), &self.payload);
        if outlet.owed != 0 {
            self.offer_again_at.get_or_insert(now.mono + OFFER_AGAIN);
        }
        way.passed(&self.shared, now);
        metrics.record(StreamKind::Book, now);
    }

    /// Publishes what changed in the book. A sink that refuses it has lost the chain, so the next one is the whole image, for all.
    fn delta(&mut self, now: Now, (venue, id): (&mut Venue, InstrumentId)) {
        let Some(outlet) = self.all.get_mut(id.index()) else { return };
        outlet.delta_owed = false;
        let (Some(way), Some(delta)) = (&outlet.ways[RecordKind::OrderBookDelta.index()], venue.delta(now, id)) else { return };
        self.payload.clear();
        message::encode_delta(&delta, now, &mut self.payload);
        let (sequence, event_ts_ms) = (delta.stamp.sequence, delta.stamp.event_ts_ms.unwrap_or(0));
        let refused = self.shared.publisher.borrow_mut().offer(way.origin(sequence, event_ts_ms, now), &self.payload);
        if refused != 0 {
            venue.delta_lost(id);
            outlet.delta_owed = true;
            self.offer_again_at.get_or_insert(now.mono + OFFER_AGAIN);
        }
        way.passed(&self.shared, now);
    }

    /// Publishes a preview of the second that closed. A refusal is counted by the sink; the next second brings the next.
    fn preview(&mut self, now: Now, (venue, id): (&Venue, InstrumentId), kind: RecordKind) {
        let Some(way) = self.all.get(id.index()).and_then(|outlet| outlet.ways[kind.index()].as_ref()) else { return };
        let Some(view) = venue.preview(id) else { return };
        self.payload.clear();
        message::encode_preview(kind, &view, now, &mut self.payload);
        let second = u64::try_from(view.bar.end_ms / 1_000).unwrap_or(0);
        let _counted = self.shared.publisher.borrow_mut().offer(way.origin(second, view.bar.end_ms, now), &self.payload);
        way.passed(&self.shared, now);
    }

    /// Publishes an event of an instrument; those of a venue as a whole have no subject.
    fn event(&mut self, now: Now, venue: &Venue, event: &Event) {
        let Some(id) = event.instrument.filter(|_| is_news(&event.kind)) else { return };
        let Some(way) = self.all.get(id.index()).and_then(|outlet| outlet.ways[RecordKind::Event.index()].as_ref()) else { return };
        let Some(instrument) = venue.instrument(id) else { return };
        self.events += 1;
        self.payload.clear();
        message::encode_event(event, instrument, now, &mut self.payload);
        let _counted = self.shared.publisher.borrow_mut().offer(way.origin(self.events, now.wall_ms, now), &self.payload);
        way.passed(&self.shared, now);
    }

    /// Publishes a trade. A refusal is counted by the sink: there is no newer state of a trade to make up for it.
    fn trade(&mut self, now: Now, (instrument, trade): (&Instrument, &Trade), metrics: &VenueMetrics) {
        let Some(way) = self.all.get(trade.instrument.index()).and_then(|outlet| outlet.ways[RecordKind::Trade.index()].as_ref()) else { return };
        self.payload.clear();
        message::encode_trade(trade, instrument, now, &mut self.payload);
        let _counted = self.shared.publisher.borrow_mut().offer(way.origin(trade.id, trade.event_ts_ms, now), &self.payload);
        way.passed(&self.shared, now);
        metrics.record(StreamKind::Trade, now);
    }

    /// Offers the newest state of refused books to the sinks that refused them.
    pub(super) fn offer_owed(&mut self, now: Now, venue: &mut Venue) {
        self.offer_again_at = None;
        for place in 0..self.all.len() {
            let id = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
            self.offer_owed_book(now, venue, id);
            if self.all.get(place).is_some_and(|outlet| outlet.delta_owed) {
                self.delta(now, (venue, id));
            }
        }
    }

    fn offer_owed_book(&mut self, now: Now, venue: &Venue, id: InstrumentId) {
        let Some(outlet) = self.all.get_mut(id.index()).filter(|outlet| outlet.owed != 0) else { return };
        let (Some(way), Some(view)) = (&outlet.ways[RecordKind::OrderBook.index()], venue.book(id)) else {
            // Not exact now: it is published when it is again.
            outlet.owed = 0;
            return;
        };
        self.payload.clear();
        outlet.text.encode(&view, now, &mut self.payload);
        outlet.owed = self.shared.publisher.borrow_mut().offer_to(outlet.owed, way.book(&view, now), &self.payload);
        if outlet.owed != 0 {
            self.offer_again_at = Some(now.mono + OFFER_AGAIN);
        }
    }

    /// The book became exact, or stopped being so.
    pub(super) fn sync_changed(&self, id: InstrumentId, state: SyncState) {
        let Some(way) = self.all.get(id.index()).and_then(|outlet| outlet.ways[RecordKind::OrderBook.index()].as_ref()) else { return };
        way.metrics.synced(state);
        if state != SyncState::Synced {
            self.set_state(id, StreamState::Waiting);
        }
    }

    /// The instrument is not collected for a while.
    pub(super) fn paused(&self, id: InstrumentId) {
        self.set_state(id, StreamState::Paused);
    }

    fn set_state(&self, id: InstrumentId, state: StreamState) {
        let Some(outlet) = self.all.get(id.index()) else { return };
        // A resync is of the book alone; a pause, and its end, are of all that comes from the venue.
        let concerned = |way: &&Way| way.kind == RecordKind::OrderBook || state == StreamState::Paused || self.is_away(way.stream);
        for way in outlet.ways.iter().flatten().filter(concerned) {
            self.shared.set_state(way.stream, state);
        }
    }

    /// Whether the stream is not collected now.
    fn is_away(&self, stream: usize) -> bool {
        let away = [StreamState::Paused, StreamState::Unknown, StreamState::Delisted];
        self.shared.state.streams.get(stream).is_some_and(|stream| away.contains(&stream.state()))
    }

    /// Bytes of the buffers that are reused between records.
    pub(super) fn scratch(&self) -> usize {
        let texts: usize = self.all.iter().map(|outlet| outlet.text.bytes()).sum();
        self.payload.capacity() + texts + self.shared.publisher.borrow().bytes()
    }

    /// Gives what they have to spare back.
    pub(super) fn trim(&mut self) {
        self.payload.clear();
        self.payload.shrink_to(PAYLOAD);
        self.shared.publisher.borrow_mut().trim();
        for outlet in &mut self.all {
            outlet.text = BookText::default();
        }
    }

    /// Copies the core's figures to metrics.
    pub(super) fn show(&mut self, status_of: impl Fn(InstrumentId) -> Option<InstrumentStatus>) {
        for (place, outlet) in (0_u16..).zip(&mut self.all) {
            let (Some(way), Some(status)) = (&mut outlet.ways[RecordKind::OrderBook.index()], status_of(InstrumentId(place))) else { continue };
            way.metrics.refresh(&status);
            if let Some(stream) = self.shared.state.streams.get(way.stream) {
                stream.set_condition(status.condition);
            }
        }
    }
}

// === impl Outlet ===

impl Outlet {
    fn new(shared: &Shared, config: &VenueConfig, symbol: &str) -> Self {
        let way = |kind| {
            let streams = &shared.state.streams;
            let stream = streams.iter().position(|stream| stream.is_of(config) && stream.symbol == symbol && stream.kind == kind)?;
            Some(Way { kind, stream, metrics: StreamMetrics::new(streams, stream, &shared.registry)? })
        };
        Self { text: BookText::default(), ways: RecordKind::ALL.map(way), owed: 0, delta_owed: false }
    }
}

// === impl Way ===

impl Way {
    fn book(&self, view: &BookView<'_>, now: Now) -> Origin {
        self.origin(view.stamp.sequence, view.stamp.event_ts_ms.unwrap_or(0), now)
    }

    fn origin(&self, sequence: u64, event_ts_ms: i64, now: Now) -> Origin {
        Origin { stream: self.stream, kind: self.kind, sequence, event_ts_ms, at: now.mono }
    }

    /// A record left: the stream is fresh.
    fn passed(&self, shared: &Shared, now: Now) {
        self.metrics.record(now);
        if let Some(stream) = shared.state.streams.get(self.stream) {
            stream.touch(now);
        }
    }
}

/// Whether consumers are told; how a book is brought about, and frames that could not be read, are for the log.
const fn is_news(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Refresh | EventKind::SnapshotRetry(_) | EventKind::Malformed)
}
