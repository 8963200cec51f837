//! Text into tokens. Blanks are not tokens: a token knows whether one stood before it.

use crate::ast::Span;

/// A token; string-like kinds hold the source text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    /// Outside the delimiters, trimmed as the markers beside it say.
    Text,
    Open,
    Close,
    /// An identifier or keyword.
    Word(&'a str),
    /// `.name`, without the dot.
    Field(&'a str),
    /// `$name`, with the dollar.
    Variable(&'a str),
    Dot,
    Number(&'a str),
    /// A character constant with its quotes.
    Char(&'a str),
    /// A string with its double quotes.
    Quoted(&'a str),
    /// The inside of back quotes.
    Raw(&'a str),
    LeftParen,
    RightParen,
    Pipe,
    Declare,
    Assign,
    Comma,
    /// Any other printable character.
    Other(char),
    End,
    /// Not a token; what is wrong.
    Bad(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) span: Span,
    /// A blank stands before it.
    pub(crate) spaced: bool,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
    parens: usize,
    spaced: bool,
}

/// All tokens of `text`; the last is `End` or the first `Bad`.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), parens: 0, spaced: false };
    if let Err((start, problem)) = lexer.run() {
        let end = lexer.at.max(start);
        lexer.tokens.push(Token { kind: Kind::Bad(problem), span: Span { start, end }, spaced: false });
    }
    lexer.tokens
}

type Problem = (usize, String);

// === impl Lexer ===

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind<'a>, start: usize) {
        self.tokens.push(Token { kind, span: Span { start, end: self.at }, spaced: std::mem::take(&mut self.spaced) });
    }

    fn run(&mut self) -> Result<(), Problem> {
        let mut trim_next = false;
        loop {
            let start = self.at;
            let until = self.rest().find("{{").map_or(self.text.len(), |found| start + found);
            let trim_before = self.text.get(until + 2..).is_some_and(opens_trimming);
            self.text_token(Span { start, end: until }, trim_next, trim_before);
            self.at = until;
            if until == self.text.len() {
                self.push(Kind::End, until);
                return Ok(());
            }
            self.at += if trim_before { 3 } else { 2 };
            trim_next = self.action(until)?;
        }
    }

    fn text_token(&mut self, span: Span, trim_start: bool, trim_end: bool) {
        let mut piece = self.text.get(span.start..span.end).unwrap_or_default();
        let mut start = span.start;
        if trim_start {
            let trimmed = piece.trim_start_matches(is_space);
            start += piece.len() - trimmed.len();
            piece = trimmed;
        }
        if trim_end {
            piece = piece.trim_end_matches(is_space);
        }
        if !piece.is_empty() {
            let span = Span { start, end: start + piece.len() };
            self.tokens.push(Token { kind: Kind::Text, span, spaced: false });
        }
    }

    /// What stands between delimiters, the left one having been read; whether the text behind it is to be trimmed.
    fn action(&mut self, open: usize) -> Result<bool, Problem> {
        let blanks = self.rest().len() - self.rest().trim_start_matches(is_space).len();
        let trimming = self.at == open + 3;
        let comment_at = if trimming { blanks } else { 0 };
        if self.rest().get(comment_at..).is_some_and(|rest| rest.starts_with("/*")) {
            return self.comment(open, comment_at);
        }
        self.push(Kind::Open, open);
        self.parens = 0;
        loop {
            let before = self.at;
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_space).len();
            self.spaced = self.at > before;
            let trims = self.spaced && self.rest().starts_with("-}}");
            if trims || self.rest().starts_with("}}") {
                if self.parens > 0 {
                    return Err((self.at, "unclosed left paren".to_owned()));
                }
                let start = self.at;
                self.at += if trims { 3 } else { 2 };
                self.push(Kind::Close, start);
                return Ok(trims);
            }
            self.inside()?;
        }
    }

    fn comment(&mut self, open: usize, blanks: usize) -> Result<bool, Problem> {
        self.at += blanks + 2;
        let Some(end) = self.rest().find("*/") else { return Err((open, "unclosed comment".to_owned())) };
        self.at += end + 2;
        let rest = self.rest();
        let close = rest.trim_start_matches(is_space);
        if close.len() < rest.len() && close.starts_with("-}}") {
            self.at += rest.len() - close.len() + 3;
            return Ok(true);
        }
        if rest.starts_with("}}") {
            self.at += 2;
            return Ok(false);
        }
        Err((self.at, "comment ends before closing delimiter".to_owned()))
    }

    /// One token inside an action.
    fn inside(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let Some(c) = self.peek() else { return Err((start, "unclosed action".to_owned())) };
        let next = self.rest().chars().nth(1);
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        match c {
            '"' => self.quoted('"', "unterminated quoted string"),
            '\'' => self.quoted('\'', "unterminated character constant"),
            '`' => self.raw(),
            '$' => self.name(1, Kind::Variable),
            '.' if digit(next) => self.number(),
            '.' if next.is_some_and(is_word) => self.name(1, |name| Kind::Field(name.get(1..).unwrap_or_default())),
            '+' | '-' => self.number(),
            _ if c.is_ascii_digit() => self.number(),
            _ if is_word(c) => self.name(0, Kind::Word),
            _ => self.sign(c, next),
        }
    }

    fn sign(&mut self, c: char, next: Option<char>) -> Result<(), Problem> {
        let start = self.at;
        self.at += c.len_utf8();
        let kind = match c {
            '.' => Kind::Dot,
            '|' => Kind::Pipe,
            '=' => Kind::Assign,
            ',' => Kind::Comma,
            ':' if next == Some('=') => {
                self.at += 1;
                Kind::Declare
            }
            ':' => return Err((start, "expected :=".to_owned())),
            '(' => {
                self.parens += 1;
                Kind::LeftParen
            }
            ')' if self.parens == 0 => return Err((start, "unexpected right paren".to_owned())),
            ')' => {
                self.parens -= 1;
                Kind::RightParen
            }
            _ if c.is_ascii_graphic() => Kind::Other(c),
            _ => return Err((start, format!("unrecognized character in action: U+{:04X} '{c}'", u32::from(c)))),
        };
        self.push(kind, start);
        Ok(())
    }

    /// A word, field or variable; `skip` bytes of its sign come first.
    fn name(&mut self, skip: usize, kind: fn(&'a str) -> Kind<'a>) -> Result<(), Problem> {
        let start = self.at;
        self.at += skip;
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_word).len();
        if let Some(c) = self.peek().filter(|c| !is_space(*c) && !".,|:)(}=".contains(*c)) {
            return Err((start, format!("bad character U+{:04X} '{c}'", u32::from(c))));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.push(kind(text), start);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let rest = self.rest();
        let mut end = 0;
        let mut before = ' ';
        let hex = rest.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
        for (at, c) in rest.char_indices() {
            let sign = matches!(c, '+' | '-') && (at == 0 || (!hex && matches!(before, 'e' | 'E')) || matches!(before, 'p' | 'P'));
            if !(is_word(c) || c == '.' || sign) {
                break;
            }
            before = c;
            end = at + c.len_utf8();
        }
        self.at += end;
        let text = rest.get(..end).unwrap_or_default();
        if !text.contains(|c: char| c.is_ascii_digit()) {
            return Err((start, format!("bad number syntax: {text:?}")));
        }
        self.push(Kind::Number(text), start);
        Ok(())
    }

    fn quoted(&mut self, quote: char, unterminated: &str) -> Result<(), Problem> {
        let start = self.at;
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == quote => {
                    self.at += at + 1;
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    self.push(if quote == '"' { Kind::Quoted(text) } else { Kind::Char(text) }, start);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((start, unterminated.to_owned()))
    }

    fn raw(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let inside = self.rest().get(1..).unwrap_or_default();
        let Some(end) = inside.find('`') else { return Err((start, "unterminated raw quoted string".to_owned())) };
        self.at += end + 2;
        self.push(Kind::Raw(inside.get(..end).unwrap_or_default()), start);
        Ok(())
    }
}

/// Whether the inside of an action begins with the trim marker: a minus and a blank.
fn opens_trimming(inside: &str) -> bool {
    let mut chars = inside.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn markers_trim_the_text_beside_them() {
        let text = "a \n{{- 3 -}}\n b {{- /* c */ -}} d";
        let texts: Vec<&str> = tokens(text).iter().filter(|t| t.kind == Kind::Text).map(|t| &text[t.span.start..t.span.end]).collect();
        assert_eq!(texts, ["a", "b", "d"]);
    }

    #[test]
    fn a_minus_without_a_blank_is_a_sign() {
        assert_eq!(kinds("{{-3}}"), [Kind::Open, Kind::Number("-3"), Kind::Close, Kind::End]);
    }

    #[test]
    fn each_kind_is_told_apart() {
        use Kind::*;
        let found = kinds("{{ $x.Y := (f .A \"q\\\"\" `r` 'c' 0x1F 1.5e-3) | g, . = }}");
        let want = [
            Open,
            Variable("$x"),
            Field("Y"),
            Declare,
            LeftParen,
            Word("f"),
            Field("A"),
            Quoted("\"q\\\"\""),
            Raw("r"),
            Char("'c'"),
            Number("0x1F"),
            Number("1.5e-3"),
            RightParen,
            Pipe,
            Word("g"),
            Comma,
            Dot,
            Assign,
            Close,
            End,
        ];
        assert_eq!(found, want);
    }

    #[test]
    fn what_does_not_end_is_named() {
        for (text, said) in [
            ("{{ (1 }}", "unclosed left paren"),
            ("{{ 1", "unclosed action"),
            ("{{ \"x }}", "unterminated quoted string"),
            ("{{ `x }}", "unterminated raw quoted string"),
            ("{{/* x }}", "unclosed comment"),
            ("{{ ) }}", "unexpected right paren"),
            ("{{ a$b }}", "bad character U+0024 '$'"),
        ] {
            assert_eq!(kinds(text).last(), Some(&Bad(said.to_owned())), "{text}");
        }
        use Kind::Bad;
    }
}
