//! The figures of the NATS sink. Must not know: how it works.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::time::Duration;

use marketdata::RecordKind;

use super::NAME;
use super::ack::Reason;
use crate::metrics::{Bound, Counter, Gauge, Histogram, Registry, Structure, catalogue as names};
use crate::sink::outbox::Held;
use crate::sink::{ByKind, Record};
use crate::stream::Stream;

/// Handles of the series.
pub(super) struct Meters {
    pub(super) registry: Arc<Registry>,
    pub(super) up: Gauge,
    pub(super) written: ByKind,
    pub(super) stored: Counter,
    pub(super) duplicate: Counter,
    pub(super) resent: Counter,
    pub(super) ack_duration: Histogram,
    outbox: Structure,
    window: Structure,
    drained: [Counter; RecordKind::ALL.len()],
    held: [Counter; RecordKind::ALL.len()],
    in_flight: Gauge,
    records: Gauge,
    bytes: Gauge,
    age: Gauge,
    ack_errors: Cell<u64>,
    recent_errors: Gauge,
}

/// What is needed to publish one stream and to count it.
pub(super) struct StreamOut {
    /// `<kind>.<exchange>.<market_type>.<symbol>`.
    pub(super) subject: String,
    /// The same with colons, and one at the end: what message ids begin with.
    pub(super) id: String,
    registry: Arc<Registry>,
    /// Present from the start where silence is an alarm, else from the first record on.
    published: OnceCell<Counter>,
    labelled: Counter,
    duration: Histogram,
}

// === impl Meters ===

impl Meters {
    pub(super) fn new(registry: &Arc<Registry>, in_flight: usize, bytes_limit: usize) -> Self {
        registry.gauge(&names::NATS_IN_FLIGHT_CAPACITY, &[]).set_count(in_flight);
        registry.gauge(&names::UNSECURED_BYTES_LIMIT, &[]).set_count(bytes_limit);
        Self {
            up: registry.gauge(&names::SINK_UP, &[NAME]),
            written: ByKind::new(registry, &names::SINK_WRITTEN, NAME),
            stored: registry.counter(&names::NATS_ACKS, &["stored"]),
            duplicate: registry.counter(&names::NATS_ACKS, &["duplicate"]),
            resent: registry.counter(&names::NATS_RESENT, &[]),
            ack_duration: registry.histogram(&names::NATS_ACK_DURATION, &[]),
            outbox: Structure::register(registry, "nats_outbox", Bound::Bytes(bytes_limit)),
            window: Structure::register(registry, "nats_window", Bound::Entries(in_flight)),
            drained: RecordKind::ALL.map(|kind| registry.counter(&names::SPOOL_DRAINED, &[kind.as_str()])),
            held: RecordKind::ALL.map(|kind| registry.counter(&names::NATS_HELD, &[kind.as_str()])),
            in_flight: registry.gauge(&names::NATS_IN_FLIGHT, &[]),
            records: registry.gauge(&names::UNSECURED_RECORDS, &[]),
            bytes: registry.gauge(&names::UNSECURED_BYTES, &[]),
            age: registry.gauge(&names::UNSECURED_AGE, &[]),
            ack_errors: Cell::new(0),
            recent_errors: registry.gauge(&names::SINK_RECENT_ERRORS, &[NAME]),
            registry: Arc::clone(registry),
        }
    }

    /// Shows what waits.
    pub(super) fn show(&self, held: Held, under_way: usize, age: Duration) {
        self.records.set_count(held.records);
        self.bytes.set_count(held.bytes);
        self.in_flight.set_count(under_way);
        self.outbox.set(held.records, held.bytes);
        self.window.set(under_way, 0);
        self.age.set(age.as_secs_f64());
    }

    /// A record of the spool has arrived.
    pub(super) fn drained(&self, kind: RecordKind) {
        if let Some(counter) = self.drained.get(kind.index()) {
            counter.inc();
        }
    }

    /// A record whose fate was not known is in the stream, as that said when it was asked.
    pub(super) fn held(&self, kind: RecordKind) {
        if let Some(counter) = self.held.get(kind.index()) {
            counter.inc();
        }
    }

    /// A publication was not stored.
    pub(super) fn ack_error(&self, reason: Reason) {
        self.ack_errors.set(self.ack_errors.get() + 1);
        self.registry.counter(&names::NATS_ACK_ERRORS, &[reason.as_str()]).inc();
    }

    /// Publications that were not stored so far.
    pub(super) fn ack_errors(&self) -> u64 {
        self.ack_errors.get()
    }

    /// Shows how many errors there were lately.
    pub(super) fn show_recent_errors(&self, errors: f64) {
        self.recent_errors.set(errors);
    }

    /// A record will not arrive, or not for sure.
    pub(super) fn dropped(&self, record: &Record, subject: &str, reason: &'static str) {
        self.registry.counter(&names::SINK_DROPPED, &[NAME, record.kind.as_str(), reason]).inc();
        self.registry.counter(&names::NATS_PUBLISH_ERRORS, &[subject, reason]).inc();
    }
}

// === impl StreamOut ===

impl StreamOut {
    pub(super) fn new(stream: &Stream, registry: &Arc<Registry>) -> Self {
        let [exchange, market_type, _, kind] = stream.labels();
        let published = OnceCell::new();
        if stream.is_watched() {
            published.get_or_init(|| registry.counter(&names::NATS_MESSAGES_PUBLISHED, &[&stream.subject]));
        }
        Self {
            subject: stream.subject.clone(),
            id: id_prefix(&stream.subject),
            registry: Arc::clone(registry),
            published,
            labelled: registry.counter(&names::NATS_MESSAGES_LABELED, &[exchange, market_type, kind]),
            duration: registry.histogram(&names::NATS_PUBLISH_DURATION, &[&stream.subject]),
        }
    }

    /// One of its records has arrived.
    pub(super) fn arrived(&self) {
        self.published.get_or_init(|| self.registry.counter(&names::NATS_MESSAGES_PUBLISHED, &[&self.subject])).inc();
        self.labelled.inc();
    }

    /// From offer to arrival.
    pub(super) fn took(&self, duration: Duration) {
        self.duration.observe_duration(duration);
    }
}

/// What the message ids of a subject begin with: its four words, by colons. The fourth, the symbol, is the rest as it stands.
pub(super) fn id_prefix(subject: &str) -> String {
    let mut id = subject.replacen('.', ":", 3);
    id.push(':');
    id
}
