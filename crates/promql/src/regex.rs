//! Patterns as Prometheus writes them (RE2 in Go's syntax), run by the `regex` crate.
//!
//! Both are automata over the same language, but the spelling differs. [`translate`] rewrites what would be refused or, worse, mean something else:
//! * `{` that begins no counted repetition is a character in Go; a count above 1000 is an error there;
//! * `\d \w \s \b` see ASCII only in Go; `\Q…\E` quotes, `\12` is octal, `\<` is a plain `<`;
//! * in a class, `[`, `&&`, `--`, `~~` are characters in Go and set operators here, and a `-` behind `\w` is a character;
//! * a repetition of a repetition (`a**`) and the flags `x`, `u`, `R` are errors in Go.
//!
//! Owns: that translation, and Go's `$1` templates. Must not know: labels or matchers.
use std::iter::Peekable;
use std::str::Chars;

use regex::{Captures, Regex, RegexBuilder};

/// A pattern that Go would refuse, or one that grows too large.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `)` too few or too many.
    #[error("unbalanced parentheses")]
    Parentheses,
    /// A class that is not closed, or a range or class name in it that is none.
    #[error("bad character class at {0:?}")]
    Class(String),
    /// An escape that RE2 does not know.
    #[error("invalid escape sequence {0:?}")]
    Escape(String),
    /// A count above 1000, or a repetition of a repetition.
    #[error("invalid repetition {0:?}")]
    Repetition(String),
    /// A group that begins with `(?` and is none of RE2's.
    #[error("invalid group {0:?}")]
    Group(String),
    /// What the engine says, on one line.
    #[error("{0}")]
    Engine(String),
}

/// The most memory a compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// The most memory the cache of a pattern in use may take, in bytes.
const CACHE_LIMIT: usize = 1 << 18;

/// RE2's own limit for counted repetitions.
const MAX_REPEAT: u32 = 1000;

/// The names between `[:` and `:]`.
const POSIX_CLASSES: [&str; 14] =
    ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"];

/// Compiles a label matcher's pattern: it must match the whole value, and `.` matches a newline too.
///
/// # Errors
/// What is wrong with the pattern.
pub fn compile(pattern: &str) -> Result<Regex, PatternError> {
    build(&format!("^(?s:{})$", translate(pattern)?))
}

/// Compiles a pattern that may match anywhere in a text, as Go's `regexp.MustCompile` does (templates' `match` and `reReplaceAll`).
///
/// # Errors
/// What is wrong with the pattern.
pub fn compile_search(pattern: &str) -> Result<Regex, PatternError> {
    build(&translate(pattern)?)
}

fn build(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).dfa_size_limit(CACHE_LIMIT).build().map_err(|error| {
        let text = error.to_string();
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("");
        PatternError::Engine(last.trim().trim_start_matches("error: ").to_owned())
    })
}

/// Appends `template` with Go's `$1`, `${name}` and `$$` replaced; a group that does not exist or did not match is empty.
pub fn expand(template: &str, captures: &Captures<'_>, out: &mut String) {
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at + 1..).unwrap_or("");
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        match group_reference(rest) {
            Some((name, after)) => {
                out.push_str(group(name, captures));
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
}

/// The name behind a `$` and what follows it; `None` when there is none and the `$` is a character.
fn group_reference(text: &str) -> Option<(&str, &str)> {
    let (inner, braced) = text.strip_prefix('{').map_or((text, false), |inner| (inner, true));
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, after) = inner.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    if braced { after.strip_prefix('}').map(|after| (name, after)) } else { Some((name, after)) }
}

fn group<'a>(name: &str, captures: &Captures<'a>) -> &'a str {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    let found = if is_number { name.parse().ok().and_then(|at| captures.get(at)) } else { captures.name(name) };
    found.map_or("", |found| found.as_str())
}

/// Rewrites a pattern of Go's syntax for the `regex` crate, unanchored.
///
/// # Errors
/// Patterns that Go refuses, as far as the rewriting sees them; the engine refuses others.
pub fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translator = Translator { rest: pattern, out: String::with_capacity(pattern.len() + 8), depth: 0, repeated: false };
    while let Some(c) = translator.rest.chars().next() {
        translator.step(c)?;
    }
    if translator.depth == 0 { Ok(translator.out) } else { Err(PatternError::Parentheses) }
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    depth: usize,
    /// The last thing written was a repetition.
    repeated: bool,
}

// === impl Translator ===

