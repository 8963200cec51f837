//! The steps of one restart: evidence, SIGTERM, grace, SIGKILL, gone, start, verify, outcome.
//!
//! Owns: the order, each step's deadline, what a step's failure is called. Must not know: whether the restart was a good idea.
use std::time::Duration;

use clock::Now;

use super::arbiter::{Active, Arbiter, Phase, Process, Waiting};
use super::types::{Cause, Effect, Failure, Health, Intent, Method, Report, Running, Signal, SignalError, Stage, Step};
use crate::identity::Identity;

/// A start that is not answered within this failed.
const START_WITHIN: Duration = Duration::from_secs(30);
/// A process that writes its core is not killed for this long past its grace.
const CORE_WITHIN: Duration = Duration::from_mins(2);
/// Outcomes kept that could not be handed on.
const UNTOLD_MAX: usize = 4;
/// How often to look whether the core is written.
const CORE_RECHECK: Duration = Duration::from_secs(1);

/// Incidents of our own making, beside those of alerts.
pub(super) const EXIT: &str = "exit:";
const ATTEMPT: &str = "attempt:";
pub(super) const FIRST_START: &str = "first_start";

// === impl Arbiter: steps ===

impl Arbiter {
    /// Enters an attempt at its first step: evidence about the old process, or the start when there is none.
    pub(super) fn enter(&mut self, now: Now, intent: Intent, out: &mut Vec<Effect>) {
        let old = intent.old.clone();
        self.activate(intent, now.mono.saturating_add(self.policy.evidence_within));
        match old {
            Some(old) => out.push(Effect::Evidence(old)),
            None => self.gone(now, out),
        }
    }

    pub(super) fn activate(&mut self, intent: Intent, deadline: Duration) {
        self.phase = Phase::Active(Active { intent, deadline, term_asked: false, probe: false, progress: false });
    }

    pub(super) fn evidence_done(&mut self, now: Now, out: &mut Vec<Effect>) {
        let grace = self.policy.grace;
        if let Phase::Active(active) = &mut self.phase
            && active.intent.step == Step::Decided
            && !active.term_asked
            && let Some(old) = &active.intent.old
        {
            active.term_asked = true;
            active.deadline = now.mono.saturating_add(grace);
            out.push(Effect::Signal(old.clone(), Signal::Term));
        }
    }

    pub(super) fn signalled(&mut self, now: Now, signal: Signal, result: Result<(), SignalError>, out: &mut Vec<Effect>) {
        let Some(step) = self.active_step() else { return };
        let expected = match signal {
            Signal::Term => step == Step::Decided,
            Signal::Kill => step == Step::Killing,
        };
        if !expected {
            return;
        }
        match (signal, result) {
            (Signal::Term, Ok(())) => self.step(now, Step::Terminating, self.policy.grace),
            (Signal::Kill, Ok(())) => self.step(now, Step::Killing, self.policy.gone_within),
            (_, Err(SignalError::Gone)) => self.gone(now, out),
            (_, Err(SignalError::Denied)) => self.fail(now, Failure::SignalDenied, out),
        }
    }

    pub(super) fn exited(&mut self, now: Now, identity: &Identity, out: &mut Vec<Effect>) {
        if self.process().is_none_or(|known| known.identity != *identity) {
            return;
        }
        self.process = Process::Absent;
        self.ended = Some(identity.clone());
        self.dirty = true;
        match self.active_step() {
            None => self.start_if_absent(out),
            Some(Step::Decided | Step::Terminating | Step::Killing) => self.gone(now, out),
            Some(Step::Verifying(Some(_))) if self.policy.method == Method::Child => self.fail(now, Failure::DiedAgain, out),
            // The supervisor may start another within the deadline.
            Some(Step::Verifying(_)) => self.set_new_process(None),
            Some(Step::Starting) => {}
        }
    }

    /// The old process is no more: start another, or wait for the supervisor's.
    pub(super) fn gone(&mut self, now: Now, out: &mut Vec<Effect>) {
        if let Process::Alive(running, _) = &self.process {
            self.ended = Some(running.identity.clone());
            self.process = Process::Absent;
        }
        match self.policy.method {
            Method::Child => {
                self.step(now, Step::Starting, START_WITHIN);
                out.push(Effect::Start);
            }
            Method::Signal => self.step(now, Step::Verifying(None), self.policy.verify.within),
        }
    }

    pub(super) fn started(&mut self, now: Now, result: Result<Running, String>, out: &mut Vec<Effect>) {
        if self.active_step() != Some(Step::Starting) {
            return;
        }
        match result {
            Ok(running) => {
                let identity = running.identity.clone();
                self.process = Process::Alive(running, now.mono);
                self.step(now, Step::Verifying(Some(identity)), self.policy.verify.within);
            }
            Err(why) => self.fail(now, Failure::StartFailed(why), out),
        }
    }

    /// A process appeared where there was none.
    pub(super) fn appeared(&mut self, now: Now, seen: Running, out: &mut Vec<Effect>) {
        let identity = seen.identity.clone();
        self.dirty = true;
        self.process = Process::Alive(seen, now.mono);
        match self.active_step() {
            Some(Step::Verifying(None)) => self.set_new_process(Some(identity)),
            None => self.no_start_needed(out),
            Some(_) => {}
        }
    }

