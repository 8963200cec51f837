//! A model venue on a virtual clock: connections, subscriptions, REST, and the faults of all of them. Everything published is checked against the truth.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use clock::Now;
use marketdata::{
    BufferBounds, ConnId, DepthBounds, Effect, Event, EventKind, FetchId, Input, Instrument, InstrumentId, Pressure, Publication, RecordKind,
    RecordKinds, Response, Scale, Side, SilenceBounds, SnapshotTrouble, StreamKind, Venue, VenueConfig, VenueKind,
};

use crate::follower::Follower;
use crate::market::{Dice, Market, Whole};
use crate::wire::{Key, Request, Wire};

/// Chances in 1,000, of every frame or request, while faults are on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) drop: u64,
    pub(crate) duplicate: u64,
    pub(crate) reorder: u64,
    pub(crate) malformed: u64,
    pub(crate) garbled_levels: u64,
    pub(crate) reset: u64,
    pub(crate) half_open: u64,
    pub(crate) mute_stream: u64,
    pub(crate) shutdown: u64,
    pub(crate) refuse_connect: u64,
    pub(crate) stale_snapshot: u64,
    pub(crate) slow_snapshot: u64,
    pub(crate) rest_error: u64,
    pub(crate) rest_limited: u64,
    pub(crate) rest_silence: u64,
    pub(crate) malformed_snapshot: u64,
    /// The venue counts its updates anew (OKX).
    pub(crate) restart: u64,
    /// A subscription brings no snapshot (OKX may end them).
    pub(crate) no_snapshot: u64,
}

enum Delivery {
    Connected,
    Frame(String),
    Activity,
    Closed,
    Answer(FetchId, u16, Option<Duration>, String),
    NoAnswer(FetchId),
}

#[derive(Default)]
struct Conn {
    open: bool,
    half_open: bool,
    streams: BTreeSet<Key>,
    muted: BTreeSet<Key>,
    /// Frames held back to arrive after the next one of their stream.
    late: BTreeMap<Key, String>,
    /// Challenges not answered.
    challenges: u32,
}

pub(crate) struct Simulation {
    pub(crate) venue: Venue,
    pub(crate) markets: Vec<Market>,
    pub(crate) faults: Faults,
    pub(crate) dice: Dice,
    /// Every event, in order.
    pub(crate) events: Vec<(Option<InstrumentId>, EventKind)>,
    /// Books published, trades published.
    pub(crate) published: (u64, u64),
    /// A consumer of each instrument's records.
    pub(crate) followers: Vec<Follower>,
    last_book: BTreeMap<InstrumentId, u64>,
    last_trade: BTreeMap<InstrumentId, u64>,
    conns: BTreeMap<ConnId, Conn>,
    wire: BinaryHeap<Reverse<(u64, u64)>>,
    deliveries: BTreeMap<u64, (ConnId, Delivery)>,
    now_ms: u64,
    timeouts: u64,
    /// Requests for snapshots so far.
    pub(crate) fetches: u64,
    /// Markets stand still.
    pub(crate) frozen: bool,
    pub(crate) wire_form: Wire,
    /// Subscribing a mute stream anew gives it its voice back.
    pub(crate) renewal_helps: bool,
    /// Streams subscribed and unsubscribed so far.
    pub(crate) requests: (u64, u64),
    swallow: Option<InstrumentId>,
    refused: Option<Key>,
    /// An old snapshot of each market, to be served as a stale one.
    old_snapshots: Vec<String>,
}

pub(crate) const DEPTH: usize = 10;
pub(crate) const LIMIT: usize = 30;
const TURN_MS: u64 = 200;

