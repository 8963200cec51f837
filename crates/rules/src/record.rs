//! What survives a SIGKILL: the state of every alert, whatever its `for` (Prometheus keeps only those of ten minutes and more).
//!
//! When an alert was last handed out is not recorded: after a start every firing and every recently resolved alert is handed out again, since nobody knows whether the
//! last one arrived; the router's notification log knows whom it told.
//!
//! A shell appends each [`Record`] of [`Effects::persist`](crate::Effects) to a journal and hands all of them back at the next start.

use promql::labels::Labels;
use serde::{Deserialize, Serialize};

use crate::alert::AlertState;

/// A rule by what stays the same when its expression, `for` or file changes: name and labels, and a number if others share both.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleKey(pub String);

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// An alert's state; replaces what was recorded of it before.
    Alert(AlertRecord),
    /// An alert that is forgotten.
    Gone {
        /// Its rule.
        rule: RuleKey,
        /// Its labels.
        labels: Vec<(String, String)>,
    },
    /// The engine was alive and evaluating at this time: how long it was down is counted from here.
    Alive {
        /// Unix milliseconds.
        at_ms: i64,
    },
}

/// An alert's state; times in unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// Its rule.
    pub rule: RuleKey,
    /// Its labels, `alertname` included.
    pub labels: Vec<(String, String)>,
    /// Labels of the element of the expression it came from (`$labels`).
    pub source: Vec<(String, String)>,
    /// Pending, firing or (resolved) inactive.
    pub state: AlertState,
    /// When the condition began to hold.
    pub active_at_ms: i64,
    /// When it began to fire.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fired_at_ms: Option<i64>,
    /// When it resolved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolved_at_ms: Option<i64>,
    /// When it was first absent while kept firing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keep_firing_since_ms: Option<i64>,
    /// The last value of its expression; `None` for NaN and infinities, which JSON cannot hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<f64>,
}

/// Labels as a record holds them.
pub(crate) fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
