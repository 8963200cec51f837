//! The owner of one venue: its markets, its feed, its clients' subscriptions, its faults and its REST budget, all changed by one task, one command or one
//! turn of the feed at a time. No sockets here: connections hold a bounded queue, HTTP handlers wait for a reply. Time is passed in.

mod budget;
mod delivery;
mod doors;
mod feed;
mod rest;
mod state;
mod task;

use delivery::AckOrder;
pub use delivery::{ConnectionId, Delivery, ToConnection};
pub use rest::{Ask, Fate, RestReply, Trouble};
pub use state::BookAnswer;
pub use task::spawn;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::sync::{mpsc, oneshot};

use super::config::VenueConfig;
use super::fault::{FaultBoard, FaultKind, FaultSpec};
use super::frames;
use super::kind::{StreamKind, VenueKind};
use super::market::{Instrument, Market};
use super::session::{Desk, Session};
use super::wire::Snapshot;
use budget::Budget;
use doors::Doors;
use feed::Feed;

/// Life of a connection between the notice of a shutdown and its end, when the fault does not say.
const SHUTDOWN_LEAD: Duration = Duration::from_secs(5);
/// How long a slow handshake takes, when the fault does not say.
const SLOW_HANDSHAKE: Duration = Duration::from_secs(3);
/// Events per symbol whose books are remembered, when the configuration does not say.
const HISTORY_EVENTS: usize = 1_024;

/// What the other parts ask of the engine.
#[derive(Debug)]
pub enum Command {
    /// May a new connection be made?
    Knock {
        /// Answer: after which wait; `None` means drop it.
        reply: oneshot::Sender<Option<Duration>>,
    },
    /// A connection finished its handshake.
    Open {
        /// Its subscriptions.
        session: Session,
        /// Where its frames go.
        queue: mpsc::Sender<ToConnection>,
        /// Answer: its number.
        reply: oneshot::Sender<ConnectionId>,
    },
    /// A client sent a text message.
    Said {
        /// By whom.
        connection: ConnectionId,
        /// What.
        text: String,
    },
    /// A connection ended.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why: the word used in the state.
        reason: &'static str,
    },
    /// A REST request.
    Rest {
        /// What is asked.
        ask: Ask,
        /// The answer.
        reply: oneshot::Sender<RestReply>,
    },
    /// A fault, now.
    Inject(FaultSpec),
    /// No more faults.
    ClearFaults,
    /// Begin a replay that waits for this.
    Start,
    /// Another instrument, `BASE-QUOTE`, in a walk.
    List {
        /// Which.
        name: String,
        /// Why not, if not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// An instrument goes: its streams fall silent, the lists do not name it any more.
    Delist {
        /// The venue's name.
        symbol: String,
        /// Why not, if not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Everything there is to see.
    State {
        /// The answer.
        reply: oneshot::Sender<serde_json::Value>,
    },
    /// The true book of a symbol.
    Book {
        /// Which symbol.
        symbol: String,
        /// After which update; absent: now.
        at_id: Option<u64>,
        /// Levels of a side.
        limit: usize,
        /// The answer.
        reply: oneshot::Sender<BookAnswer>,
    },
}

/// One venue.
#[derive(Debug)]
pub struct Engine {
    venue: VenueKind,
    markets: BTreeMap<String, Market>,
    feed: Feed,
    faults: FaultBoard,
    delivery: Delivery,
    budget: Budget,
    doors: Doors,
    keep_alive: Option<Duration>,
    every_change: bool,
    history: usize,
    rest_requests: BTreeMap<&'static str, u64>,
    closed: BTreeMap<&'static str, u64>,
    /// Its clock is so far ahead of the machine's.
    skew_ms: i64,
}

/// The two clocks at one moment: waits use the first, message times the second.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Monotonic.
    pub instant: Instant,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

// === impl Moment ===

impl Moment {
    /// The clocks now.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), wall_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
    }

    /// The same moment by a clock that is so far ahead.
    pub(super) const fn skewed(self, ahead_ms: i64) -> Self {
        Self { wall_ms: self.wall_ms.saturating_add(ahead_ms), ..self }
    }
}

