//! A venue: everything one address of ours may do there.
//!
//! Owns: its connections and their replacements, the budgets of our address (connections, REST weight), and what leaves. Must not know: sockets.

pub(crate) mod allowance;
mod backoff;
mod binance;
mod binance_listing;
mod binance_spot;
mod binance_usdm;
pub(crate) mod budget;
mod config;
mod deribit;
mod deribit_listing;
pub(crate) mod dialect;
mod fetches;
mod links;
mod members;
mod okx;
mod okx_listing;
mod outlet;
mod pressure;
mod slot;
mod status;

use std::collections::VecDeque;
use std::time::Duration;

use clock::Now;

use crate::delta::BookDelta;
use crate::effect::{ConnId, Effect, Event, EventKind, FetchId, Input, Reason, Response, SnapshotTrouble};
use crate::instrument::{Catalog, Instrument, InstrumentId};
use crate::message::BookView;
use crate::preview::PreviewView;
use crate::preview::ofi::Touch;
use crate::session::{Session, Step};
use crate::venue::allowance::Dialing;
use crate::venue::dialect::Dialect;
use crate::venue::fetches::{Ask, Fetches};
use crate::venue::outlet::Outlets;
use crate::venue::slot::Slot;
use crate::venue::status::Counters;

pub use allowance::{AllowanceFigures, Allowances};
pub use config::{Output, Priority, Publication, Tuning, VenueConfig, VenueError, VenueKind};
pub use outlet::TradeCounts;
pub use pressure::{Pressure, WIDENED};
pub use status::{BookCondition, InstrumentStatus, VenueStats};

/// One venue; see the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Venue {
    config: VenueConfig,
    dialect: &'static Dialect,
    catalog: Catalog,
    slots: Vec<Slot>,
    /// Instruments of a slot at most; their ids are consecutive, so an id names its slot.
    per_slot: usize,
    fetches: Fetches,
    dialing: Dialing,
    outlets: Outlets,
    counters: Vec<Counters>,
    stats: VenueStats,
    malformed: VecDeque<KeptFrame>,
    last_conn: u32,
    /// Reused between calls.
    steps: Vec<Step>,
}

/// A frame that could not be read, kept for diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFrame {
    /// When it arrived, unix ms.
    pub received_ms: i64,
    /// How long it was.
    pub bytes: usize,
    /// Its beginning.
    pub text: String,
}

/// Frames that could not be read are kept for diagnosis: this many, cut to so many bytes.
pub const MALFORMED_KEPT: usize = 16;
/// See [`MALFORMED_KEPT`].
pub const MALFORMED_BYTES: usize = 512;

// === impl Venue ===

impl Venue {
    /// A venue that collects these instruments; [`InstrumentId`]s are their places. The first [`Input::Timeout`] opens connections.
    pub fn new(config: VenueConfig, instruments: Vec<Instrument>) -> Result<Self, VenueError> {
        config.check()?;
        check_instruments(config.kind, &instruments)?;
        let (count, kind) = (instruments.len(), config.kind);
        let catalog = Catalog::new(instruments).ok_or(VenueError::Instruments)?;
        let streams = if config.trades { 2 } else { 1 };
        let per_slot = (config.tuning.streams_per_connection / streams).max(1);
        let last = u16::try_from(count).map_err(|_| VenueError::Instruments)?;
        let slots =
            (0..last).step_by(per_slot).map(|first| Slot::new(first..last.min(first.saturating_add(u16::try_from(per_slot).unwrap_or(last)))));
        let tuning = &config.tuning;
        let (dialing, asking) = Allowances::default().of(&config);
        Ok(Self {
            dialect: kind.dialect(),
            outlets: Outlets::new(catalog.all(), &config),
            catalog,
            slots: slots.collect(),
            per_slot,
            fetches: Fetches::new(tuning.fetches_in_flight, tuning.fetch_timeout, asking),
            dialing,
            counters: vec![Counters::default(); count],
            stats: VenueStats::default(),
            malformed: VecDeque::new(),
            last_conn: 0,
            steps: Vec::new(),
            config,
        })
    }

