//! The service: everything built from a prepared configuration, kept running, reloaded, and ended in order.
//!
//! Owns: which task talks to which, the order of start and end, reloads. Must not know: what any task does.

mod assembly;
mod instance;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use diagnostics::Format;
use rules::EngineOptions;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::assembly::{Assembly, Base};
use crate::clock::Clock;
use crate::config::Config;
use crate::doors::ReloadWish;
use crate::findings::Findings;
use crate::metrics::list;
use crate::prepared::{Flags, Prepared, prepare_with};
use crate::redact::redacted;
use crate::reload::{self, Watch};
use crate::routing::{Deliver, Routes};
use crate::setup::Linked;
use crate::web::view::ReloadView;

/// After this long the end is not waited for any more.
const END_WITHIN: Duration = Duration::from_secs(15);

/// What tests replace.
pub struct Deps {
    /// Clocks.
    pub clock: Arc<dyn Clock>,
    /// Makes the carrier of messages for a configuration whose secret files are relative to this directory.
    pub deliver: Box<dyn Fn(PathBuf) -> anyhow::Result<Arc<dyn Deliver>> + Send + Sync>,
    /// Each message is a SIGHUP.
    pub hangups: mpsc::Receiver<()>,
}

/// What runs, and what a reload needs.
struct Service {
    path: PathBuf,
    flags: Flags,
    config: Arc<Config>,
    assembly: Assembly,
    deps: Deps,
    watch: Watch,
    patterns: Vec<PathBuf>,
    fingerprint: u64,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Runs until `shutdown`, then ends in order: sources, engines, messages under way. Children are left running.
///
/// # Errors
/// When it cannot start (data directory, port, another instance), or a task that must run has ended.
pub async fn run(prepared: Prepared, shutdown: CancellationToken, deps: Deps) -> anyhow::Result<()> {
    let config = prepared.config.clone();
    // Held until the end: a second instance would restart the same children.
    let _instance = instance::only(&config.data_dir)?;
    let listener = listen(&config).await?;
    // Memory of this process holds tokens: no core dumps, no reading by others of the same user.
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process stays dumpable");
    }
    let (changed, mut changes) = mpsc::channel(1);
    let (wish, mut wishes) = mpsc::channel::<ReloadWish>(4);
    let fingerprint = reload::fingerprint_of(&prepared.findings.sources);
    let routes = routes(prepared.routes, &deps)?;
    let base = Base {
        config: config.clone(),
        clock: deps.clock.clone(),
        metrics: Arc::default(),
        board: Arc::default(),
        facts: Arc::default(),
        history: Arc::default(),
    };
    let assembly = assembly::start(base, (prepared.rules, routes), listener, wish).await?;
    let (path, flags) = (config.path.clone(), prepared.flags);
    let mut service = Service { path, flags, config, assembly, deps, watch: Watch::new(changed), fingerprint, patterns: prepared.patterns };
    service.show_config(&prepared.findings);
    service.in_force(true);
    let mut compare = tokio::time::interval(reload::COMPARE_EVERY);
    let ended = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            ended = service.assembly.first_to_end() => break Err(ended),
            Some(()) = service.deps.hangups.recv() => drop(service.reload().await),
            Some(wish) = wishes.recv() => {
                // Who asked may have gone.
                let _ = wish.send(service.reload().await);
            }
            Some(()) = changes.recv() => {
                tokio::time::sleep(reload::SETTLE).await;
                while changes.try_recv().is_ok() {}
                service.reload_if_changed().await;
            }
            _ = compare.tick() => service.reload_if_changed().await,
        }
    };
    let end = service.assembly.end();
    if tokio::time::timeout(END_WITHIN, end).await.is_err() {
        tracing::error!("not everything ended in time");
    }
    ended
}

// === impl Service ===

