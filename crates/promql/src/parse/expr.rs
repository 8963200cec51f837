//! Operators, calls, aggregations: a Pratt parser. Precedence and associativity as in the documentation, "Binary operator precedence".
use super::ast::{Aggregate, Binary, Call, Expr, ExprKind, Group, Grouping, MatchLabels, Matching, Sign};
use super::cursor::{Cursor, experimental};
use super::error::{Expected, ParseError, ParseErrorKind, Unsupported};
use super::lexer::TokenKind;
use super::operator::{AggregateOp, BinaryOp};
use super::selector::{labels_list, postfix, selector};
use crate::functions::{self, Availability};

/// The binding of a sign: tighter than `*`, looser than `^`.
const SIGN_BINDING: u8 = 6;

/// Names that can begin no selector without braces around them.
const RESERVED: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];

/// Parses the whole of `text`, types unchecked.
pub(super) fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut cursor = Cursor::new(text)?;
    if cursor.peek().kind == TokenKind::End {
        return Err(ParseError::new(cursor.peek().span, ParseErrorKind::Empty));
    }
    let expr = expression(&mut cursor, 0)?;
    if cursor.peek().kind == TokenKind::End { Ok(expr) } else { Err(cursor.unexpected(Expected::Operator)) }
}

/// An expression whose operators bind at least as tightly as `binding`.
fn expression(cursor: &mut Cursor<'_>, binding: u8) -> Result<Expr, ParseError> {
    let mut lhs = cursor.deeper(operand)?;
    while let Some((op, found)) = binary_op(cursor) {
        if found < binding {
            break;
        }
        let op_span = cursor.next().span;
        let (returns_bool, matching) = modifiers(cursor)?;
        // `^` takes another `^` to its right, every other operator leaves its equals to the loop.
        let right = if op == BinaryOp::Pow { found } else { found + 1 };
        let rhs = cursor.deeper(|cursor| expression(cursor, right))?;
        let span = lhs.span.to(rhs.span);
        lhs = Cursor::node(ExprKind::Binary(Box::new(Binary { op, op_span, lhs, rhs, returns_bool, matching })), span)?;
    }
    Ok(lhs)
}

fn binary_op(cursor: &Cursor<'_>) -> Option<(BinaryOp, u8)> {
    let token = cursor.peek();
    Some(match token.kind {
        TokenKind::Symbol("==") => (BinaryOp::Eq, 3),
        TokenKind::Symbol("!=") => (BinaryOp::Ne, 3),
        TokenKind::Symbol("<=") => (BinaryOp::Le, 3),
        TokenKind::Symbol("<") => (BinaryOp::Lt, 3),
        TokenKind::Symbol(">=") => (BinaryOp::Ge, 3),
        TokenKind::Symbol(">") => (BinaryOp::Gt, 3),
        TokenKind::Symbol("+") => (BinaryOp::Add, 4),
        TokenKind::Symbol("-") => (BinaryOp::Sub, 4),
        TokenKind::Symbol("*") => (BinaryOp::Mul, 5),
        TokenKind::Symbol("/") => (BinaryOp::Div, 5),
        TokenKind::Symbol("%") => (BinaryOp::Mod, 5),
        TokenKind::Symbol("^") => (BinaryOp::Pow, SIGN_BINDING),
        TokenKind::Name { colon: false } => match cursor.text_of(token.span).to_ascii_lowercase().as_str() {
            "or" => (BinaryOp::Or, 1),
            "and" => (BinaryOp::And, 2),
            "unless" => (BinaryOp::Unless, 2),
            "atan2" => (BinaryOp::Atan2, 5),
            _ => return None,
        },
        _ => return None,
    })
}

/// `bool on (a, b) group_left (c)`, each of them optional, in this order.
fn modifiers(cursor: &mut Cursor<'_>) -> Result<(bool, Matching), ParseError> {
    let returns_bool = cursor.eat_keyword("bool");
    let mut matching = Matching::default();
    if cursor.eat_keyword("on") {
        matching.labels = MatchLabels::On(labels_list(cursor)?);
    } else if cursor.eat_keyword("ignoring") {
        matching.labels = MatchLabels::Ignoring(labels_list(cursor)?);
    } else {
        return Ok((returns_bool, matching));
    }
    if cursor.eat_keyword("group_left") {
        matching.group = Group::Left;
    } else if cursor.eat_keyword("group_right") {
        matching.group = Group::Right;
    }
    if matching.group != Group::OneToOne && cursor.is_symbol(0, "(") {
        matching.include = labels_list(cursor)?;
    }
    let fill = ["fill", "fill_left", "fill_right"].iter().any(|word| cursor.is_keyword(0, word)) && cursor.is_symbol(1, "(");
    if fill { Err(experimental(cursor.peek().span, "fill")) } else { Ok((returns_bool, matching)) }
}

