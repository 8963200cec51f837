//! Traps in labels and annotations.

use std::collections::BTreeSet;

use diagnostics::Text;
use promql::functions::FunctionKind;
use promql::labels::{METRIC_NAME, MatchOp};
use promql::parse::{AggregateOp, Expr, ExprKind, Grouping};

use super::{At, Finding, Texts};
use crate::document::Written;

pub(super) fn find(expr: &Expr, texts: &Texts<'_>, source: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, text) in texts.labels {
        found.extend(value_in_label(name, text, source));
    }
    let Some((known, code)) = labels_of(expr) else { return found };
    for text in texts.labels.values().chain(texts.annotations.values()) {
        for (label, at) in labels_used(&text.text) {
            if !known.contains(label) && !texts.labels.contains_key(label) {
                found.push(empty_label(code, label, At::Place(text.inside(source, at, label.chars().count()))));
            }
        }
    }
    found
}

fn value_in_label(name: &str, text: &Written, source: &str) -> Option<Finding> {
    let at = actions(&text.text).find_map(|(start, action)| action.find("$value").or_else(|| action.find(".Value")).map(|at| start + at))?;
    Some(Finding {
        code: "W112",
        at: At::Place(text.inside(source, at, 6)),
        message: Text::new(
            format!("the label `{name}` holds the value: each new value is a new alert, which with `for` never fires"),
            format!("标签 `{name}` 包含数值：每个新值都是一条新告警，有 `for` 时永远不会触发"),
        ),
        hint: Some(Text::new("put the value into an annotation", "请把数值放进注解")),
    })
}

fn empty_label(code: &'static str, label: &str, at: At) -> Finding {
    let (en, zh) = if code == "W116" {
        ("absent() has only the labels that its selector fixes with `=`", "absent() 只带有选择器中用 `=` 固定的标签")
    } else {
        ("the aggregation does not keep this label", "聚合没有保留该标签")
    };
    Finding {
        code,
        at,
        message: Text::new(format!("`{label}` is always empty here: {en}"), format!("此处 `{label}` 总是为空：{zh}")),
        hint: Some(Text::new("name the label in the expression, or write its value", "请在表达式中保留该标签，或直接写出其值")),
    }
}

/// The labels that the result can have, when the expression fixes them, and the code of the lint; `None` when any are possible.
fn labels_of(expr: &Expr) -> Option<(BTreeSet<String>, &'static str)> {
    match &expr.unwrapped().kind {
        ExprKind::Call(call) if matches!(call.function.kind, FunctionKind::Absent | FunctionKind::AbsentOverTime) => {
            let selector = match &call.args.first()?.unwrapped().kind {
                ExprKind::Instant(selector) => Some(selector),
                ExprKind::Range(range) => Some(&range.selector),
                _ => None,
            };
            let fixed = selector.map(|selector| selector.matchers.iter().filter(|m| m.op == MatchOp::Equal && &*m.name != METRIC_NAME));
            Some((fixed.into_iter().flatten().map(|matcher| matcher.name.to_string()).collect(), "W116"))
        }
        ExprKind::Aggregate(aggregate) => match (&aggregate.grouping, aggregate.op) {
            (_, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::CountValues) => None,
            (Grouping::By(labels), _) => Some((labels.iter().cloned().collect(), "W120")),
            _ => None,
        },
        ExprKind::Binary(binary) if binary.op.is_comparison() && binary.rhs.value_type() == promql::parse::ValueType::Scalar => {
            labels_of(&binary.lhs)
        }
        _ => None,
    }
}

/// The actions of a template: the text between the braces, and where it begins.
fn actions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.get(at..)?.find("{{")? + 2;
        let len = text.get(start..)?.find("}}")?;
        at = start + len + 2;
        Some((start, text.get(start..start + len)?))
    })
}

/// Labels that a template takes of `$labels` or `.Labels`, and where their names stand.
fn labels_used(text: &str) -> Vec<(&str, usize)> {
    let mut used = Vec::new();
    for (start, action) in actions(text) {
        for word in ["$labels.", ".Labels."] {
            for (at, _) in action.match_indices(word) {
                let from = at + word.len();
                let rest = action.get(from..).unwrap_or_default();
                let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                used.extend(rest.get(..len).map(|name| (name, start + from)));
            }
        }
    }
    used
}
