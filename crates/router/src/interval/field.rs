//! The texts of an interval's fields.
//!
//! Owns: their grammar and ranges (Alertmanager documentation, "time_interval"). Must not know: where they stand in a file.

use std::ops::RangeInclusive;

use diagnostics::Text;

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

type Field<T> = Result<T, Text>;

/// `HH:MM` from `00:00` to `24:00`, as minutes of the day.
pub(crate) fn time_of_day(text: &str) -> Field<u32> {
    let bad = || Text::new(format!("`{text}` is not a time of day from 00:00 to 24:00"), format!("`{text}` 不是 00:00 到 24:00 之间的时刻"));
    let (hours, minutes) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2).ok_or_else(bad)?;
    let (hours, minutes): (u32, u32) = (hours.parse().map_err(|_| bad())?, minutes.parse().map_err(|_| bad())?);
    let total = hours * 60 + minutes;
    if minutes < 60 && total <= 1440 { Ok(total) } else { Err(bad()) }
}

/// A weekday's name or `from:to`, Sunday being 0.
pub(crate) fn weekdays(text: &str) -> Field<RangeInclusive<i8>> {
    let day = |name: &str| position(&WEEKDAYS, name);
    let bad = || {
        Text::new(
            format!("`{text}` is not a weekday or a range of weekdays (sunday … saturday)"),
            format!("`{text}` 不是星期或星期范围（sunday … saturday）"),
        )
    };
    range(text, day).ok_or_else(bad)
}

/// A month's name or number, or `from:to`.
pub(crate) fn months(text: &str) -> Field<RangeInclusive<i8>> {
    let month = |name: &str| position(&MONTHS, name).map(|at| at + 1).or_else(|| name.parse().ok().filter(|month| (1..=12).contains(month)));
    let bad = || {
        Text::new(
            format!("`{text}` is not a month or a range of months (january … december, 1 … 12)"),
            format!("`{text}` 不是月份或月份范围（january … december 或 1 … 12）"),
        )
    };
    range(text, month).ok_or_else(bad)
}

/// A year or `from:to`.
pub(crate) fn years(text: &str) -> Field<RangeInclusive<i16>> {
    let bad = || Text::new(format!("`{text}` is not a year or a range of years"), format!("`{text}` 不是年份或年份范围"));
    range(text, |year| year.parse().ok().filter(|year| *year >= 0)).ok_or_else(bad)
}

/// A day of the month from 1 to 31 or -1 to -31, or `from:to`.
pub(crate) fn days_of_month(text: &str) -> Field<(i8, i8)> {
    let day = |text: &str| text.trim().parse::<i8>().ok().filter(|day| (1..=31).contains(&day.abs()));
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let pair = day(from).zip(day(to)).filter(|(from, to)| {
        // A start from the month's end with an end from its beginning is empty in every month, except where the start is cut.
        (from.signum() != to.signum() && (*from > 0 || *from <= -28)) || (from.signum() == to.signum() && from <= to)
    });
    pair.ok_or_else(|| {
        Text::new(
            format!("`{text}` is not a day of the month or a range of days (1 … 31, -1 is the last day)"),
            format!("`{text}` 不是日期或日期范围（1 … 31，-1 表示最后一天）"),
        )
    })
}

fn position(names: &[&str], name: &str) -> Option<i8> {
    let name = name.to_ascii_lowercase();
    names.iter().position(|known| *known == name).and_then(|at| i8::try_from(at).ok())
}

/// `one` or `from:to` with from ≤ to.
fn range<T: PartialOrd + Copy>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<RangeInclusive<T>> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let (from, to) = (one(from.trim())?, one(to.trim())?);
    (from <= to).then_some(from..=to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_field_is_refused() {
        for text in ["9:00", "24:01", "12:60", "noon", ""] {
            assert!(time_of_day(text).is_err(), "{text}");
        }
        for text in ["friday:monday", "fri", "mon:tue"] {
            assert!(weekdays(text).is_err(), "{text}");
        }
        for text in ["13", "0", "may:april", "mai"] {
            assert!(months(text).is_err(), "{text}");
        }
        for text in ["0", "32", "5:1", "-1:-3", "-1:3", "x"] {
            assert!(days_of_month(text).is_err(), "{text}");
        }
        assert!(years("2030:2024").is_err());
    }

    #[test]
    fn fields_are_read() {
        assert_eq!(weekdays("Monday:friday"), Ok(1..=5));
        assert_eq!(months("10:december"), Ok(10..=12));
        assert_eq!(days_of_month("1:-1"), Ok((1, -1)));
    }
}
