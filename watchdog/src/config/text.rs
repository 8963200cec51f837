//! Durations and sizes as Prometheus writes them.

use std::time::Duration;

const UNITS: [(&str, u64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// `1h30m`, `15s`, `500ms`, `0`: units from large to small, each at most once (Prometheus documentation, "Configuration", `<duration>`).
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    let mut allowed = UNITS.as_slice();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_len);
        let at = allowed.iter().position(|(name, _)| *name == unit)?;
        let (_, factor) = allowed.get(at)?;
        milliseconds = milliseconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        allowed = allowed.get(at + 1..)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(milliseconds))
}

/// `16MB`, `1GB`, `512KiB`, `0`: powers of 1024 as in Prometheus, whichever way they are spelt.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" if number == "0" => 0,
        "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1_u64 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("15s", Some(15_000)),
            ("1h30m", Some(5_400_000)),
            ("1m500ms", Some(60_500)),
            ("0", Some(0)),
            ("2d", Some(172_800_000)),
            ("", None),
            ("5", None),
            ("5x", None),
            ("s", None),
            ("1s1m", None),
            ("1m1m", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999y", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in
            [("16MB", Some(16 << 20)), ("1GiB", Some(1 << 30)), ("10B", Some(10)), ("0", Some(0)), ("10", None), ("MB", None), ("1 XB", None)]
        {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }
}
