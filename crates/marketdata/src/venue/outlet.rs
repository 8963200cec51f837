//! What leaves, and when: conflation of books and deltas, continuity of trades, previews of every second.
//!
//! Owns: per instrument, the last sequence and trade that left, and the time the next book may. Live, replay and tests conflate by this same code.
//! Must not know: connections, encoding.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use clock::Now;

use crate::book::Book;
use crate::delta::{BookDelta, DeltaChain};
use crate::effect::{Effect, Event, EventKind};
use crate::instrument::{Instrument, InstrumentId};
use crate::kind::RecordKind;
use crate::message::{BookView, Trade};
use crate::preview::ofi::Touch;
use crate::preview::{Bar, Previews, Seconds};
use crate::venue::config::{Priority, Publication, VenueConfig};
use crate::venue::pressure::Pressure;

/// Outlets of all instruments of a venue.
#[derive(Debug)]
pub(super) struct Outlets {
    outlets: Vec<Outlet>,
    /// Books and deltas that wait for their time; each at most once.
    due: BinaryHeap<Reverse<(Duration, InstrumentId, RecordKind)>>,
    /// Where there are previews of every second.
    seconds: Option<Seconds>,
    pressure: Pressure,
}

/// One instrument's.
#[derive(Debug)]
struct Outlet {
    book: Pace,
    delta: Option<Box<DeltaOutlet>>,
    previews: Option<Box<Previews>>,
    /// A trade is large from this worth on, and what tells its worth.
    large_trade: Option<(i128, Instrument)>,
    priority: Priority,
    trade: Option<u64>,
    /// Trades of a replacement connection that the running one has not brought yet.
    held: VecDeque<Trade>,
    counts: TradeCounts,
}

/// How often a kind leaves.
#[derive(Debug)]
struct Pace {
    publication: Publication,
    /// Sequence of the state that left last; `None` after a resync.
    sequence: Option<u64>,
    next_at: Duration,
    waiting: bool,
}

#[derive(Debug)]
struct DeltaOutlet {
    pace: Pace,
    chain: DeltaChain,
}

/// What a change means for a kind.
enum Turn {
    Leaves,
    WaitsUntil(Duration),
    Nothing,
}

/// Trades of one instrument, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradeCounts {
    /// Published.
    pub published: u64,
    /// Came twice and left once.
    pub duplicates: u64,
    /// Holes in the ids.
    pub gaps: u64,
    /// Ids missing in them.
    pub missing: u64,
}

/// Trades held of a replacement connection; over it the oldest go, and the hole is told when it takes over.
const HELD_MOST: usize = 10_000;
/// A trade id this far behind is no duplicate: the venue has restarted its ids.
const RESTART_DISTANCE: u64 = 1_000_000;

// === impl Outlets ===

impl Outlets {
    pub(super) fn new(instruments: &[Instrument], config: &VenueConfig) -> Self {
        let outlets: Vec<Outlet> = instruments.iter().map(|instrument| Outlet::new(instrument, config)).collect();
        let seconds = outlets.iter().any(|outlet| outlet.previews.is_some()).then(Seconds::default);
        Self { due: BinaryHeap::with_capacity(outlets.len() * 2), outlets, seconds, pressure: Pressure::Normal }
    }

    /// One instrument more, or one that comes back as it is listed now.
    pub(super) fn put(&mut self, id: InstrumentId, instrument: &Instrument, config: &VenueConfig) {
        let fresh = Outlet::new(instrument, config);
        if fresh.previews.is_some() {
            self.seconds.get_or_insert_default();
        }
        match self.outlets.get_mut(id.index()) {
            // What left of its trades is still known.
            Some(outlet) => *outlet = Outlet { trade: outlet.trade, counts: outlet.counts, ..fresh },
            None => self.outlets.push(fresh),
        }
    }

    /// A book changed: what leaves now; the rest waits for its time.
    pub(super) fn changed(&mut self, now: Duration, instrument: InstrumentId, sequence: u64, effects: &mut Vec<Effect>) {
        let Some(outlet) = self.outlets.get_mut(instrument.index()) else { return };
        match outlet.book.changed(now, sequence, self.pressure) {
            Turn::Leaves => effects.push(Effect::Book { instrument }),
            Turn::WaitsUntil(at) => self.due.push(Reverse((at, instrument, RecordKind::OrderBook))),
            Turn::Nothing => {}
        }
        let Some(delta) = &mut outlet.delta else { return };
        match delta.pace.changed(now, sequence, self.pressure) {
            Turn::Leaves => effects.push(Effect::Delta { instrument }),
            Turn::WaitsUntil(at) => self.due.push(Reverse((at, instrument, RecordKind::OrderBookDelta))),
            Turn::Nothing => {}
        }
    }

