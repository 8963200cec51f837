//! Layouts: a time written as the reference time (Mon Jan 2 15:04:05 MST 2006) shows (<https://pkg.go.dev/time#Layout>).

use jiff::{Zoned, civil, tz::Offset, tz::TimeZone};

const MONTHS: [&str; 12] = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A piece of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    /// The name of an element, as it is written in a layout.
    Element(&'static str),
    /// A fraction of a second: its separator, digits, and whether trailing zeros go.
    Fraction {
        separator: char,
        digits: usize,
        trimmed: bool,
    },
}

/// Elements, the longer of two that begin alike first.
const ELEMENTS: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "__2",
    "_2",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// `time` in Go's `layout`.
pub fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    for piece in pieces(layout) {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Element(name) => out.push_str(&element(time, name)),
            Piece::Fraction { separator, digits, trimmed } => {
                let nanos = format!("{:09}", time.subsec_nanosecond());
                let cut = nanos.get(..digits.min(9)).unwrap_or(&nanos);
                let cut = if trimmed { cut.trim_end_matches('0') } else { cut };
                if !cut.is_empty() {
                    out.push(separator);
                    out.push_str(cut);
                }
            }
        }
    }
    out
}

fn pieces(layout: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut literal_from, mut at) = (0, 0);
    while at < layout.len() {
        let rest = layout.get(at..).unwrap_or_default();
        match element_at(rest) {
            Some((piece, len)) => {
                if literal_from < at {
                    found.push(Piece::Literal(layout.get(literal_from..at).unwrap_or_default()));
                }
                found.push(piece);
                at += len;
                literal_from = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    if literal_from < layout.len() {
        found.push(Piece::Literal(layout.get(literal_from..).unwrap_or_default()));
    }
    found
}

/// The element that `rest` begins with, and its length.
fn element_at(rest: &str) -> Option<(Piece<'static>, usize)> {
    if let Some(fraction) = fraction_at(rest) {
        return Some(fraction);
    }
    // "Jan" inside "Janet" and "Mon" inside "Month" are no elements.
    let next_is_lower = |name: &str| rest.get(name.len()..).and_then(|tail| tail.chars().next()).is_some_and(|c| c.is_ascii_lowercase());
    let name = ELEMENTS.iter().find(|name| {
        let hit = rest.starts_with(**name);
        hit && !(matches!(**name, "Jan" | "Mon") && next_is_lower(name)) && !(**name == "_2" && rest.starts_with("_2006"))
    })?;
    Some((Piece::Element(name), name.len()))
}

/// `.000`, `,000`, `.999`, `,999`: only when no further digit follows.
fn fraction_at(rest: &str) -> Option<(Piece<'static>, usize)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest.chars().nth(1).filter(|c| matches!(c, '0' | '9'))?;
    let tail = rest.get(1..)?;
    let digits = tail.len() - tail.trim_start_matches(digit).len();
    let followed = tail.get(digits..).and_then(|t| t.chars().next()).is_some_and(|c| c.is_ascii_digit());
    (!followed).then_some((Piece::Fraction { separator, digits, trimmed: digit == '9' }, digits + 1))
}

fn element(time: &Zoned, name: &str) -> String {
    let month = || MONTHS.get(usize::try_from(time.month() - 1).unwrap_or(0)).copied().unwrap_or_default();
    let day_name = || DAYS.get(usize::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or(0)).copied().unwrap_or_default();
    let hour12 = if time.hour() % 12 == 0 { 12 } else { time.hour() % 12 };
    match name {
        "January" => month().to_owned(),
        "Jan" => month().get(..3).unwrap_or_default().to_owned(),
        "Monday" => day_name().to_owned(),
        "Mon" => day_name().get(..3).unwrap_or_default().to_owned(),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "002" => format!("{:03}", time.day_of_year()),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "__2" => format!("{:3}", time.day_of_year()),
        "2" => time.day().to_string(),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{hour12:02}"),
        "3" => hour12.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        "PM" => if time.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        "pm" => if time.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        "MST" => abbreviation(time),
        _ => offset(time.offset(), name),
    }
}

fn abbreviation(time: &Zoned) -> String {
    time.time_zone().to_offset_info(time.timestamp()).abbreviation().to_owned()
}

/// `Z…` prints `Z` for UTC; then sign, hours, and minutes and seconds as the element shows.
fn offset(offset: Offset, name: &str) -> String {
    let seconds = offset.seconds();
    if name.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    match name.get(1..).unwrap_or_default() {
        "07" => format!("{sign}{hours:02}"),
        "07:00" => format!("{sign}{hours:02}:{minutes:02}"),
        "07:00:00" => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
        "070000" => format!("{sign}{hours:02}{minutes:02}{rest:02}"),
        _ => format!("{sign}{hours:02}{minutes:02}"),
    }
}

/// What a text has said so far.
#[derive(Clone, Copy, Debug)]
struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

/// The time that `text` means in Go's `layout`, in `zone` unless the text carries an offset.
///
/// # Errors
/// `parsing time "TEXT" as "LAYOUT": cannot parse "REST"`.
pub fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, String> {
    let mut parts = Parts { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanos: 0, afternoon: None, offset: None };
    let mut rest = text;
    for piece in pieces(layout) {
        let read = match piece {
            Piece::Literal(literal) => rest.strip_prefix(literal),
            Piece::Fraction { separator, .. } => Some(read_fraction(rest, separator, &mut parts)),
            Piece::Element(name) => read_element(rest, name, &mut parts),
        };
        rest = read.ok_or_else(|| format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?}"))?;
    }
    if !rest.is_empty() {
        return Err(format!("parsing time {text:?}: extra text: {rest:?}"));
    }
    let hour = match parts.afternoon {
        Some(true) if parts.hour < 12 => parts.hour + 12,
        Some(false) if parts.hour == 12 => 0,
        _ => parts.hour,
    };
    let civil = civil::DateTime::new(parts.year, parts.month, parts.day, hour, parts.minute, parts.second, parts.nanos);
    let zone = match parts.offset.map(Offset::from_seconds) {
        Some(Ok(offset)) if offset == Offset::UTC => TimeZone::UTC,
        Some(Ok(offset)) => TimeZone::fixed(offset),
        _ => zone.clone(),
    };
    civil.and_then(|civil| civil.to_zoned(zone)).map_err(|_| format!("parsing time {text:?}: out of range"))
}

fn read_fraction<'t>(rest: &'t str, separator: char, parts: &mut Parts) -> &'t str {
    let Some(tail) = rest.strip_prefix(separator) else { return rest };
    let after = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = tail.get(..tail.len() - after.len()).unwrap_or_default();
    parts.nanos = format!("{digits:0<9}").get(..9).and_then(|nine| nine.parse().ok()).unwrap_or(0);
    after
}

