//! The metric handles of one venue and its streams, made once so that the data path touches atomics only.

use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use marketdata::{BookCondition, EventKind, InstrumentStatus, Pressure, RecordKind, StreamKind, SyncState, Venue};

use super::network::ConnectError;
use crate::config::VenueConfig;
use crate::metrics::{Counter, Gauge, Histogram, Registry, Spec, catalogue as names};
use crate::sink::Streams;

/// Handles of the venue.
pub(super) struct VenueMetrics {
    registry: Arc<Registry>,
    labels: [&'static str; 2],
    pub(super) connected: Gauge,
    opened: Counter,
    reopened: Counter,
    messages: Counter,
    bytes: Counter,
    pub(super) reading_paused: Counter,
    snapshot_duration: Histogram,
    last_success: [Gauge; 2],
    pressure: Gauge,
    weight_left: Gauge,
    weight_limit: Gauge,
    rest_paused: Gauge,
}

/// Handles of one stream.
pub(super) struct StreamMetrics {
    /// Only of streams whose silence means something.
    last_data: Option<Gauge>,
    records: Counter,
    /// Only of books.
    book: Option<BookMetrics>,
}

struct BookMetrics {
    synced: Gauge,
    updates: Counter,
    last_update: Gauge,
    levels: Gauge,
    /// Each but [`BookCondition::Sound`].
    conditions: Vec<(BookCondition, Gauge)>,
    paused: Gauge,
    event_age: Gauge,
    deltas: Counter,
    deltas_seen: u64,
}

// === impl VenueMetrics ===

impl VenueMetrics {
    pub(super) fn new(venue: &VenueConfig, registry: &Arc<Registry>) -> Self {
        let labels = [venue.exchange.as_str(), venue.market_type.as_str()];
        Self {
            labels,
            connected: registry.gauge(&names::WEBSOCKET_CONNECTED, &labels),
            opened: registry.counter(&names::WEBSOCKET_CONNECTIONS, &labels),
            reopened: registry.counter(&names::WEBSOCKET_RECONNECTIONS, &labels),
            messages: registry.counter(&names::WEBSOCKET_MESSAGES, &labels),
            bytes: registry.counter(&names::WEBSOCKET_BYTES, &labels),
            reading_paused: registry.counter(&names::READING_PAUSED, &labels),
            snapshot_duration: registry.histogram(&names::SNAPSHOT_DURATION, &labels),
            last_success: StreamKind::ALL.map(|kind| registry.gauge(&names::LAST_SUCCESS, &[labels[0], kind.as_str()])),
            pressure: registry.gauge(&names::PRESSURE, &labels),
            weight_left: registry.gauge(&names::REST_WEIGHT_LEFT, &labels),
            weight_limit: registry.gauge(&names::REST_WEIGHT_LIMIT, &labels),
            rest_paused: registry.gauge(&names::REST_PAUSED, &labels),
            registry: Arc::clone(registry),
        }
    }

    pub(super) fn pressure(&self, pressure: Pressure) {
        self.pressure.set_count(pressure.index());
    }

    /// Shows what may be asked by REST.
    pub(super) fn rest_allowance(&self, now: Now, venue: &Venue) {
        let stats = venue.stats();
        self.weight_left.set(stats.weight_left as f64);
        self.weight_limit.set(f64::from(venue.config().tuning.weight.0));
        self.rest_paused.set(stats.rest_paused_until.saturating_sub(now.mono).as_secs_f64());
    }

    pub(super) fn messages(&self, count: u64, bytes: usize) {
        self.messages.add(count);
        self.bytes.add(bytes as u64);
    }

    pub(super) fn opened(&self) {
        if self.opened.get() > 0 {
            self.reopened.inc();
        }
        self.opened.inc();
    }

    pub(super) fn connect_failed(&self, error: &ConnectError) {
        self.failed(&names::WEBSOCKET_CONNECT_FAILURES, error);
    }

    pub(super) fn rest_failed(&self, error: &ConnectError) {
        self.failed(&names::REST_CONNECT_FAILURES, error);
    }

    fn failed(&self, family: &'static Spec, error: &ConnectError) {
        self.registry.counter(family, &[self.labels[0], self.labels[1], error.hop.as_str(), error.cause.as_str()]).inc();
    }

