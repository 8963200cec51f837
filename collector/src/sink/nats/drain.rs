//! Sending what waits on disk, when NATS takes records again: the spool in order and at a bounded rate, behind the streams that have no backlog; then,
//! once everything is calm, the dead letters. Must not know: how bytes travel, when something is spooled.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use clock::Now;
use marketdata::RecordKind;

use super::ack::Reason;
use super::connection::Connection;
use super::desk::{Desk, UNWRITTEN_MOST};
use super::meters::id_prefix;
use super::wire::{self, Publication};
use crate::config::StreamConfig;
use crate::metrics::catalogue as names;
use crate::sink::Record;
use crate::sink::deadletter::{self, CALM, Opened};
use crate::sink::outbox::{Confirm, Lane, Origin};
use crate::sink::spool::Next;
use crate::sink::watermark::Rate;

/// The drain may run at this many times the rate at which records arrive: four times are promised, and what is allowed is not always reached.
const TIMES: f64 = 8.0;
/// but at least, and at most, at this many records a second.
const RATE: (f64, f64) = (20_000.0, 100_000.0);
/// What it may make up for in one go, in seconds of its rate: a thread that seldom gets the processor shall not lose its share by that.
const BURST: f64 = 1.0;
/// Records sent from the spool in one turn: then the streams without backlog have theirs.
const TURN: usize = 256;

/// What is known of draining.
#[derive(Debug, Default)]
pub(super) struct Drain {
    arrival: Rate,
    /// Records that may be sent now.
    tokens: f64,
    looked: Duration,
    /// Which kind comes first.
    turn: usize,
    /// Sent without acknowledgement: kind, record, and the PING that will tell.
    posted: VecDeque<(usize, u64, u64)>,
    /// Since when nothing waits.
    calm_since: Option<Duration>,
    /// The dead letter that is being sent.
    letter: Option<Letter>,
}

/// A dead letter on its way.
#[derive(Debug)]
struct Letter {
    file: Opened,
    /// Where its records go.
    place: usize,
    kind: RecordKind,
    /// Count of the lane's records at which it is through.
    through: u64,
    /// All of it was taken.
    is_read: bool,
}

// === impl Drain ===

impl Drain {
    /// Everything under way is sent again: the spool is still there, and a letter whose records nobody acknowledges. Those of another are still in memory.
    pub(super) fn disconnected(&mut self, confirm: impl Fn(RecordKind) -> Confirm) {
        self.posted.clear();
        self.letter = self.letter.take().filter(|letter| confirm(letter.kind) == Confirm::Ack);
        self.calm_since = None;
    }

    pub(super) fn has_posted(&self) -> bool {
        !self.posted.is_empty()
    }

    /// Refills the bucket.
    fn refill(&mut self, now: Duration) {
        let rate = (self.arrival.per_second() * TIMES).clamp(RATE.0, RATE.1);
        let elapsed = now.saturating_sub(self.looked).as_secs_f64();
        self.looked = now;
        self.tokens = (self.tokens + rate * elapsed).min((rate * BURST).max(1.0));
    }
}

// === impl Desk: drain ===

impl Desk {
    /// Gives the connection what the spool holds, as far as rate and window allow.
    pub(super) fn send_from_spool(&mut self, connection: &mut Connection, now: Duration) {
        if self.store.spool.as_ref().is_none_or(crate::sink::spool::Spool::is_empty) {
            return;
        }
        self.drain.refill(now);
        self.drain.turn = (self.drain.turn + 1) % StreamConfig::KINDS.len();
        // Each time another kind comes first, so that none waits for the others to be drained.
        for kind in StreamConfig::KINDS.into_iter().cycle().skip(self.drain.turn).take(StreamConfig::KINDS.len()) {
            // A kind that has no stream goes without acknowledgement, as its records from memory do.
            let acknowledged = self.confirm_of(kind) == Confirm::Ack;
            if acknowledged && (!self.outbox.is_open(kind) || self.doubts.asks_for_spool(kind)) {
                continue;
            }
            let most = self.outbox.window().capacity();
            for _ in 0..TURN {
                let has_room = connection.unwritten() < UNWRITTEN_MOST && self.outbox.window().has_room_for_spool();
                let full = self.store.shelf(kind).is_none_or(|shelf| shelf.under_way() >= most);
                if self.drain.tokens < 1.0 || !has_room || full || !self.send_one_from_spool(kind, acknowledged, connection) {
                    break;
                }
            }
        }
    }

