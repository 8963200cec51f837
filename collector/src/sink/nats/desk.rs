//! What the sink knows and decides between two readings of the socket: answers in, publications and requests out.
//!
//! Owns: the outbox, the streams' state, the counting. Must not know: how bytes travel. What is done when memory or time runs out is in
//! [`relief`](super::relief), sending from the spool in [`drain`](super::drain).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use marketdata::RecordKind;

use super::NAME;
use super::ack::{Ack, Reason};
use super::connection::{Connection, Heard};
use super::doubt::Doubts;
use super::drain::Drain;
use super::meters::{Meters, StreamOut};
use super::relief::Relief;
use super::store::Store;
use super::streams::{Finding, Keeper};
use super::wire::{self, Publication};
use crate::clocks::SharedClock;
use crate::conditions::Condition;
use crate::config::{Config, Delivery, NatsConfig};
use crate::metrics::{Registry, catalogue as names};
use crate::sink::Record;
use crate::sink::deadletter;
use crate::sink::fading::Fading;
use crate::sink::outbox::{Confirm, Origin, Outbox, Terms};
use crate::state::State;

/// Unwritten bytes above which nothing is added: what the socket does not take waits in the outbox, not here.
pub(super) const UNWRITTEN_MOST: usize = 256 << 10;

/// Everything but the connection.
pub(super) struct Desk {
    pub(super) outbox: Outbox,
    pub(super) meters: Meters,
    pub(super) store: Store,
    pub(super) relief: Relief,
    pub(super) drain: Drain,
    pub(super) doubts: Doubts,
    pub(super) clock: SharedClock,
    pub(super) state: Arc<State>,
    /// Times the process was asked to give memory back, as last seen.
    trims: u64,
    /// By [`Record::stream`].
    pub(super) outs: Vec<StreamOut>,
    pub(super) keepers: Vec<Keeper>,
    /// What subjects of answers begin with.
    pub(super) inbox: String,
    ack_timeout: Duration,
    /// Requests that wait to be written: subject, word of the answer, body.
    pub(super) requests: Vec<(String, String, Vec<u8>)>,
    pub(super) linked: bool,
    /// Errors lately, and how many there were when it was last looked.
    errors: (Fading, u64),
    /// Publications answered, and PONGs.
    pub(super) answered: u64,
    /// Records fsynced in the spool.
    pub(super) spooled: u64,
}

// === impl Desk ===

impl Desk {
    pub(super) fn new((config, nats): (&Config, &NatsConfig), store: Store, (state, registry): (&Arc<State>, &Arc<Registry>)) -> Self {
        let streams = &state.streams;
        let configs = match &nats.delivery {
            Delivery::Core => &[][..],
            Delivery::JetStream(streams) => streams,
        };
        // A stream is made when something goes there: what is configured, and what an earlier run has left in the spool.
        let left = |kind: RecordKind| {
            store.spool.as_ref().is_some_and(|spool| spool.shelves().iter().any(|shelf| shelf.kind() == kind && !shelf.is_empty()))
        };
        let used = configs.iter().filter(|config| streams.iter().any(|stream| stream.kind == config.kind) || left(config.kind));
        let keepers: Vec<Keeper> = used.cloned().map(Keeper::new).collect();
        // What is under way is in memory too: it may take what is below the high mark.
        let outbox =
            Outbox::new(streams.iter().map(|stream| (stream.kind, confirm(&keepers, stream.kind))), (nats.in_flight, config.buffers.bytes.high));
        let run = RandomState::new();
        let mut desk = Self {
            outbox,
            meters: Meters::new(registry, nats.in_flight * 2, config.buffers.bytes.emergency),
            store,
            relief: Relief::new(config, nats, (streams, registry)),
            drain: Drain::default(),
            doubts: Doubts::default(),
            clock: Arc::clone(&state.clock),
            state: Arc::clone(state),
            trims: state.pressure.trims(),
            outs: streams.iter().map(|stream| StreamOut::new(stream, registry)).collect(),
            keepers,
            // As unlikely to meet another as a library's.
            inbox: format!("_INBOX.{:016x}{:016x}.", run.hash_one(0), run.hash_one(1)),
            ack_timeout: nats.ack_timeout,
            requests: Vec::new(),
            linked: false,
            errors: (Fading::default(), 0),
            answered: 0,
            spooled: 0,
        };
        if nats.delivery == Delivery::Core {
            desk.state.conditions.raise(Condition::CoreMode);
            tracing::warn!(sink = NAME, event = "core_mode", "core NATS acknowledges nothing: loss is possible");
        }
        desk.join_backlog();
        desk
    }

