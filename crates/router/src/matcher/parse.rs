//! Reading matchers in Alertmanager's two syntaxes, classic and UTF-8, in its default (fallback) mode.
//!
//! Both are tried. Only UTF-8 works: its result. Only classic works: its result, with a note that the text will break. Both work and differ:
//! the classic result, with a note. (Alertmanager documentation, "Label matchers".)

use std::iter::Peekable;
use std::str::CharIndices;

use super::{MatchOp, Matcher};

/// Matchers with what is to be said about how they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// In the order written.
    pub matchers: Vec<Matcher>,
    /// A note for the author.
    pub note: Option<Note>,
}

/// What is odd about a text that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Only the classic syntax takes it.
    ClassicOnly,
    /// The two syntaxes read it differently; the classic reading is used.
    Disagreement,
}

/// Why a text is not a list of matchers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MatcherError {
    /// What is wrong.
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
}

type Result<T> = std::result::Result<T, MatcherError>;

/// Matchers in `text`: `{a="b", c=~"d"}` or the same without braces; an empty list for `{}`.
///
/// # Errors
/// The UTF-8 parser's complaint when neither syntax takes the text.
pub fn parse(text: &str) -> Result<Parsed> {
    match (utf8(text), classic(text)) {
        (Ok(new), Ok(old)) if new == old => Ok(Parsed { matchers: new, note: None }),
        (Ok(_), Ok(old)) => Ok(Parsed { matchers: old, note: Some(Note::Disagreement) }),
        (Ok(new), Err(_)) => Ok(Parsed { matchers: new, note: None }),
        (Err(_), Ok(old)) => Ok(Parsed { matchers: old, note: Some(Note::ClassicOnly) }),
        (Err(error), Err(_)) => Err(error),
    }
}

/// One matcher without braces, as in a `filter=` of the API.
///
/// # Errors
/// When there is none, more than one, or braces.
pub fn parse_one(text: &str) -> Result<Matcher> {
    if text.trim_start().starts_with('{') {
        return Err(MatcherError { message: "one matcher without braces expected".to_owned(), offset: 0 });
    }
    let mut matchers = parse(text)?.matchers;
    match (matchers.pop(), matchers.is_empty()) {
        (Some(matcher), true) => Ok(matcher),
        _ => Err(MatcherError { message: "exactly one matcher expected".to_owned(), offset: 0 }),
    }
}

fn error<T>(offset: usize, message: impl Into<String>) -> Result<T> {
    Err(MatcherError { message: message.into(), offset })
}

fn build(name: &str, op: MatchOp, value: &str, offset: usize) -> Result<Matcher> {
    Matcher::new(name, op, value).or_else(|message| error(offset, message))
}

// === UTF-8 syntax ===

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

fn utf8(text: &str) -> Result<Vec<Matcher>> {
    let mut reader = Reader { text, rest: text.char_indices().peekable() };
    let open = reader.accept('{');
    let mut matchers = Vec::new();
    loop {
        reader.skip_blanks();
        match reader.peek() {
            None | Some('}') => break,
            Some(_) => matchers.push(reader.matcher()?),
        }
        if !reader.accept(',') {
            break;
        }
    }
    let closed = reader.accept('}');
    reader.skip_blanks();
    match (open, closed, reader.peek()) {
        (true, false, None) => error(text.len(), "expected a closing brace '}'"),
        (false, true, _) => error(reader.offset().saturating_sub(1), "closing brace '}' without an opening one"),
        (_, _, Some(c)) => error(reader.offset(), format!("unexpected {c:?} after a matcher, expected ',' or the end")),
        (_, _, None) => Ok(matchers),
    }
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn offset(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn skip_blanks(&mut self) {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        self.rest.next_if(|(_, c)| *c == wanted).is_some()
    }

    fn matcher(&mut self) -> Result<Matcher> {
        let start = self.offset();
        let name = self.word("a label name")?;
        if name.is_empty() {
            return error(start, "the label name is empty");
        }
        let op = self.op()?;
        let value_at = {
            self.skip_blanks();
            self.offset()
        };
        let value = self.word("a label value (write \"\" for an empty one)")?;
        build(&name, op, &value, value_at)
    }

    fn op(&mut self) -> Result<MatchOp> {
        self.skip_blanks();
        let at = self.offset();
        let first = self.rest.next().map(|(_, c)| c);
        let second = self.peek();
        let op = match (first, second) {
            (Some('='), Some('~')) => MatchOp::Regex,
            (Some('!'), Some('~')) => MatchOp::NotRegex,
            (Some('!'), Some('=')) => MatchOp::NotEqual,
            (Some('='), _) => return Ok(MatchOp::Equal),
            _ => return error(at, "expected an operator: =, !=, =~ or !~"),
        };
        self.rest.next();
        Ok(op)
    }

    /// A quoted text or a run of unreserved characters.
    fn word(&mut self, what: &str) -> Result<String> {
        self.skip_blanks();
        let at = self.offset();
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let mut word = String::new();
        while let Some((_, c)) = self.rest.next_if(|(_, c)| !c.is_whitespace() && !r#"{}!=~,\"'`"#.contains(*c)) {
            word.push(c);
        }
        if word.is_empty() { error(at, format!("expected {what}")) } else { Ok(word) }
    }

    /// A double-quoted text with Go's escapes.
    fn quoted(&mut self) -> Result<String> {
        let start = self.offset();
        self.rest.next();
        let mut out = String::new();
        while let Some((at, c)) = self.rest.next() {
            match c {
                '"' => return Ok(out),
                '\n' => return error(at, "a line break inside quotes"),
                '\\' => self.escape(at, &mut out)?,
                c => out.push(c),
            }
        }
        error(start, "the quotes are not closed")
    }

    fn escape(&mut self, at: usize, out: &mut String) -> Result<()> {
        let next = self.rest.next().map(|(_, c)| c);
        let c = match next {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some(c @ ('\\' | '"')) => c,
            Some('x') => return self.coded(at, 2, out),
            Some('u') => return self.coded(at, 4, out),
            Some('U') => return self.coded(at, 8, out),
            _ => return error(at, "unknown escape in quotes"),
        };
        out.push(c);
        Ok(())
    }

    fn coded(&mut self, at: usize, digits: usize, out: &mut String) -> Result<()> {
        let hex: String = self.rest.by_ref().take(digits).map(|(_, c)| c).collect();
        let c = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).filter(|_| hex.len() == digits);
        match c {
            Some(c) => {
                out.push(c);
                Ok(())
            }
            None => error(at, "an escape that names no character"),
        }
    }
}

