//! Go's regular expressions (RE2 syntax) as the `regex` crate understands them.
//!
//! Owns: the differences between the two dialects (both are linear-time automata with leftmost-first matching). Must not know: what is matched.
//! Differences met: `{` that begins no counted repetition is a literal in Go; `[`, `&&`, `--`, `~~` inside a class are literals in Go;
//! `\d \w \s \b` are ASCII in Go; `\Q…\E` quotes; `\z`, `\C` stay or fail as in Go.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// Compiled size at most, so that a hostile pattern is an error and not a pause.
const SIZE_LIMIT: usize = 1 << 20;

/// `pattern` compiled so that it must match the whole value (`^(?:pattern)$`), as Alertmanager's matchers do.
///
/// # Errors
/// What is wrong with the pattern, in one line.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, String> {
    build(&format!("^(?:{})$", translate(pattern)))
}

fn build(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("the pattern compiles to more than {limit} bytes"),
        other => last_line(&other.to_string()),
    })
}

fn last_line(message: &str) -> String {
    message.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest, &mut out, Place::Outside),
            '[' => class(&mut rest, &mut out),
            '{' if !is_repetition(rest.clone()) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    InClass,
}

/// What follows a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String, place: Place) {
    let Some(c) = rest.next() else {
        out.push('\\');
        return;
    };
    let replacement = match (c, place) {
        ('d', Place::Outside) => "[0-9]",
        ('D', Place::Outside) => "[^0-9]",
        ('w', Place::Outside) => "[0-9A-Za-z_]",
        ('W', Place::Outside) => "[^0-9A-Za-z_]",
        ('s', Place::Outside) => "[\\t\\n\\x0c\\r ]",
        ('S', Place::Outside) => "[^\\t\\n\\x0c\\r ]",
        ('b', Place::Outside) => "(?-u:\\b)",
        ('d', Place::InClass) => "0-9",
        ('w', Place::InClass) => "0-9A-Za-z_",
        ('s', Place::InClass) => "\\t\\n\\x0c\\r ",
        ('Q', Place::Outside) => return quoted_run(rest, out),
        _ => {
            out.push('\\');
            out.push(c);
            return;
        }
    };
    out.push_str(replacement);
}

/// `\Q…\E`: everything up to `\E` (or the end) is literal.
fn quoted_run(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = rest.next() {
        if c == '\\' && rest.peek() == Some(&'E') {
            rest.next();
            return;
        }
        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// A bracket class: only its first `]`, its ranges, escapes and `[:name:]` have a meaning in Go.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if rest.peek() == Some(&'^') {
        rest.next();
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = rest.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            ']' => out.push_str("\\]"),
            '[' if rest.peek() == Some(&':') => {
                out.push('[');
                posix_name(rest, out);
            }
            '[' => out.push_str("\\["),
            '&' | '~' => {
                let _ = write!(out, "\\{c}");
            }
            '-' if rest.peek() == Some(&'-') || first => out.push_str("\\-"),
            '\\' => escape(rest, out, Place::InClass),
            c => out.push(c),
        }
        first = false;
    }
}

fn posix_name(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    for c in rest.by_ref() {
        out.push(c);
        if c == ']' {
            return;
        }
    }
}

/// Whether what follows `{` is `n}`, `n,}` or `n,m}`.
fn is_repetition(rest: Peekable<Chars<'_>>) -> bool {
    let body: String = rest.take_while(|c| *c != '}').take(12).collect();
    let (low, high) = body.split_once(',').unwrap_or((&body, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_match_as_in_go() {
        for (pattern, value, expected) in [
            ("foo|bar", "foo", true),
            ("foo|bar", "xfoo", false),
            ("foo|bar", "barx", false),
            ("a.c", "a\nc", false),
            ("/{gid}/", "/{gid}/", true),
            ("x{2}", "xx", true),
            ("x{,3}", "x{,3}", true),
            ("[a&&b]", "&", true),
            ("[[a]", "[", true),
            (r"\d+", "٣", false),
            (r"[\d]+", "42", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            ("[[:alpha:]]+", "ab", true),
            ("", "", true),
            ("(?i)crit.*", "CRITICAL", true),
            ("[]a]+", "]a", true),
            ("[a-c-]+", "b-", true),
        ] {
            assert_eq!(anchored(pattern).unwrap().is_match(value), expected, "{pattern:?} on {value:?}");
        }
    }

    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        let said = anchored("foo(").unwrap_err();
        assert!(said.contains("unclosed group") && !said.contains('\n'), "{said}");
        assert!(anchored("((a{100}){100}){100}").unwrap_err().contains("more than"));
    }
}
