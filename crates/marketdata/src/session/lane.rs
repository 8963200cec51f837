//! One instrument on one connection: its book and its streams.
//!
//! Owns: the pair of book and stream health, reading levels at the instrument's scales. Must not know: frames, other instruments.

use std::time::Duration;

use crate::book::Level;
use crate::effect::{Event, EventKind, StreamKind};
use crate::feed::{Action, Malformed, Rows};
use crate::instrument::{Instrument, InstrumentId};
use crate::price::{NumberError, Price, Quantity};
use crate::session::health::{Remedy, StreamHealth};
use crate::session::{Scene, Step};
use crate::sync::{BookSync, SyncState};

/// One instrument on one connection.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) id: InstrumentId,
    pub(crate) sync: BookSync,
    book: StreamHealth,
    trade: Option<StreamHealth>,
    empty_side: bool,
    /// The book is built anew because it was crossed.
    pub(crate) crossed: bool,
    /// Not followed for a while: unsubscribed, and what comes of it all the same is passed over.
    pub(crate) paused: bool,
    /// No longer collected; it keeps its place.
    retired: bool,
}

/// Why the rows of a message could not become levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LevelError {
    Malformed(Malformed),
    Number(NumberError),
}

// === impl Lane ===

impl Lane {
    pub(crate) fn new(id: InstrumentId, sync: BookSync) -> Self {
        let book = StreamHealth::new(StreamKind::Book);
        Self { id, sync, book, trade: None, empty_side: false, crossed: false, paused: false, retired: false }
    }

    /// Also carries trades.
    #[must_use]
    pub(crate) fn with_trades(mut self) -> Self {
        self.trade = Some(StreamHealth::new(StreamKind::Trade));
        self
    }

    /// Keeps its place and does nothing.
    #[must_use]
    pub(crate) fn retired(self) -> Self {
        Self { trade: None, retired: true, ..self }
    }

    pub(crate) const fn is_retired(&self) -> bool {
        self.retired
    }

    pub(crate) const fn health(&self, kind: StreamKind) -> Option<&StreamHealth> {
        match kind {
            StreamKind::Book => Some(&self.book),
            StreamKind::Trade => self.trade.as_ref(),
        }
    }

    const fn health_mut(&mut self, kind: StreamKind) -> Option<&mut StreamHealth> {
        match kind {
            StreamKind::Book => Some(&mut self.book),
            StreamKind::Trade => self.trade.as_mut(),
        }
    }

