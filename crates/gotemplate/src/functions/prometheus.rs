//! The functions of rule annotations and labels (Prometheus documentation, "Template reference").

use std::net::IpAddr;

use regex::{Regex, RegexBuilder};

use super::arguments::{get, list, number, text};
use super::{Arity, Functions, humanize};
use crate::value::Value;
use crate::{escape, time};

/// The most memory a compiled pattern may take, in bytes.
const PATTERN_SIZE_MAX: usize = 1 << 20;

pub(super) fn add(table: &mut Functions) {
    for name in ["query", "externalURL", "pathPrefix"] {
        table.declare(name);
    }
    add_samples(table);
    add_numbers(table);
    add_text(table);
    let one = Arity::exactly(1);
    table.insert("graphLink", one, |_, args| Ok(Value::from(format!("/graph?g0.expr={}&g0.tab=0", escape::url_query(text(args, 0)?)))));
    table.insert("tableLink", one, |_, args| Ok(Value::from(format!("/graph?g0.expr={}&g0.tab=1", escape::url_query(text(args, 0)?)))));
    table.insert("urlQueryEscape", one, |_, args| Ok(Value::from(escape::url_query(text(args, 0)?))));
    table.insert("safeHtml", one, |_, args| Ok(Value::Html(text(args, 0)?.into())));
    table.insert("args", Arity::at_least(0), |_, args| {
        let names: Vec<String> = (0..args.len()).map(|at| format!("arg{at}")).collect();
        Ok(Value::map(names.iter().zip(args).map(|(name, value)| (name, value.clone()))))
    });
}

/// What works on the result of `query`: records with `Labels` and `Value`.
fn add_samples(table: &mut Functions) {
    table.insert("first", Arity::exactly(1), |_, args| {
        list(args, 0)?.first().cloned().ok_or_else(|| "first() called on vector with no elements".to_owned())
    });
    table.insert("label", Arity::exactly(2), |_, args| label_of(get(args, 1)?, text(args, 0)?));
    table.insert("value", Arity::exactly(1), |_, args| field(get(args, 0)?, "Value"));
    table.insert("strvalue", Arity::exactly(1), |_, args| label_of(get(args, 0)?, "__value__"));
    table.insert("sortByLabel", Arity::exactly(2), |_, args| {
        let name = text(args, 0)?;
        let mut samples = list(args, 1)?.to_vec();
        let key = |sample: &Value| label_of(sample, name).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        samples.sort_by_key(key);
        Ok(Value::from(samples))
    });
}

fn add_numbers(table: &mut Functions) {
    let one = Arity::exactly(1);
    table.insert("humanize", one, |_, args| Ok(Value::from(humanize::humanize(number(get(args, 0)?)?))));
    table.insert("humanize1024", one, |_, args| Ok(Value::from(humanize::humanize1024(number(get(args, 0)?)?))));
    table.insert("humanizeDuration", one, |_, args| Ok(Value::from(humanize::humanize_duration(number(get(args, 0)?)?))));
    table.insert("humanizePercentage", one, |_, args| Ok(Value::from(humanize::humanize_percentage(number(get(args, 0)?)?))));
    table.insert("humanizeTimestamp", one, |_, args| humanize::humanize_timestamp(number(get(args, 0)?)?).map(Value::from));
    table.insert("toTime", one, |_, args| humanize::to_time(number(get(args, 0)?)?).map(Value::from));
    table.insert("toDuration", one, |_, args| duration(number(get(args, 0)?)?));
    table.insert("now", Arity::exactly(0), |env, _| Ok(Value::Float(env.now.as_millisecond() as f64 / 1e3)));
    table.insert("parseDuration", one, |_, args| Ok(Value::Float(time::parse_duration(text(args, 0)?)? as f64 / 1e3)));
}

/// Functions on text that Alertmanager has as well.
pub(super) fn add_text(table: &mut Functions) {
    let one = Arity::exactly(1);
    table.insert("toUpper", one, |_, args| Ok(Value::from(text(args, 0)?.to_uppercase())));
    table.insert("toLower", one, |_, args| Ok(Value::from(text(args, 0)?.to_lowercase())));
    table.insert("title", one, |_, args| Ok(Value::from(title(text(args, 0)?))));
    table.insert("match", Arity::exactly(2), |_, args| Ok(Value::Bool(pattern(text(args, 0)?)?.is_match(text(args, 1)?))));
    table.insert("reReplaceAll", Arity::exactly(3), |_, args| {
        Ok(Value::from(pattern(text(args, 0)?)?.replace_all(text(args, 2)?, text(args, 1)?).into_owned()))
    });
    table.insert("stripPort", one, |_, args| Ok(Value::str(strip_port(text(args, 0)?))));
    table.insert("stripDomain", one, |_, args| Ok(Value::from(strip_domain(text(args, 0)?))));
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn duration(seconds: f64) -> Result<Value, String> {
    let nanos = seconds * 1e9;
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&nanos) {
        Ok(Value::Duration(nanos as i64))
    } else {
        Err(format!("{} cannot be represented as a nanoseconds duration", crate::format::float(seconds, 'g', None)))
    }
}

fn field(sample: &Value, name: &str) -> Result<Value, String> {
    let found = if let Value::Object(object) = sample { object.field(name) } else { None };
    found.ok_or_else(|| super::arguments::wrong("*template.sample", sample))
}

fn label_of(sample: &Value, name: &str) -> Result<Value, String> {
    match field(sample, "Labels")?.data() {
        Value::Map(labels) => Ok(labels.get(name)),
        other => Err(super::arguments::wrong("map[string]string", &other)),
    }
}

/// A pattern in Go's syntax, unanchored.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(PATTERN_SIZE_MAX).build();
    built.map_err(|error| format!("error parsing regexp: {}", error.to_string().lines().last().unwrap_or_default()))
}

/// The first letter of each word in upper case, the rest as it was.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    out
}

/// Host and port of `host:port` or `[host]:port`; `None` for anything else.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inside) => Some((inside.strip_suffix(']')?, port)),
        None if host.contains([':', ']', '[']) => None,
        None => Some((host, port)),
    }
}

fn strip_port(text: &str) -> &str {
    split_port(text).map_or(text, |(host, _)| host)
}

fn strip_domain(text: &str) -> String {
    let (host, port) = split_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let first = host.split('.').next().unwrap_or(host);
    if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") }
}
