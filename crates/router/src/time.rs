//! Durations as configuration writes them, times as payloads write them.
//!
//! Owns: the two text forms. Must not know: what a time is for, nor what time it is.

use std::time::Duration;

use crate::alert::UnixMs;

const UNITS: [(&str, u64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration in Prometheus's grammar (`1h30m`, units y w d h m s ms in this order, each once; plain `0`).
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let at = UNITS.iter().position(|(name, _)| *name == unit).filter(|at| *at >= next_unit)?;
        let (_, ms) = UNITS.get(at)?;
        total = number.parse::<u64>().ok()?.checked_mul(*ms)?.checked_add(total)?;
        next_unit = at + 1;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// A duration in the same grammar; zero is `0s`.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, ms) in UNITS {
        let exact_only = matches!(unit, "y" | "w" | "d") && left % ms != 0;
        if left >= ms && !exact_only {
            out.extend([&(left / ms).to_string(), unit]);
            left %= ms;
        }
    }
    out
}

/// A duration's milliseconds, as far as they fit.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `ms` as RFC 3339 in UTC with milliseconds only when there are some; the earliest time for what cannot be a date.
pub fn format_rfc3339(ms: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MIN).to_string()
}

/// Unix milliseconds of an RFC 3339 time.
pub fn parse_rfc3339(text: &str) -> Option<UnixMs> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Unix milliseconds as RFC 3339 text, for serde's `with`.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes RFC 3339 in UTC.
    pub fn serialize<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_rfc3339(*ms))
    }

    /// Reads RFC 3339 with any offset.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom(format!("not an RFC 3339 time: {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        for (text, ms) in [("30s", Some(30_000)), ("1h30m", Some(5_400_000)), ("1d", Some(86_400_000)), ("0", Some(0)), ("15ms", Some(15))] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), ms, "{text}");
        }
        for text in ["", "5", "5x", "30m1h", "1m1m", "-1s", "1.5h", "99999999999999999999s", "h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_in_the_same_grammar() {
        for (ms, text) in [(0, "0s"), (5_400_000, "1h30m"), (14_400_000, "4h"), (86_400_000, "1d"), (90_000_000, "25h"), (1_500, "1s500ms")] {
            assert_eq!(format_duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(format_rfc3339(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(format_rfc3339(1_700_000_000_120), "2023-11-14T22:13:20.12Z");
        assert_eq!(format_rfc3339(crate::notification::NOT_ENDED), "0001-01-01T00:00:00Z");
        assert_eq!(parse_rfc3339("2023-11-15T06:13:20+08:00"), Some(1_700_000_000_000));
    }
}
