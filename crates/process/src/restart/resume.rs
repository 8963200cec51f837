//! Going on with a restart that our former self began: which process lives now tells what is left to do.
//!
//! Owns: the table below. A step is on disk before its action, so an action may have happened or not; each branch is right in both cases.
//! ```text
//! step on disk   the old process lives          nobody lives             another lives
//! decided        evidence again, then SIGTERM   start                    verify it
//! terminating    the rest of the grace          start                    verify it
//! killing        SIGKILL (again)                start                    verify it
//! starting       evidence again                 start                    verify it
//! verifying      evidence again                 died again, or wait      verify it
//! ```
use std::time::Duration;

use clock::Now;

use super::arbiter::Arbiter;
use super::types::{Effect, Failure, Intent, Method, Signal, Stage, Step};

/// However long we were away, a new process gets this much time to prove itself.
const VERIFY_AT_LEAST: Duration = Duration::from_secs(10);
/// However long we were away, the old process gets this much more of its grace: the SIGTERM may have been sent just before our death.
const GRACE_AT_LEAST: Duration = Duration::from_secs(1);

// === impl Arbiter: resuming ===

impl Arbiter {
    /// Goes on with `intent`; the first look has been taken.
    pub(super) fn go_on(&mut self, now: Now, mut intent: Intent, out: &mut Vec<Effect>) {
        intent.step_ms = intent.step_ms.min(now.wall_ms);
        intent.begun_ms = intent.begun_ms.min(now.wall_ms);
        out.push(Effect::Tell(Box::new(self.report(now, &intent, Stage::Resumed))));
        let away = Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(intent.step_ms)).unwrap_or(0));
        let living = self.process().map(|running| running.identity.clone());
        match living {
            Some(living) if Some(&living) == intent.old.as_ref() => self.go_on_with_old(now, intent, away, out),
            Some(living) => {
                let left = self.policy.verify.within.saturating_sub(away).max(VERIFY_AT_LEAST.min(self.policy.verify.within));
                self.activate(intent, now.mono);
                self.step(now, Step::Verifying(Some(living)), left);
            }
            None => self.go_on_with_nobody(now, intent, away, out),
        }
    }

    fn go_on_with_old(&mut self, now: Now, mut intent: Intent, away: Duration, out: &mut Vec<Effect>) {
        let old = intent.old.clone();
        match (&intent.step, old) {
            (Step::Terminating, _) => {
                let left = self.policy.grace.saturating_sub(away).max(GRACE_AT_LEAST.min(self.policy.grace));
                self.activate(intent, now.mono.saturating_add(left));
            }
            (Step::Killing, Some(old)) => {
                self.activate(intent, now.mono.saturating_add(self.policy.gone_within));
                out.push(Effect::Signal(old, Signal::Kill));
            }
            _ => {
                intent.step = Step::Decided;
                self.enter(now, intent, out);
            }
        }
    }

    fn go_on_with_nobody(&mut self, now: Now, intent: Intent, away: Duration, out: &mut Vec<Effect>) {
        let step = intent.step.clone();
        let left = self.policy.verify.within.saturating_sub(away);
        self.activate(intent, now.mono.saturating_add(left));
        match (step, self.policy.method) {
            (Step::Verifying(Some(_)), Method::Child) => self.fail(now, Failure::DiedAgain, out),
            (Step::Verifying(_), Method::Signal) => self.step(now, Step::Verifying(None), left),
            _ => self.gone(now, out),
        }
    }
}
