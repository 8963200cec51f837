//! Where an entry of a mapping begins and ends in the text of a file, and the text without it, so that reading can go on behind a mistake.
//!
//! Must not know: what any key means. Lines and columns stay what they were: an entry is written over with spaces.

use super::open::open_at;
use crate::Place;

/// The text without the entry whose key stands at `place`; `None` when no entry can be told there.
pub(super) fn without_key(text: &str, place: Place) -> Option<String> {
    let start = offset(text, place)?;
    let line_start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(line_start..start)?;
    let end = if before.chars().all(|c| c == ' ' || c == '-') { block_end(text, start, before.chars().count()) } else { flow_end(text, start)? };
    Some(blanked(text, start, end))
}

/// The text without the entry whose value stands at `place`: in the line of its key, or below it; and the key.
pub(super) fn without_value(text: &str, place: Place) -> Option<(String, String)> {
    let at = offset(text, place)?;
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(line_start..at)?;
    if before.chars().all(|c| c == ' ' || c == '-') {
        return below_its_key(text, line_start, before.len() - before.trim_start_matches(' ').len());
    }
    let unkeyed = before.trim_end().strip_suffix(':')?;
    if unkeyed.contains(['{', '[']) {
        let start = line_start + unkeyed.rfind(['{', ','])? + 1;
        let key = text.get(start..line_start + unkeyed.len())?.trim();
        return Some((blanked(text, start, flow_end(text, start)?), key.to_owned()));
    }
    let indent = before.len() - before.trim_start_matches([' ', '-']).len();
    let key = unkeyed.get(indent..)?;
    if key.contains(['"', '\'']) {
        return None;
    }
    let start = line_start + indent;
    Some((blanked(text, start, block_end(text, start, indent)), key.to_owned()))
}

/// The entry of a key that stands alone in its line, with the value that begins in the line at `value`, indented by `deep`.
fn below_its_key(text: &str, value: usize, deep: usize) -> Option<(String, String)> {
    let above = text.get(..value)?;
    let mut start = value;
    for line in above.split_inclusive('\n').rev() {
        start -= line.len();
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        let content = line.get(indent..)?.trim_end();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let key = content.strip_suffix(':').filter(|_| indent <= deep)?;
        let start = start + indent;
        return Some((blanked(text, start, block_end(text, start, indent)), key.to_owned()));
    }
    None
}

/// The text without the whole mapping that stands at `place`: an item of a list, or the value of a key together with it.
pub(super) fn without_entry(text: &str, place: Place) -> Option<String> {
    let at = offset(text, place)?;
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(line_start..at)?;
    if before.trim_end().ends_with(['[', ',']) {
        return Some(blanked(text, at, flow_end(text, at)?));
    }
    let Some(dash) = before.rfind('-').filter(|_| before.chars().all(|c| c == ' ' || c == '-')) else {
        return without_value(text, place).map(|(rest, _)| rest);
    };
    // An item goes on while lines are indented deeper than its dash.
    let start = line_start + dash;
    let rest = text.get(start..)?;
    let deeper = |line: &str| line.trim().is_empty() || line.len() - line.trim_start_matches(' ').len() > dash;
    let length: usize =
        rest.split_inclusive('\n').enumerate().take_while(|(number, line)| *number == 0 || deeper(line)).map(|(_, line)| line.len()).sum();
    Some(blanked(text, start, start + length))
}

/// The place of the mapping whose entry stands at `place`: its brace, or its first key.
pub(super) fn mapping_around(text: &str, place: Place) -> Place {
    let Some(at) = offset(text, place) else { return place };
    if text.get(at..).is_some_and(|rest| rest.starts_with('{')) {
        return place;
    }
    if let Some(('{', brace)) = open_at(text, at).brackets.last() {
        return Place::of_offset(text, *brace, 1);
    }
    let lines: Vec<&str> = text.lines().take(place.line).collect();
    let mut first = place;
    for (above, line) in lines.iter().enumerate().rev() {
        let content = line.trim_start_matches([' ', '-']);
        let column = line.len() - content.len() + 1;
        if content.is_empty() || content.starts_with('#') || column > place.column {
            continue;
        }
        if column < place.column {
            break;
        }
        first = Place { line: above + 1, column, len: content.split(':').next().unwrap_or_default().chars().count() };
        if line.trim_start().starts_with('-') {
            break;
        }
    }
    first
}

/// Whether nothing is written behind the key that ends at `place`.
pub(super) fn is_empty_at(text: &str, place: Place) -> bool {
    let rest = offset(text, place).and_then(|at| text.get(at..)).unwrap_or_default();
    rest.lines().next().unwrap_or_default().trim_start_matches(':').trim().is_empty()
}

/// Byte of a place; columns count characters.
pub(super) fn offset(text: &str, place: Place) -> Option<usize> {
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
        assert_eq!(without_value("a: {b: many, c: 1}\n", at(1, 8)), Some(("a: {         c: 1}\n".to_owned(), "b".to_owned())));
        assert_eq!(without_value("a:\n  b:\n  - 1\n  c: 2\n", at(3, 5)), Some(("a:\n    \n     \n  c: 2\n".to_owned(), "b".to_owned())));
    }

    #[test]
    fn a_whole_item_is_taken_out_and_its_neighbours_stay() {
        for (text, place, rest) in [
            ("- a: 1\n  b: 2\n- c: 3\n", at(1, 3), "      \n      \n- c: 3\n"),
            ("a: [{b: 1}, {c: 2}]\n", at(1, 5), "a: [        {c: 2}]\n"),
            ("a: {b: 1}\nc: 2\n", at(1, 4), "         \nc: 2\n"),
        ] {
            assert_eq!(without_entry(text, place).as_deref(), Some(rest), "{text:?}");
        }
    }
}
