//! The whole of the process, from validated configuration to exit: start, serve, stop in order.
//!
//! Stopping is a sequence with one deadline: intake stops and connections close, queues drain, sinks flush, then the pages go.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use diagnostics::{Diagnostic, Text};
use futures_util::stream::{FuturesUnordered, StreamExt};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::clocks::{SharedClock, SystemClock};
use crate::config::Config;
use crate::feed::{self, DataThread, NetworkMaker};
use crate::heartbeat;
use crate::http::debug::{Debug, read_token};
use crate::http::{self, Listeners, Pages, health::Health};
use crate::metrics::{Registry, catalogue as names};
use crate::pressure::watch::Watch;
use crate::sink::{self, Worker};
use crate::state::{Phase, State};

/// Everything that touches the world; tests replace parts.
pub struct Deps {
    /// Metrics of the process.
    pub registry: Arc<Registry>,
    /// What the threads share.
    pub state: Arc<State>,
    /// The two listeners.
    pub listeners: Listeners,
    /// Makes the network on the data thread.
    pub network: NetworkMaker,
    /// The sinks, started.
    pub sinks: Vec<sink::Started>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Asked to stop, and everything accepted was written or counted.
    Clean,
    /// Asked to stop, and something was not done when the deadline passed.
    DeadlineMissed,
    /// The data thread ended by itself.
    Broken,
}

/// Why it could not begin.
#[derive(Debug, Error)]
pub enum RunError {
    /// A thread could not be started.
    #[error("cannot start the data thread: {0}")]
    Thread(#[source] io::Error),
}

// === impl Deps ===

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("listeners", &self.listeners).field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

impl Deps {
    /// The real world for this configuration. Ports are taken first, so that a second collector touches nothing else. The log should be on: what is
    /// found on disk is told there.
    ///
    /// # Errors
    /// What is taken or cannot be opened, for the operator.
    pub fn real(config: &Config, registry: Arc<Registry>) -> Result<Self, Vec<Diagnostic>> {
        let listeners = Listeners::bind(&config.http)?;
        check_token(config)?;
        let clock = SystemClock::shared();
        let state = State::new(config, Arc::clone(&clock));
        let network = feed::real_network(config, &registry).map_err(|troubles| troubles.into_iter().map(unusable_network).collect::<Vec<_>>())?;
        let sinks = start_sinks(config, &state, &registry, &clock).map_err(|found| vec![*found])?;
        Ok(Self { registry, state, listeners, network, sinks })
    }
}

fn unusable_network(why: String) -> Diagnostic {
    let hint = Text::new(
        "give the path of a readable file; certificates in PEM form, a login as user:password",
        "请给出可读文件的路径；证书为 PEM 格式，登录为 user:password",
    );
    Diagnostic::error("E514", Text::new(format!("a venue cannot be dialed: {why}"), format!("无法连接交易所：{why}"))).hint(hint)
}

/// That `/debug` can be opened by the token, where there is one; a page that turns out closed when it is needed is of no use.
fn check_token(config: &Config) -> Result<(), Vec<Diagnostic>> {
    let Some(file) = &config.http.token_file else { return Ok(()) };
    read_token(file).map(|_| ()).map_err(|error| {
        let file = file.display();
        let message = Text::new(format!("cannot use `http.token_file` {file}: {error}"), format!("无法使用 `http.token_file` {file}：{error}"));
        let hint = Text::new("write it with: openssl rand -hex 24 > FILE", "可用以下命令生成：openssl rand -hex 24 > FILE");
        vec![Diagnostic::error("E520", message).hint(hint)]
    })
}

fn start_sinks(config: &Config, state: &Arc<State>, registry: &Arc<Registry>, clock: &SharedClock) -> Result<Vec<sink::Started>, Box<Diagnostic>> {
    let mut sinks = Vec::new();
    if let Some(recorder) = &config.recorder {
        let dir = recorder.dir.display();
        let started = sink::recorder::start(recorder, &state.streams, registry, Arc::clone(clock)).map_err(|error| {
            let message = Text::new(format!("cannot record into {dir}: {error}"), format!("无法记录到 {dir}：{error}"));
            Box::new(
                Diagnostic::error("E512", message)
                    .hint(Text::new("change `recorder.dir`, or make room there", "请修改 `recorder.dir`，或处理该目录")),
            )
        })?;
        sinks.push(started);
    }
    if config.nats.is_some() {
        let started = sink::nats::start(config, state, registry).map_err(|error| Box::new(no_nats(&error)))?;
        sinks.push(started);
    }
    Ok(sinks)
}

fn no_nats(error: &sink::nats::StartError) -> Diagnostic {
    match error {
        sink::nats::StartError::Setup(error) => {
            Diagnostic::error("E513", Text::new(format!("cannot use `nats`: {error}"), format!("无法使用 `nats`：{error}")))
        }
        sink::nats::StartError::Spool(error) => {
            let message = Text::new(format!("cannot use the spool: {error}"), format!("无法使用 spool：{error}"));
            let hint = Text::new(
                "another collector runs with this directory: stop it, or give this one another `spool.dir`",
                "另一采集器正在使用该目录：请停止它，或为本实例设置其他 `spool.dir`",
            );
            Diagnostic::error("E515", message).hint(hint)
        }
    }
}

/// Runs the collector on the calling (control) runtime until `shutdown` resolves or the data thread ends by itself.
///
/// # Errors
/// When it cannot begin.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>, deps: Deps) -> Result<Outcome, RunError> {
    let Deps { registry, state, listeners, network, sinks } = deps;
    let sink_names: Vec<&'static str> = sinks.iter().map(|started| started.sink.name()).collect();
    let health = Health::new(Arc::clone(&state), &registry, &sink_names, config.http.health_grace);
    let watch = Watch::new(&config.pressure, &state, &registry);
    let debug = Debug::new(config.http.token_file.clone(), watch.findings());
    let pages = Pages::new(Arc::clone(&state), Arc::clone(&registry), (health, debug));
    state.count_tasks_of("main", tokio::runtime::Handle::current());
    let pages_stop = CancellationToken::new();
    let serving = http::serve(listeners, pages, &registry, pages_stop.clone());
    let watching = watch.run(pages_stop.clone());
    let beating = heartbeat::beat(Arc::clone(&state), Arc::clone(&registry), pages_stop.clone());