fn read_element<'t>(rest: &'t str, name: &str, parts: &mut Parts) -> Option<&'t str> {
    let short = |list: &[&str], len: Option<usize>| -> Option<(i8, &'t str)> {
        list.iter().enumerate().find_map(|(at, full)| {
            let shown = full.get(..len.unwrap_or(full.len()))?;
            let hit = rest.get(..shown.len()).is_some_and(|head| head.eq_ignore_ascii_case(shown));
            hit.then(|| (i8::try_from(at + 1).unwrap_or(1), rest.get(shown.len()..).unwrap_or_default()))
        })
    };
    let (value, after) = match name {
        "January" | "Jan" => {
            let (month, after) = short(&MONTHS, (name == "Jan").then_some(3))?;
            parts.month = month;
            return Some(after);
        }
        "Monday" | "Mon" => return short(&DAYS, (name == "Mon").then_some(3)).map(|(_, after)| after),
        "PM" | "pm" => {
            parts.afternoon = Some(rest.get(..2)?.eq_ignore_ascii_case("pm"));
            return rest.get(2..);
        }
        "MST" => {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_uppercase());
            if matches!(rest.get(..rest.len() - after.len()), Some("UTC" | "GMT")) {
                parts.offset = Some(0);
            }
            return Some(after);
        }
        "2006" => number(rest, 4, 4)?,
        "002" | "__2" => number(rest.trim_start(), 3, 3)?,
        "1" | "2" | "3" | "4" | "5" | "_2" => number(rest.trim_start(), 1, 2)?,
        _ if name.starts_with(['Z', '-']) => return read_offset(rest, parts),
        _ => number(rest, 2, 2)?,
    };
    let small = i8::try_from(value).ok();
    match name {
        "2006" => parts.year = i16::try_from(value).ok()?,
        "06" => parts.year = i16::try_from(if value >= 69 { 1900 + value } else { 2000 + value }).ok()?,
        "01" | "1" => parts.month = small?,
        "02" | "_2" | "2" => parts.day = small?,
        "15" | "03" | "3" => parts.hour = small?,
        "04" | "4" => parts.minute = small?,
        "05" | "5" => {
            parts.second = small?;
            // A fraction after the seconds is read even when the layout has none.
            if after.starts_with('.') && after.get(1..2).is_some_and(|c| c.as_bytes().iter().all(u8::is_ascii_digit)) {
                return Some(read_fraction(after, '.', parts));
            }
        }
        _ => {}
    }
    Some(after)
}

