//! Relabelling: a list of rules that change, keep or drop a label set.
//!
//! Owns: what each action does and which fields it takes (Prometheus documentation, "Configuration", `<relabel_config>`).
//! Must not know: targets, scrapes, files.
//!
//! ```
//! use promql::labels::Labels;
//! use promql::relabel::{Draft, Rule, apply};
//!
//! let draft = Draft { source_labels: vec!["__address__".into()], regex: Some("(.*):.*".into()), target_label: Some("host".into()), ..Draft::default() };
//! let rules = [Rule::new(draft)?];
//! let labels = apply(&Labels::from_pairs([("__address__", "md-1:9092")]), &rules);
//! assert_eq!(labels.and_then(|labels| labels.get("host").map(str::to_owned)).as_deref(), Some("md-1"));
//! # Ok::<(), promql::relabel::RuleError>(())
//! ```
use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use regex::Regex;

use crate::labels::Labels;
use crate::regex::{PatternError, compile, expand};

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Sets a label to what the pattern makes of the sources.
    #[default]
    Replace,
    /// Drops the set unless the sources match.
    Keep,
    /// Drops the set if the sources match.
    Drop,
    /// Drops the set unless the sources equal the target label.
    KeepEqual,
    /// Drops the set if the sources equal the target label.
    DropEqual,
    /// Sets a label to a number below the modulus, made of the sources.
    HashMod,
    /// Copies labels whose name matches to names made of it.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets a label to the sources in lower case.
    Lowercase,
    /// Sets a label to the sources in upper case.
    Uppercase,
}

/// A rule as written; what is `None` has the default of [`Rule`]'s documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// Between the joined values; `;`.
    pub separator: Option<String>,
    /// Pattern that must match the whole of them; `(.*)`.
    pub regex: Option<String>,
    /// For [`Action::HashMod`].
    pub modulus: u64,
    /// The label that is set; may name groups of the pattern as `${1}`.
    pub target_label: Option<String>,
    /// What it is set to; `$1`.
    pub replacement: Option<String>,
    /// What is done.
    pub action: Action,
}

/// A rule that can be applied.
#[derive(Clone, Debug)]
pub struct Rule {
    source_labels: Vec<Box<str>>,
    separator: Box<str>,
    /// The pattern as written, to tell rules apart.
    pattern: Box<str>,
    regex: Regex,
    modulus: u64,
    target_label: Box<str>,
    replacement: Box<str>,
    action: Action,
}

/// Why a rule cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The pattern is none.
    #[error("regex: {0}")]
    Pattern(#[from] PatternError),
    /// The action sets a label and is not told which.
    #[error("action `{}` needs `target_label`", .0.as_str())]
    NoTarget(Action),
    /// `hashmod` without a modulus.
    #[error("action `hashmod` needs a `modulus` above zero")]
    NoModulus,
    /// The action takes no such field.
    #[error("action `{}` does not take `{field}`", .action.as_str())]
    Unused {
        /// The action.
        action: Action,
        /// The field.
        field: &'static str,
    },
}

/// The pattern that takes everything, as its first group.
const ANYTHING: &str = "(.*)";

// === impl Action ===

impl Action {
    /// Every action.
    pub const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// The action of a word, in any case.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(word))
    }

    fn needs_target(self) -> bool {
        matches!(self, Self::Replace | Self::HashMod | Self::Lowercase | Self::Uppercase | Self::KeepEqual | Self::DropEqual)
    }
}

// === impl Rule ===

impl Rule {
    /// A rule from what is written.
    ///
    /// # Errors
    /// A pattern that is none, a field that is missing, or one that the action does not take.
    pub fn new(draft: Draft) -> Result<Self, RuleError> {
        if draft.action.needs_target() && draft.target_label.as_deref().unwrap_or_default().is_empty() {
            return Err(RuleError::NoTarget(draft.action));
        }
        if draft.action == Action::HashMod && draft.modulus == 0 {
            return Err(RuleError::NoModulus);
        }
        if let Some(field) = unused(&draft) {
            return Err(RuleError::Unused { action: draft.action, field });
        }
        let pattern = draft.regex.unwrap_or_else(|| ANYTHING.to_owned());
        Ok(Self {
            source_labels: draft.source_labels.into_iter().map(Box::from).collect(),
            separator: draft.separator.unwrap_or_else(|| ";".to_owned()).into(),
            regex: compile(&pattern)?,
            pattern: pattern.into(),
            modulus: draft.modulus.max(1),
            target_label: draft.target_label.unwrap_or_default().into(),
            replacement: draft.replacement.unwrap_or_else(|| "$1".to_owned()).into(),
            action: draft.action,
        })
    }

