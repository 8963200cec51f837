//! Go's builtin functions (<https://pkg.go.dev/text/template#hdr-Functions>); `and` and `or` are also known to the executor, which skips what they need not evaluate.

use std::cmp::Ordering;

use crate::functions::{Arity, Functions};
use crate::value::Value;
use crate::{escape, format};

const NO_COMPARISON: &str = "invalid type for comparison";

/// Adds all of them.
pub(crate) fn add(table: &mut Functions) {
    table.insert("and", Arity::at_least(1), |_, args| Ok(args.iter().find(|v| !v.is_true()).or(args.last()).cloned().unwrap_or_default()));
    table.insert("or", Arity::at_least(1), |_, args| Ok(args.iter().find(|v| v.is_true()).or(args.last()).cloned().unwrap_or_default()));
    table.insert("not", Arity::exactly(1), |_, args| Ok(Value::Bool(!args.iter().any(Value::is_true))));
    table.insert("len", Arity::exactly(1), |_, args| length(args.first().unwrap_or(&Value::Nil)).map(Value::from));
    table.insert("index", Arity::at_least(1), |_, args| index(args));
    table.insert("slice", Arity::between(1, 4), |_, args| slice(args));
    table.insert("call", Arity::at_least(1), |_, args| {
        let first = args.first().unwrap_or(&Value::Nil);
        Err(format!("non-function {} of type {}", format::print_value(first), first.type_name()))
    });
    table.insert("print", Arity::at_least(0), |_, args| Ok(Value::from(format::sprint(args))));
    table.insert("println", Arity::at_least(0), |_, args| Ok(Value::from(format::sprintln(args))));
    table.insert("printf", Arity::at_least(1), |_, args| {
        let (first, rest) = args.split_first().ok_or_else(|| "missing format".to_owned())?;
        let text = crate::functions::text(std::slice::from_ref(first), 0)?;
        Ok(Value::from(format::sprintf(text, rest)))
    });
    table.insert("html", Arity::at_least(0), |_, args| Ok(Value::from(escape::html(&joined(args)))));
    table.insert("js", Arity::at_least(0), |_, args| Ok(Value::from(escape::js(&joined(args)))));
    table.insert("urlquery", Arity::at_least(0), |_, args| Ok(Value::from(escape::url_query(&joined(args)))));
    add_comparisons(table);
}

