//! What an expression reads: metric names, matchers, how far back it looks. For retention, for "why can this rule not alarm", for choosing which groups to wake.
use super::ast::{Expr, ExprKind, RangeSelector, Selector, Shift, Subquery};
use crate::labels::{METRIC_NAME, MatchOp};

/// Every selector of the expression with the stretch before the evaluation time that it reads, outermost first in the order they are written.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// The selector.
    pub selector: &'a Selector,
    /// How far before the evaluation time the oldest sample it may read lies, in milliseconds; `None` when an `@` fixes the time.
    pub look_back_ms: Option<i64>,
    /// The range behind the selector, if it has one.
    pub range_ms: Option<i64>,
}

/// What the expression reads. `lookback_ms` is how far an instant selector looks back, `default_step_ms` the step of a subquery without one.
pub fn reads(expr: &Expr, lookback_ms: i64) -> Vec<Read<'_>> {
    let mut reads = Vec::new();
    collect(expr, Some(0), lookback_ms, &mut reads);
    reads
}

/// The longest stretch before the evaluation time that the expression reads, in milliseconds; an `@` is not counted.
pub fn look_back_ms(expr: &Expr, lookback_ms: i64) -> i64 {
    reads(expr, lookback_ms).iter().filter_map(|read| read.look_back_ms).max().unwrap_or(0)
}

/// The metric names that the expression names exactly, in the order they are written, each once.
pub fn metric_names(expr: &Expr) -> Vec<&str> {
    let mut names = Vec::new();
    for name in reads(expr, 0).iter().filter_map(|read| read.selector.metric_name()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether a series of this metric name could be read by the expression.
pub fn may_read(expr: &Expr, metric: &str) -> bool {
    reads(expr, 0)
        .iter()
        .any(|read| read.selector.matchers.iter().filter(|matcher| &*matcher.name == METRIC_NAME).all(|matcher| matcher.matches(metric)))
}

/// Every node of the tree, parents before children.
pub fn walk<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr)) {
    visit(expr);
    for child in expr.children() {
        walk(child, visit);
    }
}

// === impl Selector ===

impl Selector {
    /// The metric name, when a matcher names exactly one.
    pub fn metric_name(&self) -> Option<&str> {
        self.matchers.iter().find(|matcher| &*matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal).map(|matcher| &*matcher.value)
    }
}

/// `base` is how far back the evaluation of `expr` itself lies; `None` below an `@`.
fn collect<'a>(expr: &'a Expr, base: Option<i64>, lookback_ms: i64, reads: &mut Vec<Read<'a>>) {
    match &expr.kind {
        ExprKind::Instant(selector) => reads.push(Read { selector, look_back_ms: further(base, selector.shift, lookback_ms), range_ms: None }),
        ExprKind::Range(RangeSelector { selector, range_ms }) => {
            reads.push(Read { selector, look_back_ms: further(base, selector.shift, *range_ms), range_ms: Some(*range_ms) });
        }
        ExprKind::Subquery(Subquery { expr, range_ms, shift, .. }) => collect(expr, further(base, *shift, *range_ms), lookback_ms, reads),
        _ => {
            for child in expr.children() {
                collect(child, base, lookback_ms, reads);
            }
        }
    }
}

fn further(base: Option<i64>, shift: Shift, stretch_ms: i64) -> Option<i64> {
    let base = base.filter(|_| shift.at.is_none())?;
    Some(base.saturating_add(shift.offset_ms).saturating_add(stretch_ms))
}
