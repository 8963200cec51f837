//! The task: messages in, arbiters asked, effects done in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use process::Identity;
use process::restart::{Arbiter, Cause, Effect, Health, Input, Report, Running, Saved, Stage, Step};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::store::Store;
use super::{Message, Surroundings, child, evidence, outcome};
use crate::config::Restart;
use crate::inspect::{Request as Look, host};
use crate::metrics::list;
use crate::pidfd;
use crate::routing;
use crate::web::Switch;
use crate::web::view::RestartView;

/// Entries the page shows.
const SHOWN: usize = 50;
/// How often a verification looks whether data progresses, and a restart under way asks for a look.
const VERIFY_EVERY: Duration = Duration::from_secs(1);
/// How often output files are held to their bound.
const OUTPUT_EVERY: Duration = Duration::from_mins(1);

/// One restart target.
struct Target {
    config: Restart,
    arbiter: Arbiter,
    /// The process whose end is being waited for.
    watched: Option<Identity>,
    /// When the present process was first known, on the monotonic clock: older probes tell of its predecessor.
    known_since: Duration,
}

struct Service {
    around: Surroundings,
    store: Store,
    inbox: mpsc::Sender<Message>,
    targets: BTreeMap<String, Target>,
    /// Children to be reaped, by pid.
    children: BTreeMap<u32, Child>,
    shown: VecDeque<RestartView>,
}

/// Runs until `stop`. `restarts` is the configuration at the start; `inbox` is both ends of the task's queue.
///
/// # Errors
/// When no thread can be had for the disk.
pub async fn run(
    restarts: Vec<Restart>,
    around: Surroundings,
    inbox: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    stop: CancellationToken,
) -> std::io::Result<()> {
    let store = Store::start(around.data_dir.join("restarts"), around.metrics.clone())?;
    let (to, mut from) = inbox;
    let mut service = Service { around, store, inbox: to, targets: BTreeMap::new(), children: BTreeMap::new(), shown: VecDeque::new() };
    service.configure(restarts).await;
    let mut verify = tokio::time::interval(VERIFY_EVERY);
    verify.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut output = tokio::time::interval(OUTPUT_EVERY);
    loop {
        let wake = service.until_wake();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            message = from.recv() => match message {
                Some(message) => service.take(message).await,
                None => return Ok(()),
            },
            () = tokio::time::sleep(wake) => service.tick().await,
            _ = verify.tick(), if service.is_restarting() => service.verify(),
            _ = output.tick() => service.bound_output(),
        }
        service.measure();
    }
}

// === impl Service ===

impl Service {
    async fn configure(&mut self, restarts: Vec<Restart>) {
        let wanted: BTreeSet<String> = restarts.iter().map(|restart| restart.name.clone()).collect();
        // A target that leaves the configuration is left alone, its process too; its state stays on disk.
        self.targets.retain(|name, _| wanted.contains(name));
        for config in restarts {
            let name = config.name.clone();
            if let Some(target) = self.targets.get_mut(&name) {
                target.arbiter.set_policy(config.policy.clone());
                target.config = config;
                continue;
            }
            let saved = self.store.load(&name);
            self.add(name, config, saved).await;
        }
    }

    /// A new target. Our former self's process is asked for by its identity; only when it is gone does matching decide who it is.
    async fn add(&mut self, name: String, config: Restart, saved: Saved) {
        let believed = saved.process.clone();
        let process = config.process.clone();
        let arbiter = Arbiter::new(name.clone(), config.policy.clone(), saved);
        self.targets.insert(name.clone(), Target { config, arbiter, watched: None, known_since: Duration::ZERO });
        match believed.and_then(|identity| alive(&identity)) {
            Some(running) => {
                tracing::info!(restart = name, process = %running.identity, "adopted");
                self.around.inspector.ask(Look::Follow(process, running.identity.clone()));
                self.feed(&name, Input::Seen(Some(running))).await;
            }
            None => self.around.inspector.ask(Look::LookNow(process)),
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Ask { name, request, answer } => {
                let known = self.targets.contains_key(&name);
                self.feed(&name, Input::Ask(request)).await;
                // Nobody waits any more when the asking connection is gone; the wish stands.
                let _ = answer.send(known);
            }
            Message::Switch { name, to, answer } => {
                let known = self.targets.contains_key(&name);
                self.switch(&name, to).await;
                // As above.
                let _ = answer.send(known);
            }
            Message::Settled(incidents) => {
                for name in self.names() {
                    self.feed(&name, Input::Settled(incidents.clone())).await;
                }
            }
            Message::Looked(process, running) => {
                for name in self.names_of(|target| target.config.process == process) {
                    self.feed(&name, Input::Seen(running.clone())).await;
                }
            }
            Message::Probed { name: probe, begun, success } => self.probed(&probe, begun, success).await,
            Message::Configure(restarts) => self.configure(restarts).await,
            Message::Done(name, input) => self.feed(&name, input).await,
            Message::Exited(name, identity) => self.exited(&name, identity).await,
        }
    }

