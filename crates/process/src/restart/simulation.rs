//! A simulated host around the arbiter: processes that die, ignore SIGTERM or do not start, and a program that is killed at every step.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock::Now;
use proptest::prelude::*;

use super::*;
use crate::identity::Identity;

/// What the processes of the host do.
#[derive(Clone, Copy, Debug)]
struct Behaviour {
    /// Seconds from SIGTERM to the end; `None`: deaf.
    term_takes: Option<u64>,
    /// Seconds from start to a good probe; `None`: never.
    healthy_after: Option<u64>,
}

const GOOD: Behaviour = Behaviour { term_takes: Some(3), healthy_after: Some(5) };

struct Process {
    identity: Identity,
    born: Duration,
    dies: Option<Duration>,
    behaviour: Behaviour,
}

/// The host outlives the program: processes, disk, and what was seen from outside.
struct Host {
    now: Now,
    alive: Vec<Process>,
    pids: u32,
    disk: String,
    new: Behaviour,
    starts: Vec<Duration>,
    signals: Vec<(Identity, Signal)>,
    told: Vec<Report>,
    method: Method,
    most_alive: usize,
    /// Operations left until the program is killed, and whether before or after the operation.
    kills: Vec<(usize, bool)>,
    operations: usize,
}

/// The program; dropped when it is killed.
struct Program {
    arbiter: Arbiter,
    inbox: Vec<Input>,
}

fn policy(method: Method) -> Policy {
    let s = Duration::from_secs;
    Policy {
        method,
        grace: s(15),
        evidence_within: s(5),
        gone_within: s(10),
        verify: Verify { within: s(60), probe: true, progress: false },
        guard: Guard { min_uptime: s(60), cooldown: s(30), cooldown_max: s(1_800), per_hour: 3, per_day: 6, reset_after: s(1_800) },
    }
}

fn alert(incident: &str) -> Request {
    Request { incidents: BTreeSet::from([incident.to_owned()]), alert: "CollectorHung".into(), cause: Cause::Alert, labels: BTreeMap::new() }
}

// === impl Host ===

impl Host {
    /// A host with one process that has run for an hour.
    fn new(method: Method, old: Behaviour, new: Behaviour) -> Self {
        let now = Now::new(Duration::from_secs(100_000), 1_700_000_000_000);
        let mut host = Self {
            now,
            alive: Vec::new(),
            pids: 100,
            disk: "{\"ledger\":null}".into(),
            new,
            starts: Vec::new(),
            signals: Vec::new(),
            told: Vec::new(),
            method,
            most_alive: 0,
            kills: Vec::new(),
            operations: 0,
        };
        host.disk = serde_json::to_string(&Saved::default()).unwrap();
        host.spawn(old);
        host.alive[0].born -= Duration::from_hours(1);
        host
    }

    fn spawn(&mut self, behaviour: Behaviour) -> Identity {
        self.pids += 1;
        let identity = Identity { boot_id: "b".into(), pid: self.pids, start_ticks: self.now.mono.as_secs() };
        self.alive.push(Process { identity: identity.clone(), born: self.now.mono, dies: None, behaviour });
        self.most_alive = self.most_alive.max(self.alive.len());
        identity
    }

    fn seen(&self) -> Option<Running> {
        self.alive.first().map(|p| Running { identity: p.identity.clone(), uptime: self.now.mono.saturating_sub(p.born), core_dumping: false })
    }

    /// Counts one operation towards the kills; whether the program is killed before or after it.
    fn operation(&mut self) -> Option<bool> {
        self.operations += 1;
        let at = self.operations;
        self.kills.iter().find(|(kill, _)| *kill == at).map(|(_, after)| *after)
    }

