//! Where an entry of a mapping begins and ends in the text of a file, and the text without it, so that reading can go on behind a mistake.
//!
//! Must not know: what any key means. Lines and columns stay what they were: an entry is written over with spaces.

use crate::Place;

/// The text without the entry whose key stands at `place`; `None` when no entry can be told there.
pub(super) fn without_key(text: &str, place: Place) -> Option<String> {
    let start = offset(text, place)?;
    let line_start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(line_start..start)?;
    let end = if before.chars().all(|c| c == ' ' || c == '-') { block_end(text, start, before.chars().count()) } else { flow_end(text, start)? };
    Some(blanked(text, start, end))
}

/// The text without the entry of a block mapping whose value stands at `place`, in the line of its key; and the key.
pub(super) fn without_value(text: &str, place: Place) -> Option<(String, String)> {
    let at = offset(text, place)?;
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(line_start..at)?;
    let indent = before.len() - before.trim_start_matches([' ', '-']).len();
    let key = before.get(indent..)?.trim_end().strip_suffix(':')?;
    if key.contains(['{', '[', '"', '\'']) {
        return None;
    }
    let start = line_start + indent;
    Some((blanked(text, start, block_end(text, start, indent)), key.to_owned()))
}

/// Byte of a place; columns count characters.
fn offset(text: &str, place: Place) -> Option<usize> {
    let line = text.split_inclusive('\n').nth(place.line.checked_sub(1)?)?;
    let before: usize = text.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
    let (within, _) = line.char_indices().nth(place.column.checked_sub(1)?)?;
    Some(before + within)
}

/// An entry of a block mapping goes on while lines are indented deeper than its key, or are items of a list that stands as deep as it.
fn block_end(text: &str, start: usize, indent: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let mut end = start;
    for (number, line) in rest.split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches(' ');
        let deep = line.len() - content.len();
        let blank = content.trim().is_empty() || content.starts_with('#');
        let item = deep == indent && content.starts_with("- ");
        if number > 0 && !blank && deep <= indent && !item {
            break;
        }
        end += line.len();
    }
    end
}

/// An entry of a flow mapping ends behind the comma that follows it, or before the brace that closes the mapping.
fn flow_end(text: &str, start: usize) -> Option<usize> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in text.get(start..)?.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') if depth == 0 => return Some(start + at),
            (None, '}' | ']') => depth -= 1,
            (None, ',') if depth == 0 => return Some(start + at + 1),
            (None, _) => {}
        }
    }
    None
}

fn blanked(text: &str, start: usize, end: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let inside = (start..end).contains(&at) && c != '\n';
        out.push(if inside { ' ' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Place {
        Place { line, column, len: 1 }
    }

    #[test]
    fn an_entry_is_taken_out_with_all_that_belongs_to_it_and_places_stay() {
        for (text, key, rest) in [
            ("a: 1\nbad:\n  deep: 2\n  # note\nc: 3\n", at(2, 1), "a: 1\n    \n         \n        \nc: 3\n"),
            ("bad:\n- x\n- y\nc: 3\n", at(1, 1), "    \n   \n   \nc: 3\n"),
            ("- bad: 1\n  c: 3\n", at(1, 3), "-       \n  c: 3\n"),
            ("a: {b: 1, bad: [1, {x: '}'}], c: 2}\n", at(1, 11), "a: {b: 1,                     c: 2}\n"),
            ("a: {b: 1, bad: 2}\n", at(1, 11), "a: {b: 1,       }\n"),
        ] {
            assert_eq!(without_key(text, key).as_deref(), Some(rest), "{text:?}");
        }
        assert_eq!(without_key("a: 1\n", at(9, 1)), None);
    }

    #[test]
    fn a_value_leads_to_its_key() {
        assert_eq!(without_value("a: 1\n- limit: many\n  c: 3\n", at(2, 10)), Some(("a: 1\n-            \n  c: 3\n".to_owned(), "limit".to_owned())));
        assert_eq!(without_value("a: {b: many}\n", at(1, 8)), None);
    }
}