    /// Applies the rule; whether the set is kept.
    fn apply(&self, labels: &mut BTreeMap<String, String>) -> bool {
        let get = |name: &str| labels.get(name).map_or("", String::as_str);
        let sources = self.source_labels.iter().map(|name| get(name)).collect::<Vec<_>>().join(&self.separator);
        match self.action {
            Action::Keep => return self.regex.is_match(&sources),
            Action::Drop => return !self.regex.is_match(&sources),
            Action::KeepEqual => return get(&self.target_label) == sources,
            Action::DropEqual => return get(&self.target_label) != sources,
            Action::Replace => self.replace(&sources, labels),
            Action::HashMod => set(labels, &self.target_label, (hash(&sources) % self.modulus).to_string()),
            Action::Lowercase => set(labels, &self.target_label, sources.to_lowercase()),
            Action::Uppercase => set(labels, &self.target_label, sources.to_uppercase()),
            Action::LabelMap => self.map(labels),
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }

    fn replace(&self, sources: &str, labels: &mut BTreeMap<String, String>) {
        let Some(groups) = self.regex.captures(sources) else { return };
        let (mut target, mut value) = (String::new(), String::new());
        expand(&self.target_label, &groups, &mut target);
        // Any text is a name (UTF-8 names, the default since Prometheus 3), but for none.
        if !target.is_empty() {
            expand(&self.replacement, &groups, &mut value);
            set(labels, &target, value);
        }
    }

    fn map(&self, labels: &mut BTreeMap<String, String>) {
        let copies: Vec<(String, String)> = labels
            .iter()
            .filter_map(|(name, value)| {
                let mut target = String::new();
                expand(&self.replacement, &self.regex.captures(name)?, &mut target);
                Some((target, value.clone()))
            })
            .collect();
        copies.into_iter().filter(|(name, _)| !name.is_empty()).for_each(|(name, value)| set(labels, &name, value));
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let fields = |rule: &Self| (rule.separator.clone(), rule.pattern.clone(), rule.modulus, rule.target_label.clone(), rule.replacement.clone());
        self.action == other.action && self.source_labels == other.source_labels && fields(self) == fields(other)
    }
}

impl Eq for Rule {}

/// `labels` after every rule in order, or `None` when one of them drops the set.
pub fn apply(labels: &Labels, rules: &[Rule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut pairs: BTreeMap<String, String> = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    rules.iter().all(|rule| rule.apply(&mut pairs)).then(|| Labels::from_pairs(pairs))
}

/// A field that is given but not taken.
fn unused(draft: &Draft) -> Option<&'static str> {
    let given = |field: &'static str, is_given: bool| is_given.then_some(field);
    let regex = given("regex", draft.regex.is_some());
    let replacement = given("replacement", draft.replacement.is_some());
    let separator = given("separator", draft.separator.is_some());
    let modulus = given("modulus", draft.modulus != 0);
    match draft.action {
        Action::KeepEqual | Action::DropEqual => regex.or(modulus).or(separator).or(replacement),
        Action::LabelDrop | Action::LabelKeep => {
            let sources = given("source_labels", !draft.source_labels.is_empty());
            let target = given("target_label", draft.target_label.is_some());
            sources.or(target).or(modulus).or(separator).or(replacement)
        }
        Action::Lowercase | Action::Uppercase => replacement,
        _ => None,
    }
}

/// An empty value is no label.
fn set(labels: &mut BTreeMap<String, String>, name: &str, value: String) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value);
    }
}

