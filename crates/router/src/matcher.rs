//! Label matchers: `team="db"`, `severity=~"critical|page"`.
//!
//! Owns: matching, text form and JSON form of a matcher. Parsing of both syntaxes is in [`parse`]. Must not know: who uses matchers.

mod parse;

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

pub use parse::{MatcherError, Note, Parsed, parse, parse_one};

use crate::labels::{Labels, quoted};
use crate::re2;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

/// One matcher. A label that is absent has the value `""`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "MatcherForm", into = "MatcherForm")]
pub struct Matcher {
    /// Label name.
    pub name: String,
    /// Operator.
    pub op: MatchOp,
    /// Value or pattern as written.
    pub value: String,
    pattern: Option<Regex>,
}

/// A matcher as API v2 writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MatcherForm {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

// === impl MatchOp ===

impl MatchOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

// === impl Matcher ===

impl Matcher {
    /// A matcher; `value` of a regex operator is a pattern in Go's syntax.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, String> {
        let pattern = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(re2::anchored(value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), pattern })
    }

    /// Whether a label set matches.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.value(&self.name))
    }

    /// Whether a label with this value (`""` when absent) matches.
    pub fn matches_value(&self, value: &str) -> bool {
        let by_pattern = || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => by_pattern(),
            MatchOp::NotRegex => !by_pattern(),
        }
    }

    fn order(&self) -> (&str, &str, MatchOp) {
        (&self.name, &self.value, self.op)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if self.name.chars().all(plain) {
            write!(f, "{}{}{}", self.name, self.op.as_str(), quoted(&self.value))
        } else {
            write!(f, "{}{}{}", quoted(&self.name), self.op.as_str(), quoted(&self.value))
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    /// By name, value, operator: the order in route keys.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

// === impl MatcherForm ===

impl From<Matcher> for MatcherForm {
    fn from(matcher: Matcher) -> Self {
        let is_regex = matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex);
        let is_equal = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
        Self { name: matcher.name, value: matcher.value, is_regex, is_equal }
    }
}

impl TryFrom<MatcherForm> for Matcher {
    type Error = String;

    fn try_from(form: MatcherForm) -> Result<Self, String> {
        if form.name.is_empty() {
            return Err("a matcher's name is empty".to_owned());
        }
        let op = match (form.is_regex, form.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        Self::new(&form.name, op, &form.value)
    }
}

fn yes() -> bool {
    true
}

/// The text of a set of matchers in a route key: sorted, joined by commas, in braces.
pub(crate) fn set_text(matchers: &[Matcher]) -> String {
    let mut sorted: Vec<&Matcher> = matchers.iter().collect();
    sorted.sort();
    let texts: Vec<String> = sorted.iter().map(ToString::to_string).collect();
    format!("{{{}}}", texts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_label_is_an_empty_one() {
        let labels = Labels::from_pairs([("a", "1")]);
        for (text, expected) in
            [("b=\"\"", true), ("b!=\"\"", false), ("b=~\".*\"", true), ("b=~\".+\"", false), ("a!~\"2|3\"", true), ("a=~\"1\"", true)]
        {
            assert_eq!(parse_one(text).unwrap().matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn json_form_is_that_of_api_v2() {
        let matcher: Matcher = serde_json::from_str(r#"{"name":"a","value":"x|y","isRegex":true}"#).unwrap();
        assert_eq!(matcher.to_string(), r#"a=~"x|y""#);
        assert_eq!(serde_json::to_string(&matcher).unwrap(), r#"{"name":"a","value":"x|y","isRegex":true,"isEqual":true}"#);
        assert!(serde_json::from_str::<Matcher>(r#"{"name":"a","value":"(","isRegex":true}"#).is_err());
    }
}
