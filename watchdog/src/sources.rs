//! The tasks that look: one for each target and probe, and the inspection thread. A new configuration stops what left it, starts what is new, and leaves the rest alone.
//!
//! Owns: which of them run. Targets come and go with the files that list them, too; a target whose settings change keeps its series.
//! Must not know: what any of them finds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use promql::labels::Labels;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Job, Probe};
use crate::http_client::{Clients, Settings};
use crate::inspect::{Inspector, Request};
use crate::metrics::list;
use crate::probe;
use crate::reload::{self, Watch};
use crate::scrape::{self, Assignment, blank_view};
use crate::targets::files::Files;
use crate::targets::{self, Found, Target};
use crate::web::view::TargetView;

/// Files are read this long after the last change: writers write in pieces.
const SETTLE: Duration = Duration::from_millis(200);
/// Without files to list targets there is nothing to read again.
const NEVER: Duration = Duration::from_hours(24);

/// What runs now.
#[derive(Debug)]
pub struct Sources {
    configs: mpsc::Sender<Arc<Config>>,
    probe: probe::Surroundings,
    inspector: Inspector,
    tracker: TaskTracker,
    stop: CancellationToken,
    probes: BTreeMap<String, (Probe, CancellationToken)>,
}

/// The scrape targets: who runs, and where they come from.
#[derive(Debug)]
struct Targets {
    around: scrape::Surroundings,
    /// What the page shows of targets not yet scraped.
    shown: mpsc::Sender<Vec<TargetView>>,
    tracker: TaskTracker,
    stop: CancellationToken,
    clients: Clients,
    jobs: Vec<Arc<Job>>,
    files: Files,
    running: BTreeMap<(Labels, String), Running>,
}

#[derive(Debug)]
struct Running {
    assigned: watch::Sender<Assignment>,
    settings: Settings,
    stop: CancellationToken,
}

// === impl Sources ===

impl Sources {
    /// No source yet; all end with `stop`. `shown` is told of every target there is.
    pub fn new(
        scrape: scrape::Surroundings,
        (probe, inspector): (probe::Surroundings, Inspector),
        shown: mpsc::Sender<Vec<TargetView>>,
        stop: CancellationToken,
    ) -> Self {
        let tracker = TaskTracker::new();
        let (configs, from) = mpsc::channel(1);
        let targets = Targets {
            around: scrape,
            shown,
            tracker: tracker.clone(),
            stop: stop.clone(),
            clients: Clients::default(),
            jobs: Vec::new(),
            files: Files::default(),
            running: BTreeMap::new(),
        };
        tracker.spawn(targets.run(from));
        Self { configs, probe, inspector, tracker, stop, probes: BTreeMap::new() }
    }

    /// Lets run what this configuration names.
    pub async fn apply(&mut self, config: &Arc<Config>) {
        // The task ends with `stop` only.
        let _ = self.configs.send(Arc::clone(config)).await;
        self.apply_probes(config);
        self.inspector.ask(Request::Processes(config.processes.clone()));
    }

    fn apply_probes(&mut self, config: &Arc<Config>) {
        let mut before = std::mem::take(&mut self.probes);
        for probe in &config.probes {
            let same = before.remove(&probe.name).filter(|(running, stop)| running == probe || cancelled(stop));
            let running = same.unwrap_or_else(|| {
                let stop = self.stop.child_token();
                self.tracker.spawn(probe::run(probe.clone(), self.probe.clone(), stop.clone()));
                (probe.clone(), stop)
            });
            self.probes.insert(probe.name.clone(), running);
        }
        for (gone, (_, stop)) in before {
            stop.cancel();
            self.probe.metrics.forget(&list::PROBES, &gone);
        }
    }

