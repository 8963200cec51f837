//! The parser's place in the tokens, and the small readings every part of the grammar shares.
use super::ast::{Expr, ExprKind, Span};
use super::error::{Expected, ParseError, ParseErrorKind, Unsupported};
use super::lexer::{Token, TokenKind, tokens};
use super::literal;
use super::{MAX_DEPTH, MAX_NESTING};

/// The tokens of one expression, and what the parser has counted so far.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    next_id: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ParseError> {
        Ok(Self { text, tokens: tokens(text)?, at: 0, depth: 0, next_id: 0 })
    }

    /// The token `ahead` of the next one; past the end it is the end.
    pub(super) fn ahead(&self, ahead: usize) -> Token {
        let end = Token { kind: TokenKind::End, span: Span::new(self.text.len(), self.text.len()) };
        self.tokens.get(self.at + ahead).or(self.tokens.last()).copied().unwrap_or(end)
    }

    pub(super) fn peek(&self) -> Token {
        self.ahead(0)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// The place of the token that was read last.
    pub(super) fn last_span(&self) -> Span {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or_else(Span::default, |token| token.span)
    }

    pub(super) fn text_of(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    pub(super) fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.ahead(ahead).kind, TokenKind::Symbol(found) if found == symbol)
    }

    /// Whether the token `ahead` is this keyword; keywords may be written in any case.
    pub(super) fn is_keyword(&self, ahead: usize, keyword: &str) -> bool {
        let token = self.ahead(ahead);
        matches!(token.kind, TokenKind::Name { colon: false }) && self.text_of(token.span).eq_ignore_ascii_case(keyword)
    }

    pub(super) fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(0, symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(0, keyword);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &'static str) -> Result<Span, ParseError> {
        if self.eat_symbol(symbol) { Ok(self.last_span()) } else { Err(self.unexpected(Expected::Symbol(symbol))) }
    }

    /// An error at the next token.
    pub(super) fn unexpected(&self, expected: Expected) -> ParseError {
        let span = self.peek().span;
        let found = self.text_of(span).chars().take(40).collect();
        ParseError::new(span, ParseErrorKind::Unexpected { found, expected })
    }

    /// A number for the next selector or subquery.
    pub(super) fn take_id(&mut self) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Runs `parse` one level deeper, or refuses.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= MAX_NESTING {
            return Err(too_deep(self.peek().span, MAX_NESTING));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// A node, unless the tree grew too high.
    pub(super) fn node(kind: ExprKind, span: Span) -> Result<Expr, ParseError> {
        let expr = Expr::new(kind, span);
        if expr.height() > MAX_DEPTH { Err(too_deep(span, MAX_DEPTH)) } else { Ok(expr) }
    }

    /// The content of a text token that was read.
    pub(super) fn unquoted(&self, token: Token) -> Result<String, ParseError> {
        literal::unquote(self.text_of(token.span)).map_err(|escape| ParseError::new(token.span, ParseErrorKind::BadEscape(escape)))
    }

    /// The next token as a number: a literal, `Inf`, `NaN`, or a duration in seconds.
    pub(super) fn number(&mut self) -> Result<Option<f64>, ParseError> {
        let token = self.peek();
        let text = self.text_of(token.span);
        let value = match token.kind {
            TokenKind::Number => literal::number(text).ok_or_else(|| ParseError::new(token.span, ParseErrorKind::BadNumber(text.to_owned())))?,
            TokenKind::Duration => self.duration_of(token)? as f64 / 1000.0,
            TokenKind::Name { colon: false } if text.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("nan") => {
                literal::number(text).unwrap_or(f64::NAN)
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(value))
    }

    fn duration_of(&self, token: Token) -> Result<i64, ParseError> {
        let text = self.text_of(token.span);
        literal::duration_ms(text).ok_or_else(|| ParseError::new(token.span, ParseErrorKind::BadDuration(text.to_owned())))
    }

    /// A duration or a number of seconds, in milliseconds. Arithmetic with durations is refused as experimental.
    pub(super) fn duration(&mut self) -> Result<i64, ParseError> {
        let token = self.peek();
        let is_function = matches!(token.kind, TokenKind::Name { .. }) && self.is_symbol(1, "(");
        if is_function || self.is_symbol(0, "(") {
            return Err(experimental(token.span, "a duration expression"));
        }
        let ms = match token.kind {
            TokenKind::Duration => self.duration_of(token)?,
            TokenKind::Number => {
                let text = self.text_of(token.span);
                let seconds = literal::number(text).ok_or_else(|| ParseError::new(token.span, ParseErrorKind::BadNumber(text.to_owned())))?;
                literal::seconds_to_ms(seconds).ok_or_else(|| ParseError::new(token.span, ParseErrorKind::BadDuration(text.to_owned())))?
            }
            _ => return Err(self.unexpected(Expected::Duration)),
        };
        self.at += 1;
        Ok(ms)
    }

    /// A duration above zero, as the brackets of ranges need it.
    pub(super) fn positive_duration(&mut self) -> Result<i64, ParseError> {
        while self.eat_symbol("+") {}
        let span = self.peek().span;
        let ms = self.duration()?;
        let next = self.peek();
        if matches!(next.kind, TokenKind::Symbol("+" | "-" | "*" | "/" | "%" | "^")) {
            return Err(experimental(next.span, "a duration expression"));
        }
        if ms > 0 { Ok(ms) } else { Err(ParseError::new(span, ParseErrorKind::BadDuration(self.text_of(span).to_owned()))) }
    }
}

/// An error for something that Prometheus has behind a feature flag.
pub(super) fn experimental(span: Span, what: &str) -> ParseError {
    ParseError::new(span, ParseErrorKind::Unsupported { what: what.to_owned(), why: Unsupported::Experimental })
}

fn too_deep(span: Span, limit: usize) -> ParseError {
    ParseError::new(span, ParseErrorKind::TooLarge { what: "levels", limit })
}