    /// Shares what its address may do with the other venues of these allowances, before the first input.
    #[must_use]
    pub fn sharing(mut self, allowances: &Allowances) -> Self {
        (self.dialing, self.fetches.asking) = allowances.of(&self.config);
        self
    }

    /// What its address may still do, as it stands.
    pub fn allowance(&self) -> AllowanceFigures {
        AllowanceFigures::of(&self.dialing, &self.fetches.asking)
    }

    /// Sets what its address may still do: another has spent of it.
    pub fn set_allowance(&mut self, figures: AllowanceFigures) {
        figures.put(&self.dialing, &self.fetches.asking);
    }

    /// As configured.
    pub const fn config(&self) -> &VenueConfig {
        &self.config
    }

    /// The instruments, in the order of their ids; those that were retired too.
    pub fn instruments(&self) -> &[Instrument] {
        self.catalog.all()
    }

    /// An instrument.
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.catalog.get(id)
    }

    /// Takes one input; appends what is to be done.
    pub fn handle(&mut self, now: Now, input: Input<'_>, effects: &mut Vec<Effect>) {
        let start = effects.len();
        if let Some(second) = self.outlets.turn(now) {
            self.close_second(second, effects);
        }
        match input {
            Input::Frame { conn, text } => self.frame(now, conn, text, effects),
            Input::Activity { conn } => {
                if let Some((slot, role)) = self.find(conn)
                    && let Some(link) = self.slots.get_mut(slot).and_then(|slot| slot.link_mut(role))
                {
                    link.session.activity(now.mono);
                }
            }
            Input::Connected { conn } => self.connected(now, conn, effects),
            Input::Closed { conn } => self.closed(now, conn, effects),
            Input::Fetched { fetch, response } => self.fetched(now, fetch, &response, effects),
            Input::FetchFailed { fetch, trouble } => {
                if let Some(ask) = self.fetches.done(fetch) {
                    self.snapshot_failed(now, ask, trouble, effects);
                }
            }
            Input::Timeout => self.timeout(now, effects),
        }
        self.pump(now, effects);
        self.settle_books(start, effects);
    }

    /// When [`Input::Timeout`] is due (monotonic).
    pub fn next_timeout(&self) -> Option<Duration> {
        let slots = self.slots.iter().map(|slot| self.slot_timeout(slot));
        slots.chain(self.outlets.next_timeout()).chain(self.fetches.next_timeout(self.weight())).min()
    }

    /// The book of an instrument, if it may be published: exact, and neither side empty.
    pub fn book(&self, id: InstrumentId) -> Option<BookView<'_>> {
        book_of((&self.catalog, &self.slots, self.per_slot, self.config.depth), id)
    }

    /// What changed in a book since the delta before, which its consumers have from then on. `None`: nothing, or it may not be published.
    pub fn delta(&mut self, now: Now, id: InstrumentId) -> Option<BookDelta<'_>> {
        let Self { catalog, slots, per_slot, config, outlets, .. } = self;
        book_of((catalog, slots, *per_slot, config.depth), id)?;
        let lane = slots.get_mut(id.index() / *per_slot)?.active.as_mut()?.session.lane_mut(id)?;
        outlets.read_notes(id, lane.sync.book_mut());
        let view = book_of((catalog, slots, *per_slot, config.depth), id)?;
        outlets.delta(now.mono, id, (&view, catalog.get(id)?))
    }

    /// The last delta of this book did not reach all its consumers: the next is a whole image.
    pub fn delta_lost(&mut self, id: InstrumentId) {
        self.outlets.delta_lost(id);
    }

    /// The second of an instrument that closed last.
    pub fn preview(&self, id: InstrumentId) -> Option<PreviewView<'_>> {
        Some(PreviewView { instrument: self.catalog.get(id)?, bar: self.outlets.bar(id)? })
    }

    /// Figures of one instrument.
    pub fn status(&self, id: InstrumentId) -> Option<InstrumentStatus> {
        let counters = self.counters.get(id.index())?;
        let lane = self.slot_of(id).and_then(|slot| slot.active.as_ref()?.session.lane(id));
        Some(status::of(counters, lane, self.config.depth, self.outlets.trade_counts(id)))
    }

    /// Figures of the venue.
    pub fn stats(&self) -> VenueStats {
        let mut stats = self.stats.clone();
        stats.connections = self.slots.iter().map(|slot| usize::from(slot.active.is_some()) + usize::from(slot.standby.is_some())).sum();
        (stats.fetches_waiting, stats.fetches_under_way) = self.fetches.gauges();
        (stats.weight_left, stats.rest_paused_until) = self.fetches.asking.figures();
        (stats.books_waiting, stats.trades_held) = self.outlets.gauges();
        stats
    }

    /// The last frames that could not be read, oldest first, cut to [`MALFORMED_BYTES`]; answers over REST are among them.
    pub fn malformed(&self) -> impl ExactSizeIterator<Item = &KeptFrame> + '_ {
        self.malformed.iter()
    }

    fn frame(&mut self, now: Now, conn: ConnId, text: &str, effects: &mut Vec<Effect>) {
        let Some((place, role)) = self.find(conn) else { return };
        self.stats.frames += 1;
        let malformed = self.stats.malformed;
        self.with_session(now, (place, role), effects, |session, scene, steps| session.handle_frame(scene, text, steps));
        if self.stats.malformed > malformed {
            self.keep_malformed(now, text);
        }
    }

    fn fetched(&mut self, now: Now, fetch: FetchId, response: &Response<'_>, effects: &mut Vec<Effect>) {
        let judged = self.fetches.judge(now.mono, response);
        if let Err((_, Some(pause))) = judged
            && pause > Duration::ZERO
        {
            effects.push(Event::venue(EventKind::RestLimited(pause)));
        }
        let Some(ask) = self.fetches.done(fetch) else { return };
        let read = judged.map_err(|(trouble, _)| trouble);
        match read.and_then(|()| (self.dialect.snapshots.read)(response.body).map_err(|_| SnapshotTrouble::Malformed)) {
            Err(trouble @ SnapshotTrouble::Malformed) => {
                self.keep_malformed(now, response.body);
                self.snapshot_failed(now, ask, trouble, effects);
            }
            Ok(frame) => {
                let Some(at) = self.find(ask.conn) else { return };
                self.with_session(now, at, effects, |session, scene, steps| session.handle_snapshot(scene, ask.instrument, &frame, steps));
            }
            Err(trouble) => self.snapshot_failed(now, ask, trouble, effects),
        }
    }

    fn snapshot_failed(&mut self, now: Now, ask: Ask, trouble: SnapshotTrouble, effects: &mut Vec<Effect>) {
        let Some(at) = self.find(ask.conn) else { return };
        self.with_session(now, at, effects, |session, scene, steps| session.snapshot_failed(scene, ask.instrument, trouble, steps));
    }

    fn timeout(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(id) = self.outlets.take_due(now.mono) {
            self.book_changed(now, id, effects);
        }
        while let Some(ask) = self.fetches.overdue(now.mono) {
            self.snapshot_failed(now, ask, SnapshotTrouble::Timeout, effects);
        }
        for place in 0..self.slots.len() {
            for role in [slot::Role::Active, slot::Role::Standby] {
                self.with_session(now, (place, role), effects, Session::handle_timeout);
            }
            self.connect_if_due(now, place, effects);
            if self.slots.get(place).is_some_and(Slot::owes_replacement) {
                self.replace(now, (place, slot::Role::Active), Reason::ServerShutdown, effects);
            }
        }
    }

    /// What any input may have made possible: snapshots to fetch, replacements to take over.
    fn pump(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let weight = self.weight();
        while let Some((fetch, ask)) = self.fetches.next(now.mono, weight) {
            let raw = self.catalog.get(ask.instrument).map_or("", |instrument| &*instrument.raw);
            let path = (self.dialect.snapshots.path)(raw, self.config.tuning.snapshot_limit);
            effects.push(Effect::Fetch { fetch, url: format!("{}{path}", self.config.rest_url.trim_end_matches('/')) });
        }
        for place in 0..self.slots.len() {
            if self.slots.get(place).is_some_and(|slot| slot.may_take_over(now.mono)) {
                self.take_over(now, place, effects);
            }
        }
    }

    /// A book changed: it leaves now, or waits for its time.
    fn book_changed(&mut self, now: Now, id: InstrumentId, effects: &mut Vec<Effect>) {
        let previewed = self.outlets.has_previews(id);
        let Some((sequence, touch)) = self.book(id).map(|view| (view.stamp.sequence, if previewed { Touch::of(&view) } else { None })) else {
            return self.outlets.touch(id, None);
        };
        if previewed {
            self.outlets.touch(id, touch);
        }
        self.outlets.changed(now.mono, id, sequence, effects);
    }

    /// A second has ended: its previews leave.
    fn close_second(&mut self, second: (i64, i64), effects: &mut Vec<Effect>) {
        let Self { catalog, slots, per_slot, config, outlets, .. } = self;
        for id in slots.iter().flat_map(Slot::ids) {
            if outlets.has_previews(id) {
                let view = book_of((catalog, slots, *per_slot, config.depth), id);
                outlets.close(id, second, view.as_ref(), effects);
            }
        }
    }

    /// A book effect names a state to be read after this call, so each book is named once, and only if it is still publishable then.
    fn settle_books(&self, start: usize, effects: &mut Vec<Effect>) {
        let mut at = start;
        while let Some(effect) = effects.get(at) {
            let keep = match effect {
                Effect::Book { instrument } | Effect::Delta { instrument } => {
                    self.book(*instrument).is_some() && !effects.iter().skip(at + 1).any(|later| later == effect)
                }
                _ => true,
            };
            if keep {
                at += 1;
            } else {
                effects.remove(at);
            }
        }
    }

    fn weight(&self) -> u32 {
        (self.dialect.snapshots.weight)(self.config.tuning.snapshot_limit)
    }

    fn slot_of(&self, id: InstrumentId) -> Option<&Slot> {
        self.slots.get(id.index() / self.per_slot)
    }

    fn keep_malformed(&mut self, now: Now, text: &str) {
        if self.malformed.len() >= MALFORMED_KEPT {
            self.malformed.pop_front();
        }
        let end = (0..=MALFORMED_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.malformed.push_back(KeptFrame { received_ms: now.wall_ms, bytes: text.len(), text: text.get(..end).unwrap_or("").to_owned() });
    }
}

