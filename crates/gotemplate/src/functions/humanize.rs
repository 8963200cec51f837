//! Prometheus's humanize functions, with its exact rules for rounding and suffixes ("Template reference", "Numbers").

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::format::{float, general};
use crate::time::display;

/// A number with an SI prefix: `1.235M`, `120m`.
pub fn humanize(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return general(v, 4);
    }
    let (scaled, prefix) = scale_si(v);
    format!("{}{prefix}", general(scaled, 4))
}

/// A number with a binary prefix: `1.5ki`, `8Ei`.
pub fn humanize1024(v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return general(v, 4);
    }
    let mut scaled = v;
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if scaled.abs() < 1024.0 {
            break;
        }
        prefix = next;
        scaled /= 1024.0;
    }
    format!("{}{prefix}", general(scaled, 4))
}

/// Seconds: `1d 2h 3m 4s` from a minute on, `1.234s`, `100ms` below.
#[expect(clippy::cast_possible_truncation, reason = "saturating is right: Go's conversion of out-of-range seconds has no meaning to keep")]
pub fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return general(seconds, 4);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    let magnitude = seconds.abs();
    if magnitude < 1.0 {
        let (scaled, prefix) = scale_si(seconds);
        return format!("{}{prefix}s", general(scaled, 4));
    }
    if magnitude < 60.0 {
        return format!("{}s", general(seconds, 4));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = magnitude as i64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours) {
        (0, 0) => format!("{sign}{minutes}m {seconds}s"),
        (0, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// A ratio as a percentage: `12.35%`.
pub fn humanize_percentage(v: f64) -> String {
    format!("{}%", general(v * 100.0, 4))
}

/// Unix seconds as Go prints a UTC time.
///
/// # Errors
/// When the time does not fit into nanoseconds of 64 bits.
pub fn humanize_timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(general(seconds, 4));
    }
    to_time(seconds).map(|time| display(&time))
}

/// Unix seconds as a time in UTC; Prometheus's times are whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(super) fn to_time(seconds: f64) -> Result<Zoned, String> {
    let nanos = seconds * 1e9;
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&nanos) {
        return Err(format!("{} cannot be represented as a nanoseconds timestamp since it overflows int64", float(seconds, 'g', None)));
    }
    let moment = Timestamp::from_millisecond((nanos as i64) / 1_000_000).map_err(|e| e.to_string())?;
    Ok(moment.to_zoned(TimeZone::UTC))
}

/// Divided by 1000 while at least 1000, or multiplied while below 1.
fn scale_si(v: f64) -> (f64, &'static str) {
    let mut scaled = v;
    let mut prefix = "";
    if v.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if scaled.abs() < 1000.0 {
                break;
            }
            prefix = next;
            scaled /= 1000.0;
        }
    } else {
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if scaled.abs() >= 1.0 {
                break;
            }
            prefix = next;
            scaled *= 1000.0;
        }
    }
    (scaled, prefix)
}
