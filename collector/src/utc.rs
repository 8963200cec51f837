//! Unix milliseconds as UTC text, for file names and pages.

/// `20260102T030405.678Z`: sorts by time, fits a file name.
pub(crate) fn stamp(unix_ms: i64) -> String {
    let (date, time) = split(unix_ms);
    format!("{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z", date.0, date.1, date.2, time.0, time.1, time.2, time.3)
}

/// `2026-01-02`, of days since 1970-01-01.
pub(crate) fn day(days: i64) -> String {
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Unix milliseconds of a [`stamp`].
pub(crate) fn of_stamp(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let shape = text.len() == 20 && text.get(8..9) == Some("T") && text.ends_with('Z');
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    // Years begin in March, so that the leap day is the last; the inverse of [`date`].
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        year.div_euclid(400) * 146_097 + year.rem_euclid(400) * 365 + year.rem_euclid(400) / 4 - year.rem_euclid(400) / 100 + of_year - 719_468;
    let ms = ((number(9..11)? * 60 + number(11..13)?) * 60 + number(13..15)?) * 1_000 + number(16..19)?;
    shape.then_some(days * 86_400_000 + ms)
}

/// `2026-01-02T03:04:05.678Z` (RFC 3339).
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    let (date, time) = split(unix_ms);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", date.0, date.1, date.2, time.0, time.1, time.2, time.3)
}

type Date = (i64, i64, i64);
type Time = (i64, i64, i64, i64);

fn split(unix_ms: i64) -> (Date, Time) {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    (date(days), (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000))
}

/// Days since 1970-01-01 as a Gregorian date: years are counted from 1 March in eras of 400 years (146,097 days).
fn date(days: i64) -> Date {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days_and_before_1970() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(day(ms.div_euclid(86_400_000)), text[..10]);
            assert_eq!(of_stamp(&stamp(ms)), Some(ms));
        }
        assert_eq!(of_stamp("20240229T235959.999"), None);
        assert_eq!(stamp(1_709_251_199_999), "20240229T235959.999Z");
    }
}
