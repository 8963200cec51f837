//! When a process is restarted, and how: one [`Arbiter`] a target.
//!
//! The way of a restart, each step a named one:
//! ```text
//! Ask ─→ known incident? held? min_uptime, cooldown, per_hour, per_day ─→ Persist(intent) ─→ evidence (deadline) ─→ SIGTERM ─→ grace ─→ SIGKILL ─→ gone
//!     ─→ start (method child) or wait for the supervisor (method signal) ─→ verify: new identity, probe, data progress ─→ outcome
//! ```
//! Owns: the decision, the order, what must survive the program's own death at any step. Must not know: how a signal is sent or a program started.
//! Contract with the shell: the effects of one input are one batch; [`Effect::Persist`] comes first and is on disk before the rest is done.
//! On a dead disk the shell goes on and says so.

mod arbiter;
mod ladder;
mod ledger;
mod resume;
#[cfg(test)]
mod simulation;
mod types;

pub use arbiter::Arbiter;
pub use ledger::Ledger;
pub use types::{
    Cause, Effect, Failure, Guard, Health, Input, Intent, Method, Policy, Refusal, Report, Request, Running, Saved, Signal, SignalError, Stage, Step,
    Verify, Wait,
};
