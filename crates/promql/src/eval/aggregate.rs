//! Aggregations over labels (documentation, "Aggregation operators").
use std::cmp::Ordering;

use super::EvalError;
use super::point::{Places, Point, distinct};
use super::step::Evaluation;
use crate::functions::numeric::{Mean, Sum, larger, quantile, smaller, variance};
use crate::labels::{Labels, METRIC_NAME};
use crate::parse::{Aggregate, AggregateOp, Grouping};

/// The elements of one group, in the order they came.
struct Members {
    labels: Labels,
    points: Vec<Point>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn aggregate(&mut self, aggregate: &'a Aggregate, t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let points = self.vector(&aggregate.expr, t_ms)?;
        self.charge_elements(points.len())?;
        match aggregate.op {
            AggregateOp::CountValues => {
                let label = aggregate.param.as_ref().map_or("", Self::text);
                return count_values(label, &aggregate.grouping, points);
            }
            AggregateOp::Topk | AggregateOp::Bottomk => {
                let Some(param) = &aggregate.param else { return Ok(Vec::new()) };
                let count = self.scalar(param, t_ms)?;
                return extremes(aggregate.op, count, groups(&aggregate.grouping, points));
            }
            _ => {}
        }
        let mut param = f64::NAN;
        if let Some(expr) = &aggregate.param {
            param = self.scalar(expr, t_ms)?;
            self.check_quantile(param);
        }
        let groups = groups(&aggregate.grouping, points);
        Ok(groups.into_iter().map(|group| Point::new(group.labels, folded(aggregate.op, param, &group.points))).collect())
    }

    /// Warns of a quantile outside of 0 to 1.
    pub(super) fn check_quantile(&mut self, q: f64) {
        if !(0.0..=1.0).contains(&q) {
            self.notes.warn(format!("quantile value should be between 0 and 1, got {q}"));
        }
    }
}

/// Groups in the order of their first element.
fn groups(grouping: &Grouping, points: Vec<Point>) -> Vec<Members> {
    if matches!(grouping, Grouping::By(names) if names.is_empty()) {
        return if points.is_empty() { Vec::new() } else { vec![Members { labels: Labels::default(), points }] };
    }
    let mut places = Places::default();
    let mut groups: Vec<Members> = Vec::new();
    for point in points {
        let (at, is_new) = places.place(&point, |name| grouping.keeps(name));
        if is_new {
            groups.push(Members { labels: places.labels(), points: Vec::new() });
        }
        if let Some(group) = groups.get_mut(at) {
            group.points.push(point);
        }
    }
    groups
}

impl Grouping {
    /// Whether a group has this label of its elements.
    fn keeps(&self, label: &str) -> bool {
        match self {
            Self::By(names) => names.iter().any(|by| by == label),
            Self::Without(names) => label != METRIC_NAME && !names.iter().any(|without| without == label),
        }
    }
}

fn folded(op: AggregateOp, param: f64, points: &[Point]) -> f64 {
    let values = || points.iter().map(|point| point.v);
    match op {
        AggregateOp::Sum => values().collect::<Sum>().total(),
        AggregateOp::Avg => {
            let mut mean = Mean::default();
            values().for_each(|value| mean.add(value));
            mean.value()
        }
        AggregateOp::Min => values().fold(f64::NAN, smaller),
        AggregateOp::Max => values().fold(f64::NAN, larger),
        AggregateOp::Count => points.len() as f64,
        AggregateOp::Stddev => variance(values()).sqrt(),
        AggregateOp::Stdvar => variance(values()),
        AggregateOp::Quantile => quantile(param, values().collect()),
        AggregateOp::Group | AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::CountValues => 1.0,
    }
}

/// The largest or smallest elements of each group, best first, with all their labels. Of equal ones the first to come stays; NaN comes last.
fn extremes(op: AggregateOp, count: f64, groups: Vec<Members>) -> Result<Vec<Point>, EvalError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    if count.is_nan() || count.abs() >= i64::MAX as f64 {
        return Err(EvalError::BadParameter { what: "number of elements", found: count.to_string() });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative counts are none, larger ones than any vector are all")]
    let count = count.max(0.0) as usize;
    let mut result = Vec::new();
    for mut group in groups {
        group.points.sort_by(|a, b| by_value(op, a.v, b.v));
        group.points.truncate(count);
        result.append(&mut group.points);
    }
    Ok(result)
}

fn by_value(op: AggregateOp, a: f64, b: f64) -> Ordering {
    let (first, second) = if op == AggregateOp::Topk { (b, a) } else { (a, b) };
    first.partial_cmp(&second).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// How many elements of each group have each value; the value becomes a label.
fn count_values(label: &str, grouping: &Grouping, points: Vec<Point>) -> Result<Vec<Point>, EvalError> {
    if label.is_empty() {
        return Err(EvalError::BadParameter { what: "label name", found: label.to_owned() });
    }
    let labelled = points.into_iter().map(|point| Point::new(point.labels().with(label, &plain(point.v)), point.v)).collect();
    let grouping = match grouping {
        Grouping::By(names) => Grouping::By(names.iter().cloned().chain([label.to_owned()]).collect()),
        without @ Grouping::Without(_) => without.clone(),
    };
    let counted: Vec<Point> = groups(&grouping, labelled).into_iter().map(|group| Point::new(group.labels, group.points.len() as f64)).collect();
    distinct(&counted)?;
    Ok(counted)
}

/// A value in plain digits, without an exponent.
fn plain(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}
