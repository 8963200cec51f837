//! A venue's core, told again what it was told: the same effects, the same records, through the same outlets as live.
//!
//! Owns: what stands for the network (recorded ids are matched with the core's), the counts. Must not know: files, what a recording looks like.

mod answers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clock::Now;
use futures_util::future::LocalBoxFuture;
use marketdata::{
    AllowanceFigures, Allowances, ConnId, Effect, EventKind, FetchId, Input, Instrument, InstrumentId, Pressure, RecordKind, Response,
    SnapshotTrouble, Venue, VenueKind,
};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::capture::{Line, What};
use super::network::{Cause, ConnectError, Connector, Hop, Link, Network, Reply, Rest, RestFailure};
use super::outlets::Outlets;
use super::publisher::Publisher;
use super::recipe::{Item, Recipe};
use super::venue_metrics::VenueMetrics;
use crate::clocks::Clock;
use crate::config::{self, Config, Environment, VenueConfig};
use crate::gather::{Gather, Haste};
use crate::metrics::Registry;
use crate::sink::{Record, Refusal, Sink};
use crate::state::State;

/// A core that is run again.
pub(crate) struct Rerun {
    venue: Venue,
    outlets: Outlets,
    config: VenueConfig,
    metrics: VenueMetrics,
    clock: Arc<Recorded>,
    records: Records,
    /// What the core has asked for and not been given.
    asked: Asked,
    effects: Vec<Effect>,
    pub(crate) tally: Tally,
}

/// What a run brought.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records by kind, in the order of [`RecordKind::ALL`].
    pub(crate) records: [u64; RecordKind::ALL.len()],
    /// Events of the core, by word and reason.
    pub(crate) events: BTreeMap<(&'static str, &'static str), u64>,
    /// Trades that were missing.
    pub(crate) trades_missing: u64,
    /// Recorded input that the core did not ask for.
    pub(crate) unmatched: u64,
    /// Lines the capture had lost.
    pub(crate) lost: u64,
}

#[derive(Default)]
struct Asked {
    connects: Vec<ConnId>,
    fetches: Vec<(FetchId, String)>,
    /// The core's connection for a recorded one.
    conns: BTreeMap<u64, ConnId>,
    /// URLs of recorded requests.
    urls: BTreeMap<u64, String>,
    /// Frames it sent and that want an answer, where nobody recorded one.
    sent: Vec<(ConnId, String)>,
}

/// Shows the time of the recorded input.
#[derive(Debug)]
struct Recorded(Mutex<Now>);

/// A sink that keeps what it is offered until it is taken.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<(Vec<u8>, [u64; RecordKind::ALL.len()])>>);

/// A network that leads nowhere: a core that is run again is answered from its recording.
struct Nowhere;

// === impl Rerun ===

impl Rerun {
    /// A core made as it was.
    ///
    /// # Errors
    /// In words, when it cannot be.
    pub(crate) fn new(recipe: &Recipe) -> Result<Self, String> {
        let kind = recipe.venue_kind().ok_or_else(|| format!("`{}` is not a venue", recipe.kind))?;
        let (core, instruments) = recipe.made(kind);
        Self::of(core, instruments, recipe.symbols.clone())
    }

    /// A core of these instruments; `symbols` are all that were wanted.
    ///
    /// # Errors
    /// In words, when it cannot be.
    pub(crate) fn of(core: marketdata::VenueConfig, instruments: Vec<Instrument>, symbols: Vec<String>) -> Result<Self, String> {
        let config = shell_config(core.kind, &core, symbols)?;
        let clock = Arc::new(Recorded(Mutex::default()));
        let state = State::new(&config, Arc::clone(&clock) as Arc<dyn Clock>);
        let (registry, records) = (Arc::new(Registry::new()), Records::default());
        let publisher = Rc::new(RefCell::new(Publisher::new(vec![Box::new(records.clone())])));
        let network = Network { connector: Rc::new(Nowhere), rest: Rc::new(Nowhere) };
        let config = config.venues.into_iter().next().ok_or("no venue")?;
        let metrics = VenueMetrics::new(&config, &registry);
        let gather = Arc::new(Gather::new("data", (Duration::ZERO, Haste::Little), &registry));
        let shared = Shared { state, registry, network, publisher, gather, allowances: Allowances::default(), stop: CancellationToken::new() };
        let outlets = Outlets::new(shared, &config, &instruments);
        let venue = Venue::new(core, instruments).map_err(|error| error.to_string())?;
        Ok(Self { venue, outlets, config, metrics, clock, records, asked: Asked::default(), effects: Vec::new(), tally: Tally::default() })
    }

