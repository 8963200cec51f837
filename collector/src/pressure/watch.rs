//! The watch: once a second it looks at `/proc/self`, asks the machine, and carries out what was decided. On the control thread, beside the pages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::allocator;
use super::budget::{Allowance, Budget, Surroundings};
use super::level::{Level, Reason, Resource, Step};
use super::look::Looker;
use super::machine::{Decision, Figures, Holds, Machine, NamedEvent, Pace};
use super::mirrors;
use super::suspects::Ledger;
use super::trend::Trend;
use crate::config::PressureConfig;
use crate::metrics::{Bound, Counter, Gauge, Histogram, Registry, Structure, catalogue as names};
use crate::state::{State, TICK};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Between two points of the memory's trend, and how many are kept: ten minutes.
const TREND: (Duration, usize) = (Duration::from_secs(10), 60);
/// Between two looks at the structures.
const STRUCTURES: Duration = Duration::from_secs(30);
/// Bytes in the MB of `memory_growth_rate_mb_per_minute`.
const MB: f64 = 1e6;

/// What the pages and the watch know together; both live on the control thread.
#[derive(Debug)]
pub struct Findings {
    /// The budget of this run.
    pub budget: Budget,
    /// The own structures and which of them are suspects.
    pub ledger: Ledger,
    /// Growth of resident memory, MB a minute.
    pub growth: Option<f64>,
}

/// Findings behind their lock.
pub type SharedFindings = Arc<Mutex<Findings>>;

/// See the module.
#[derive(Debug)]
pub struct Watch {
    state: Arc<State>,
    registry: Arc<Registry>,
    findings: SharedFindings,
    machine: Machine,
    looker: Option<Looker>,
    memory: Trend,
    structures_at: Duration,
    /// When the look before was, and the CPU time used by then.
    before: (Duration, Option<f64>),
    series: Structure,
    shown: Shown,
}

/// Handles.
#[derive(Debug)]
struct Shown {
    levels: [Gauge; 3],
    used: [Gauge; 3],
    growth: Gauge,
    cpu: Gauge,
    suspects: Gauge,
    stall: Histogram,
    allocator: Vec<Gauge>,
    /// Only with an allocator that tells.
    allocations: Option<Counter>,
    warnings: Counter,
    criticals: Counter,
    cleanups: Counter,
    forced: Counter,
}

// === impl Watch ===

impl Watch {
    /// A watch over this process; the budget is shown and logged.
    pub fn new(config: &PressureConfig, state: &Arc<State>, registry: &Arc<Registry>) -> Self {
        let budget = Budget::of(config, &Surroundings::read());
        let now = state.clock.now().mono;
        let pace = Pace { dwell: config.dwell, interval: config.gc_interval, ..Pace::default() };
        let looker = Looker::new().inspect_err(|error| tracing::error!("pressure cannot be watched: {error}")).ok();
        tell_budget(&budget, registry);
        tell_allocator(registry);
        Self {
            machine: Machine::new(budget.limits(), pace, now),
            findings: Arc::new(Mutex::new(Findings { budget, ledger: Ledger::default(), growth: None })),
            looker,
            memory: Trend::new(TREND.0, TREND.1),
            structures_at: now,
            before: (now, None),
            series: Structure::register(registry, "metric_series", Bound::Entries(registry.bound())),
            shown: Shown::new(registry),
            state: Arc::clone(state),
            registry: Arc::clone(registry),
        }
    }

    /// What it finds, for the pages.
    pub fn findings(&self) -> SharedFindings {
        Arc::clone(&self.findings)
    }

