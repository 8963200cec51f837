//! The forms of a recording's lines.
//!
//! Owns: telling the forms apart. Must not know: what a frame says, what becomes of it.
//!
//! Besides our own capture two forms of raw frames are read: `<receive ns> <frame>` and, as cryptofeed writes them, `<unix seconds>: <frame>` beside
//! lines of what was sent (`<url> <- <seconds>: <frame>`) and of connections that opened (`<url> <-> <seconds>`).

use crate::feed::capture::Line;

/// What a line says.
#[derive(Debug)]
pub(super) enum Said<'a> {
    /// A line of our own capture.
    Captured(Line<'a>),
    /// A frame that came at this unix time in nanoseconds.
    Frame(u64, &'a str),
    /// Nothing that a core is told: what another program sent, and that it connected.
    Aside,
}

/// Reads a line; `None`: it is of no form that is known.
pub(super) fn read(line: &str) -> Option<Said<'_>> {
    if line.starts_with('{') {
        return serde_json::from_str(line).ok().map(Said::Captured);
    }
    let (head, rest) = line.split_once(' ')?;
    if let Some(ns) = head.parse().ok().or_else(|| nanoseconds(head.strip_suffix(':')?)) {
        return Some(Said::Frame(ns, rest));
    }
    (head.contains("://") && (rest.starts_with("<- ") || rest.starts_with("<-> "))).then_some(Said::Aside)
}

/// `1652459225.5037` as nanoseconds.
fn nanoseconds(seconds: &str) -> Option<u64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let fraction = fraction.get(..9).unwrap_or(fraction);
    let places = u32::try_from(fraction.len()).ok()?;
    let nanos = fraction.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(9_u32.checked_sub(places)?)?)?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_told_apart() {
        let frame = |line| match read(line) {
            Some(Said::Frame(ns, text)) => Some((ns, text)),
            _ => None,
        };
        assert_eq!(frame("1723161255030314667 {\"a\":1}"), Some((1_723_161_255_030_314_667, "{\"a\":1}")));
        assert_eq!(frame("1652459225.5037491: {\"a\":1}"), Some((1_652_459_225_503_749_100, "{\"a\":1}")));
        assert_eq!(frame("1652459225: pong"), Some((1_652_459_225_000_000_000, "pong")));
        assert_eq!(frame("1.0123456789: x"), Some((1_012_345_678, "x")), "finer than a nanosecond");
        for aside in ["wss://ws.okx.com:8443/ws/v5/public <-> 1652459224.5", "wss://a/b <- 1.5: {\"op\":\"subscribe\"}"] {
            assert!(matches!(read(aside), Some(Said::Aside)), "{aside}");
        }
        assert!(matches!(read(r#"{"at":[5,7],"what":"timeout"}"#), Some(Said::Captured(_))));
        for other in ["", "hello", "# a note", "{\"what\":1}", "x: y", "1.2.3: x", "18446744073709551615.5: x", "99999999999999999999 x"] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