    /// Takes a recorded line.
    pub(crate) fn line(&mut self, line: &Line<'_>) {
        let (now, number) = (line.now(), line.number.unwrap_or(0));
        let text = line.text.as_deref().unwrap_or_default();
        match line.what {
            What::Timeout => self.input(now, Input::Timeout),
            What::Connected => match self.connected(number) {
                Some(conn) => self.input(now, Input::Connected { conn }),
                None => self.tally.unmatched += 1,
            },
            What::Frame | What::Activity | What::Closed => {
                let Some(conn) = self.conn(now, number, line.what) else {
                    self.tally.unmatched += 1;
                    return;
                };
                match line.what {
                    What::Frame => self.input(now, Input::Frame { conn, text }),
                    What::Activity => self.input(now, Input::Activity { conn }),
                    _ => self.input(now, Input::Closed { conn }),
                }
            }
            What::Fetched | What::FetchFailed => {
                let Some(fetch) = self.asked.fetch(number) else {
                    self.tally.unmatched += 1;
                    return;
                };
                match line.answer {
                    Some((status, retry_after, used_weight)) => {
                        let retry_after = retry_after.map(std::time::Duration::from_secs);
                        self.input(now, Input::Fetched { fetch, response: Response { status, retry_after, used_weight, body: text } });
                    }
                    None => self.fetch_failed(now, fetch, text),
                }
            }
            What::Adopt => {
                if let Ok(item) = serde_json::from_str::<Item>(text) {
                    self.adopt(now, &item);
                }
            }
            What::Retire => {
                let id = InstrumentId(u16::try_from(number).unwrap_or(u16::MAX));
                self.effects_of(now, |venue, effects| venue.retire(now, id, effects));
                self.outlets.retired(id);
            }
            What::Pressure => {
                if let Some(pressure) = Pressure::ALL.into_iter().find(|pressure| pressure.as_str() == text) {
                    self.effects_of(now, |venue, effects| venue.set_pressure(now, pressure, effects));
                }
            }
            What::Allowance => {
                if let Ok(figures) = serde_json::from_str(text) {
                    self.venue.set_allowance(AllowanceFigures(figures));
                }
            }
            What::Fetch => {
                self.asked.urls.insert(number, text.to_owned());
            }
            What::Lost => self.tally.lost += number,
            What::Venue | What::Connect | What::Send | What::Close => {}
        }
    }

    /// Time has come to `now` where no recording says when the core was told.
    pub(crate) fn time(&mut self, now: Now) {
        while self.venue.next_timeout().is_some_and(|at| at <= now.mono) {
            self.input(now, Input::Timeout);
            self.answer(now);
        }
    }

    /// Takes a frame of a recording that has only frames.
    pub(crate) fn frame(&mut self, now: Now, text: &str) {
        self.time(now);
        match self.asked.conns.get(&0) {
            Some(conn) => self.input(now, Input::Frame { conn: *conn, text }),
            None => self.tally.unmatched += 1,
        }
        self.answer(now);
    }

    /// Takes a snapshot of a recording that has only frames; whether the core wanted one.
    pub(crate) fn snapshot(&mut self, now: Now, body: &str) -> bool {
        self.time(now);
        let Some((fetch, _)) = self.asked.fetches.pop() else { return false };
        self.input(now, Input::Fetched { fetch, response: Response { status: 200, retry_after: None, used_weight: None, body } });
        true
    }

    /// The lines of the records made since the last call.
    pub(crate) fn take_records(&mut self) -> Vec<u8> {
        let mut kept = self.records.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.tally.records = kept.1;
        std::mem::take(&mut kept.0)
    }

    /// The core.
    pub(crate) fn venue(&self) -> &Venue {
        &self.venue
    }

    fn input(&mut self, now: Now, input: Input<'_>) {
        self.effects_of(now, |venue, effects| venue.handle(now, input, effects));
    }

    fn adopt(&mut self, now: Now, item: &Item) {
        let kind = self.venue.config().kind;
        let instrument = item.instrument((kind.exchange(), kind.market_type()));
        let symbol = instrument.symbol.clone();
        let mut adopted = None;
        self.effects_of(now, |venue, effects| adopted = venue.adopt(now, instrument, effects).ok());
        if let Some(id) = adopted {
            self.outlets.put(id, &self.config, &symbol);
        }
    }

    fn fetch_failed(&mut self, now: Now, fetch: FetchId, why: &str) {
        let trouble = if why == SnapshotTrouble::Timeout.as_str() { SnapshotTrouble::Timeout } else { SnapshotTrouble::Network };
        self.input(now, Input::FetchFailed { fetch, trouble });
    }

