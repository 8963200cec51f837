//! A reading position in one line. Must not know: what the line means.
use memchr::memchr2;

use super::error::{Fault, Reason, quoted};

/// A reading position in one line (without its line feed).
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or("")
    }

    /// What was read since byte `from`.
    pub(super) fn since(&self, from: usize) -> &'a str {
        self.line.get(from..self.at).unwrap_or("")
    }

    /// Steps over `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// Steps over spaces and tabs; how many.
    pub(super) fn blanks(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at - from
    }

    /// Reads up to the next blank or the line's end.
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let bytes = memchr2(b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
        self.at += bytes;
        rest.get(..bytes).unwrap_or("")
    }

    /// Reads an unquoted name: a letter, `_` or, in a metric name, `:`; then the same and digits. Empty when none stands here.
    pub(super) fn name(&mut self, colon: Colon) -> &'a str {
        let rest = self.rest();
        let parts = match colon {
            Colon::Allowed => METRIC_NAME_PART,
            Colon::Refused => LABEL_NAME_PART,
        };
        if rest.bytes().next().is_none_or(|byte| byte.is_ascii_digit()) {
            return "";
        }
        let bytes = rest.bytes().position(|byte| !is_part(byte, parts)).unwrap_or(rest.len());
        self.at += bytes;
        rest.get(..bytes).unwrap_or("")
    }

    /// Reads a quoted text; gives what stands between the quotes, escapes as written.
    pub(super) fn quoted(&mut self, expected: &'static str) -> Result<&'a str, Fault> {
        let opened = self.at;
        if !self.take(b'"') {
            return Err(self.fault(expected));
        }
        let from = self.at;
        loop {
            let Some(step) = memchr2(b'"', b'\\', self.rest().as_bytes()) else {
                self.at = opened;
                return Err(self.fault("a closing quote on this line"));
            };
            self.at += step;
            if self.peek() == Some(b'"') {
                let text = self.since(from);
                self.at += 1;
                return Ok(text);
            }
            // A backslash and the character it escapes, whole: a position within a character would lose the rest of the line.
            self.at += 1;
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
        }
    }

    /// The fault that `expected` does not stand here.
    #[cold]
    pub(super) fn fault(&self, expected: &'static str) -> Fault {
        Fault::new(self.at, Reason::Unexpected { found: quoted(self.rest()), expected })
    }
}

/// A byte that may stand in a label name.
pub(super) const LABEL_NAME_PART: u8 = 1;

/// A byte that may stand in a metric name.
pub(super) const METRIC_NAME_PART: u8 = 2;

/// What each byte may be part of; names are most of a page, and a look-up is the quickest test.
const CLASSES: [u8; 256] = classes();

/// Whether a byte may stand in such a name.
#[inline]
pub(super) fn is_part(byte: u8, part: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|class| class & part != 0)
}

#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler, which would refuse an index out of bounds")]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        let symbol = byte as u8;
        if symbol.is_ascii_alphanumeric() || symbol == b'_' {
            classes[byte] = LABEL_NAME_PART | METRIC_NAME_PART;
        } else if symbol == b':' {
            classes[byte] = METRIC_NAME_PART;
        }
        byte += 1;
    }
    classes
}

/// Whether a name may hold `:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colon {
    /// In metric names.
    Allowed,
    /// Not in label names.
    Refused,
}
