//! A group at work: its schedule, and the state of each of its rules.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use promql::labels::Labels;
use promql::parse::inspect;

use crate::alert::Alerts;
use crate::model::{Group, Rule};
use crate::record::RuleKey;
use crate::schedule::Schedule;
use crate::view::GroupView;

/// A group and where it is.
#[derive(Debug)]
pub(crate) struct GroupRun {
    pub(crate) group: Arc<Group>,
    pub(crate) schedule: Schedule,
    pub(crate) rules: Vec<RuleRun>,
    pub(crate) pass: Option<Pass>,
    /// Time of the last evaluation that was begun.
    pub(crate) last_at: Option<i64>,
    pub(crate) missed: u64,
    /// How long the rules of the last evaluation took.
    pub(crate) took: Duration,
    /// Something urgent that it reads has changed.
    pub(crate) urgent: bool,
    pub(crate) last_urgent_at: Option<i64>,
    /// Metric names that it names exactly and that no rule writes.
    pub(crate) reads: BTreeSet<Box<str>>,
    /// How it was shown last; none when it has changed since.
    pub(crate) drawn: Option<Drawn>,
}

/// A view of a group, and the steady time it was drawn at.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) view: Arc<GroupView>,
    pub(crate) at: i64,
}

/// An evaluation of a group that is under way: rules are evaluated in order, over several turns when they take long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    pub(crate) at: i64,
    pub(crate) next_rule: usize,
    pub(crate) kind: PassKind,
    /// How long its rules took so far.
    pub(crate) took: Duration,
}

/// Which rules a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassKind {
    /// All, on the grid.
    Grid,
    /// The alerting rules, out of turn.
    Urgent,
}

/// A rule and its state.
#[derive(Debug)]
pub(crate) struct RuleRun {
    pub(crate) rule: Arc<Rule>,
    pub(crate) key: RuleKey,
    pub(crate) alerts: Alerts,
    /// Series it wrote at its last evaluation.
    pub(crate) written: BTreeSet<Labels>,
    pub(crate) last_at: Option<i64>,
    /// How long the last evaluation took.
    pub(crate) took: Duration,
    /// Why the last evaluation failed.
    pub(crate) error: Option<String>,
    /// The value of the last evaluation, when it was a single one.
    pub(crate) value: Option<f64>,
}

// === impl Pass ===

impl Pass {
    /// A pass at steady time `at`, before its first rule.
    pub(crate) fn new(at: i64, kind: PassKind) -> Self {
        Self { at, next_rule: 0, kind, took: Duration::ZERO }
    }
}

// === impl GroupRun ===

impl GroupRun {
    pub(crate) fn new(group: Arc<Group>, rules: Vec<RuleRun>, schedule: Schedule) -> Self {
        Self {
            group,
            schedule,
            rules,
            pass: None,
            last_at: None,
            missed: 0,
            took: Duration::ZERO,
            urgent: false,
            last_urgent_at: None,
            reads: BTreeSet::new(),
            drawn: None,
        }
    }

    /// Finds the names it reads; `written` are the names that rules write.
    pub(crate) fn note_reads(&mut self, written: &BTreeSet<&str>) {
        self.reads = self.rules.iter().flat_map(|run| run.reads(written)).collect();
    }

    /// Whether any of its alerting rules may read a series of this name.
    pub(crate) fn may_read(&self, metric: &str) -> bool {
        self.rules.iter().any(|run| matches!(&*run.rule, Rule::Alert(rule) if inspect::may_read(&rule.expr, metric)))
    }
}

// === impl RuleRun ===

impl RuleRun {
    pub(crate) fn new(rule: Arc<Rule>, key: RuleKey) -> Self {
        Self { rule, key, alerts: Alerts::default(), written: BTreeSet::new(), last_at: None, took: Duration::ZERO, error: None, value: None }
    }

    /// Metric names it names exactly, without those that rules write.
    pub(crate) fn reads(&self, written: &BTreeSet<&str>) -> Vec<Box<str>> {
        let names = inspect::metric_names(self.rule.expr());
        let scraped = names.into_iter().filter(|name| !written.contains(name) && !matches!(*name, "ALERTS" | "ALERTS_FOR_STATE"));
        scraped.map(Box::from).collect()
    }
}
