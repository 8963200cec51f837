//! The rule engine's task: observations in, alerts out, in the order "on disk, then handed on".
//!
//! Owns: the turn and its timer, the journal of alert states, the questions of others (does this expression have a result?), what the page shows of rules.
//! Must not know: what a rule means (`crates/rules`), who is told (`routing`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use promql::eval::Value;
use promql::series::Ceilings;
use router::alert::PostedAlert;
use rules::{Alert, Effects, EngineOptions, Event, Needs, Observation, Record, RuleEngine, RuleSet};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::forward;
use crate::journal::Journal;
use crate::metrics::{Registry, list};
use crate::queries::Present;
use crate::restarts::{self, Message};
use crate::routing;
use crate::storage::{self, History, Recalled, Storage};
use crate::web::Board;
use crate::web::view::StorageView;

/// Observations that may wait; above, one is dropped and counted, as a missed scrape is.
pub const OBSERVATIONS: usize = 256;
/// Questions that may wait.
pub const QUESTIONS: usize = 32;
/// Observations taken in between two turns.
const AT_ONCE: usize = 64;
/// Between two views of the rules that nobody asked for: what metrics tell of them is taken from there.
const SHOW_EVERY: Duration = Duration::from_secs(15);
/// Between two views however often the page is asked for: a view looks every selector of every rule up.
const SHOW_AGAIN: Duration = Duration::from_secs(1);
/// The longest the task sleeps: what came back from the disk is taken in then.
const WAKE_EVERY: Duration = Duration::from_secs(5);

/// What the task is asked besides observations.
#[derive(Debug)]
pub enum Question {
    /// Whether the expression has a result now; `None` when it cannot be evaluated.
    HasResult(String, oneshot::Sender<Option<bool>>),
    /// The series as they are now, for a reader on another thread.
    Series(oneshot::Sender<Present>),
    /// These rules and options from now on.
    Configure(RuleSet, Box<EngineOptions>),
}

/// What the task needs.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// Where alerts go.
    pub router: mpsc::Sender<routing::Input>,
    /// Where alerts go besides: Alertmanagers of the configuration.
    pub forward: mpsc::Sender<forward::Input>,
    /// Who is told that an incident is over.
    pub restarts: mpsc::Sender<Message>,
    /// The page.
    pub board: Arc<Board>,
    /// Series on disk, for readers.
    pub history: Arc<History>,
}

/// The rules at the start.
#[derive(Debug)]
pub struct Start {
    /// Rules.
    pub rules: RuleSet,
    /// Intervals, labels, links.
    pub options: EngineOptions,
    /// Bounds of the series in memory.
    pub ceilings: Ceilings,
    /// Bounds of the series on disk.
    pub bounds: Bounds,
}

/// Bounds of the series on disk.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How far back.
    pub retention: Duration,
    /// Bytes.
    pub size: u64,
}

struct Task {
    around: Surroundings,
    journal: Journal,
    storage: Storage,
    engine: RuleEngine,
    shown: Option<Instant>,
    counted: Counted,
    /// History that new rules look back on, on its way from the disk.
    recalled: Option<oneshot::Receiver<Recalled>>,
}

/// What the counters have of the engine's figures.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    evaluations: u64,
    failures: u64,
    missed: u64,
    evicted: u64,
    lost: u64,
}

/// Runs until `stop`; the last state of every alert is then on disk.
///
/// # Errors
/// When no thread can be had for the journal.
pub async fn run(
    start: Start,
    around: Surroundings,
    mut observations: mpsc::Receiver<Observation>,
    mut questions: mpsc::Receiver<Question>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let (journal, records) = Journal::open::<Record>("alerts", around.data_dir.join("alerts"), around.metrics.clone())?;
    let Bounds { retention, size } = start.bounds;
    let storage = Storage::start(&around.data_dir, retention, size, (around.metrics.clone(), around.history.clone()))?;
    let needs = Needs::of(start.rules.groups.iter().map(|group| &**group), &start.options);
    let restored = storage.restore(Ceilings { retention_ms: needs.retention_ms, ..start.ceilings }, needs.reaches).await;
    let now = around.clock.now();
    let mut engine = RuleEngine::resume(start.rules, restored, start.options, now);
    engine.restore(now, records);
    let mut task = Task { around, journal, storage, engine, shown: None, counted: Counted::default(), recalled: None };
    let board = Arc::clone(&task.around.board);
    let mut waiting = Vec::with_capacity(AT_ONCE);
    loop {
        let more = task.turn().await;
        let wait = if more { Duration::ZERO } else { task.until_wake() };
        tokio::select! {
            () = stop.cancelled() => break,
            count = observations.recv_many(&mut waiting, AT_ONCE) => {
                if count == 0 {
                    break;
                }
            }
            Some(question) = questions.recv() => task.answer(question),
            () = board.wish.next() => task.show(SHOW_AGAIN),
            () = tokio::time::sleep(wait) => {}
        }
        for observation in waiting.drain(..) {
            task.observe(observation);
        }
    }
    let state = task.engine.snapshot(task.around.clock.now());
    task.journal.snapshot(&state).await;
    task.storage.end(task.engine.store(), task.engine.offset_ms()).await;
    Ok(())
}

