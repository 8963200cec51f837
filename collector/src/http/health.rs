//! `/health` in the old collector's shape, with true contents: what was seen, when, and no claim about what was not.
//!
//! healthy: all fresh; degraded (still 200): some stream is stale, some check is not well, a condition holds (the spool is in use, NATS without
//! acknowledgements, …) or there is pressure; unhealthy (503, but 200 during the grace after the start, which the body says): the data loop is
//! stuck, nothing is fresh, or nothing can be written. `reasons` names every one of them.

mod page;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use marketdata::{BookCondition, Exchange, MarketType, RecordKind};
use serde_json::{Value, json};

use crate::conditions::Condition;
use crate::feed::{Cause, Hop};
use crate::metrics::process::Reading;
use crate::metrics::{Gauge, Registry, catalogue as names};
use crate::pressure::{Level, Resource};
use crate::sink::Streams;
use crate::state::{Phase, State};
use crate::stream::{Stream, StreamState};

use page::{coverage, rounded, stream_entry};

/// A book or a trade stream without a record for this long is stale (the old system's threshold).
pub const STALE: Duration = Duration::from_mins(1);
/// A data loop that is overdue for this long is stuck.
const LOOP_STUCK: Duration = Duration::from_secs(10);
/// A data loop that is overdue for this long will not come back.
pub(super) const LOOP_DEAD: Duration = Duration::from_secs(30);

/// Makes reports from the shared state.
#[derive(Debug)]
pub struct Health {
    state: Arc<State>,
    grace: Duration,
    registry: Arc<Registry>,
    sinks: Vec<SinkGauges>,
    sockets: BTreeMap<String, Socket>,
    memory_total: f64,
    last: (Duration, f64),
}

/// The connections of a venue.
#[derive(Debug)]
struct Socket {
    venue: (Exchange, MarketType),
    up: Gauge,
}

/// What a sink says of itself.
#[derive(Debug)]
struct SinkGauges {
    name: &'static str,
    up: Gauge,
    recent_errors: Gauge,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Healthy,
    /// In part.
    Degraded,
    /// Not.
    Unhealthy,
}

/// One look.
#[derive(Debug)]
pub struct Report {
    now: Now,
    verdict: Verdict,
    reasons: Vec<String>,
    took: Duration,
    grace: Duration,
    phase: Phase,
    checks: BTreeMap<String, Check>,
    coverage: Value,
    streams: Vec<Value>,
    metrics: Value,
}

#[derive(Debug)]
struct Check {
    verdict: Verdict,
    trouble: Option<String>,
    details: Value,
}

// === impl Verdict ===

impl Verdict {
    /// The word on the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

// === impl Health ===

impl Health {
    /// Looks at this state, at these sinks, and at the sockets of the streams' venues.
    pub fn new(state: Arc<State>, registry: &Arc<Registry>, sinks: &[&'static str], grace: Duration) -> Self {
        let socket = |stream: &Stream| {
            let [exchange, market_type, ..] = stream.labels();
            let up = registry.gauge(&names::WEBSOCKET_CONNECTED, &[exchange, market_type]);
            (format!("websocket_{exchange}_{market_type}"), Socket { venue: (stream.exchange, stream.market_type), up })
        };
        let sockets = state.streams.iter().map(socket).collect();
        let gauges = |name: &&'static str| SinkGauges {
            name,
            up: registry.gauge(&names::SINK_UP, &[name]),
            recent_errors: registry.gauge(&names::SINK_RECENT_ERRORS, &[name]),
        };
        let sinks = sinks.iter().map(gauges).collect();
        let info = rustix::system::sysinfo();
        let memory_total = info.totalram as f64 * f64::from(info.mem_unit);
        Self { state, grace, registry: Arc::clone(registry), sinks, sockets, memory_total, last: (Duration::ZERO, 0.0) }
    }

    /// The report of this moment.
    pub fn report(&mut self, process: &Reading) -> Report {
        let now = self.state.clock.now();
        let mut checks: BTreeMap<String, Check> =
            self.sockets.iter().map(|(name, socket)| (name.clone(), Check::socket(socket.up.get(), self.state.unreached(socket.venue)))).collect();
        checks.extend(self.sinks.iter().map(|sink| (sink.name.to_owned(), Check::sink(sink.up.get(), sink.recent_errors.get()))));
        checks.insert("event_loop".to_owned(), Check::event_loop(self.state.stall()));
        checks.insert("orderbook_manager".to_owned(), Check::books(&self.state.streams, now));
        let (verdict, reasons) = self.verdict(&checks, now);
        Report {
            now,
            verdict,
            reasons,
            grace: self.grace,
            phase: self.state.phase(),
            coverage: coverage(&self.state.streams, now),
            streams: self.state.streams.iter().map(|stream| stream_entry(stream, now)).collect(),
            metrics: self.figures(process, now),
            checks,
            took: self.state.clock.now().mono.saturating_sub(now.mono),
        }
    }

