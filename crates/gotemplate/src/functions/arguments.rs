//! Arguments of functions, in the types they expect.

use std::sync::Arc;

use jiff::Zoned;

use crate::Value;
use crate::format::print_value;

/// How messages about an argument of the wrong type begin (Go reports them without naming the function).
pub(crate) const WRONG_TYPE: &str = "wrong type for value; expected ";

/// The string at `at`.
pub(crate) fn text(args: &[Value], at: usize) -> Result<&str, String> {
    let value = get(args, at)?;
    value.as_str().ok_or_else(|| wrong("string", value))
}

/// The value at `at`.
pub(super) fn get(args: &[Value], at: usize) -> Result<&Value, String> {
    args.get(at).ok_or_else(|| format!("missing argument {}", at + 1))
}

/// The whole number at `at`.
pub(super) fn int(args: &[Value], at: usize) -> Result<i64, String> {
    let value = get(args, at)?;
    value.as_int().ok_or_else(|| wrong("int", value))
}

/// The items of the list at `at`.
pub(super) fn list(args: &[Value], at: usize) -> Result<Arc<[Value]>, String> {
    match get(args, at)?.data() {
        Value::List(items) => Ok(items),
        Value::Nil => Ok(Arc::from([])),
        other => Err(wrong("[]interface {}", &other)),
    }
}

/// The time at `at`.
pub(super) fn time(args: &[Value], at: usize) -> Result<&Arc<Zoned>, String> {
    match get(args, at)? {
        Value::Time(time) => Ok(time),
        other => Err(wrong("time.Time", other)),
    }
}

pub(super) fn wrong(expected: &str, got: &Value) -> String {
    format!("{WRONG_TYPE}{expected}; got {}", got.type_name())
}

/// A number from a number, a duration (in seconds) or a string that is one (Prometheus's conversion).
pub(super) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(v) => Ok(*v),
        Value::Int(v) => Ok(*v as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Str(text) => go_float(text).ok_or_else(|| format!("strconv.ParseFloat: parsing {}: invalid syntax", crate::format::quote(text))),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

/// A float as Go reads one.
fn go_float(text: &str) -> Option<f64> {
    let plain = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let named = matches!(plain.as_str(), "inf" | "infinity" | "nan");
    let numeric = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if named || numeric { text.parse().ok() } else { None }
}

/// Any value as text: a string itself, else as printed.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| print_value(value), str::to_owned)
}