    async fn switch(&mut self, name: &str, to: Switch) {
        let (input, state) = match to {
            Switch::Hold => (Input::Hold, "held"),
            Switch::Release => (Input::Release, "released"),
        };
        self.feed(name, input).await;
        if let Some(process) = self.targets.get(name).map(|target| target.config.process.clone()) {
            tracing::warn!(restart = name, state, "restarts were switched by a person");
            let (at_ms, cause) = (self.around.clock.now().wall_ms, Cause::Operator.as_str().to_owned());
            self.push(RestartView { at_ms, process, cause, state: state.to_owned(), detail: name.to_owned() });
        }
    }

    async fn tick(&mut self) {
        for name in self.names() {
            self.feed(&name, Input::Tick).await;
        }
    }

    async fn exited(&mut self, name: &str, identity: Identity) {
        if let Some(mut child) = self.children.remove(&identity.pid) {
            // It has ended, so this returns at once.
            match child.wait() {
                Ok(status) => tracing::warn!(restart = name, process = %identity, %status, "the child has ended"),
                Err(error) => tracing::warn!(restart = name, process = %identity, %error, "the child has ended; its status cannot be read"),
            }
        }
        if let Some(target) = self.targets.get_mut(name).filter(|target| target.watched.as_ref() == Some(&identity)) {
            target.watched = None;
        }
        self.feed(name, Input::Exited(identity)).await;
        if let Some(target) = self.targets.get(name) {
            self.around.inspector.ask(Look::LookNow(target.config.process.clone()));
        }
    }

    async fn probed(&mut self, probe: &str, begun: Duration, success: bool) {
        for name in self.names_of(|target| target.config.verify_probe.as_deref() == Some(probe) && target.known_since <= begun) {
            let Some(of) = self.targets.get(&name).and_then(|target| target.arbiter.process()).map(|running| running.identity.clone()) else {
                continue;
            };
            self.feed(&name, Input::Health(Health { of, probe: Some(success), progress: None })).await;
        }
    }

    fn is_restarting(&self) -> bool {
        self.targets.values().any(|target| target.arbiter.intent().is_some())
    }

    /// While a restart is verified: does data progress? While one is under way: who runs now?
    fn verify(&self) {
        for (name, target) in &self.targets {
            let Some(intent) = target.arbiter.intent() else { continue };
            self.around.inspector.ask(Look::LookNow(target.config.process.clone()));
            let (Step::Verifying(Some(of)), Some(expr)) = (&intent.step, &target.config.verify_expr) else { continue };
            let (progress, inbox, name, of) = ((self.around.progress)(expr.clone()), self.inbox.clone(), name.clone(), of.clone());
            tokio::spawn(async move {
                if let Some(progress) = progress.await {
                    let health = Health { of, probe: None, progress: Some(progress) };
                    // A full inbox drops this answer; the next second asks again.
                    let _ = inbox.try_send(Message::Done(name, Input::Health(health)));
                }
            });
        }
    }