    pub(super) fn rest_done(&self, status: &str, took: Duration) {
        self.registry.counter(&names::SNAPSHOT_REQUESTS, &[self.labels[0], self.labels[1], status]).inc();
        self.snapshot_duration.observe_duration(took);
    }

    /// Counts a named event of the core.
    pub(super) fn event(&self, symbol: Option<&str>, kind: &EventKind) {
        let [exchange, market_type] = self.labels;
        self.registry.counter(&names::FEED_EVENTS, &[exchange, market_type, kind.as_str(), kind.reason()]).inc();
        let data_type = match kind {
            EventKind::Resync(_) => {
                let symbol = symbol.unwrap_or_default();
                self.registry.counter(&names::RESYNCS, &[exchange, market_type, symbol, kind.reason()]).inc();
                self.registry.counter(&names::RESYNC_COUNT, &[exchange]).inc();
                StreamKind::Book
            }
            EventKind::SnapshotRetry(_) | EventKind::Malformed | EventKind::EmptySide => StreamKind::Book,
            EventKind::TradeGap { .. } => StreamKind::Trade,
            EventKind::NoFirstData(stream) | EventKind::Stale(stream) | EventKind::Refused(stream) => *stream,
            _ => return,
        };
        self.registry.counter(&names::ERRORS, &[exchange, data_type.as_str(), kind.as_str()]).inc();
    }

    pub(super) fn record(&self, kind: StreamKind, now: Now) {
        if let Some(gauge) = self.last_success.get(kind.index()) {
            gauge.set(seconds(now));
        }
    }
}

// === impl StreamMetrics ===

impl StreamMetrics {
    pub(super) fn new(streams: &Streams, place: usize, registry: &Registry) -> Option<Self> {
        let stream = streams.get(place)?;
        let labels = stream.labels();
        let [exchange, market_type, symbol, _] = labels;
        let last_data = stream.is_watched().then(|| {
            registry.gauge(&names::STREAM_EXPECTED, &labels).set(1.0);
            registry.gauge(&names::STREAM_LAST_DATA, &labels)
        });
        let odd = BookCondition::ALL.into_iter().filter(|condition| *condition != BookCondition::Sound);
        let of_book = [exchange, market_type, symbol];
        let book = (stream.kind == RecordKind::OrderBook).then(|| BookMetrics {
            synced: registry.gauge(&names::BOOK_SYNCED, &of_book),
            updates: registry.counter(&names::BOOK_UPDATES, &of_book),
            last_update: registry.gauge(&names::BOOK_LAST_UPDATE, &of_book),
            levels: registry.gauge(&names::BOOK_LEVELS, &of_book),
            conditions: odd
                .map(|condition| (condition, registry.gauge(&names::BOOK_CONDITION, &[exchange, market_type, symbol, condition.as_str()])))
                .collect(),
            paused: registry.gauge(&names::PAUSED, &of_book),
            event_age: registry.gauge(&names::EVENT_AGE, &of_book),
            deltas: registry.counter(&names::BOOK_DELTAS, &of_book),
            deltas_seen: 0,
        });
        Some(Self { last_data, records: registry.counter(&names::STREAM_RECORDS, &labels), book })
    }

    pub(super) fn record(&self, now: Now) {
        if let Some(last_data) = &self.last_data {
            last_data.set(seconds(now));
        }
        self.records.inc();
        if let Some(book) = &self.book {
            book.updates.inc();
            book.last_update.set(seconds(now));
        }
    }

    pub(super) fn synced(&self, synced: SyncState) {
        if let Some(book) = &self.book {
            book.synced.set(if synced == SyncState::Synced { 1.0 } else { 0.0 });
        }
    }

    pub(super) fn refresh(&mut self, status: &InstrumentStatus) {
        self.synced(status.state);
        if let Some(book) = &mut self.book {
            book.levels.set_count(status.levels.0 + status.levels.1);
            for (condition, gauge) in &book.conditions {
                gauge.set(if *condition == status.condition { 1.0 } else { 0.0 });
            }
            book.paused.set(if status.paused { 1.0 } else { 0.0 });
            if let (Some(event), Some(received)) = (status.event_ts_ms, status.received_ms) {
                book.event_age.set(received.saturating_sub(event) as f64 / 1_000.0);
            }
            book.deltas.add(status.deltas.saturating_sub(book.deltas_seen));
            book.deltas_seen = status.deltas;
        }
    }
}

fn seconds(now: Now) -> f64 {
    now.wall_ms as f64 / 1_000.0
}
