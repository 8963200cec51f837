//! Go's `time` as templates see it: layouts, `Time` and `Duration` with their methods.

mod duration;
mod layout;
mod methods;

use jiff::{Timestamp, Zoned, tz::TimeZone};

pub use duration::{duration_text, parse_duration};
pub use layout::{format, parse};
pub(crate) use methods::{duration_method, time_method};

/// Go's zero time, January 1 of year 1, UTC, in unix milliseconds: "not set".
pub const ZERO_MS: i64 = -62_135_596_800_000;

/// The time at unix milliseconds in UTC, clamped to what a calendar of four-digit years holds.
pub(crate) fn at_ms(unix_ms: i64) -> Zoned {
    let moment = Timestamp::from_millisecond(unix_ms).unwrap_or(if unix_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    moment.to_zoned(TimeZone::UTC)
}

/// As Go's `Time.String` prints it.
pub(crate) fn display(time: &Zoned) -> String {
    format(time, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// Nanoseconds from `time` to `now`.
pub(crate) fn since(now: Timestamp, time: &Zoned) -> i64 {
    methods::between(now, time.timestamp())
}

/// A zone by its IANA name, `UTC` or `""`; `Local` is `local`.
///
/// # Errors
/// `unknown time zone NAME`.
pub fn zone(name: &str, local: &TimeZone) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        "Local" => Ok(local.clone()),
        _ => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}")),
    }
}

/// Unix milliseconds of an RFC 3339 time such as `2024-03-05T07:08:09Z`.
pub fn rfc3339_ms(text: &str) -> Option<i64> {
    let time = parse("2006-01-02T15:04:05Z07:00", text, &TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}
