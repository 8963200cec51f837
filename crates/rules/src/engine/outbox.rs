//! Alerts that wait to be handed out. Annotations are rendered only when an alert leaves, so that ten thousand at once cost ten thousand small entries.

use std::collections::VecDeque;
use std::sync::Arc;

use gotemplate::escape::url_query;
use promql::labels::Labels;

use super::RuleEngine;
use crate::alert::{Active, AlertState};
use crate::effects::Alert;
use crate::model::{AlertRule, Rule};
use crate::render::{Subject, Surroundings};

/// An alert as it was when it was found to need sending; times in the wall clock's milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) rule: Arc<Rule>,
    pub(super) labels: Labels,
    pub(super) source: Labels,
    pub(super) value: f64,
    /// Time of the evaluation that had it last.
    pub(super) seen_at_ms: i64,
    pub(super) starts_at_ms: i64,
    pub(super) ends_at_ms: i64,
    pub(super) resolved: bool,
}

/// A bounded queue.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: VecDeque<Outgoing>,
    limit: usize,
    refused: u64,
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), limit, refused: 0 }
    }

    /// Whether there was room; one that is refused is tried again at the rule's next evaluation.
    pub(super) fn push(&mut self, outgoing: Outgoing) -> bool {
        let room = self.waiting.len() < self.limit;
        if room {
            self.waiting.push_back(outgoing);
        } else {
            self.refused += 1;
        }
        room
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// `alert` of `rule` at `now`, valid until `valid_until` if nothing more is heard; all steady times, shown by `shown`.
    pub(super) fn new(rule: &Arc<Rule>, labels: &Labels, alert: &Active, valid_until: i64, shown: impl Fn(i64) -> i64) -> Self {
        let resolved = alert.state == AlertState::Inactive;
        let ends_at = if resolved { alert.resolved_at.unwrap_or(valid_until) } else { valid_until };
        Self {
            rule: rule.clone(),
            labels: labels.clone(),
            source: alert.source.clone(),
            value: alert.value,
            seen_at_ms: shown(alert.seen_at),
            starts_at_ms: shown(alert.fired_at.unwrap_or(alert.active_at)),
            ends_at_ms: shown(ends_at),
            resolved,
        }
    }
}

// === impl RuleEngine ===

impl RuleEngine {
    /// The next alerts, as many as a turn may hand out.
    pub(super) fn hand_out(&mut self) -> Vec<Alert> {
        let count = self.outbox.waiting.len().min(self.options.limits.alerts_a_turn);
        let leaving: Vec<Outgoing> = self.outbox.waiting.drain(..count).collect();
        if self.outbox.waiting.is_empty() {
            self.outbox.waiting.shrink_to(self.options.limits.alerts_a_turn);
        }
        leaving.into_iter().filter_map(|outgoing| self.alert(outgoing)).collect()
    }

    fn alert(&self, outgoing: Outgoing) -> Option<Alert> {
        let Rule::Alert(rule) = &*outgoing.rule else { return None };
        let external = self.options.external_labels.iter().filter(|(name, _)| outgoing.labels.get(name).is_none());
        let subject = Subject { labels: &outgoing.source, value: outgoing.value, at_ms: outgoing.seen_at_ms };
        Some(Alert {
            annotations: self.annotations(rule, subject),
            labels: Labels::from_pairs(outgoing.labels.iter().chain(external)),
            starts_at_ms: outgoing.starts_at_ms,
            ends_at_ms: outgoing.ends_at_ms,
            resolved: outgoing.resolved,
            generator_url: format!("{}/graph?g0.expr={}&g0.tab=1", self.options.external_url, url_query(&rule.query)),
            value: outgoing.value,
        })
    }

    /// The rendered annotations of an alert, by name.
    pub(super) fn annotations(&self, rule: &AlertRule, subject: Subject<'_>) -> Vec<(String, String)> {
        let source = self.source();
        let around = Surroundings {
            source: &source,
            options: &self.options.eval,
            external_labels: &self.options.external_labels,
            external_url: &self.options.external_url,
        };
        rule.annotations.iter().map(|(name, field)| (name.clone(), field.render(&rule.name, subject, around))).collect()
    }
}