    /// Sends the next record of a kind's spool, or passes it over if the stream holds it; `false` when there is nothing to send now.
    fn send_one_from_spool(&mut self, kind: RecordKind, acknowledged: bool, connection: &mut Connection) -> bool {
        let (now, single) = (self.drain.looked, self.outbox.is_single(kind));
        let (shelves, places) = self.store.both();
        let Some(shelf) = shelves.and_then(|spool| spool.shelf(kind)) else { return false };
        let (record, entry) = match shelf.next(now, single) {
            Next::Nothing => return false,
            // Without acknowledgement nothing is known of anything.
            Next::Held(record, entry) | Next::Doubt(record, entry) if !acknowledged => (record, entry),
            Next::Send(record, entry) => (record, entry),
            Next::Doubt(_, entry) => {
                let subject = entry.subject.clone();
                self.ask_about_spool(kind, &subject);
                return false;
            }
            Next::Held(record, entry) => {
                let place = places.get(&entry.subject).copied();
                shelf.sent(place);
                self.meters.held(kind);
                self.drained(kind.index(), record);
                return true;
            }
        };
        let place = places.get(&entry.subject).copied();
        // A stream that is configured no more has its name in the record only.
        let id = place.and_then(|place| self.outs.get(place)).map_or_else(|| id_prefix(&entry.subject).into(), |out| Cow::from(&out.id));
        self.drain.tokens -= 1.0;
        let number = acknowledged.then(|| self.outbox.window().push(Origin::Spool { kind: kind.index(), record }, now));
        let publication = Publication {
            subject: &entry.subject,
            reply: number.map(|number| (self.inbox.as_str(), number)),
            id: (&id, entry.sequence, entry.event_ts_ms),
        };
        wire::publish(publication, entry.payload(), connection.outbound());
        if number.is_none() {
            self.drain.posted.push_back((kind.index(), record, connection.pings() + 1));
        }
        shelf.sent(place);
        true
    }

    /// A record of the spool has arrived.
    pub(super) fn drained(&mut self, kind: usize, record: u64) {
        let Some(kind) = RecordKind::ALL.get(kind).copied() else { return };
        let Self { store, outbox, outs, meters, .. } = self;
        let Some(shelf) = store.shelf(kind) else { return };
        shelf.acknowledged(record, |place| {
            meters.drained(kind);
            meters.written.inc(kind);
            let Some(place) = place else { return };
            outbox.drained(place);
            if let Some(out) = outs.get(place) {
                out.arrived();
            }
        });
    }

    /// A PONG: what was sent from the spool before its PING has arrived.
    pub(super) fn drain_ponged(&mut self, ping: u64) {
        while let Some((kind, record, _)) = self.drain.posted.pop_front_if(|(_, _, waits_for)| *waits_for <= ping) {
            self.drained(kind, record);
        }
    }

    /// A record of the spool was refused: once more after a pause, unless that can never help.
    pub(super) fn drain_refused(&mut self, kind: usize, record: u64, reason: Reason) {
        let now = self.clock.now();
        let Some(of) = RecordKind::ALL.get(kind).copied() else { return };
        if reason.may_take_the_next() {
            self.outbox.make_single(of);
        }
        let Some(shelf) = self.store.shelf(of) else { return };
        if !reason.is_final() {
            return shelf.refused(now.mono);
        }
        if let Some(entry) = shelf.reread(record) {
            let stream = self.store.place(&entry.subject).unwrap_or(usize::MAX);
            let payload = bytes::Bytes::copy_from_slice(entry.payload());
            let record = Record { stream, kind: of, sequence: entry.sequence, event_ts_ms: entry.event_ts_ms, payload, offered: now.mono };
            self.store.bury(&[record], deadletter::Reason::TooLarge, now);
        }
        self.drained(kind, record);
    }