/// `Z`, or a sign with hours, minutes and perhaps seconds, with or without colons.
fn read_offset<'t>(rest: &'t str, parts: &mut Parts) -> Option<&'t str> {
    if let Some(after) = rest.strip_prefix('Z') {
        parts.offset = Some(0);
        return Some(after);
    }
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let (hours, mut after) = number(rest.strip_prefix(['+', '-'])?, 2, 2)?;
    let mut seconds = hours * 3600;
    for unit in [60, 1] {
        let tail = after.strip_prefix(':').unwrap_or(after);
        let Some((value, next)) = number(tail, 2, 2) else { break };
        seconds += value * unit;
        after = next;
    }
    parts.offset = Some(sign * seconds);
    Some(after)
}

/// A number of `least` to `most` digits.
fn number(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    Some((text.get(..digits)?.parse().ok()?, text.get(digits..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Zoned {
        // 2024-03-05 07:08:09.123 UTC, a Tuesday.
        crate::time::at_ms(1_709_622_489_123)
    }

    #[test]
    fn each_element_of_a_layout() {
        let shanghai = sample().with_time_zone(TimeZone::get("Asia/Shanghai").unwrap());
        for (layout, want) in [
            ("2006-01-02 15:04:05", "2024-03-05 15:08:09"),
            ("2006-01-02T15:04:05.000Z07:00", "2024-03-05T15:08:09.123+08:00"),
            ("2006-01-02T15:04:05.999999999Z07:00", "2024-03-05T15:08:09.123+08:00"),
            ("Mon Jan _2 15:04:05 MST 2006", "Tue Mar  5 15:08:09 CST 2024"),
            ("Monday, 02-Jan-06 3:04PM -0700", "Tuesday, 05-Mar-24 3:08PM +0800"),
            ("1/2 3:4:5 pm", "3/5 3:8:9 pm"),
            ("002 __2 05.00", "065  65 09.12"),
            ("2006年1月2日 15时04分", "2024年3月5日 15时08分"),
            ("Month", "Month"),
        ] {
            assert_eq!(format(&shanghai, layout), want, "{layout}");
        }
        assert_eq!(format(&sample(), "15:04Z07:00"), "07:08Z");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for layout in ["2006-01-02T15:04:05.999Z07:00", "Mon, 02 Jan 2006 15:04:05.000 -0700", "January 2 2006 3:04:05.000 PM MST"] {
            let text = format(&sample(), layout);
            assert_eq!(parse(layout, &text, &TimeZone::UTC).unwrap().timestamp(), sample().timestamp(), "{layout}");
        }
        assert!(parse("2006-01-02", "05.03.2024", &TimeZone::UTC).unwrap_err().contains("cannot parse"));
        assert!(parse("2006-01-02", "2024-02-31", &TimeZone::UTC).is_err());
    }
}