/// The last eight bytes of the MD5 sum, which is what `hashmod` counts by.
fn hash(text: &str) -> u64 {
    Md5::digest(text).iter().skip(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name=value` pairs, blank-separated.
    fn labels(text: &str) -> Labels {
        Labels::from_pairs(text.split_whitespace().filter_map(|pair| pair.split_once('=')))
    }

    fn draft(action: Action, sources: &str, (regex, target, replacement): (&str, &str, &str)) -> Draft {
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        Draft {
            source_labels: sources.split_whitespace().map(str::to_owned).collect(),
            regex: some(regex),
            target_label: some(target),
            replacement: some(replacement),
            action,
            ..Draft::default()
        }
    }

    /// Action, sources, (regex, target, replacement), the labels that differ afterwards; `-` is a field that is not given.
    type Row = (Action, &'static str, (&'static str, &'static str, &'static str), Option<&'static str>);

    #[test]
    fn each_action_does_what_the_manual_says() {
        use Action::*;
        let given = "a=foo b=bar c=Baz x_one=1 x_two=2";
        let table: &[Row] = &[
            (Replace, "a", ("f(.*)", "d", "ch${1}-ch${1}"), Some("d=choo-choo")),
            (Replace, "a b", ("(.*);(.*)", "d", "$2$1"), Some("d=barfoo")),
            (Replace, "a", ("oo", "d", "-"), Some("")),
            (Replace, "a", ("f(.*)", "a", ""), Some("a=")),
            (Replace, "a", ("(.*)", "${1}_$1", "v"), Some("foo_foo=v")),
            (Replace, "none", ("(.+)", "a", "v"), Some("")),
            (Replace, "", ("-", "d", "fixed"), Some("d=fixed")),
            (Replace, "none", ("-", "a", "-"), Some("a=")),
            (Replace, "a", ("(f)|(x)", "d", "$2"), Some("")),
            (Keep, "a", ("fo+", "-", "-"), Some("")),
            (Keep, "a", ("o", "-", "-"), None),
            (Drop, "a b", ("foo;.*", "-", "-"), None),
            (Drop, "none", ("", "-", "-"), None),
            (Drop, "a", ("bar", "-", "-"), Some("")),
            (KeepEqual, "a", ("-", "a", "-"), Some("")),
            (KeepEqual, "a", ("-", "b", "-"), None),
            (DropEqual, "none", ("-", "other", "-"), None),
            (DropEqual, "a", ("-", "b", "-"), Some("")),
            (LabelMap, "", ("x_(.*)", "-", "-"), Some("one=1 two=2")),
            (LabelMap, "", ("x_(.*)", "-", "${1}_y"), Some("one_y=1 two_y=2")),
            (LabelDrop, "", ("x_.*", "-", "-"), Some("x_one= x_two=")),
            (LabelKeep, "", ("[abc]", "-", "-"), Some("x_one= x_two=")),
            (Lowercase, "c", ("-", "c", "-"), Some("c=baz")),
            (Uppercase, "a c", ("-", "d", "-"), Some("d=FOO;BAZ")),
        ];
        for (action, sources, fields, changed) in table {
            let rule = Rule::new(draft(*action, sources, *fields)).unwrap();
            let want = changed.map(|changed| {
                changed.split_whitespace().filter_map(|pair| pair.split_once('=')).fold(labels(given), |set, (name, value)| set.with(name, value))
            });
            assert_eq!(apply(&labels(given), &[rule]), want, "{action:?} {sources:?} {fields:?}");
        }
    }

    #[test]
    fn hashmod_counts_by_the_tail_of_md5() {
        // RFC 1321, appendix A.5.
        assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
        assert_eq!(hash("abc"), 0xd696_3f7d_28e1_7f72);
        let draft = Draft { modulus: 1000, ..draft(Action::HashMod, "a", ("-", "d", "-")) };
        let found = apply(&labels("a=abc"), &[Rule::new(draft).unwrap()]).unwrap();
        assert_eq!(found.get("d"), Some((0xd696_3f7d_28e1_7f72_u64 % 1000).to_string().as_str()));
    }

    #[test]
    fn rules_follow_each_other_until_one_drops() {
        let rules = [
            Rule::new(draft(Action::Replace, "a", ("-", "__tmp", "-"))).unwrap(),
            Rule::new(draft(Action::Keep, "__tmp", ("foo", "-", "-"))).unwrap(),
            Rule::new(draft(Action::LabelDrop, "", ("__.*", "-", "-"))).unwrap(),
        ];
        assert_eq!(apply(&labels("a=foo"), &rules), Some(labels("a=foo")));
        assert_eq!(apply(&labels("a=bar"), &rules), None);
    }

    #[test]
    fn what_an_action_lacks_or_does_not_take_is_named() {
        let table = [
            (draft(Action::Replace, "a", ("-", "-", "-")), "action `replace` needs `target_label`"),
            (draft(Action::HashMod, "a", ("-", "d", "-")), "action `hashmod` needs a `modulus` above zero"),
            (draft(Action::Lowercase, "a", ("-", "d", "x")), "action `lowercase` does not take `replacement`"),
            (draft(Action::KeepEqual, "a", ("x", "d", "-")), "action `keepequal` does not take `regex`"),
            (draft(Action::LabelDrop, "a", ("x", "-", "-")), "action `labeldrop` does not take `source_labels`"),
            (draft(Action::Keep, "a", ("(", "-", "-")), "regex: unbalanced parentheses"),
        ];
        for (draft, want) in table {
            assert_eq!(Rule::new(draft).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn rules_are_equal_by_what_they_say() {
        let rule = |regex| Rule::new(draft(Action::Keep, "a", (regex, "-", "-"))).unwrap();
        assert!(rule("x") == rule("x") && rule("x") != rule("y"));
        assert_eq!(Action::of_word("LabelMap"), Some(Action::LabelMap));
    }
}