    fn perform(&mut self, effect: Effect, inbox: &mut Vec<Input>) {
        match effect {
            Effect::Persist(saved) => self.disk = serde_json::to_string(&*saved).unwrap(),
            Effect::Evidence(_) => inbox.push(Input::EvidenceDone),
            Effect::Signal(to, signal) => inbox.push(Input::Signalled(signal, self.signal(&to, signal))),
            Effect::Start => {
                self.starts.push(self.now.mono);
                self.spawn(self.new);
                inbox.push(Input::Started(Ok(self
                    .alive
                    .last()
                    .map(|p| Running { identity: p.identity.clone(), uptime: Duration::ZERO, core_dumping: false })
                    .unwrap())));
            }
            Effect::Tell(report) => {
                if report.stage.is_outcome() {
                    inbox.push(Input::Told(report.attempt));
                }
                self.told.push(*report);
            }
        }
    }

    fn signal(&mut self, to: &Identity, signal: Signal) -> Result<(), SignalError> {
        self.signals.push((to.clone(), signal));
        let now = self.now.mono;
        let process = self.alive.iter_mut().find(|p| p.identity == *to).ok_or(SignalError::Gone)?;
        let dies = match signal {
            Signal::Kill => Some(now + Duration::from_secs(1)),
            Signal::Term => process.behaviour.term_takes.map(|takes| now + Duration::from_secs(takes)),
        };
        process.dies = process.dies.or(dies).min(dies.or(process.dies));
        Ok(())
    }

    /// One second passes; the processes that died.
    fn second(&mut self) -> Vec<Identity> {
        self.now = self.now.later(Duration::from_secs(1));
        let now = self.now.mono;
        let dead: Vec<Identity> = self.alive.iter().filter(|p| p.dies.is_some_and(|at| at <= now)).map(|p| p.identity.clone()).collect();
        self.alive.retain(|p| !dead.contains(&p.identity));
        if self.method == Method::Signal && self.alive.is_empty() {
            // The supervisor.
            self.spawn(self.new);
        }
        dead
    }

    fn health(&self) -> Option<Input> {
        let p = self.alive.first()?;
        let good = p.behaviour.healthy_after.is_some_and(|after| self.now.mono >= p.born + Duration::from_secs(after));
        Some(Input::Health(Health { of: p.identity.clone(), probe: Some(good), progress: None }))
    }

    /// Starts the program from what is on disk.
    fn boot(&self) -> Program {
        let saved: Saved = serde_json::from_str(&self.disk).unwrap();
        Program { arbiter: Arbiter::new("collector", policy(self.method), saved), inbox: vec![Input::Seen(self.seen())] }
    }

    /// Runs for `seconds`; the alert fires all the time and is told every 20 s, as a repeated notification is.
    fn run(&mut self, seconds: u64, downtime: u64) {
        let mut program = Some(self.boot());
        let mut back_at = Duration::ZERO;
        let start = self.now.mono;
        while self.now.mono < start + Duration::from_secs(seconds) {
            let dead = self.second();
            let since = self.now.mono.saturating_sub(start).as_secs();
            if program.is_none() && self.now.mono >= back_at {
                program = Some(self.boot());
            }
            let Some(running) = &mut program else { continue };
            running.inbox.extend(dead.into_iter().map(Input::Exited));
            running.inbox.push(Input::Seen(self.seen()));
            running.inbox.extend(self.health());
            if since.is_multiple_of(20) {
                running.inbox.push(Input::Ask(alert("hung@1")));
            }
            running.inbox.push(Input::Tick);
            if !self.turn(running) {
                program = None;
                back_at = self.now.mono + Duration::from_secs(downtime);
            }
        }
    }

    /// Lets the program work off its inbox; false when it was killed meanwhile.
    fn turn(&mut self, program: &mut Program) -> bool {
        while !program.inbox.is_empty() {
            let input = program.inbox.remove(0);
            for effect in program.arbiter.handle(self.now, input) {
                match self.operation() {
                    Some(false) => return false,
                    Some(true) => {
                        self.perform(effect, &mut program.inbox);
                        return false;
                    }
                    None => self.perform(effect, &mut program.inbox),
                }
            }
        }
        true
    }

    fn stages(&self) -> Vec<&'static str> {
        self.told.iter().filter(|report| report.stage.is_outcome()).map(|report| report.stage.as_str()).collect()
    }

    fn saved(&self) -> Saved {
        serde_json::from_str(&self.disk).unwrap()
    }
}

