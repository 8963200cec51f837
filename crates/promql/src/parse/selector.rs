//! Selectors, their matchers, and the modifiers behind an expression: `[5m]`, `[1h:1m]`, `offset`, `@`.
use super::ast::{At, Expr, ExprKind, RangeSelector, Selector, Shift, Span, Subquery};
use super::cursor::{Cursor, experimental};
use super::error::{Expected, ParseError, ParseErrorKind};
use super::lexer::{Token, TokenKind};
use crate::labels::{Labels, METRIC_NAME, MatchOp, Matcher};
use crate::regex;

/// `name`, `name{…}`, `{…}`; the next token is a name or `{`.
pub(super) fn selector(cursor: &mut Cursor<'_>) -> Result<Expr, ParseError> {
    let start = cursor.peek().span;
    let (name, matchers) = name_and_matchers(cursor)?;
    let span = start.to(cursor.last_span());
    if name.is_none() && matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(ParseError::new(span, ParseErrorKind::SelectsEverything));
    }
    let selector = Selector { id: cursor.take_id(), name, matchers, shift: Shift::default() };
    Cursor::node(ExprKind::Instant(selector), span)
}

/// See [`super::parse_series`].
pub(super) fn parse_series(text: &str) -> Result<Labels, ParseError> {
    let mut cursor = Cursor::new(text)?;
    if !matches!(cursor.peek().kind, TokenKind::Name { .. } | TokenKind::Symbol("{")) {
        return Err(cursor.unexpected(Expected::Expression));
    }
    let start = cursor.peek().span;
    let (_, matchers) = name_and_matchers(&mut cursor)?;
    if cursor.peek().kind != TokenKind::End {
        return Err(cursor.unexpected(Expected::Operator));
    }
    if matchers.iter().any(|matcher| matcher.op != MatchOp::Equal) {
        let kind = ParseErrorKind::Unexpected { found: text.chars().take(40).collect(), expected: Expected::Symbol("=") };
        return Err(ParseError::new(start.to(cursor.last_span()), kind));
    }
    Ok(Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name.clone(), matcher.value.clone()))))
}

/// The name before the braces, and all matchers, that of the name last as Prometheus has it.
fn name_and_matchers(cursor: &mut Cursor<'_>) -> Result<(Option<String>, Vec<Matcher>), ParseError> {
    let first = cursor.peek();
    let name = matches!(first.kind, TokenKind::Name { .. }).then(|| cursor.text_of(first.span).to_owned());
    if name.is_some() {
        cursor.next();
    }
    let mut matchers = if cursor.eat_symbol("{") { braces(cursor)? } else { Vec::new() };
    let whole = first.span.to(cursor.last_span());
    let named_inside = matchers.iter().any(|matcher| &*matcher.name == METRIC_NAME);
    if name.is_some() && named_inside {
        return Err(ParseError::new(whole, ParseErrorKind::NameTwice));
    }
    if let Some(name) = &name {
        matchers.push(Matcher::new(METRIC_NAME, MatchOp::Equal, name, None));
    }
    Ok((name, matchers))
}

/// `a="b", "c"=~"d", "metric name"}` up to and with the closing brace; a comma may stand before it.
fn braces(cursor: &mut Cursor<'_>) -> Result<Vec<Matcher>, ParseError> {
    let mut matchers = Vec::new();
    while !cursor.eat_symbol("}") {
        matchers.push(one_matcher(cursor)?);
        if !cursor.eat_symbol(",") {
            cursor.expect_symbol("}")?;
            break;
        }
    }
    Ok(matchers)
}

fn one_matcher(cursor: &mut Cursor<'_>) -> Result<Matcher, ParseError> {
    let token = cursor.next_label()?;
    let label = cursor.label_text(token)?;
    let op = match cursor.peek().kind {
        TokenKind::Symbol("=") => MatchOp::Equal,
        TokenKind::Symbol("!=") => MatchOp::NotEqual,
        TokenKind::Symbol("=~") => MatchOp::Regex,
        TokenKind::Symbol("!~") => MatchOp::NotRegex,
        // A text alone is the metric name.
        _ if token.kind == TokenKind::Text => return Ok(Matcher::new(METRIC_NAME, MatchOp::Equal, &label, None)),
        _ => return Err(cursor.unexpected(Expected::MatchOperator)),
    };
    if token.kind == (TokenKind::Name { colon: true }) {
        return Err(ParseError::new(token.span, ParseErrorKind::BadLabelName(label)));
    }
    cursor.next();
    let value = cursor.peek();
    if value.kind != TokenKind::Text {
        return Err(cursor.unexpected(Expected::String));
    }
    cursor.next();
    let text = cursor.unquoted(value)?;
    matcher(&label, op, &text, value.span)
}

fn matcher(label: &str, op: MatchOp, value: &str, span: Span) -> Result<Matcher, ParseError> {
    let pattern =
        match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(regex::compile(value).map_err(|why| {
                ParseError::new(span, ParseErrorKind::BadPattern { pattern: value.chars().take(80).collect(), why: why.to_string() })
            })?),
        };
    Ok(Matcher::new(label, op, value, pattern))
}

// === impl Cursor: labels ===

