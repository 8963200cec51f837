//! The owner of one venue: its markets, its feed, its clients' subscriptions, its faults and its REST budget, all changed by one task, one command or one
//! turn of the feed at a time. No sockets here: connections hold a bounded queue, HTTP handlers wait for a reply. Time is passed in.

mod budget;
mod delivery;
mod feed;
mod rest;
mod state;
mod task;

pub use delivery::{ConnectionId, Delivery, ToConnection};
pub use rest::{Ask, Fate, RestReply};
pub use state::BookAnswer;
pub use task::spawn;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::sync::{mpsc, oneshot};

use super::config::VenueConfig;
use super::fault::{FaultBoard, FaultKind, FaultSpec};
use super::kind::VenueKind;
use super::market::Market;
use super::session::Session;
use budget::Budget;
use feed::Feed;

/// Life of a connection between the notice of a shutdown and its end, when the fault does not say.
const SHUTDOWN_LEAD: Duration = Duration::from_secs(5);
/// Events per symbol whose books are remembered, when the configuration does not say.
const HISTORY_EVENTS: usize = 1_024;

/// What the other parts ask of the engine.
#[derive(Debug)]
pub enum Command {
    /// May a new connection be made?
    Knock {
        /// Answer: `false` means drop it.
        reply: oneshot::Sender<bool>,
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
    rest_requests: BTreeMap<&'static str, u64>,
    closed: BTreeMap<&'static str, u64>,
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
}

// === impl Engine ===

impl Engine {
    /// A venue with its feed ready to begin.
    pub fn new(config: &VenueConfig, script: &[FaultSpec], now: Moment) -> Result<Self> {
        let venue = config.venue;
        let (feed, starts) = Feed::open(config, now)?;
        let history = config.limits.history_events.unwrap_or(HISTORY_EVENTS);
        let fast = feed.kind() == "walk" && config.limits.depth_interval.is_some();
        let market = |(instrument, snapshot)| {
            let market = Market::new(venue, instrument, &snapshot, history);
            if fast { market.with_every_change_at(100) } else { market }
        };
        let markets: BTreeMap<_, _> = starts.into_iter().map(market).map(|market| (market.instrument.symbol.clone(), market)).collect();
        if markets.is_empty() {
            return Err(anyhow!("{}: no instruments", venue.as_str()));
        }
        Ok(Self {
            venue,
            markets,
            delivery: Delivery::new(feed.is_lossless()),
            feed,
            faults: FaultBoard::new(venue, script),
            budget: Budget::new(config.limits.weight_per_minute.unwrap_or(venue.weight_per_minute())),
            rest_requests: BTreeMap::new(),
            closed: BTreeMap::new(),
        })
    }

    /// Carries out one command.
    pub fn handle(&mut self, command: Command, now: Moment) {
        match command {
            // A dropped reply means the asker has gone; there is nothing left to tell it.
            Command::Knock { reply } => drop(reply.send(self.faults.strike(FaultKind::RefuseConnect, "", now.instant).is_none())),
            Command::Open { session, queue, reply } => {
                let streams: Vec<_> = session.streams.iter().cloned().collect();
                let connection = self.delivery.open(session, queue);
                let _gone = reply.send(connection);
                self.subscribed(&streams, now);
            }
            Command::Said { connection, text } => {
                let added = self.delivery.answer(connection, &text);
                self.subscribed(&added, now);
            }
            Command::Closed { connection, reason } => {
                self.delivery.close(connection);
                *self.closed.entry(reason).or_default() += 1;
            }
            Command::Rest { ask, reply } => drop(reply.send(self.rest(&ask, now))),
            Command::Inject(spec) => self.inject(spec, now),
            Command::ClearFaults => self.faults.clear(),
            Command::Start => self.feed.start(now),
            Command::State { reply } => drop(reply.send(self.state(now))),
            Command::Book { symbol, at_id, limit, reply } => drop(reply.send(self.book(&symbol, at_id, limit))),
        }
    }

    /// Puts a fault in force, or lets it strike the open connections at once.
    pub fn inject(&mut self, spec: FaultSpec, now: Moment) {
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
            _ => ToConnection::Close { code: 1001, reason: "Going away" },
        };
        let struck = self.delivery.strike(&spec, &what, now.wall_ms);
        self.faults.struck_connections(spec.kind, struck);
    }

    fn subscribed(&mut self, streams: &[String], now: Moment) {
        for stream in streams {
            let symbol = stream.split('@').next().unwrap_or_default().to_uppercase();
            if let Some(market) = self.markets.get_mut(&symbol) {
                market.want(stream);
            }
        }
        if !streams.is_empty() {
            self.feed.subscribed(&self.delivery, now);
        }
    }
}