    /// Waits until every task has ended; `stop` was cancelled.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Stops a source whose configuration changed; it is not the same any more.
fn cancelled(stop: &CancellationToken) -> bool {
    stop.cancel();
    false
}

// === impl Targets ===

impl Targets {
    async fn run(mut self, mut configs: mpsc::Receiver<Arc<Config>>) {
        let (changed, mut changes) = mpsc::channel(1);
        let mut watch = Watch::new(changed);
        loop {
            let refresh = self.jobs.iter().flat_map(|job| &job.discovery.files).map(|one| one.refresh).min().unwrap_or(NEVER);
            tokio::select! {
                () = self.stop.cancelled() => return,
                Some(config) = configs.recv() => {
                    self.configure(&config);
                    watch.set(reload::directories(&self.patterns()));
                    self.sync().await;
                }
                Some(()) = changes.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    while changes.try_recv().is_ok() {}
                    self.sync().await;
                }
                () = tokio::time::sleep(refresh) => self.sync().await,
            }
        }
    }

    fn configure(&mut self, config: &Arc<Config>) {
        for gone in self.jobs.iter().filter(|job| config.jobs.iter().all(|other| other.name != job.name)) {
            for metric in [&list::SCRAPES, &list::TARGETS] {
                self.around.metrics.forget(metric, &gone.name);
            }
        }
        self.jobs.clone_from(&config.jobs);
    }

    fn patterns(&self) -> Vec<PathBuf> {
        self.jobs.iter().flat_map(|job| &job.discovery.files).flat_map(|one| one.patterns.iter().cloned()).collect()
    }

    /// Reads the files again and lets run what they and the configuration list now.
    async fn sync(&mut self) {
        self.read_files().await;
        let mut before = std::mem::take(&mut self.running);
        let (mut wanted, mut views, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for job in self.jobs.clone() {
            let settings = Settings::new(&job.http, &job.base, job.compression);
            let found = self.of(&job);
            for target in &found.targets {
                views.push(blank_view(target));
                let key = (target.labels.clone(), target.url.clone());
                let running = self.assign(target, &settings, before.remove(&key));
                self.running.insert(key, running);
            }
            wanted.push(settings);
            all.push(found);
        }
        self.around.board.found.store(Arc::new(all));
        self.clients.keep(&wanted);
        for gone in before.into_values() {
            gone.stop.cancel();
        }
        // The page's task ends with `stop`.
        let _ = self.shown.send(views).await;
    }

    async fn read_files(&mut self) {
        let wanted: Vec<_> = self.jobs.iter().flat_map(|job| job.discovery.files.clone()).collect();
        let mut files = std::mem::take(&mut self.files);
        let read = tokio::task::spawn_blocking(move || {
            let wrong = files.read(&wanted);
            (files, wrong)
        });
        // Only a panic would lose it; the files are then read anew.
        let (files, wrong) = read.await.unwrap_or_default();
        self.files = files;
        self.around.metrics.set(&list::TARGET_FILES_FAILED, &[], wrong.len() as f64);
        for error in &wrong {
            tracing::warn!(error, "a file of file_sd_configs cannot be used; its targets stay as they were");
        }
    }

    /// The targets of a job, counted; what is wrong with others is in the log.
    fn of(&self, job: &Arc<Job>) -> Found {
        let found = targets::of(job, &self.files.groups(&job.discovery.files));
        for (address, error) in &found.refused {
            tracing::warn!(job = job.name, address, %error, "this is no target");
        }
        for (state, count) in [("active", found.targets.len()), ("dropped", found.dropped), ("refused", found.refused.len())] {
            self.around.metrics.set(&list::TARGETS, &[&job.name, state], count as f64);
        }
        found
    }

    /// A task for this target: the one that has it already, with the settings of now, or a new one.
    fn assign(&mut self, target: &Arc<Target>, settings: &Settings, known: Option<Running>) -> Running {
        let target = Arc::clone(target);
        if let Some(mut running) = known {
            let same = *running.assigned.borrow().target == *target && running.settings == *settings;
            if !same {
                let client = self.clients.get(settings);
                // It runs until it is told to stop, so there is a receiver.
                let _ = running.assigned.send(Assignment { target, client });
                running.settings = settings.clone();
            }
            return running;
        }
        let stop = self.stop.child_token();
        let (assigned, receiver) = watch::channel(Assignment { target, client: self.clients.get(settings) });
        self.tracker.spawn(scrape::run(receiver, self.around.clone(), stop.clone()));
        Running { assigned, settings: settings.clone(), stop }
    }
}
