//! A reader for texts that are nearly always of one form: what is expected next is compared with as a whole.
//!
//! Owns: steps through such a text. Each says `None` where the text is another, and then [`Cursor`](super::cursor::Cursor) reads it from its beginning:
//! what is read here is what that would read, in a fraction of its steps. Must not know: any venue's message.

use memchr::memchr_iter;

use crate::feed::cursor::quote_or_escape;
use crate::price::whole_number;

/// A position in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a> {
    rest: &'a str,
}

// === impl Plain ===

impl<'a> Plain<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// These characters.
    #[inline]
    pub(crate) fn literal(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// The inside of a string without escapes; its first quote is taken already, the last one is next.
    #[inline]
    pub(crate) fn inside(&mut self) -> Option<&'a str> {
        let end = quote_or_escape(self.rest.as_bytes())?;
        let (inside, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        rest.starts_with('"').then_some(inside)
    }

    /// A whole number of at most 16 digits without a sign; a comma is next, and the text goes on.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let (value, digits) = whole_number(self.rest.as_bytes())?;
        self.rest = self.rest.get(digits..).filter(|rest| rest.starts_with(','))?;
        Some(value)
    }

    /// An array of arrays that hold no brackets, or an empty one; with its brackets.
    #[inline]
    pub(crate) fn rows(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let length = if bytes.starts_with(b"[[") {
            memchr_iter(b']', bytes).find(|at| bytes.get(at + 1) == Some(&b']'))? + 2
        } else {
            bytes.starts_with(b"[]").then_some(2)?
        };
        let (rows, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(rows)
    }

    /// Nothing follows.
    pub(crate) fn end(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_takes_what_it_names_and_nothing_else() {
        let mut plain = Plain::new(r#"{"a":"xy","n":1700000000123,"r":[["1","2"],["3","4"]],"e":[]}"#);
        let mut read = || {
            plain.literal("{\"a\":\"")?;
            let inside = plain.inside()?;
            plain.literal("\",\"n\":")?;
            let number = plain.integer()?;
            plain.literal(",\"r\":")?;
            let rows = plain.rows()?;
            plain.literal(",\"e\":")?;
            let empty = plain.rows()?;
            plain.literal("}")?;
            plain.end()?;
            Some((inside, number, rows, empty))
        };
        assert_eq!(read(), Some(("xy", 1_700_000_000_123, r#"[["1","2"],["3","4"]]"#, "[]")));
        assert_eq!(Plain::new("x").literal("y"), None);
        assert_eq!((Plain::new("a\\\"b\"").inside(), Plain::new("ab").inside()), (None, None));
        for text in ["", ",", "-1,\"more\":0}", "1.5,\"more\":0}", "12", "12345678901234567,\"more\":0}", " 1,\"more\":0}"] {
            assert_eq!(Plain::new(text).integer(), None, "{text}");
        }
        let number = |text: &str| Plain::new(&format!("{text},\"more\":0}}")).integer();
        assert_eq!([number("0"), number("1234567890123456")], [Some(0), Some(1_234_567_890_123_456)]);
        for text in ["", "[", "[[", r#"[["1","2"]"#, "[1]", "{}"] {
            assert_eq!(Plain::new(text).rows(), None, "{text}");
        }
        assert_eq!(Plain::new("x").end(), None);
    }
}
