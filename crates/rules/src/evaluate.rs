//! One rule at one time: from its expression to recorded series, or to the alerts that should be active.

use std::collections::BTreeSet;

use promql::eval::{Element, Options, Value, eval_instant};
use promql::labels::{Labels, METRIC_NAME};
use promql::parse::Expr;
use promql::{Queryable, Sample};

use crate::alert::{AlertState, Alerts, Found};
use crate::model::{AlertRule, RecordRule};
use crate::render::{Subject, Surroundings};

/// The label that holds an alert's name.
pub(crate) const ALERT_NAME: &str = "alertname";

/// What an expression gave.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) elements: Vec<Element>,
    /// Samples touched.
    pub(crate) work: u64,
}

/// The value of a rule's expression at `at_ms`; a scalar is an element without labels.
pub(crate) fn elements(source: &dyn Queryable, expr: &Expr, at_ms: i64, options: &Options) -> Result<Evaluated, String> {
    let answer = eval_instant(source, expr, at_ms, options).map_err(|error| error.to_string())?;
    let elements = match answer.value {
        Value::Vector(elements) => elements,
        Value::Scalar(Sample { v, .. }) => vec![Element { labels: Labels::default(), sample: Sample { t_ms: at_ms, v } }],
        Value::Matrix(_) | Value::Text(_) => return Err("rule result is not a vector or scalar".to_owned()),
    };
    Ok(Evaluated { elements, work: answer.cost.work })
}

/// The series a recording rule writes.
pub(crate) fn recorded(rule: &RecordRule, limit: usize, elements: Vec<Element>) -> Result<Vec<(Labels, f64)>, String> {
    let mut seen = BTreeSet::new();
    let mut series = Vec::with_capacity(elements.len());
    for element in elements {
        let own = rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = Labels::from_pairs(element.labels.iter().chain(own).chain([(METRIC_NAME, rule.name.as_str())]));
        if !seen.insert(labels.clone()) {
            return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
        }
        series.push((labels, element.sample.v));
    }
    if limit > 0 && series.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", series.len()));
    }
    Ok(series)
}

/// The alerts an alerting rule's elements stand for: labels of the element without its name, then the rule's (templates; an empty one removes the label), then `alertname`.
pub(crate) fn alerts(rule: &AlertRule, at_ms: i64, elements: Vec<Element>, around: Surroundings<'_>) -> Result<Vec<Found>, String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        let value = element.sample.v;
        let subject = Subject { labels: &element.labels, value, at_ms };
        let own: Vec<(&str, String)> = rule.labels.iter().map(|(name, field)| (name.as_str(), field.render(&rule.name, subject, around))).collect();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let labels =
            Labels::from_pairs(element.labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(own).chain([(ALERT_NAME, rule.name.as_str())]));
        if !seen.insert(labels.clone()) {
            return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
        }
        found.push(Found { labels, source: element.labels, value });
    }
    Ok(found)
}

/// The series that tell of a rule's alerts: `ALERTS`, and `ALERTS_FOR_STATE` with the unix seconds since when they are active.
pub(crate) fn alert_series(alerts: &Alerts, shown_ms: impl Fn(i64) -> i64) -> Vec<(Labels, f64)> {
    let active = alerts.active.iter().filter(|(_, alert)| alert.state != AlertState::Inactive);
    active
        .flat_map(|(labels, alert)| {
            let state = labels.with(METRIC_NAME, "ALERTS").with("alertstate", alert.state.as_str());
            // Whole seconds, as Prometheus writes them.
            let since = shown_ms(alert.active_at).div_euclid(1000) as f64;
            [(state, 1.0), (labels.with(METRIC_NAME, "ALERTS_FOR_STATE"), since)]
        })
        .collect()
}