/// A sign and what it applies to, or one thing with the modifiers behind it.
fn operand(cursor: &mut Cursor<'_>) -> Result<Expr, ParseError> {
    let start = cursor.peek().span;
    let sign = match cursor.peek().kind {
        TokenKind::Symbol("+") => Sign::Plus,
        TokenKind::Symbol("-") => Sign::Minus,
        _ => {
            let first = primary(cursor)?;
            return postfix(cursor, first);
        }
    };
    cursor.next();
    let operand = cursor.deeper(|cursor| expression(cursor, SIGN_BINDING))?;
    let span = start.to(operand.span);
    let kind = match (operand.kind, sign) {
        (ExprKind::Number(value), Sign::Minus) => ExprKind::Number(-value),
        (ExprKind::Number(value), Sign::Plus) => ExprKind::Number(value),
        (kind, sign) => ExprKind::Unary { sign, operand: Box::new(Expr::new(kind, operand.span)) },
    };
    Cursor::node(kind, span)
}

fn primary(cursor: &mut Cursor<'_>) -> Result<Expr, ParseError> {
    let token = cursor.peek();
    if let Some(value) = cursor.number()? {
        return Cursor::node(ExprKind::Number(value), token.span);
    }
    match token.kind {
        TokenKind::Text => {
            cursor.next();
            let text = cursor.unquoted(token)?;
            Cursor::node(ExprKind::Text(text), token.span)
        }
        TokenKind::Symbol("(") => {
            cursor.next();
            let inner = expression(cursor, 0)?;
            let end = cursor.expect_symbol(")")?;
            Cursor::node(ExprKind::Paren(Box::new(inner)), token.span.to(end))
        }
        TokenKind::Symbol("{") => selector(cursor),
        TokenKind::Name { .. } => named(cursor),
        _ => Err(cursor.unexpected(Expected::Expression)),
    }
}

/// What begins with a name: an aggregation, a call, or a selector.
fn named(cursor: &mut Cursor<'_>) -> Result<Expr, ParseError> {
    let token = cursor.peek();
    let name = cursor.text_of(token.span);
    let lower = name.to_ascii_lowercase();
    let grouped = cursor.is_keyword(1, "by") || cursor.is_keyword(1, "without");
    if cursor.is_symbol(1, "(") || grouped {
        if let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.as_str() == lower) {
            return aggregate(cursor, op);
        }
        if lower == "limitk" || lower == "limit_ratio" {
            return Err(experimental(token.span, &lower));
        }
    }
    if RESERVED.contains(&lower.as_str()) {
        return Err(cursor.unexpected(Expected::Expression));
    }
    if cursor.is_symbol(1, "(") { call(cursor) } else { selector(cursor) }
}

fn aggregate(cursor: &mut Cursor<'_>, op: AggregateOp) -> Result<Expr, ParseError> {
    let start = cursor.next().span;
    let mut clause = grouping(cursor)?;
    let mut args = arguments(cursor)?;
    if clause.is_none() {
        clause = grouping(cursor)?;
    }
    let span = start.to(cursor.last_span());
    let needed = 1 + usize::from(op.param_type().is_some());
    if args.len() != needed {
        let kind = ParseErrorKind::ArgumentCount { name: op.as_str(), min: needed, max: Some(needed), found: args.len() };
        return Err(ParseError::new(span, kind));
    }
    let Some(expr) = args.pop() else { return Err(cursor.unexpected(Expected::Expression)) };
    Cursor::node(ExprKind::Aggregate(Box::new(Aggregate { op, param: args.pop(), expr, grouping: clause.unwrap_or_default() })), span)
}

fn grouping(cursor: &mut Cursor<'_>) -> Result<Option<Grouping>, ParseError> {
    if cursor.eat_keyword("by") {
        return labels_list(cursor).map(|labels| Some(Grouping::By(labels)));
    }
    if cursor.eat_keyword("without") {
        return labels_list(cursor).map(|labels| Some(Grouping::Without(labels)));
    }
    Ok(None)
}

/// `(a, b)`
fn arguments(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>, ParseError> {
    cursor.expect_symbol("(")?;
    let mut args = Vec::new();
    if cursor.eat_symbol(")") {
        return Ok(args);
    }
    loop {
        args.push(expression(cursor, 0)?);
        if cursor.eat_symbol(")") {
            return Ok(args);
        }
        if !cursor.eat_symbol(",") {
            return Err(cursor.unexpected(Expected::Symbol(")")));
        }
    }
}

fn call(cursor: &mut Cursor<'_>) -> Result<Expr, ParseError> {
    let name_span = cursor.next().span;
    let name = cursor.text_of(name_span);
    let unsupported = |why| ParseError::new(name_span, ParseErrorKind::Unsupported { what: format!("{name}()"), why });
    let function = match functions::lookup(name) {
        Availability::Known(function) => function,
        Availability::Experimental => return Err(unsupported(Unsupported::Experimental)),
        Availability::NativeHistogram => return Err(unsupported(Unsupported::NativeHistogram)),
        Availability::Unknown { near } => return Err(ParseError::new(name_span, ParseErrorKind::UnknownFunction { name: name.to_owned(), near })),
    };
    let args = arguments(cursor)?;
    Cursor::node(ExprKind::Call(Call { function, name_span, args }), name_span.to(cursor.last_span()))
}
