//! Function calls: which of the function modules computes what, and what happens to labels (documentation, "Functions").
use std::collections::BTreeMap;
use std::rc::Rc;

use super::EvalError;
use super::point::{Point, distinct, nameless};
use super::step::{Evaluation, StepValue, mapped};
use crate::functions::{FunctionKind, pointwise, range};
use crate::labels::{Labels, METRIC_NAME, MatchOp, Matcher};
use crate::parse::{Call, Expr, ExprKind, ValueType};
use crate::regex;

/// Endings by which a counter is known.
const COUNTER_ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

impl<'a> Evaluation<'a> {
    pub(super) fn call(&mut self, call: &'a Call, t_ms: i64) -> Result<StepValue<'a>, EvalError> {
        let kind = call.function.kind;
        let args = call.args.as_slice();
        if let Some(function) = pointwise::unary(kind) {
            return self.pointwise(function, args, t_ms).map(StepValue::Vector);
        }
        if kind != FunctionKind::AbsentOverTime && call.function.args.contains(&ValueType::RangeVector) {
            return self.over_range(call, t_ms).map(StepValue::Vector);
        }
        Ok(StepValue::Vector(match (kind, args) {
            (FunctionKind::Time, _) => return Ok(StepValue::Scalar(t_ms as f64 / 1000.0)),
            (FunctionKind::Pi, _) => return Ok(StepValue::Scalar(std::f64::consts::PI)),
            (FunctionKind::Scalar, [arg]) => {
                let points = self.vector(arg, t_ms)?;
                return Ok(StepValue::Scalar(if let [only] = points.as_slice() { only.v } else { f64::NAN }));
            }
            (FunctionKind::Vector, [arg]) => vec![Point::new(Labels::default(), self.scalar(arg, t_ms)?)],
            (FunctionKind::Absent, [arg]) => {
                let present = !self.vector(arg, t_ms)?.is_empty();
                absent(present, arg)
            }
            (FunctionKind::AbsentOverTime, [arg]) => {
                let present = self.range(arg, t_ms)?.each().next().is_some();
                absent(present, arg)
            }
            (FunctionKind::Timestamp, [arg]) => self.timestamp(arg, t_ms)?,
            (FunctionKind::Sort | FunctionKind::SortDesc, [arg]) => sorted(kind, self.vector(arg, t_ms)?),
            (FunctionKind::Round | FunctionKind::ClampMin | FunctionKind::ClampMax | FunctionKind::Clamp, _) => self.bounded(kind, args, t_ms)?,
            (FunctionKind::LabelReplace, [vector, rest @ ..]) => self.label_replace(vector, rest, t_ms)?,
            (FunctionKind::LabelJoin, [vector, rest @ ..]) => self.label_join(vector, rest, t_ms)?,
            (FunctionKind::HistogramQuantile | FunctionKind::HistogramFraction, _) => self.histogram(kind, args, t_ms)?,
            _ => Vec::new(),
        }))
    }

    /// A function of one value; a date function without argument is one of the evaluation time.
    fn pointwise(&mut self, function: fn(f64) -> f64, args: &'a [Expr], t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let Some(arg) = args.first() else {
            return Ok(vec![Point::new(Labels::default(), function(t_ms as f64 / 1000.0))]);
        };
        let points = self.vector(arg, t_ms)?;
        self.charge_elements(points.len())?;
        mapped(points, |value| Some(function(value)))
    }

