//! The engine: observations in, alerts and records out. One owner, one call at a time, no clock of its own.
//!
//! A turn spells the whole way: follow the wall clock, begin what is due, evaluate rules within a budget, hand out alerts.

mod look;
mod needs;
mod outbox;
mod pages;
mod pass;
mod reads;
mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock::Now;
use promql::eval::{Answer, Options, eval_instant};
use promql::labels::Labels;
use promql::series::{Ceilings, Snapshot, Store};
use promql::{STALE_NAN_BITS, Sample, parse};

use crate::effects::{Effects, Event, Figures, Iteration};
use crate::group::{GroupRun, Pass, PassKind};
use crate::model::RuleSet;
use crate::observation::{Observation, Observed, Urgency};
use crate::record::Record;
use crate::timeline::{Shown, Timeline};
pub use needs::Needs;
use outbox::Outbox;
use pages::Tables;
use reads::Reads;

/// How the engine works; the defaults are Prometheus's.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// `global.evaluation_interval`, milliseconds.
    pub evaluation_interval_ms: i64,
    /// `global.rule_query_offset`, milliseconds.
    pub query_offset_ms: i64,
    /// `rules.alert.resend-delay`, milliseconds.
    pub resend_delay_ms: i64,
    /// Added to alerts where they have no such label.
    pub external_labels: Labels,
    /// Base of links back to expressions, without a slash at its end.
    pub external_url: String,
    /// Look-back and limits of every evaluation.
    pub eval: Options,
    /// History that is kept even if no rule asks for it, milliseconds.
    pub keep_ms: i64,
    /// Bounds.
    pub limits: EngineLimits,
}

/// Bounds of the engine; each is a number to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Alerts handed out in one turn.
    pub alerts_a_turn: usize,
    /// Samples touched in one turn before it says that there is more; a rule that is begun is finished.
    pub work_a_turn: u64,
    /// Alerts waiting to be handed out.
    pub alerts: usize,
}

/// Rules at work over a store of series.
#[derive(Debug)]
pub struct RuleEngine {
    options: EngineOptions,
    timeline: Timeline,
    store: Store,
    /// What the numbers of sources stand for.
    tables: Tables,
    groups: Vec<GroupRun>,
    /// What rules have read.
    reads: Reads,
    outbox: Outbox,
    /// When each metric name that a rule reads was last heard, by steady time.
    heard: BTreeMap<Box<str>, i64>,
    /// Every name that a rule reads.
    listening: BTreeSet<Box<str>>,
    started_at: i64,
    /// State came back from a journal: an absence means nothing until the data is there again.
    restored: bool,
    persist: Vec<Record>,
    events: Vec<Event>,
    iterations: Vec<Iteration>,
    figures: Figures,
    alive_at: Option<i64>,
    maintained_at: i64,
}

/// Least time between two urgent evaluations of a group.
const URGENT_GAP_MS: i64 = 1_000;

/// Time between two notes that the engine is alive.
const ALIVE_EVERY_MS: i64 = 15_000;

/// Time between two sweeps of the store.
const MAINTAIN_EVERY_MS: i64 = 60_000;

// === impl EngineOptions ===

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            evaluation_interval_ms: 60_000,
            query_offset_ms: 0,
            resend_delay_ms: 60_000,
            external_labels: Labels::default(),
            external_url: String::new(),
            eval: Options::default(),
            keep_ms: 0,
            limits: EngineLimits::default(),
        }
    }
}

impl Default for EngineLimits {
    /// 256 alerts and 2 million samples (some tens of milliseconds) a turn, 20,000 alerts waiting.
    fn default() -> Self {
        Self { alerts_a_turn: 256, work_a_turn: 2_000_000, alerts: 20_000 }
    }
}

// === impl RuleEngine ===