impl Service {
    async fn reload_if_changed(&mut self) {
        let patterns = self.patterns.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || reload::fingerprint(&patterns)).await else { return };
        if now == self.fingerprint {
            self.assembly.metrics.add(&list::RELOADS, &["unchanged"], 1.0);
            return;
        }
        // The text of the error is on the page, in the log and in a metric.
        let _ = self.reload().await;
    }

    /// Reads everything again; all of it comes into force, or nothing does and the old stays.
    async fn reload(&mut self) -> Result<(), String> {
        let (path, flags) = (self.path.clone(), self.flags);
        let patterns = self.patterns.clone();
        let work = tokio::task::spawn_blocking(move || (reload::fingerprint(&patterns), prepare_with(&path, flags)));
        let (before, prepared) = work.await.map_err(|error| error.to_string())?;
        self.fingerprint = before;
        let result = match prepared {
            Ok(prepared) => self.apply(prepared).await.map_err(|error| format!("{error:#}")),
            Err(findings) => Err(findings.render(self.config.lang, Format::Text)),
        };
        match &result {
            Ok(()) => {
                tracing::info!("the configuration was read again and is in force");
                self.assembly.metrics.add(&list::RELOADS, &["ok"], 1.0);
                self.in_force(true);
            }
            Err(error) => {
                tracing::error!(error, "the configuration was refused; the one before stays in force");
                self.assembly.metrics.add(&list::RELOADS, &["failed"], 1.0);
                self.assembly.metrics.flag(&list::RELOAD_SUCCESSFUL, &[], false);
                let view = ReloadView { error: error.clone(), ..(**self.assembly.board.reload.load()).clone() };
                self.assembly.board.reload.store(Arc::new(view));
            }
        }
        result
    }

    async fn apply(&mut self, prepared: Prepared) -> anyhow::Result<()> {
        let config = prepared.config;
        let routes = routes(prepared.routes, &self.deps)?;
        for (what, same) in [
            ("data_dir", config.data_dir == self.config.data_dir),
            ("web", config.web == self.config.web),
            ("storage", config.storage == self.config.storage),
        ] {
            if !same {
                tracing::warn!(what, "this part of the configuration changes with the next start only");
            }
        }
        self.assembly.configure(&config, (prepared.rules, routes)).await;
        self.config = config;
        self.show_config(&prepared.findings);
        self.fingerprint = reload::fingerprint_of(&prepared.findings.sources);
        self.patterns = prepared.patterns;
        Ok(())
    }

    /// What the API shows of the configuration.
    fn show_config(&self, findings: &Findings) {
        let text = findings.sources.get(&shown(&self.path)).map_or("", String::as_str);
        self.assembly.facts.config.store(Arc::new(Some((self.config.clone(), redacted(text)))));
    }

    /// Tells that this configuration is in force, and watches its files.
    fn in_force(&mut self, successful: bool) {
        self.watch.set(reload::directories(&self.patterns));
        let now_ms = self.deps.clock.now().wall_ms;
        let metrics = &self.assembly.metrics;
        metrics.flag(&list::RELOAD_SUCCESSFUL, &[], successful);
        metrics.set(&list::RELOAD_TIME, &[], now_ms as f64 / 1000.0);
        let rule_files = self.config.rule_files.iter().map(|pattern| pattern.display().to_string()).collect();
        self.assembly.board.reload.store(Arc::new(ReloadView { at_ms: now_ms, error: String::new(), rule_files }));
        self.assembly.doors.ready.store(true, Ordering::Relaxed);
    }
}

/// The options of the rule engine that a configuration means.
fn engine_options(config: &Config) -> EngineOptions {
    let interval_ms = i64::try_from(config.global.evaluation_interval.as_millis()).unwrap_or(i64::MAX);
    let mut options = EngineOptions {
        evaluation_interval_ms: interval_ms,
        query_offset_ms: i64::try_from(config.global.query_offset.as_millis()).unwrap_or(i64::MAX),
        external_labels: config.global.external_labels.clone(),
        external_url: config.external_url(),
        ..EngineOptions::default()
    };
    options.eval.default_step_ms = interval_ms;
    options.eval.lookback_ms = i64::try_from(config.query.lookback.as_millis()).unwrap_or(i64::MAX);
    options
}

fn routes(linked: Option<Linked>, deps: &Deps) -> anyhow::Result<Option<Routes>> {
    linked.map(|linked| Ok(Routes { setup: linked.setup, deliver: (deps.deliver)(linked.base)? })).transpose()
}

/// Opens the port. When it is taken, the message says by whom, and which option chooses another.
async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.web.listen;
    TcpListener::bind(address).await.with_context(|| {
        let holder = crate::inspect::holder_of_port(address.port());
        let holder = holder.map_or_else(String::new, |(pid, command)| format!("; process {pid} ({command}) listens there"));
        format!("cannot listen on {address}{holder}; choose another address with web.listen in {}", shown(&config.path))
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
