//! Text to tokens. Keywords are left to the parser, since nearly all of them may also be metric or label names.
use super::ast::Span;
use super::error::{ParseError, ParseErrorKind};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or keyword; the flag says that it holds a `:`.
    Name {
        colon: bool,
    },
    Number,
    Duration,
    /// A text with its quotes.
    Text,
    /// An operator or bracket.
    Symbol(&'static str),
    End,
}

/// A token and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `[…]`, where `:` separates instead of belonging to a name.
    in_range: bool,
}

/// Longest first, so that `==` is not read as `=` twice.
const SYMBOLS: [&str; 25] =
    ["==", "=~", "!=", "!~", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[", "]", ",", ":", "@", "!"];

/// All tokens of `text`, the last one [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { text, at: 0, in_range: false };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        tokens.push(token);
        if token.kind == TokenKind::End {
            return Ok(tokens);
        }
    }
}

// === impl Lexer ===

impl Lexer<'_> {
    fn next(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks();
        let start = self.at;
        let kind = match self.peek() {
            None => TokenKind::End,
            Some('"' | '\'' | '`') => self.text_token()?,
            Some(c) if c.is_ascii_digit() || (c == '.' && self.digit_at(1)) => self.number_or_duration()?,
            Some(c) if is_name_start(c) || (c == ':' && !self.in_range) => self.name(),
            Some(c) => self.symbol(c)?,
        };
        Ok(Token { kind, span: Span::new(start, self.at) })
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn digit_at(&self, ahead: usize) -> bool {
        self.byte(ahead).is_some_and(|byte| byte.is_ascii_digit())
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            let comment = rest.get(blanks..).filter(|rest| rest.starts_with('#'));
            let skipped = blanks + comment.map_or(0, |comment| comment.find('\n').unwrap_or(comment.len()));
            if skipped == 0 {
                return;
            }
            self.at += skipped;
        }
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, ParseError> {
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol)) else {
            return Err(ParseError::new(Span::new(self.at, self.at + first.len_utf8()), ParseErrorKind::BadCharacter(first)));
        };
        self.at += symbol.len();
        match symbol {
            "[" => self.in_range = true,
            "]" => self.in_range = false,
            _ => {}
        }
        Ok(TokenKind::Symbol(symbol))
    }

    fn name(&mut self) -> TokenKind {
        let rest = self.rest();
        let within = |c: char| is_alphanumeric(c) || (c == ':' && !self.in_range);
        let name = rest.get(..rest.find(|c| !within(c)).unwrap_or(rest.len())).unwrap_or("");
        let colon = name.contains(':');
        self.at += name.len();
        TokenKind::Name { colon }
    }

    fn text_token(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        let Some(quote) = self.byte(0) else { return Ok(TokenKind::End) };
        self.at += 1;
        loop {
            match self.byte(0) {
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(TokenKind::Text);
                }
                Some(b'\\') if quote != b'`' && self.byte(1).is_some() => self.at += 2,
                Some(b'\n') if quote != b'`' => break,
                Some(_) => self.at += 1,
                None => break,
            }
        }
        Err(ParseError::new(Span::new(start, self.at), ParseErrorKind::UnterminatedString))
    }

    /// Digits, and what follows them: a number as Go writes it, or `1h30m`.
    fn number_or_duration(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        let rest = self.rest();
        let end = number_end(rest);
        if end > 0 && !rest.get(end..).unwrap_or("").starts_with(is_alphanumeric) {
            self.at += end;
            return Ok(TokenKind::Number);
        }
        let end = rest.find(|c: char| !is_alphanumeric(c) && c != '.').unwrap_or(rest.len());
        let whole = rest.get(..end).unwrap_or("");
        let is_duration = whole.bytes().all(|b| b.is_ascii_digit() || b"ywdhms".contains(&b)) && whole.ends_with(|c: char| c.is_ascii_alphabetic());
        if is_duration {
            self.at += end;
            return Ok(TokenKind::Duration);
        }
        Err(ParseError::new(Span::new(start, start + end), ParseErrorKind::BadNumber(whole.to_owned())))
    }
}

/// Length of the number at the start of `text`: `12`, `1_000`, `.5`, `1e-3`, `0x1f`.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    if byte(0) == b'0' && matches!(byte(1), b'x' | b'X') {
        let digits = text.bytes().skip(2).take_while(|b| b.is_ascii_hexdigit() || *b == b'_').count();
        return if digits == 0 { 0 } else { 2 + digits };
    }
    let run = |from: usize| from + text.bytes().skip(from).take_while(|b| b.is_ascii_digit() || *b == b'_').count();
    let mut end = run(0);
    if byte(end) == b'.' {
        end = run(end + 1);
    }
    if matches!(byte(end), b'e' | b'E') {
        let sign = usize::from(matches!(byte(end + 1), b'+' | b'-'));
        let exponent = run(end + 1 + sign);
        if exponent > end + 1 + sign {
            return exponent;
        }
    }
    end
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