/// What holds of every run with one incident and a curable process, however often the program was killed.
fn assert_cured_once(host: &Host) {
    let expected = usize::from(host.method == Method::Child);
    assert_eq!(host.starts.len(), expected, "starts; told {:?}", host.told);
    assert_eq!((host.alive.len(), host.most_alive), (1, 1), "one process at a time");
    assert_eq!(host.alive[0].identity.pid, 102, "the new one lives");
    assert!(host.signals.iter().all(|(to, _)| to.pid == 101), "only the old one was signalled: {:?}", host.signals);
    assert!(host.stages().contains(&"verified") && !host.stages().contains(&"failed"), "{:?}", host.stages());
    assert!(host.stages().len() <= 1 + host.kills.len(), "at most the message in flight is repeated");
    let saved = host.saved();
    assert_eq!((saved.intent, saved.waiting, saved.ledger.last_attempt), (None, None, 1));
    assert!(saved.untold.is_empty());
}

#[test]
fn a_hung_process_is_restarted_once_and_verified() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    host.run(600, 0);
    assert_cured_once(&host);
    assert_eq!(host.signals.len(), 1);
    assert_eq!(host.told.iter().map(|report| report.stage.as_str()).filter(|word| *word != "refused").collect::<Vec<_>>(), ["begun", "verified"]);
}

#[test]
fn a_process_deaf_to_sigterm_is_killed_after_its_grace() {
    for method in [Method::Child, Method::Signal] {
        let mut host = Host::new(method, Behaviour { term_takes: None, ..GOOD }, GOOD);
        host.run(600, 0);
        assert_cured_once(&host);
        assert_eq!(host.signals.iter().map(|(_, signal)| *signal).collect::<Vec<_>>(), [Signal::Term, Signal::Kill]);
    }
}

