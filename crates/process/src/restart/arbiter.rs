//! The one who decides about one target: wishes in, at most one restart under way, effects out.
//!
//! Owns: decision, guards, joining, waiting. The steps of a restart are in `ladder`, going on after our own death in `resume`.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock::Now;

use super::ladder::{EXIT, FIRST_START};
use super::ledger::Ledger;
use super::types::{Cause, Effect, Input, Intent, Method, Policy, Refusal, Report, Request, Running, Saved, Stage, Step, Wait};
use crate::identity::Identity;

/// Arbiter of one restart target.
#[derive(Debug)]
pub struct Arbiter {
    pub(super) target: String,
    pub(super) policy: Policy,
    pub(super) ledger: Ledger,
    pub(super) process: Process,
    /// The process that ended last: a look that was begun before its end may still report it.
    pub(super) ended: Option<Identity>,
    pub(super) phase: Phase,
    pub(super) waiting: Option<Waiting>,
    pub(super) untold: Vec<Report>,
    held: bool,
    /// Something that must survive has changed in this turn.
    pub(super) dirty: bool,
    last: Option<Now>,
}

/// What is known of the process. A known process is gone only when its end is reported: a look may be late.
#[derive(Clone, Debug)]
pub(super) enum Process {
    /// Not looked yet; the process that our former self last saw.
    Unknown(Option<Identity>),
    /// None matches.
    Absent,
    /// Alive, as seen at this reading of the monotonic clock.
    Alive(Running, Duration),
}

#[derive(Debug)]
pub(super) enum Phase {
    /// No restart under way.
    Idle,
    /// Our former self died during this one; the first look tells how to go on.
    Resuming(Intent),
    /// Under way.
    Active(Active),
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) intent: Intent,
    /// When the present step has taken too long, on the monotonic clock.
    pub(super) deadline: Duration,
    /// The SIGTERM was asked for; before that the evidence is being gathered.
    pub(super) term_asked: bool,
    pub(super) probe: bool,
    pub(super) progress: bool,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: Request,
    /// Looked at again then, on the monotonic clock.
    pub(super) until: Duration,
    /// The guard people were told of.
    pub(super) told: Option<Wait>,
}

// === impl Arbiter ===

impl Arbiter {
    /// An arbiter for `target`, going on from what was saved. Nothing is done before the first [`Input::Seen`], which must tell of the saved process if that still lives.
    pub fn new(target: impl Into<String>, policy: Policy, saved: Saved) -> Self {
        let waiting = saved.waiting.map(|request| Waiting { request, until: Duration::ZERO, told: None });
        Self {
            target: target.into(),
            policy,
            ledger: saved.ledger,
            process: Process::Unknown(saved.process),
            ended: None,
            phase: saved.intent.map_or(Phase::Idle, Phase::Resuming),
            waiting,
            untold: saved.untold,
            held: saved.held,
            dirty: false,
            last: None,
        }
    }