    /// Streams with records in the spool go on behind them.
    pub(super) fn join_backlog(&mut self) {
        let waiting = self.store.spool.as_ref().map(crate::sink::spool::Spool::backlog).unwrap_or_default();
        for (subject, records) in waiting {
            tracing::info!(sink = NAME, event = "spool_found", subject, records, "the spool holds records of an earlier time; they are sent first");
            if let Some(place) = self.store.place(&subject) {
                self.outbox.found_in_spool(place, records);
            }
        }
    }

    /// How records of a kind are known to have arrived.
    pub(super) fn confirm_of(&self, kind: RecordKind) -> Confirm {
        confirm(&self.keepers, kind)
    }

    /// Whether memory has room for more.
    pub(super) fn has_room(&self) -> bool {
        self.outbox.held().bytes < self.relief.bytes().emergency
    }

    /// Takes records from the queue.
    pub(super) fn take(&mut self, batch: &mut Vec<Record>) {
        for record in batch.drain(..) {
            self.store.taken(&record);
            self.outbox.take(record);
        }
    }

    /// A new connection.
    pub(super) fn connected(&mut self, connection: &mut Connection) {
        wire::line(connection.outbound(), format_args!("SUB {}* 1\r\n", self.inbox));
        self.requests.clear();
        self.keepers.iter_mut().for_each(Keeper::forget);
        self.outbox.link_up();
        self.linked = true;
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.meters.resent.add(self.outbox.window().len() as u64);
        let Self { outbox, meters, outs, keepers, .. } = self;
        outbox.link_down(|record| meters.dropped(record, subject(outs, record), "unconfirmed"));
        for keeper in keepers {
            meters.registry.gauge(&names::NATS_STREAM_READY, &[&keeper.config().name]).set(0.0);
        }
        self.store.rewind();
        let keepers = &self.keepers;
        self.drain.disconnected(|kind| confirm(keepers, kind));
        self.doubts.disconnected();
        self.linked = false;
    }

    /// Takes everything the server said.
    ///
    /// # Errors
    /// What it said is no protocol: the connection is of no further use.
    pub(super) fn hear(&mut self, connection: &mut Connection, now: Duration) -> io::Result<()> {
        connection.hear(now, |heard| match heard {
            Heard::Message(message) => self.answered(message, now),
            Heard::Pong(number) => {
                self.answered += 1;
                let Self { outbox, meters, outs, store, .. } = self;
                outbox.ponged(number, |record| arrived((meters, outs, store), record, now));
                self.drain_ponged(number);
            }
            Heard::LameDuck => self.event("lame_duck", "the server is about to go"),
            Heard::Complaint(text) => self.event("server_error", text),
        })
    }

    fn event(&self, word: &'static str, text: &str) {
        self.meters.registry.counter(&names::NATS_EVENTS, &[word]).inc();
        tracing::warn!(sink = NAME, event = word, "NATS: {text}");
    }

    fn answered(&mut self, message: wire::Message<'_>, now: Duration) {
        if let Some(number) = wire::number_after(message.subject, &self.inbox) {
            self.acknowledged(number, Ack::read(message.status, message.payload), now);
            return;
        }
        // Answers to requests: the inbox, then `l` and the number of a question about a last record, or `s` and the place of a stream.
        let Some(word) = message.subject.strip_prefix(self.inbox.as_bytes()) else { return };
        if let Some(question) = wire::number_after(word, "l") {
            return self.answered_about(question, message.payload, now);
        }
        let Some(place) = wire::number_after(word, "s").and_then(|place| usize::try_from(place).ok()) else { return };
        let Some(keeper) = self.keepers.get_mut(place) else { return };
        let (findings, next) = keeper.answer(message.status, message.payload, now);
        if let Some((subject, body)) = next {
            self.requests.push((subject, format!("s{place}"), body));
        }
        for finding in findings {
            self.found(place, finding);
        }
    }

