//! What was taken and is not yet secured, by stream: which record may be sent next, which were sent and are not acknowledged, what goes to the spool.
//!
//! A record is *secured* when JetStream acknowledged it or it is fsynced in the spool; until then it is here, and here only. Records of one stream are
//! secured in their order: they are sent in order on one connection, sent again in order on the next, and while a stream has a backlog in the spool its
//! new records join the tail of it.
//!
//! Owns: lanes, the window of unanswered publications, the order. Must not know: sockets, files, clocks; `now` is handed in.

mod lane;
mod window;

use std::collections::VecDeque;
use std::time::Duration;

use marketdata::RecordKind;

use lane::Sent;
pub(crate) use lane::{Confirm, Lane, Pending};
pub(crate) use window::{Origin, Window};

use super::Record;

/// Beside its payload a waiting record costs about this.
pub(crate) const OVERHEAD: usize = 128;

/// All lanes.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: Vec<Lane>,
    /// Lanes that may have something to send, each once.
    ready: VecDeque<usize>,
    window: Window,
    /// Sent without acknowledgement and not yet confirmed by a PONG: the lane, and the PING that will tell.
    posted: VecDeque<(usize, u64)>,
    /// Per kind: its stream is ready.
    open: [bool; RecordKind::ALL.len()],
    /// Per kind: how its stream takes records.
    terms: [Terms; RecordKind::ALL.len()],
    /// Per kind: its stream has refused something since it was ready.
    cautious: [bool; RecordKind::ALL.len()],
    /// Lanes whose stream is to be asked what it holds.
    doubts: VecDeque<usize>,
    linked: bool,
    held: Held,
    /// Bytes under way, and how many may be.
    flying: (usize, usize),
}

/// What waits in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// How a stream takes records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// It may refuse one record and take the next: only one of a subject may be under way.
    pub(crate) single: bool,
    /// For how long it surely knows the id of a record again that is sent a second time.
    pub(crate) remembers: Duration,
}

/// What makes a record's id within its subject: sequence and event time.
pub(crate) type Id = (u64, i64);

/// A record to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) lane: usize,
    /// Number of the answer; none when nobody acknowledges.
    pub(crate) number: Option<u64>,
    pub(crate) record: &'a Record,
}

// === impl Outbox ===

impl Outbox {
    /// One lane for each stream of the table, in its order. `most`: publications and bytes that may be under way.
    pub(crate) fn new(lanes: impl IntoIterator<Item = (RecordKind, Confirm)>, most: (usize, usize)) -> Self {
        Self {
            lanes: lanes.into_iter().map(|(kind, confirm)| Lane::new(kind, confirm)).collect(),
            ready: VecDeque::new(),
            window: Window::new(most.0),
            posted: VecDeque::new(),
            open: [false; RecordKind::ALL.len()],
            terms: [Terms::default(); RecordKind::ALL.len()],
            cautious: [false; RecordKind::ALL.len()],
            doubts: VecDeque::new(),
            linked: false,
            held: Held::default(),
            flying: (0, most.1),
        }
    }

    /// The lanes, by [`Record::stream`].
    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// What waits.
    pub(crate) fn held(&self) -> Held {
        self.held
    }

    /// Publications that are not answered.
    pub(crate) fn under_way(&self) -> usize {
        self.window.len() + self.posted.len()
    }

    /// Whether something was sent that nobody acknowledges and no PONG has confirmed.
    pub(crate) fn has_posted(&self) -> bool {
        !self.posted.is_empty()
    }