    /// One turn: takes the input in, lets deadlines pass, gives what is to be done. [`Effect::Persist`] comes first.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.follow_clock(now);
        let mut out = Vec::new();
        match input {
            Input::Ask(request) => self.ask(request, &mut out),
            Input::Settled(incidents) => self.settle(&incidents, &mut out),
            Input::Seen(seen) => self.see(now, seen, &mut out),
            Input::Exited(identity) => self.exited(now, &identity, &mut out),
            Input::EvidenceDone => self.evidence_done(now, &mut out),
            Input::Signalled(signal, result) => self.signalled(now, signal, result, &mut out),
            Input::Started(result) => self.started(now, result, &mut out),
            Input::Health(health) => self.health(now, &health, &mut out),
            Input::Told(attempt) => self.told(attempt),
            Input::Hold => self.hold(),
            Input::Release => self.release(&mut out),
            Input::Tick => {}
        }
        self.pass_deadline(now, &mut out);
        self.begin_if_allowed(now, &mut out);
        if std::mem::take(&mut self.dirty) {
            out.insert(0, Effect::Persist(Box::new(self.saved())));
        }
        out
    }

    /// When to call again with [`Input::Tick`] at the latest, on the monotonic clock.
    pub fn next_wake(&self) -> Option<Duration> {
        match (&self.phase, &self.waiting) {
            (Phase::Active(active), _) => Some(active.deadline),
            (Phase::Idle, Some(waiting)) if !self.held && !matches!(self.process, Process::Unknown(_)) => Some(waiting.until),
            _ => None,
        }
    }

    /// New rules for the next decision; a restart under way keeps its deadlines.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The process that is watched now.
    pub fn process(&self) -> Option<&Running> {
        if let Process::Alive(running, _) = &self.process { Some(running) } else { None }
    }

    /// The restart under way.
    pub fn intent(&self) -> Option<&Intent> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Resuming(intent) => Some(intent),
            Phase::Active(active) => Some(&active.intent),
        }
    }

    /// A wish that waits, and the guard that makes it wait.
    pub fn waiting(&self) -> Option<(&Request, Option<Wait>)> {
        self.waiting.as_ref().map(|waiting| (&waiting.request, waiting.told))
    }

    /// Whether a person holds restarts.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Attempts in the last hour and day.
    pub fn attempts(&self, now: Now) -> (usize, usize) {
        self.ledger.counts(now)
    }

    /// What must survive, as of now.
    pub fn saved(&self) -> Saved {
        Saved {
            ledger: self.ledger.clone(),
            intent: self.intent().cloned(),
            waiting: self.waiting.as_ref().map(|waiting| waiting.request.clone()),
            held: self.held,
            process: match &self.process {
                Process::Unknown(believed) => believed.clone(),
                Process::Absent => self.ended.clone(),
                Process::Alive(running, _) => Some(running.identity.clone()),
            },
            untold: self.untold.clone(),
        }
    }

    fn ask(&mut self, mut request: Request, out: &mut Vec<Effect>) {
        if request.cause == Cause::Alert {
            let unserved: BTreeSet<String> = request.incidents.iter().filter(|incident| !self.ledger.was_served(incident)).cloned().collect();
            if unserved.is_empty() {
                return self.tell(out, 0, request, Stage::Refused(Refusal::AlreadyServed));
            }
            request.incidents = unserved;
        }
        if self.held && request.cause != Cause::Operator {
            return self.tell(out, 0, request, Stage::Refused(Refusal::Held));
        }
        if !matches!(self.phase, Phase::Idle) {
            return self.join(request, out);
        }
        self.dirty = true;
        match &mut self.waiting {
            Some(waiting) => {
                waiting.request.incidents.append(&mut request.incidents);
                if request.cause == Cause::Operator {
                    waiting.request.cause = Cause::Operator;
                }
            }
            None => self.waiting = Some(Waiting { request, until: Duration::ZERO, told: None }),
        }
    }

    /// What begins while a restart is under way is served by it.
    fn join(&mut self, request: Request, out: &mut Vec<Effect>) {
        for incident in &request.incidents {
            self.ledger.serve(incident);
        }
        let attempt = match &mut self.phase {
            Phase::Active(Active { intent, .. }) | Phase::Resuming(intent) => {
                intent.request.incidents.extend(request.incidents.iter().cloned());
                intent.attempt
            }
            Phase::Idle => 0,
        };
        self.dirty = true;
        self.tell(out, attempt, request, Stage::Joined);
    }

    fn settle(&mut self, incidents: &BTreeSet<String>, out: &mut Vec<Effect>) {
        let Some(waiting) = &mut self.waiting else { return };
        let before = waiting.request.incidents.len();
        let all = waiting.request.clone();
        waiting.request.incidents.retain(|incident| !incidents.contains(incident));
        if waiting.request.incidents.len() == before {
            return;
        }
        self.dirty = true;
        if waiting.request.incidents.is_empty() {
            self.waiting = None;
            self.tell(out, 0, all, Stage::Cancelled);
        }
    }

    fn see(&mut self, now: Now, seen: Option<Running>, out: &mut Vec<Effect>) {
        if let Process::Unknown(believed) = &self.process {
            let believed = believed.clone();
            return self.first_look(now, believed, seen, out);
        }
        match (&mut self.process, seen) {
            (Process::Alive(known, at), Some(seen)) if known.identity == seen.identity => (*known, *at) = (seen, now.mono),
            (Process::Absent, Some(seen)) if self.ended.as_ref() != Some(&seen.identity) => self.appeared(now, seen, out),
            _ => {}
        }
    }

    fn first_look(&mut self, now: Now, believed: Option<Identity>, seen: Option<Running>, out: &mut Vec<Effect>) {
        self.ledger.clamp_to(now);
        out.extend(self.untold.iter().cloned().map(|report| Effect::Tell(Box::new(report))));
        self.dirty |= believed.as_ref() != seen.as_ref().map(|seen| &seen.identity);
        self.ended = believed.filter(|id| seen.as_ref().is_none_or(|seen| seen.identity != *id));
        self.process = seen.map_or(Process::Absent, |seen| Process::Alive(seen, now.mono));
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Resuming(intent) => self.go_on(now, intent, out),
            phase => {
                self.phase = phase;
                self.start_if_absent(out);
            }
        }
    }

    /// A child that is not there is to be started, once.
    pub(super) fn start_if_absent(&mut self, out: &mut Vec<Effect>) {
        if self.policy.method != Method::Child || !matches!(self.process, Process::Absent) || !matches!(self.phase, Phase::Idle) {
            return;
        }
        let (cause, incident) = match &self.ended {
            Some(identity) => (Cause::Exit, format!("{EXIT}{identity}")),
            None => (Cause::FirstStart, FIRST_START.to_owned()),
        };
        self.ask(Request { incidents: BTreeSet::from([incident]), alert: cause.as_str().to_owned(), cause, labels: BTreeMap::new() }, out);
    }

    fn told(&mut self, attempt: u64) {
        let before = self.untold.len();
        self.untold.retain(|report| report.attempt != attempt);
        self.dirty |= self.untold.len() != before;
    }

    fn hold(&mut self) {
        self.dirty |= !self.held;
        self.held = true;
    }

    /// Restarts again. A child that ended meanwhile was refused then; nobody else asks for it.
    fn release(&mut self, out: &mut Vec<Effect>) {
        self.dirty |= self.held;
        self.held = false;
        match &mut self.waiting {
            Some(waiting) => waiting.until = Duration::ZERO,
            None => self.start_if_absent(out),
        }
    }

    /// Starts the waiting restart when every guard lets it pass; says once which guard does not.
    fn begin_if_allowed(&mut self, now: Now, out: &mut Vec<Effect>) {
        let looked = !matches!(self.process, Process::Unknown(_));
        let due = self.waiting.as_ref().is_some_and(|waiting| waiting.until <= now.mono);
        if !matches!(self.phase, Phase::Idle) || !looked || !due {
            return;
        }
        let Some(mut waiting) = self.waiting.take() else { return };
        let by_hand = waiting.request.cause == Cause::Operator;
        if self.held && !by_hand {
            self.waiting = Some(waiting);
            return;
        }
        if self.policy.method == Method::Signal && self.process().is_none() {
            self.dirty = true;
            return self.tell(out, 0, waiting.request, Stage::Refused(Refusal::NotRunning));
        }
        match self.ledger.wait(now, self.uptime(now), &self.policy.guard).filter(|_| !by_hand) {
            None => self.begin(now, waiting.request, out),
            Some((wait, long)) => {
                waiting.until = now.mono.saturating_add(long);
                if waiting.told != Some(wait) {
                    waiting.told = Some(wait);
                    self.tell(out, 0, waiting.request.clone(), Stage::Waiting(wait, long));
                }
                self.waiting = Some(waiting);
            }
        }
    }

    fn begin(&mut self, now: Now, request: Request, out: &mut Vec<Effect>) {
        for incident in &request.incidents {
            self.ledger.serve(incident);
        }
        // The first start restarts nothing: it is free, and has no number. A second try of it is counted.
        let first = request.cause == Cause::FirstStart;
        let attempt = if first { 0 } else { self.ledger.begin(now, self.uptime(now), &self.policy.guard) };
        let old = self.process().map(|running| running.identity.clone());
        let intent = Intent { attempt, request, old, step: Step::Decided, begun_ms: now.wall_ms, step_ms: now.wall_ms };
        self.dirty = true;
        out.push(Effect::Tell(Box::new(self.report(now, &intent, Stage::Begun))));
        self.enter(now, intent, out);
    }

    fn follow_clock(&mut self, now: Now) {
        if let Some(step) = self.last.and_then(|last| now.wall_jump_since(last)) {
            self.ledger.rebase(step);
            if let Phase::Active(Active { intent, .. }) | Phase::Resuming(intent) = &mut self.phase {
                intent.begun_ms = intent.begun_ms.saturating_add(step);
                intent.step_ms = intent.step_ms.saturating_add(step);
            }
            self.dirty = true;
        }
        self.last = Some(now);
    }

    fn uptime(&self, now: Now) -> Option<Duration> {
        if let Process::Alive(running, at) = &self.process { Some(running.uptime.saturating_add(now.mono.saturating_sub(*at))) } else { None }
    }

    /// A report that belongs to no attempt of its own.
    pub(super) fn tell(&self, out: &mut Vec<Effect>, attempt: u64, request: Request, stage: Stage) {
        let old = self.process().map(|running| running.identity.clone());
        out.push(Effect::Tell(Box::new(Report { target: self.target.clone(), attempt, request, stage, old, new: None, took: Duration::ZERO })));
    }

    pub(super) fn report(&self, now: Now, intent: &Intent, stage: Stage) -> Report {
        let new = if let Step::Verifying(new) = &intent.step { new.clone() } else { None };
        let took = Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(intent.begun_ms)).unwrap_or(0));
        Report { target: self.target.clone(), attempt: intent.attempt, request: intent.request.clone(), stage, old: intent.old.clone(), new, took }
    }
}
