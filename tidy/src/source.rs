//! The shape of a Rust file: how long it is without its tests, which functions it has and how long they are.

/// A function and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// 1-based line of `fn`.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

/// The part of a file that ships: all before the first `#[cfg(test)]` at the start of a line.
pub fn production(text: &str) -> &str {
    let end = text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n'));
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// The code with comments, strings and character literals blanked out; line breaks stay where they were.
pub fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| raw_string(rest, out.chars().last())).or_else(|| string(rest)).or_else(|| character(rest));
        let taken = skipped.unwrap_or(first.len_utf8());
        match skipped {
            Some(len) => out.extend(rest.get(..len).unwrap_or_default().chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            None => out.push(first),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// Every function with a body, in order.
pub fn functions(text: &str) -> Vec<Function> {
    let code = code_only(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let standalone = at == 0 || code.get(..at).and_then(|before| before.chars().last()).is_some_and(|c| !c.is_alphanumeric() && c != '_');
        let Some(after) = code.get(at + 3..).filter(|_| standalone) else { continue };
        let name: String = after.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(body) = body(after).filter(|_| !name.is_empty()) else { continue };
        let before = code.get(..at).unwrap_or_default();
        let whole = after.get(..body).unwrap_or_default();
        found.push(Function { name, line: before.matches('\n').count() + 1, lines: whole.matches('\n').count() + 1 });
    }
    found
}

/// Length of a line or (nested) block comment that starts here.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0usize, 0usize);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(rest.len())
}

/// Length of a raw string (`r"…"`, `br#"…"#`) that starts here; `before` is the character in front.
fn raw_string(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let prefix = if rest.starts_with("br") { 2 } else { usize::from(rest.starts_with('r')) };
    let hashes = rest.get(prefix..)?.chars().take_while(|c| *c == '#').count();
    if prefix == 0 || !rest.get(prefix + hashes..)?.starts_with('"') {
        return None;
    }
    let start = prefix + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest.get(start..)?.find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

/// Length of a plain string that starts here.
fn string(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    chars.next().filter(|(_, c)| *c == '"')?;
    let mut escaped = false;
    for (at, c) in chars {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Length of a character literal that starts here (a lifetime is none).
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    chars.next().filter(|(_, c)| *c == '\'')?;
    let (_, first) = chars.next()?;
    if first == '\\' {
        let end = rest.get(3..)?.find('\'')?;
        return Some(3 + end + 1);
    }
    let (at, close) = chars.next()?;
    (close == '\'').then_some(at + 1)
}

/// Length of signature and body, from behind `fn `; `None` for a declaration without body.
fn body(after: &str) -> Option<usize> {
    let (mut braces, mut brackets, mut opened) = (0usize, 0usize, false);
    for (at, c) in after.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.checked_sub(1)?,
            '{' => {
                braces += 1;
                opened = true;
            }
            '}' => braces = braces.checked_sub(1)?,
            ';' if !opened && brackets == 0 => return None,
            _ => {}
        }
        if opened && braces == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_comments_and_lifetimes_do_not_confuse_it() {
        let text =
            "fn a<'x>(s: &'x str) -> char {\n    // }\n    let _ = \"}{\"; let _ = r#\"\"}\"#;\n    '}'\n}\ntrait T { fn none(&self); }\nfn b() {}\n";
        let names: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(names, [("a".to_owned(), 1, 5), ("b".to_owned(), 7, 1)]);
    }

    #[test]
    fn tests_do_not_count_as_production() {
        assert_eq!(production("fn a() {}\n#[cfg(test)]\nmod tests {}\n").lines().count(), 1);
    }
}