impl Cursor<'_> {
    fn next_label(&mut self) -> Result<Token, ParseError> {
        let token = self.peek();
        if !matches!(token.kind, TokenKind::Name { .. } | TokenKind::Text) {
            return Err(self.unexpected(Expected::Label));
        }
        self.next();
        Ok(token)
    }

    /// A bare name, or the content of a text.
    fn label_text(&self, token: Token) -> Result<String, ParseError> {
        if token.kind == TokenKind::Text { self.unquoted(token) } else { Ok(self.text_of(token.span).to_owned()) }
    }
}

/// Keywords that a list of labels can hold only in quotes.
const NO_LABELS: [&str; 3] = ["without", "inf", "nan"];

/// `(a, "b.c")`, possibly empty; a comma may stand before the closing bracket.
pub(super) fn labels_list(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    cursor.expect_symbol("(")?;
    let mut labels = Vec::new();
    loop {
        if cursor.eat_symbol(")") {
            return Ok(labels);
        }
        let token = cursor.next_label()?;
        let label = cursor.label_text(token)?;
        let keyword = NO_LABELS.iter().any(|word| token.kind != TokenKind::Text && label.eq_ignore_ascii_case(word));
        if keyword || label.is_empty() {
            return Err(ParseError::new(token.span, ParseErrorKind::BadLabelName(label)));
        }
        labels.push(label);
        if !cursor.eat_symbol(",") {
            cursor.expect_symbol(")")?;
            return Ok(labels);
        }
    }
}

/// The modifiers behind `expr`, innermost first.
pub(super) fn postfix(cursor: &mut Cursor<'_>, mut expr: Expr) -> Result<Expr, ParseError> {
    loop {
        let start = cursor.peek().span;
        if cursor.eat_symbol("[") {
            expr = brackets(cursor, expr, start)?;
        } else if cursor.eat_keyword("offset") {
            let offset_ms = offset(cursor)?;
            modify(&mut expr, start.to(cursor.last_span()), "offset", |shift| std::mem::replace(&mut shift.offset_ms, offset_ms) == 0)?;
        } else if cursor.eat_symbol("@") {
            let at = at(cursor)?;
            modify(&mut expr, start.to(cursor.last_span()), "@", |shift| shift.at.replace(at).is_none())?;
        } else if cursor.is_keyword(0, "anchored") || cursor.is_keyword(0, "smoothed") {
            return Err(experimental(start, cursor.text_of(start)));
        } else {
            return Ok(expr);
        }
    }
}

/// `5m]` or `1h:1m]` behind `expr`.
fn brackets(cursor: &mut Cursor<'_>, expr: Expr, start: Span) -> Result<Expr, ParseError> {
    let range_ms = cursor.positive_duration()?;
    if cursor.eat_symbol(":") {
        let step_ms = if cursor.is_symbol(0, "]") { None } else { Some(cursor.positive_duration()?) };
        let end = cursor.expect_symbol("]")?;
        let span = expr.span.to(end);
        let subquery = Subquery { id: cursor.take_id(), expr: Box::new(expr), range_ms, step_ms, shift: Shift::default() };
        return Cursor::node(ExprKind::Subquery(subquery), span);
    }
    let end = cursor.expect_symbol("]")?;
    let span = expr.span.to(end);
    match expr.kind {
        ExprKind::Instant(selector) if selector.shift == Shift::default() => {
            Cursor::node(ExprKind::Range(RangeSelector { selector, range_ms }), span)
        }
        _ => Err(ParseError::new(start.to(end), ParseErrorKind::MisplacedModifier { modifier: "[…]" })),
    }
}

fn offset(cursor: &mut Cursor<'_>) -> Result<i64, ParseError> {
    let negative = cursor.eat_symbol("-");
    if !negative {
        cursor.eat_symbol("+");
    }
    let ms = cursor.duration()?;
    Ok(if negative { -ms } else { ms })
}

/// What follows `@`.
fn at(cursor: &mut Cursor<'_>) -> Result<At, ParseError> {
    for (keyword, at) in [("start", At::Start), ("end", At::End)] {
        if cursor.is_keyword(0, keyword) {
            cursor.next();
            cursor.expect_symbol("(")?;
            cursor.expect_symbol(")")?;
            return Ok(at);
        }
    }
    let negative = cursor.eat_symbol("-");
    if !negative {
        cursor.eat_symbol("+");
    }
    let span = cursor.peek().span;
    let seconds = cursor.number()?.ok_or_else(|| cursor.unexpected(Expected::Time))?;
    let ms = (if negative { -seconds } else { seconds } * 1000.0).round();
    // 2^63 ms is 292 million years; a float holds no whole millisecond near it.
    if ms.is_nan() || ms.abs() >= 9.2e18 {
        return Err(ParseError::new(span, ParseErrorKind::BadTime(cursor.text_of(span).to_owned())));
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the range of i64, checked above")]
    let ms = ms as i64;
    Ok(At::Time(ms))
}

/// Sets one modifier by `set`, which says whether it was unset.
fn modify(expr: &mut Expr, span: Span, modifier: &'static str, set: impl FnOnce(&mut Shift) -> bool) -> Result<(), ParseError> {
    let shift = match &mut expr.kind {
        ExprKind::Instant(selector) => &mut selector.shift,
        ExprKind::Range(range) => &mut range.selector.shift,
        ExprKind::Subquery(subquery) => &mut subquery.shift,
        _ => return Err(ParseError::new(span, ParseErrorKind::MisplacedModifier { modifier })),
    };
    if !set(shift) {
        return Err(ParseError::new(span, ParseErrorKind::RepeatedModifier { modifier }));
    }
    expr.span = expr.span.to(span);
    Ok(())
}