// === impl Engine ===

impl Engine {
    /// A venue with its feed ready to begin.
    pub fn new(config: &VenueConfig, script: &[FaultSpec], now: Moment) -> Result<Self> {
        let venue = config.venue;
        let (feed, starts) = Feed::open(config, now)?;
        let (limits, (weight, window)) = (&config.limits, venue.weight());
        let mut engine = Self {
            venue,
            markets: BTreeMap::new(),
            delivery: Delivery::new(feed.is_lossless()),
            every_change: feed.kind() == "walk" && limits.depth_interval.is_some(),
            history: limits.history_events.unwrap_or(HISTORY_EVENTS),
            feed,
            faults: FaultBoard::new(venue, script),
            budget: Budget::new(limits.weight_per_minute.unwrap_or(weight), window),
            doors: Doors::new(limits.connects_per_second.unwrap_or(venue.connects_per_second()), venue.connections_max()),
            keep_alive: limits.keep_alive.map(|span| span.0).filter(|_| venue.keep_alive().is_some()).or(venue.keep_alive()),
            rest_requests: BTreeMap::new(),
            closed: BTreeMap::new(),
            skew_ms: config.clock_skew_ms,
        };
        for (instrument, snapshot) in starts {
            engine.open_market(instrument, &snapshot, now.skewed(config.clock_skew_ms));
        }
        if engine.markets.is_empty() {
            return Err(anyhow!("{}: no instruments", venue.as_str()));
        }
        Ok(engine)
    }

    fn open_market(&mut self, instrument: Instrument, snapshot: &Snapshot, now: Moment) {
        let symbol = instrument.symbol.clone();
        let market = Market::new(self.venue, instrument, snapshot, self.history);
        let market = if self.every_change { market.with_every_change_at(100) } else { market };
        // A recording tells the time of its books; a walk that has not begun was made now.
        let market = if self.feed.kind() == "walk" { market.made_at(now.wall_ms) } else { market };
        self.markets.insert(symbol, market);
    }

    /// Carries out one command.
    pub fn handle(&mut self, command: Command, now: Moment) {
        let now = now.skewed(self.skew_ms);
        match command {
            // A dropped reply means the asker has gone; there is nothing left to tell it.
            Command::Knock { reply } => drop(reply.send(self.knock(now))),
            Command::Open { session, queue, reply } => {
                let streams: Vec<_> = session.streams.iter().cloned().collect();
                let connection = self.delivery.open(session, queue);
                let _gone = reply.send(connection);
                self.subscribed(connection, &streams, now);
            }
            Command::Said { connection, text } => self.said(connection, &text, now),
            Command::Closed { connection, reason } => {
                self.delivery.close(connection);
                *self.closed.entry(reason).or_default() += 1;
            }
            Command::Rest { ask, reply } => drop(reply.send(self.rest(&ask, now))),
            Command::Inject(spec) => self.inject(spec, now),
            Command::ClearFaults => self.faults.clear(),
            Command::Start => self.feed.start(now),
            Command::List { name, reply } => drop(reply.send(self.list(&name, now))),
            Command::Delist { symbol, reply } => drop(reply.send(self.delist(&symbol))),
            Command::State { reply } => drop(reply.send(self.state(now))),
            Command::Book { symbol, at_id, limit, reply } => drop(reply.send(self.book(&symbol, at_id, limit))),
        }
    }