// === impl Task ===

impl Task {
    fn observe(&mut self, observation: Observation) {
        let observed = self.engine.observe(self.around.clock.now(), observation);
        if observed.over_limit > 0 {
            self.around.metrics.add(&list::SERIES_REFUSED, &[], observed.over_limit as f64);
        }
    }

    fn answer(&mut self, question: Question) {
        let now = self.around.clock.now();
        match question {
            Question::HasResult(expr, answer) => {
                let result = self.engine.query(now, &expr, None);
                let result = result.inspect_err(|error| tracing::warn!(expr, error, "an expression cannot be evaluated")).ok();
                // Who asked may have stopped waiting.
                let _ = answer.send(result.map(|answer| has_result(&answer.value)));
            }
            Question::Series(answer) => {
                let (series, offset_ms) = self.engine.series_now();
                let _ = answer.send(Present { series, offset_ms, whole_from_ms: self.engine.store().whole_from_ms() });
            }
            Question::Configure(rules, options) => {
                self.engine.set_options(*options);
                self.engine.reload(now, rules);
                self.recalled = Some(self.storage.recall(self.engine.store()));
            }
        }
    }

    /// One turn and its effects in order; whether there is more to do at once.
    async fn turn(&mut self) -> bool {
        let started = Instant::now();
        let clock = &self.around.clock;
        let mut effects = self.engine.turn_timed(clock.now(), &|| clock.now().mono);
        self.around.metrics.observe(&list::TURN_SECONDS, &["rules"], started.elapsed());
        let (more, iterations) = (effects.more, std::mem::take(&mut effects.iterations));
        self.perform(effects).await;
        let handed_on = self.around.clock.now().mono;
        for iteration in iterations {
            self.around.metrics.observe(&list::RULE_GROUP_SECONDS, &[], iteration.took);
            self.around.metrics.observe(&list::RULE_GROUP_DELAY, &[], handed_on.saturating_sub(iteration.due));
        }
        self.keep();
        self.measure();
        self.show(SHOW_EVERY);
        more
    }

    /// Hands the disk what is due, and takes back what came from it.
    fn keep(&mut self) {
        if let Some(recalled) = &mut self.recalled
            && let Ok(recalled) = recalled.try_recv()
        {
            storage::put_back(self.engine.store_mut(), recalled);
            self.recalled = None;
        }
        let mono = self.around.clock.now().mono;
        let offset_ms = self.engine.offset_ms();
        self.storage.keep(mono, self.engine.store_mut(), offset_ms);
    }

    async fn perform(&mut self, effects: Effects) {
        self.journal.append(&effects.persist).await;
        if self.journal.wants_snapshot() {
            let state = self.engine.snapshot(self.around.clock.now());
            self.journal.snapshot(&state).await;
        }
        effects.events.iter().for_each(tell);
        if effects.alerts.is_empty() {
            return;
        }
        let posted: Vec<PostedAlert> = effects.alerts.iter().map(posted).collect();
        let over: BTreeSet<String> =
            effects.alerts.iter().zip(&posted).filter(|(alert, _)| alert.resolved).map(|(alert, posted)| incident(alert, posted)).collect();
        if !over.is_empty() {
            // A full inbox drops it; a waiting restart then finds its alert gone only by the process's new age.
            let _ = self.around.restarts.try_send(Message::Settled(over));
        }
        // A full inbox drops them: the engine sends every alert again within a minute.
        let _ = self.around.forward.try_send(forward::Input::Alerts(Arc::new(posted.clone())));
        // The router's task has ended when nobody listens.
        let _ = self.around.router.send(routing::Input::Alerts(posted)).await;
    }

    fn until_wake(&self) -> Duration {
        let now = self.around.clock.now().mono;
        self.engine.next_wake().map_or(WAKE_EVERY, |at| at.saturating_sub(now)).min(WAKE_EVERY)
    }

