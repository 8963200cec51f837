//! Looking at processes from outside, on a thread of its own: a target in uninterruptible sleep can block a read of /proc, and that must block nothing else.
//!
//! Owns: which process is followed, when it is looked at, what of /proc is read. Must not know: what the figures mean for anybody.
//! A late look is data: its sample carries the time at which it was taken.

mod find;
pub mod host;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use process::restart::Running;
use process::{Host, Identity, Look};
use promql::labels::Labels;
use rules::Urgency;
use tokio::sync::mpsc;

pub use find::holder_of_port;
pub use look::{glance_at, look_at};

use crate::clock::Clock;
use crate::config::Process;
use crate::metrics::{Registry, list};
use crate::observe::{Sink, Source, named};

/// Requests that may wait for the thread.
const REQUESTS: usize = 64;

/// What the thread is asked.
#[derive(Debug)]
pub enum Request {
    /// Look at these processes from now on.
    Processes(Vec<Process>),
    /// This is the process of that name: it was started by us, or is known from before.
    Follow(String, Identity),
    /// Look now, not at the next slot.
    LookNow(String),
}

/// What a look found.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Name of the process.
    pub name: String,
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// Who it is and how long it runs; `None`: no process matches.
    pub running: Option<Running>,
    /// What was read.
    pub look: Arc<Look>,
}

/// The way to the thread. The thread ends when every handle is dropped.
#[derive(Clone, Debug)]
pub struct Inspector(SyncSender<Request>);

/// Where looks go.
#[derive(Clone, Debug)]
pub struct Outlets {
    /// The rule engine.
    pub sink: Sink,
    /// Restarts and the page.
    pub looks: mpsc::Sender<Looked>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
}

struct Watched {
    process: Process,
    labels: Labels,
    followed: Option<Identity>,
    source: Source,
    next: Instant,
    was_alive: Option<bool>,
}

struct Thread {
    host: Host,
    out: Outlets,
    watched: BTreeMap<String, Watched>,
    /// Who is to be followed under a name that is not watched yet.
    follow: BTreeMap<String, Identity>,
}

// === impl Inspector ===

impl Inspector {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the host does not tell its boot id or no thread can be had.
    pub fn start(out: Outlets) -> std::io::Result<Self> {
        let host = host::read()?;
        let (to, from) = sync_channel(REQUESTS);
        std::thread::Builder::new()
            .name("inspect".into())
            .spawn(move || Thread { host, out, watched: BTreeMap::new(), follow: BTreeMap::new() }.run(&from))?;
        Ok(Self(to))
    }

    /// Asks; a thread that is stuck in a read with a full inbox is not waited for.
    pub fn ask(&self, request: Request) {
        if self.0.try_send(request).is_err() {
            tracing::warn!("the inspection thread does not answer; a request was dropped");
        }
    }
}

// === impl Thread ===

impl Thread {
    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let now = Instant::now();
            let next = self.watched.values().map(|watched| watched.next).min();
            let request = match next {
                Some(next) => requests.recv_timeout(next.saturating_duration_since(now)),
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match request {
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look_at_due();
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Processes(list) => self.set_processes(list),
            Request::Follow(name, identity) => match self.watched.get_mut(&name) {
                Some(watched) => {
                    watched.followed = Some(identity);
                    watched.next = Instant::now();
                }
                None => drop(self.follow.insert(name, identity)),
            },
            Request::LookNow(name) => {
                if let Some(watched) = self.watched.get_mut(&name) {
                    watched.next = Instant::now();
                }
            }
        }
    }

    fn set_processes(&mut self, list: Vec<Process>) {
        let wall_ms = self.out.clock.now().wall_ms;
        let mut before = std::mem::take(&mut self.watched);
        for process in list {
            let known = before.remove(&process.name);
            let labels = Labels::from_pairs([("process", process.name.as_str())]);
            let watched = if let Some(known) = known {
                Watched { followed: known.followed.filter(|_| known.process.matching == process.matching), process, ..known }
            } else {
                let followed = self.follow.remove(&process.name);
                Watched { process, labels, followed, source: Source::default(), next: Instant::now(), was_alive: None }
            };
            self.watched.insert(watched.process.name.clone(), watched);
        }
        // Restarts name processes of the configuration only: what is left over belongs to an older one.
        self.follow.clear();
        for mut gone in before.into_values() {
            self.out.sink.send(gone.source.observe(wall_ms, Vec::new()));
        }
    }

    fn look_at_due(&mut self) {
        let now = Instant::now();
        for watched in self.watched.values_mut().filter(|watched| watched.next <= now) {
            watched.next = now + watched.process.interval;
            look(watched, &self.host, &self.out);
        }
    }
}

fn look(watched: &mut Watched, host: &Host, out: &Outlets) {
    let started = Instant::now();
    let name = watched.process.name.as_str();
    let taken = out.clock.now();
    let found = find::find(&watched.process.matching, watched.followed.as_ref(), host);
    let look = found.map(|found| look_at(found.pid)).unwrap_or_default();
    let alive = look.is_alive();
    watched.followed = if alive { look.stat.as_ref().map(|stat| host.identity(stat)) } else { None };
    let running = watched.followed.clone().map(|identity| Running {
        uptime: host.age(identity.start_ticks, host::since_boot()),
        core_dumping: look.status.and_then(|status| status.core_dumping).unwrap_or(false),
        identity,
    });
    let samples = look.figures(host).into_iter().map(|figure| {
        let labels = named(figure.name, &watched.labels);
        (figure.label.map_or(labels.clone(), |(label, value)| labels.with(label, value)), figure.value, None)
    });
    let mut observation = watched.source.observe(taken.wall_ms, samples.collect());
    if watched.was_alive.is_some_and(|was| was != alive) {
        observation.urgency = Urgency::Urgent;
    }
    watched.was_alive = Some(alive);
    out.sink.send(observation);
    count(name, &look, found.map_or(0, |found| found.matched), &out.metrics);
    out.metrics.set(&list::LOOK_SECONDS, &[name], started.elapsed().as_secs_f64());
    // A full queue drops the look: the next one tells the same.
    let _ = out.looks.try_send(Looked { name: name.to_owned(), at_ms: taken.wall_ms, running, look: Arc::new(look) });
}

fn count(name: &str, look: &Look, matched: usize, metrics: &Registry) {
    let alive = look.is_alive();
    metrics.add(&list::LOOKS, &[name, if alive { "found" } else { "absent" }], 1.0);
    metrics.set(&list::LOOK_MATCHES, &[name], matched as f64);
    for (part, missing) in [
        ("status", look.status.is_none()),
        ("fds", look.open_fds.is_none()),
        ("fd_links", look.descriptors.is_none()),
        ("sockets", look.sockets.is_none()),
    ] {
        metrics.flag(&list::LOOK_UNREADABLE, &[name, part], alive && missing);
    }
}
