//! A pull reader over JSON text: just enough to walk a message once and borrow from it.
//!
//! Owns: tokens, keys, skipping. Must not know: any venue's message. It is about twice as fast as a typed deserialiser on level arrays, because numbers
//! inside strings are looked at once. It is lenient where leniency is harmless (the inside of what is skipped is not validated).

use memchr::{memchr, memmem};

use crate::feed::Malformed;

/// A position in a text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, at: self.at })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space and shows the next byte.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Takes `byte` if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte` or fails.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.eat(byte) { Ok(()) } else { self.malformed("unexpected character") }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { self.malformed("text after the end") }
    }

    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or("")
    }

    /// A string's inside as written; escapes stay as they are (no field read here has any).
    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        self.expect(b'"')?;
        let from = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let Some(length) = quote_or_escape(rest) else {
                self.at = self.text.len();
                return self.malformed("unterminated string");
            };
            self.at += length;
            if rest.get(length) == Some(&b'"') {
                break;
            }
            self.at += 2;
        }
        let inside = self.slice(from);
        self.at += 1;
        Ok(inside)
    }

    /// A string without its quotes, or a bare number or word as written.
    pub(crate) fn scalar(&mut self) -> Result<&'a str, Malformed> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'[' | b'{') => self.malformed("not a scalar"),
            _ => self.bare(),
        }
    }

    fn bare(&mut self) -> Result<&'a str, Malformed> {
        let from = self.at;
        while !matches!(self.byte(), None | Some(b',' | b']' | b'}' | b':' | b'"' | b'[' | b'{' | b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        if from == self.at { self.malformed("expected a value") } else { Ok(self.slice(from)) }
    }

    /// The next value if it is a string; any other value is skipped.
    pub(crate) fn string_or_skip(&mut self) -> Result<Option<&'a str>, Malformed> {
        if self.peek() == Some(b'"') {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    /// The next value if it is a whole number that fits `T`; any other value is skipped.
    pub(crate) fn integer_or_skip<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Malformed> {
        match self.peek() {
            Some(b'0'..=b'9' | b'-') => Ok(self.bare()?.parse().ok()),
            _ => self.skip().map(|_| None),
        }
    }

    /// The next value if it is a whole number that fits `T`, bare or in quotes (OKX writes its times so); any other value is skipped.
    pub(crate) fn quoted_integer_or_skip<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Malformed> {
        match self.peek() {
            Some(b'"') => Ok(self.string()?.parse().ok()),
            _ => self.integer_or_skip(),
        }
    }

    /// The next value if it is a string or a bare number or word; an array or object is skipped.
    pub(crate) fn scalar_or_skip(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.peek() {
            Some(b'[' | b'{') => self.skip().map(|_| None),
            _ => self.scalar().map(Some),
        }
    }

    /// The next value's text if it is an array of arrays (or empty); any other value is skipped.
    pub(crate) fn rows_or_skip(&mut self) -> Result<Option<&'a str>, Malformed> {
        if self.peek() != Some(b'[') {
            self.skip()?;
            return Ok(None);
        }
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(b"[[") {
            // Level arrays hold no nested brackets, so the first "]]" ends them; whoever reads the rows checks every byte.
            let Some(length) = memmem::find(rest, b"]]") else { return self.malformed("unterminated array") };
            let from = self.at;
            self.at += length + 2;
            return Ok(Some(self.slice(from)));
        }
        self.skip().map(Some)
    }

    /// Skips one value of any kind and returns its text.
    pub(crate) fn skip(&mut self) -> Result<&'a str, Malformed> {
        self.peek();
        let from = self.at;
        let mut depth = 0u32;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'[' | b'{') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b']' | b'}') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    self.bare()?;
                }
                None => return self.malformed("unterminated value"),
            }
            if depth == 0 {
                return Ok(self.slice(from));
            }
        }
    }

    /// Enters an object.
    pub(crate) fn open_object(&mut self) -> Result<(), Malformed> {
        self.expect(b'{')
    }

    /// Enters an array.
    pub(crate) fn open_array(&mut self) -> Result<(), Malformed> {
        self.expect(b'[')
    }

    /// Whether the array entered has another element, now next; its end is taken. `index` counts the elements.
    pub(crate) fn next_element(&mut self, index: &mut u32) -> Result<bool, Malformed> {
        if self.eat(b']') {
            return Ok(false);
        }
        if *index > 0 {
            self.expect(b',')?;
        }
        *index += 1;
        Ok(true)
    }

    /// The next key of the object entered, its colon taken; `None` at the object's end, which is taken too. `index` counts the keys.
    pub(crate) fn next_key(&mut self, index: &mut u32) -> Result<Option<&'a str>, Malformed> {
        if self.eat(b'}') {
            return Ok(None);
        }
        if *index > 0 {
            self.expect(b',')?;
        }
        *index += 1;
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }
}

