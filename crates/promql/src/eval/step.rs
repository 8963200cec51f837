//! One step: the value of a node at one time. Selectors, subqueries, signs and parentheses here; the rest in the modules beside it.
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ::regex::Regex;

use super::load::{Loaded, load, reference_ms};
use super::point::{Places, Point, nameless};
use super::{Answer, Cost, Element, EvalError, Grid, Notes, Options, Value};
use crate::functions::range::Window;
use crate::labels::Labels;
use crate::parse::{Expr, ExprKind, Selector, Sign, Subquery, ValueType};
use crate::{Block, Queryable, Sample, SeriesData, is_stale};

/// What an element of a vector costs in units of work: its labels are compared and copied, while a sample in a window is a number that is added up.
const ELEMENT_WORK: u64 = 64;

/// Work between two questions whether the answer is still wanted: some milliseconds.
const ASK_EVERY: u64 = 500_000;

/// The state of one evaluation.
pub(super) struct Evaluation<'a> {
    source: &'a dyn Queryable,
    grid: Grid,
    options: &'a Options,
    loaded: Loaded,
    /// What subqueries have computed so far, by their id.
    kept: BTreeMap<usize, Kept>,
    /// Patterns of `label_replace`, compiled once.
    pub(super) patterns: BTreeMap<String, Rc<Regex>>,
    pub(super) notes: Notes,
    samples: usize,
    work: u64,
    /// The work at which the source is asked again whether the answer is still wanted.
    ask_at: u64,
}

/// The value of a node at one time, range vectors apart.
#[derive(Debug)]
pub(super) enum StepValue<'a> {
    Scalar(f64),
    Vector(Vec<Point>),
    Text(&'a str),
}

/// The value of a range vector at one time: whole series, and the window of them that counts.
#[derive(Debug)]
pub(super) struct RangeValue {
    series: RangeSeries,
    pub(super) window: Window,
}

/// Where the series of a range vector come from.
#[derive(Debug)]
enum RangeSeries {
    /// A selector.
    Read(Arc<Block>),
    /// A subquery.
    Computed(Rc<Vec<SeriesData>>),
}

/// The steps of a subquery that were computed and may still lie in a window.
#[derive(Default)]
struct Kept {
    series: Rc<Vec<SeriesData>>,
    index: Places,
    /// The step to compute next.
    next_ms: Option<i64>,
}

// === impl RangeValue ===

impl RangeValue {
    /// How many series there are, in the window or not.
    pub(super) fn len(&self) -> usize {
        match &self.series {
            RangeSeries::Read(block) => block.len(),
            RangeSeries::Computed(series) => series.len(),
        }
    }

    /// Each series with its samples in the window, at least one.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Labels, &[Sample])> {
        let (read, computed) = match &self.series {
            RangeSeries::Read(block) => (Some(block.iter()), None),
            RangeSeries::Computed(series) => (None, Some(series.iter().map(|one| (&one.labels, one.samples.as_slice())))),
        };
        read.into_iter().flatten().chain(computed.into_iter().flatten()).filter_map(|(labels, samples)| {
            let samples = within(samples, self.window.start_ms, self.window.end_ms);
            (!samples.is_empty()).then_some((labels, samples))
        })
    }
}

fn within(samples: &[Sample], start_ms: i64, end_ms: i64) -> &[Sample] {
    // Evaluated at one time only, a window is what was read for it.
    if let (Some(first), Some(last)) = (samples.first(), samples.last())
        && first.t_ms > start_ms
        && last.t_ms <= end_ms
    {
        return samples;
    }
    let from = samples.partition_point(|sample| sample.t_ms <= start_ms);
    let to = samples.partition_point(|sample| sample.t_ms <= end_ms);
    samples.get(from..to).unwrap_or_default()
}

// === impl Evaluation ===

impl<'a> Evaluation<'a> {
    pub(super) fn prepare(source: &'a dyn Queryable, expr: &'a Expr, grid: Grid, options: &'a Options) -> Result<Self, EvalError> {
        let loaded = load(source, expr, grid, options)?;
        let samples = loaded.samples;
        let (kept, patterns, notes) = (BTreeMap::new(), BTreeMap::new(), Notes::default());
        Ok(Self { source, grid, options, loaded, kept, patterns, notes, samples, work: 0, ask_at: ASK_EVERY })
    }

    pub(super) fn answer(self, value: Value) -> Answer {
        Answer { value, notes: self.notes, cost: Cost { samples: self.samples, work: self.work } }
    }

