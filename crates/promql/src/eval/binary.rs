//! Binary operators: on numbers, on a vector and a number, on two vectors whose elements find each other by labels (documentation, "Operators").
use std::collections::HashSet;

use super::EvalError;
use super::point::{Places, Point, distinct, nameless};
use super::step::{Evaluation, StepValue};
use crate::labels::{Labels, METRIC_NAME, Packer};
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
                    BinaryOp::And => retained(&binary.matching, lhs, &rhs, |found| found),
                    BinaryOp::Unless => retained(&binary.matching, lhs, &rhs, |found| !found),
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

fn with_number(binary: &Binary, mut points: Vec<Point>, order: impl Fn(f64) -> (f64, f64)) -> Result<Vec<Point>, EvalError> {
    points.retain_mut(|point| {
        let (a, b) = order(point.v);
        let outcome = match apply(binary.op, a, b) {
            // A filter keeps the element's value, on whichever side it stands.
            Outcome::Value(_) if binary.op.is_comparison() => Outcome::Value(point.v),
            outcome => outcome,
        };
        let settled = settled(binary, outcome);
        point.v = settled.unwrap_or(point.v);
        settled.is_some()
    });
    if drops_name(binary) { nameless(points) } else { Ok(points) }
}

impl Matching {
    /// Whether this label must agree.
    fn compares(&self, label: &str) -> bool {
        match &self.labels {
            MatchLabels::On(names) => names.iter().any(|on| on == label),
            MatchLabels::Ignoring(names) => label != METRIC_NAME && !names.iter().any(|ignored| ignored == label),
        }
    }

    /// Whether a match of one to one has this label of the left side.
    fn passes_on(&self, label: &str) -> bool {
        match &self.labels {
            MatchLabels::On(names) => names.iter().any(|on| on == label),
            MatchLabels::Ignoring(names) => !names.iter().any(|ignored| ignored == label),
        }
    }
}

/// The sets of labels that must agree, of all these elements.
fn signatures(points: &[Point], matching: &Matching) -> Places {
    let mut places = Places::with_room(points.len());
    for point in points {
        places.place(point, |name| matching.compares(name));
    }
    places
}

/// The elements on the left that are wanted, depending on whether there is one on the right that agrees.
fn retained(matching: &Matching, mut lhs: Vec<Point>, rhs: &[Point], wanted: fn(bool) -> bool) -> Vec<Point> {
    let mut right = signatures(rhs, matching);
    lhs.retain(|point| wanted(right.find(point, |name| matching.compares(name)).is_some()));
    lhs
}

fn union(matching: &Matching, mut lhs: Vec<Point>, rhs: Vec<Point>) -> Vec<Point> {
    let mut left = signatures(&lhs, matching);
    lhs.extend(rhs.into_iter().filter(|point| left.find(point, |name| matching.compares(name)).is_none()));
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
    let mut ones = one_side(matching, &one)?;
    let mut seen = Seen { matched: vec![false; one.len()], grouped: HashSet::new() };
    let mut packer = Packer::default();
    let mut result = Vec::new();
    let agreed = results_have_what_agrees(binary);
    for point in &many {
        let Some(at) = ones.find(point, |name| matching.compares(name)) else { continue };
        let Some(other) = one.get(at) else { continue };
        let (a, b) = if swapped { (other.v, point.v) } else { (point.v, other.v) };
        let Some(v) = settled(binary, apply(binary.op, a, b)) else { continue };
        let labels = if agreed { ones.labels() } else { result_labels(binary, (point, other), &mut packer) };
        if seen.before(matching, at, &labels) {
            return Err(match matching.group {
                Group::OneToOne => EvalError::ImplicitManyToOne { group: ones.labels().to_string() },
                Group::Left | Group::Right => EvalError::GroupedTwice { labels: labels.to_string() },
            });
        }
        result.push(Point::new(labels, v));
    }
    // One to one, a result has what its match agrees on, and no two have matched the same.
    if matching.group != Group::OneToOne || matches!(&matching.labels, MatchLabels::On(names) if names.iter().any(|on| on == METRIC_NAME)) {
        distinct(&result)?;
    }
    Ok(result)
}

/// What has been matched.
struct Seen {
    /// The elements of the "one" side.
    matched: Vec<bool>,
    /// What a grouped match has made of each.
    // unordered: looked up, never iterated
    grouped: HashSet<(usize, Labels)>,
}

impl Seen {
    /// Whether this match was made before; notes it.
    fn before(&mut self, matching: &Matching, at: usize, labels: &Labels) -> bool {
        if matching.group != Group::OneToOne {
            return !self.grouped.insert((at, labels.clone()));
        }
        self.matched.get_mut(at).is_some_and(|matched| std::mem::replace(matched, true))
    }
}

/// The elements of the "one" side by what must agree.
fn one_side(matching: &Matching, points: &[Point]) -> Result<Places, EvalError> {
    let mut ones = Places::with_room(points.len());
    for point in points {
        // Every set is new, so that its number is the element's place.
        let (at, is_new) = ones.place(point, |name| matching.compares(name));
        if !is_new {
            let side = if matching.group == Group::Right { "left" } else { "right" };
            let (first, second) = (point.labels().to_string(), points.get(at).map(|other| other.labels().to_string()).unwrap_or_default());
            return Err(EvalError::ManyToMany { group: ones.labels().to_string(), side, first, second });
        }
    }
    Ok(ones)
}

/// Whether the labels of a result are those that both sides agree on, which were packed to find the match.
fn results_have_what_agrees(binary: &Binary) -> bool {
    binary.matching.group == Group::OneToOne
        && match &binary.matching.labels {
            MatchLabels::On(names) => names.iter().all(|on| on != METRIC_NAME),
            // A comparison keeps the name, which need not agree.
            MatchLabels::Ignoring(_) => !binary.op.is_comparison(),
        }
}

/// The labels of the result: those of the "many" side, narrowed by a one-to-one match, with what `group_…` copies from the "one" side.
fn result_labels(binary: &Binary, (many, one): (&Point, &Point), packer: &mut Packer) -> Labels {
    let matching = &binary.matching;
    let one_to_one = matching.group == Group::OneToOne;
    let named = binary.op.is_comparison();
    many.pack(packer, |name| (named || name != METRIC_NAME) && (!one_to_one || matching.passes_on(name)));
    let mut labels = packer.to_labels();
    for name in &matching.include {
        labels = labels.with(name, one.get(name));
    }
    // `bool` takes away even a name that was copied, arithmetic only the one that was there.
    if binary.returns_bool { labels.without_name() } else { labels }
}
