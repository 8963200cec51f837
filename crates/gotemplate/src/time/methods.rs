//! The methods of `time.Time` and `time.Duration` that templates call.

use std::sync::Arc;

use jiff::{SignedDuration, Span, Timestamp, Zoned, tz::TimeZone};

use super::{ZERO_MS, display, duration_text, format};
use crate::value::{Object, Value};

/// A named number: `time.Month`, `time.Weekday`.
#[derive(Clone, Debug)]
struct Named {
    kind: &'static str,
    name: String,
    number: i64,
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.kind
    }

    fn method(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        (name == "String").then(|| Ok(Value::str(&self.name)))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int(self.number))
    }

    fn text(&self) -> Option<String> {
        Some(self.name.clone())
    }
}

/// A method of a time; `None` when there is no such method. `local` is the zone of `.Local`.
pub(crate) fn time_method(time: &Zoned, name: &str, args: &[Value], local: &TimeZone) -> Option<Result<Value, String>> {
    let int = |v: i64| Ok(Value::Int(v));
    let in_zone = |zone: TimeZone| Ok(Value::from(time.with_time_zone(zone)));
    Some(match name {
        "Format" => text_arg(args).map(|layout| Value::from(format(time, layout))),
        "String" => Ok(Value::from(display(time))),
        "UTC" => in_zone(TimeZone::UTC),
        "Local" => in_zone(local.clone()),
        "In" => text_arg(args).and_then(|zone| super::zone(zone, local)).and_then(in_zone),
        "Unix" => int(time.timestamp().as_second()),
        "UnixMilli" => int(time.timestamp().as_millisecond()),
        "UnixMicro" => int(time.timestamp().as_microsecond()),
        "UnixNano" => int(i64::try_from(time.timestamp().as_nanosecond()).unwrap_or(i64::MAX)),
        "Year" => int(time.year().into()),
        "Month" => Ok(Value::object(Named { kind: "time.Month", name: format(time, "January"), number: time.month().into() })),
        "Weekday" => {
            let number = time.weekday().to_sunday_zero_offset().into();
            Ok(Value::object(Named { kind: "time.Weekday", name: format(time, "Monday"), number }))
        }
        "Day" => int(time.day().into()),
        "YearDay" => int(time.day_of_year().into()),
        "Hour" => int(time.hour().into()),
        "Minute" => int(time.minute().into()),
        "Second" => int(time.second().into()),
        "Nanosecond" => int(time.subsec_nanosecond().into()),
        "IsZero" => Ok(Value::Bool(time.timestamp().as_millisecond() == ZERO_MS)),
        "Add" => int_arg(args, 0).and_then(|nanos| time.checked_add(SignedDuration::from_nanos(nanos)).map_err(|e| e.to_string())).map(Value::from),
        "AddDate" => add_date(time, args),
        "Sub" => time_arg(args).map(|other| Value::Duration(between(time.timestamp(), other.timestamp()))),
        "Before" => time_arg(args).map(|other| Value::Bool(time.timestamp() < other.timestamp())),
        "After" => time_arg(args).map(|other| Value::Bool(time.timestamp() > other.timestamp())),
        "Equal" => time_arg(args).map(|other| Value::Bool(time.timestamp() == other.timestamp())),
        "Truncate" | "Round" => int_arg(args, 0).map(|unit| Value::from(snapped(time, unit, name == "Round"))),
        _ => return None,
    })
}

/// A method of a duration; `None` when there is no such method.
pub(crate) fn duration_method(nanos: i64, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let float = |unit: f64| Ok(Value::Float(nanos as f64 / unit));
    Some(match name {
        "String" => Ok(Value::from(duration_text(nanos))),
        "Hours" => float(3.6e12),
        "Minutes" => float(6e10),
        "Seconds" => float(1e9),
        "Milliseconds" => Ok(Value::Int(nanos / 1_000_000)),
        "Microseconds" => Ok(Value::Int(nanos / 1_000)),
        "Nanoseconds" => Ok(Value::Int(nanos)),
        "Abs" => Ok(Value::Duration(nanos.saturating_abs())),
        "Truncate" => int_arg(args, 0).map(|unit| Value::Duration(if unit > 0 { nanos - nanos % unit } else { nanos })),
        "Round" => int_arg(args, 0).map(|unit| Value::Duration(rounded(nanos, unit))),
        _ => return None,
    })
}

/// Nanoseconds from `before` to `after`, saturating as Go does.
pub(super) fn between(after: Timestamp, before: Timestamp) -> i64 {
    let nanos = after.as_nanosecond() - before.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

fn add_date(time: &Zoned, args: &[Value]) -> Result<Value, String> {
    let (years, months, days) = (int_arg(args, 0)?, int_arg(args, 1)?, int_arg(args, 2)?);
    let span = Span::new().try_years(years).and_then(|s| s.try_months(months)).and_then(|s| s.try_days(days));
    span.and_then(|span| time.checked_add(span)).map(Value::from).map_err(|e| e.to_string())
}

/// `time` at a multiple of `unit` nanoseconds since Go's zero time.
fn snapped(time: &Zoned, unit: i64, to_nearest: bool) -> Zoned {
    if unit <= 0 {
        return time.clone();
    }
    let unit = i128::from(unit);
    let since_zero = time.timestamp().as_nanosecond() - i128::from(ZERO_MS) * 1_000_000;
    let below = since_zero.rem_euclid(unit);
    let up = to_nearest && below * 2 >= unit;
    let moved = time.timestamp().as_nanosecond() - below + if up { unit } else { 0 };
    Timestamp::from_nanosecond(moved).map_or_else(|_| time.clone(), |moment| moment.to_zoned(time.time_zone().clone()))
}

fn rounded(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanos;
    }
    let below = nanos % unit;
    let down = nanos - below;
    if below.unsigned_abs() * 2 >= unit.unsigned_abs() { down.saturating_add(unit * nanos.signum()) } else { down }
}

fn text_arg(args: &[Value]) -> Result<&str, String> {
    let first = args.first().ok_or("wrong number of args: want 1 got 0")?;
    first.as_str().ok_or_else(|| format!("wrong type for value; expected string; got {}", first.type_name()))
}

fn int_arg(args: &[Value], at: usize) -> Result<i64, String> {
    let arg = args.get(at).ok_or_else(|| format!("wrong number of args: want {} got {}", at + 1, args.len()))?;
    arg.as_int().ok_or_else(|| format!("wrong type for value; expected int64; got {}", arg.type_name()))
}

fn time_arg(args: &[Value]) -> Result<&Arc<Zoned>, String> {
    match args.first() {
        Some(Value::Time(time)) => Ok(time),
        Some(other) => Err(format!("wrong type for value; expected time.Time; got {}", other.type_name())),
        None => Err("wrong number of args: want 1 got 0".to_owned()),
    }
}