/// The book of an instrument, if it may be published. Takes the parts of a venue that it reads, so that others can be changed meanwhile.
fn book_of<'a>((catalog, slots, per_slot, depth): (&'a Catalog, &'a [Slot], usize, usize), id: InstrumentId) -> Option<BookView<'a>> {
    let instrument = catalog.get(id)?;
    let sync = &slots.get(id.index() / per_slot)?.active.as_ref()?.session.lane(id)?.sync;
    let publishable = sync.publishable() && !sync.book().has_empty_side();
    let view = BookView { instrument, book: sync.book(), depth, stamp: sync.stamp(), confirmed: sync.confirmed() };
    publishable.then_some(view)
}

/// Names go into subjects (tokens between dots) and JSON strings as they are, so they may hold nothing either would have to escape.
fn check_instruments(kind: VenueKind, instruments: &[Instrument]) -> Result<(), VenueError> {
    let fits = |name: &str| {
        !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\\' | '.' | '*' | '>' | ':'))
    };
    if instruments.is_empty() {
        return Err(VenueError::NoInstruments);
    }
    for instrument in instruments {
        if let Some(name) = [&instrument.raw, &instrument.symbol].into_iter().find(|name| !fits(name)) {
            return Err(VenueError::Name(name.to_string()));
        }
        if instrument.exchange != kind.exchange() || !kind.dialect().carries.contains(&instrument.market_type) {
            return Err(VenueError::Foreign(instrument.symbol.to_string()));
        }
    }
    Ok(())
}
