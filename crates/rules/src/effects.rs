//! What the engine wants done.

use std::time::Duration;

use promql::labels::Labels;

use crate::record::Record;

/// The effects of one turn, to be carried out in the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// To be made durable (one fsync for all) before the alerts are handed on.
    pub persist: Vec<Record>,
    /// For the router, or a real Alertmanager: at most [`EngineLimits::alerts_a_turn`](crate::EngineLimits).
    pub alerts: Vec<Alert>,
    /// For log and metrics.
    pub events: Vec<Event>,
    /// Groups that were evaluated to their end.
    pub iterations: Vec<Iteration>,
    /// There is more to do: call `turn` again at once.
    pub more: bool,
}

/// One evaluation of a group, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iteration {
    /// When it was due, as a monotonic reading.
    pub due: Duration,
    /// How long its rules took; turns it waited in between are not in it.
    pub took: Duration,
}

/// An alert as it is sent: firing, or resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its identity, `alertname` and external labels included.
    pub labels: Labels,
    /// Rendered texts by name, sorted.
    pub annotations: Vec<(String, String)>,
    /// When it began to fire, unix milliseconds.
    pub starts_at_ms: i64,
    /// When it resolved, or until when it holds if nothing more is heard.
    pub ends_at_ms: i64,
    /// Whether it resolved.
    pub resolved: bool,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// The last value of its expression.
    pub value: f64,
}

/// Something worth a log line and a counter.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The wall clock stepped against the monotonic one; waits are not affected.
    WallClockStepped {
        /// By how much.
        by_ms: i64,
    },
    /// A rule that evaluated before does not any more, or fails for another reason.
    RuleFailed {
        /// Group.
        group: String,
        /// Rule.
        rule: String,
        /// Why.
        error: String,
    },
    /// A rule that failed evaluates again.
    RuleRecovered {
        /// Group.
        group: String,
        /// Rule.
        rule: String,
    },
    /// A group came too late for some of its times; they are not caught up.
    IterationsMissed {
        /// Group.
        group: String,
        /// How many.
        missed: u64,
    },
    /// The store refused series that a rule writes.
    SamplesRefused {
        /// Rule.
        rule: String,
        /// Why, for the last of them.
        error: String,
    },
    /// An alert changed its state.
    AlertChanged {
        /// Its labels.
        labels: Labels,
        /// `pending`, `firing`, `inactive`.
        state: &'static str,
        /// Why, as a named reason.
        reason: &'static str,
    },
}

/// Counters and gauges for the shell's metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Group evaluations since the start.
    pub evaluations: u64,
    /// Rule evaluations that failed.
    pub failures: u64,
    /// Grid times that passed unused.
    pub missed: u64,
    /// Urgent evaluations.
    pub urgent: u64,
    /// Alerts pending now.
    pub pending: usize,
    /// Alerts firing now.
    pub firing: usize,
    /// Alerts waiting to be handed out, of at most [`EngineLimits::alerts`](crate::EngineLimits).
    pub queued: usize,
    /// Alerts refused because of that bound.
    pub refused: u64,
    /// Bytes of samples that rules have read, kept for their next iteration,
    pub kept_bytes: usize,
    /// and their bound.
    pub kept_bytes_max: usize,
}

// === impl Event ===

impl Event {
    /// The word for log and metric.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::WallClockStepped { .. } => "wall_clock_stepped",
            Self::RuleFailed { .. } => "rule_failed",
            Self::RuleRecovered { .. } => "rule_recovered",
            Self::IterationsMissed { .. } => "iterations_missed",
            Self::SamplesRefused { .. } => "samples_refused",
            Self::AlertChanged { .. } => "alert_changed",
        }
    }
}
