//! The meaning of literals: numbers, durations, quoted texts. Must not know: tokens or the grammar around them.

/// The value of a number as it is written: decimal, `0x` hexadecimal, octal with a leading 0 as Go reads it, `_` between digits, `Inf`, `NaN`.
pub(crate) fn number(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "inf" => return Some(f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    if !underscores_separate_digits(text) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(|value| value as f64);
    }
    let octal = digits.strip_prefix('0').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if let Some(value) = octal.and_then(|rest| i64::from_str_radix(rest, 8).ok()) {
        return Some(value as f64);
    }
    // Go reports an overflow as an error; the conversion here would give infinity.
    digits.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Each `_` stands between two digits, or between the `0x` prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|b| b.is_ascii_hexdigit() || matches!(b, b'x' | b'X'));
    (0..bytes.len()).filter(|at| bytes.get(*at) == Some(&b'_')).all(|at| digit(at.checked_sub(1)) && digit(Some(at + 1)))
}

const UNITS: [(&str, i64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Milliseconds of a duration: whole numbers with the units `y w d h m s ms`, each at most once and in this order, at most 292 years. `0` alone is zero.
pub fn duration_ms(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let value: i64 = rest.get(..digits)?.parse().ok()?;
        let letters = rest.get(digits..)?;
        let unit = letters.get(..letters.find(|c: char| c.is_ascii_digit()).unwrap_or(letters.len()))?;
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(value.checked_mul(*scale)?)?;
        rest = letters.get(unit.len()..)?;
    }
    (!text.is_empty() && total <= MAX_DURATION_MS).then_some(total)
}

/// What a signed 64-bit count of nanoseconds holds.
const MAX_DURATION_MS: i64 = i64::MAX / 1_000_000;

/// Milliseconds of a duration given as a number of seconds.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked, and a fraction of a millisecond is dropped as Prometheus does")]
pub(super) fn seconds_to_ms(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1e9).round() / 1e6;
    (ms.abs() <= MAX_DURATION_MS as f64).then_some(ms as i64)
}

/// The duration as Prometheus prints it: `1h30m`, `0s` for zero.
pub fn print_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = if ms < 0 { "-".to_owned() } else { String::new() };
    let mut rest = ms.unsigned_abs();
    for (unit, scale) in UNITS {
        let scale = scale.unsigned_abs();
        // Years and weeks only when nothing is left over: 90 d is not printed as 12w6d.
        let whole = rest / scale;
        if whole > 0 && (scale <= 86_400_000 || rest.is_multiple_of(scale)) {
            text.push_str(&whole.to_string());
            text.push_str(unit);
            rest -= whole * scale;
        }
    }
    text
}

/// The content of a quoted text: raw between back quotes, with Go's escapes otherwise. The error is the bad escape.
pub(super) fn unquote(quoted: &str) -> Result<String, String> {
    let mut inner = quoted.chars();
    let quote = inner.next().unwrap_or('"');
    inner.next_back();
    let inner = inner.as_str();
    if quote == '`' {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let used = unescape(escape, quote, &mut bytes).ok_or_else(|| escape.chars().take(4).collect::<String>())?;
        rest = escape.get(used..).unwrap_or("");
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| inner.chars().take(20).collect())
}

/// Appends what the escape at the start of `text` stands for; how many bytes of `text` it took.
fn unescape(text: &str, quote: char, out: &mut Vec<u8>) -> Option<usize> {
    let kind = text.get(1..)?.chars().next()?;
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' | '\'' if kind == quote => u8::try_from(kind).ok()?,
        'x' => return numeric(text, 2, 2, 16).and_then(|(value, used)| push_byte(value, out).map(|()| used)),
        '0'..='7' => return numeric(text, 1, 3, 8).and_then(|(value, used)| push_byte(value, out).map(|()| used)),
        'u' | 'U' => {
            let (value, used) = numeric(text, 2, if kind == 'u' { 4 } else { 8 }, 16)?;
            let mut buffer = [0; 4];
            out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut buffer).as_bytes());
            return Some(used);
        }
        _ => return None,
    };
    out.push(simple);
    Some(2)
}

fn numeric(text: &str, from: usize, digits: usize, radix: u32) -> Option<(u32, usize)> {
    let number = text.get(from..from + digits).filter(|number| number.chars().all(|c| c.is_digit(radix)))?;
    Some((u32::from_str_radix(number, radix).ok()?, from + digits))
}

fn push_byte(value: u32, out: &mut Vec<u8>) -> Option<()> {
    out.push(u8::try_from(value).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, want) in [
            ("12", 12.0),
            ("1_000", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-2", 0.01),
            ("0x1F", 31.0),
            ("010", 8.0),
            ("08", 8.0),
            ("0", 0.0),
        ] {
            assert_eq!(number(text), Some(want), "{text}");
        }
        assert_eq!(number("iNf"), Some(f64::INFINITY));
        assert!(number("NaN").is_some_and(f64::is_nan));
        for bad in ["1__0", "1_", "1e999", "0xffffffffffffffffff", "1_.5"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_keep_their_order() {
        for (text, want) in [("5m", 300_000), ("1h30m", 5_400_000), ("1d12h", 129_600_000), ("10ms", 10), ("1y", 31_536_000_000), ("0", 0), ("0s", 0)]
        {
            assert_eq!(duration_ms(text), Some(want), "{text}");
        }
        for bad in ["", "m", "5", "30m1h", "1h1h", "1.5h", "300y", "5M"] {
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
        for (ms, want) in [(5_400_000, "1h30m"), (0, "0s"), (-300_000, "-5m"), (7_776_000_000, "90d"), (1_209_600_000, "2w"), (1500, "1s500ms")] {
            assert_eq!(print_duration(ms), want);
        }
    }

    #[test]
    fn quoted_texts_are_unescaped_as_in_go() {
        for (quoted, want) in [
            (r#""a\n\"b\"""#, "a\n\"b\""),
            (r"'it\'s'", "it's"),
            (r"`\d\`", r"\d\"),
            (r#""\x41\101\u5e01\U0001f600""#, "AA币😀"),
            (r#""\xe5\xb8\x81""#, "币"),
        ] {
            assert_eq!(unquote(quoted).as_deref(), Ok(want));
        }
        for bad in [r#""\d""#, r#""\'""#, r#""\xzz""#, r#""\400""#, r#""\xff""#, r#""\ud800""#] {
            assert!(unquote(bad).is_err(), "{bad}");
        }
    }
}
