//! Durations: Go's text of one, and Prometheus's notation read.

/// As Go's `Duration.String` prints nanoseconds: `1h2m3.5s`, `1.5ms`, `0s`.
pub fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let fraction = |unit: u64| {
        let digits = unit.ilog10() as usize;
        let text = format!("{}.{:0digits$}", magnitude / unit, magnitude % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let seconds = magnitude / 1_000_000_000;
            let below_minute = magnitude - seconds / 60 * 60 * 1_000_000_000;
            let text = format!("{}.{:09}", below_minute / 1_000_000_000, below_minute % 1_000_000_000);
            let text = text.trim_end_matches('0').trim_end_matches('.');
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{text}s"),
                (0, minutes) => format!("{sign}{minutes}m{text}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{text}s"),
            }
        }
    }
}

/// Milliseconds of a duration in Prometheus's notation: `y w d h m s ms` in this order, each at most once, or `0`; a sign is read as well.
///
/// # Errors
/// `not a valid duration string: "TEXT"`.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let bad = || format!("not a valid duration string: {text:?}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    match digits {
        "0" => return Ok(0),
        "" => return Err("empty duration string".to_owned()),
        _ => {}
    }
    let mut rest = digits;
    let mut total: i64 = 0;
    for (unit, ms) in [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = rest.get(..rest.len() - after.len()).unwrap_or_default();
        let Some(next) = after.strip_prefix(unit) else { continue };
        let is_other_unit = unit == "m" && next.starts_with('s');
        if number.is_empty() || is_other_unit {
            continue;
        }
        let value: i64 = number.parse().map_err(|_| bad())?;
        total = value.checked_mul(ms).and_then(|part| total.checked_add(part)).ok_or("duration out of range")?;
        rest = next;
    }
    if rest.is_empty() { Ok(sign * total) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_in_go() {
        for (nanos, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_723_000_000_000, "1h2m3s"),
            (-3_600_000_000_000, "-1h0m0s"),
        ] {
            assert_eq!(duration_text(nanos), want);
        }
    }

    #[test]
    fn prometheus_durations() {
        for (text, want) in [("0", 0), ("1h30m", 5_400_000), ("5ms", 5), ("1m5ms", 60_005), ("-1d", -86_400_000), ("1y2w", 32_745_600_000)] {
            assert_eq!(parse_duration(text), Ok(want), "{text}");
        }
        for text in ["", "1", "1m1h", "1.5h", "5 m", "h", "1mm", "9999999999y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