    fn measure(&mut self) {
        let (figures, metrics) = (self.engine.figures(), &self.around.metrics);
        let held = self.engine.store().stats();
        let now = Counted {
            evaluations: figures.evaluations,
            failures: figures.failures,
            missed: figures.missed,
            evicted: held.counters.evicted_chunks,
            lost: held.counters.lost_chunks,
        };
        let before = std::mem::replace(&mut self.counted, now);
        for (metric, now, before) in [
            (&list::RULE_EVALUATIONS, now.evaluations, before.evaluations),
            (&list::RULE_FAILURES, now.failures, before.failures),
            (&list::RULE_MISSED, now.missed, before.missed),
            (&list::STORE_EVICTED, now.evicted, before.evicted),
            (&list::STORE_LOST, now.lost, before.lost),
        ] {
            metrics.add(metric, &[], now.saturating_sub(before) as f64);
        }
        metrics.set(&list::ALERTS, &["pending"], figures.pending as f64);
        metrics.set(&list::ALERTS, &["firing"], figures.firing as f64);
        metrics.set(&list::QUEUE_LENGTH, &["alerts"], figures.queued as f64);
        metrics.set(&list::SERIES, &[], held.series as f64);
        metrics.set(&list::STORE_BYTES, &[], held.memory_bytes as f64);
        metrics.set(&list::KEPT_BYTES, &[], figures.kept_bytes as f64);
        metrics.set(&list::KEPT_BYTES_MAX, &[], figures.kept_bytes_max as f64);
    }

    /// What the metrics say of series on disk.
    fn storage_view(&self) -> StorageView {
        let read = |metric, labels: &[&str]| self.around.metrics.get(metric, labels);
        let whole = |value: Option<f64>| Duration::try_from_secs_f64(value.unwrap_or(0.0)).unwrap_or_default().as_secs();
        let oldest_ms = read(&list::STORAGE_OLDEST, &[]).map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis());
        StorageView {
            ok: read(&list::STORAGE_OK, &[]) == Some(1.0),
            bytes: read(&list::STORAGE_BYTES, &[]).map(|bytes| whole(Some(bytes))),
            oldest_ms: oldest_ms.and_then(|ms| i64::try_from(ms).ok()),
            damaged: whole(read(&list::STORAGE_TROUBLES, &["quarantined"])) + whole(read(&list::STORAGE_TROUBLES, &["unrepaired"])),
            refused: whole(read(&list::SERIES_REFUSED, &[])),
        }
    }

    /// Draws the rules for the page, unless they were less than `every` ago.
    fn show(&mut self, every: Duration) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= every) {
            self.shown = Some(Instant::now());
            let groups = self.engine.view(self.around.clock.now());
            let short = groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.short_history.is_some()).count();
            self.around.metrics.set(&list::HISTORY_SHORT, &[], short as f64);
            self.around.board.groups.store(Arc::new(groups));
            self.around.board.storage.store(Arc::new(self.storage_view()));
        }
        self.around.board.wish.grant();
    }
}

fn has_result(value: &Value) -> bool {
    match value {
        Value::Vector(elements) => !elements.is_empty(),
        Value::Matrix(series) => !series.is_empty(),
        Value::Scalar(sample) => sample.v != 0.0 && !sample.v.is_nan(),
        Value::Text(text) => !text.is_empty(),
    }
}

fn posted(alert: &Alert) -> PostedAlert {
    PostedAlert {
        labels: router::labels::Labels::from_pairs(alert.labels.iter()),
        annotations: router::labels::Labels::from_pairs(alert.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        starts_at: Some(alert.starts_at_ms),
        ends_at: Some(alert.ends_at_ms),
        generator_url: alert.generator_url.clone(),
    }
}

/// The name that the restart receiver gives the same alert.
fn incident(alert: &Alert, posted: &PostedAlert) -> String {
    restarts::incident(&posted.labels.fingerprint().to_string(), alert.starts_at_ms)
}

fn tell(event: &Event) {
    let word = event.as_str();
    match event {
        Event::WallClockStepped { by_ms } => tracing::warn!(event = word, by_ms, "rules"),
        Event::RuleFailed { group, rule, error } => tracing::error!(event = word, group, rule, error, "rules"),
        Event::RuleRecovered { group, rule } => tracing::info!(event = word, group, rule, "rules"),
        Event::IterationsMissed { group, missed } => tracing::warn!(event = word, group, missed, "rules"),
        Event::SamplesRefused { rule, error } => tracing::error!(event = word, rule, error, "rules"),
        Event::AlertChanged { labels, state, reason } => tracing::info!(event = word, %labels, state, reason, "rules"),
    }
}
