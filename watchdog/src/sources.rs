//! The tasks that look: one for each target and probe, and the inspection thread. A new configuration stops what left it, starts what is new, and leaves the rest alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use promql::labels::Labels;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Probe, Target};
use crate::inspect::{Inspector, Request};
use crate::metrics::list;
use crate::{probe, scrape};

/// What runs now.
#[derive(Debug)]
pub struct Sources {
    scrape: scrape::Surroundings,
    probe: probe::Surroundings,
    inspector: Inspector,
    tracker: TaskTracker,
    stop: CancellationToken,
    targets: BTreeMap<(Labels, String), (Target, CancellationToken)>,
    probes: BTreeMap<String, (Probe, CancellationToken)>,
}

// === impl Sources ===

impl Sources {
    /// No source yet; all end with `stop`.
    pub fn new(scrape: scrape::Surroundings, probe: probe::Surroundings, inspector: Inspector, stop: CancellationToken) -> Self {
        Self { scrape, probe, inspector, tracker: TaskTracker::new(), stop, targets: BTreeMap::new(), probes: BTreeMap::new() }
    }

    /// Lets run what this configuration names.
    pub fn apply(&mut self, config: &Arc<Config>) {
        let mut before = std::mem::take(&mut self.targets);
        for target in &config.targets {
            let key = (target.labels.clone(), target.url.clone());
            let same = before.remove(&key).filter(|(running, stop)| running == target || cancelled(stop));
            let running = same.unwrap_or_else(|| {
                let stop = self.stop.child_token();
                self.tracker.spawn(scrape::run(target.clone(), self.scrape.clone(), stop.clone()));
                (target.clone(), stop)
            });
            self.targets.insert(key, running);
        }
        for (_, stop) in before.into_values() {
            stop.cancel();
        }
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