    fn acknowledged(&mut self, number: u64, ack: Ack, now: Duration) {
        // An answer to what is no longer awaited: it was sent again, and that answer counts.
        let Some((origin, sent)) = self.outbox.window().answer(number) else { return };
        self.answered += 1;
        match ack {
            Ack::Stored => self.meters.stored.inc(),
            Ack::Duplicate => self.meters.duplicate.inc(),
            Ack::Refused(reason) => return self.refused(origin, Some(number), reason),
        }
        self.meters.ack_duration.observe_duration(now.saturating_sub(sent));
        let Self { outbox, meters, outs, store, .. } = self;
        match origin {
            Origin::Lane(lane) => outbox.stored(lane, number, |record| arrived((meters, outs, store), record, now)),
            Origin::Spool { kind, record } => self.drained(kind, record),
        }
    }

    /// A publication was not stored: the stream's records go by way of the spool, and one at a time for a while, so that none overtakes another.
    fn refused(&mut self, origin: Origin, number: Option<u64>, reason: Reason) {
        self.meters.ack_error(reason);
        let now = self.clock.now();
        match origin {
            Origin::Lane(place) if reason.is_final() => {
                let given_up = number.and_then(|number| self.outbox.take_sent(place, number));
                if let Some(record) = given_up {
                    self.store.secured(&record);
                    self.store.bury(std::slice::from_ref(&record), deadletter::Reason::TooLarge, now);
                }
            }
            Origin::Lane(place) => {
                let Some(kind) = self.outbox.lanes().get(place).map(|lane| lane.kind) else { return };
                if reason.may_take_the_next() {
                    self.outbox.make_single(kind);
                }
                let word = if reason == Reason::NoAnswer { "no_answer" } else { "refused" };
                if self.store.is_usable(now.mono) {
                    self.spill(place, word);
                } else {
                    self.outbox.again(place);
                    self.suspect(kind, now.mono);
                }
            }
            Origin::Spool { kind, record } => self.drain_refused(kind, record, reason),
        }
    }

    /// A stream that refused is looked at again before it is given more.
    fn suspect(&mut self, kind: RecordKind, now: Duration) {
        if let Some(keeper) = self.keepers.iter_mut().find(|keeper| keeper.config().kind == kind) {
            keeper.suspect(now);
            self.outbox.close(kind);
        }
    }

    fn found(&mut self, place: usize, finding: Finding) {
        let Some(config) = self.keepers.get(place).map(|keeper| keeper.config().clone()) else { return };
        let (name, registry) = (config.name.as_str(), &self.meters.registry);
        let ready = registry.gauge(&names::NATS_STREAM_READY, &[name]);
        match finding {
            Finding::Ready { created, selective, duplicate_window } => {
                ready.set(1.0);
                tracing::info!(sink = NAME, event = "stream_ready", stream = name, created, one_at_a_time = selective, "the stream takes records");
                // Half of it: sending again takes its time, too.
                self.outbox.open(config.kind, Terms { single: selective, remembers: duplicate_window / 2 });
            }
            Finding::Differs { setting, found, configured } => {
                let gauge = registry.gauge(&names::NATS_STREAM_DIFFERS, &[name, setting]);
                if gauge.get() == 0.0 {
                    gauge.set(1.0);
                    tracing::warn!(
                        sink = NAME,
                        event = "stream_differs",
                        stream = name,
                        setting,
                        found,
                        configured,
                        "an existing stream has another setting; it is left as it is"
                    );
                }
            }
            Finding::Unusable(trouble) => {
                let counter = registry.counter(&names::NATS_STREAM_TROUBLES, &[name, trouble.as_str()]);
                counter.inc();
                ready.set(0.0);
                if counter.get() % 100 == 1 {
                    tracing::error!(
                        sink = NAME,
                        event = "stream_unusable",
                        stream = name,
                        reason = trouble.as_str(),
                        "the stream cannot be used: {trouble}"
                    );
                }
                self.outbox.close(config.kind);
            }
        }
    }