    /// An instrument whose waiting book or delta is due now.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<InstrumentId> {
        let Reverse((at, id, kind)) = *self.due.peek()?;
        if at > now {
            return None;
        }
        self.due.pop();
        if let Some(outlet) = self.outlets.get_mut(id.index()) {
            match (kind, &mut outlet.delta) {
                (RecordKind::OrderBookDelta, Some(delta)) => delta.pace.waiting = false,
                _ => outlet.book.waiting = false,
            }
        }
        Some(id)
    }

    /// The book is no longer exact: the next one that leaves starts anew.
    pub(super) fn invalidated(&mut self, id: InstrumentId) {
        let Some(outlet) = self.outlets.get_mut(id.index()) else { return };
        outlet.book.sequence = None;
        if let Some(delta) = &mut outlet.delta {
            delta.pace.sequence = None;
            delta.chain.break_off();
        }
        self.touch(id, None);
    }

    /// The best levels of the book now; `None`: it is not exact, or a side is empty.
    pub(super) fn touch(&mut self, id: InstrumentId, touch: Option<Touch>) {
        if let Some(previews) = self.outlets.get_mut(id.index()).and_then(|outlet| outlet.previews.as_mut()) {
            previews.touch(touch);
        }
    }

    /// Whether anything is computed of this instrument every second.
    pub(super) fn has_previews(&self, id: InstrumentId) -> bool {
        self.outlets.get(id.index()).is_some_and(|outlet| outlet.previews.is_some())
    }

    /// What consumers of deltas miss of this book; they have it from then on.
    pub(super) fn delta<'a>(&'a mut self, now: Duration, id: InstrumentId, of: (&BookView<'_>, &'a Instrument)) -> Option<BookDelta<'a>> {
        self.outlets.get_mut(id.index())?.delta.as_mut()?.chain.advance(now, of)
    }

    /// Takes what the book has noted for its deltas.
    pub(super) fn read_notes(&mut self, id: InstrumentId, book: &mut Book) {
        if let Some(delta) = self.outlets.get_mut(id.index()).and_then(|outlet| outlet.delta.as_mut()) {
            delta.chain.read(book);
        }
    }

    /// A consumer did not get the last delta.
    pub(super) fn delta_lost(&mut self, id: InstrumentId) {
        if let Some(delta) = self.outlets.get_mut(id.index()).and_then(|outlet| outlet.delta.as_mut()) {
            delta.chain.break_off();
        }
    }

    /// The second that has ended by now, if one has.
    pub(super) fn turn(&mut self, now: Now) -> Option<(i64, i64)> {
        self.seconds.as_mut()?.turn(now)
    }

    /// Ends a second of one instrument.
    pub(super) fn close(&mut self, id: InstrumentId, second: (i64, i64), book: Option<&BookView<'_>>, effects: &mut Vec<Effect>) {
        let Some(previews) = self.outlets.get_mut(id.index()).and_then(|outlet| outlet.previews.as_mut()) else { return };
        previews.close(second, book);
        if self.pressure < Pressure::ShedPreview {
            previews.publish(id, effects);
        }
    }

    /// The second of an instrument that closed last.
    pub(super) fn bar(&self, id: InstrumentId) -> Option<&Bar> {
        self.outlets.get(id.index())?.previews.as_ref().map(|previews| previews.bar())
    }

    pub(super) const fn pressure(&self) -> Pressure {
        self.pressure
    }

    pub(super) const fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// Whether this instrument is one of those that are paused first.
    pub(super) fn is_low(&self, id: InstrumentId) -> bool {
        self.outlets.get(id.index()).is_some_and(|outlet| outlet.priority == Priority::Low)
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let waiting = self.due.peek().map(|Reverse((at, ..))| *at);
        waiting.into_iter().chain(self.seconds.as_ref().map(Seconds::due)).min()
    }

    /// A trade of the running connection.
    pub(super) fn trade(&mut self, trade: Trade, effects: &mut Vec<Effect>) {
        if let Some(outlet) = self.outlets.get_mut(trade.instrument.index()) {
            outlet.trade(trade, effects);
        }
    }

    /// A trade of a replacement connection: kept until the running one has brought it, or is gone.
    pub(super) fn hold(&mut self, trade: Trade) {
        let Some(outlet) = self.outlets.get_mut(trade.instrument.index()) else { return };
        while outlet.held.len() >= HELD_MOST || outlet.held.front().is_some_and(|held| Some(held.id) <= outlet.trade) {
            outlet.held.pop_front();
        }
        outlet.held.push_back(trade);
    }

    /// The replacement took over: what it brought first leaves now.
    pub(super) fn release(&mut self, id: InstrumentId, effects: &mut Vec<Effect>) {
        let Some(outlet) = self.outlets.get_mut(id.index()) else { return };
        for trade in std::mem::take(&mut outlet.held) {
            outlet.trade(trade, effects);
        }
    }

    /// The replacement is gone.
    pub(super) fn drop_held(&mut self, id: InstrumentId) {
        if let Some(outlet) = self.outlets.get_mut(id.index()) {
            outlet.held = VecDeque::new();
        }
    }

    pub(super) fn trade_counts(&self, id: InstrumentId) -> TradeCounts {
        self.outlets.get(id.index()).map_or_else(TradeCounts::default, |outlet| outlet.counts)
    }

    /// Books and deltas waiting for their time, trades held.
    pub(super) fn gauges(&self) -> (usize, usize) {
        (self.due.len(), self.outlets.iter().map(|outlet| outlet.held.len()).sum())
    }
}