#[test]
fn killed_at_each_step_it_restarts_once() {
    for method in [Method::Child, Method::Signal] {
        for term_takes in [Some(3), None] {
            let old = Behaviour { term_takes, ..GOOD };
            let mut whole = Host::new(method, old, GOOD);
            whole.run(600, 0);
            for at in 1..=whole.operations {
                for after in [false, true] {
                    for downtime in [1, 20, 90] {
                        let mut host = Host::new(method, old, GOOD);
                        host.kills = vec![(at, after)];
                        host.run(600, downtime);
                        assert_cured_once(&host);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn killed_many_times_it_restarts_once(
        kills in proptest::collection::vec((1_usize..40, any::<bool>()), 0..8),
        downtime in 1_u64..60,
        term_takes in proptest::option::of(0_u64..30),
        healthy in 0_u64..8,
        child in any::<bool>(),
    ) {
        let method = if child { Method::Child } else { Method::Signal };
        let mut host = Host::new(method, Behaviour { term_takes, healthy_after: Some(0) }, Behaviour { term_takes: Some(1), healthy_after: Some(healthy) });
        host.kills = kills;
        host.run(1_500, downtime);
        assert_cured_once(&host);
    }
}

#[test]
fn a_process_that_never_gets_well_uses_the_budget_up_and_no_more() {
    let mut host = Host::new(Method::Child, GOOD, Behaviour { term_takes: Some(1), healthy_after: None });
    host.run(3_500, 0);
    assert_eq!(host.starts.len(), 3, "per_hour");
    assert!(host.told.iter().any(|report| matches!(report.stage, Stage::Waiting(Wait::PerHour, _))));
    assert_eq!(host.stages(), ["failed"; 3]);
    assert!(host.told.iter().any(|report| matches!(report.stage, Stage::Failed(Failure::ProbeFailed, Some(_)))));
    host.run(76_000, 0);
    assert_eq!(host.starts.len(), 6, "per_day");
}

#[test]
fn the_first_start_is_free_and_its_second_try_is_counted() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    host.alive.clear();
    let mut arbiter = host.boot().arbiter;
    let effects = turn(&mut host, &mut arbiter, Input::Seen(None));
    assert!(effects.contains(&Effect::Start));
    assert_eq!((arbiter.attempts(host.now), arbiter.saved().ledger.last_attempt), ((0, 0), 0));
    turn(&mut host, &mut arbiter, Input::Started(Err("no such file".into())));
    host.now = host.now.later(Duration::from_secs(30));
    assert!(turn(&mut host, &mut arbiter, Input::Tick).contains(&Effect::Start));
    assert_eq!((arbiter.attempts(host.now), arbiter.saved().ledger.last_attempt), ((1, 1), 1));
}

#[test]
fn a_child_that_ends_by_itself_is_started_again() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    host.alive[0].dies = Some(host.now.mono + Duration::from_secs(5));
    let mut program = host.boot();
    for _ in 0..60 {
        let dead = host.second();
        program.inbox.extend(dead.into_iter().map(Input::Exited));
        program.inbox.extend(host.health());
        assert!(host.turn(&mut program));
    }
    assert_eq!((host.starts.len(), host.stages()), (1, vec!["verified"]));
    assert_eq!(host.told[0].request.cause, Cause::Exit);
    assert!(host.signals.is_empty());
}

fn turn(host: &mut Host, arbiter: &mut Arbiter, input: Input) -> Vec<Effect> {
    arbiter.handle(host.now, input)
}

fn stage_of(effects: &[Effect]) -> Vec<(&'static str, &'static str)> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Tell(report) = effect { Some((report.stage.as_str(), report.stage.reason())) } else { None })
        .collect()
}

#[test]
fn a_wish_waits_for_a_young_process_and_is_dropped_when_the_alert_ends() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    host.alive[0].born = host.now.mono;
    let mut arbiter = host.boot().arbiter;
    let seen = host.seen();
    turn(&mut host, &mut arbiter, Input::Seen(seen));
    let effects = turn(&mut host, &mut arbiter, Input::Ask(alert("a")));
    assert_eq!(stage_of(&effects), [("waiting", "min_uptime")]);
    assert!(matches!(effects[0], Effect::Persist(_)));
    assert_eq!(arbiter.next_wake(), Some(host.now.mono + Duration::from_mins(1)));
    assert_eq!(stage_of(&turn(&mut host, &mut arbiter, Input::Settled(BTreeSet::from(["a".into()])))), [("cancelled", "")]);
    host.now = host.now.later(Duration::from_secs(90));
    assert!(turn(&mut host, &mut arbiter, Input::Tick).is_empty());
}

#[test]
fn a_held_target_refuses_alerts_and_obeys_a_person() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    let mut arbiter = host.boot().arbiter;
    let seen = host.seen();
    turn(&mut host, &mut arbiter, Input::Seen(seen));
    turn(&mut host, &mut arbiter, Input::Hold);
    assert_eq!(stage_of(&turn(&mut host, &mut arbiter, Input::Ask(alert("a")))), [("refused", "held")]);
    let by_hand =
        Request { incidents: BTreeSet::from(["by hand".into()]), alert: "operator".into(), cause: Cause::Operator, labels: BTreeMap::new() };
    let effects = turn(&mut host, &mut arbiter, Input::Ask(by_hand));
    assert_eq!(stage_of(&effects), [("begun", "")]);
    assert_eq!(stage_of(&turn(&mut host, &mut arbiter, Input::Ask(alert("b")))), [("refused", "held")]);
}

#[test]
fn a_start_that_waits_is_dropped_when_somebody_else_starts_it() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    let mut arbiter = host.boot().arbiter;
    let old = host.seen().unwrap();
    turn(&mut host, &mut arbiter, Input::Seen(Some(old.clone())));
    host.alive.clear();
    turn(&mut host, &mut arbiter, Input::Exited(old.identity));
    let effects = turn(&mut host, &mut arbiter, Input::Started(Err("no such file".into())));
    assert_eq!(stage_of(&effects), [("failed", "start_failed"), ("waiting", "cooldown")]);
    host.spawn(GOOD);
    let seen = host.seen();
    assert_eq!(stage_of(&turn(&mut host, &mut arbiter, Input::Seen(seen))), [("cancelled", "")]);
    host.now = host.now.later(Duration::from_hours(1));
    assert!(turn(&mut host, &mut arbiter, Input::Tick).is_empty());
}

