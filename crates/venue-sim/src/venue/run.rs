//! A simulation as a whole: binds the ports, starts the engines, and hands out addresses and handles.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{Manners, VenueConfig, VenuesConfig};
use super::connection::Rules;
use super::engine::{BookAnswer, Command, Engine, Moment, spawn};
use super::fault::FaultSpec;
use super::front::Front;
use super::http::{HttpState, ask_engine, router};
use super::kind::VenueKind;
use crate::net::{BreakHandle, BreakableListener};

/// HTTP connections between the port and the HTTP side.
const HTTP_BACKLOG: usize = 64;

/// What is said after the end.
const GONE: &str = "the simulation has ended";

/// A running simulation.
#[derive(Debug)]
pub struct RunningVenues {
    handles: Vec<VenueHandle>,
    tasks: TaskTracker,
}

/// One running venue.
#[derive(Debug, Clone)]
pub struct VenueHandle {
    venue: VenueKind,
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
}

/// Where a venue listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Host and port.
    pub address: SocketAddr,
    /// Base of WebSocket URLs.
    pub ws: String,
    /// Base of REST and control URLs.
    pub rest: String,
}

/// Starts all venues of a configuration. They run until `shutdown`; then [`RunningVenues::stopped`] returns.
pub async fn run_venues(config: VenuesConfig, shutdown: CancellationToken) -> Result<RunningVenues> {
    if config.venues.is_empty() {
        bail!("no venue to play");
    }
    let tasks = TaskTracker::new();
    let mut bound = Vec::new();
    for venue in &config.venues {
        if bound.iter().any(|(handle, _): &(VenueHandle, TcpListener)| handle.venue == venue.venue) {
            bail!("{} is configured twice", venue.venue.as_str());
        }
        bound.push(bind(venue, &config.faults, &tasks, &shutdown).await?);
    }
    let handles: Vec<VenueHandle> = bound.iter().map(|(handle, _)| handle.clone()).collect();
    for ((handle, listener), venue) in bound.into_iter().zip(&config.venues) {
        serve(handle, listener, venue, Serving { all: &handles, tasks: &tasks, shutdown: &shutdown });
    }
    tasks.close();
    Ok(RunningVenues { handles, tasks })
}

struct Serving<'a> {
    all: &'a [VenueHandle],
    tasks: &'a TaskTracker,
    shutdown: &'a CancellationToken,
}

async fn bind(config: &VenueConfig, script: &[FaultSpec], tasks: &TaskTracker, shutdown: &CancellationToken) -> Result<(VenueHandle, TcpListener)> {
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("{}: listen on {}", config.venue.as_str(), config.listen))?;
    let address = listener.local_addr()?;
    let engine = Engine::new(config, script, Moment::now()).with_context(|| config.venue.as_str())?;
    let commands = spawn(engine, tasks, shutdown.clone());
    Ok((VenueHandle { venue: config.venue, address, commands }, listener))
}

fn serve(handle: VenueHandle, listener: TcpListener, config: &VenueConfig, serving: Serving<'_>) {
    let Serving { all, tasks, shutdown } = serving;
    let (http, accepted) = mpsc::channel(HTTP_BACKLOG);
    let state = HttpState { venue: handle.venue, commands: handle.commands.clone(), all: all.to_vec() };
    let service = router(state).into_make_service_with_connect_info::<BreakHandle>();
    let http_listener = BreakableListener::new(accepted, handle.address);
    let ending = shutdown.clone();
    tasks.spawn(async move {
        // Not graceful: a request that hangs on purpose would hold the end.
        tokio::select! {
            () = ending.cancelled() => {}
            result = async { axum::serve(http_listener, service).await } => if let Err(error) = result {
                tracing::error!(%error, "HTTP side ended");
            },
        }
    });
    let rules = Rules::new(handle.venue, &config.limits);
    let front = Front {
        venue: handle.venue,
        commands: handle.commands,
        http,
        rules,
        manners: Manners::new(&config.limits),
        numbers: Arc::default(),
        queue_frames: config.limits.queue_frames,
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    };
    tasks.spawn(front.run(listener));
}

// === impl RunningVenues ===

impl RunningVenues {
    /// Where each venue listens, by its name.
    pub fn addresses(&self) -> BTreeMap<&'static str, Address> {
        self.handles.iter().map(|handle| (handle.venue.as_str(), handle.address())).collect()
    }

    /// A venue's handle.
    pub fn venue(&self, venue: VenueKind) -> Option<&VenueHandle> {
        self.handles.iter().find(|handle| handle.venue == venue)
    }

    /// Waits until everything has ended after `shutdown`.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

// === impl VenueHandle ===

impl VenueHandle {
    /// Which venue.
    pub fn venue(&self) -> VenueKind {
        self.venue
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        let address = self.address;
        Address { address, ws: format!("ws://{address}"), rest: format!("http://{address}") }
    }

    /// A fault, now.
    pub async fn inject(&self, spec: FaultSpec) {
        self.tell(Command::Inject(spec)).await;
    }

    /// No more faults.
    pub async fn clear_faults(&self) {
        self.tell(Command::ClearFaults).await;
    }

    /// Begins a replay that waits for it.
    pub async fn start(&self) {
        self.tell(Command::Start).await;
    }

    /// Counts, positions and faults; `None` once the simulation has ended.
    pub async fn state(&self) -> Option<Value> {
        ask_engine(&self.commands, |reply| Command::State { reply }).await
    }

    /// The true book of a symbol after an update; `None` once the simulation has ended.
    pub async fn book(&self, symbol: &str, at_id: Option<u64>, limit: usize) -> Option<BookAnswer> {
        let symbol = symbol.to_owned();
        ask_engine(&self.commands, |reply| Command::Book { symbol, at_id, limit, reply }).await
    }

    /// Another instrument, `BASE-QUOTE`, in a walk.
    pub async fn list(&self, name: &str) -> Result<(), String> {
        let name = name.to_owned();
        ask_engine(&self.commands, |reply| Command::List { name, reply }).await.unwrap_or_else(|| Err(GONE.to_owned()))
    }

    /// An instrument goes, by the venue's name: its streams fall silent, the lists do not name it any more.
    pub async fn delist(&self, symbol: &str) -> Result<(), String> {
        let symbol = symbol.to_owned();
        ask_engine(&self.commands, |reply| Command::Delist { symbol, reply }).await.unwrap_or_else(|| Err(GONE.to_owned()))
    }

    async fn tell(&self, command: Command) {
        // After the end there is nobody to tell, and nothing to be done about it.
        drop(self.commands.send(command).await);
    }
}
