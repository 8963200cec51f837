//! Unix milliseconds as UTC text, for file names and pages.

/// `20260102T030405.678Z`: sorts by time, fits a file name.
pub(crate) fn stamp(unix_ms: i64) -> String {
    let (date, time) = split(unix_ms);
    format!("{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z", date.0, date.1, date.2, time.0, time.1, time.2, time.3)
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
        }
        assert_eq!(stamp(1_709_251_199_999), "20240229T235959.999Z");
    }
}
