//! Time intervals of `time_intervals`: when routes are mute or active.
//!
//! Owns: parsing of their fields and whether a time lies inside. Must not know: routes.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::alert::UnixMs;

pub(crate) mod field;

/// One alternative of a named interval: every part that is given must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeInterval {
    /// Minutes of the day, start inclusive, end exclusive; empty means the whole day.
    pub times: Vec<(u32, u32)>,
    /// Days, Sunday is 0; empty means every day.
    pub weekdays: Vec<RangeInclusive<i8>>,
    /// Days of the month from–to, negative from its end (-1 is the last); empty means every day.
    pub days_of_month: Vec<(i8, i8)>,
    /// Months, January is 1; empty means every month.
    pub months: Vec<RangeInclusive<i8>>,
    /// Years; empty means every year.
    pub years: Vec<RangeInclusive<i16>>,
    /// Zone in which all of that is meant; `None` (`Local`): that of the messages.
    pub zone: Option<TimeZone>,
}

/// A name that the bundled time zone database does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownZone;

// === impl TimeInterval ===

impl TimeInterval {
    /// Whether the wall time lies inside; `local` is the zone that `Local` means.
    pub fn contains(&self, wall_ms: UnixMs, local: &TimeZone) -> bool {
        let Ok(timestamp) = Timestamp::from_millisecond(wall_ms) else { return false };
        let at = timestamp.to_zoned(self.zone.as_ref().unwrap_or(local).clone()).datetime();
        self.has_time(at) && self.has_day(at) && any(&self.months, at.month()) && any(&self.years, at.year())
    }

    fn has_time(&self, at: DateTime) -> bool {
        let minute = u32::from(at.hour().unsigned_abs()) * 60 + u32::from(at.minute().unsigned_abs());
        self.times.is_empty() || self.times.iter().any(|(start, end)| (*start..*end).contains(&minute))
    }

    fn has_day(&self, at: DateTime) -> bool {
        let last = at.date().days_in_month();
        let in_month = self.days_of_month.is_empty() || self.days_of_month.iter().any(|(from, to)| day_range(*from, *to, last).contains(&at.day()));
        in_month && any(&self.weekdays, at.weekday().to_sunday_zero_offset())
    }
}

/// Whether the wall time lies in one of the alternatives.
pub fn any_contains(alternatives: &[TimeInterval], wall_ms: UnixMs, local: &TimeZone) -> bool {
    alternatives.iter().any(|one| one.contains(wall_ms, local))
}

fn any<T: PartialOrd>(ranges: &[RangeInclusive<T>], value: T) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(&value))
}

/// Days of a month with `last` days; negative ones count from the end, both ends are cut to the month.
fn day_range(from: i8, to: i8, last: i8) -> RangeInclusive<i8> {
    let day = |day: i8| if day < 0 { last + day + 1 } else { day };
    day(from).clamp(1, last + 1)..=day(to).clamp(0, last)
}

/// The zone of this name, `None` for `Local`.
///
/// # Errors
/// There is no such zone.
pub(crate) fn zone(name: &str) -> Result<Option<TimeZone>, UnknownZone> {
    match name {
        "" | "UTC" => Ok(Some(TimeZone::UTC)),
        "Local" => Ok(None),
        name => TimeZone::get(name).map(Some).map_err(|_| UnknownZone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_rfc3339;

    fn interval() -> TimeInterval {
        TimeInterval { times: vec![], weekdays: vec![], days_of_month: vec![], months: vec![], years: vec![], zone: Some(TimeZone::UTC) }
    }

    fn contains(interval: &TimeInterval, at: &str) -> bool {
        interval.contains(parse_rfc3339(at).unwrap(), &TimeZone::UTC)
    }

    #[test]
    fn hours_and_weekdays_in_a_zone() {
        let office = TimeInterval {
            times: vec![(field::time_of_day("09:00").unwrap(), field::time_of_day("18:00").unwrap())],
            weekdays: vec![field::weekdays("monday:friday").unwrap()],
            zone: zone("Asia/Shanghai").unwrap(),
            ..interval()
        };
        // 2026-11-20 is a Friday.
        for (at, inside) in [
            ("2026-11-20T09:00:00+08:00", true),
            ("2026-11-20T08:59:59+08:00", false),
            ("2026-11-20T17:59:59+08:00", true),
            ("2026-11-20T18:00:00+08:00", false),
            ("2026-11-20T01:30:00Z", true),
            ("2026-11-21T12:00:00+08:00", false),
        ] {
            assert_eq!(contains(&office, at), inside, "{at}");
        }
    }

    #[test]
    fn local_is_the_zone_of_the_messages() {
        let morning = TimeInterval { times: vec![(0, 720)], zone: zone("Local").unwrap(), ..interval() };
        let at = parse_rfc3339("2026-11-20T11:00:00Z").unwrap();
        assert!(morning.contains(at, &TimeZone::UTC) && !morning.contains(at, &zone("Asia/Shanghai").unwrap().unwrap()));
    }

    #[test]
    fn days_from_the_end_of_the_month() {
        for (days, at, inside) in [
            ("-1", "2026-02-28T12:00:00Z", true),
            ("-1", "2026-02-27T12:00:00Z", false),
            ("-3:-1", "2024-02-27T12:00:00Z", true),
            ("1:5", "2026-11-05T23:59:59Z", true),
            ("29:31", "2026-02-28T12:00:00Z", false),
            ("31", "2026-11-30T12:00:00Z", false),
            ("20:31", "2026-11-30T12:00:00Z", true),
            ("-31:3", "2026-11-02T12:00:00Z", true),
        ] {
            let interval = TimeInterval { days_of_month: vec![field::days_of_month(days).unwrap()], ..interval() };
            assert_eq!(contains(&interval, at), inside, "{days} {at}");
        }
    }

    #[test]
    fn months_years_and_the_last_minute_of_a_day() {
        let summer = TimeInterval { months: vec![field::months("june:8").unwrap()], years: vec![field::years("2026").unwrap()], ..interval() };
        assert!(
            contains(&summer, "2026-08-31T23:59:59Z") && !contains(&summer, "2027-07-01T00:00:00Z") && !contains(&summer, "2026-09-01T00:00:00Z")
        );
        let day = TimeInterval { times: vec![(0, field::time_of_day("24:00").unwrap())], ..interval() };
        assert!(contains(&day, "2026-01-01T23:59:59Z"));
    }
}