impl Translator<'_> {
    fn step(&mut self, c: char) -> Result<(), PatternError> {
        let repeats = match c {
            '*' | '+' | '?' => Some(1),
            '{' => counted(self.rest)?,
            _ => None,
        };
        if let Some(len) = repeats {
            return self.repetition(len);
        }
        self.repeated = false;
        match c {
            '(' => self.open(),
            ')' => {
                self.depth = self.depth.checked_sub(1).ok_or(PatternError::Parentheses)?;
                self.copy(1);
                Ok(())
            }
            '[' => self.class(),
            '\\' => self.escape(),
            '.' | '^' | '$' | '|' => {
                self.copy(1);
                Ok(())
            }
            c => {
                self.skip(c.len_utf8());
                push_literal(c, &mut self.out);
                Ok(())
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or("");
    }

    fn copy(&mut self, bytes: usize) {
        self.out.push_str(self.rest.get(..bytes).unwrap_or(""));
        self.skip(bytes);
    }

    fn repetition(&mut self, len: usize) -> Result<(), PatternError> {
        if self.repeated {
            return Err(PatternError::Repetition(shorten(self.rest)));
        }
        self.copy(len);
        if self.rest.starts_with('?') {
            self.copy(1);
        }
        self.repeated = true;
        Ok(())
    }

    /// A group: plain, named, or with flags.
    fn open(&mut self) -> Result<(), PatternError> {
        let bad = PatternError::Group(shorten(self.rest));
        let Some(inner) = self.rest.strip_prefix("(?") else {
            self.depth += 1;
            self.copy(1);
            return Ok(());
        };
        if inner.starts_with("P<") || inner.starts_with('<') {
            let end = self.rest.find('>').ok_or(bad)?;
            self.depth += 1;
            self.copy(end + 1);
            return Ok(());
        }
        let end = inner.find([':', ')']).ok_or_else(|| bad.clone())?;
        let flags = inner.get(..end).unwrap_or("");
        if !flags.bytes().all(|b| b"imsU-".contains(&b)) {
            return Err(bad);
        }
        self.depth += usize::from(inner.get(end..).is_some_and(|rest| rest.starts_with(':')));
        self.copy(2 + end + 1);
        Ok(())
    }

    /// An escape outside a class.
    fn escape(&mut self) -> Result<(), PatternError> {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            text.chars().for_each(|c| push_literal(c, &mut self.out));
            self.rest = after;
            return Ok(());
        }
        let kind = self.rest.chars().nth(1).ok_or_else(|| PatternError::Escape("\\".into()))?;
        match kind {
            'b' => self.replace(2, "(?-u:\\b)"),
            'B' => self.replace(2, "(?-u:\\B)"),
            'A' | 'z' => self.copy(2),
            _ => {
                if let Some(class) = perl_class(kind) {
                    self.replace(2, &format!("[{class}]"));
                } else if matches!(kind, 'p' | 'P') {
                    self.unicode_class()?;
                } else {
                    let c = self.escaped_char()?;
                    push_literal(c, &mut self.out);
                }
            }
        }
        Ok(())
    }

    fn replace(&mut self, bytes: usize, with: &str) {
        self.skip(bytes);
        self.out.push_str(with);
    }

    /// `\pN`, `\p{Greek}`, `\P…`
    fn unicode_class(&mut self) -> Result<(), PatternError> {
        let end = match self.rest.as_bytes().get(2) {
            Some(b'{') => self.rest.find('}').map(|at| at + 1),
            Some(_) => self.rest.chars().nth(2).map(|c| 2 + c.len_utf8()),
            None => None,
        };
        self.copy(end.ok_or_else(|| PatternError::Escape(shorten(self.rest)))?);
        Ok(())
    }

    /// The character that an escape stands for.
    fn escaped_char(&mut self) -> Result<char, PatternError> {
        let bad = || PatternError::Escape(shorten(self.rest));
        let mut chars = self.rest.chars();
        chars.next();
        let kind = chars.next().ok_or_else(bad)?;
        let (c, used) = match kind {
            'a' => ('\x07', 2),
            'f' => ('\x0c', 2),
            'n' => ('\n', 2),
            'r' => ('\r', 2),
            't' => ('\t', 2),
            'v' => ('\x0b', 2),
            'x' => hexadecimal(self.rest).ok_or_else(bad)?,
            '0'..='7' => octal(self.rest).ok_or_else(bad)?,
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => (c, 2),
            _ => return Err(bad()),
        };
        self.skip(used);
        Ok(c)
    }

    /// A class in brackets, rewritten item by item.
    fn class(&mut self) -> Result<(), PatternError> {
        let whole = shorten(self.rest);
        let bad = || PatternError::Class(whole.clone());
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        loop {
            let c = self.rest.chars().next().ok_or_else(bad)?;
            if c == ']' && !first {
                self.copy(1);
                return Ok(());
            }
            first = false;
            if !self.named_class(c).map_err(|_| bad())? {
                self.range_or_char().ok_or_else(bad)?;
            }
        }
    }

    /// `[:alpha:]`, `\d`, `\pL` inside a class; whether there was one.
    fn named_class(&mut self, first: char) -> Result<bool, PatternError> {
        if let Some((name, _)) = self.rest.strip_prefix("[:").and_then(|inner| inner.split_once(":]")) {
            if !POSIX_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(PatternError::Class(shorten(self.rest)));
            }
            self.copy(2 + name.len() + 2);
            return Ok(true);
        }
        let kind = self.rest.chars().nth(1).unwrap_or(' ');
        if first != '\\' {
            return Ok(false);
        }
        if let Some(class) = perl_class(kind) {
            let nested = if class.starts_with('^') { format!("[{class}]") } else { class.to_owned() };
            self.replace(2, &nested);
            return Ok(true);
        }
        if matches!(kind, 'p' | 'P') {
            self.unicode_class()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// `a` or `a-z`; `None` when it is neither.
    fn range_or_char(&mut self) -> Option<()> {
        let low = self.class_char()?;
        push_literal(low, &mut self.out);
        let mut ahead = self.rest.chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.skip(1);
            let high = self.class_char()?;
            if high < low {
                return None;
            }
            self.out.push('-');
            push_literal(high, &mut self.out);
        }
        Some(())
    }

    fn class_char(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        if c == '\\' {
            return self.escaped_char().ok();
        }
        self.skip(c.len_utf8());
        Some(c)
    }
}