fn add_comparisons(table: &mut Functions) {
    table.insert("eq", Arity::at_least(1), |_, args| {
        let (first, rest) = args.split_first().ok_or("missing argument for comparison")?;
        if rest.is_empty() {
            return Err("missing argument for comparison".to_owned());
        }
        for other in rest {
            if equal(first, other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    });
    let two = Arity::exactly(2);
    table.insert("ne", two, |_, args| pair(args).and_then(|(a, b)| equal(a, b)).map(|same| Value::Bool(!same)));
    table.insert("lt", two, |_, args| compare(args).map(|found| Value::Bool(found == Some(Ordering::Less))));
    table.insert("le", two, |_, args| compare(args).map(|found| Value::Bool(matches!(found, Some(Ordering::Less | Ordering::Equal)))));
    table.insert("gt", two, |_, args| compare(args).map(|found| Value::Bool(found == Some(Ordering::Greater))));
    table.insert("ge", two, |_, args| compare(args).map(|found| Value::Bool(matches!(found, Some(Ordering::Greater | Ordering::Equal)))));
}

/// The arguments as one text: a single string as it is, else as `print` does.
fn joined(args: &[Value]) -> String {
    match args {
        [Value::Str(text) | Value::Html(text)] => text.to_string(),
        _ => format::sprint(args),
    }
}

fn length(value: &Value) -> Result<usize, String> {
    match value.data() {
        Value::Str(text) | Value::Html(text) => Ok(text.len()),
        Value::List(items) => Ok(items.len()),
        Value::Map(map) => Ok(map.entries.len()),
        Value::Nil => Err("len of nil pointer".to_owned()),
        _ => Err(format!("len of type {}", value.type_name())),
    }
}

fn index(args: &[Value]) -> Result<Value, String> {
    let (first, keys) = args.split_first().ok_or("index of untyped nil")?;
    let mut at = first.clone();
    for key in keys {
        at = match at.data() {
            Value::List(items) => items.get(position(key, items.len(), items.len())?).cloned().unwrap_or_default(),
            Value::Str(text) => {
                let byte = position(key, text.len(), text.len())?;
                Value::Int(text.as_bytes().get(byte).copied().unwrap_or_default().into())
            }
            Value::Map(map) => {
                let name = key.as_str().ok_or_else(|| format!("value has type {}; should be string", key.type_name()))?;
                map.get(name)
            }
            Value::Nil => return Err("index of untyped nil".to_owned()),
            _ => return Err(format!("can't index item of type {}", at.type_name())),
        };
    }
    Ok(at)
}

/// `key` as an index below `len` (up to `most` inclusive when that is larger than the last index).
fn position(key: &Value, len: usize, most: usize) -> Result<usize, String> {
    let Value::Int(wanted) = key else {
        return Err(match key {
            Value::Nil => "cannot index slice/array with nil".to_owned(),
            other => format!("cannot index slice/array with type {}", other.type_name()),
        });
    };
    let inclusive = most > len;
    match usize::try_from(*wanted) {
        Ok(at) if at < len || (inclusive && at == len) => Ok(at),
        _ => Err(format!("index out of range: {wanted}")),
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let (item, bounds) = args.split_first().ok_or("slice of untyped nil")?;
    let data = item.data();
    let len = match &data {
        Value::Str(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        _ => return Err(format!("can't slice item of type {}", item.type_name())),
    };
    if bounds.len() == 3 && matches!(data, Value::Str(_)) {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let bound = |at: usize, default: usize| bounds.get(at).map_or(Ok(default), |key| position(key, len, len + 1));
    let (start, end) = (bound(0, 0)?, bound(1, len)?);
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match data {
        Value::Str(text) => Ok(Value::from(String::from_utf8_lossy(text.as_bytes().get(start..end).unwrap_or_default()).into_owned())),
        Value::List(items) => Ok(Value::List(items.get(start..end).unwrap_or_default().into())),
        other => Ok(other),
    }
}

fn pair(args: &[Value]) -> Result<(&Value, &Value), String> {
    match args {
        [a, b] => Ok((a, b)),
        _ => Err("missing argument for comparison".to_owned()),
    }
}

/// Go's `eq`: only values of one basic kind can be compared, an int never with a float.
#[expect(clippy::float_cmp, reason = "this is the template language's own equality of floats")]
fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Str(a) | Value::Html(a), Value::Str(b) | Value::Html(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a.timestamp() == b.timestamp()),
        (Value::Object(_), _) | (_, Value::Object(_)) => match (named_number(a), named_number(b)) {
            (Some(a), Some(b)) => Ok(a == b),
            _ => Err(NO_COMPARISON.to_owned()),
        },
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => Err(NO_COMPARISON.to_owned()),
        _ => Err(incompatible(a, b)),
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

/// The number under a month or weekday.
fn named_number(value: &Value) -> Option<i64> {
    match value.data() {
        Value::Int(v) => Some(v),
        _ => None,
    }
}

fn compare(args: &[Value]) -> Result<Option<Ordering>, String> {
    let (a, b) = pair(args)?;
    match (a, b) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Str(a) | Value::Html(a), Value::Str(b) | Value::Html(b)) => Ok(Some(a.cmp(b))),
        (Value::Object(_), _) | (_, Value::Object(_)) => match (named_number(a), named_number(b)) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ => Err(NO_COMPARISON.to_owned()),
        },
        (Value::Int(_) | Value::Duration(_) | Value::Float(_) | Value::Str(_) | Value::Html(_), Value::Int(_) | Value::Float(_) | Value::Str(_)) => {
            Err(incompatible(a, b))
        }
        _ => Err(NO_COMPARISON.to_owned()),
    }
}
