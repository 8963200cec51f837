//! Types and operators: what fits together. Prometheus's rules (documentation, "Operators", "Functions").
use super::ast::{Aggregate, Binary, Call, Expr, ExprKind, Group, MatchLabels, Span, Subquery, ValueType};
use super::error::{ParseError, ParseErrorKind};

/// Every type error of the tree.
pub(super) fn check(expr: &Expr) -> Vec<ParseError> {
    let mut errors = Vec::new();
    walk(expr, &mut errors);
    errors
}

fn walk(expr: &Expr, errors: &mut Vec<ParseError>) {
    for child in expr.children() {
        walk(child, errors);
    }
    match &expr.kind {
        ExprKind::Unary { operand, .. } => scalar_or_vector(operand, "the operand of a sign", errors),
        ExprKind::Subquery(Subquery { expr, .. }) => needs(expr, ValueType::InstantVector, "the expression of a subquery", errors),
        ExprKind::Binary(binary) => check_binary(binary, errors),
        ExprKind::Aggregate(aggregate) => check_aggregate(aggregate, errors),
        ExprKind::Call(call) => check_call(call, expr.span, errors),
        ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Instant(_) | ExprKind::Range(_) | ExprKind::Paren(_) => {}
    }
}

fn needs(expr: &Expr, expected: ValueType, place: &str, errors: &mut Vec<ParseError>) {
    let found = expr.value_type();
    if found != expected {
        errors.push(ParseError::new(expr.span, ParseErrorKind::WrongType { place: place.to_owned(), expected: Some(expected), found }));
    }
}

fn scalar_or_vector(expr: &Expr, place: &str, errors: &mut Vec<ParseError>) {
    let found = expr.value_type();
    if !matches!(found, ValueType::Scalar | ValueType::InstantVector) {
        errors.push(ParseError::new(expr.span, ParseErrorKind::WrongType { place: place.to_owned(), expected: None, found }));
    }
}

fn check_binary(binary: &Binary, errors: &mut Vec<ParseError>) {
    let op = binary.op;
    for (side, operand) in [("left", &binary.lhs), ("right", &binary.rhs)] {
        scalar_or_vector(operand, &format!("the {side} operand of {}", op.as_str()), errors);
    }
    let scalars = [&binary.lhs, &binary.rhs].into_iter().filter(|operand| operand.value_type() == ValueType::Scalar).count();
    let matching = &binary.matching;
    let mut found = |kind| errors.push(ParseError::new(binary.op_span, kind));
    if binary.returns_bool && !op.is_comparison() {
        found(ParseErrorKind::BoolWithoutComparison);
    }
    if op.is_comparison() && !binary.returns_bool && scalars == 2 {
        found(ParseErrorKind::ScalarComparisonNeedsBool);
    }
    if let MatchLabels::On(names) = &matching.labels {
        for label in matching.include.iter().filter(|label| names.contains(label)) {
            found(ParseErrorKind::LabelInOnAndGroup(label.clone()));
        }
    }
    if scalars > 0 && op.is_set() {
        found(ParseErrorKind::SetOperatorWithScalar(op.as_str()));
    } else if scalars > 0 && !matching.labels.names().is_empty() {
        found(ParseErrorKind::MatchingWithScalar);
    }
    if op.is_set() && matching.group != Group::OneToOne {
        found(ParseErrorKind::GroupWithSetOperator(op.as_str()));
    }
}

fn check_aggregate(aggregate: &Aggregate, errors: &mut Vec<ParseError>) {
    let name = aggregate.op.as_str();
    needs(&aggregate.expr, ValueType::InstantVector, &format!("the operand of {name}"), errors);
    if let (Some(param), Some(expected)) = (&aggregate.param, aggregate.op.param_type()) {
        needs(param, expected, &format!("the parameter of {name}"), errors);
    }
}

fn check_call(call: &Call, span: Span, errors: &mut Vec<ParseError>) {
    let function = call.function;
    if call.args.len() < function.min_args || function.max_args.is_some_and(|max| call.args.len() > max) {
        let kind = ParseErrorKind::ArgumentCount { name: function.name, min: function.min_args, max: function.max_args, found: call.args.len() };
        errors.push(ParseError::new(span, kind));
        return;
    }
    for (at, arg) in call.args.iter().enumerate() {
        // A function that takes any number of arguments repeats its last type.
        if let Some(expected) = function.args.get(at).or(function.args.last()) {
            needs(arg, *expected, &format!("argument {} of {}", at + 1, function.name), errors);
        }
    }
}