    fn effects_of(&mut self, now: Now, act: impl FnOnce(&mut Venue, &mut Vec<Effect>)) {
        *self.clock.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        let mut effects = std::mem::take(&mut self.effects);
        act(&mut self.venue, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(now, effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, now: Now, effect: Effect) {
        self.outlets.carry_out(now, (&mut self.venue, &self.metrics), &effect);
        match effect {
            Effect::Book { .. } | Effect::Delta { .. } | Effect::Preview { .. } | Effect::Trade(_) => {}
            Effect::Event(event) => {
                *self.tally.events.entry((event.kind.as_str(), event.kind.reason())).or_default() += 1;
                if let EventKind::TradeGap { from, to } = event.kind {
                    self.tally.trades_missing += to.saturating_sub(from).saturating_add(1);
                }
            }
            Effect::Connect { conn, .. } => self.asked.connects.push(conn),
            Effect::Fetch { fetch, url } => self.asked.fetches.push((fetch, url)),
            Effect::Send { conn, text } => self.asked.sent.push((conn, text)),
            Effect::Close { conn, .. } => self.asked.connects.retain(|known| *known != conn),
        }
    }

    /// The core's connection for a recorded one that opens: the same, where the core does as it did; else the next it asked for.
    fn connected(&mut self, recorded: u64) -> Option<ConnId> {
        let same = self.asked.connects.iter().position(|conn| u64::from(conn.0) == recorded);
        let place = same.or((!self.asked.connects.is_empty()).then_some(0))?;
        let conn = self.asked.connects.remove(place);
        self.asked.conns.insert(recorded, conn);
        self.asked.sent.clear();
        Some(conn)
    }

    /// The core's connection for a recorded one that is open, or that never opened. One whose opening is not in the recording opens now.
    fn conn(&mut self, now: Now, recorded: u64, what: What) -> Option<ConnId> {
        if let Some(conn) = self.asked.conns.get(&recorded) {
            return Some(*conn);
        }
        let conn = self.connected(recorded)?;
        if what != What::Closed {
            self.input(now, Input::Connected { conn });
        }
        Some(conn)
    }

    /// Gives the core what a recording of frames alone does not have: connections, and answers to its requests.
    fn answer(&mut self, now: Now) {
        while let Some(conn) = self.asked.connects.pop() {
            self.asked.conns.insert(0, conn);
            self.input(now, Input::Connected { conn });
        }
        for (conn, text) in std::mem::take(&mut self.asked.sent) {
            for answer in answers::to(&text) {
                self.input(now, Input::Frame { conn, text: &answer });
            }
        }
    }

    /// Each instrument with the state of its book.
    pub(crate) fn states(&self) -> Vec<(String, &'static str)> {
        let instruments = (0_u16..).map(InstrumentId).zip(self.venue.instruments());
        let state = |id| self.venue.status(id).map_or("unknown", |status| status.state.as_str());
        let name = |of: &Instrument| format!("{}.{}.{}", of.exchange.as_str(), of.market_type.as_str(), of.symbol);
        instruments.map(|(id, instrument)| (name(instrument), state(id))).collect()
    }
}

// === impl Asked ===

impl Asked {
    /// The core's request for a recorded one: the same, or one for the same URL.
    fn fetch(&mut self, recorded: u64) -> Option<FetchId> {
        let url = self.urls.remove(&recorded);
        let same = self.fetches.iter().position(|(fetch, _)| fetch.0 == recorded);
        let place = same.or_else(|| self.fetches.iter().position(|(_, asked)| Some(asked) == url.as_ref()))?;
        Some(self.fetches.remove(place).0)
    }
}

// === impl Recorded ===

impl Clock for Recorded {
    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Records ===

impl Sink for Records {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.extend_from_slice(&record.payload);
        kept.0.push(b'\n');
        if let Some(count) = kept.1.get_mut(record.kind.index()) {
            *count += 1;
        }
        Ok(())
    }
}

// === impl Nowhere ===

impl Connector for Nowhere {
    fn connect(&self, _url: String) -> LocalBoxFuture<'static, Result<Box<dyn Link>, ConnectError>> {
        Box::pin(std::future::ready(Err(ConnectError::new(Hop::Url, Cause::BadUrl, "a replay does not connect"))))
    }
}

impl Rest for Nowhere {
    fn get(&self, _url: String, _most: usize) -> LocalBoxFuture<'static, Result<Reply, RestFailure>> {
        Box::pin(std::future::ready(Err(RestFailure::Network("a replay does not ask".to_owned()))))
    }
}

/// The shell's configuration of such a venue: what the outlets and the table of streams go by.
fn shell_config(kind: VenueKind, core: &marketdata::VenueConfig, symbols: Vec<String>) -> Result<Config, String> {
    let text = format!("venues: [{{name: {}, market: {}, symbols: [A-B]}}]", kind.exchange().as_str(), kind.market_type().as_str());
    let mut config = config::load("replay", &text, &Environment::default()).config.ok_or("the venue cannot be configured")?;
    let plain = config.venues.pop().ok_or("no venue")?;
    let overrides = core.overrides.iter().map(|(symbol, output)| (symbol.to_string(), *output)).collect();
    let depth = u16::try_from(core.depth).unwrap_or(u16::MAX);
    config.venues = vec![VenueConfig { symbols, depth, output: core.output, overrides, fusion: core.fusion, trades: core.trades, ..plain }];
    Ok(config)
}
