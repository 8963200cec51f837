//! The loop of the sink's thread: takes records from the queue, gives the connection what may be sent, hears what the server says.
//!
//! Owns: the order of these steps, the end of the thread. Must not know: what is decided ([`desk`](super::desk)), how bytes travel.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};

use super::core_out::CoreIn;
use super::desk::Desk;
use super::link::{Event, Link};
use super::wire;
use crate::clocks::SharedClock;
use crate::sink::Outlet;

/// Records taken from the queue at a time.
const TAKE: usize = 256;
/// What time brings is looked at this often.
const TICK: Duration = Duration::from_millis(25);
/// At the end: for what is under way to be acknowledged,
const LAST_CHANCE: Duration = Duration::from_secs(3);
/// and for a server that is away to come back: what is left then is spooled.
const GRACE: Duration = Duration::from_millis(500);

/// The thread's state.
pub(super) struct Publisher {
    link: Link,
    /// Messages of the program itself.
    core: CoreIn,
    desk: Desk,
    clock: SharedClock,
    /// When the queue was closed.
    closing: Option<Duration>,
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn new((link, core): (Link, CoreIn), desk: Desk, clock: SharedClock) -> Self {
        Self { link, core, desk, clock, closing: None }
    }

    /// Runs until the queue is closed and everything is secured or given up.
    pub(super) async fn run(mut self, mut outlet: Outlet) {
        let mut batch = Vec::with_capacity(TAKE);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_done() {
            let taking = self.closing.is_none() && self.desk.has_room();
            let event = tokio::select! {
                more = outlet.take(&mut batch, TAKE), if taking => {
                    if !more {
                        self.closing = Some(self.clock.now().mono);
                    }
                    Event::Nothing
                }
                event = self.link.progress() => event,
                Some((subject, body)) = self.core.messages.recv() => {
                    if let Some(connection) = self.link.open() {
                        wire::post(&subject, &body, connection.outbound());
                    }
                    Event::Nothing
                }
                _ = ticks.tick() => {
                    self.tick();
                    Event::Nothing
                }
            };
            self.desk.take(&mut batch);
            if !self.desk.has_room() {
                self.tick();
            }
            self.turn(event);
        }
        self.desk.finish();
    }

    /// One turn: hear, send, and let the socket take it at once.
    fn turn(&mut self, event: Event) {
        self.note(event);
        let now = self.clock.now().mono;
        let Some(connection) = self.link.open() else { return };
        if let Err(error) = self.desk.hear(connection, now) {
            return self.lose(&error);
        }
        self.desk.send(connection, now);
        if connection.unwritten() > 0
            && let Some(event) = self.link.progress().now_or_never()
        {
            self.note(event);
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Opened => {
                if let Some(connection) = self.link.open() {
                    self.desk.connected(connection);
                    self.core.connected(true);
                }
            }
            Event::Lost => self.disconnected(),
            Event::Progress | Event::Nothing => {}
        }
    }

    fn tick(&mut self) {
        self.desk.tick();
        let now = self.clock.now().mono;
        if let Some(Err(error)) = self.link.open().map(|connection| connection.watch(now)) {
            self.lose(&error);
        }
    }

    fn lose(&mut self, error: &std::io::Error) {
        self.link.lose(error);
        self.disconnected();
    }

    fn disconnected(&mut self) {
        self.desk.disconnected();
        self.core.connected(false);
    }

    /// Whether nothing is left to do, or to wait for.
    fn is_done(&self) -> bool {
        let waited = |since: Duration| self.clock.now().mono.saturating_sub(since) >= if self.desk.linked { LAST_CHANCE } else { GRACE };
        self.closing.is_some_and(|since| self.desk.outbox.held().records == 0 || waited(since))
    }
}
