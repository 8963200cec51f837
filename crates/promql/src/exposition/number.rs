//! Numbers as Go reads them. Must not know: lines, positions.

/// The NaN Prometheus stores for a scraped `NaN`: not the stale marker, whatever a page says.
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// A value as Go's `strconv.ParseFloat` reads it in the forms of both formats: decimal, `NaN`, `[+-]Inf`, `[+-]Infinity` in any case.
///
/// Rust's grammar is the same but for a signed NaN, which Go refuses, and for a number too large, which Go refuses and Rust makes infinite; hexadecimal
/// floats and `_` are refused by both (Prometheus asks for that too).
pub(super) fn float(text: &str) -> Option<f64> {
    if let Some(whole) = small_whole(text) {
        return Some(whole);
    }
    let value: f64 = text.parse().ok()?;
    if value.is_nan() {
        return (text.len() == 3).then_some(f64::from_bits(NORMAL_NAN_BITS));
    }
    let spelt_out = value.is_finite() || text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    spelt_out.then_some(value)
}

/// A number of a few digits, as most values are: a float holds it exactly.
fn small_whole(text: &str) -> Option<f64> {
    /// 10^15 is below 2^53.
    const DIGITS: usize = 15;
    if text.is_empty() || text.len() > DIGITS {
        return None;
    }
    let mut number: i64 = 0;
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number as f64)
}

/// A time stamp of the text format: whole milliseconds. Prometheus takes digits only.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A time stamp of OpenMetrics: seconds, with a fraction. Cut to milliseconds as Prometheus does.
pub(super) fn seconds(text: &str) -> Option<i64> {
    /// Beyond this the product no longer fits into 64 bits.
    const LARGEST: f64 = 9.2e15;
    let seconds = float(text).filter(|seconds| seconds.abs() < LARGEST)?;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked; the fraction of a millisecond is meant to go")]
    Some((seconds * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_go_reads_them() {
        let good: [(&str, f64); 14] = [
            ("0", 0.0),
            ("007", 7.0),
            ("999999999999999", 999_999_999_999_999.0),
            ("-0", -0.0),
            ("+1", 1.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("1e-400", 0.0),
            ("Inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("1.7976931348623157e308", f64::MAX),
        ];
        for (text, want) in good {
            assert_eq!(float(text).map(f64::to_bits), Some(want.to_bits()), "{text}");
        }
        assert_eq!(float("nAn").map(f64::to_bits), Some(NORMAL_NAN_BITS));
        for text in ["", "+", ".", "e5", "1e", "1_0", "0x1p3", "0x10", "+NaN", "-nan", "1e400", "-1e309", "12a", "infin", " 1", "٣"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn time_stamps_have_their_formats_unit() {
        assert_eq!(milliseconds("1700000000123"), Some(1_700_000_000_123));
        assert_eq!(seconds("1700000000.123"), Some(1_700_000_000_123));
        assert_eq!(seconds("-1.5"), Some(-1500));
        for text in ["", "-1", "1.5", "1_2", "NaN", "99999999999999999999"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
        for text in ["", "NaN", "Inf", "1e300", "x"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