    /// One input to one arbiter, its effects, and what follows from them at once.
    async fn feed(&mut self, name: &str, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.around.clock.now();
            let Some(target) = self.targets.get_mut(name) else { return };
            for effect in target.arbiter.handle(now, input) {
                self.perform(name, effect, &mut inputs).await;
            }
            self.watch(name);
        }
    }

    async fn perform(&mut self, name: &str, effect: Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            Effect::Persist(saved) => self.store.save(name, &saved).await,
            Effect::Evidence(of) => self.gather(name, of),
            Effect::Signal(to, signal) => {
                let result = pidfd::signal(&to, signal);
                tracing::warn!(restart = name, process = %to, signal = signal.as_str(), ?result, "signal");
                inputs.push_back(Input::Signalled(signal, result));
            }
            Effect::Start => self.start(name).await,
            Effect::Tell(report) => {
                if report.stage.is_outcome() {
                    inputs.push_back(Input::Told(report.attempt));
                }
                self.tell(*report);
            }
        }
    }

    fn gather(&self, name: &str, of: Identity) {
        let Some(target) = self.targets.get(name) else { return };
        let within = target.config.policy.evidence_within;
        let attempt = target.arbiter.intent().map_or(0, |intent| intent.attempt);
        let (dir, output) = (self.around.data_dir.join("evidence"), child::output_path(&self.around.data_dir, name));
        let (inbox, name) = (self.inbox.clone(), name.to_owned());
        tokio::spawn(async move {
            let title = name.clone();
            let work = tokio::task::spawn_blocking(move || evidence::gather(&dir, &title, attempt, &of, &output));
            match tokio::time::timeout(within, work).await {
                Ok(Ok(Ok(path))) => tracing::info!(restart = name, path = %path.display(), "evidence kept"),
                Ok(Ok(Err(error))) => tracing::warn!(restart = name, %error, "evidence not kept"),
                Ok(Err(_)) | Err(_) => tracing::warn!(restart = name, "evidence not complete in time"),
            }
            // The task has ended when nobody listens.
            let _ = inbox.send(Message::Done(name, Input::EvidenceDone)).await;
        });
    }

    async fn start(&mut self, name: &str) {
        let Some(target) = self.targets.get(name) else { return };
        let (config, data_dir) = (target.config.clone(), self.around.data_dir.clone());
        let process = config.process.clone();
        let started = tokio::task::spawn_blocking(move || child::start(&config, &data_dir)).await;
        let result = match started {
            Ok(Ok(started)) => {
                tracing::info!(restart = name, process = %started.running.identity, "started");
                self.around.inspector.ask(Look::Follow(process, started.running.identity.clone()));
                self.children.insert(started.running.identity.pid, started.child);
                Ok(started.running)
            }
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.to_string()),
        };
        // Through the inbox: the effects of this batch come first. The inbox may be full of looks, which are dropped for it.
        let (inbox, name) = (self.inbox.clone(), name.to_owned());
        tokio::spawn(async move {
            let _ = inbox.send(Message::Done(name, Input::Started(result))).await;
        });
    }

    fn tell(&mut self, report: Report) {
        let stage = report.stage.as_str();
        let reason = report.stage.reason();
        self.around.metrics.add(&list::RESTARTS, &[&report.target, stage, reason], 1.0);
        let incidents: Vec<&str> = report.request.incidents.iter().map(String::as_str).collect();
        let incidents = incidents.join(" ");
        tracing::warn!(
            restart = report.target,
            stage,
            reason,
            attempt = report.attempt,
            cause = report.request.cause.as_str(),
            alert = report.request.alert,
            incidents,
            "restart"
        );
        let process = self.targets.get(&report.target).map(|target| target.config.process.clone()).unwrap_or_default();
        let now_ms = self.around.clock.now().wall_ms;
        let quiet = report.request.cause == Cause::FirstStart && report.stage == Stage::Verified;
        if report.stage.is_news() && !quiet {
            let news = outcome::news(&report, &process, self.around.lang);
            if self.around.outcomes.try_send(routing::Input::Announce(Box::new(news))).is_err() {
                tracing::error!(restart = report.target, stage, "the outcome could not be handed to the router");
            }
        }
        if report.stage != Stage::Joined && report.stage.reason() != "already_served" {
            self.show(&report, process, now_ms);
        }
    }

    fn show(&mut self, report: &Report, process: String, at_ms: i64) {
        let state = if report.stage == Stage::Verified { "succeeded" } else { report.stage.as_str() };
        let pids: Vec<String> = [&report.old, &report.new].into_iter().flatten().map(|identity| identity.pid.to_string()).collect();
        let evidence = evidence::path(&self.around.data_dir.join("evidence"), &report.target, report.attempt);
        let evidence = if evidence.exists() { evidence.display().to_string() } else { String::new() };
        let parts = [report.stage.reason().to_owned(), pids.join(" → "), evidence];
        let detail = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        self.push(RestartView { at_ms, process, cause: report.request.alert.clone(), state: state.to_owned(), detail });
    }

    fn push(&mut self, view: RestartView) {
        self.shown.truncate(SHOWN - 1);
        self.shown.push_front(view);
        self.around.board.restarts.store(Arc::new(self.shown.iter().cloned().collect()));
    }

    /// Waits for the end of whichever process the arbiter now knows.
    fn watch(&mut self, name: &str) {
        let now = self.around.clock.now().mono;
        let Some(target) = self.targets.get_mut(name) else { return };
        let Some(identity) = target.arbiter.process().map(|running| running.identity.clone()) else { return };
        if target.watched.as_ref() == Some(&identity) {
            return;
        }
        target.watched = Some(identity.clone());
        target.known_since = now;
        let (inbox, name) = (self.inbox.clone(), name.to_owned());
        tokio::spawn(async move {
            if let Err(error) = pidfd::ended(&identity).await {
                // Without a handle the end is seen by the next look only.
                tracing::error!(restart = name, process = %identity, %error, "the end of this process cannot be waited for");
                while alive(&identity).is_some() {
                    tokio::time::sleep(VERIFY_EVERY).await;
                }
            }
            let _ = inbox.send(Message::Exited(name, identity)).await;
        });
    }

    fn bound_output(&self) {
        for name in self.targets.keys() {
            let path = child::output_path(&self.around.data_dir, name);
            tokio::task::spawn_blocking(move || {
                if let Err(error) = child::bound_output(&path) {
                    tracing::warn!(path = %path.display(), %error, "the output of a child cannot be bounded");
                }
            });
        }
    }

    fn until_wake(&self) -> Duration {
        let now = self.around.clock.now().mono;
        let next = self.targets.values().filter_map(|target| target.arbiter.next_wake()).min();
        next.map_or(Duration::from_hours(1), |at| at.saturating_sub(now))
    }

    fn measure(&self) {
        let now = self.around.clock.now();
        let metrics = &self.around.metrics;
        let waiting = self.inbox.max_capacity().saturating_sub(self.inbox.capacity());
        metrics.set(&list::QUEUE_LENGTH, &["restarts"], waiting as f64);
        let held = self.targets.iter().filter(|(_, target)| target.arbiter.is_held()).map(|(name, _)| name.clone());
        self.around.board.held.store(Arc::new(held.collect()));
        for (name, target) in &self.targets {
            let (hour, day) = target.arbiter.attempts(now);
            metrics.set(&list::RESTART_ATTEMPTS, &[name, "hour"], hour as f64);
            metrics.set(&list::RESTART_ATTEMPTS, &[name, "day"], day as f64);
            metrics.flag(&list::RESTART_HELD, &[name], target.arbiter.is_held());
            metrics.flag(&list::RESTART_ACTIVE, &[name], target.arbiter.intent().is_some());
        }
    }

    fn names(&self) -> Vec<String> {
        self.targets.keys().cloned().collect()
    }

    fn names_of(&self, wanted: impl Fn(&Target) -> bool) -> Vec<String> {
        self.targets.iter().filter(|(_, target)| wanted(target)).map(|(name, _)| name.clone()).collect()
    }
}

/// The process of this identity, if it still lives.
fn alive(identity: &Identity) -> Option<Running> {
    let look = crate::inspect::look_at(identity.pid);
    let stat = look.stat.as_ref().filter(|stat| look.is_alive() && stat.start_ticks == identity.start_ticks)?;
    let host = host::read().ok().filter(|host| host.boot_id == identity.boot_id)?;
    let core_dumping = look.status.and_then(|status| status.core_dumping).unwrap_or(false);
    Some(Running { identity: host.identity(stat), uptime: host.age(stat.start_ticks, host::since_boot()), core_dumping })
}