    /// Why no traffic should rely on this process yet, or any more.
    pub fn not_ready(&self) -> Option<&'static str> {
        let now = self.state.clock.now();
        if self.state.phase() != Phase::Running {
            Some(self.state.phase().as_str())
        } else if self.state.stall() >= LOOP_STUCK {
            Some("loop_stuck")
        } else if !self.some_sink_up() {
            Some("no_sink")
        } else if !self.judged().any(|stream| is_fresh(stream, now)) {
            Some("no_data")
        } else {
            None
        }
    }

    /// The streams whose silence means something.
    fn judged(&self) -> impl Iterator<Item = &Stream> {
        self.state.streams.iter().filter(|stream| is_watched(stream))
    }

    fn verdict(&self, checks: &BTreeMap<String, Check>, now: Now) -> (Verdict, Vec<String>) {
        let (all, fresh) = (self.judged().count(), self.judged().filter(|stream| is_fresh(stream, now)).count());
        let grave = [("loop_stuck", self.state.stall() >= LOOP_STUCK), ("no_fresh_stream", fresh == 0), ("no_sink", !self.some_sink_up())];
        let mut reasons: Vec<String> = grave.iter().filter(|(_, holds)| *holds).map(|(word, _)| (*word).to_owned()).collect();
        // A disk that refuses is no reason to be restarted: that would mend nothing, and cost what is in memory.
        let unhealthy = reasons.iter().any(|reason| reason != "no_sink" || !self.disk_refuses());
        if fresh < all {
            reasons.push("stale_streams".to_owned());
        }
        reasons.extend(checks.iter().filter(|(_, check)| check.verdict != Verdict::Healthy).map(|(name, _)| name.clone()));
        reasons.extend(Condition::ALL.into_iter().filter(|condition| self.state.conditions.holds(*condition)).map(|c| c.as_str().to_owned()));
        reasons.extend(self.troubled().map(str::to_owned));
        for resource in Resource::ALL {
            let level = self.state.pressure.level_of(resource);
            if level > Level::Normal {
                reasons.push(format!("{}_{}", resource.as_str(), level.as_str()));
            }
        }
        let verdict = match (unhealthy, reasons.is_empty()) {
            (true, _) => Verdict::Unhealthy,
            (false, false) => Verdict::Degraded,
            (false, true) => Verdict::Healthy,
        };
        (verdict, reasons)
    }

    /// What a sink's own figures say is not as it should be, although it can write.
    fn troubled(&self) -> impl Iterator<Item = &'static str> {
        let some = |spec, is: fn(f64) -> bool| self.registry.values(spec).iter().any(|(_, value)| is(*value));
        let not_ready = some(&names::NATS_STREAM_READY, |ready| ready < 1.0).then_some("nats_stream_not_ready");
        not_ready.into_iter().chain(some(&names::RECORDER_TROUBLED, |streams| streams > 0.0).then_some("recorder_troubled"))
    }

    fn disk_refuses(&self) -> bool {
        let of_recorder = self.registry.values(&names::RECORDER_TROUBLED).iter().any(|(_, streams)| *streams > 0.0);
        of_recorder || self.state.conditions.holds(Condition::DiskRefuses)
    }

    fn some_sink_up(&self) -> bool {
        self.sinks.is_empty() || self.sinks.iter().any(|sink| sink.up.get() > 0.0)
    }

    /// Measured, not made up: CPU over the time since the last look.
    fn figures(&mut self, process: &Reading, now: Now) -> Value {
        let (since, cpu_before) = self.last;
        self.last = (now.mono, process.cpu_seconds);
        let elapsed = now.mono.saturating_sub(since).as_secs_f64();
        let cpu = if elapsed > 0.0 { (process.cpu_seconds - cpu_before) / elapsed * 100.0 } else { 0.0 };
        let connections: usize = process.tcp.iter().filter(|(state, _)| **state != "LISTEN").map(|(_, count)| count).sum();
        json!({
            "cpu_percent": rounded(cpu),
            "memory_percent": rounded(process.resident as f64 / self.memory_total * 100.0),
            "memory_bytes": process.resident,
            "open_file_descriptors": process.open_fds,
            "tcp_connections": connections,
            "threads": process.threads,
            "loop_stall_seconds": self.state.stall().as_secs_f64(),
        })
    }
}

