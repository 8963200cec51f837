//! Rules as they were checked: what the engine runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::Place;
use gotemplate::TemplateSet;
use promql::parse::Expr;

use crate::record::RuleKey;

/// All groups of all rule files, in the order of the files and in the files.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// The groups.
    pub groups: Vec<Arc<Group>>,
}

/// A group: rules that are evaluated one after another at the same time.
#[derive(Clone, Debug)]
pub struct Group {
    /// File as it was named to [`check`](crate::check()).
    pub file: Arc<str>,
    /// Name, unique in its file.
    pub name: String,
    /// Time between two evaluations; `None` is the engine's default.
    pub interval_ms: Option<i64>,
    /// How far before its time the group looks; `None` is the engine's default.
    pub query_offset_ms: Option<i64>,
    /// The most series or alerts a rule may produce; 0 is any number.
    pub limit: usize,
    /// The rules.
    pub rules: Vec<Arc<Rule>>,
    /// The text it was read from, as far as it matters to its evaluation: equal texts are equal groups.
    pub(crate) digest: u64,
}

/// A rule of either kind.
#[derive(Clone, Debug)]
pub enum Rule {
    /// `alert:`
    Alert(AlertRule),
    /// `record:`
    Record(RecordRule),
}

/// An alerting rule.
#[derive(Clone, Debug)]
pub struct AlertRule {
    /// `alertname`
    pub name: String,
    /// The expression as written.
    pub query: String,
    /// The expression.
    pub expr: Expr,
    /// How long the condition must hold.
    pub for_ms: i64,
    /// How long the alert goes on firing after the condition ended.
    pub keep_firing_for_ms: i64,
    /// Labels of group and rule, by name; the rule's win.
    pub labels: BTreeMap<String, Field>,
    /// Annotations by name.
    pub annotations: BTreeMap<String, Field>,
    /// Where the rule begins in its file.
    pub place: Place,
}

/// A recording rule.
#[derive(Clone, Debug)]
pub struct RecordRule {
    /// The metric it writes.
    pub name: String,
    /// The expression as written.
    pub query: String,
    /// The expression.
    pub expr: Expr,
    /// Labels of group and rule, by name; the rule's win.
    pub labels: BTreeMap<String, String>,
    /// Where the rule begins in its file.
    pub place: Place,
}

/// A label or annotation of an alerting rule: a text, perhaps a template.
#[derive(Clone, Debug)]
pub struct Field {
    /// As written.
    pub text: String,
    /// The template, when the text has any action.
    pub(crate) template: Option<TemplateSet>,
}

// === impl RuleSet ===

impl RuleSet {
    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }
}

// === impl Rule ===

impl Rule {
    /// Alert name or metric name.
    pub fn name(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.name,
            Self::Record(rule) => &rule.name,
        }
    }

    /// The expression as written.
    pub fn query(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.query,
            Self::Record(rule) => &rule.query,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &Expr {
        match self {
            Self::Alert(rule) => &rule.expr,
            Self::Record(rule) => &rule.expr,
        }
    }

    /// Labels as written.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        match self {
            Self::Alert(rule) => rule.labels.iter().map(|(name, field)| (name.as_str(), field.text.as_str())).collect(),
            Self::Record(rule) => rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }

    /// Where it begins in its file.
    pub fn place(&self) -> Place {
        match self {
            Self::Alert(rule) => rule.place,
            Self::Record(rule) => rule.place,
        }
    }

    /// The key under which its state is kept; `twin` numbers rules that share name and labels, from 0.
    pub(crate) fn key(&self, twin: usize) -> RuleKey {
        let labels: Vec<String> = self.labels().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let number = if twin == 0 { String::new() } else { format!("#{twin}") };
        RuleKey(format!("{}{{{}}}{number}", self.name(), labels.join(",")))
    }
}
