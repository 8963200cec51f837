//! PromQL: text to a checked tree, and back. Follows Prometheus 3 (documentation, "Querying basics", "Operators", "Functions") without what is experimental there.
//!
//! Owns: the grammar, types of expressions, errors with places. Must not know: series, time, evaluation.
//!
//! * [`parse`] is the only maker of an [`Expr`]; every error says where it is.
//! * An expression prints ([`std::fmt::Display`]) in one canonical form that parses to the same tree.
//! * [`inspect`] answers what an expression reads: names, matchers, how far back.
mod ast;
mod check;
mod cursor;
mod error;
mod expr;
pub mod inspect;
mod lexer;
mod literal;
mod operator;
mod print;
mod selector;

pub use ast::{
    Aggregate, At, Binary, Call, Expr, ExprKind, Group, Grouping, MatchLabels, Matching, RangeSelector, Selector, Shift, Sign, Span, Subquery,
    ValueType,
};
pub use error::{Expected, ParseError, ParseErrorKind, Unsupported};
pub(crate) use literal::number;
pub use literal::{duration_ms, print_duration};
pub use operator::{AggregateOp, BinaryOp};

/// The longest text that is parsed, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// The most levels a tree may have, such as terms in a chain of `or`: more than any written rule has, few enough for any walk over it on a thread's stack.
pub const MAX_DEPTH: usize = 200;

/// The most brackets, signs and right operands within each other.
pub const MAX_NESTING: usize = 64;

/// Parses and checks an expression.
///
/// # Errors
/// The syntax error, or every type error there is, in the order of their places; never empty.
pub fn parse(text: &str) -> Result<Expr, Vec<ParseError>> {
    if text.len() > MAX_TEXT {
        return Err(vec![ParseError::new(Span::new(MAX_TEXT, text.len()), ParseErrorKind::TooLarge { what: "bytes", limit: MAX_TEXT })]);
    }
    let expr = expr::parse(text).map_err(|error| vec![error])?;
    let mut errors = check::check(&expr);
    if errors.is_empty() {
        return Ok(expr);
    }
    errors.sort_by_key(|error| error.span);
    Err(errors)
}

/// Parses a series as rule tests and scripts write it, `name{label="value"}`: only `=`.
///
/// # Errors
/// The first error, as for [`parse`].
pub fn parse_series(text: &str) -> Result<crate::labels::Labels, ParseError> {
    selector::parse_series(text)
}
