//! The canonical text of an expression: what Prometheus's own printer writes, one line, so that parsing it gives the same tree.
use std::fmt::{self, Display, Formatter};

use super::ast::{Aggregate, At, Binary, Expr, ExprKind, Group, Grouping, MatchLabels, Matching, Selector, Shift, Sign};
use super::literal::print_duration;
use crate::labels::{METRIC_NAME, MatchOp, Matcher, go_quote, is_label_name};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => f.write_str(&print_number(*value)),
            ExprKind::Text(text) => go_quote(f, text),
            ExprKind::Instant(selector) => write!(f, "{}{}", Bare(selector), selector.shift),
            ExprKind::Range(range) => write!(f, "{}[{}]{}", Bare(&range.selector), print_duration(range.range_ms), range.selector.shift),
            ExprKind::Subquery(subquery) => {
                let step = subquery.step_ms.map(print_duration).unwrap_or_default();
                write!(f, "{}[{}:{step}]{}", subquery.expr, print_duration(subquery.range_ms), subquery.shift)
            }
            ExprKind::Unary { sign, operand } => write!(f, "{}{operand}", if *sign == Sign::Minus { "-" } else { "+" }),
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregate(aggregate) => aggregate.fmt(f),
            ExprKind::Call(call) => {
                f.write_str(call.function.name)?;
                list(f, &call.args)
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let returns_bool = if self.returns_bool { " bool" } else { "" };
        write!(f, "{} {}{returns_bool}{} {}", self.lhs, self.op.as_str(), self.matching, self.rhs)
    }
}

impl Display for Matching {
    /// With a blank before each clause; nothing when nothing was written.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.labels {
            MatchLabels::Ignoring(names) if names.is_empty() && self.group == Group::OneToOne => return Ok(()),
            MatchLabels::On(names) => write!(f, " on {}", Names(names))?,
            MatchLabels::Ignoring(names) => write!(f, " ignoring {}", Names(names))?,
        }
        match self.group {
            Group::OneToOne => Ok(()),
            Group::Left => write!(f, " group_left {}", Names(&self.include)),
            Group::Right => write!(f, " group_right {}", Names(&self.include)),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        match &self.grouping {
            Grouping::By(names) if names.is_empty() => {}
            Grouping::By(names) => write!(f, " by {} ", Names(names))?,
            Grouping::Without(names) => write!(f, " without {} ", Names(names))?,
        }
        match &self.param {
            Some(param) => write!(f, "({param}, {})", self.expr),
            None => write!(f, "({})", self.expr),
        }
    }
}

impl Display for Shift {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                write!(f, " @ {sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)?;
            }
        }
        match self.offset_ms {
            0 => Ok(()),
            ms => write!(f, " offset {}", print_duration(ms)),
        }
    }
}

/// A selector without its modifiers: those of a range stand behind the brackets.
struct Bare<'a>(&'a Selector);

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.0.name.as_deref().unwrap_or("");
        f.write_str(name)?;
        let written: Vec<&Matcher> = self.0.matchers.iter().filter(|matcher| name.is_empty() || &*matcher.name != METRIC_NAME).collect();
        if written.is_empty() && !name.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, matcher) in written.into_iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            write_name(f, &matcher.name)?;
            f.write_str(match matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            })?;
            go_quote(f, &matcher.value)?;
        }
        f.write_str("}")
    }
}

struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (at, name) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            write_name(f, name)?;
        }
        f.write_str(")")
    }
}

fn list(f: &mut Formatter<'_>, args: &[Expr]) -> fmt::Result {
    f.write_str("(")?;
    for (at, arg) in args.iter().enumerate() {
        write!(f, "{}{arg}", if at == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}

fn write_name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if is_label_name(name) { f.write_str(name) } else { go_quote(f, name) }
}

/// A number as the language writes it: the shortest text that reads back to the same value, an exponent where plain digits would be long.
pub(crate) fn print_number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Inf".to_owned() } else { "-Inf".to_owned() };
    }
    if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) { format!("{value:e}") } else { format!("{value}") }
}