/// Place of the first `"` or `\`. Eight bytes at a time; the strings read here are too short for a call to pay.
pub(super) fn quote_or_escape(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    /// The highest bit of the first byte that is zero, and of none before it.
    const fn zero_byte(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & (ONES << 7)
    }
    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let found = zero_byte(word ^ (ONES * u64::from(b'"'))) | zero_byte(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(text.len() - rest.len() + (found.trailing_zeros() / 8) as usize);
        }
        rest = after;
    }
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(text.len() - rest.len() + found)
}

/// The value of a string field anywhere in a text that may be broken; to find whom a malformed message concerns.
pub(crate) fn string_field<'a>(text: &'a str, quoted_key_and_colon: &str) -> Option<&'a str> {
    let from = memmem::find(text.as_bytes(), quoted_key_and_colon.as_bytes())? + quoted_key_and_colon.len();
    let rest = text.get(from..)?.strip_prefix('"')?;
    rest.get(..memchr(b'"', rest.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_walked_once_and_borrowed_from() {
        let mut cursor = Cursor::new(r#" {"a": "x" , "n":-5,"skip":{"a":[1,{"b":"]}\""}],"c":null},"rows":[["1","2"]],"end":true} "#);
        cursor.open_object().unwrap();
        let mut index = 0;
        let mut seen = Vec::new();
        while let Some(key) = cursor.next_key(&mut index).unwrap() {
            seen.push(match key {
                "a" => cursor.string_or_skip().unwrap().unwrap().to_owned(),
                "n" => cursor.integer_or_skip::<i64>().unwrap().unwrap().to_string(),
                "rows" => cursor.rows_or_skip().unwrap().unwrap().to_owned(),
                _ => cursor.skip().unwrap().to_owned(),
            });
        }
        cursor.end().unwrap();
        assert_eq!(seen, ["x", "-5", r#"{"a":[1,{"b":"]}\""}],"c":null}"#, r#"[["1","2"]]"#, "true"]);
    }

    #[test]
    fn a_value_of_another_type_is_skipped_not_an_error() {
        assert_eq!(Cursor::new("[1]").string_or_skip(), Ok(None));
        assert_eq!(Cursor::new("\"5\"").integer_or_skip::<u64>(), Ok(None));
        assert_eq!(Cursor::new("1.5").integer_or_skip::<u64>(), Ok(None));
        assert_eq!(Cursor::new("\"25.35\",").rows_or_skip(), Ok(None));
    }

    #[test]
    fn the_symbol_of_a_broken_message_is_still_found() {
        assert_eq!(string_field(r#"{"e":"depthUpdate","s":"BTCUSDT","U":"#, "\"s\":"), Some("BTCUSDT"));
        assert_eq!(string_field(r#"{"s":5}"#, "\"s\":"), None);
        assert_eq!(string_field(r#"{"s":"BTC"#, "\"s\":"), None);
    }

    proptest! {
        #[test]
        fn whatever_serde_reads_is_skipped_whole(text in "[\\[\\]{}:,\"a1 \\\\]{0,30}") {
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                let mut cursor = Cursor::new(&text);
                cursor.skip().unwrap();
                prop_assert!(cursor.end().is_ok());
            }
        }

        #[test]
        fn the_first_quote_or_escape_is_found(text in "[a\"\\\\#!\u{21}-\u{5d}é]{0,40}") {
            prop_assert_eq!(quote_or_escape(text.as_bytes()), text.find(['"', '\\']));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = Cursor::new(&text).skip();
            let _ = Cursor::new(&text).rows_or_skip();
            let _ = Cursor::new(&text).scalar();
        }
    }
}
