//! The classic traps: rules that load and yet do not do what their author thinks. Warnings, never errors.

mod expression;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::{Place, Text};
use promql::functions::FunctionKind;
use promql::parse::{Expr, ExprKind, Selector, Span, inspect};

use crate::document::Written;

/// A trap that was found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) at: At,
    pub(crate) message: Text,
    pub(crate) hint: Option<Text>,
}

/// Where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// In the expression.
    Expr(Span),
    /// In the file.
    Place(Place),
}

/// The texts of an alerting rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) labels: &'a BTreeMap<String, Written>,
    pub(crate) annotations: &'a BTreeMap<String, Written>,
}

/// What else a lint may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) source: &'a str,
    pub(crate) scrape_interval_ms: Option<i64>,
    pub(crate) known_metrics: Option<&'a BTreeSet<String>>,
}

const NO_TEXTS: &BTreeMap<String, Written> = &BTreeMap::new();

impl Default for Texts<'_> {
    fn default() -> Self {
        Self { labels: NO_TEXTS, annotations: NO_TEXTS }
    }
}

/// All traps of a rule.
pub(crate) fn find(expr: &Expr, texts: &Texts<'_>, surroundings: &Surroundings<'_>) -> Vec<Finding> {
    let mut found = expression::find(expr, surroundings);
    found.extend(texts::find(expr, texts, surroundings.source));
    found
}

/// Whether the selector stands below `absent`, so that it is meant to match nothing.
pub(crate) fn is_meant_to_be_absent(expr: &Expr, selector: &Selector) -> bool {
    let mut below = false;
    inspect::walk(expr, &mut |node| {
        if let ExprKind::Call(call) = &node.kind
            && matches!(call.function.kind, FunctionKind::Absent | FunctionKind::AbsentOverTime)
        {
            below |= inspect::reads(node, 0).iter().any(|read| read.selector.id == selector.id);
        }
    });
    below
}