/// Bounds small enough that a minute reaches them all.
pub(crate) fn config(kind: VenueKind) -> VenueConfig {
    let mut config = VenueConfig::new(kind);
    config.depth = DEPTH;
    config.output.book = Publication::EveryUpdate;
    config.output.delta = Some(Publication::EveryUpdate);
    config.output.previews = RecordKind::PREVIEWS.into_iter().fold(RecordKinds::NONE, RecordKinds::with);
    let tuning = &mut config.tuning;
    tuning.snapshot_limit = LIMIT;
    tuning.levels = DepthBounds { most: 45, kept: 30 };
    tuning.buffer = BufferBounds { deltas: 60, levels: 2_000 };
    tuning.refresh_every = Duration::from_secs(2);
    tuning.book_silence = SilenceBounds { first_data: Duration::from_secs(5), stale_after: Duration::from_secs(10) };
    tuning.trade_silence = SilenceBounds { first_data: Duration::from_secs(20), stale_after: Duration::from_secs(20) };
    tuning.idle = Duration::from_secs(30);
    tuning.hand_over_timeout = Duration::from_secs(8);
    tuning.fetch_timeout = Duration::from_secs(8);
    tuning.snapshot_backoff.1 = Duration::from_secs(4);
    tuning.connect_backoff.1 = Duration::from_secs(4);
    tuning.replace_backoff = (Duration::from_secs(4), Duration::from_secs(16));
    tuning.connects_per_5_minutes = 1_000;
    config
}

impl Simulation {
    pub(crate) fn new(config: VenueConfig, seed: u64) -> Self {
        let kind = config.kind;
        let sees_part = config.output.book != Publication::EveryUpdate;
        let mut dice = Dice(seed);
        let wire_form = Wire(kind);
        let venue = Venue::new(config, (0..3).map(|place| instrument(wire_form, place)).collect()).unwrap();
        let mut markets: Vec<Market> = (0..3).map(|_| Market::new(kind, &mut dice)).collect();
        let old_snapshots = markets.iter_mut().map(|market| wire_form.rest_snapshot(&market.snapshot(LIMIT), 0)).collect();
        Self {
            venue,
            markets,
            faults: Faults::default(),
            dice,
            events: Vec::new(),
            published: (0, 0),
            followers: (0..3).map(|_| Follower::seeing_part(sees_part)).collect(),
            last_book: BTreeMap::new(),
            last_trade: BTreeMap::new(),
            conns: BTreeMap::new(),
            wire: BinaryHeap::new(),
            deliveries: BTreeMap::new(),
            now_ms: 0,
            timeouts: 0,
            fetches: 0,
            frozen: false,
            wire_form,
            renewal_helps: false,
            requests: (0, 0),
            swallow: None,
            refused: None,
            old_snapshots,
        }
    }

    fn now(&self) -> Now {
        Now::new(Duration::from_millis(self.now_ms), 1_700_000_000_000 + i64::try_from(self.now_ms).unwrap())
    }

    /// Runs the clock for so long; markets move every [`TURN_MS`].
    pub(crate) fn run(&mut self, seconds: u64) {
        let end = self.now_ms + seconds * 1_000;
        while self.now_ms < end {
            let tick = (self.now_ms / TURN_MS + 1) * TURN_MS;
            loop {
                let timeout = self.venue.next_timeout().map_or(u64::MAX, |at| u64::try_from(at.as_nanos().div_ceil(1_000_000)).unwrap());
                let delivery = self.wire.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
                let next = timeout.min(delivery);
                if next > tick {
                    break;
                }
                self.now_ms = self.now_ms.max(next);
                if delivery <= timeout { self.deliver() } else { self.timeout() }
            }
            self.now_ms = tick;
            if !self.frozen {
                self.turn();
            }
            self.ping();
        }
    }

    fn timeout(&mut self) {
        self.timeouts += 1;
        assert!(self.timeouts < 100 + self.now_ms, "more than a timeout a millisecond: the core spins");
        self.input(Input::Timeout);
    }

