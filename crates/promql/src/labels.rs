//! Label sets and matchers, as Prometheus orders and compares them (sorted by name, empty value means absent).
use std::fmt;
use std::sync::Arc;

use regex::Regex;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// A sorted label set, cheap to clone. No name occurs twice and no value is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, fully anchored
    Regex,
    /// `!~`, fully anchored
    NotRegex,
}

/// One label matcher; a label that is absent has the value `""`.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Label name, `__name__` for the metric name.
    pub name: Box<str>,
    /// Operator.
    pub op: MatchOp,
    /// The text as written: a value, or a pattern in RE2 syntax.
    pub value: Box<str>,
    pattern: Option<Regex>,
}

// === impl Matcher ===

impl Matcher {
    /// A matcher; `pattern` is the compiled, fully anchored pattern of the regex operators.
    pub fn new(name: &str, op: MatchOp, value: &str, pattern: Option<Regex>) -> Self {
        Self { name: name.into(), op, value: value.into(), pattern }
    }

    /// Whether a label with this value (`""` when absent) matches.
    pub fn matches(&self, value: &str) -> bool {
        let by_pattern = || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.op {
            MatchOp::Equal => *self.value == *value,
            MatchOp::NotEqual => *self.value != *value,
            MatchOp::Regex => by_pattern(),
            MatchOp::NotRegex => !by_pattern(),
        }
    }
}

// === impl Labels ===

impl Labels {
    /// A label set from pairs in any order; a later pair of the same name wins; empty values are dropped.
    pub fn from_pairs<N: Into<Box<str>>, V: Into<Box<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut sorted = std::collections::BTreeMap::new();
        for (name, value) in pairs {
            sorted.insert(name.into(), value.into());
        }
        sorted.retain(|_, value: &mut Box<str>| !value.is_empty());
        Self(sorted.into_iter().collect())
    }

    /// The value of `name`, if present.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(have, _)| (**have).cmp(name)).ok().and_then(|at| self.0.get(at)).map(|(_, value)| &**value)
    }

    /// The metric name, `""` if there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// Name and value of each label, in order of name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This set with `name` set to `value` (removed when `value` is empty).
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.iter().chain([(name, value)]))
    }

    /// This set with only the labels that `keep` names true.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// This set without the metric name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        self.filtered(|name| name != METRIC_NAME)
    }
}

impl fmt::Display for Labels {
    /// `name{a="b"}`, values escaped as in the exposition format; `{}` when empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;
        if !name.is_empty() && self.len() == 1 {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, (label, value)) in self.iter().filter(|(label, _)| *label != METRIC_NAME).enumerate() {
            write!(f, "{}{label}={value:?}", if at == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}