    /// The value of the whole expression at one time.
    pub(super) fn top_value(&mut self, expr: &'a Expr, t_ms: i64) -> Result<Value, EvalError> {
        if expr.value_type() == ValueType::RangeVector {
            let range = self.range(expr, t_ms)?;
            let series = range.each().map(|(labels, samples)| SeriesData { labels: labels.clone(), samples: samples.to_vec() });
            return Ok(Value::Matrix(series.collect()));
        }
        Ok(match self.eval(expr, t_ms)? {
            StepValue::Scalar(v) => Value::Scalar(Sample { t_ms, v }),
            StepValue::Text(text) => Value::Text(text.to_owned()),
            StepValue::Vector(points) => Value::Vector(
                points
                    .into_iter()
                    .map(|point| {
                        let sample = Sample { t_ms, v: point.v };
                        Element { labels: point.into_labels(), sample }
                    })
                    .collect(),
            ),
        })
    }

    /// The series that the expression yields over a grid, in order of their labels.
    pub(super) fn matrix_over(&mut self, expr: &'a Expr, grid: Grid) -> Result<Vec<SeriesData>, EvalError> {
        let mut kept = Kept::default();
        for t_ms in grid.times() {
            let value = self.eval(expr, t_ms)?;
            self.keep(&mut kept, value, t_ms)?;
        }
        let mut series = std::mem::take(Rc::make_mut(&mut kept.series));
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }

    pub(super) fn eval(&mut self, expr: &'a Expr, t_ms: i64) -> Result<StepValue<'a>, EvalError> {
        self.charge_elements(1)?;
        match &expr.kind {
            ExprKind::Number(value) => Ok(StepValue::Scalar(*value)),
            ExprKind::Text(text) => Ok(StepValue::Text(text)),
            ExprKind::Paren(inner) => self.eval(inner, t_ms),
            ExprKind::Instant(selector) => {
                self.selected(selector, t_ms, |labels, sample| Point::new(labels.clone(), sample.v)).map(StepValue::Vector)
            }
            ExprKind::Unary { sign, operand } => self.signed(*sign, operand, t_ms),
            ExprKind::Binary(binary) => self.binary(binary, t_ms),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, t_ms).map(StepValue::Vector),
            ExprKind::Call(call) => self.call(call, t_ms),
            // The parser lets a range vector stand only where `range` reads it.
            ExprKind::Range(_) | ExprKind::Subquery(_) => Ok(StepValue::Vector(Vec::new())),
        }
    }

    /// The value of an expression that the parser found to be scalar.
    pub(super) fn scalar(&mut self, expr: &'a Expr, t_ms: i64) -> Result<f64, EvalError> {
        match self.eval(expr, t_ms)? {
            StepValue::Scalar(value) => Ok(value),
            StepValue::Vector(_) | StepValue::Text(_) => Ok(f64::NAN),
        }
    }

    /// The value of an expression that the parser found to be an instant vector.
    pub(super) fn vector(&mut self, expr: &'a Expr, t_ms: i64) -> Result<Vec<Point>, EvalError> {
        match self.eval(expr, t_ms)? {
            StepValue::Vector(points) => Ok(points),
            StepValue::Scalar(_) | StepValue::Text(_) => Ok(Vec::new()),
        }
    }