    /// When the oldest record that is not secured was offered.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.lanes.iter().filter_map(Lane::oldest).min()
    }

    /// The window, for what is sent from the spool.
    pub(crate) fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Whether only one record of a subject of this kind may be under way.
    pub(crate) fn is_single(&self, kind: RecordKind) -> bool {
        self.is_cautious(kind) || self.terms.get(kind.index()).is_some_and(|terms| terms.single)
    }

    /// Whether the stream of this kind has refused something since it was ready.
    pub(crate) fn is_cautious(&self, kind: RecordKind) -> bool {
        self.cautious.get(kind.index()).copied().unwrap_or(false)
    }

    /// Whether the stream of this kind is ready.
    pub(crate) fn is_open(&self, kind: RecordKind) -> bool {
        self.open.get(kind.index()).copied().unwrap_or(false)
    }

    /// Takes a record. `false`: its stream is not in the table.
    pub(crate) fn take(&mut self, record: Record) -> bool {
        let place = record.stream;
        let Some(lane) = self.lanes.get_mut(place) else { return false };
        self.held.add(&record);
        lane.taken += 1;
        lane.waiting.push_back(Pending { record, sent: None });
        self.list(place);
        true
    }

    /// Takes the next record that may be sent, round robin over the lanes; it is then under way.
    pub(crate) fn send_next(&mut self, now: Duration, ping: u64) -> Option<Outgoing<'_>> {
        while let Some(place) = self.ready.pop_front() {
            if let Some(lane) = self.lanes.get_mut(place) {
                lane.listed = false;
            }
            if !self.is_sendable(place) {
                continue;
            }
            if !self.window.has_room() || self.posted.len() >= self.window.capacity() || self.flying.0 >= self.flying.1 {
                self.list_first(place);
                return None;
            }
            let remembers = self.terms_of(place).remembers;
            let lane = self.lanes.get_mut(place)?;
            let Pending { record, sent } = lane.waiting.pop_front()?;
            if sent.is_some_and(|first| lane.confirm == Confirm::Ack && now.saturating_sub(first) >= remembers) {
                // Its id may be forgotten: sent again it could be stored twice.
                lane.waiting.push_front(Pending { record, sent });
                lane.asked = true;
                self.doubts.push_back(place);
                continue;
            }
            let number = match lane.confirm {
                Confirm::Ack => Some(self.window.push(Origin::Lane(place), now)),
                Confirm::Pong => {
                    self.posted.push_back((place, ping));
                    None
                }
            };
            self.flying.0 += size_of(&record);
            lane.sent.push_back(Sent { number, record, first: sent.unwrap_or(now), done: false });
            self.list(place);
            let record = &self.lanes.get(place)?.sent.back()?.record;
            return Some(Outgoing { lane: place, number, record });
        }
        None
    }

    /// The publication of this number was stored. What is secured by it, in order, goes to `secured`.
    pub(crate) fn stored(&mut self, place: usize, number: u64, mut secured: impl FnMut(&Record)) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        // Answers come in order but for a stream that moved: nearly always the first.
        let Some(sent) = lane.sent.iter_mut().find(|sent| sent.number == Some(number)) else { return };
        sent.done = true;
        while let Some(sent) = lane.sent.pop_front_if(|sent| sent.done) {
            self.flying.0 = self.flying.0.saturating_sub(size_of(&sent.record));
            self.held.remove(&sent.record);
            secured(&sent.record);
        }
        self.list(place);
    }

    /// Everything before the PING of this number was handled by the server.
    pub(crate) fn ponged(&mut self, ping: u64, mut secured: impl FnMut(&Record)) {
        while let Some((place, _)) = self.posted.pop_front_if(|(_, waits_for)| *waits_for <= ping) {
            if let Some(sent) = self.lanes.get_mut(place).and_then(|lane| lane.sent.pop_front()) {
                self.flying.0 = self.flying.0.saturating_sub(size_of(&sent.record));
                self.held.remove(&sent.record);
                secured(&sent.record);
            }
            self.list(place);
        }
    }

    /// A lane whose stream is to be asked for the last record it holds; the lane waits for [`settle`](Self::settle).
    pub(crate) fn next_doubt(&mut self) -> Option<usize> {
        self.doubts.pop_front()
    }

    /// The last record that the stream holds of this lane is `last`. Records of a lane are stored in their order, so what was sent before that one is there too:
    /// it goes to `secured`, and the rest is sent again.
    pub(crate) fn settle(&mut self, place: usize, last: Option<Id>, mut secured: impl FnMut(&Record)) {
        let Some(lane) = self.lanes.get_mut(place).filter(|lane| lane.asked) else { return };
        lane.asked = false;
        let doubtful = lane.doubtful();
        let is_last = |pending: &Pending| last == Some((pending.record.sequence, pending.record.event_ts_ms));
        let held = lane.waiting.iter().take(doubtful).rposition(is_last).map_or(0, |place| place + 1);
        for pending in lane.waiting.drain(..held) {
            self.held.remove(&pending.record);
            secured(&pending.record);
        }
        for pending in lane.waiting.iter_mut().take(doubtful - held) {
            pending.sent = None;
        }
        self.list(place);
    }

    /// The stream of this kind is ready.
    pub(crate) fn open(&mut self, kind: RecordKind, terms: Terms) {
        self.set_open(kind, true);
        if let (Some(old), Some(cautious)) = (self.terms.get_mut(kind.index()), self.cautious.get_mut(kind.index())) {
            (*old, *cautious) = (terms, false);
        }
        for place in 0..self.lanes.len() {
            self.list(place);
        }
    }

    /// The stream of this kind takes nothing for now.
    pub(crate) fn close(&mut self, kind: RecordKind) {
        self.set_open(kind, false);
    }

    /// The stream of this kind has refused a record: until it is [`open`](Self::open)ed again, one of a subject is under way.
    pub(crate) fn make_single(&mut self, kind: RecordKind) {
        if let Some(cautious) = self.cautious.get_mut(kind.index()) {
            *cautious = true;
        }
    }

    /// Whether some lane's stream takes nothing.
    pub(crate) fn is_blocked(&self) -> bool {
        self.lanes.iter().any(|lane| lane.confirm == Confirm::Ack && !self.is_open(lane.kind))
    }

    fn set_open(&mut self, kind: RecordKind, is_open: bool) {
        if let Some(open) = self.open.get_mut(kind.index()) {
            *open = is_open;
        }
    }

    /// How the stream of a lane takes records.
    fn terms_of(&self, place: usize) -> Terms {
        self.lanes.get(place).and_then(|lane| self.terms.get(lane.kind.index())).copied().unwrap_or_default()
    }

    /// Connected; streams become ready one by one.
    pub(crate) fn link_up(&mut self) {
        self.linked = true;
        for place in 0..self.lanes.len() {
            self.list(place);
        }
    }

    /// The connection is gone. What was sent and needs an acknowledgement is sent again, first; what needs none may be lost and goes to `lost`.
    pub(crate) fn link_down(&mut self, mut lost: impl FnMut(&Record)) {
        self.linked = false;
        self.open = [false; RecordKind::ALL.len()];
        self.window.clear();
        self.posted.clear();
        self.doubts.clear();
        self.flying.0 = 0;
        for lane in &mut self.lanes {
            lane.asked = false;
            if lane.confirm == Confirm::Ack {
                lane.take_back();
            }
            for sent in lane.sent.drain(..) {
                self.held.remove(&sent.record);
                lost(&sent.record);
            }
        }
    }

    /// The lane of a stream goes by way of the spool from now on, with everything it has that is not acknowledged.
    pub(crate) fn spill(&mut self, place: usize) {
        let Some(lane) = self.lanes.get_mut(place).filter(|lane| lane.held() > 0) else { return };
        lane.spilled = true;
        // It is asked for the records in the spool, when it is their turn.
        lane.asked = false;
        self.again(place);
    }

    /// What was sent of a lane and is not acknowledged waits again, first.
    pub(crate) fn again(&mut self, place: usize) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        // What nobody acknowledges is not sent twice.
        if lane.confirm == Confirm::Ack {
            let bytes: usize = lane.sent.iter().map(|sent| size_of(&sent.record)).sum();
            self.flying.0 = self.flying.0.saturating_sub(bytes);
            lane.take_back();
        }
        self.list(place);
    }

    /// Takes a record that was sent out for good: it will never be stored.
    pub(crate) fn take_sent(&mut self, place: usize, number: u64) -> Option<Record> {
        let lane = self.lanes.get_mut(place)?;
        let at = lane.sent.iter().position(|sent| sent.number == Some(number))?;
        let record = lane.sent.remove(at)?.record;
        self.flying.0 = self.flying.0.saturating_sub(size_of(&record));
        self.held.remove(&record);
        self.list(place);
        Some(record)
    }

    /// Moves records that wait for the spool out, about `bytes` of them, in order; they are held until [`spooled`](Self::spooled).
    pub(crate) fn for_spool(&mut self, kind: RecordKind, bytes: usize, into: &mut Vec<Pending>) {
        let mut taken = 0;
        for lane in self.lanes.iter_mut().filter(|lane| lane.kind == kind && lane.spilled) {
            while taken < bytes
                && let Some(pending) = lane.waiting.pop_front()
            {
                taken += size_of(&pending.record);
                into.push(pending);
            }
        }
    }

    /// These records are fsynced in the spool.
    pub(crate) fn spooled(&mut self, records: &[Pending]) {
        for Pending { record, .. } in records {
            self.held.remove(record);
            if let Some(lane) = self.lanes.get_mut(record.stream) {
                lane.backlog += 1;
            }
        }
    }

    /// They could not be spooled and wait again, in their old places.
    pub(crate) fn not_spooled(&mut self, records: &mut Vec<Pending>) {
        while let Some(pending) = records.pop() {
            if let Some(lane) = self.lanes.get_mut(pending.record.stream) {
                lane.waiting.push_front(pending);
            }
        }
    }

    /// The disk refuses: lanes that have nothing in the spool need not go by way of it.
    pub(crate) fn stay_in_memory(&mut self) {
        for place in 0..self.lanes.len() {
            if let Some(lane) = self.lanes.get_mut(place).filter(|lane| lane.spilled && lane.backlog == 0) {
                lane.spilled = false;
                self.list(place);
            }
        }
    }

    /// A record of the lane's backlog is no longer in the spool: acknowledged, or given up.
    pub(crate) fn drained(&mut self, place: usize) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        lane.backlog = lane.backlog.saturating_sub(1);
        if lane.backlog == 0 {
            lane.spilled = false;
            self.list(place);
        }
    }

    /// The spool of this kind is empty: whatever was given up of it, its streams have no backlog.
    pub(crate) fn backlog_gone(&mut self, kind: RecordKind) {
        for place in 0..self.lanes.len() {
            if let Some(lane) = self.lanes.get_mut(place).filter(|lane| lane.kind == kind && lane.backlog > 0) {
                lane.backlog = 0;
                lane.spilled = false;
                self.list(place);
            }
        }
    }

    /// The spool held this many records of a lane when it was opened.
    pub(crate) fn found_in_spool(&mut self, place: usize, records: u64) {
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.backlog += records;
            lane.spilled |= records > 0;
        }
    }

    /// Takes the records of a lane that wait out for good, oldest first: all of them, or those offered before a time.
    pub(crate) fn shed(&mut self, place: usize, before: Duration) -> Vec<Record> {
        let Some(lane) = self.lanes.get_mut(place) else { return Vec::new() };
        let mut shed = Vec::new();
        while let Some(Pending { record, .. }) = lane.waiting.pop_front_if(|pending| pending.record.offered < before) {
            self.held.remove(&record);
            shed.push(record);
        }
        if lane.waiting.is_empty() {
            lane.waiting.shrink_to(64);
        }
        shed
    }

    /// Gives back memory that is not needed now.
    pub(crate) fn trim(&mut self) {
        for lane in &mut self.lanes {
            lane.waiting.shrink_to_fit();
            lane.sent.shrink_to_fit();
        }
        self.ready.shrink_to_fit();
        self.posted.shrink_to_fit();
    }

    /// Whether this lane has anything to send now.
    fn is_sendable(&self, place: usize) -> bool {
        self.lanes.get(place).is_some_and(|lane| {
            let free = match lane.confirm {
                Confirm::Ack => self.is_open(lane.kind) && (lane.sent.is_empty() || !self.is_single(lane.kind)),
                Confirm::Pong => true,
            };
            self.linked && free && !lane.spilled && !lane.asked && !lane.waiting.is_empty()
        })
    }

    fn list(&mut self, place: usize) {
        if self.is_sendable(place)
            && let Some(lane) = self.lanes.get_mut(place)
            && !std::mem::replace(&mut lane.listed, true)
        {
            self.ready.push_back(place);
        }
    }

    fn list_first(&mut self, place: usize) {
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.listed = true;
            self.ready.push_front(place);
        }
    }
}

// === impl Held ===

impl Held {
    fn add(&mut self, record: &Record) {
        self.records += 1;
        self.bytes += size_of(record);
    }

    fn remove(&mut self, record: &Record) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size_of(record));
    }
}

/// What a waiting record takes of memory.
pub(crate) fn size_of(record: &Record) -> usize {
    record.payload.len() + OVERHEAD
}

#[cfg(test)]
mod tests;