// === impl Pace ===

impl Pace {
    const fn new(publication: Publication) -> Self {
        Self { publication, sequence: None, next_at: Duration::ZERO, waiting: false }
    }

    fn changed(&mut self, now: Duration, sequence: u64, pressure: Pressure) -> Turn {
        if self.waiting || self.sequence.is_some_and(|last| sequence <= last) {
            return Turn::Nothing;
        }
        if let Some(interval) = pressure.interval(self.publication) {
            if now < self.next_at {
                self.waiting = true;
                return Turn::WaitsUntil(self.next_at);
            }
            self.next_at = now.saturating_add(interval);
        }
        self.sequence = Some(sequence);
        Turn::Leaves
    }
}

// === impl Outlet ===

impl Outlet {
    fn new(instrument: &Instrument, config: &VenueConfig) -> Self {
        let output = config.output_of(&instrument.symbol);
        let unit = 10i128.pow(u32::from(instrument.worth_digits()));
        Self {
            book: Pace::new(output.book),
            delta: output.delta.map(|publication| Box::new(DeltaOutlet { pace: Pace::new(publication), chain: DeltaChain::new(publication) })),
            previews: Previews::new(output.previews, config.fusion).map(Box::new),
            // What does not fit is more than any trade can be worth.
            large_trade: output.large_trade.map(|worth| (i128::from(worth).saturating_mul(unit), instrument.clone())),
            priority: output.priority,
            trade: None,
            held: VecDeque::new(),
            counts: TradeCounts::default(),
        }
    }

    fn trade(&mut self, trade: Trade, effects: &mut Vec<Effect>) {
        let mut missing = 0;
        match self.trade {
            Some(last) if trade.id <= last && last - trade.id < RESTART_DISTANCE => {
                self.counts.duplicates += 1;
                return;
            }
            Some(last) if trade.id > last && trade.id - last > u64::from(trade.covers) => {
                let (from, to) = (last + 1, trade.id - u64::from(trade.covers));
                missing = to - last;
                self.counts.gaps += 1;
                self.counts.missing = self.counts.missing.saturating_add(missing);
                effects.push(Event::of(trade.instrument, EventKind::TradeGap { from, to }));
            }
            _ => {}
        }
        self.trade = Some(trade.id);
        // Futures announce insurance-fund and delivery bookings as trades of nothing; they use up an id.
        if trade.quantity.0 == 0 {
            return;
        }
        self.counts.published += 1;
        effects.push(Effect::Trade(trade));
        if let Some(previews) = &mut self.previews {
            previews.trade(&trade, missing);
        }
        if self.large_trade.as_ref().is_some_and(|(least, instrument)| instrument.worth(trade.price, trade.quantity) >= *least) {
            effects.push(Event::of(trade.instrument, EventKind::LargeTrade(trade)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Side;
    use crate::instrument::Unit;
    use crate::instrument::tests::named;
    use crate::price::{Price, Quantity, Scale};
    use crate::venue::config::{Output, VenueKind};

    /// Whether a trade of this quantity at 2.00 is told as large.
    fn told(unit: Unit, quantity: &str, least: u64) -> bool {
        let (price, scale) = (Scale::new(2), Scale::new(4));
        let instrument = Instrument { price, quantity: scale, unit, ..named("AB") };
        let mut config = VenueConfig::new(VenueKind::BinanceSpot);
        config.output = Output { large_trade: Some(least), ..Output::DEFAULT };
        let mut outlet = Outlet::new(&instrument, &config);
        let trade = Trade {
            instrument: InstrumentId(0),
            id: 1,
            name: crate::message::TradeName::NONE,
            covers: 1,
            price: Price(price.parse("2.00").unwrap()),
            quantity: Quantity(scale.parse(quantity).unwrap()),
            taker: Side::Bid,
            trade_ts_ms: 0,
            event_ts_ms: 0,
            received_ms: 0,
        };
        let mut effects = Vec::new();
        outlet.trade(trade, &mut effects);
        assert_eq!(effects[0], Effect::Trade(trade));
        effects.len() == 2
    }

    #[test]
    fn a_trade_is_large_by_its_worth_in_the_quote_currency() {
        let rows = [
            (Unit::Base, "500", 1_000, true),
            (Unit::Base, "499.9999", 1_000, false),
            (Unit::Quote, "1000", 1_000, true),
            (Unit::Quote, "999.9999", 1_000, false),
            (Unit::Base, "500", u64::MAX, false),
        ];
        for (unit, quantity, least, large) in rows {
            assert_eq!(told(unit, quantity, least), large, "{quantity} {} at 2.00 from {least} on", unit.as_str());
        }
    }
}