    /// Its streams, to be subscribed.
    pub(super) fn streams(&self) -> impl Iterator<Item = (InstrumentId, StreamKind)> + '_ {
        let carried = |kind: &StreamKind| !self.retired && !self.paused && self.health(*kind).is_some();
        StreamKind::ALL.into_iter().filter(carried).map(|kind| (self.id, kind))
    }

    /// May take over: its book is exact, or never going to be on this connection, and no trade can fall between this connection and an older one.
    pub(super) fn ready(&self, now: Duration) -> bool {
        let trades = self.trade.as_ref().is_none_or(|trade| trade.overlaps(now));
        self.retired || self.paused || trades && (self.sync.state() == SyncState::Synced || self.book.is_refused())
    }

    /// The venue accepted the subscription.
    pub(super) fn subscribed(&mut self, scene: &Scene<'_>, kind: StreamKind) {
        let now = scene.now.mono;
        if let Some(health) = self.health_mut(kind) {
            health.subscribed(now);
        }
        if kind == StreamKind::Book && !self.paused {
            self.sync.begin(now);
        }
    }

    /// The venue refused the subscription.
    pub(super) fn refused(&mut self, now: Duration, kind: StreamKind, steps: &mut Vec<Step>) {
        if let Some(health) = self.health_mut(kind) {
            health.refuse(now);
            steps.push(self.event(EventKind::Refused(kind)));
        }
    }

    /// Data came.
    pub(super) fn heard(&mut self, scene: &Scene<'_>, kind: StreamKind, steps: &mut Vec<Step>) {
        let told = self.health_mut(kind).and_then(|health| health.heard(scene.now.mono));
        steps.extend(told.map(|kind| self.event(kind)));
    }

    /// Takes over from a lane of an older connection: what is silent stays told until it speaks. Streams that speak here and were silent there are
    /// returned: the replacement helped.
    pub(crate) fn inherit(&mut self, old: &Lane) -> impl Iterator<Item = StreamKind> + use<> {
        let helped = StreamKind::ALL.map(|kind| {
            let silent = old.health(kind).is_some_and(StreamHealth::is_silent);
            let health = self.health_mut(kind).filter(|_| silent)?;
            health.inherit_silence().then_some(kind)
        });
        self.sync.raise_floor(old.sync.floor());
        self.empty_side = old.empty_side;
        helped.into_iter().flatten()
    }

    /// Time has passed: says what has become silent. Wishes are taken by the session.
    pub(super) fn look(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) -> [Option<Remedy>; StreamKind::ALL.len()] {
        let now = scene.now.mono;
        if self.retired || self.paused {
            return [None; StreamKind::ALL.len()];
        }
        self.refresh_if_shallow(now, steps);
        StreamKind::ALL.map(|kind| {
            let bounds = match kind {
                StreamKind::Book => scene.tuning.book_silence,
                StreamKind::Trade => scene.tuning.trade_silence,
            };
            let told = self.health_mut(kind).and_then(|health| health.look(now, bounds));
            steps.extend(told.map(|kind| self.event(kind)));
            let remedy = self.health_mut(kind).and_then(|health| health.remedy(now, bounds));
            if remedy == Some(Remedy::Renew) {
                steps.push(self.event(EventKind::Renewed(kind)));
            }
            remedy
        })
    }

    /// Asks for a deeper snapshot when few levels are left that the venue vouched for.
    pub(super) fn refresh_if_shallow(&mut self, now: Duration, steps: &mut Vec<Step>) {
        if self.sync.refresh_if_shallow(now) {
            steps.push(self.event(EventKind::Refresh));
        }
    }

    /// Says once that a side has become empty.
    pub(super) fn tell_empty_side(&mut self, steps: &mut Vec<Step>) {
        if self.side_ran_empty() {
            steps.push(self.event(EventKind::EmptySide));
        }
    }

    /// Whether a side is empty that was not when this was last asked.
    pub(crate) fn side_ran_empty(&mut self) -> bool {
        let before = self.empty_side;
        self.empty_side = self.sync.state() == SyncState::Synced && self.sync.book().has_empty_side();
        self.empty_side && !before
    }

    const fn event(&self, kind: EventKind) -> Step {
        Step::Event(Event { instrument: Some(self.id), kind })
    }
}

impl From<Malformed> for LevelError {
    fn from(error: Malformed) -> Self {
        LevelError::Malformed(error)
    }
}

impl From<NumberError> for LevelError {
    fn from(error: NumberError) -> Self {
        LevelError::Number(error)
    }
}

/// Appends the rows as levels at the instrument's scales; `each` is told what every row says it does.
pub(super) fn read_levels(
    rows: Rows<'_>,
    instrument: &Instrument,
    out: &mut Vec<Level>,
    mut each: impl FnMut(Action, Price),
) -> Result<(), LevelError> {
    let (from, (sizes, unit)) = (out.len(), instrument.sizes());
    let plain = rows.each_plain((instrument.price, sizes), |price, size| {
        let level = Level { price: Price(price), quantity: Quantity(size.checked_mul(unit)?) };
        out.push(level);
        each(Action::Set, level.price);
        Some(())
    });
    if plain.is_some() {
        return Ok(());
    }
    out.truncate(from);
    rows.each(|action, price, quantity| {
        let level = Level { price: Price(instrument.price.parse(price)?), quantity: instrument.parse_quantity(quantity)? };
        out.push(level);
        each(action, level.price);
        Ok(())
    })
}
