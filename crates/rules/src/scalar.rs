//! Places inside a YAML scalar: from a byte of its value to line and column of the file, through quotes, escapes, folding and block indentation.
//!
//! White space may be folded or indented away, everything else stands in the file in the same order; so the n-th character that is no white space in the value is
//! the n-th in the source, escapes counted as what they mean.

use diagnostics::Place;

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Block,
}

/// The place of `len` characters from byte `offset` of `value` on, a scalar that starts at byte `at` of `source`.
pub(crate) fn place_inside(source: &str, at: usize, (value, offset): (&str, usize), len: usize) -> Option<Place> {
    let before = value.get(..offset.min(value.len()))?;
    let wanted = before.chars().filter(|c| !c.is_whitespace()).count();
    let at_end = value.get(before.len()..)?.chars().all(char::is_whitespace);
    let (style, start) = content(source, at)?;
    let mut characters = solid(source.get(start..)?, style);
    let behind = wanted.checked_sub(1).and_then(|last| characters.nth(last)).map_or(0, |(_, end)| end);
    let next = characters.next().filter(|_| !at_end).map_or(behind, |(position, _)| position);
    Some(Place::of_offset(source, start + next, len))
}

/// The text of a plain scalar at the start of `rest`: up to a comment, a flow sign or the end of the line.
pub(crate) fn plain_text(rest: &str) -> &str {
    let end = rest.find(['\n', ',', ']', '}', '\r']).unwrap_or(rest.len());
    let line = rest.get(..end).unwrap_or(rest);
    line.split(" #").next().unwrap_or(line).trim_end()
}

/// The style of the scalar at `at`, and where its first character stands.
fn content(source: &str, at: usize) -> Option<(Style, usize)> {
    let rest = source.get(at..)?;
    match rest.chars().next()? {
        '"' => Some((Style::Double, at + 1)),
        '\'' => Some((Style::Single, at + 1)),
        '|' | '>' => Some((Style::Block, at + rest.find('\n')? + 1)),
        _ => Some((Style::Plain, at)),
    }
}

/// Start and end of each character of the value that is no white space.
fn solid(text: &str, style: Style) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let c = rest.chars().next()?;
            let start = at;
            let (len, blank) = match (style, c) {
                (Style::Double, '\\') => escape(rest),
                (Style::Single, '\'') if rest.starts_with("''") => (2, false),
                _ => (c.len_utf8(), c.is_whitespace()),
            };
            at += len;
            if !blank {
                return Some((start, at));
            }
        }
    })
}

/// The length of the escape at the start of `rest`, and whether it means white space.
fn escape(rest: &str) -> (usize, bool) {
    match rest.chars().nth(1) {
        Some('x') => (4, false),
        Some('u') => (6, false),
        Some('U') => (10, false),
        Some(c) => (1 + c.len_utf8(), matches!(c, 'n' | 't' | 'r' | 'v' | 'f' | ' ' | '\n' | '\t' | 'N' | '_' | 'L' | 'P')),
        None => (1, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &str, value: &str, needle: &str) -> (usize, usize) {
        let at = source.find(": ").unwrap() + 2;
        let found = place_inside(source, at, (value, value.find(needle).unwrap()), 1).unwrap();
        (found.line, found.column)
    }

    #[test]
    fn each_style_leads_back_to_the_file() {
        for (source, value, want) in [
            ("expr: up == X\n", "up == X", (1, 13)),
            ("expr: up ==\n    X\n", "up == X", (2, 5)),
            ("expr: 'it''s X'\n", "it's X", (1, 14)),
            ("expr: \"a\\\"\\n\\u00e9 X\"\n", "a\"\né X", (1, 20)),
            ("expr: |\n  up\n    == X\n", "up\n  == X\n", (3, 8)),
            ("expr: >-\n  up ==\n\n  X\n", "up ==\nX", (4, 3)),
            ("expr: 中文 X\n", "中文 X", (1, 10)),
        ] {
            assert_eq!(place(source, value, "X"), want, "{source:?}");
        }
    }

    #[test]
    fn the_end_of_a_text_is_behind_its_last_character() {
        for source in ["expr: sum(\n", "expr: sum(\nnext: 1\n"] {
            let found = place_inside(source, 6, ("sum(", 4), 1).unwrap();
            assert_eq!((found.line, found.column), (1, 11), "{source:?}");
        }
    }
}