    /// Looks every second until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.look(),
            }
        }
    }

    fn look(&mut self) {
        let now = self.state.clock.now().mono;
        let since = now.saturating_sub(self.before.0);
        for late in missed(self.state.stall(), since) {
            self.shown.stall.observe_duration(late);
        }
        let seen = self.looker.as_mut().map(Looker::look).unwrap_or_default();
        let load = match (seen.cpu_seconds, self.before.1) {
            (Some(cpu), Some(before)) if !since.is_zero() => (cpu - before) / since.as_secs_f64(),
            _ => 0.0,
        };
        self.before = (now, seen.cpu_seconds);
        self.shown.cpu.set((load * 1_000.0).round() / 10.0);
        let figures = Figures { used: [seen.resident, seen.descriptors, seen.sockets], load };
        for (gauge, used) in self.shown.used.iter().zip(figures.used) {
            gauge.set(used.map_or(f64::NAN, |used| used as f64));
        }
        if let Some(resident) = seen.resident {
            self.memory.note(now, resident as f64);
        }
        let mut decisions = Vec::new();
        self.machine.observe(now, &figures, &mut decisions);
        for decision in decisions {
            self.carry_out(decision);
        }
        self.show(now);
    }

    fn show(&mut self, now: Duration) {
        let growth = self.memory.per_minute().map(|bytes| bytes / MB);
        self.shown.growth.set(growth.unwrap_or(0.0));
        if let Some(statistics) = allocator::statistics() {
            for (gauge, (_, bytes)) in self.shown.allocator.iter().zip(statistics.kinds()) {
                gauge.set(bytes as f64);
            }
        }
        if let Some((shown, count)) = self.shown.allocations.as_ref().zip(allocator::allocations()) {
            shown.add(count.saturating_sub(shown.get()));
        }
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.growth = growth;
        if now >= self.structures_at {
            self.structures_at = now + STRUCTURES;
            let (series, bytes) = self.registry.size();
            self.series.set(series, bytes);
            mirrors::refresh(&self.registry);
            findings.ledger.look(Structure::all(&self.registry));
            self.shown.suspects.set_count(findings.ledger.suspects().len());
        }
    }

    fn carry_out(&self, decision: Decision) {
        match decision {
            Decision::Level { resource, from, to, reason, used } => self.level_changed((resource, from, to), reason, used),
            Decision::Stand { step, holds } => self.stand(step, holds),
            Decision::Act { step, resource, reason } => self.act(step, resource, reason),
            Decision::Event(event) => self.tell(event),
        }
    }

    fn level_changed(&self, (resource, from, to): (Resource, Level, Level), reason: Reason, used: u64) {
        self.state.pressure.set_level(resource, to);
        if let Some(gauge) = self.shown.levels.get(resource.index()) {
            gauge.set(f64::from(to as u8));
        }
        self.registry.counter(&names::PRESSURE_TRANSITIONS, &[resource.as_str(), to.as_str(), reason.as_str()]).inc();
        match (resource, to) {
            (Resource::Memory, Level::Elevated) if reason == Reason::OverSoft => self.shown.warnings.inc(),
            (Resource::Memory, Level::Critical) => self.shown.criticals.inc(),
            _ => {}
        }
        let (name, from, word, why) = (resource.as_str(), from.as_str(), to.as_str(), reason.as_str());
        match to {
            Level::Critical => tracing::error!(event = "pressure", resource = name, from, to = word, reason = why, used, "{name}: {word}"),
            Level::Elevated => tracing::warn!(event = "pressure", resource = name, from, to = word, reason = why, used, "{name}: {word}"),
            Level::Normal => tracing::info!(event = "pressure", resource = name, from, to = word, reason = why, used, "{name}: {word}"),
        }
    }

    fn stand(&self, step: Step, holds: Holds) {
        let active = self.registry.gauge(&names::PRESSURE_STEP_ACTIVE, &[step.as_str()]);
        match holds {
            Holds::Begins => {
                self.state.pressure.begin(step);
                self.registry.counter(&names::PRESSURE_STEPS, &[step.as_str()]).inc();
                active.set(1.0);
                tracing::warn!(event = "pressure_step", step = step.as_str(), "{} from now on", step.as_str());
            }
            Holds::Ends => {
                self.state.pressure.end(step);
                active.set(0.0);
                tracing::info!(event = "pressure_step", step = step.as_str(), "{} no more", step.as_str());
            }
        }
    }

    fn act(&self, step: Step, resource: Resource, reason: Reason) {
        self.registry.counter(&names::PRESSURE_STEPS, &[step.as_str()]).inc();
        match step {
            Step::CloseIdle => {
                self.state.pressure.ask_to_close_idle();
                self.shown.cleanups.inc();
            }
            Step::Purge => {
                let purged = allocator::purge();
                let outcome = if purged { reason.as_str() } else { "unsupported" };
                self.registry.counter(&names::ALLOCATOR_PURGES, &[outcome]).inc();
                if reason != Reason::Interval {
                    self.state.pressure.ask_to_trim();
                    self.shown.cleanups.inc();
                    self.shown.forced.inc();
                }
            }
            Step::ShedPreview | Step::WidenConflation | Step::PauseLowPriority => {}
        }
        if reason == Reason::Interval {
            tracing::debug!(event = "pressure_step", step = step.as_str(), reason = reason.as_str(), "{}", step.as_str());
        } else {
            tracing::warn!(
                event = "pressure_step",
                step = step.as_str(),
                resource = resource.as_str(),
                reason = reason.as_str(),
                "{}",
                step.as_str()
            );
        }
    }

    fn tell(&self, event: NamedEvent) {
        self.registry.counter(&names::PRESSURE_EVENTS, &[event.as_str(), event.resource().as_str()]).inc();
        match event {
            NamedEvent::StillTooHighAfterPurge { used, soft } => {
                tracing::error!(event = event.as_str(), used, soft, "memory is still too high after a purge: {used} bytes, soft limit {soft}");
            }
            NamedEvent::RapidlyIncreasing { resource, per_minute, minutes_left } => {
                let resource = resource.as_str();
                tracing::warn!(
                    event = event.as_str(),
                    resource,
                    per_minute,
                    minutes_left,
                    "{resource} is rapidly increasing: {per_minute:.0} a minute, the hard limit is reached in {minutes_left:.1} minutes"
                );
            }
        }
    }
}