#[test]
fn a_second_incident_joins_and_is_served_by_the_same_restart() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    let mut program = host.boot();
    program.inbox.extend([Input::Ask(alert("a")), Input::Ask(alert("b"))]);
    assert!(host.turn(&mut program));
    program.inbox.push(Input::Ask(alert("b")));
    for _ in 0..60 {
        let dead = host.second();
        program.inbox.extend(dead.into_iter().map(Input::Exited));
        program.inbox.extend(host.health());
        assert!(host.turn(&mut program));
    }
    assert_eq!(host.starts.len(), 1);
    let verified = host.told.iter().find(|report| report.stage == Stage::Verified).unwrap();
    assert_eq!(verified.request.incidents.len(), 2);
}

#[test]
fn what_may_not_be_signalled_or_does_not_die_is_reported_and_left_alone() {
    for (result, reason) in [(Err(SignalError::Denied), "signal_denied"), (Ok(()), "not_gone")] {
        let mut host = Host::new(Method::Child, GOOD, GOOD);
        let mut arbiter = host.boot().arbiter;
        let seen = host.seen();
        turn(&mut host, &mut arbiter, Input::Seen(seen));
        turn(&mut host, &mut arbiter, Input::Ask(alert("a")));
        turn(&mut host, &mut arbiter, Input::EvidenceDone);
        let mut stages = stage_of(&turn(&mut host, &mut arbiter, Input::Signalled(Signal::Term, result)));
        for _ in 0..40 {
            host.now = host.now.later(Duration::from_secs(1));
            stages.extend(stage_of(&turn(&mut host, &mut arbiter, Input::Tick)));
        }
        assert_eq!(stages, [("failed", reason)]);
        assert_eq!((arbiter.next_wake(), arbiter.waiting().is_some()), (None, false));
    }
}

#[test]
fn a_process_that_writes_its_core_is_not_killed_meanwhile() {
    let mut host = Host::new(Method::Child, GOOD, GOOD);
    let mut arbiter = host.boot().arbiter;
    let dumping = |host: &Host, core_dumping| host.seen().map(|seen| Running { core_dumping, ..seen });
    let seen = dumping(&host, true);
    turn(&mut host, &mut arbiter, Input::Seen(seen));
    turn(&mut host, &mut arbiter, Input::Ask(alert("a")));
    turn(&mut host, &mut arbiter, Input::EvidenceDone);
    turn(&mut host, &mut arbiter, Input::Signalled(Signal::Term, Ok(())));
    host.now = host.now.later(Duration::from_secs(30));
    assert!(turn(&mut host, &mut arbiter, Input::Tick).is_empty());
    let seen = dumping(&host, false);
    turn(&mut host, &mut arbiter, Input::Seen(seen));
    host.now = host.now.later(Duration::from_secs(1));
    let effects = turn(&mut host, &mut arbiter, Input::Tick);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Signal(_, Signal::Kill))), "{effects:?}");
}

#[test]
fn a_wall_clock_step_during_a_restart_changes_no_deadline() {
    let mut host = Host::new(Method::Child, Behaviour { term_takes: None, ..GOOD }, GOOD);
    let mut program = host.boot();
    program.inbox.push(Input::Ask(alert("a")));
    assert!(host.turn(&mut program));
    host.now.wall_ms -= 86_400_000;
    for _ in 0..120 {
        let dead = host.second();
        program.inbox.extend(dead.into_iter().map(Input::Exited));
        program.inbox.extend(host.health());
        program.inbox.push(Input::Tick);
        assert!(host.turn(&mut program));
    }
    assert_eq!((host.starts.len(), host.stages()), (1, vec!["verified"]));
    let verified = host.told.iter().find(|report| report.stage == Stage::Verified).unwrap();
    assert!(verified.took < Duration::from_mins(1), "{:?}", verified.took);
}
