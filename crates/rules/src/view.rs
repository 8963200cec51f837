//! What a page or an API shows of the engine. Times are unix milliseconds of the wall clock.

use std::time::Duration;

use promql::labels::Labels;

use crate::alert::AlertState;

/// A group.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Time between two evaluations.
    pub interval_ms: i64,
    /// The most series or alerts a rule may produce; 0 is any number.
    pub limit: usize,
    /// Time of the last evaluation.
    pub last_evaluation_ms: Option<i64>,
    /// How long its rules took then.
    pub took: Duration,
    /// Grid times that passed unused.
    pub missed: u64,
    /// Its rules.
    pub rules: Vec<RuleView>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// Alerting or recording.
    pub kind: RuleKind,
    /// Alert name or metric name.
    pub name: String,
    /// The expression as written.
    pub query: String,
    /// Labels as written, by name.
    pub labels: Vec<(String, String)>,
    /// Annotations as written, by name.
    pub annotations: Vec<(String, String)>,
    /// How long the condition must hold.
    pub for_ms: i64,
    /// How long the alert goes on firing.
    pub keep_firing_for_ms: i64,
    /// Whether it evaluates.
    pub health: Health,
    /// Why it does not.
    pub last_error: Option<String>,
    /// Time of the last evaluation.
    pub last_evaluation_ms: Option<i64>,
    /// How long it took.
    pub took: Duration,
    /// The highest state of its alerts.
    pub state: RuleState,
    /// The value of its expression, when it was a single one.
    pub value: Option<f64>,
    /// Its alerts, by labels.
    pub alerts: Vec<AlertView>,
    /// Selectors of its expression that match no series: why it may be unable to alarm.
    pub missing: Vec<MissingSeries>,
    /// How much of the history it asks for is there, when not all: have and need, in milliseconds.
    pub short_history: Option<(i64, i64)>,
    /// 1-based line in its file.
    pub line: usize,
}

/// A selector that matches no series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSeries {
    /// The metric name, if it names one.
    pub metric: Option<String>,
    /// The selector as written.
    pub selector: String,
    /// Whether any series of that name exists, so that a label must be what differs.
    pub name_exists: bool,
}

/// An alert.
#[derive(Clone, Debug)]
pub struct AlertView {
    /// Its labels.
    pub labels: Labels,
    /// Its rendered annotations, by name.
    pub annotations: Vec<(String, String)>,
    /// Its state.
    pub state: AlertState,
    /// Since when the condition holds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: Option<i64>,
    /// When it resolved.
    pub resolved_at_ms: Option<i64>,
    /// Since when it is only kept firing.
    pub keep_firing_since_ms: Option<i64>,
    /// Last value.
    pub value: f64,
}

/// Alerting or recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// `alert:`
    Alerting,
    /// `record:`
    Recording,
}

/// Whether a rule evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    Unknown,
    /// The last evaluation succeeded.
    Ok,
    /// The last evaluation failed.
    Err,
}

/// The state of a rule: that of its highest alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Not evaluated yet.
    Unknown,
    /// As its highest alert.
    Known(AlertState),
}

// === impl RuleKind ===

impl RuleKind {
    /// Prometheus's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alerting => "alerting",
            Self::Recording => "recording",
        }
    }
}

// === impl Health ===

impl Health {
    /// Prometheus's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

// === impl RuleState ===

impl RuleState {
    /// Prometheus's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Known(state) => state.as_str(),
        }
    }
}
