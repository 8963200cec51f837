//! The states of one rule's alerts (Prometheus documentation, "Alerting rules"; the order of the steps is that of its rule evaluation).
//!
//! Times are the engine's steady ones, in milliseconds.

use std::collections::BTreeMap;

use promql::labels::Labels;
use serde::{Deserialize, Serialize};

/// How long a resolved alert is remembered, so that its resolution can be sent again.
pub(crate) const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;

/// The state of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Resolved, or never active.
    #[default]
    Inactive,
    /// The condition holds, but not yet for `for`.
    Pending,
    /// It fires.
    Firing,
}

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Active {
    /// Labels of the expression's element: `$labels`.
    pub(crate) source: Labels,
    pub(crate) state: AlertState,
    pub(crate) value: f64,
    pub(crate) active_at: i64,
    pub(crate) fired_at: Option<i64>,
    pub(crate) resolved_at: Option<i64>,
    pub(crate) keep_firing_since: Option<i64>,
    pub(crate) last_sent_at: Option<i64>,
    /// When the expression last had it.
    pub(crate) seen_at: i64,
}

/// An element of the expression's value, under the labels of its alert.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) labels: Labels,
    pub(crate) source: Labels,
    pub(crate) value: f64,
}

/// What a rule asks of its alerts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) for_ms: i64,
    pub(crate) keep_firing_for_ms: i64,
    /// The most pending and firing alerts; 0 is any number.
    pub(crate) limit: usize,
    /// An alert that is absent because its data is not there yet after a start keeps its state.
    pub(crate) absence: Absence,
}

/// What it means that the expression no longer has an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The condition ended.
    Ended,
    /// Nothing: what the rule reads has not been observed since the start.
    Unknown,
}

/// A change of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) labels: Labels,
    pub(crate) reason: Reason,
}

/// Why an alert changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    ConditionHolds,
    HeldLongEnough,
    ConditionEnded,
    PendingEnded,
    KeptLongEnough,
    ForRaised,
    Expired,
    KeepFiring,
    OverLimit,
    RuleRemoved,
}

/// What an update did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<Change>,
    /// The rule as a whole failed.
    pub(crate) error: Option<String>,
}

/// All alerts of one rule, by their labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    pub(crate) active: BTreeMap<Labels, Active>,
}

// === impl AlertState ===

impl AlertState {
    /// Prometheus's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// The word for log and metric.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConditionHolds => "condition_holds",
            Self::HeldLongEnough => "held_long_enough",
            Self::ConditionEnded => "condition_ended",
            Self::PendingEnded => "pending_ended",
            Self::KeptLongEnough => "kept_long_enough",
            Self::ForRaised => "for_raised",
            Self::Expired => "expired",
            Self::KeepFiring => "keep_firing",
            Self::OverLimit => "over_limit",
            Self::RuleRemoved => "rule_removed",
        }
    }
}

// === impl Active ===

impl Active {
    fn pending(found: &Found, now: i64) -> Self {
        Self {
            source: found.source.clone(),
            state: AlertState::Pending,
            value: found.value,
            active_at: now,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            last_sent_at: None,
            seen_at: now,
        }
    }

    /// Whether it is to be handed out at `now`: newly fired or resolved, or again after `resend_ms`.
    pub(crate) fn needs_sending(&self, now: i64, resend_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        match self.last_sent_at {
            None => true,
            Some(sent) => self.resolved_at.is_some_and(|resolved| resolved > sent) || sent + resend_ms < now,
        }
    }
}

// === impl Alerts ===

impl Alerts {
    /// Brings the alerts to what the expression gave at `now`. Over the limit every alert of the rule is dropped, as in Prometheus.
    pub(crate) fn update(&mut self, found: Vec<Found>, now: i64, terms: Terms) -> Outcome {
        let mut changes = Vec::new();
        for one in found {
            match self.active.get_mut(&one.labels) {
                Some(alert) if alert.state != AlertState::Inactive => {
                    alert.value = one.value;
                    alert.source = one.source;
                    alert.seen_at = now;
                }
                _ => {
                    changes.push(Change { labels: one.labels.clone(), reason: Reason::ConditionHolds });
                    self.active.insert(one.labels.clone(), Active::pending(&one, now));
                }
            }
        }
        self.active.retain(|labels, alert| {
            let present = alert.seen_at == now;
            let kept = step(alert, present, now, terms);
            if let Some(reason) = kept.reason {
                changes.push(Change { labels: labels.clone(), reason });
            }
            kept.stays
        });
        let counted = self.active.values().filter(|alert| alert.state != AlertState::Inactive).count();
        if terms.limit > 0 && counted > terms.limit {
            let gone = std::mem::take(&mut self.active).into_keys();
            let changes = gone.map(|labels| Change { labels, reason: Reason::OverLimit }).collect();
            return Outcome { changes, error: Some(format!("exceeded limit of {} with {counted} alerts", terms.limit)) };
        }
        Outcome { changes, error: None }
    }

    /// How many are in this state.
    pub(crate) fn count(&self, state: AlertState) -> usize {
        self.active.values().filter(|alert| alert.state == state).count()
    }

    /// The highest state of any alert.
    pub(crate) fn state(&self) -> AlertState {
        self.active.values().map(|alert| alert.state).max().unwrap_or_default()
    }
}

struct Kept {
    stays: bool,
    reason: Option<Reason>,
}

