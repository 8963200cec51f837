//! Binary operators: on numbers, on a vector and a number, on two vectors whose elements find each other by labels (documentation, "Operators").
use std::collections::{BTreeMap, BTreeSet};

use super::EvalError;
use super::step::{Evaluation, Point, StepValue, distinct};
use crate::labels::Labels;
use crate::parse::{Binary, BinaryOp, Group, MatchLabels, Matching};

/// What a comparison yields.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    /// The value of an arithmetic operator, or of the left side of a true comparison.
    Value(f64),
    /// A comparison that is false.
    Dropped,
}

impl<'a> Evaluation<'a> {
    pub(super) fn binary(&mut self, binary: &'a Binary, t_ms: i64) -> Result<StepValue<'a>, EvalError> {
        let lhs = self.eval(&binary.lhs, t_ms)?;
        let rhs = self.eval(&binary.rhs, t_ms)?;
        Ok(StepValue::Vector(match (lhs, rhs) {
            (StepValue::Scalar(a), StepValue::Scalar(b)) => return Ok(StepValue::Scalar(scalars(binary.op, a, b))),
            (StepValue::Vector(points), StepValue::Scalar(number)) => with_number(binary, points, |value| (value, number))?,
            (StepValue::Scalar(number), StepValue::Vector(points)) => with_number(binary, points, |value| (number, value))?,
            (StepValue::Vector(lhs), StepValue::Vector(rhs)) => {
                self.charge_elements(lhs.len() + rhs.len())?;
                match binary.op {
                    BinaryOp::And => intersection(&binary.matching, lhs, &rhs),
                    BinaryOp::Unless => difference(&binary.matching, lhs, &rhs),
                    BinaryOp::Or => union(&binary.matching, lhs, rhs),
                    _ => matched(binary, lhs, rhs)?,
                }
            }
            (StepValue::Text(_), _) | (_, StepValue::Text(_)) => Vec::new(),
        }))
    }
}

fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    match apply(op, a, b) {
        Outcome::Value(_) if op.is_comparison() => 1.0,
        Outcome::Value(value) => value,
        Outcome::Dropped => 0.0,
    }
}

#[expect(clippy::float_cmp, reason = "the language's == is exact")]
fn apply(op: BinaryOp, a: f64, b: f64) -> Outcome {
    let keep = match op {
        BinaryOp::Pow => return Outcome::Value(a.powf(b)),
        BinaryOp::Mul => return Outcome::Value(a * b),
        BinaryOp::Div => return Outcome::Value(a / b),
        BinaryOp::Mod => return Outcome::Value(a % b),
        BinaryOp::Atan2 => return Outcome::Value(a.atan2(b)),
        BinaryOp::Add => return Outcome::Value(a + b),
        BinaryOp::Sub => return Outcome::Value(a - b),
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Le => a <= b,
        BinaryOp::Lt => a < b,
        BinaryOp::Ge => a >= b,
        BinaryOp::Gt => a > b,
        // Set operators look at labels only.
        BinaryOp::And | BinaryOp::Unless | BinaryOp::Or => true,
    };
    if keep { Outcome::Value(a) } else { Outcome::Dropped }
}

/// The value of an element after a comparison with or without `bool`; `None` when it is filtered out.
fn settled(binary: &Binary, outcome: Outcome) -> Option<f64> {
    match (outcome, binary.returns_bool) {
        (Outcome::Value(_), true) => Some(1.0),
        (Outcome::Dropped, true) => Some(0.0),
        (Outcome::Value(value), false) => Some(value),
        (Outcome::Dropped, false) => None,
    }
}

/// Whether the result loses its metric name: it is another quantity than the operand.
fn drops_name(binary: &Binary) -> bool {
    binary.returns_bool || !binary.op.is_comparison()
}

fn with_number(binary: &Binary, points: Vec<Point>, order: impl Fn(f64) -> (f64, f64)) -> Result<Vec<Point>, EvalError> {
    let mut result = Vec::with_capacity(points.len());
    for point in points {
        let (a, b) = order(point.v);
        let outcome = match apply(binary.op, a, b) {
            // A filter keeps the element's value, on whichever side it stands.
            Outcome::Value(_) if binary.op.is_comparison() => Outcome::Value(point.v),
            outcome => outcome,
        };
        if let Some(v) = settled(binary, outcome) {
            let labels = if drops_name(binary) { point.labels.without_name() } else { point.labels };
            result.push(Point { labels, v });
        }
    }
    distinct(&result)?;
    Ok(result)
}

