//! Groups, rules and alerts in Prometheus's shape. Must not know: how they are evaluated.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use promql::parse::parse;
use rules::{AlertState, AlertView, GroupView, RuleKind, RuleView};
use serde_json::{Map, Value, json};

use super::params::Params;
use super::{Api, ApiError, Reply, Success, encode};
use crate::web::view::short;

/// What a rule must have to be shown; an empty list asks for nothing.
struct Wanted<'a> {
    kind: Option<RuleKind>,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    alerts: Alerts,
}

/// Whether alerts are listed with their rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alerts {
    Listed,
    LeftOut,
}

/// `/api/v1/rules`. Its warnings tell which rules look back further than the history reaches.
pub(super) async fn rules(State(api): State<Arc<Api>>, params: Params) -> Reply {
    let wanted = Wanted::read(&params)?;
    let groups = api.board.groups_now().await;
    let shown: Vec<Value> = groups.iter().filter_map(|group| wanted.group(group)).collect();
    let warnings = groups.iter().flat_map(|group| &group.rules).filter_map(short_history).collect();
    Ok(Success { warnings, ..Success::of(&json!({ "groups": shown }))? })
}

/// `/api/v1/alerts`.
pub(super) async fn alerts(State(api): State<Arc<Api>>) -> Reply {
    let groups = api.board.groups_now().await;
    let alerts: Vec<Value> = groups.iter().flat_map(|group| &group.rules).flat_map(active).map(alert).collect();
    Success::of(&json!({ "alerts": alerts }))
}

/// `rule X: history 12m of 1h`.
fn short_history(rule: &RuleView) -> Option<String> {
    rule.short_history.map(|(have, need)| format!("rule {}: history {} of {}", rule.name, short(have), short(need)))
}

// === impl Wanted ===

impl<'a> Wanted<'a> {
    fn read(params: &'a Params) -> Result<Self, ApiError> {
        let kind = match params.get("type") {
            "" => None,
            "alert" => Some(RuleKind::Alerting),
            "record" => Some(RuleKind::Recording),
            other => return Err(ApiError::parameter("type", format_args!("not supported value {other:?}"))),
        };
        let alerts = match params.get("exclude_alerts") {
            "" | "false" | "0" => Alerts::Listed,
            "true" | "1" => Alerts::LeftOut,
            other => return Err(ApiError::parameter("exclude_alerts", format_args!("cannot parse {other:?} to a valid boolean"))),
        };
        let list = |name| params.all(name).collect();
        Ok(Self { kind, names: list("rule_name[]"), groups: list("rule_group[]"), files: list("file[]"), alerts })
    }

    /// The group with its wanted rules; none when a filter leaves none.
    fn group(&self, group: &GroupView) -> Option<Value> {
        let named = |list: &[&str], name: &str| list.is_empty() || list.contains(&name);
        if !named(&self.groups, &group.name) || !named(&self.files, &group.file) {
            return None;
        }
        let wanted = |rule: &&RuleView| self.kind.is_none_or(|kind| kind == rule.kind) && named(&self.names, &rule.name);
        let rules: Vec<Value> = group.rules.iter().filter(wanted).map(|rule| shown(rule, self.alerts)).collect();
        if rules.is_empty() && (!self.names.is_empty() || self.kind.is_some()) {
            return None;
        }
        Some(json!({
            "name": group.name,
            "file": group.file,
            "rules": rules,
            "interval": seconds(group.interval_ms),
            "limit": group.limit,
            "evaluationTime": group.took.as_secs_f64(),
            "lastEvaluation": time(group.last_evaluation_ms),
        }))
    }
}

fn shown(rule: &RuleView, alerts: Alerts) -> Value {
    // As Prometheus prints it; a rule in force does parse.
    let query = parse(&rule.query).map_or_else(|_| rule.query.clone(), |expr| expr.to_string());
    let mut out = Map::new();
    out.insert("name".into(), rule.name.as_str().into());
    out.insert("query".into(), query.into());
    out.insert("health".into(), rule.health.as_str().into());
    if let Some(error) = &rule.last_error {
        out.insert("lastError".into(), error.as_str().into());
    }
    out.insert("evaluationTime".into(), rule.took.as_secs_f64().into());
    out.insert("lastEvaluation".into(), time(rule.last_evaluation_ms).into());
    out.insert("type".into(), rule.kind.as_str().into());
    match rule.kind {
        // Prometheus leaves a recording rule's labels out when there are none.
        RuleKind::Recording if rule.labels.is_empty() => {}
        _ => _ = out.insert("labels".into(), pairs(&rule.labels)),
    }
    if rule.kind == RuleKind::Alerting {
        out.insert("state".into(), rule.state.as_str().into());
        out.insert("duration".into(), seconds(rule.for_ms));
        out.insert("keepFiringFor".into(), seconds(rule.keep_firing_for_ms));
        out.insert("annotations".into(), pairs(&rule.annotations));
        let listed = if alerts == Alerts::Listed { active(rule).map(alert).collect() } else { Value::Null };
        out.insert("alerts".into(), listed);
    }
    out.into()
}

/// A resolved alert is still sent for a while, but is none any more.
fn active(rule: &RuleView) -> impl Iterator<Item = &AlertView> {
    rule.alerts.iter().filter(|alert| alert.state != AlertState::Inactive)
}

fn alert(alert: &AlertView) -> Value {
    let labels: Vec<(String, String)> = alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut out = json!({
        "labels": pairs(&labels),
        "annotations": pairs(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": time(Some(alert.active_at_ms)),
        "value": encode::exponent(alert.value),
    });
    if let (Some(since), Some(fields)) = (alert.keep_firing_since_ms, out.as_object_mut()) {
        fields.insert("keepFiringSince".into(), time(Some(since)).into());
    }
    out
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
}

/// Seconds, whole where they are, as Go writes a float.
fn seconds(ms: i64) -> Value {
    if ms % 1000 == 0 { (ms / 1000).into() } else { (ms as f64 / 1000.0).into() }
}

/// RFC 3339; Go's zero time for what has not been.
pub(super) fn time(ms: Option<i64>) -> String {
    let known = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    known.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}
