//! The data thread: a loop per venue that drives the core over real sockets and offers what comes out to the sinks.
//!
//! Owns: sockets, REST requests, the carrying out of the core's effects. Must not know: what makes a book right, where records go.
//!
//! The way of a frame: [`link`] reads it → [`venue_loop`] hands it to `marketdata::Venue` → effects → [`publisher`] → sinks.

pub(crate) mod capture;
mod dial;
mod frames;
mod link;
mod listing;
mod members;
pub mod network;
mod outlets;
mod payloads;
mod publisher;
pub(crate) mod recipe;
pub(crate) mod rerun;
mod rest;
mod sizes;
pub(crate) mod tls;
pub mod venue_loop;
mod venue_metrics;

use std::cell::RefCell;
use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use marketdata::Allowances;
pub use network::{Cause, ConnectError, Connector, Hop, Link, Network, NetworkMaker, Reply, Rest, RestFailure, Wire};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, VenueConfig};
use crate::feed::dial::Dialer;
use crate::feed::publisher::Publisher;
use crate::gather::{Gather, Haste};
use crate::metrics::{Registry, catalogue as names};
use crate::sink::Sink;
use crate::state::{State, TICK};
use crate::stream::StreamState;

/// A venue's loop that ended by a panic begins again after this.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// What the data thread is started with.
pub struct DataThread {
    /// Configuration.
    pub config: Config,
    /// Shared with the other threads.
    pub state: Arc<State>,
    /// Metrics.
    pub registry: Arc<Registry>,
    /// Makes the network, on the thread.
    pub network: NetworkMaker,
    /// Where records are offered.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Stop collecting.
    pub stop: CancellationToken,
    /// Told, or dropped, at the end.
    pub ended: oneshot::Sender<()>,
}

/// What the loop of a venue works with, on this thread; all but the network is shared by all venues.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) network: Network,
    pub(crate) publisher: Rc<RefCell<Publisher>>,
    pub(crate) gather: Arc<Gather>,
    /// What this address may do at each host, shared by the venues that are reached there.
    pub(crate) allowances: Allowances,
    pub(crate) stop: CancellationToken,
}

/// Real sockets and a real HTTP client for each venue, dialed as it is configured.
///
/// # Errors
/// For each venue whose certificates or proxy login cannot be read: which, and why.
pub fn real_network(config: &Config, registry: &Registry) -> Result<NetworkMaker, Vec<String>> {
    let (mut dialers, mut troubles) = (Vec::new(), Vec::new());
    for venue in &config.venues {
        let labels = [venue.exchange.as_str(), venue.market_type.as_str()];
        match Dialer::new(venue) {
            Ok(dialer) => dialers.push((labels, dialer, registry.gauge(&names::REST_CONNECTIONS, &labels))),
            Err(why) => troubles.push(format!("{} {}: {why}", labels[0], labels[1])),
        }
    }
    if !troubles.is_empty() {
        return Err(troubles);
    }
    Ok(Box::new(move |venue| {
        let labels = [venue.exchange.as_str(), venue.market_type.as_str()];
        let Some((_, dialer, open)) = dialers.iter().find(|(known, ..)| *known == labels) else { anyhow::bail!("it is not configured") };
        let (connector, rest) = (link::WebSockets::new(dialer.clone()), rest::HttpClient::new(dialer.clone(), open.clone()));
        Ok(Network { connector: Rc::new(connector), rest: Rc::new(rest) })
    }))
}

// === impl Shared ===

impl Shared {
    /// Changes what is known of the stream at this place of the table.
    pub(crate) fn set_state(&self, place: usize, stream_state: StreamState) {
        if let Some(stream) = self.state.streams.get(place) {
            stream.set_state(stream_state);
        }
    }
}

// === impl DataThread ===

impl std::fmt::Debug for DataThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataThread").field("config", &self.config).finish_non_exhaustive()
    }
}

impl DataThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn spawn(self) -> io::Result<JoinHandle<()>> {
        let haste = if self.config.publishes_every_update() { Haste::Much } else { Haste::Little };
        let gather = Arc::new(Gather::new("data", (self.config.gather, haste), &self.registry));
        let resting = Arc::clone(&gather);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(move || resting.rest()).build()?;
        std::thread::Builder::new().name("data".to_owned()).spawn(move || {
            let Self { config, state, registry, mut network, sinks, stop, ended } = self;
            state.count_tasks_of("data", runtime.handle().clone());
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                let publisher = Rc::new(RefCell::new(Publisher::new(sinks)));
                let (mut venues, allowances) = (Vec::new(), Allowances::default());
                for venue in config.venues {
                    let labels = [venue.exchange.as_str(), venue.market_type.as_str()];
                    match network(&venue) {
                        Ok(network) => {
                            let (state, registry, publisher) = (Arc::clone(&state), Arc::clone(&registry), Rc::clone(&publisher));
                            let (gather, allowances, stop) = (Arc::clone(&gather), allowances.clone(), stop.clone());
                            venues.push((venue, Shared { state, registry, network, publisher, gather, allowances, stop }));
                        }
                        Err(error) => tracing::error!(exchange = labels[0], market_type = labels[1], "its network cannot be set up: {error:#}"),
                    }
                }
                // Dropped before the venues run, so that the sinks end with the last of them.
                drop(publisher);
                collect(venues, (state, registry)).await;
            });
            // Not dropped: that would wait for a look-up of a name that may hang.
            runtime.shutdown_background();
            // Nobody listens when the deadline has passed.
            let _nobody_waits = ended.send(());
        })
    }
}

async fn collect(venues: Vec<(VenueConfig, Shared)>, (state, registry): (Arc<State>, Arc<Registry>)) {
    let mut tasks = JoinSet::new();
    for (venue, shared) in venues {
        tasks.spawn_local(supervised(venue, shared));
    }
    let pulse = tokio::task::spawn_local(pulse(state, registry));
    while tasks.join_next().await.is_some() {}
    pulse.abort();
    // An abort is the expected end.
    let _aborted = pulse.await;
}

/// A venue's loop, begun again when it panics: one venue's trouble takes down no other.
async fn supervised(venue: VenueConfig, shared: Shared) {
    let labels = [venue.exchange.as_str(), venue.market_type.as_str()];
    loop {
        let _alive = shared.state.loop_begins();
        let attempt = AssertUnwindSafe(venue_loop::run(venue.clone(), shared.clone())).catch_unwind();
        if attempt.await.is_ok() {
            return;
        }
        shared.registry.counter(&names::TASK_PANICS, &labels).inc();
        tracing::error!(exchange = labels[0], market_type = labels[1], "the venue's loop panicked and begins again");
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(AFTER_PANIC) => {}
        }
    }
}

/// The loop's sign of life, how late it was each time, and whether the wall clock was set meanwhile.
async fn pulse(state: Arc<State>, registry: Arc<Registry>) {
    let _alive = state.loop_begins();
    let lateness = registry.histogram(&names::LOOP_STALL_DURATION, &[]);
    let jumps = registry.counter(&names::WALL_CLOCK_JUMPS, &[]);
    let mut before = state.clock.now();
    let mut due = Instant::now() + TICK;
    let mut ticks = interval_at(due, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    state.beat();
    loop {
        ticks.tick().await;
        let now = Instant::now();
        lateness.observe_duration(now.saturating_duration_since(due));
        due = now + TICK;
        state.beat();
        let reading = state.clock.now();
        if let Some(milliseconds) = reading.wall_jump_since(before) {
            jumps.inc();
            tracing::warn!(event = "wall_clock_jump", milliseconds, "the wall clock was set by {milliseconds} ms");
        }
        before = reading;
    }
}
