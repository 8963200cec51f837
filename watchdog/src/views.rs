//! What sources found, for the page: kept by source, shown at most twice a second.
//!
//! Owns: which entry replaces which. Must not know: HTML, engines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use process::limits::Limit;
use process::sockets::TcpState;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Probe};
use crate::inspect::Looked;
use crate::probe::Probed;
use crate::restarts::Message;
use crate::web::Board;
use crate::web::view::{ProbeView, ProcessView, StreamView, TargetView};

/// Between two changes of the page.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Results that may wait; above, the next of the same source tells.
pub const INBOX: usize = 256;

/// Ends of the queues that sources fill.
#[derive(Debug)]
pub struct Inboxes {
    /// Every target there is, as not yet scraped; each time they change.
    pub targets: mpsc::Receiver<Vec<TargetView>>,
    /// Of scrapes.
    pub scrapes: mpsc::Receiver<(TargetView, Vec<StreamView>)>,
    /// Of looks.
    pub looks: mpsc::Receiver<Looked>,
    /// Of probes.
    pub probes: mpsc::Receiver<Probed>,
    /// Configurations as they come into force.
    pub configs: mpsc::Receiver<Arc<Config>>,
}

#[derive(Default)]
struct Kept {
    /// By job, instance and URL.
    targets: BTreeMap<(String, String, String), (TargetView, Vec<StreamView>)>,
    processes: BTreeMap<String, ProcessView>,
    probes: BTreeMap<String, ProbeView>,
    config: Option<Arc<Config>>,
    changed: bool,
}

/// Runs until `stop`; looks and probes are also handed to restarts, who decide by them.
pub async fn run(board: Arc<Board>, mut from: Inboxes, restarts: mpsc::Sender<Message>, stop: CancellationToken) {
    let mut kept = Kept::default();
    let mut show = tokio::time::interval(SHOW_EVERY);
    show.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(config) = from.configs.recv() => kept.configure(config),
            Some(targets) = from.targets.recv() => kept.set_targets(targets),
            Some((view, streams)) = from.scrapes.recv() => kept.scraped(view, streams),
            Some(looked) = from.looks.recv() => {
                kept.looked(&looked);
                // A full inbox drops it: the next look tells the same.
                let _ = restarts.try_send(Message::Looked(looked.name, looked.running));
            }
            Some(probed) = from.probes.recv() => {
                kept.probed(&probed);
                let _ = restarts.try_send(Message::Probed { name: probed.name, begun: probed.begun, success: probed.success });
            }
            // Only when there is something to show: nothing is woken for the rest.
            _ = show.tick(), if kept.changed => kept.show(&board),
        }
    }
}

// === impl Kept ===

impl Kept {
    /// Sources that left the configuration are not shown any more; new ones are, as not yet looked at.
    fn configure(&mut self, config: Arc<Config>) {
        let blank = |probe: &Probe| ProbeView { name: probe.name.clone(), url: probe.url.clone(), ..ProbeView::default() };
        self.probes =
            config.probes.iter().map(|probe| (probe.name.clone(), self.probes.remove(&probe.name).unwrap_or_else(|| blank(probe)))).collect();
        let blank = |name: &str| ProcessView { name: name.to_owned(), ..ProcessView::default() };
        self.processes = config
            .processes
            .iter()
            .map(|process| (process.name.clone(), self.processes.remove(&process.name).unwrap_or_else(|| blank(&process.name))))
            .collect();
        self.config = Some(config);
        self.changed = true;
    }

    fn set_targets(&mut self, targets: Vec<TargetView>) {
        let mut before = std::mem::take(&mut self.targets);
        self.targets = targets.into_iter().map(|blank| (key(&blank), before.remove(&key(&blank)).unwrap_or((blank, Vec::new())))).collect();
        self.changed = true;
    }

    fn scraped(&mut self, view: TargetView, streams: Vec<StreamView>) {
        if let Some(kept) = self.targets.get_mut(&key(&view)) {
            // A failed scrape tells nothing new of the streams.
            kept.1 = if view.up == Some(true) { streams } else { std::mem::take(&mut kept.1) };
            kept.0 = view;
            self.changed = true;
        }
    }

    fn probed(&mut self, probed: &Probed) {
        let config = self.config.as_ref().and_then(|config| config.probes.iter().find(|probe| probe.name == probed.name));
        if let Some(probe) = config {
            self.probes.insert(probed.name.clone(), probed.view(probe));
            self.changed = true;
        }
    }

    fn looked(&mut self, looked: &Looked) {
        if let Some(view) = self.processes.get_mut(&looked.name) {
            *view = process_view(looked);
            self.changed = true;
        }
    }

    fn show(&mut self, board: &Board) {
        self.changed = false;
        board.targets.store(Arc::new(self.targets.values().map(|(view, _)| view.clone()).collect()));
        board.streams.store(Arc::new(self.targets.values().flat_map(|(_, streams)| streams.iter().cloned()).collect()));
        board.probes.store(Arc::new(self.probes.values().cloned().collect()));
        board.processes.store(Arc::new(self.processes.values().cloned().collect()));
    }
}

fn key(view: &TargetView) -> (String, String, String) {
    (view.job.clone(), view.instance.clone(), view.url.clone())
}

fn process_view(looked: &Looked) -> ProcessView {
    let look = &looked.look;
    let Some(running) = &looked.running else { return ProcessView { name: looked.name.clone(), ..ProcessView::default() } };
    let sockets = look.sockets.map(|counts| {
        TcpState::ALL.into_iter().map(|state| (state.as_str().to_owned(), counts.get(state))).filter(|(_, count)| *count > 0).collect()
    });
    ProcessView {
        name: looked.name.clone(),
        pid: i32::try_from(running.identity.pid).ok(),
        state: look.stat.as_ref().and_then(|stat| stat.state).map(|state| state.as_str().to_owned()).unwrap_or_default(),
        started_ms: Some(looked.at_ms.saturating_sub(i64::try_from(running.uptime.as_millis()).unwrap_or(i64::MAX))),
        rss_bytes: look.status.and_then(|status| status.rss_bytes),
        open_fds: look.open_fds,
        max_fds: look.max_fds.and_then(|limit| if let Limit::At(most) = limit { Some(most) } else { None }),
        threads: look.stat.as_ref().map(|stat| stat.threads),
        sockets: sockets.unwrap_or_default(),
    }
}
