//! Which firing alert makes which other needless, found without looking at all of them.
//!
//! Owns: the index of firing sources by rule and `equal` values. Every source is kept, so that inhibition goes on while one of several fires.

use std::collections::{BTreeMap, BTreeSet};

use crate::inhibit::InhibitRule;
use crate::labels::{Fingerprint, Labels};

/// Values of the `equal` labels, in order of name.
type EqualValues = Vec<Box<str>>;

#[derive(Debug, Default)]
struct Sources {
    /// Match the source side only.
    pure: BTreeSet<Fingerprint>,
    /// Match both sides: they do not inhibit an alert that does so too.
    both: BTreeSet<Fingerprint>,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Inhibitor {
    rules: Vec<(InhibitRule, BTreeMap<EqualValues, Sources>)>,
}

// === impl Inhibitor ===

impl Inhibitor {
    pub(crate) fn new(rules: &[InhibitRule]) -> Self {
        Self { rules: rules.iter().map(|rule| (rule.clone(), BTreeMap::new())).collect() }
    }

    /// An alert fires.
    pub(crate) fn fires(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for (rule, index) in self.rules.iter_mut().filter(|(rule, _)| rule.is_source(labels)) {
            let sources = index.entry(rule.values(labels)).or_default();
            if rule.is_target(labels) {
                sources.both.insert(fingerprint)
            } else {
                sources.pure.insert(fingerprint)
            };
        }
    }

    /// An alert has ended.
    pub(crate) fn ended(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for (rule, index) in self.rules.iter_mut().filter(|(rule, _)| rule.is_source(labels)) {
            let values = rule.values(labels);
            let Some(sources) = index.get_mut(&values) else { continue };
            sources.pure.remove(&fingerprint);
            sources.both.remove(&fingerprint);
            if sources.pure.is_empty() && sources.both.is_empty() {
                index.remove(&values);
            }
        }
    }

    /// A firing alert that inhibits one with these labels.
    pub(crate) fn inhibits(&self, labels: &Labels) -> Option<Fingerprint> {
        self.rules.iter().filter(|(rule, _)| rule.is_target(labels)).find_map(|(rule, index)| {
            let sources = index.get(&rule.values(labels))?;
            let also_both = || sources.both.first().filter(|_| !rule.is_source(labels));
            sources.pure.first().or_else(also_both).copied()
        })
    }
}

// === impl InhibitRule ===

impl InhibitRule {
    fn is_source(&self, labels: &Labels) -> bool {
        self.source.iter().all(|matcher| matcher.matches(labels))
    }

    fn is_target(&self, labels: &Labels) -> bool {
        self.target.iter().all(|matcher| matcher.matches(labels))
    }

    fn values(&self, labels: &Labels) -> EqualValues {
        self.equal.iter().map(|name| labels.value(name).into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::parse;

    fn rule(source: &str, target: &str, equal: &[&str]) -> InhibitRule {
        InhibitRule {
            name: String::new(),
            source: parse(source).unwrap().matchers,
            target: parse(target).unwrap().matchers,
            equal: equal.iter().map(ToString::to_string).collect(),
        }
    }

    fn labels(text: &str) -> Labels {
        Labels::from_pairs(text.split(' ').filter_map(|pair| pair.split_once('=')))
    }

    fn fires(index: &mut Inhibitor, text: &str) -> Fingerprint {
        let labels = labels(text);
        index.fires(labels.fingerprint(), &labels);
        labels.fingerprint()
    }

    #[test]
    fn a_source_inhibits_targets_with_equal_labels() {
        let mut index = Inhibitor::new(&[rule("severity=critical", "severity=warning", &["host", "rack"])]);
        let source = fires(&mut index, "alertname=Down severity=critical host=a");
        assert_eq!(index.inhibits(&labels("alertname=Mem severity=warning host=a")), Some(source));
        assert_eq!(index.inhibits(&labels("alertname=Mem severity=warning host=b")), None);
        assert_eq!(index.inhibits(&labels("alertname=Mem severity=warning host=a rack=1")), None);
        assert_eq!(index.inhibits(&labels("alertname=Mem severity=info host=a")), None);
    }

    #[test]
    fn inhibition_goes_on_while_one_of_several_sources_fires() {
        let mut index = Inhibitor::new(&[rule("severity=critical", "severity=warning", &[])]);
        let first = labels("alertname=A severity=critical");
        fires(&mut index, "alertname=A severity=critical");
        fires(&mut index, "alertname=B severity=critical");
        index.ended(first.fingerprint(), &first);
        assert!(index.inhibits(&labels("severity=warning")).is_some());
        let second = labels("alertname=B severity=critical");
        index.ended(second.fingerprint(), &second);
        assert!(index.inhibits(&labels("severity=warning")).is_none());
    }

    #[test]
    fn an_alert_that_is_source_and_target_is_inhibited_only_by_a_pure_source() {
        let mut index = Inhibitor::new(&[rule("kind=~\"x|y\"", "kind=~\"y|z\"", &[])]);
        fires(&mut index, "alertname=1 kind=y");
        assert_eq!(index.inhibits(&labels("alertname=2 kind=y")), None);
        assert!(index.inhibits(&labels("alertname=3 kind=z")).is_some());
        let pure = fires(&mut index, "alertname=4 kind=x");
        assert_eq!(index.inhibits(&labels("alertname=2 kind=y")), Some(pure));
    }
}
