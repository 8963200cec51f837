//! Elements of an instant vector while it is computed, and the finding of equal label sets among them. Must not know: what is computed.
//!
//! Every vector that a node yields has distinct label sets. Labels that an operation takes away are only marked as gone: most elements are filtered out before
//! anybody asks for their labels, and a set without some of them is a text of its own.
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use super::EvalError;
use crate::labels::{Labels, METRIC_NAME, Packer};

/// An element of a vector at the time of the step.
#[derive(Clone, Debug)]
pub(super) struct Point {
    labels: Labels,
    counting: Counting,
    pub(super) v: f64,
}

/// Which of an element's labels count.
#[derive(Clone, Debug)]
pub(super) enum Counting {
    All,
    /// All but the metric name.
    Nameless,
    /// Those of these names.
    Only(Rc<[Box<str>]>),
}

/// Numbers for label sets, from 0 in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Places {
    // unordered: looked up, never iterated
    by_set: HashMap<Packed, usize>,
    /// The sets by their numbers.
    sets: Vec<Labels>,
    /// The number found last: elements come in order, so that the next one is often alike, or has the next number.
    last: usize,
    packer: Packer,
}

/// A label set that is looked up by its packed text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Packed(Labels);

// === impl Point ===

impl Point {
    pub(super) fn new(labels: Labels, v: f64) -> Self {
        Self { labels, counting: Counting::All, v }
    }

    /// The value of a label, `""` when it has none of this name.
    pub(super) fn get(&self, name: &str) -> &str {
        if self.lacks(name) { "" } else { self.labels.get(name).unwrap_or("") }
    }

    /// Its labels.
    pub(super) fn labels(&self) -> Labels {
        self.clone().into_labels()
    }

    /// Its labels, and no more of it.
    pub(super) fn into_labels(self) -> Labels {
        match self.counting {
            Counting::All => self.labels,
            Counting::Nameless => self.labels.without_name(),
            Counting::Only(names) => self.labels.filtered(|name| names.iter().any(|kept| **kept == *name)),
        }
    }

    /// An element with another value, of whose labels these count; none when that cannot be told, because not all of its own do.
    pub(super) fn narrowed(&self, counting: &Counting, v: f64) -> Option<Self> {
        let counting = match (&self.counting, counting) {
            (own, Counting::All) => own.clone(),
            (Counting::All | Counting::Nameless, other) => other.clone(),
            (Counting::Only(_), _) => return None,
        };
        Some(Self { labels: self.labels.clone(), counting, v })
    }

    /// Whether both have the same labels, their metric names aside. False also when it is not seen at once.
    pub(super) fn is_namesake_of(&self, other: &Self) -> bool {
        let comparable = |point: &Self| !matches!(point.counting, Counting::Only(_));
        comparable(self) && comparable(other) && self.labels.behind_name().is_some_and(|rest| Some(rest) == other.labels.behind_name())
    }

    /// The first label in which it is less than `other`, which has the same labels before that one.
    pub(super) fn less_by<'p>(&'p self, other: &'p Self) -> Option<&'p str> {
        self.labels.less_by(&other.labels)
    }

    /// Packs those of its labels that `keep` names true.
    pub(super) fn pack<'p>(&self, packer: &'p mut Packer, keep: impl Fn(&str) -> bool) -> &'p str {
        packer.pack(&self.labels, |name| !self.lacks(name) && keep(name))
    }

    /// Puts others in the place of its labels.
    pub(super) fn set_labels(&mut self, labels: Labels) {
        (self.labels, self.counting) = (labels, Counting::All);
    }

    /// Takes the metric name away.
    fn drop_name(&mut self) {
        self.counting = match std::mem::replace(&mut self.counting, Counting::Nameless) {
            Counting::Only(names) if names.iter().any(|name| **name == *METRIC_NAME) => {
                Counting::Only(names.iter().filter(|name| ***name != *METRIC_NAME).cloned().collect())
            }
            Counting::Only(names) => Counting::Only(names),
            Counting::All | Counting::Nameless => Counting::Nameless,
        };
    }

    fn lacks(&self, name: &str) -> bool {
        match &self.counting {
            Counting::All => false,
            Counting::Nameless => name == METRIC_NAME,
            Counting::Only(names) => !names.iter().any(|kept| **kept == *name),
        }
    }

    fn by_labels(&self, other: &Self) -> Ordering {
        if let (Counting::All, Counting::All) = (&self.counting, &other.counting) {
            return self.labels.cmp(&other.labels);
        }
        self.pairs().cmp(other.pairs())
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().filter(|(name, _)| !self.lacks(name))
    }
}

/// Every element without its metric name; an error when two become alike by that.
pub(super) fn nameless(mut points: Vec<Point>) -> Result<Vec<Point>, EvalError> {
    // Of one metric they differ in other labels.
    let first = points.first().map_or("", |point| point.get(METRIC_NAME));
    let one_metric = points.iter().skip(1).all(|point| point.get(METRIC_NAME) == first);
    points.iter_mut().for_each(Point::drop_name);
    if !one_metric {
        distinct(&points)?;
    }
    Ok(points)
}

