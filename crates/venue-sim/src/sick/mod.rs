//! A sick program in the part of the old collector: metrics and health over HTTP, and on request it leaks memory, descriptors and CLOSE_WAIT sockets,
//! hangs, spins, or is deaf to SIGTERM. Every ailment is real and has a cap, so that the machine is not hurt.

mod body;
mod http;
mod orders;
mod vitals;

pub use orders::{Orders, Symptoms};

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::duration::Span;
use body::Body;

/// How often leaks grow.
const BEAT: Duration = Duration::from_millis(100);

/// What the sick program is to do.
#[derive(Debug, Clone)]
pub struct SickConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What happens by itself.
    pub script: Vec<ScriptEntry>,
    /// The caps.
    pub caps: Caps,
}

/// How far the ailments may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Leaked memory, MiB.
    pub memory_mb: usize,
    /// Leaked descriptors.
    pub fds: usize,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: usize,
}

/// Orders at a time since the start.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptEntry {
    /// When, since the start.
    pub at: Span,
    /// What.
    pub orders: Orders,
}

/// The running program.
#[derive(Debug)]
pub struct RunningSick {
    address: SocketAddr,
    patient: Patient,
    tasks: TaskTracker,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SickAddresses {
    /// Base URL.
    pub http: String,
}

/// What the parts share: the orders in force, and the body that carries the leaks.
#[derive(Debug, Clone)]
struct Patient {
    symptoms: watch::Sender<Symptoms>,
    body: Arc<Mutex<Body>>,
}

/// Starts the program; it runs until `shutdown`.
pub async fn run_sick(config: SickConfig, shutdown: CancellationToken) -> Result<RunningSick> {
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let patient = Patient { symptoms: watch::Sender::new(Symptoms::default()), body: Arc::new(Mutex::new(Body::new(config.caps)?)) };
    let tasks = TaskTracker::new();
    let router = http::router(patient.clone());
    let ending = shutdown.clone();
    tasks.spawn(async move {
        // Not graceful: requests that hang on purpose would hold the end.
        tokio::select! {
            () = ending.cancelled() => {}
            result = async { axum::serve(listener, router).await } => if let Err(error) = result {
                tracing::error!(%error, "HTTP side ended");
            },
        }
    });
    tasks.spawn(run_until(shutdown.clone(), live(patient.clone())));
    tasks.spawn(run_until(shutdown, follow(patient.clone(), config.script)));
    tasks.close();
    Ok(RunningSick { address, patient, tasks })
}

/// Reads a script: a YAML list of `{at: 5s, orders: {leak_memory_mb_per_s: 50}}`.
pub fn read_script(file: &Path) -> Result<Vec<ScriptEntry>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{}", file.display()))
}

// === impl Caps ===

impl Default for Caps {
    fn default() -> Self {
        Self { memory_mb: 512, fds: 512, close_wait: 128 }
    }
}

// === impl RunningSick ===

impl RunningSick {
    /// Where it listens.
    pub fn addresses(&self) -> SickAddresses {
        SickAddresses { http: format!("http://{}", self.address) }
    }

    /// Whether SIGTERM is to be ignored now.
    pub fn ignores_sigterm(&self) -> bool {
        self.patient.symptoms.borrow().ignore_sigterm
    }

    /// Orders, as over `POST /control`.
    pub fn order(&self, orders: &Orders) {
        self.patient.order(orders);
    }

    /// Waits until everything has ended after the shutdown.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

// === impl Patient ===

impl Patient {
    fn order(&self, orders: &Orders) {
        self.symptoms.send_modify(|symptoms| symptoms.obey(orders));
        let symptoms = *self.symptoms.borrow();
        let mut body = self.body();
        if orders.heal {
            body.heal();
        }
        body.spin(symptoms.spin);
    }

    fn body(&self) -> MutexGuard<'_, Body> {
        // What a panic left behind is still only memory and sockets.
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run_until(shutdown: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Lets the leaks grow.
async fn live(patient: Patient) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let symptoms = *patient.symptoms.borrow();
        patient.body().beat(&symptoms, BEAT);
    }
}

async fn follow(patient: Patient, mut script: Vec<ScriptEntry>) {
    let start = tokio::time::Instant::now();
    script.sort_by_key(|entry| entry.at);
    for entry in script {
        tokio::time::sleep_until(start + entry.at.0).await;
        tracing::info!(orders = ?entry.orders, "script");
        patient.order(&entry.orders);
    }
}
