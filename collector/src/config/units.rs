//! Durations and sizes as people write them: `100ms`, `10s`, `2h`; `256MB`, `16MiB`.

use std::time::Duration;

/// A duration of one number and one unit: ms, s, m, h, d. `None` for anything else or when it does not fit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// Bytes: a number with B, kB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024). `None` for anything else or when it does not fit.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_unit_that_is_known() {
        for (text, milliseconds) in
            [("100ms", Some(100)), ("10s", Some(10_000)), ("2 h", Some(7_200_000)), ("10", None), ("s", None), ("-1s", None), ("1.5s", None)]
        {
            assert_eq!(duration(text), milliseconds.map(Duration::from_millis), "{text}");
        }
        for (text, bytes) in
            [("256MB", Some(256_000_000)), ("1 KiB", Some(1024)), ("7", Some(7)), ("7 MBit", None), ("", None), ("99999999999999GB", None)]
        {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
