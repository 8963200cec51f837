//! Time intervals of `time_intervals`: when routes are mute or active.
//!
//! Owns: parsing of their fields and whether a time lies inside. Must not know: routes.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

/// One alternative of a named interval: every part that is given must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeInterval {
    /// Minutes of the day, start inclusive, end exclusive; empty means the whole day.
    pub times: Vec<(u32, u32)>,
    /// Days, Sunday is 0; empty means every day.
    pub weekdays: Vec<RangeInclusive<i8>>,
    /// Days of the month, negative from its end (-1 is the last); empty means every day.
    pub days_of_month: Vec<(i8, i8)>,
    /// Months, January is 1; empty means every month.
    pub months: Vec<RangeInclusive<i8>>,
    /// Years; empty means every year.
    pub years: Vec<RangeInclusive<i16>>,
    /// Zone in which all of that is meant.
    pub zone: TimeZone,
}