/// Length of the counted repetition at the start of `text`; `None` when its `{` is a character.
fn counted(text: &str) -> Result<Option<usize>, PatternError> {
    let mut chars = text.chars().peekable();
    chars.next();
    let Some((min, mut len)) = number(&mut chars) else { return Ok(None) };
    let mut max = min;
    if chars.next_if_eq(&',').is_some() {
        len += 1;
        if let Some((upper, digits)) = number(&mut chars) {
            max = upper;
            len += digits;
        }
    }
    if chars.next() != Some('}') {
        return Ok(None);
    }
    if min > MAX_REPEAT || max > MAX_REPEAT || min > max {
        return Err(PatternError::Repetition(shorten(text)));
    }
    Ok(Some(len + 2))
}

/// Digits, and how many; a number too large for the type is its largest.
fn number(chars: &mut Peekable<Chars<'_>>) -> Option<(u32, usize)> {
    let mut value: Option<u32> = None;
    let mut digits = 0;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit));
        digits += 1;
        chars.next();
    }
    value.map(|value| (value, digits))
}

/// The content of the class that `\d` and its like stand for, in ASCII as RE2 has them.
fn perl_class(kind: char) -> Option<&'static str> {
    Some(match kind {
        'd' => "0-9",
        'D' => "^0-9",
        's' => r"\t\n\x0c\r ",
        'S' => r"^\t\n\x0c\r ",
        'w' => "0-9A-Za-z_",
        'W' => "^0-9A-Za-z_",
        _ => return None,
    })
}

/// `\x41`, `\x{1F600}`: the character and the bytes it took.
fn hexadecimal(text: &str) -> Option<(char, usize)> {
    if let Some(inner) = text.strip_prefix("\\x{") {
        let digits = inner.get(..inner.find('}')?)?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        return Some((char::from_u32(value)?, digits.len() + 4));
    }
    let value = u32::from_str_radix(text.get(2..4)?, 16).ok()?;
    Some((char::from_u32(value)?, 4))
}

/// `\0`, `\012`, `\12`; a single digit above 0 would be a back reference, which RE2 has not.
fn octal(text: &str) -> Option<(char, usize)> {
    let digits: String = text.chars().skip(1).take(3).take_while(|c| c.is_digit(8)).collect();
    if digits.len() == 1 && digits != "0" {
        return None;
    }
    Some((char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?, 1 + digits.len()))
}

