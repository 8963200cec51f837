//! Binary operators: on numbers, on a vector and a number, on two vectors whose elements find each other by labels (documentation, "Operators").
use std::collections::HashSet;

use super::EvalError;
use super::point::{Counting, Places, Point, distinct, nameless};
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
    match aligned(binary, &many, &one) {
        Some(result) => Ok(result),
        None => found(binary, (&many, &one), swapped),
    }
}

/// The same by the labels that must agree, in whatever order the elements come.
fn found(binary: &Binary, (many, one): (&[Point], &[Point]), swapped: bool) -> Result<Vec<Point>, EvalError> {
    let matching = &binary.matching;
    let mut ones = one_side(matching, one)?;
    let mut seen = Seen { matched: vec![false; one.len()], grouped: HashSet::new() };
    let mut packer = Packer::default();
    let mut result = Vec::new();
    let agreed = results_have_what_agrees(binary);
    for point in many {
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

/// The result of a match of one to one whose elements stand in the same order on both sides and differ in their metric names only, as those of two metrics of one program
/// do; `None` for any other. Elements find each other by their places then, and no label is looked at but to see that this is so.
fn aligned(binary: &Binary, many: &[Point], one: &[Point]) -> Option<Vec<Point>> {
    let matching = &binary.matching;
    let counting = match &matching.labels {
        MatchLabels::On(names) if names.iter().all(|on| on != METRIC_NAME) => Counting::Only(names.iter().map(|name| name.as_str().into()).collect()),
        MatchLabels::Ignoring(names) if names.is_empty() => {
            if drops_name(binary) {
                Counting::Nameless
            } else {
                Counting::All
            }
        }
        MatchLabels::On(_) | MatchLabels::Ignoring(_) => return None,
    };
    // In ascending order of what must agree no two are alike.
    let ascends = |(a, b): (&Point, &Point)| a.less_by(b).is_some_and(|label| matching.compares(label));
    let agree = matching.group == Group::OneToOne
        && many.len() == one.len()
        && many.iter().zip(one).all(|(a, b)| a.is_namesake_of(b))
        && one.iter().zip(one.iter().skip(1)).all(ascends);
    if !agree {
        return None;
    }
    let pairs = many.iter().zip(one).filter_map(|(point, other)| Some((point, settled(binary, apply(binary.op, point.v, other.v))?)));
    pairs.map(|(point, v)| point.narrowed(&counting, v)).collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::{Expr, ExprKind, parse};

    fn binary(text: &str) -> Binary {
        match parse(text) {
            Ok(Expr { kind: ExprKind::Binary(binary), .. }) => *binary,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn vector(name: &str, sets: &[(u8, u8)]) -> Vec<Point> {
        let labels = |(x, y): &(u8, u8)| Labels::from_pairs([(METRIC_NAME, name), ("x", &x.to_string()), ("y", &y.to_string())]);
        let mut points: Vec<Point> = sets.iter().map(|set| Point::new(labels(set), 1.0 + f64::from(set.0) + f64::from(set.1) * 0.5)).collect();
        points.sort_by_key(Point::labels);
        points
    }

    const FORMS: [&str; 9] = [
        "a / b",
        "a > b",
        "a <= bool b",
        "a - on (x, y) b",
        "a / on (y) b",
        "a >= on (x) b",
        "a == bool on (y, x) b",
        "a * on () b",
        "a + ignoring (x) b",
    ];

    proptest! {
        #[test]
        fn elements_that_stand_side_by_side_are_matched_as_any_others(
            form in 0..FORMS.len(), sets in prop::collection::btree_set((0..12_u8, 0..3_u8), 1..20), other in prop::collection::btree_set((0..12_u8, 0..3_u8), 1..20),
            alike in prop::bool::weighted(0.8), nameless_too in any::<bool>(),
        ) {
            let binary = binary(FORMS[form]);
            let sets: Vec<_> = sets.into_iter().collect();
            let other: Vec<_> = if alike { sets.clone() } else { other.into_iter().collect() };
            let (mut many, one) = (vector("a", &sets), vector("b", &other));
            if nameless_too {
                many = nameless(many).unwrap();
            }
            if let Some(side_by_side) = aligned(&binary, &many, &one) {
                let told = |points: Vec<Point>| points.into_iter().map(|point| (point.labels().to_string(), point.v)).collect::<Vec<_>>();
                prop_assert_eq!(told(side_by_side), told(found(&binary, (&many, &one), false).unwrap()));
            } else {
                prop_assert!(sets != other || !matches!(form, 0..=3 | 6), "the usual case is seen");
            }
        }
    }
}