// === classic syntax ===

fn classic(text: &str) -> Result<Vec<Matcher>> {
    let text = text.trim();
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut matchers = Vec::new();
    for piece in split_outside_quotes(text)? {
        if !piece.trim().is_empty() {
            matchers.push(classic_one(piece)?);
        }
    }
    Ok(matchers)
}

fn split_outside_quotes(text: &str) -> Result<Vec<&str>> {
    let (mut pieces, mut start, mut in_quotes, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                pieces.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    if in_quotes {
        return error(start, "the quotes are not closed");
    }
    pieces.push(text.get(start..).unwrap_or_default());
    Ok(pieces)
}

fn classic_one(piece: &str) -> Result<Matcher> {
    let piece = piece.trim();
    let name_len = piece.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')).count();
    let (name, rest) = piece.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return error(0, format!("bad matcher: {piece}"));
    }
    let rest = rest.trim_start();
    let ops = [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let Some((op, raw)) = ops.iter().find_map(|(text, op)| rest.strip_prefix(text).map(|raw| (*op, raw))) else {
        return error(name_len, format!("bad matcher: {piece}"));
    };
    build(name, op, &classic_value(raw.trim())?, name_len)
}

/// A value whose opening quote, if any, must be closed; only `\"`, `\\` and `\n` are escapes.
fn classic_value(raw: &str) -> Result<String> {
    let body = match raw.strip_prefix('"') {
        None => raw,
        Some(body) => match body.strip_suffix('"') {
            Some(body) => body,
            None => return error(0, "the quotes are not closed"),
        },
    };
    let mut out = String::new();
    let mut escaped = false;
    for c in body.chars() {
        match (escaped, c) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (false, '"') => return error(0, "a double quote inside the value is not escaped"),
            (true, 'n') => out.push('\n'),
            (true, '"' | '\\') => out.push(c),
            (true, c) => out.extend(['\\', c]),
            (false, c) => out.push(c),
        }
        escaped = false;
    }
    if escaped {
        return error(0, "the value ends in a lone backslash");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(Parsed { matchers, note }) => {
                let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
                format!("{}{}", texts.join(","), note.map_or(String::new(), |note| format!(" [{note:?}]")))
            }
            Err(error) => format!("error at {}: {error}", error.offset),
        }
    }

    #[test]
    fn both_syntaxes_in_fallback_mode() {
        for (text, expected) in [
            (r#"a="b""#, r#"a="b""#),
            (r"a=b", r#"a="b""#),
            (r#"{a="b",c!="d"}"#, r#"a="b",c!="d""#),
            (r#"{a="b",}"#, r#"a="b""#),
            ("{}", ""),
            ("", ""),
            (r#" a =~ "x|y" "#, r#"a=~"x|y""#),
            (r#"a="x,y",b=z"#, r#"a="x,y",b="z""#),
            (r#""团队"="数据库""#, r#""团队"="数据库""#),
            ("团队=数据库", r#""团队"="数据库""#),
            ("foo=", r#"foo="" [ClassicOnly]"#),
            (r#"foo="""#, r#"foo="""#),
            ("foo=bar baz", r#"foo="bar baz" [ClassicOnly]"#),
            (r#"foo="a\d""#, r#"foo="a\\d" [ClassicOnly]"#),
            (r#"foo="\t""#, r#"foo="\\t" [Disagreement]"#),
            (r#"foo="\u4e2d""#, r#"foo="\\u4e2d" [Disagreement]"#),
            ("foo", "error at 3: expected an operator: =, !=, =~ or !~"),
            ("=x", "error at 0: expected a label name"),
            (r#"a="b"#, "error at 2: the quotes are not closed"),
            (r#"a=~"(""#, "error at 3: unclosed group"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_api_takes_one_matcher_without_braces() {
        assert!(parse_one("a=b").is_ok());
        for text in ["{a=b}", "a=b,c=d", ""] {
            assert!(parse_one(text).is_err(), "{text}");
        }
    }
}
