//! Instruments that come and go while the venue runs: listed later, delisted, back again.
//!
//! Owns: their ids (kept for ever, so that an id names one instrument), and what their coming and going means for connections. Must not know: the
//! venue's instrument list, or when it is read (the shell does).

use clock::Now;

use crate::effect::{Effect, Event, EventKind, Reason};
use crate::instrument::{Instrument, InstrumentId};
use crate::session::{Lane, Scene, Session};
use crate::venue::slot::{Role, Slot};
use crate::venue::status::Counters;
use crate::venue::{Venue, VenueError, check_instruments};

impl Venue {
    /// Collects one more instrument, or again one that was retired, as it is listed now: on a connection with room, or on a new one.
    ///
    /// # Errors
    /// When its name has no place in a subject, when it is of another venue, or when there is no room for more.
    pub fn adopt(&mut self, now: Now, instrument: Instrument, effects: &mut Vec<Effect>) -> Result<InstrumentId, VenueError> {
        check_instruments(self.config.kind, std::slice::from_ref(&instrument))?;
        let id = self.catalog.put(instrument).ok_or(VenueError::Instruments)?;
        if id.index() >= self.counters.len() {
            self.counters.push(Counters::default());
            self.extend_slots(id);
        }
        if let Some(instrument) = self.catalog.get(id) {
            self.outlets.put(id, instrument, &self.config);
        }
        self.with_lane_of(now, id, effects, Session::adopt);
        if self.is_paused(id) {
            effects.push(Event::of(id, EventKind::Paused(Reason::Pressure)));
        }
        Ok(id)
    }

    /// Collects an instrument no longer: its streams are unsubscribed, its book is given back. A connection that carries nothing any more is closed.
    pub fn retire(&mut self, now: Now, id: InstrumentId, effects: &mut Vec<Effect>) {
        if !self.catalog.is_collected(id) {
            return;
        }
        self.catalog.retire(id);
        self.outlets.invalidated(id);
        self.outlets.drop_held(id);
        self.with_lane_of(now, id, effects, Session::leave);
        self.close_unused(now, (id, Reason::Unused), effects);
        self.pump(now, effects);
    }

    /// Closes the connection that carried this instrument, if nothing is left on it.
    pub(super) fn close_unused(&mut self, now: Now, (id, reason): (InstrumentId, Reason), effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get(id.index() / self.per_slot).filter(|slot| !self.carries(slot)) else { return };
        let conns: Vec<_> = [&slot.standby, &slot.active].into_iter().flatten().map(|link| link.conn).collect();
        for conn in conns {
            self.end(now, conn, reason, effects);
        }
    }

    /// Whether an instrument is collected now.
    pub fn is_collected(&self, id: InstrumentId) -> bool {
        self.catalog.is_collected(id)
    }

    /// Whether anything is collected over this slot's connection.
    pub(super) fn is_used(&self, place: usize) -> bool {
        self.slots.get(place).is_some_and(|slot| self.carries(slot))
    }

    /// Whether anything of this slot is collected now.
    pub(super) fn carries(&self, slot: &Slot) -> bool {
        slot.ids().any(|id| self.catalog.is_collected(id) && !self.is_paused(id))
    }

    /// The last slot takes the next id, or a new one does; the id is the next, so the slot stays a run.
    fn extend_slots(&mut self, id: InstrumentId) {
        match self.slots.get_mut(id.index() / self.per_slot) {
            Some(slot) => slot.instruments.end = id.0.saturating_add(1),
            None => self.slots.push(Slot::new(id.0..id.0.saturating_add(1))),
        }
    }

    /// Gives a fresh lane of this instrument to each session that carries it.
    pub(super) fn with_lane_of(&mut self, now: Now, id: InstrumentId, effects: &mut Vec<Effect>, call: impl Fn(&mut Session, &Scene<'_>, Lane)) {
        let place = id.index() / self.per_slot;
        for role in [Role::Active, Role::Standby] {
            let lane = self.new_lane(id);
            self.with_session(now, (place, role), effects, |session, scene, _| call(session, scene, lane));
        }
    }
}
