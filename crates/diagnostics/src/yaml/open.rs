//! What is open at a place of a YAML text: quotes and brackets. A sketch of the syntax, for messages only.

/// Opened before a place and not closed until there, with the byte of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) brackets: Vec<(char, usize)>,
    pub(super) quote: Option<(char, usize)>,
}

/// What is open at byte `end` of `text`.
pub(super) fn open_at(text: &str, end: usize) -> Open {
    let mut open = Open::default();
    let mut start = 0;
    // Indentation of the key of a block text, whose lines are all that is deeper.
    let mut block = None;
    for line in text.split_inclusive('\n') {
        if start >= end {
            break;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let inside = block.is_some_and(|above| indent > above || line.trim().is_empty());
        if !inside {
            block = None;
            open.read(line, start, end);
            if open.quote.is_none() && open.brackets.is_empty() && begins_block(line) {
                block = Some(indent);
            }
        }
        start += line.len();
    }
    open
}

/// Whether a line ends with `|` or `>`, perhaps with its indicators.
fn begins_block(line: &str) -> bool {
    let last = line.split_whitespace().last().unwrap_or_default();
    last.starts_with(['|', '>']) && last.chars().skip(1).all(|c| matches!(c, '+' | '-' | '0'..='9'))
}

// === impl Open ===

impl Open {
    /// One line that begins at byte `start`, as far as `end`.
    fn read(&mut self, line: &str, start: usize, end: usize) {
        let mut before = None;
        let mut last_mark = None;
        let mut chars = line.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if start + at >= end {
                return;
            }
            let begins = last_mark.is_none_or(|mark| matches!(mark, ':' | '-' | ',' | '[' | '{'))
                && before.is_none_or(|c: char| c.is_whitespace() || matches!(c, '[' | '{' | ','));
            match (self.quote, c) {
                (Some(('"', _)), '\\') => drop(chars.next()),
                (Some(('\'', _)), '\'') if chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
                (Some((opened, _)), c) if c == opened => self.quote = None,
                (Some(_), _) => {}
                (None, '#') if before.is_none_or(char::is_whitespace) => return,
                (None, '"' | '\'') if begins => self.quote = Some((c, start + at)),
                (None, '[' | '{') if begins || !self.brackets.is_empty() => self.brackets.push((c, start + at)),
                (None, ']' | '}') => drop(self.brackets.pop()),
                _ => {}
            }
            before = Some(c);
            if !c.is_whitespace() {
                last_mark = Some(c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_found_and_what_only_looks_so_is_not() {
        for (text, brackets, quote) in [
            ("a: [b, {c: d", vec![('[', 3), ('{', 7)], None),
            ("a: [b]\nc: 'it''s", vec![], Some(('\'', 10))),
            ("a: it's [b\nc: \"d \\\" e", vec![], Some(('"', 14))),
            ("a: |\n  \"open [\nb: 1", vec![], None),
            ("# [ \"\na: b # '", vec![], None),
            ("a: x{y=\"z", vec![], None),
        ] {
            assert_eq!(open_at(text, text.len()), Open { brackets, quote }, "{text:?}");
        }
    }
}