    fn bounded(&mut self, kind: FunctionKind, args: &'a [Expr], t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let [vector, numbers @ ..] = args else { return Ok(Vec::new()) };
        let points = self.vector(vector, t_ms)?;
        self.charge_elements(points.len())?;
        let numbers = numbers.iter().map(|number| self.scalar(number, t_ms)).collect::<Result<Vec<f64>, _>>()?;
        match (kind, numbers.as_slice()) {
            (FunctionKind::Round, []) => mapped(points, |value| Some(pointwise::round(value, 1.0))),
            (FunctionKind::Round, [to, ..]) => mapped(points, |value| Some(pointwise::round(value, *to))),
            (FunctionKind::ClampMin, [min, ..]) => mapped(points, |value| Some(pointwise::at_least(value, *min))),
            (FunctionKind::ClampMax, [max, ..]) => mapped(points, |value| Some(pointwise::at_most(value, *max))),
            (FunctionKind::Clamp, [min, max, ..]) if max >= min || max.is_nan() || min.is_nan() => {
                mapped(points, |value| Some(pointwise::at_least(pointwise::at_most(value, *max), *min)))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A function of the samples in a window, series by series.
    fn over_range(&mut self, call: &'a Call, t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let kind = call.function.kind;
        let (mut matrix, mut param) = (None, f64::NAN);
        for arg in &call.args {
            if arg.value_type() == ValueType::RangeVector {
                matrix = Some(arg);
            } else {
                param = self.scalar(arg, t_ms)?;
            }
        }
        let Some(matrix) = matrix else { return Ok(Vec::new()) };
        if kind == FunctionKind::QuantileOverTime {
            self.check_quantile(param);
        }
        let mut value = self.range(matrix, t_ms)?;
        value.window.param = param;
        if matches!(kind, FunctionKind::Rate | FunctionKind::Increase) {
            self.check_counters(value.each().map(|(labels, _)| labels.metric_name()));
        }
        let found = value.each().filter_map(|(labels, samples)| Some(Point::new(labels.clone(), range::over(kind, samples, value.window)?)));
        let mut points = Vec::with_capacity(value.len());
        points.extend(found);
        if kind == FunctionKind::LastOverTime { Ok(points) } else { nameless(points) }
    }

    fn check_counters<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        let mut checked = "";
        for name in names {
            if name != checked && !COUNTER_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                self.notes.inform(format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"));
            }
            checked = name;
        }
    }

    /// The time of each sample of a selector; of any other vector the evaluation time.
    fn timestamp(&mut self, arg: &'a Expr, t_ms: i64) -> Result<Vec<Point>, EvalError> {
        if let ExprKind::Instant(selector) = &arg.unwrapped().kind {
            return nameless(self.selected(selector, t_ms, |labels, sample| Point::new(labels.clone(), sample.t_ms as f64 / 1000.0))?);
        }
        mapped(self.vector(arg, t_ms)?, |_| Some(t_ms as f64 / 1000.0))
    }

    /// `label_replace(v, target, replacement, source, pattern)`
    fn label_replace(&mut self, vector: &'a Expr, texts: &'a [Expr], t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let [target, replacement, source, pattern] = texts else { return Ok(Vec::new()) };
        let (target, replacement, source) = (Self::text(target), Self::text(replacement), Self::text(source));
        if target.is_empty() {
            return Err(EvalError::BadParameter { what: "label name", found: target.to_owned() });
        }
        let pattern = self.pattern(Self::text(pattern))?;
        let mut points = self.vector(vector, t_ms)?;
        self.charge_elements(points.len())?;
        for point in &mut points {
            let Some(captures) = pattern.captures(point.get(source)) else { continue };
            let mut replaced = String::new();
            regex::expand(replacement, &captures, &mut replaced);
            point.set_labels(point.labels().with(target, &replaced));
        }
        distinct(&points)?;
        Ok(points)
    }

    fn pattern(&mut self, text: &str) -> Result<Rc<::regex::Regex>, EvalError> {
        if let Some(pattern) = self.patterns.get(text) {
            return Ok(Rc::clone(pattern));
        }
        let bad = |why: regex::PatternError| EvalError::BadParameter { what: "regular expression", found: format!("{text}: {why}") };
        let pattern = Rc::new(regex::compile(text).map_err(bad)?);
        self.patterns.insert(text.to_owned(), Rc::clone(&pattern));
        Ok(pattern)
    }

    /// `label_join(v, target, separator, source…)`
    fn label_join(&mut self, vector: &'a Expr, texts: &'a [Expr], t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let [target, separator, sources @ ..] = texts else { return Ok(Vec::new()) };
        let (target, separator) = (Self::text(target), Self::text(separator));
        let sources: Vec<&str> = sources.iter().map(Self::text).collect();
        if let Some(bad) = sources.iter().chain([&target]).find(|name| name.is_empty()) {
            return Err(EvalError::BadParameter { what: "label name", found: (*bad).to_owned() });
        }
        let mut points = self.vector(vector, t_ms)?;
        self.charge_elements(points.len())?;
        for point in &mut points {
            let values: Vec<&str> = sources.iter().map(|source| point.get(source)).collect();
            point.set_labels(point.labels().with(target, &values.join(separator)));
        }
        distinct(&points)?;
        Ok(points)
    }
}

/// 1 with the labels that the selector fixes, when nothing is there.
fn absent(present: bool, arg: &Expr) -> Vec<Point> {
    if present {
        return Vec::new();
    }
    let matchers: &[Matcher] = match &arg.unwrapped().kind {
        ExprKind::Instant(selector) => &selector.matchers,
        ExprKind::Range(range) => &range.selector.matchers,
        _ => &[],
    };
    let mut fixed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in matchers.iter().filter(|matcher| &*matcher.name != METRIC_NAME) {
        // A label with any other condition, or with two, has no value that could be named.
        let value = (matcher.op == MatchOp::Equal && !fixed.contains_key(&*matcher.name)).then_some(&*matcher.value);
        fixed.insert(&matcher.name, value);
    }
    let labels = Labels::from_pairs(fixed.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    vec![Point::new(labels, 1.0)]
}

/// By value, NaN last in either direction; equal ones stay in their order.
fn sorted(kind: FunctionKind, mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| {
        let order = if kind == FunctionKind::Sort { a.v.partial_cmp(&b.v) } else { b.v.partial_cmp(&a.v) };
        order.unwrap_or_else(|| a.v.is_nan().cmp(&b.v.is_nan()))
    });
    points
}
