//! Lengths of time as people write them in YAML, JSON and on the command line: `250ms`, `10s`, `5m`, `24h`, or a bare number of seconds.
//! Knows nothing of what the time is for.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time as written in a script or a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

// === impl Span ===

impl Span {
    /// Reads `10s`, `1.5m`, `250ms`, `24h` or a bare number of seconds. The error says what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let value: f64 = number.trim().parse().map_err(|_| format!("not a length of time: {text:?} (expected 250ms, 10s, 5m, 24h)"))?;
        let seconds = match unit {
            "" | "s" => value,
            "us" => value / 1e6,
            "ms" => value / 1e3,
            "m" => value * 60.0,
            "h" => value * 3600.0,
            _ => return Err(format!("unknown unit in {text:?} (expected us, ms, s, m or h)")),
        };
        Duration::try_from_secs_f64(seconds).map(Span).map_err(|_| format!("out of range: {text:?}"))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

// === impl SpanVisitor ===

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as 250ms, 10s, 5m, 24h or a number of seconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        Span::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
        Ok(Span(Duration::from_secs(seconds)))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Span, E> {
        u64::try_from(seconds).map(|s| Span(Duration::from_secs(s))).map_err(|_| E::custom("a length of time is not negative"))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
        Duration::try_from_secs_f64(seconds).map(Span).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [("250ms", 250), ("2000us", 2), ("10s", 10_000), ("1.5m", 90_000), ("24h", 86_400_000), ("3", 3_000), ("0.5", 500)] {
            assert_eq!(Span::parse(text), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "s", "10 parsecs", "-1s", "1d"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_numbers_and_strings_from_json() {
        assert_eq!(serde_json::from_str::<Span>("2").unwrap(), Span(Duration::from_secs(2)));
        assert_eq!(serde_json::from_str::<Span>("0.25").unwrap(), Span(Duration::from_millis(250)));
        assert_eq!(serde_json::from_str::<Span>("\"100ms\"").unwrap(), Span(Duration::from_millis(100)));
    }
}