/// One alert's step: absence, then pending to firing, then firing back to pending when `for` was raised.
fn step(alert: &mut Active, present: bool, now: i64, terms: Terms) -> Kept {
    let stays = |reason| Kept { stays: true, reason };
    let mut reason = None;
    if present {
        alert.keep_firing_since = None;
    } else {
        if alert.state == AlertState::Inactive {
            let expired = alert.resolved_at.is_some_and(|resolved| now - resolved > RESOLVED_RETENTION_MS);
            return Kept { stays: !expired, reason: expired.then_some(Reason::Expired) };
        }
        if terms.absence == Absence::Unknown {
            return stays(None);
        }
        if alert.state == AlertState::Pending {
            return Kept { stays: false, reason: Some(Reason::PendingEnded) };
        }
        if terms.keep_firing_for_ms == 0 {
            return stays(Some(resolve(alert, now, Reason::ConditionEnded)));
        }
        if alert.keep_firing_since.is_none() {
            reason = Some(Reason::KeepFiring);
        }
        let since = *alert.keep_firing_since.get_or_insert(now);
        if now - since >= terms.keep_firing_for_ms {
            return stays(Some(resolve(alert, now, Reason::KeptLongEnough)));
        }
    }
    if alert.state == AlertState::Pending && now - alert.active_at >= terms.for_ms {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(now);
        reason = Some(Reason::HeldLongEnough);
    }
    if alert.state == AlertState::Firing && now - alert.active_at < terms.for_ms {
        alert.state = AlertState::Pending;
        (alert.fired_at, alert.last_sent_at, alert.keep_firing_since) = (None, None, None);
        reason = Some(Reason::ForRaised);
    }
    stays(reason)
}

fn resolve(alert: &mut Active, now: i64, reason: Reason) -> Reason {
    alert.state = AlertState::Inactive;
    alert.resolved_at = Some(now);
    alert.keep_firing_since = None;
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn found(name: &str) -> Found {
        Found { labels: Labels::from_pairs([("alertname", "A"), ("i", name)]), source: Labels::from_pairs([("i", name)]), value: 1.0 }
    }

    fn terms(for_ms: i64, keep_firing_for_ms: i64) -> Terms {
        Terms { for_ms, keep_firing_for_ms, limit: 0, absence: Absence::Ended }
    }

    /// Runs a script: one character a minute, `+` when the condition holds; the states as `.pfr` (nothing, pending, firing, resolved).
    fn run(script: &str, terms: Terms) -> String {
        let mut alerts = Alerts::default();
        let mut shown = String::new();
        for (minute, c) in script.chars().enumerate() {
            let now = i64::try_from(minute).unwrap() * MINUTE;
            alerts.update(if c == '+' { vec![found("x")] } else { Vec::new() }, now, terms);
            shown.push(match alerts.active.values().next().map(|alert| alert.state) {
                None => '.',
                Some(AlertState::Pending) => 'p',
                Some(AlertState::Firing) => 'f',
                Some(AlertState::Inactive) => 'r',
            });
        }
        shown
    }

    #[test]
    fn states_over_time() {
        for (script, for_minutes, keep_minutes, want) in [
            ("+++-", 0, 0, "fffr"),
            ("++++--", 2, 0, "ppffrr"),
            ("+-+++", 2, 0, "p.ppf"),
            ("++--+", 1, 0, "pfrrp"),
            ("++---+", 0, 2, "fffFrf"),
            ("+-+--", 0, 2, "fffff"),
            ("+---", 0, 2, "fffr"),
        ] {
            let got = run(script, terms(for_minutes * MINUTE, keep_minutes * MINUTE));
            assert_eq!(got, want.to_lowercase(), "{script} for {for_minutes}m keep {keep_minutes}m");
        }
    }

    #[test]
    fn a_resolved_alert_is_remembered_for_a_quarter_of_an_hour() {
        let shown = run(&("+".to_owned() + &"-".repeat(18)), terms(0, 0));
        assert_eq!(shown, "f".to_owned() + &"r".repeat(16) + "..");
    }

    #[test]
    fn a_raised_for_makes_a_firing_alert_pending_again() {
        let mut alerts = Alerts::default();
        alerts.update(vec![found("x")], 0, terms(0, 0));
        let outcome = alerts.update(vec![found("x")], MINUTE, terms(5 * MINUTE, 0));
        assert_eq!(outcome.changes[0].reason, Reason::ForRaised);
        let alert = alerts.active.values().next().unwrap();
        assert_eq!((alert.state, alert.active_at, alert.fired_at), (AlertState::Pending, 0, None));
    }

    #[test]
    fn over_the_limit_all_are_dropped() {
        let mut alerts = Alerts::default();
        let outcome = alerts.update(vec![found("x"), found("y")], 0, Terms { limit: 1, ..terms(0, 0) });
        assert_eq!(outcome.error.as_deref(), Some("exceeded limit of 1 with 2 alerts"));
        assert!(alerts.active.is_empty());
    }

    #[test]
    fn absence_without_data_after_a_start_changes_nothing() {
        let mut alerts = Alerts::default();
        alerts.update(vec![found("x")], 0, terms(0, 0));
        alerts.update(Vec::new(), MINUTE, Terms { absence: Absence::Unknown, ..terms(0, 0) });
        assert_eq!(alerts.state(), AlertState::Firing);
        alerts.update(Vec::new(), 2 * MINUTE, terms(0, 0));
        assert_eq!(alerts.state(), AlertState::Inactive);
    }

    #[test]
    fn sending_waits_for_the_resend_delay_and_not_for_a_resolution() {
        let mut alerts = Alerts::default();
        alerts.update(vec![found("x")], 0, terms(0, 0));
        let alert = alerts.active.values_mut().next().unwrap();
        assert!(alert.needs_sending(0, MINUTE));
        alert.last_sent_at = Some(0);
        assert!(!alert.needs_sending(MINUTE, MINUTE));
        assert!(alert.needs_sending(MINUTE + 1, MINUTE));
        resolve(alert, 10, Reason::ConditionEnded);
        assert!(alert.needs_sending(10, MINUTE));
    }
}