// === impl Shown ===

impl Shown {
    fn new(registry: &Registry) -> Self {
        let by_resource = |spec| Resource::ALL.map(|resource| registry.gauge(spec, &[resource.as_str()]));
        for step in [Step::ShedPreview, Step::WidenConflation, Step::PauseLowPriority] {
            registry.gauge(&names::PRESSURE_STEP_ACTIVE, &[step.as_str()]).set(0.0);
        }
        for (event, resource) in [(0, Resource::Memory), (1, Resource::Memory), (1, Resource::Descriptors), (1, Resource::Sockets)] {
            let word = NamedEvent::WORDS.get(event).copied().unwrap_or_default();
            let _present_from_the_start = registry.counter(&names::PRESSURE_EVENTS, &[word, resource.as_str()]);
        }
        let counter = |spec| registry.counter(spec, &[]);
        let kinds = allocator::statistics().map(|statistics| statistics.kinds());
        Self {
            levels: by_resource(&names::PRESSURE_LEVEL),
            used: by_resource(&names::PRESSURE_USED),
            growth: registry.gauge(&names::MEMORY_GROWTH, &[]),
            cpu: registry.gauge(&names::CPU_PERCENT, &[]),
            suspects: registry.gauge(&names::LEAK_SUSPECTS, &[]),
            stall: registry.histogram(&names::LOOP_STALL_DURATION, &[]),
            allocator: kinds.into_iter().flatten().map(|(kind, _)| registry.gauge(&names::ALLOCATOR_BYTES, &[kind])).collect(),
            allocations: allocator::allocations().map(|_| counter(&names::ALLOCATIONS)),
            warnings: counter(&names::MEMORY_WARNINGS),
            criticals: counter(&names::MEMORY_CRITICALS),
            cleanups: counter(&names::CLEANUPS),
            forced: counter(&names::FORCED_GC),
        }
    }
}

/// The ticks of the data loop that were due during the last `since` and have not come, each with how late it is by now. The loop itself notes
/// only the tick that at last comes; without these a long stall would weigh no more than a short one, and nothing would be seen while it lasts.
fn missed(stall: Duration, since: Duration) -> impl Iterator<Item = Duration> {
    (0..).map(|n: u32| TICK * n).take_while(move |ago| *ago < since).filter_map(move |ago| stall.checked_sub(ago)).filter(|late| !late.is_zero())
}

fn tell_budget(budget: &Budget, registry: &Registry) {
    for resource in Resource::ALL {
        let name = resource.as_str();
        let Some(Allowance { limits, origin }) = budget.of_resource(resource) else {
            tracing::warn!(resource = name, "no budget of {name} is known: set pressure.{name}");
            continue;
        };
        registry.gauge(&names::PRESSURE_LIMIT, &[name, "soft", origin.as_str()]).set(limits.soft as f64);
        registry.gauge(&names::PRESSURE_LIMIT, &[name, "hard", origin.as_str()]).set(limits.hard as f64);
        tracing::info!(resource = name, soft = limits.soft, hard = limits.hard, origin = origin.as_str(), "budget of {name}");
    }
}

/// Options with wrong names are ignored by jemalloc without a word: what is in force is read back and told.
fn tell_allocator(registry: &Registry) {
    registry.gauge(&names::ALLOCATOR_INFO, &[allocator::NAME]).set(1.0);
    for option in allocator::options() {
        let as_built = if option.expected.is_none() { "yes" } else { "no" };
        registry.gauge(&names::ALLOCATOR_OPTION, &[option.name, &option.value, as_built]).set(1.0);
        match option.expected {
            None => tracing::info!(allocator = allocator::NAME, option = option.name, value = option.value, "allocator option in force"),
            Some(expected) => {
                tracing::warn!(
                    allocator = allocator::NAME,
                    option = option.name,
                    value = option.value,
                    expected,
                    "allocator option is not as built: set in the environment (_RJEM_MALLOC_CONF), or it was ignored"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tick_that_did_not_come_is_counted_once_with_its_lateness() {
        let milliseconds = Duration::from_millis;
        assert_eq!(missed(Duration::ZERO, milliseconds(1_000)).count(), 0, "on time");
        let first: Vec<_> = missed(milliseconds(250), milliseconds(1_000)).collect();
        assert_eq!(first, [milliseconds(250), milliseconds(150), milliseconds(50)]);
        let next: Vec<_> = missed(milliseconds(1_250), milliseconds(1_000)).collect();
        assert_eq!((next.len(), next.last()), (10, Some(&milliseconds(350))), "those of the second before are not counted again");
    }
}