    /// Somebody else started it: a start that waits for a guard is not needed any more; incidents of alerts still are.
    fn no_start_needed(&mut self, out: &mut Vec<Effect>) {
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| matches!(waiting.request.cause, Cause::Exit | Cause::FirstStart)) else { return };
        let before = waiting.request.clone();
        waiting.request.incidents.retain(|incident| !is_own(incident));
        waiting.request.cause = Cause::Alert;
        if waiting.request.incidents.is_empty() {
            self.waiting = None;
            self.tell(out, 0, before, Stage::Cancelled);
        }
    }

    pub(super) fn health(&mut self, now: Now, health: &Health, out: &mut Vec<Effect>) {
        let verify = self.policy.verify;
        let Phase::Active(active) = &mut self.phase else { return };
        if active.intent.step != Step::Verifying(Some(health.of.clone())) {
            return;
        }
        active.probe = health.probe.unwrap_or(active.probe);
        active.progress = health.progress.unwrap_or(active.progress);
        let something_is_checked = verify.probe || verify.progress;
        if something_is_checked && self.missing().is_none() {
            self.verified(now, out);
        }
    }

    /// A step that took too long leads to the next, or to failure.
    pub(super) fn pass_deadline(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Phase::Active(active) = &self.phase else { return };
        if now.mono < active.deadline {
            return;
        }
        match (&active.intent.step, active.term_asked) {
            (Step::Decided, false) => self.evidence_done(now, out),
            (Step::Decided | Step::Terminating, _) => self.kill(now, out),
            (Step::Killing, _) => self.fail(now, Failure::NotGone, out),
            (Step::Starting, _) => self.fail(now, Failure::StartFailed("no answer".to_owned()), out),
            (Step::Verifying(_), _) => match self.missing() {
                Some(failure) => self.fail(now, failure, out),
                None => self.verified(now, out),
            },
        }
    }

    pub(super) fn kill(&mut self, now: Now, out: &mut Vec<Effect>) {
        let dumping = self.process().is_some_and(|running| running.core_dumping);
        let Phase::Active(active) = &mut self.phase else { return };
        let Some(old) = active.intent.old.clone() else { return };
        let since_term = Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(active.intent.step_ms)).unwrap_or(0));
        if dumping && since_term < self.policy.grace.saturating_add(CORE_WITHIN) {
            active.deadline = now.mono.saturating_add(CORE_RECHECK);
            return;
        }
        self.step(now, Step::Killing, self.policy.gone_within);
        out.push(Effect::Signal(old, Signal::Kill));
    }

    /// What the verification still lacks.
    fn missing(&self) -> Option<Failure> {
        let Phase::Active(active) = &self.phase else { return None };
        let verify = self.policy.verify;
        match &active.intent.step {
            Step::Verifying(None) => Some(Failure::NoNewProcess),
            _ if verify.probe && !active.probe => Some(Failure::ProbeFailed),
            _ if verify.progress && !active.progress => Some(Failure::NoProgress),
            _ => None,
        }
    }

    fn verified(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(intent) = self.finish(now) else { return };
        self.tell_outcome(self.report(now, &intent, Stage::Verified), out);
    }

    /// The attempt failed. The incident is not cured, so it is tried again, behind the same guards; a child that is not running stays wanted whatever becomes of the alert.
    pub(super) fn fail(&mut self, now: Now, failure: Failure, out: &mut Vec<Effect>) {
        let Some(intent) = self.finish(now) else { return };
        let absent = self.process().is_none();
        let again = failure.may_be_retried() && !(absent && self.policy.method == Method::Signal);
        let wait = again.then(|| self.ledger.wait(now, None, &self.policy.guard).map_or(Duration::ZERO, |(_, long)| long));
        if again {
            let mut request = intent.request.clone();
            if absent {
                request.cause = Cause::Exit;
                request.incidents.insert(format!("{ATTEMPT}{}", intent.attempt));
            }
            self.waiting = Some(Waiting { request, until: Duration::ZERO, told: None });
        }
        self.tell_outcome(self.report(now, &intent, Stage::Failed(failure, wait)), out);
    }

    /// An outcome is on disk until it was handed on, so that our own death between the two loses nothing.
    fn tell_outcome(&mut self, report: Report, out: &mut Vec<Effect>) {
        if self.untold.len() >= UNTOLD_MAX {
            self.untold.remove(0);
        }
        self.untold.push(report.clone());
        out.push(Effect::Tell(Box::new(report)));
    }

    fn finish(&mut self, now: Now) -> Option<Intent> {
        let Phase::Active(active) = std::mem::replace(&mut self.phase, Phase::Idle) else { return None };
        self.ledger.end(now);
        self.dirty = true;
        Some(active.intent)
    }

    pub(super) fn step(&mut self, now: Now, step: Step, within: Duration) {
        if let Phase::Active(active) = &mut self.phase {
            if active.intent.step != step {
                active.intent.step_ms = now.wall_ms;
            }
            active.intent.step = step;
            active.deadline = now.mono.saturating_add(within);
            self.dirty = true;
        }
    }

    fn set_new_process(&mut self, new: Option<Identity>) {
        if let Phase::Active(active) = &mut self.phase {
            active.intent.step = Step::Verifying(new);
            (active.probe, active.progress) = (false, false);
            self.dirty = true;
        }
    }

    fn active_step(&self) -> Option<Step> {
        if let Phase::Active(active) = &self.phase { Some(active.intent.step.clone()) } else { None }
    }
}

fn is_own(incident: &str) -> bool {
    incident.starts_with(EXIT) || incident.starts_with(ATTEMPT) || incident == FIRST_START
}