    /// Writes what may be sent into the connection's buffer.
    pub(super) fn send(&mut self, connection: &mut Connection, now: Duration) {
        for (place, keeper) in self.keepers.iter_mut().enumerate() {
            if let Some((subject, body)) = keeper.ask(now) {
                self.requests.push((subject, format!("s{place}"), body));
            }
        }
        self.put_questions(now);
        for (subject, word, body) in self.requests.drain(..) {
            wire::request(&subject, (&self.inbox, &word), &body, connection.outbound());
        }
        self.send_fresh(connection, now);
        self.ask_about_lanes();
        self.send_from_spool(connection, now);
        self.ask_for_pong(connection);
    }

    /// A PONG confirms what nobody acknowledges; one at a time.
    fn ask_for_pong(&self, connection: &mut Connection) {
        if (self.outbox.has_posted() || self.drain.has_posted()) && !connection.is_asked() {
            connection.ping();
        }
    }

    /// The part of it that needs no disk and asks nothing: records that may be sent now.
    pub(super) fn send_fresh(&mut self, connection: &mut Connection, now: Duration) {
        while connection.unwritten() < UNWRITTEN_MOST
            && let Some(outgoing) = self.outbox.send_next(now, connection.pings() + 1)
        {
            let (record, Some(out)) = (outgoing.record, self.outs.get(outgoing.lane)) else { continue };
            let publication = Publication {
                subject: &out.subject,
                reply: outgoing.number.map(|number| (self.inbox.as_str(), number)),
                id: (&out.id, record.sequence, record.event_ts_ms),
            };
            wire::publish(publication, &record.payload, connection.outbound());
        }
        self.ask_for_pong(connection);
    }

    /// What time brings.
    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        for place in 0..self.keepers.len() {
            if let Some(finding) = self.keepers.get_mut(place).and_then(|keeper| keeper.overdue(now.mono)) {
                self.found(place, finding);
            }
        }
        while let Some(origin) = self.outbox.window().expire(now.mono.saturating_sub(self.ack_timeout)) {
            self.refused(origin, None, Reason::NoAnswer);
        }
        self.relieve(now);
        self.drain_tick(now);
        self.store.note();
        self.show(now);
    }

    /// Tells what is the case: figures, conditions.
    fn show(&mut self, now: Now) {
        let trims = self.state.pressure.trims();
        if trims != std::mem::replace(&mut self.trims, trims) {
            self.outbox.trim();
        }
        self.store.tell(&self.state.conditions, now.mono);
        let age = self.outbox.oldest().map_or(Duration::ZERO, |offered| now.mono.saturating_sub(offered));
        self.meters.show(self.outbox.held(), self.outbox.under_way(), age);
        let errors = self.store.errors + self.meters.ack_errors();
        self.meters.show_recent_errors(self.errors.0.add(errors - self.errors.1, now.mono));
        self.errors.1 = errors;
        // It can secure records: by NATS, or by the spool.
        let up = (self.linked && !self.outbox.is_blocked()) || self.store.is_usable(now.mono);
        self.meters.up.set(if up { 1.0 } else { 0.0 });
    }
}

/// A kind that has a stream is acknowledged.
fn confirm(keepers: &[Keeper], kind: RecordKind) -> Confirm {
    if keepers.iter().any(|keeper| keeper.config().kind == kind) { Confirm::Ack } else { Confirm::Pong }
}

pub(super) fn subject<'a>(outs: &'a [StreamOut], record: &Record) -> &'a str {
    outs.get(record.stream).map_or("", |out| out.subject.as_str())
}

/// Counts a record that has arrived.
pub(super) fn arrived((meters, outs, store): (&Meters, &[StreamOut], &mut Store), record: &Record, now: Duration) {
    store.secured(record);
    meters.written.inc(record.kind);
    if let Some(out) = outs.get(record.stream) {
        out.arrived();
        out.took(now.saturating_sub(record.offered));
    }
}