impl RuleEngine {
    /// An engine with these rules, on a store that may bring series along. Call [`restore`](Self::restore) next if there is a journal.
    pub fn new(rules: RuleSet, store: Store, options: EngineOptions, now: Now) -> Self {
        Self::resume(rules, (store, 0), options, now)
    }

    /// The same on a store of an earlier run, with what [`series_now`](Self::series_now) said last of its distance to the wall clock.
    pub fn resume(rules: RuleSet, (store, offset_ms): (Store, i64), options: EngineOptions, now: Now) -> Self {
        let timeline = Timeline::start(now, store.stats().newest_ms, offset_ms);
        let started_at = timeline.steady_ms(now);
        let mut engine = Self {
            outbox: Outbox::new(options.limits.alerts),
            options,
            timeline,
            store,
            tables: Tables::default(),
            groups: Vec::new(),
            reads: Reads::default(),
            heard: BTreeMap::new(),
            listening: BTreeSet::new(),
            started_at,
            restored: false,
            persist: Vec::new(),
            events: Vec::new(),
            iterations: Vec::new(),
            figures: Figures::default(),
            alive_at: None,
            maintained_at: started_at,
        };
        engine.reload(now, rules);
        engine
    }

    /// Takes the samples of one look at one source.
    pub fn observe(&mut self, now: Now, observation: Observation) -> Observed {
        self.follow_wall_clock(now);
        let at = self.timeline.stamped_ms(now, observation.at_ms);
        let mut observed = Observed::default();
        let mut names = NameRun::default();
        let heard_at = self.timeline.steady_ms(now);
        for (labels, v) in &observation.samples {
            observed.count(self.store.append_to(labels, Sample { t_ms: at, v: *v }));
            self.hear(&mut names, labels.metric_name(), heard_at);
        }
        for (labels, sample) in &observation.stamped {
            let t_ms = self.timeline.steady_of_ms(sample.t_ms);
            observed.count(self.store.append_to(labels, Sample { t_ms, v: sample.v }));
            self.hear(&mut names, labels.metric_name(), heard_at);
        }
        for labels in &observation.stale {
            observed.count(self.store.append_to(labels, stale_at(at)));
        }
        if let Some(page) = observation.page {
            self.observe_page((at, heard_at), page, &mut observed);
        }
        if observation.urgency == Urgency::Urgent {
            let samples = observation.samples.iter().map(|(labels, _)| labels).chain(&observation.stale);
            self.wake_readers(&samples.map(Labels::metric_name).collect());
        }
        observed
    }

    /// The store, for a scrape path that appends by series id, and for who keeps it on a disk; no other may be put in its place. Samples carry steady time: [`stamp_ms`](Self::stamp_ms); then say [`heard`](Self::heard).
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The steady time of something stamped `at_ms` (unix milliseconds) that arrives at `now`.
    pub fn stamp_ms(&mut self, now: Now, at_ms: i64) -> i64 {
        self.follow_wall_clock(now);
        self.timeline.stamped_ms(now, at_ms)
    }