    /// The text of an expression that the parser found to be a string.
    pub(super) fn text(expr: &'a Expr) -> &'a str {
        if let ExprKind::Text(text) = &expr.unwrapped().kind { text } else { "" }
    }

    /// What `point` makes of the newest sample of each series in `(t - lookback, t]`, unless that is a stale marker; the sample has its own time.
    pub(super) fn selected(&mut self, selector: &Selector, t_ms: i64, point: fn(&Labels, Sample) -> Point) -> Result<Vec<Point>, EvalError> {
        let end_ms = reference_ms(selector.shift, t_ms, self.grid);
        let start_ms = end_ms.saturating_sub(self.options.lookback_ms);
        let series = self.loaded.series(selector.id);
        self.charge_elements(series.len())?;
        let newest = |(labels, samples)| {
            let sample = *within(samples, start_ms, end_ms).last()?;
            (!is_stale(sample.v)).then(|| point(labels, sample))
        };
        let mut points = Vec::with_capacity(series.len());
        points.extend(series.iter().filter_map(newest));
        Ok(points)
    }

    /// The value of an expression that the parser found to be a range vector.
    pub(super) fn range(&mut self, expr: &'a Expr, t_ms: i64) -> Result<RangeValue, EvalError> {
        let (series, range_ms, shift) = match &expr.unwrapped().kind {
            ExprKind::Range(range) => (RangeSeries::Read(self.loaded.series(range.selector.id)), range.range_ms, range.selector.shift),
            ExprKind::Subquery(subquery) => (RangeSeries::Computed(self.subquery(subquery, t_ms)?), subquery.range_ms, subquery.shift),
            _ => (RangeSeries::Computed(Rc::default()), 0, crate::parse::Shift::default()),
        };
        let end_ms = reference_ms(shift, t_ms, self.grid);
        let window = Window { start_ms: end_ms.saturating_sub(range_ms), end_ms, now_ms: t_ms, param: f64::NAN };
        let value = RangeValue { series, window };
        let (mut series, mut touched) = (0, 0);
        for (_, samples) in value.each() {
            series += 1;
            touched += samples.len() as u64;
        }
        self.charge(touched)?;
        self.charge_elements(series)?;
        Ok(value)
    }

    /// The inner expression at every multiple of the step in the window. Windows only move forward, so each step is computed once.
    fn subquery(&mut self, subquery: &'a Subquery, t_ms: i64) -> Result<Rc<Vec<SeriesData>>, EvalError> {
        let step_ms = subquery.step_ms.unwrap_or(self.options.default_step_ms).max(1);
        let end_ms = reference_ms(subquery.shift, t_ms, self.grid);
        let start_ms = end_ms.saturating_sub(subquery.range_ms);
        if subquery.range_ms / step_ms > self.options.limits.steps {
            return Err(EvalError::TooManySteps { limit: self.options.limits.steps });
        }
        let mut first_ms = start_ms / step_ms * step_ms;
        if first_ms <= start_ms {
            first_ms += step_ms;
        }
        let mut kept = self.kept.remove(&subquery.id).unwrap_or_default();
        self.forget(&mut kept, start_ms);
        let mut next_ms = kept.next_ms.map_or(first_ms, |next_ms| next_ms.max(first_ms));
        while next_ms <= end_ms {
            let value = self.eval(&subquery.expr, next_ms)?;
            self.keep(&mut kept, value, next_ms)?;
            next_ms += step_ms;
        }
        kept.next_ms = Some(next_ms);
        let series = Rc::clone(&kept.series);
        self.kept.insert(subquery.id, kept);
        Ok(series)
    }

    /// Appends the value of one step.
    fn keep(&mut self, kept: &mut Kept, value: StepValue<'_>, t_ms: i64) -> Result<(), EvalError> {
        let points = match value {
            StepValue::Scalar(v) => vec![Point::new(Labels::default(), v)],
            StepValue::Vector(points) => points,
            StepValue::Text(_) => Vec::new(),
        };
        self.hold(points.len())?;
        let series = Rc::make_mut(&mut kept.series);
        for point in points {
            let (at, is_new) = kept.index.place(&point, |_| true);
            if is_new {
                series.push(SeriesData { labels: kept.index.labels(), samples: Vec::new() });
            }
            if let Some(one) = series.get_mut(at) {
                one.samples.push(Sample { t_ms, v: point.v });
            }
        }
        Ok(())
    }

    /// Drops the samples up to `start_ms`; a series that has none left stays in the index, for it is likely to come again.
    fn forget(&mut self, kept: &mut Kept, start_ms: i64) {
        for one in Rc::make_mut(&mut kept.series) {
            let gone = one.samples.partition_point(|sample| sample.t_ms <= start_ms);
            one.samples.drain(..gone);
            self.samples -= gone;
        }
    }

    fn signed(&mut self, sign: Sign, operand: &'a Expr, t_ms: i64) -> Result<StepValue<'a>, EvalError> {
        match (self.eval(operand, t_ms)?, sign) {
            (value, Sign::Plus) => Ok(value),
            (StepValue::Scalar(value), Sign::Minus) => Ok(StepValue::Scalar(-value)),
            (StepValue::Vector(points), Sign::Minus) => mapped(points, |value| Some(-value)).map(StepValue::Vector),
            (text @ StepValue::Text(_), Sign::Minus) => Ok(text),
        }
    }

    /// Counts elements of vectors that are made or looked at.
    pub(super) fn charge_elements(&mut self, elements: usize) -> Result<(), EvalError> {
        self.charge(ELEMENT_WORK.saturating_mul(elements as u64))
    }

    fn charge(&mut self, work: u64) -> Result<(), EvalError> {
        self.work = self.work.saturating_add(work);
        let limit = self.options.limits.work;
        if self.work > limit {
            return Err(EvalError::TooMuchWork { limit });
        }
        if self.work >= self.ask_at {
            self.ask_at = self.work.saturating_add(ASK_EVERY);
            if self.source.given_up() {
                return Err(EvalError::TimedOut);
            }
        }
        Ok(())
    }

    fn hold(&mut self, samples: usize) -> Result<(), EvalError> {
        self.samples += samples;
        let limit = self.options.limits.samples;
        if self.samples > limit { Err(EvalError::TooManySamples { limit }) } else { self.charge_elements(samples + 1) }
    }
}

/// Every element without its name and with a new value; those without one are left out.
pub(super) fn mapped(mut points: Vec<Point>, value: impl Fn(f64) -> Option<f64>) -> Result<Vec<Point>, EvalError> {
    points.retain_mut(|point| match value(point.v) {
        Some(v) => {
            point.v = v;
            true
        }
        None => false,
    });
    nameless(points)
}