/// No two elements have the same labels.
pub(super) fn distinct(points: &[Point]) -> Result<(), EvalError> {
    // Elements mostly come in order, and then neighbours are all there is to compare.
    if points.iter().zip(points.iter().skip(1)).all(|(a, b)| a.by_labels(b).is_lt()) {
        return Ok(());
    }
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by(|a, b| a.by_labels(b));
    match sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a.by_labels(b).is_eq()) {
        Some((twice, _)) => Err(EvalError::SameLabels { labels: twice.labels().to_string() }),
        None => Ok(()),
    }
}

// === impl Places ===

impl Places {
    /// None yet, with room for about so many.
    pub(super) fn with_room(sets: usize) -> Self {
        Self { by_set: HashMap::with_capacity(sets), sets: Vec::with_capacity(sets), ..Self::default() }
    }

    /// The number of the set of those labels of a point that `keep` names true, and whether it is a new one.
    pub(super) fn place(&mut self, point: &Point, keep: impl Fn(&str) -> bool) -> (usize, bool) {
        if let Some(at) = self.find(point, keep) {
            return (at, false);
        }
        let (labels, at) = (self.packer.to_labels(), self.sets.len());
        self.sets.push(labels.clone());
        self.by_set.insert(Packed(labels), at);
        self.last = at;
        (at, true)
    }

    /// The number of the set of those labels of a point that `keep` names true, if it has one.
    pub(super) fn find(&mut self, point: &Point, keep: impl Fn(&str) -> bool) -> Option<usize> {
        let text = point.pack(&mut self.packer, keep);
        let is_at = |at: &usize| self.sets.get(*at).is_some_and(|set| set.packed() == text);
        let found = [self.last, self.last + 1].into_iter().find(is_at).or_else(|| self.by_set.get(text).copied());
        self.last = found.unwrap_or(self.last);
        found
    }

    /// The set that was looked up last.
    pub(super) fn labels(&self) -> Labels {
        match self.sets.get(self.last) {
            Some(labels) if self.packer.is(labels) => labels.clone(),
            _ => self.packer.to_labels(),
        }
    }
}

impl Borrow<str> for Packed {
    fn borrow(&self) -> &str {
        self.0.packed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(pairs: &[(&str, &str)]) -> Point {
        Point::new(Labels::from_pairs(pairs.iter().copied()), 1.0)
    }

    #[test]
    fn a_name_that_is_gone_is_seen_nowhere() {
        let points = nameless(vec![point(&[(METRIC_NAME, "up"), ("a", "1")])]).unwrap();
        let gone = &points[0];
        assert_eq!((gone.get(METRIC_NAME), gone.get("a")), ("", "1"));
        assert_eq!(gone.labels().to_string(), r#"{a="1"}"#);
        assert_eq!(gone.pack(&mut Packer::default(), |_| true), gone.clone().into_labels().packed());
        let mut places = Places::default();
        assert_eq!(places.place(gone, |_| true), (0, true));
        assert_eq!(places.place(&point(&[("a", "1")]), |_| true), (0, false));
        assert_eq!(places.labels(), gone.labels());
    }

    #[test]
    fn elements_that_become_alike_without_their_names_are_an_error() {
        let (up, down) = (point(&[(METRIC_NAME, "up"), ("a", "1")]), point(&[(METRIC_NAME, "down"), ("a", "1")]));
        let other = point(&[("A", "0"), (METRIC_NAME, "up"), ("a", "1")]);
        assert!(nameless(vec![up.clone(), other.clone()]).is_ok());
        for points in [vec![up.clone(), down.clone()], vec![up, other, down]] {
            assert!(distinct(&points).is_ok());
            let error = nameless(points).unwrap_err();
            assert_eq!(error.to_string(), r#"the vector cannot contain two series with the same labels {a="1"}"#);
        }
    }

    #[test]
    fn sets_are_numbered_as_they_appear() {
        let mut places = Places::default();
        let numbers: Vec<_> = ["x", "y", "x", "z", "z"].map(|a| places.place(&point(&[("a", a), ("b", "1")]), |name| name == "a")).into();
        assert_eq!(numbers, [(0, true), (1, true), (0, false), (2, true), (2, false)]);
        assert_eq!(places.find(&point(&[("a", "w")]), |_| true), None);
        assert_eq!(places.find(&point(&[("a", "y")]), |_| true), Some(1));
        assert_eq!(places.labels().to_string(), r#"{a="y"}"#);
        for (a, at) in [("y", 1), ("z", 2), ("x", 0)] {
            assert_eq!(places.find(&point(&[("a", a)]), |_| true), Some(at), "whatever was found before");
        }
    }
}