    let (mut fronts, mut workers) = (Vec::new(), Vec::new());
    for started in sinks {
        fronts.push(started.sink);
        workers.extend(started.worker);
    }
    let intake_stop = CancellationToken::new();
    let deadline = config.shutdown_deadline;
    let (ended, data_done) = oneshot::channel();
    let data =
        DataThread { config, state: Arc::clone(&state), registry: Arc::clone(&registry), network, sinks: fronts, stop: intake_stop.clone(), ended };
    let thread = data.spawn().map_err(RunError::Thread)?;
    state.enter(Phase::Running);

    let work = async {
        let outcome = supervise(Stopping { shutdown, intake_stop, data_done, workers, state: &state, registry: &registry, deadline }).await;
        pages_stop.cancel();
        outcome
    };
    let (outcome, served, (), ()) = tokio::join!(work, serving, watching, beating);
    if let Err(error) = served {
        tracing::error!("the HTTP pages could not be served: {error}");
    }
    if outcome == Outcome::Clean && thread.join().is_err() {
        tracing::error!("the data thread ended by a panic");
    }
    tracing::info!(outcome = ?outcome, "stopped");
    Ok(outcome)
}

/// What stopping needs.
struct Stopping<'a, S> {
    shutdown: S,
    intake_stop: CancellationToken,
    data_done: oneshot::Receiver<()>,
    workers: Vec<Worker>,
    state: &'a State,
    registry: &'a Registry,
    deadline: Duration,
}

async fn supervise<S: Future<Output = ()>>(stopping: Stopping<'_, S>) -> Outcome {
    let Stopping { shutdown, intake_stop, mut data_done, workers, state, registry, deadline } = stopping;
    let mut ends: FuturesUnordered<_> =
        workers.into_iter().map(|worker| async move { (worker.name, worker.done.await.is_ok(), worker.thread) }).collect();
    tokio::pin!(shutdown);
    let broken = loop {
        tokio::select! {
            () = &mut shutdown => break false,
            _ended = &mut data_done => break true,
            Some((name, _, _)) = ends.next() => {
                registry.gauge(&names::SINK_UP, &[name]).set(0.0);
                tracing::error!(sink = name, "the sink has ended by itself; its records are refused from now on");
            }
        }
    };
    state.enter(Phase::Stopping);
    intake_stop.cancel();
    let by = Instant::now() + deadline;
    if broken {
        tracing::error!("the data thread ended by itself");
    } else if timeout_at(by, data_done).await.is_err() {
        tracing::error!(stage = "intake", "not stopped within the deadline");
        return Outcome::DeadlineMissed;
    }
    while let Ok(next) = timeout_at(by, ends.next()).await {
        match next {
            Some((name, in_order, thread)) => {
                // The thread has said that it is done; what is left of it is its return.
                let joined = thread.join().is_ok();
                tracing::info!(sink = name, in_order = in_order && joined, "sink drained");
            }
            None => return if broken { Outcome::Broken } else { Outcome::Clean },
        }
    }
    tracing::error!(stage = "sinks", waiting = ends.len(), "not drained within the deadline");
    Outcome::DeadlineMissed
}
