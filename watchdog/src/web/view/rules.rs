//! Rules as the page shows them, drawn when somebody looks. Must not know: how they are evaluated.

use promql::parse::print_duration;
use rules::{GroupView, RuleKind};

use super::{AlertView, RuleView};

/// The rules of a group, in their order.
pub(super) fn of_group(group: &GroupView) -> impl Iterator<Item = RuleView> {
    group.rules.iter().map(|rule| rule_view(&group.name, rule))
}

/// A duration in whole minutes, or seconds when it is shorter.
pub(in crate::web) fn short(ms: i64) -> String {
    let unit = if ms < 60_000 { 1_000 } else { 60_000 };
    print_duration(ms / unit * unit)
}

fn rule_view(group: &str, rule: &rules::RuleView) -> RuleView {
    let label = |name: &str| rule.labels.iter().find(|(have, _)| have == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let state = match rule.kind {
        RuleKind::Recording => rule.kind.as_str(),
        RuleKind::Alerting => rule.state.as_str(),
    };
    RuleView {
        group: group.to_owned(),
        name: rule.name.clone(),
        severity: label("severity"),
        expr: rule.query.clone(),
        for_seconds: rule.for_ms as f64 / 1000.0,
        state: state.to_owned(),
        error: rule.last_error.clone().unwrap_or_default(),
        missing: rule.missing.iter().map(|missing| missing.selector.clone()).collect(),
        history: rule.short_history.map(|(have, need)| format!("{} / {}", short(have), short(need))).unwrap_or_default(),
        alerts: rule.alerts.iter().map(alert_view).collect(),
    }
}

fn alert_view(alert: &rules::AlertView) -> AlertView {
    AlertView {
        state: alert.state.as_str().to_owned(),
        labels: alert.labels.filtered(|name| name != router::labels::ALERTNAME).to_string(),
        value: alert.value,
        active_ms: alert.active_at_ms,
        summary: alert.annotations.iter().find(|(name, _)| name == "summary").map(|(_, text)| text.clone()).unwrap_or_default(),
    }
}