/// Appends a character that stands for itself, in or out of a class.
fn push_literal(c: char, out: &mut String) {
    if c.is_ascii_punctuation() && c != '_' {
        out.push('\\');
    }
    match c {
        // An escaped `<` or `>` is the edge of a word for the engine.
        '<' => out.push_str("x3c"),
        '>' => out.push_str("x3e"),
        c => out.push(c),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (pattern, values it matches, values it does not)
    const CASES: &[(&str, &[&str], &[&str])] = &[
        ("a|b", &["a", "b"], &["ab", "", "xa"]),
        ("", &[""], &["a"]),
        (".*", &["", "a\nb"], &[]),
        ("a.b", &["a\nb", "axb"], &["ab"]),
        // { that counts nothing is a character
        ("/{gid}/", &["/{gid}/"], &["/g/"]),
        ("x{,3}", &["x{,3}"], &["xxx"]),
        ("x{2,3}", &["xx", "xxx"], &["x{2,3}", "xxxx"]),
        ("x{2}?y", &["xxy"], &["xy"]),
        // ASCII classes
        (r"\d+", &["12"], &["१२"]),
        (r"\D", &["१", "x"], &["1"]),
        (r"\w+", &["a_1"], &["é"]),
        (r"[\w.]+", &["a.b"], &["é"]),
        (r"[^\W]", &["a"], &["é", " "]),
        (r"a\s", &["a "], &["a\u{a0}", "a\u{b}"]),
        (r"a\b.*", &["a", "aé"], &["ab"]),
        // classes with what are operators elsewhere
        (r"[\w-,]+", &["a-,"], &["."]),
        ("[a&&b]+", &["a&b"], &["c"]),
        ("[+--]", &["+", ",", "-"], &["."]),
        ("[[x]", &["[", "x"], &["a"]),
        ("[]a]+", &["]a"], &["["]),
        ("[^]a]", &["b"], &["]", "a"]),
        ("[a~~b]+", &["~ab"], &["c"]),
        ("[a-]+", &["a-"], &["b"]),
        ("[[:alpha:]_]+", &["ab_"], &["1", ":"]),
        ("[[:^digit:]]", &["a"], &["1"]),
        ("[[:x]", &["[", ":", "x"], &["a"]),
        (r"[\]\-\\]+", &["]-\\"], &["a"]),
        (r"[\x41-\x43]", &["B"], &["D"]),
        // escapes
        (r"\Qa.b\E.", &["a.bx"], &["axbx"]),
        (r"\Qa(", &["a("], &["a"]),
        (r"\101\x{42}\x43", &["ABC"], &["abc"]),
        (r"\<\>\_\/\-\@", &["<>_/-@"], &[""]),
        (r"\pL\p{Greek}", &["aα"], &["1α", "aa"]),
        (r"\A\z", &[""], &["a"]),
        (r"\v\a\f\t\r\n", &["\x0b\x07\x0c\t\r\n"], &[]),
        // groups and flags
        ("(?i)abc", &["ABC", "aBc"], &["abd"]),
        ("(?i:a)b", &["Ab"], &["AB"]),
        ("(?P<n>a)(?<m>b)", &["ab"], &[]),
        ("(?-s:.)", &["a"], &["\n"]),
        ("^a$", &["a"], &["a\n"]),
        ("a#b c", &["a#b c"], &["ab"]),
        ("(|a)b", &["b", "ab"], &[]),
    ];

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, hits, misses) in CASES {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            for value in *hits {
                assert!(regex.is_match(value), "{pattern} should match {value:?}");
            }
            for value in *misses {
                assert!(!regex.is_match(value), "{pattern} should not match {value:?}");
            }
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in [
            "a)|(b",
            "(a",
            "[a",
            "[b-a]",
            "[a-\\d]",
            "a**",
            "a{1001}",
            "a{2,1}",
            "*a",
            "(?x)a",
            "(?u:a)",
            "\\y",
            "\\Z",
            "\\1",
            "\\C",
            "(?=a)",
            "[[:nope:]]",
            "\\",
            "\\x{110000}",
            "\\p{Nope}",
            "(?P<n>a)(?P<n>b)",
            "(?:a{1000}){1000}",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn templates_expand_as_in_go() {
        let regex = compile_search("(?P<first>a+)(b)?").unwrap();
        let captures = regex.captures("xaay").unwrap();
        for (template, want) in [
            ("$1", "aa"),
            ("${1}x", "aax"),
            ("$1x", ""),
            ("$first-$2-", "aa--"),
            ("$$1", "$1"),
            ("$", "$"),
            ("${1", "${1"),
            ("$01", ""),
            ("a$9b$0", "aaa"),
        ] {
            let mut out = String::new();
            expand(template, &captures, &mut out);
            assert_eq!(out, want, "{template}");
        }
    }
}
