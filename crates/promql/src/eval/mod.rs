//! Evaluation of an expression over a [`Queryable`](crate::Queryable), at one time or over a grid of times, with Prometheus 3's answers
//! (documentation, "Querying basics", "Operators", "Functions"; ranges and look-back are left-open).
//!
//! Owns: what each node of the tree yields. Must not know: where series come from, clocks, rules.
//!
//! The tree is walked once per step. Before that every selector has read its series for the whole grid, so a step touches memory only; a subquery keeps the
//! steps it has computed, so overlapping windows cost nothing twice. All work is counted, and an evaluation that would take too much ends in an error.
//!
//! Known differences from Prometheus 3.5, kept on purpose (`tests/differential` finds no others):
//! * a parameter of `topk`, `bottomk` or `quantile` is taken anew at each step, and `histogram_fraction` interpolates in the lowest bucket, as later versions do;
//! * dates of NaN and of times beyond any calendar are NaN;
//! * an error of a subquery's inner expression counts only where its step lies in a window; series that become alike by losing their names are an error only at
//!   a step where both have a sample;
//! * of equal elements `topk` and `bottomk` keep the first by labels;
//! * trigonometric functions, logarithms and powers come from another library than Go's and may differ in the last digit. `%` is exact on both sides, and makes a
//!   large difference of such a small one where the quotient is large: `1e9 % (1 atan2 10)`.
mod aggregate;
mod binary;
mod call;
mod error;
mod histogram;
mod load;
mod notes;
mod point;
mod step;
mod value;

pub use error::EvalError;
pub use notes::Notes;
pub use value::{Answer, Cost, Element, Value};

use crate::Queryable;
use crate::parse::{Expr, ValueType};
use step::Evaluation;

/// How an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How far back an instant selector looks for a sample, in milliseconds (Prometheus: 5 m).
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds (Prometheus: the global evaluation interval).
    pub default_step_ms: i64,
    /// What an evaluation may take.
    pub limits: Limits,
}

/// What an evaluation may take; over it the evaluation is an error.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Samples held at once: read from the store, kept by subqueries, in the answer. 16 bytes each.
    pub samples: usize,
    /// The measure of time: 1 for a sample in a window, 64 for an element of a vector or a node of the tree, at every step.
    pub work: u64,
    /// Steps of a range evaluation or of a subquery.
    pub steps: i64,
}

/// The times of a range evaluation: `start`, `start + step`, … up to `end`, in unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// First time.
    pub start_ms: i64,
    /// Last time that may be evaluated.
    pub end_ms: i64,
    /// Distance between two times, above zero.
    pub step_ms: i64,
}

/// Evaluates at one time; the value has the type of the expression.
///
/// # Errors
/// See [`EvalError`].
pub fn eval_instant(source: &dyn Queryable, expr: &Expr, t_ms: i64, options: &Options) -> Result<Answer, EvalError> {
    let grid = Grid { start_ms: t_ms, end_ms: t_ms, step_ms: 1 };
    let mut evaluation = Evaluation::prepare(source, expr, grid, options)?;
    let value = evaluation.top_value(expr, t_ms)?;
    Ok(evaluation.answer(value))
}

/// Evaluates at every time of the grid; the value is a matrix (of one series without labels for a scalar), its series in order of their labels.
///
/// # Errors
/// See [`EvalError`]; also when the expression is neither scalar nor instant vector.
pub fn eval_range(source: &dyn Queryable, expr: &Expr, grid: Grid, options: &Options) -> Result<Answer, EvalError> {
    let found = expr.value_type();
    if !matches!(found, ValueType::Scalar | ValueType::InstantVector) {
        return Err(EvalError::NotForRange { found });
    }
    if grid.step_ms <= 0 || grid.end_ms < grid.start_ms {
        return Err(EvalError::BadGrid);
    }
    if grid.steps() > options.limits.steps {
        return Err(EvalError::TooManySteps { limit: options.limits.steps });
    }
    let mut evaluation = Evaluation::prepare(source, expr, grid, options)?;
    let matrix = evaluation.matrix_over(expr, grid)?;
    Ok(evaluation.answer(Value::Matrix(matrix)))
}

// === impl Options ===

impl Default for Options {
    /// Prometheus's defaults, and limits for a host that does other work: 16 MB of samples, about a second.
    fn default() -> Self {
        Self { lookback_ms: 300_000, default_step_ms: 60_000, limits: Limits::default() }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { samples: 1_000_000, work: 50_000_000, steps: 11_000 }
    }
}

// === impl Grid ===

impl Grid {
    /// How many times there are, at least one.
    pub fn steps(self) -> i64 {
        self.end_ms.saturating_sub(self.start_ms).max(0) / self.step_ms.max(1) + 1
    }

    /// The times.
    pub fn times(self) -> impl Iterator<Item = i64> {
        (0..self.steps()).map(move |at| self.start_ms + at * self.step_ms.max(1))
    }
}