// === impl Report ===

impl Report {
    /// Whether the answer is 200.
    pub fn answers_ok(&self) -> bool {
        self.verdict < Verdict::Unhealthy || self.in_grace()
    }

    /// The verdict, which the grace does not change.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn in_grace(&self) -> bool {
        self.now.mono < self.grace
    }
}

// === impl Check ===

impl Check {
    fn new(verdict: Verdict, trouble: impl Into<String>, details: Value) -> Self {
        Self { verdict, trouble: Some(trouble.into()).filter(|_| verdict != Verdict::Healthy), details }
    }

    fn socket(up: f64, trouble: Option<(Hop, Cause)>) -> Self {
        let verdict = if up > 0.0 { Verdict::Healthy } else { Verdict::Unhealthy };
        let (hop, reason) = trouble.map(|(hop, cause)| (hop.as_str(), cause.as_str())).unzip();
        let why = hop.zip(reason).map_or_else(|| "no connection is up".to_owned(), |(hop, reason)| format!("no connection is up: {hop} {reason}"));
        Self::new(verdict, why, json!({"connections": up, "hop": hop, "reason": reason}))
    }

    fn sink(up: f64, recent_errors: f64) -> Self {
        let verdict = if up > 0.0 { Verdict::Healthy } else { Verdict::Unhealthy };
        Self::new(verdict, "cannot write", json!({"recent_errors": rounded(recent_errors)}))
    }

    fn event_loop(stall: Duration) -> Self {
        let verdict = if stall >= LOOP_STUCK { Verdict::Unhealthy } else { Verdict::Healthy };
        Self::new(verdict, format!("overdue for {} s", stall.as_secs()), json!({"stall_seconds": stall.as_secs_f64()}))
    }

    /// As the old rules: all fresh healthy, some degraded, none unhealthy.
    fn books(streams: &Streams, now: Now) -> Self {
        let books: Vec<&Stream> = streams.iter().filter(|stream| stream.kind == RecordKind::OrderBook && is_watched(stream)).collect();
        let odd: BTreeMap<&str, &str> = books
            .iter()
            .filter(|book| book.condition() != BookCondition::Sound)
            .map(|book| (book.subject.as_str(), book.condition().as_str()))
            .collect();
        let stale: Vec<&str> = books.iter().filter(|stream| !is_fresh(stream, now)).map(|stream| stream.subject.as_str()).collect();
        let verdict = match stale.len() {
            0 => Verdict::Healthy,
            n if n < books.len() => Verdict::Degraded,
            _ => Verdict::Unhealthy,
        };
        Self::new(
            verdict,
            format!("{} of {} books are not fresh", stale.len(), books.len()),
            json!({"active_symbols": books.len() - stale.len(), "stale": stale, "conditions": odd}),
        )
    }
}

/// Whether its age says something about the collector's health.
fn is_watched(stream: &Stream) -> bool {
    stream.is_watched() && ![StreamState::Paused, StreamState::Delisted].contains(&stream.state())
}

