//! The life of a venue's connections: opening, ending, handing over.
//!
//! Owns: carrying out what sessions ask for. Must not know: what is in a frame.

use std::time::Duration;

use clock::Now;

use crate::effect::{ConnId, Effect, Event, EventKind, Reason};
use crate::instrument::InstrumentId;
use crate::session::{Lane, Scene, Session, Step};
use crate::sync::{BookRules, BookSync, Mark, SyncState};
use crate::venue::Venue;
use crate::venue::fetches::Ask;
use crate::venue::slot::{Link, Role, Slot};

/// A slot's place and which of its connections.
type At = (usize, Role);

impl Venue {
    pub(super) fn find(&self, conn: ConnId) -> Option<At> {
        self.slots.iter().enumerate().find_map(|(place, slot)| slot.role(conn).map(|role| (place, role)))
    }

    /// Calls a session and carries out its steps.
    pub(super) fn with_session(&mut self, now: Now, at: At, effects: &mut Vec<Effect>, call: impl FnOnce(&mut Session, &Scene<'_>, &mut Vec<Step>)) {
        let mut steps = std::mem::take(&mut self.steps);
        let scene = Scene { now, catalog: &self.catalog, dialect: self.dialect, tuning: &self.config.tuning };
        if let Some(link) = self.slots.get_mut(at.0).and_then(|slot| slot.link_mut(at.1)) {
            call(&mut link.session, &scene, &mut steps);
            let conn = link.conn;
            for step in steps.drain(..) {
                self.carry_out(now, (conn, at), step, effects);
            }
        }
        steps.clear();
        self.steps = steps;
    }

    fn carry_out(&mut self, now: Now, (conn, at): (ConnId, At), step: Step, effects: &mut Vec<Effect>) {
        match step {
            Step::Send(text) => effects.push(Effect::Send { conn, text }),
            Step::Wish(instrument) => self.fetches.wish(Ask { conn, instrument }),
            Step::Malformed(instrument) => {
                self.stats.malformed += 1;
                effects.push(Effect::Event(Event { instrument, kind: EventKind::Malformed }));
            }
            Step::Unknown => self.stats.unknown += 1,
            Step::End(reason) => self.end(now, conn, reason, effects),
            Step::Replace(reason) => self.replace(now, at, reason, effects),
            _ if at.1 == Role::Standby => self.of_standby(step),
            Step::Book(id) => {
                self.count(id, |counters| counters.deltas += 1);
                self.book_changed(now, id, effects);
            }
            Step::Synced(id) => {
                self.count(id, |counters| counters.snapshots += 1);
                effects.push(Event::of(id, EventKind::Synced));
                self.book_changed(now, id, effects);
            }
            Step::Trade(trade) => self.outlets.trade(trade, effects),
            Step::Event(event) => self.tell(event, effects),
        }
    }

    /// A replacement publishes nothing and says nothing until it takes over; its trades are held.
    fn of_standby(&mut self, step: Step) {
        if let Step::Trade(trade) = step {
            self.outlets.hold(trade);
        }
    }

    fn tell(&mut self, event: Event, effects: &mut Vec<Effect>) {
        if let Some(id) = event.instrument {
            match event.kind {
                EventKind::Resync(reason) => self.invalidated(id, reason),
                // A lower sequence follows a higher one, and is newer all the same.
                EventKind::SequenceReset { .. } => self.outlets.invalidated(id),
                EventKind::SnapshotRetry(trouble) => self.count(id, |counters| bump(&mut counters.snapshot_troubles, trouble.index())),
                _ => {}
            }
        }
        effects.push(Effect::Event(event));
    }

    fn invalidated(&mut self, id: InstrumentId, reason: Reason) {
        self.outlets.invalidated(id);
        self.count(id, |counters| bump(&mut counters.resyncs, reason.index()));
    }

    fn count(&mut self, id: InstrumentId, change: impl FnOnce(&mut super::Counters)) {
        if let Some(counters) = self.counters.get_mut(id.index()) {
            change(counters);
        }
    }

    pub(super) fn slot_timeout(&self, slot: &Slot) -> Duration {
        match slot.active {
            Some(_) => slot.next_timeout(),
            None if !self.carries(slot) => Duration::MAX,
            // A connection that is due but over budget waits for the budget.
            None => slot.next_timeout().max(self.dialing.connect_at()),
        }
    }

    pub(super) fn connect_if_due(&mut self, now: Now, place: usize, effects: &mut Vec<Effect>) {
        let due = self.slots.get(place).is_some_and(|slot| slot.active.is_none() && now.mono >= slot.next_connect_at);
        if due && self.is_used(place) && self.dialing.connect(now.mono) {
            self.open(now, (place, Role::Active), effects);
        }
    }

    fn open(&mut self, now: Now, (place, role): At, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get(place) else { return };
        let lanes = slot.ids().map(|id| self.new_lane(id)).collect();
        let session = Session::new(now.mono, lanes, (&self.config.tuning, self.dialect, self.dialing.clone()));
        self.last_conn += 1;
        self.stats.connects += 1;
        let conn = ConnId(self.last_conn);
        let url = format!("{}{}", self.config.ws_url.trim_end_matches('/'), self.dialect.ws_path);
        effects.push(Effect::Connect { conn, url });
        if let Some(slot) = self.slots.get_mut(place) {
            let link = Some(Link { conn, session });
            match role {
                Role::Active => slot.active = link,
                Role::Standby => slot.standby = link,
            }
        }
    }

    /// A lane for this instrument as it begins, or for one that is not collected.
    pub(super) fn new_lane(&self, id: InstrumentId) -> Lane {
        let mut lane = Lane::new(id, BookSync::new(self.book_rules(), self.floor(id)));
        lane.paused = self.is_paused(id);
        match (self.catalog.is_collected(id), self.config.trades) {
            (false, _) => lane.retired(),
            (true, true) => lane.with_trades(),
            (true, false) => lane,
        }
    }

    /// The newest state any connection has had of a book.
    fn floor(&self, id: InstrumentId) -> Mark {
        let running = self.slot_of(id).and_then(|slot| slot.active.as_ref()?.session.lane(id));
        let before = self.counters.get(id.index()).map_or(Mark::default(), |counters| counters.floor);
        running.map_or(before, |lane| lane.sync.floor().max(before))
    }

    fn book_rules(&self) -> BookRules {
        let tuning = &self.config.tuning;
        BookRules {
            rule: self.dialect.rule,
            source: self.dialect.snapshots.source,
            bounds: tuning.levels,
            snapshot_limit: tuning.snapshot_limit,
            depth: self.config.depth,
            buffer: tuning.buffer,
            refresh_every: tuning.refresh_every,
            quiet: tuning.quiet,
            retry_first: tuning.snapshot_backoff.0,
            retry_most: tuning.snapshot_backoff.1,
        }
    }

    pub(super) fn connected(&mut self, now: Now, conn: ConnId, effects: &mut Vec<Effect>) {
        let Some(at) = self.find(conn) else { return };
        effects.push(Event::venue(EventKind::Connected(conn)));
        self.with_session(now, at, effects, Session::connected);
    }

    pub(super) fn closed(&mut self, now: Now, conn: ConnId, effects: &mut Vec<Effect>) {
        if self.find(conn).is_some() {
            self.finish(now, conn, Reason::Closed, effects);
        }
    }

    /// We end a connection.
    pub(super) fn end(&mut self, now: Now, conn: ConnId, reason: Reason, effects: &mut Vec<Effect>) {
        effects.push(Effect::Close { conn, reason });
        self.finish(now, conn, reason, effects);
    }

    /// A connection is over: forget it, and go on with the replacement or a new one.
    fn finish(&mut self, now: Now, conn: ConnId, reason: Reason, effects: &mut Vec<Effect>) {
        let Some((place, role)) = self.find(conn) else { return };
        self.fetches.forget(conn);
        bump(&mut self.stats.disconnects, reason.index());
        effects.push(Event::venue(EventKind::Disconnected(conn, reason)));
        let Some(slot) = self.slots.get_mut(place) else { return };
        if role == Role::Standby {
            slot.standby = None;
            slot.replacement_failed(now.mono, &self.config.tuning);
            for id in slot.ids() {
                self.outlets.drop_held(id);
            }
            return;
        }
        let Some(old) = slot.active.take() else { return };
        slot.ended(now.mono, (&old, reason), &self.config.tuning);
        slot.active = slot.standby.take();
        self.succeed(now, (place, old), reason, effects);
    }

    /// The replacement is ready: the old connection closes, books and trades go on from the new one.
    pub(super) fn take_over(&mut self, now: Now, place: usize, effects: &mut Vec<Effect>) {
        let Some((old, reason)) = self.slots.get_mut(place).and_then(Slot::take_over) else { return };
        self.fetches.forget(old.conn);
        self.stats.hand_overs += 1;
        bump(&mut self.stats.disconnects, reason.index());
        effects.push(Effect::Close { conn: old.conn, reason });
        effects.push(Event::venue(EventKind::Disconnected(old.conn, reason)));
        effects.push(Event::venue(EventKind::HandOverDone));
        self.succeed(now, (place, old), reason, effects);
    }

    /// After the active connection changed from `old` to whatever the slot now has: books that are exact on both go on, others are resynchronised.
    fn succeed(&mut self, now: Now, (place, old): (usize, Link), reason: Reason, effects: &mut Vec<Effect>) {
        for lane in old.session.lanes() {
            let id = lane.id;
            self.count(id, |counters| counters.remember(lane));
            let goes_on = self.inherit(place, lane, effects);
            let new = self.slot_of(id).and_then(|slot| slot.active.as_ref()?.session.lane(id));
            if goes_on && new.is_some_and(|new| new.sync.stamp().sequence < lane.sync.stamp().sequence) {
                // It has seen the ids restart: a lower sequence, and newer all the same.
                self.outlets.invalidated(id);
            }
            if lane.sync.state() == SyncState::Synced && !goes_on {
                self.invalidated(id, reason);
                effects.push(Event::of(id, EventKind::Resync(reason)));
            }
            self.outlets.release(id, effects);
            self.book_changed(now, id, effects);
        }
    }

    /// The new connection's lane takes over from `old`; whether its book is exact.
    fn inherit(&mut self, place: usize, old: &Lane, effects: &mut Vec<Effect>) -> bool {
        let Some(slot) = self.slots.get_mut(place) else { return false };
        let Some(lane) = slot.active.as_mut().and_then(|link| link.session.lane_mut(old.id)) else { return false };
        let mut helped = false;
        for kind in lane.inherit(old) {
            helped = true;
            effects.push(Event::of(old.id, EventKind::Fresh(kind)));
        }
        let exact = lane.sync.state() == SyncState::Synced;
        if lane.side_ran_empty() {
            effects.push(Event::of(old.id, EventKind::EmptySide));
        }
        if helped {
            slot.replacement_helped();
        }
        exact
    }

    pub(super) fn replace(&mut self, now: Now, (place, role): At, reason: Reason, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        slot.heed(reason);
        if role == Role::Active
            && now.mono >= self.dialing.connect_at()
            && slot.may_replace(now.mono, reason, &self.config.tuning)
            && self.dialing.connect(now.mono)
        {
            effects.push(Event::venue(EventKind::HandOverStarted(reason)));
            self.open(now, (place, Role::Standby), effects);
        }
    }
}

fn bump<const N: usize>(counts: &mut [u64; N], index: usize) {
    if let Some(count) = counts.get_mut(index) {
        *count += 1;
    }
}
