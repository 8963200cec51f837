//! Writing JSON by hand: fields appended to a buffer the caller reuses, nothing allocated.
//!
//! Owns: the forms of numbers and texts. Must not know: which fields a record has.

use std::io::Write;

use crate::price::{Scale, integer, write_quoted};

#[inline]
pub(crate) fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Names come from [`Venue::new`](crate::Venue::new), which refuses what JSON would have to escape; other texts are the program's own words.
pub(crate) fn text_field(name: &str, value: &str, out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

#[inline]
pub(crate) fn yes_or_no(name: &str, value: bool, out: &mut Vec<u8>) {
    key(name, out);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

pub(crate) fn null(name: &str, out: &mut Vec<u8>) {
    key(name, out);
    out.extend_from_slice(b"null");
}

#[inline]
pub(crate) fn optional(name: &str, value: Option<u64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => {
            key(name, out);
            integer(value, out);
        }
        None => null(name, out),
    }
}

#[inline]
pub(crate) fn signed(name: &str, value: Option<i64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => {
            key(name, out);
            if value < 0 {
                out.push(b'-');
            }
            integer(value.unsigned_abs(), out);
        }
        None => null(name, out),
    }
}

/// A price or quantity as text: exact.
pub(crate) fn number(name: &str, scale: Scale, value: i64, out: &mut Vec<u8>) {
    key(name, out);
    quoted_number(scale, value, out);
}

pub(crate) fn quoted_number(scale: Scale, value: i64, out: &mut Vec<u8>) {
    write_quoted(scale, value, out);
}

/// A sum or mean as text, `digits` decimals of it: exact.
pub(crate) fn wide(name: &str, digits: u8, value: i128, out: &mut Vec<u8>) {
    let unit = 10u128.pow(u32::from(digits.min(38)));
    let magnitude = value.unsigned_abs();
    key(name, out);
    out.extend_from_slice(if value < 0 { b"\"-" } else { b"\"" });
    // Writing to a vector cannot fail.
    let _written = match digits {
        0 => write!(out, "{magnitude}"),
        digits => write!(out, "{}.{:02$}", magnitude / unit, magnitude % unit, usize::from(digits)),
    };
    out.push(b'"');
}

/// A ratio as a number with six decimals.
pub(crate) fn ratio(name: &str, value: Option<f64>, out: &mut Vec<u8>) {
    let Some(value) = value.filter(|value| value.is_finite()) else { return null(name, out) };
    key(name, out);
    // No "-0.000000".
    let value = if value.abs() < 0.000_000_5 { 0.0 } else { value };
    let _written = write!(out, "{value:.6}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_they_are() {
        let mut out = Vec::new();
        for (digits, value) in [(0, 12), (2, -5), (2, 123_456), (4, i128::MAX), (0, 0)] {
            wide("n", digits, value, &mut out);
        }
        for value in [Some(0.5), Some(-0.000_000_1), Some(f64::NAN), None] {
            ratio("r", value, &mut out);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#","n":"12","n":"-0.05","n":"1234.56","n":"17014118346046923173168730371588410.5727","n":"0","r":0.500000,"r":0.000000,"r":null,"r":null"#
        );
    }
}