    /// Tells which metric names were appended through [`store_mut`](Self::store_mut).
    pub fn heard<'n>(&mut self, now: Now, names: impl IntoIterator<Item = &'n str>, urgency: Urgency) {
        let at = self.timeline.steady_ms(now);
        let mut run = NameRun::default();
        let names: BTreeSet<&str> = names.into_iter().collect();
        for name in &names {
            self.hear(&mut run, name, at);
        }
        if urgency == Urgency::Urgent {
            self.wake_readers(&names);
        }
    }

    fn hear(&mut self, run: &mut NameRun, name: &str, at: i64) {
        // Samples of one name stand together on a page, so that most need no look-up.
        if run.is(name) {
            return;
        }
        if let Some(known) = self.listening.get(name) {
            match self.heard.get_mut(name) {
                Some(last) => *last = at,
                None => _ = self.heard.insert(known.clone(), at),
            }
        }
    }

    fn wake_readers(&mut self, names: &BTreeSet<&str>) {
        for group in &mut self.groups {
            group.urgent |= names.iter().any(|name| group.may_read(name));
        }
    }

    fn follow_wall_clock(&mut self, now: Now) {
        if let Some(by_ms) = self.timeline.follow(now) {
            self.events.push(Event::WallClockStepped { by_ms });
            self.forget_views();
            // Records hold the wall clock's times: those of before the step would be misread after a restart.
            self.persist.extend(self.snapshot(now));
        }
    }

    /// Does what is due: evaluates groups within the budget, and hands out alerts. Call again at once when there is `more`.
    pub fn turn(&mut self, now: Now) -> Effects {
        self.turn_timed(now, &|| now.mono)
    }

    /// The same, with evaluations timed: `reading` gives the monotonic clock, which the engine does not read itself.
    pub fn turn_timed(&mut self, now: Now, reading: &dyn Fn() -> Duration) -> Effects {
        self.follow_wall_clock(now);
        let steady = self.timeline.steady_ms(now);
        self.align_waiting(steady);
        self.begin_due(steady);
        let unfinished = self.run_passes(reading);
        let alerts = self.hand_out();
        self.note_alive(steady);
        self.maintain(steady);
        Effects {
            persist: std::mem::take(&mut self.persist),
            alerts,
            events: std::mem::take(&mut self.events),
            iterations: std::mem::take(&mut self.iterations),
            more: unfinished || !self.outbox.is_empty(),
        }
    }

    /// When to call [`turn`](Self::turn) again if nothing is observed before: a monotonic reading, perhaps one that passed.
    pub fn next_wake(&self) -> Option<Duration> {
        let busy = self.groups.iter().any(|group| group.pass.is_some()) || !self.outbox.is_empty();
        let due = |group: &GroupRun| if group.urgent { self.urgent_at(group) } else { group.schedule.next_at() };
        let earliest = if busy { Some(self.started_at) } else { self.groups.iter().map(due).min() };
        earliest.map(|at| self.timeline.mono_of(at))
    }

    fn urgent_at(&self, group: &GroupRun) -> i64 {
        group.last_urgent_at.map_or(self.started_at, |last| last + URGENT_GAP_MS).min(group.schedule.next_at())
    }

    /// Groups that wait for their sources get their grid once all were heard, or after one interval.
    fn align_waiting(&mut self, now: i64) {
        for group in self.groups.iter_mut().filter(|group| group.schedule.is_waiting()) {
            let since = group.schedule.waiting_since();
            let arrivals: Vec<i64> = group.reads.iter().filter_map(|name| self.heard.get(name).copied()).filter(|at| *at >= since).collect();
            let all_heard = !group.reads.is_empty() && arrivals.len() == group.reads.len();
            if all_heard || now >= group.schedule.next_at() {
                group.schedule.align(&arrivals, now);
            }
        }
    }

    fn begin_due(&mut self, now: i64) {
        for group in self.groups.iter_mut().filter(|group| group.pass.is_none()) {
            let newer = |at: i64| group.last_at.is_none_or(|last| at > last);
            if let Some(slot) = group.schedule.take_due(now) {
                if slot.missed > 0 {
                    group.missed += slot.missed;
                    self.figures.missed += slot.missed;
                    self.events.push(Event::IterationsMissed { group: group.group.name.clone(), missed: slot.missed });
                }
                if newer(slot.at) {
                    group.pass = Some(Pass::new(slot.at, PassKind::Grid));
                }
            } else if group.urgent && newer(now) && group.last_urgent_at.is_none_or(|last| now - last >= URGENT_GAP_MS) {
                group.urgent = false;
                group.last_urgent_at = Some(now);
                self.figures.urgent += 1;
                group.pass = Some(Pass::new(now, PassKind::Urgent));
            }
        }
    }

    /// Puts other options in force, as after a reload of the configuration; call it before [`reload`](Self::reload), which lets groups take a new interval.
    pub fn set_options(&mut self, options: EngineOptions) {
        self.outbox.set_limit(options.limits.alerts);
        self.options = options;
        self.set_retention();
        self.forget_views();
    }

    fn note_alive(&mut self, now: i64) {
        let active = self.groups.iter().flat_map(|group| &group.rules).any(|run| !run.alerts.active.is_empty());
        if active && self.alive_at.is_none_or(|last| now - last >= ALIVE_EVERY_MS) {
            self.alive_at = Some(now);
            self.persist.push(Record::Alive { at_ms: self.timeline.shown_ms(now) });
        }
    }

    fn maintain(&mut self, now: i64) {
        if now - self.maintained_at >= MAINTAIN_EVERY_MS {
            self.maintained_at = now;
            self.store.maintain(now);
        }
    }

    /// Lets the store keep what the rules look back on.
    fn set_retention(&mut self) {
        let needs = Needs::of(self.groups.iter().map(|run| &*run.group), &self.options);
        let ceilings = self.store.ceilings();
        self.store.set_ceilings(Ceilings { retention_ms: needs.retention_ms, ..ceilings });
        self.store.set_reaches(needs.reaches);
    }

    /// The value of an expression at `at_ms` (unix milliseconds), or now.
    ///
    /// # Errors
    /// The text of the first parse error, or of the evaluation's.
    pub fn query(&self, now: Now, text: &str, at_ms: Option<i64>) -> Result<Answer, String> {
        let expr = parse::parse(text).map_err(|errors| errors.first().map(ToString::to_string).unwrap_or_default())?;
        let at = at_ms.unwrap_or_else(|| self.timeline.shown_ms(self.timeline.steady_ms(now)));
        eval_instant(&self.source(), &expr, at, &self.options.eval).map_err(|error| error.to_string())
    }

    /// The series in the wall clock's time.
    pub fn source(&self) -> Shown<'_> {
        self.timeline.shown(&self.store)
    }

    /// The series as they are now, for readers on other threads, in steady time; and what is added to a steady time to show it in the wall clock's.
    pub fn series_now(&self) -> (Snapshot, i64) {
        (self.store.snapshot(), self.timeline.offset_ms())
    }

    /// What is added to a steady time to show it in the wall clock's.
    pub fn offset_ms(&self) -> i64 {
        self.timeline.offset_ms()
    }

    /// What happened since the last look; the records are dropped: for rule tests.
    pub(crate) fn drain_events(&mut self) -> Vec<Event> {
        self.persist.clear();
        self.outbox.clear();
        self.iterations.clear();
        std::mem::take(&mut self.events)
    }

    /// What must be added to steady times (those of [`store`](Self::store) and its snapshots) to get unix milliseconds.
    pub fn shown_offset_ms(&self) -> i64 {
        self.timeline.shown_ms(0)
    }

    /// Counters and gauges.
    pub fn figures(&self) -> Figures {
        let mut figures = self.figures;
        for run in self.groups.iter().flat_map(|group| &group.rules) {
            figures.pending += run.alerts.count(crate::AlertState::Pending);
            figures.firing += run.alerts.count(crate::AlertState::Firing);
        }
        figures.queued = self.outbox.len();
        figures.refused = self.outbox.refused();
        (figures.kept_bytes, figures.kept_bytes_max) = (self.reads.memory_bytes(), reads::BYTES);
        figures
    }
}

/// A stale marker.
fn stale_at(t_ms: i64) -> Sample {
    Sample { t_ms, v: f64::from_bits(STALE_NAN_BITS) }
}

/// The name of the sample before.
#[derive(Debug, Default)]
struct NameRun(String);

impl NameRun {
    fn is(&mut self, name: &str) -> bool {
        let same = self.0 == name;
        if !same {
            self.0.clear();
            self.0.push_str(name);
        }
        same
    }
}