    fn turn(&mut self) {
        for place in 0..self.markets.len() {
            let wall = self.now().wall_ms;
            let Self { markets, dice, faults, wire_form, .. } = self;
            let market = &mut markets[place];
            market.turn(dice);
            let mut frames = Vec::new();
            let chained = wire_form.nothing_new(place, 0, 0).is_some();
            if chained && dice.chance(faults.restart) {
                market.restart();
            }
            if !dice.chance(100) {
                match market.delta() {
                    Some(change) => frames.push((StreamKind::Book, wire_form.delta(place, &change, wall))),
                    None => frames.extend(wire_form.nothing_new(place, market.told(), wall).map(|text| (StreamKind::Book, text))),
                }
            }
            if dice.chance(200) {
                let deal = market.trade(dice);
                frames.push((StreamKind::Trade, wire_form.trade(place, &deal, wall)));
            }
            for (kind, text) in frames {
                if kind == StreamKind::Book && self.swallow == Some(InstrumentId(u16::try_from(place).unwrap())) && text.contains("[[") {
                    self.swallow = None;
                    continue;
                }
                self.broadcast((place, kind), &text);
            }
        }
    }

    /// Signs of life: Binance's pings, Deribit's challenges; OKX leaves it to us.
    fn ping(&mut self) {
        if !self.now_ms.is_multiple_of(20_000) {
            return;
        }
        let alive: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| conn.open && !conn.half_open).map(|(id, _)| *id).collect();
        for id in alive {
            match self.wire_form.0 {
                VenueKind::BinanceSpot | VenueKind::BinanceUsdm => self.send(id, 1, Delivery::Activity),
                VenueKind::OkxSpot | VenueKind::OkxSwap => {}
                VenueKind::Deribit => {
                    if let Some(conn) = self.conns.get_mut(&id) {
                        assert!(conn.challenges == 0, "a test_request was not answered");
                        conn.challenges += 1;
                    }
                    for kind in ["heartbeat", "test_request"] {
                        let text = format!(r#"{{"jsonrpc":"2.0","method":"heartbeat","params":{{"type":"{kind}"}}}}"#);
                        self.send(id, 1, Delivery::Frame(text));
                    }
                }
            }
        }
    }

    fn send(&mut self, conn: ConnId, after_ms: u64, delivery: Delivery) {
        let order = self.deliveries.last_key_value().map_or(0, |(order, _)| order + 1);
        self.deliveries.insert(order, (conn, delivery));
        self.wire.push(Reverse((self.now_ms + after_ms, order)));
    }

    /// One frame to everyone who subscribed, through the faults.
    fn broadcast(&mut self, stream: Key, text: &str) {
        let ids: Vec<ConnId> = self.conns.keys().copied().collect();
        for id in ids {
            let Self { conns, dice, faults, wire_form, .. } = self;
            let Some(conn) = conns.get_mut(&id) else { continue };
            if dice.chance(faults.half_open) {
                conn.half_open = true;
            }
            if dice.chance(faults.mute_stream) {
                conn.muted.insert(stream);
            }
            if !conn.open || conn.half_open || !conn.streams.contains(&stream) || conn.muted.contains(&stream) || dice.chance(faults.drop) {
                continue;
            }
            let mut frames = vec![text.to_owned()];
            if dice.chance(faults.duplicate) {
                frames.push(text.to_owned());
            }
            if dice.chance(faults.malformed) {
                let cut = usize::try_from(dice.below(text.len() as u64)).unwrap();
                frames = vec![text[..cut].to_owned()];
            }
            if dice.chance(faults.garbled_levels) {
                frames = vec![text.replacen("[\"", "[\"x", 1)];
            }
            if dice.chance(faults.shutdown) {
                frames.extend(wire_form.farewell());
            }
            match conn.late.remove(&stream) {
                None if dice.chance(faults.reorder) => {
                    conn.late.extend(frames.pop().map(|frame| (stream, frame)));
                }
                late => frames.extend(late),
            }
            let reset = dice.chance(faults.reset);
            for frame in frames {
                self.send(id, latency(id), Delivery::Frame(frame));
            }
            if reset {
                self.reset(id);
            }
        }
    }

