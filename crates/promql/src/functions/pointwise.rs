//! Functions of one value: mathematics, dates, clamping. Must not know: labels, series.
use super::FunctionKind;

/// A function of one number; `None` when `kind` is not one.
pub(crate) fn unary(kind: FunctionKind) -> Option<fn(f64) -> f64> {
    Some(match kind {
        FunctionKind::Abs => f64::abs,
        FunctionKind::Acos => f64::acos,
        FunctionKind::Acosh => f64::acosh,
        FunctionKind::Asin => f64::asin,
        FunctionKind::Asinh => f64::asinh,
        FunctionKind::Atan => f64::atan,
        FunctionKind::Atanh => f64::atanh,
        FunctionKind::Ceil => f64::ceil,
        FunctionKind::Cos => f64::cos,
        FunctionKind::Cosh => f64::cosh,
        FunctionKind::Deg => f64::to_degrees,
        FunctionKind::Exp => f64::exp,
        FunctionKind::Floor => f64::floor,
        FunctionKind::Ln => f64::ln,
        FunctionKind::Log10 => f64::log10,
        FunctionKind::Log2 => f64::log2,
        FunctionKind::Rad => f64::to_radians,
        FunctionKind::Sgn => sign,
        FunctionKind::Sin => f64::sin,
        FunctionKind::Sinh => f64::sinh,
        FunctionKind::Sqrt => f64::sqrt,
        FunctionKind::Tan => f64::tan,
        FunctionKind::Tanh => f64::tanh,
        _ => return date(kind),
    })
}

/// 1, -1, or the value itself when it is zero or NaN.
fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// To the nearest multiple of `to`, halves up.
pub(crate) fn round(value: f64, to: f64) -> f64 {
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

/// The larger of the two as Go has it: infinite if either is +Inf, else NaN if either is.
pub(crate) fn at_least(value: f64, min: f64) -> f64 {
    let either = |wanted: fn(f64) -> bool| wanted(value) || wanted(min);
    if either(|v| v == f64::INFINITY) {
        f64::INFINITY
    } else if either(f64::is_nan) {
        f64::NAN
    } else {
        value.max(min)
    }
}

/// The smaller of the two as Go has it.
pub(crate) fn at_most(value: f64, max: f64) -> f64 {
    -at_least(-value, -max)
}

/// A day in the proleptic Gregorian calendar, UTC.
struct Day {
    year: i64,
    month: i64,
    day: i64,
    /// Days since 1970-01-01.
    number: i64,
}

/// A function of a unix time in seconds; `None` when `kind` is not one.
fn date(kind: FunctionKind) -> Option<fn(f64) -> f64> {
    Some(match kind {
        FunctionKind::Minute => |time| in_seconds(time, |seconds| seconds.rem_euclid(3600) / 60),
        FunctionKind::Hour => |time| in_seconds(time, |seconds| seconds.rem_euclid(86_400) / 3600),
        // 1970-01-01 was a Thursday; Sunday is 0.
        FunctionKind::DayOfWeek => |time| in_seconds(time, |seconds| (seconds.div_euclid(86_400) + 4).rem_euclid(7)),
        FunctionKind::DayOfMonth => |time| in_days(time, |day| day.day),
        FunctionKind::DayOfYear => |time| in_days(time, |day| day.number - days_before(day.year, 1) + 1),
        FunctionKind::DaysInMonth => |time| in_days(time, days_in_month),
        FunctionKind::Month => |time| in_days(time, |day| day.month),
        FunctionKind::Year => |time| in_days(time, |day| day.year),
        _ => return None,
    })
}

/// Applies `part` to whole seconds; NaN for a time that is no number or beyond any calendar.
fn in_seconds(time: f64, part: impl Fn(i64) -> i64) -> f64 {
    if time.is_nan() || time.abs() > 1e15 {
        return f64::NAN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the range of i64, checked above; the fraction is dropped as Go does")]
    let seconds = time as i64;
    part(seconds) as f64
}

fn in_days(time: f64, part: impl Fn(&Day) -> i64) -> f64 {
    in_seconds(time, |seconds| part(&civil(seconds.div_euclid(86_400))))
}

/// The date of a day number: years are counted from March, so that the leap day comes last (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(number: i64) -> Day {
    let shifted = number + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    Day { year: year_of_era + era * 400 + i64::from(month <= 2), month, day, number }
}

/// The day number of the first of a month; the inverse of [`civil`].
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn days_in_month(day: &Day) -> i64 {
    let (next_year, next_month) = if day.month == 12 { (day.year + 1, 1) } else { (day.year, day.month + 1) };
    days_before(next_year, next_month) - days_before(day.year, day.month)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::*;

    fn call(kind: FunctionKind, time: f64) -> f64 {
        unary(kind).unwrap()(time)
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        use FunctionKind::{DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute, Month, Year};
        // 2024-02-29T23:59:59Z, a Thursday
        let leap_day = 1_709_251_199.0;
        let parts = [Year, Month, DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute].map(|kind| call(kind, leap_day));
        assert_eq!(parts, [2024.0, 2.0, 29.0, 4.0, 60.0, 29.0, 23.0, 59.0]);
        // 1969-12-31T23:00:00Z, a Wednesday
        let before = [Year, Month, DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute].map(|kind| call(kind, -3600.0));
        assert_eq!(before, [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0, 23.0, 0.0]);
        assert_eq!(call(DaysInMonth, 4_107_542_399.0), 28.0, "the last second of February 2100, no leap year");
        assert!(call(Year, f64::NAN).is_nan() && call(Hour, f64::INFINITY).is_nan());
    }

    #[test]
    fn halves_round_up_also_below_zero() {
        assert_eq!([2.5, -2.5, 0.49999999999999994].map(|value| round(value, 1.0)), [3.0, -2.0, 1.0]);
        assert_eq!(round(1.25, 0.1), 1.3);
    }
}
