//! Numbers as Go reads them. Must not know: lines, positions.

/// The NaN Prometheus stores for a scraped `NaN`: not the stale marker, whatever a page says.
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// A number of more bytes is read, but not in haste.
const LONGEST_NUMBER: usize = 32;

/// A value as Go's `strconv.ParseFloat` reads it in the forms of both formats: decimal, `NaN`, `[+-]Inf`, `[+-]Infinity` in any case.
///
/// Rust's grammar is the same but for a signed NaN, which Go refuses, and for a number too large, which Go refuses and Rust makes infinite; hexadecimal
/// floats and `_` are refused by both (Prometheus asks for that too).
pub(super) fn float(text: &str) -> Option<f64> {
    if let Some(short) = short_decimal(text) {
        return Some(short);
    }
    let value: f64 = text.parse().ok()?;
    if value.is_nan() {
        return (text.len() == 3).then_some(f64::from_bits(NORMAL_NAN_BITS));
    }
    let spelt_out = value.is_finite() || text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    spelt_out.then_some(value)
}

/// A number of a few digits, perhaps with a point among them, as most values are. A float holds the digits exactly, and the power of ten too: the one division
/// rounds as it should (Clinger, "How to Read Floating Point Numbers Accurately", 1990).
#[inline]
fn short_decimal(text: &str) -> Option<f64> {
    /// 10^15 is below 2^53.
    const DIGITS: usize = 15;
    /// Powers of ten by the number of digits behind the point.
    const SCALES: [f64; DIGITS + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (digits, negative) = text.strip_prefix('-').map_or((text, false), |digits| (digits, true));
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    let (mut number, mut point) = (0_i64, None);
    for (at, byte) in digits.bytes().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            number = number * 10 + i64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let fraction = match point {
        None => 0,
        Some(_) if digits.len() == 1 => return None,
        Some(at) => digits.len() - at - 1,
    };
    let value = number as f64 / SCALES.get(fraction)?;
    Some(if negative { -value } else { value })
}

/// The number that begins at byte `at` and takes the rest of the line, and where the line ends.
#[inline]
pub(super) fn at_line_end(text: &str, at: usize) -> Option<(f64, usize)> {
    let rest = text.as_bytes().get(at..)?;
    let length = rest.iter().take(LONGEST_NUMBER).position(|byte| *byte == b'\n')?;
    Some((float(text.get(at..at + length)?)?, at + length))
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_are_read_as_go_reads_them() {
        let good: [(&str, f64); 20] = [
            ("0", 0.0),
            ("007", 7.0),
            ("999999999999999", 999_999_999_999_999.0),
            ("-0", -0.0),
            ("+1", 1.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("-.5", -0.5),
            ("-5.", -5.0),
            ("0.1", 0.1),
            ("-0.0", -0.0),
            ("123456.78901234", 123_456.789_012_34),
            ("0.0000000000001", 1e-13),
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
        for text in [
            "", "+", "-", ".", "-.", "1.2.3", "--1", "e5", "1e", "1_0", "0x1p3", "0x10", "+NaN", "-nan", "1e400", "-1e309", "12a", "infin", " 1", "٣",
        ] {
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

    proptest! {
        /// The short way reads every number as the standard library does.
        #[test]
        fn short_decimals_are_rounded_as_any_other(text in "-?[0-9]{0,12}\\.?[0-9]{0,12}", number in any::<f32>()) {
            for text in [text, number.to_string()] {
                prop_assert_eq!(float(&text).map(f64::to_bits), text.parse().ok().filter(|value: &f64| value.is_finite()).map(f64::to_bits));
            }
        }
    }
}