    /// The venue's end of a connection closes.
    pub(crate) fn reset(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.open = false;
        }
        self.send(id, latency(id) + 1, Delivery::Closed);
    }

    /// The next delta of this market reaches nobody.
    pub(crate) fn swallow_delta(&mut self, id: InstrumentId) {
        self.swallow = Some(id);
    }

    /// This stream dies on the connections there are.
    pub(crate) fn mute(&mut self, stream: Key) {
        for conn in self.conns.values_mut() {
            conn.muted.insert(stream);
        }
    }

    /// Requests with this stream in them are refused.
    pub(crate) fn refuse(&mut self, stream: Key) {
        self.refused = Some(stream);
    }

    /// Is collected no longer.
    pub(crate) fn retire(&mut self, id: InstrumentId) {
        let mut effects = Vec::new();
        let now = self.now();
        self.venue.retire(now, id, &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    /// Is collected again.
    pub(crate) fn adopt(&mut self, place: usize) -> InstrumentId {
        let mut effects = Vec::new();
        let now = self.now();
        let id = self.venue.adopt(now, instrument(self.wire_form, place), &mut effects).unwrap();
        self.followers[place] = Follower::seeing_part(false); // what is counted begins anew
        for effect in effects {
            self.perform(effect);
        }
        id
    }

    pub(crate) fn open_conns(&self) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| conn.open).map(|(id, _)| *id).collect()
    }

    /// A frame of the test's own making, to every open connection.
    pub(crate) fn inject(&mut self, text: &str) {
        for id in self.open_conns() {
            self.send(id, 1, Delivery::Frame(text.to_owned()));
        }
    }

    fn deliver(&mut self) {
        let Some(Reverse((_, order))) = self.wire.pop() else { return };
        let Some((conn, delivery)) = self.deliveries.remove(&order) else { return };
        match &delivery {
            Delivery::Connected => {
                if let Some(state) = self.conns.get_mut(&conn) {
                    state.open = true;
                    self.input(Input::Connected { conn });
                }
            }
            Delivery::Frame(text) => self.input(Input::Frame { conn, text }),
            Delivery::Activity => self.input(Input::Activity { conn }),
            Delivery::Closed => {
                self.conns.remove(&conn);
                self.input(Input::Closed { conn });
            }
            Delivery::Answer(fetch, status, retry_after, body) => {
                let response = Response { status: *status, retry_after: *retry_after, used_weight: None, body };
                self.input(Input::Fetched { fetch: *fetch, response });
            }
            Delivery::NoAnswer(fetch) => self.input(Input::FetchFailed { fetch: *fetch, trouble: SnapshotTrouble::Network }),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        let now = self.now();
        self.venue.handle(now, input, &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, .. } => {
                self.conns.insert(conn, Conn::default());
                let refused = self.dice.chance(self.faults.refuse_connect);
                self.send(conn, 20, if refused { Delivery::Closed } else { Delivery::Connected });
            }
            Effect::Send { conn, text } => self.asked(conn, &text),
            Effect::Close { conn, .. } => drop(self.conns.remove(&conn)),
            Effect::Fetch { fetch, url } => self.fetch(fetch, &url),
            Effect::Book { instrument } => self.check_book(instrument),
            Effect::Trade(trade) => {
                self.published.1 += 1;
                let at = self.now().wall_ms;
                self.followers[trade.instrument.index()].trade(at, &trade);
                let last = self.last_trade.insert(trade.instrument, trade.id);
                assert!(last.is_none_or(|last| trade.id > last), "trade {} after {last:?}", trade.id);
            }
            Effect::Delta { instrument } => self.check_delta(instrument),
            Effect::Preview { instrument, .. } => {
                let bar = *self.venue.preview(instrument).expect("a preview effect names a bar").bar;
                self.followers[instrument.index()].bar(&bar);
            }
            Effect::Event(event) => self.note(event),
        }
    }

    fn asked(&mut self, conn: ConnId, text: &str) {
        let wire = self.wire_form;
        let Some(state) = self.conns.get_mut(&conn) else { return };
        match wire.read(text) {
            Request::Subscribe(id, keys) => {
                if self.refused.is_some_and(|refused| keys.contains(&refused)) {
                    return self.send(conn, 10, Delivery::Frame(wire.refused(id)));
                }
                state.streams.extend(&keys);
                if self.renewal_helps {
                    state.muted.retain(|key| !keys.contains(key));
                }
                self.requests.0 += 1;
                let half_open = state.half_open;
                if half_open {
                    return;
                }
                for frame in wire.accepted(id, &keys, "subscribe") {
                    self.send(conn, latency(conn), Delivery::Frame(frame));
                }
                for key in keys {
                    self.first_data(conn, key);
                }
            }
            Request::Unsubscribe(id, keys) => {
                state.streams.retain(|key| !keys.contains(key));
                self.requests.1 += 1;
                if !state.half_open {
                    for frame in wire.accepted(id, &keys, "unsubscribe") {
                        self.send(conn, latency(conn), Delivery::Frame(frame));
                    }
                }
            }
            Request::Other(id, method) => {
                state.challenges -= u32::from(method == "public/test");
                let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"ok"}}"#);
                self.send(conn, 10, Delivery::Frame(text));
            }
            Request::Ping => {
                if !state.half_open {
                    self.send(conn, 10, Delivery::Frame("pong".to_owned()));
                }
            }
        }
    }

    /// What a new subscription brings at once: the book, the last trade.
    fn first_data(&mut self, conn: ConnId, (place, kind): Key) {
        let wall = self.now().wall_ms;
        let Self { dice, faults, markets, wire_form, conns, .. } = self;
        let muted = conns.get(&conn).is_some_and(|state| state.muted.contains(&(place, kind)));
        if kind == StreamKind::Trade || muted || !Market::streams_books(wire_form.0) || dice.chance(faults.no_snapshot) {
            return;
        }
        let mut text = wire_form.stream_snapshot(place, &markets[place].told_snapshot(), wall);
        if dice.chance(faults.malformed_snapshot) {
            text.truncate(usize::try_from(dice.below(text.len() as u64)).unwrap());
        }
        self.send(conn, latency(conn), Delivery::Frame(text));
    }

    fn fetch(&mut self, fetch: FetchId, url: &str) {
        self.fetches += 1;
        let wall = self.now().wall_ms;
        let wire = self.wire_form;
        let place = wire.names().iter().position(|name| url.contains(name)).unwrap();
        let levels = match wire.0 {
            VenueKind::BinanceSpot | VenueKind::BinanceUsdm => format!("limit={LIMIT}"),
            VenueKind::OkxSpot | VenueKind::OkxSwap => format!("sz={LIMIT}&"),
            VenueKind::Deribit => "depth=50".to_owned(),
        };
        assert!(url.contains(&levels), "{url}");
        let Self { dice, faults, markets, old_snapshots, .. } = self;
        let served: Whole = markets[place].snapshot(if wire.0 == VenueKind::Deribit { 50 } else { LIMIT });
        let mut body = wire.rest_snapshot(&served, wall);
        if dice.chance(faults.stale_snapshot) {
            body.clone_from(&old_snapshots[place]);
        } else if dice.chance(300) {
            old_snapshots[place].clone_from(&body);
        }
        if dice.chance(faults.malformed_snapshot) {
            body.truncate(usize::try_from(dice.below(body.len() as u64)).unwrap());
        }
        let latency = if dice.chance(faults.slow_snapshot) { 1_000 + dice.below(9_000) } else { 20 + dice.below(200) };
        let answer = if dice.chance(faults.rest_silence) {
            if dice.chance(500) { None } else { Some(Delivery::NoAnswer(fetch)) }
        } else if dice.chance(faults.rest_error) {
            Some(Delivery::Answer(fetch, 500, None, "<html>".into()))
        } else if dice.chance(faults.rest_limited) {
            Some(Delivery::Answer(fetch, 429, Some(Duration::from_secs(1 + dice.below(5))), r#"{"code":-1003,"msg":"x"}"#.into()))
        } else {
            Some(Delivery::Answer(fetch, 200, None, body))
        };
        if let Some(answer) = answer {
            self.send(ConnId(0), latency, answer);
        }
    }

    /// The invariant: what is published is the venue's own first levels at that sequence, and says truly whether all of them are there.
    fn check_book(&mut self, id: InstrumentId) {
        let view = self.venue.book(id).expect("a book effect names a publishable book");
        let sequence = view.stamp.sequence;
        let market = &self.markets[id.index()];
        let truth = market.truth_at(sequence).unwrap_or_else(|| panic!("{id:?}: the venue never told of {sequence}"));
        for (side, levels, size) in [(Side::Bid, &truth.bids, truth.sizes.0), (Side::Ask, &truth.asks, truth.sizes.1)] {
            let held: Vec<(i64, i64)> = view.levels(side).map(|level| (level.price.0, level.quantity.0)).collect();
            assert_eq!(held, levels[..held.len()], "{id:?} {side:?} at {sequence}");
            assert!(!view.complete() || held.len() == DEPTH.min(size), "{id:?} {side:?} at {sequence} is not complete");
        }
        self.followers[id.index()].book(1_700_000_000_000 + i64::try_from(self.now_ms).unwrap(), &view);
        let last = self.last_book.insert(id, sequence);
        let order = |sequence| market.truth_at(sequence).map(|truth| truth.order);
        assert!(last.is_none_or(|last| order(sequence) >= order(last)), "{id:?}: {sequence} published after {last:?}");
        self.published.0 += 1;
    }

    /// A consumer of deltas has, after each, what a consumer of whole books would have.
    fn check_delta(&mut self, id: InstrumentId) {
        let (now, follower) = (self.now(), &mut self.followers[id.index()]);
        if let Some(delta) = self.venue.delta(now, id) {
            follower.apply(&delta);
            if (follower.applied.0 + follower.applied.1) % 97 == 0 {
                self.venue.delta_lost(id);
            }
        }
        follower.equals(&self.venue.book(id).expect("a delta effect names a publishable book"));
    }

    fn note(&mut self, event: Event) {
        if let (Some(id), EventKind::Resync(_) | EventKind::EmptySide | EventKind::Paused(_)) = (event.instrument, event.kind) {
            let at = self.now().wall_ms;
            self.followers[id.index()].lost(at);
        }
        self.events.push((event.instrument, event.kind));
    }

    /// The shell's decision, carried out.
    pub(crate) fn set_pressure(&mut self, pressure: Pressure) {
        let mut effects = Vec::new();
        let now = self.now();
        self.venue.set_pressure(now, pressure, &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    /// The last sequence published of an instrument.
    pub(crate) fn last_book(&self, id: InstrumentId) -> Option<u64> {
        self.last_book.get(&id).copied()
    }

    pub(crate) fn last_trade(&self, id: InstrumentId) -> Option<u64> {
        self.last_trade.get(&id).copied()
    }

    /// Words of the resyncs of one instrument since the beginning.
    pub(crate) fn resyncs(&self, id: InstrumentId) -> Vec<&'static str> {
        self.words(id, |kind| matches!(kind, EventKind::Resync(_)))
    }

    /// Words of the events of one instrument that are of some kind.
    pub(crate) fn words(&self, id: InstrumentId, of: impl Fn(&EventKind) -> bool) -> Vec<&'static str> {
        self.events.iter().filter(|(who, kind)| *who == Some(id) && of(kind)).map(|(_, kind)| kind.reason()).collect()
    }

    /// Events of the venue as a whole, as log lines without connection ids.
    pub(crate) fn venue_events(&self) -> Vec<String> {
        self.events.iter().filter(|(who, _)| who.is_none()).map(|(_, kind)| kind.to_string()).collect()
    }
}

pub(crate) fn instrument(wire: Wire, place: usize) -> Instrument {
    let raw = wire.names()[place];
    let symbol = format!("{}-USDT", &raw[..3]);
    let scales = (Scale::new(2), Scale::new(3));
    Instrument { multiplier: wire.multiplier(), ..Instrument::new(wire.0.exchange(), wire.0.market_type(), (raw, &symbol), scales) }
}

/// Every other connection is slow, so that of two that carry the same streams one is behind.
fn latency(conn: ConnId) -> u64 {
    if conn.0 % 2 == 1 { 190 } else { 2 }
}