pub(super) fn is_fresh(stream: &Stream, now: Now) -> bool {
    stream.age(now).is_some_and(|age| age < STALE)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clocks::Clock;
    use crate::config::{self, Environment};

    #[derive(Debug, Default)]
    struct Hand(Mutex<Now>);

    impl Clock for Hand {
        fn now(&self) -> Now {
            *self.0.lock().unwrap()
        }
    }

    struct World {
        clock: Arc<Hand>,
        state: Arc<State>,
        registry: Arc<Registry>,
        health: Health,
    }

    fn world() -> World {
        let config = config::load("c", "venues: [{name: binance, market: spot, symbols: [A-B, C-D]}]", &Environment::default()).config.unwrap();
        let clock = Arc::new(Hand::default());
        let state = State::new(&config, Arc::<Hand>::clone(&clock));
        let registry = Arc::new(Registry::new());
        let health = Health::new(Arc::clone(&state), &registry, &["recorder"], Duration::from_mins(2));
        World { clock, state, registry, health }
    }

    impl World {
        fn at(&mut self, seconds: u64) -> Report {
            *self.clock.0.lock().unwrap() = Now::new(Duration::from_secs(seconds), 1_700_000_000_000);
            self.state.beat();
            self.health.report(&Reading::default())
        }

        fn all_well(&mut self, seconds: u64) {
            self.at(seconds);
            self.registry.gauge(&names::SINK_UP, &["recorder"]).set(1.0);
            self.registry.gauge(&names::WEBSOCKET_CONNECTED, &["binance", "spot"]).set(1.0);
            self.state.streams.iter().for_each(|stream| stream.touch(self.clock.now()));
        }
    }

    #[test]
    fn before_anything_came_it_is_unhealthy_and_the_grace_is_said() {
        let mut world = world();
        let early = world.at(5);
        assert_eq!((early.verdict(), early.answers_ok()), (Verdict::Unhealthy, true));
        assert_eq!(early.to_json()["grace"], json!({"applied": true, "uptime": 5.0, "grace_seconds": 120}));
        let late = world.at(121);
        assert!(!late.answers_ok());
        assert_eq!(late.to_json()["streams"][0]["status"], "never_came");
        assert_eq!(late.to_json()["grace"]["applied"], false);
    }

    #[test]
    fn one_stale_stream_degrades_and_all_stale_is_unhealthy() {
        let mut world = world();
        world.all_well(200);
        assert_eq!(world.at(210).verdict(), Verdict::Healthy);
        world.at(250);
        world.state.streams[0].touch(world.clock.now());
        let part = world.at(270);
        assert_eq!((part.verdict(), part.answers_ok()), (Verdict::Degraded, true));
        let page = part.to_json();
        assert_eq!(page["coverage"]["orderbook"]["binance"]["active_symbols"], 1);
        assert_eq!(page["coverage"]["trade"]["binance"]["status"], "unhealthy");
        assert_eq!(world.at(400).verdict(), Verdict::Unhealthy);
    }

    #[test]
    fn a_stuck_loop_or_no_sink_is_unhealthy_although_data_was_fresh() {
        let mut world = world();
        world.all_well(200);
        world.registry.gauge(&names::SINK_UP, &["recorder"]).set(0.0);
        assert_eq!(world.at(201).verdict(), Verdict::Unhealthy);
        world.registry.gauge(&names::SINK_UP, &["recorder"]).set(1.0);
        // With errors of the disk a restart would mend nothing.
        world.registry.gauge(&names::SINK_UP, &["recorder"]).set(0.0);
        world.registry.gauge(&names::RECORDER_TROUBLED, &[]).set(2.0);
        world.registry.gauge(&names::SINK_RECENT_ERRORS, &["recorder"]).set(3.5);
        let page = world.at(201).to_json();
        assert_eq!((&page["status"], &page["checks"]["recorder"]["details"]["recent_errors"]), (&json!("degraded"), &json!(3.5)), "{page}");
        world.registry.gauge(&names::SINK_UP, &["recorder"]).set(1.0);
        world.registry.gauge(&names::RECORDER_TROUBLED, &[]).set(0.0);
        world.state.enter(Phase::Running);
        assert_eq!((world.at(202).verdict(), world.health.not_ready()), (Verdict::Healthy, None));
        world.state.conditions.raise(Condition::SpoolInUse);
        world.state.pressure.set_level(Resource::Memory, Level::Critical);
        world.registry.gauge(&names::RECORDER_TROUBLED, &[]).set(2.0);
        let degraded = world.at(203);
        world.registry.gauge(&names::RECORDER_TROUBLED, &[]).set(0.0);
        assert_eq!((degraded.verdict(), degraded.answers_ok()), (Verdict::Degraded, true));
        assert_eq!(degraded.to_json()["reasons"], json!(["spool_in_use", "recorder_troubled", "memory_critical"]));
        world.state.conditions.clear(Condition::SpoolInUse);
        world.state.pressure.set_level(Resource::Memory, Level::Normal);
        assert_eq!(world.at(204).to_json()["reasons"], json!([]));
        // No beat from here on.
        *world.clock.0.lock().unwrap() = Now::new(Duration::from_secs(215), 0);
        let stuck = world.health.report(&Reading::default());
        assert_eq!((stuck.verdict(), world.health.not_ready()), (Verdict::Unhealthy, Some("loop_stuck")));
        assert_eq!(stuck.to_json()["checks"]["event_loop"]["status"], "unhealthy");
    }
}