    /// What time brings: the rate, the bounds of the disk, and dead letters once everything is calm.
    pub(super) fn drain_tick(&mut self, now: Now) {
        let taken = self.outbox.lanes().iter().map(|lane| lane.taken).sum();
        self.drain.arrival.look(taken, now.mono);
        if self.store.reopen(now.mono) {
            // A kill would catch what is in memory now.
            for record in self.outbox.lanes().iter().flat_map(Lane::records) {
                self.store.taken(record);
            }
            self.join_backlog();
        }
        self.store.tidy(now);
        for kind in StreamConfig::KINDS {
            if self.store.shelf(kind).is_some_and(|shelf| shelf.is_empty()) {
                self.outbox.backlog_gone(kind);
                self.trust_again(kind, now.mono);
            }
        }
        self.letters_tick(now.mono);
    }

    /// All is sent of a kind whose stream had refused something: it is looked at anew, and may take more than one record of a subject at a time again.
    fn trust_again(&mut self, kind: RecordKind, now: Duration) {
        if self.linked
            && self.outbox.is_cautious(kind)
            && let Some(keeper) = self.keepers.iter_mut().find(|keeper| keeper.config().kind == kind)
        {
            keeper.look_again(now);
        }
    }

    fn letters_tick(&mut self, now: Duration) {
        if self.drain.letter.is_some() {
            return self.go_on_with_letter(now);
        }
        let few = self.outbox.held().bytes < self.relief.bytes().high / 10;
        let calm = self.linked && few && self.store.spool.as_ref().is_none_or(crate::sink::spool::Spool::is_empty) && !self.outbox.is_blocked();
        if !calm {
            self.drain.calm_since = None;
            return;
        }
        let since = *self.drain.calm_since.get_or_insert(now);
        if now.saturating_sub(since) >= CALM && self.store.letters.len() > 0 {
            self.begin_letter();
        }
    }

    /// Takes up the oldest dead letter of a stream that is configured.
    fn begin_letter(&mut self) {
        let store = &self.store;
        let Some(file) = store.letters.oldest(|subject| store.place(subject).is_some()) else { return };
        let Some(place) = self.store.place(&file.subject) else { return };
        let Some(kind) = self.outbox.lanes().get(place).map(|lane| lane.kind) else { return };
        tracing::info!(event = "dead_letter_replayed", file = %file.path.display(), "everything is calm: a dead letter is sent after all");
        self.drain.letter = Some(Letter { file, place, kind, through: 0, is_read: false });
    }

    /// The end: what is left of a letter on its way is taken too, so that the whole of it is secured with everything else; its file.
    pub(super) fn rest_of_letter(&mut self, now: Duration) -> Option<PathBuf> {
        let mut letter = self.drain.letter.take()?;
        for (sequence, event_ts_ms, payload) in letter.file.by_ref() {
            self.outbox.take(Record { stream: letter.place, kind: letter.kind, sequence, event_ts_ms, payload, offered: now });
        }
        Some(letter.file.path)
    }

    /// Takes records of the letter back into memory, no more than leaves it calm; its file goes when they have left it.
    fn go_on_with_letter(&mut self, now: Duration) {
        let Some(letter) = &mut self.drain.letter else { return };
        let replayed = self.meters.registry.counter(&names::DEAD_LETTER_REPLAYED, &[letter.kind.as_str()]);
        while self.linked && !letter.is_read && self.outbox.held().bytes < self.relief.bytes().high / 4 {
            let Some((sequence, event_ts_ms, payload)) = letter.file.next() else {
                letter.is_read = true;
                break;
            };
            self.outbox.take(Record { stream: letter.place, kind: letter.kind, sequence, event_ts_ms, payload, offered: now });
            letter.through = self.outbox.lanes().get(letter.place).map_or(0, |lane| lane.taken);
            replayed.inc();
        }
        let left = self.outbox.lanes().get(letter.place).is_none_or(|lane| lane.taken - lane.held() as u64 >= letter.through);
        if letter.is_read && left {
            self.store.letters.done(&letter.file.path);
            self.drain.letter = None;
        }
    }
}