    /// Puts a fault in force, or lets it strike the open connections at once.
    pub fn inject(&mut self, spec: FaultSpec, now: Moment) {
        if spec.kind == FaultKind::SequenceReset {
            let symbols = self.markets.keys().filter(|symbol| spec.symbol.as_ref().is_none_or(|wanted| wanted == *symbol));
            for symbol in symbols {
                self.feed.reset_ids(symbol);
            }
            self.faults.struck_connections(spec.kind, 1);
            return;
        }
        if !spec.kind.strikes_connections() {
            self.faults.start(spec, now.instant);
            return;
        }
        let lasts = spec.lasts.map(|span| span.0);
        let what = match spec.kind {
            FaultKind::TcpReset => ToConnection::Reset,
            FaultKind::HalfOpen => ToConnection::HalfOpen(lasts),
            FaultKind::CutFrame => ToConnection::Cut,
            FaultKind::ServerShutdown => ToConnection::EndIn(lasts.unwrap_or(SHUTDOWN_LEAD)),
            _ => ToConnection::Close { code: spec.code.unwrap_or(1001), reason: "Going away" },
        };
        let struck = self.delivery.strike(&spec, &what, now.wall_ms);
        self.faults.struck_connections(spec.kind, struck);
    }

    /// Whether somebody may connect, and after which wait.
    fn knock(&mut self, now: Moment) -> Option<Duration> {
        if self.faults.strike(FaultKind::RefuseConnect, "", now.instant).is_some() || !self.doors.admit(now.instant, self.delivery.open_count()) {
            return None;
        }
        let slow = self.faults.strike(FaultKind::SlowHandshake, "", now.instant);
        Some(slow.map_or(Duration::ZERO, |spec| spec.delay.map_or(SLOW_HANDSHAKE, |span| span.0)))
    }

    fn said(&mut self, connection: ConnectionId, text: &str, now: Moment) {
        if self.venue.streams_snapshots() && text.contains("subscribe") {
            // A snapshot stands between two events of the stream: what was gathered so far goes to those who listened.
            self.send_owed(now, i64::MAX / 2);
        }
        let (markets, faults) = (&self.markets, &mut self.faults);
        let lists = |symbol: &str| markets.contains_key(symbol);
        let mut strikes = |kind, symbol: &str| faults.strike(kind, symbol, now.instant).is_some();
        let late = text.to_ascii_lowercase().contains("subscribe") && strikes(FaultKind::ReorderAcks, "");
        let order = if late { AckOrder::Reversed } else { AckOrder::AsAsked };
        let (added, asked) = self.delivery.answer((connection, order), text, Desk { lists: &lists, strikes: &mut strikes, now });
        for ask in asked {
            let reply = self.answer_over_socket(&ask, now);
            self.delivery.say(connection, reply);
        }
        self.subscribed(connection, &added, now);
    }

    fn subscribed(&mut self, connection: ConnectionId, streams: &[String], now: Moment) {
        for stream in streams {
            let symbol = stream.split('@').next().unwrap_or_default();
            let symbol = if self.venue.streams_snapshots() { symbol.to_owned() } else { symbol.to_uppercase() };
            let Some(market) = self.markets.get_mut(&symbol) else { continue };
            market.want(stream, now.wall_ms);
            let kind = self.venue.stream_kind(stream.get(symbol.len()..).unwrap_or_default());
            let mut strikes = |kind| self.faults.strike(kind, &symbol, now.instant).is_some();
            if !matches!(kind, Some(StreamKind::Depth { .. })) || strikes(FaultKind::SilentStreams) || strikes(FaultKind::NoSnapshot) {
                continue;
            }
            if let Some(text) = frames::snapshot(self.venue, market, strikes(FaultKind::NullPrevious)) {
                self.delivery.say(connection, text);
            }
        }
        if !streams.is_empty() {
            self.feed.subscribed(&self.delivery, now);
        }
    }

    fn list(&mut self, name: &str, now: Moment) -> Result<(), String> {
        let (instrument, snapshot) = self.feed.list(name)?;
        self.open_market(instrument, &snapshot, now);
        Ok(())
    }

    fn delist(&mut self, symbol: &str) -> Result<(), String> {
        self.markets.remove(symbol).ok_or_else(|| format!("no symbol {symbol}"))?;
        self.feed.delist(symbol)
    }
}