/// The labels of `labels` that must agree.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    match &matching.labels {
        MatchLabels::On(names) => labels.filtered(|name| names.iter().any(|on| on == name)),
        MatchLabels::Ignoring(names) if names.is_empty() => labels.without_name(),
        MatchLabels::Ignoring(names) => labels.filtered(|name| name != crate::labels::METRIC_NAME && !names.iter().any(|ignored| ignored == name)),
    }
}

fn signatures(points: &[Point], matching: &Matching) -> BTreeSet<Labels> {
    points.iter().map(|point| signature(&point.labels, matching)).collect()
}

fn intersection(matching: &Matching, mut lhs: Vec<Point>, rhs: &[Point]) -> Vec<Point> {
    let right = signatures(rhs, matching);
    lhs.retain(|point| right.contains(&signature(&point.labels, matching)));
    lhs
}

fn difference(matching: &Matching, mut lhs: Vec<Point>, rhs: &[Point]) -> Vec<Point> {
    let right = signatures(rhs, matching);
    lhs.retain(|point| !right.contains(&signature(&point.labels, matching)));
    lhs
}

fn union(matching: &Matching, mut lhs: Vec<Point>, rhs: Vec<Point>) -> Vec<Point> {
    let left = signatures(&lhs, matching);
    lhs.extend(rhs.into_iter().filter(|point| !left.contains(&signature(&point.labels, matching))));
    lhs
}

/// Arithmetic and comparison of two vectors. With `group_right` the sides change places, so that the right one is always the "one" side.
fn matched(binary: &Binary, lhs: Vec<Point>, rhs: Vec<Point>) -> Result<Vec<Point>, EvalError> {
    let matching = &binary.matching;
    let swapped = matching.group == Group::Right;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    if many.is_empty() || one.is_empty() {
        return Ok(Vec::new());
    }
    let ones = one_side(matching, &one)?;
    let mut seen: BTreeSet<(Labels, Option<Labels>)> = BTreeSet::new();
    let mut result = Vec::new();
    for point in &many {
        let group = signature(&point.labels, matching);
        let Some(other) = ones.get(&group) else { continue };
        let (a, b) = if swapped { (other.v, point.v) } else { (point.v, other.v) };
        let Some(v) = settled(binary, apply(binary.op, a, b)) else { continue };
        let labels = result_labels(binary, &point.labels, &other.labels);
        let of_group = (matching.group != Group::OneToOne).then(|| labels.clone());
        if let Some((group, labels)) = seen.replace((group, of_group)) {
            return Err(match labels {
                None => EvalError::ImplicitManyToOne { group: group.to_string() },
                Some(labels) => EvalError::GroupedTwice { labels: labels.to_string() },
            });
        }
        result.push(Point { labels, v });
    }
    distinct(&result)?;
    Ok(result)
}

/// The elements of the "one" side by what must agree.
fn one_side<'p>(matching: &Matching, points: &'p [Point]) -> Result<BTreeMap<Labels, &'p Point>, EvalError> {
    let mut ones = BTreeMap::new();
    for point in points {
        let group = signature(&point.labels, matching);
        if let Some(other) = ones.insert(group.clone(), point) {
            let side = if matching.group == Group::Right { "left" } else { "right" };
            let (first, second) = (point.labels.to_string(), other.labels.to_string());
            return Err(EvalError::ManyToMany { group: group.to_string(), side, first, second });
        }
    }
    Ok(ones)
}

/// The labels of the result: those of the "many" side, narrowed by a one-to-one match, with what `group_…` copies from the "one" side.
fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let mut labels = if binary.op.is_comparison() { many.clone() } else { many.without_name() };
    if matching.group == Group::OneToOne {
        labels = match &matching.labels {
            MatchLabels::On(names) => labels.filtered(|name| names.iter().any(|on| on == name)),
            MatchLabels::Ignoring(names) if names.is_empty() => labels,
            MatchLabels::Ignoring(names) => labels.filtered(|name| !names.iter().any(|ignored| ignored == name)),
        };
    }
    for name in &matching.include {
        labels = labels.with(name, one.get(name).unwrap_or(""));
    }
    // `bool` takes away even a name that was copied, arithmetic only the one that was there.
    if binary.returns_bool { labels.without_name() } else { labels }
}
