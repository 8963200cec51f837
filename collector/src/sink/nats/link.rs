//! Staying connected: one server after the other, with jittered delays. Owns: addresses, TLS, the state of the connection and its metrics.
//! Must not know: records, JetStream.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Sleep, sleep};

use super::NAME;
use super::address::Address;
use super::connection::Connection;
use crate::clocks::SharedClock;
use crate::metrics::{Gauge, Registry, catalogue as names};

/// The link to whichever server answers.
pub(super) struct Link {
    addresses: Vec<Address>,
    /// Which address is tried next.
    turn: usize,
    /// Attempts since the last connection.
    attempts: u32,
    tls: Arc<ClientConfig>,
    clock: SharedClock,
    state: State,
    connected: Gauge,
    registry: Arc<Registry>,
}

enum State {
    /// Tried again at this time. The timer is made when it is first polled: there is a runtime then.
    Waiting(Duration, Option<Pin<Box<Sleep>>>),
    Opening(Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>),
    Open(Box<Connection>),
}

/// What came of waiting.
#[derive(Debug)]
pub(super) enum Event {
    /// Connected.
    Opened,
    /// Something was read or written.
    Progress,
    /// The connection ended.
    Lost,
    /// An attempt failed, or is to begin.
    Nothing,
}

// === impl Link ===

impl Link {
    pub(super) fn new(addresses: Vec<Address>, tls: Arc<ClientConfig>, clock: SharedClock, registry: &Arc<Registry>) -> Self {
        let connected = registry.gauge(&names::NATS_CONNECTED, &[]);
        Self { addresses, turn: 0, attempts: 0, tls, clock, state: State::Waiting(Duration::ZERO, None), connected, registry: Arc::clone(registry) }
    }

    /// The connection, while there is one.
    pub(super) fn open(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            State::Open(connection) => Some(connection),
            State::Waiting(..) | State::Opening(_) => None,
        }
    }

    /// Waits for whatever is next.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        Poll::Ready(match &mut self.state {
            State::Waiting(until, timer) => {
                let left = until.saturating_sub(self.clock.now().mono);
                let timer = timer.get_or_insert_with(|| Box::pin(sleep(left)));
                ready!(timer.as_mut().poll(cx));
                self.begin();
                Event::Nothing
            }
            State::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                Ok(connection) => {
                    self.opened(connection);
                    Event::Opened
                }
                Err(error) => {
                    self.count("connect_failed");
                    // The first of a series is told, and then every hundredth: a server that is away for a day is no news each second.
                    if self.attempts % 100 == 1 {
                        tracing::warn!(sink = NAME, event = "connect_failed", attempts = self.attempts, server = %self.last_tried(), "NATS cannot be reached: {error}");
                    }
                    self.wait();
                    Event::Nothing
                }
            },
            State::Open(connection) => match ready!(connection.poll(cx)) {
                Ok(()) => Event::Progress,
                Err(error) => {
                    self.lose(&error);
                    Event::Lost
                }
            },
        })
    }

    /// Ends the connection.
    pub(super) fn lose(&mut self, error: &io::Error) {
        self.count("disconnected");
        tracing::warn!(sink = NAME, event = "disconnected", server = %self.last_tried(), "the connection to NATS ended: {error}");
        self.connected.set(0.0);
        self.wait();
    }

    /// Counts a named event.
    pub(super) fn count(&self, event: &str) {
        self.registry.counter(&names::NATS_EVENTS, &[event]).inc();
    }

    fn begin(&mut self) {
        let Some(address) = self.addresses.get(self.turn % self.addresses.len().max(1)).cloned() else { return };
        self.turn = self.turn.wrapping_add(1);
        self.attempts = self.attempts.saturating_add(1);
        let (tls, now) = (Arc::clone(&self.tls), self.clock.now().mono);
        self.state = State::Opening(Box::pin(async move { Connection::open(&address, &tls, now).await }));
    }

    fn opened(&mut self, connection: Connection) {
        let info = connection.info();
        self.count("connected");
        tracing::info!(sink = NAME, event = "connected", server = %self.last_tried(), name = info.server_name, version = info.version, jetstream = info.jetstream, "connected to NATS");
        self.connected.set(1.0);
        self.attempts = 0;
        self.state = State::Open(Box::new(connection));
    }

    fn wait(&mut self) {
        self.state = State::Waiting(self.clock.now().mono + delay(self.attempts), None);
    }

    fn last_tried(&self) -> String {
        let turn = self.turn.wrapping_sub(1) % self.addresses.len().max(1);
        self.addresses.get(turn).map(ToString::to_string).unwrap_or_default()
    }
}

/// Full jitter over an exponential delay of at most 4 s, so that many collectors do not come back together.
fn delay(attempts: u32) -> Duration {
    let most: u64 = (50_u64 << attempts.min(7)).min(4_000);
    Duration::from_millis(RandomState::new().hash_one(attempts) % most)
}
