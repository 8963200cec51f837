//! Values as JSON, text as base64.

use std::fmt::Write as _;

use crate::format::{float, print_value};
use crate::value::Value;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `encoding/json` of a value; times in RFC 3339, durations as nanoseconds.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Nil => "null".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) | Value::Duration(v) => v.to_string(),
        Value::Float(v) if !v.is_finite() => "null".to_owned(),
        Value::Float(v) if *v != 0.0 && (v.abs() < 1e-6 || v.abs() >= 1e21) => float(*v, 'e', None),
        Value::Float(v) => float(*v, 'f', None),
        Value::Str(text) | Value::Html(text) => json_text(text),
        Value::Time(time) => json_text(&crate::time::format(time, "2006-01-02T15:04:05.999999999Z07:00")),
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Map(map) => object(map.entries.iter().map(|(key, item)| (&**key, item))),
        Value::Object(object_value) => match object_value.underlying() {
            Some(inner) => json(&inner),
            None if object_value.fields().is_empty() => json_text(&print_value(value)),
            None => object(object_value.fields().iter().map(|(key, item)| (&**key, item))),
        },
    }
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let parts: Vec<String> = entries.map(|(key, item)| format!("{}:{}", json_text(key), json(item))).collect();
    format!("{{{}}}", parts.join(","))
}

fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * at) & 63).unwrap_or(0);
            out.push(if at <= chunk.len() { char::from(DIGITS.get(digit).copied().unwrap_or(b'A')) } else { '=' });
        }
    }
    out
}

/// The text that standard base64 holds.
///
/// # Errors
/// When it is not base64 or not UTF-8.
pub(super) fn from_base64(text: &str) -> Result<String, String> {
    let bad = || "illegal base64 data".to_owned();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0u32);
    for c in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|d| *d == c).ok_or_else(bad)?;
        word = (word << 6 | u32::try_from(digit).unwrap_or(0)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 0xff).unwrap_or(0));
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (plain, coded) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("中文", "5Lit5paH")] {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(from_base64(coded).unwrap(), plain);
        }
        assert!(from_base64("%").is_err());
    }

    #[test]
    fn json_of_each_kind() {
        let value = Value::map([("b", Value::list([Value::Int(1), Value::Nil, Value::Float(0.5)])), ("a", Value::str("<\"x\n"))]);
        assert_eq!(json(&value), r#"{"a":"\u003c\"x\n","b":[1,null,0.5]}"#);
        assert_eq!(json(&Value::time_ms(0)), "\"1970-01-01T00:00:00Z\"");
    }
}
