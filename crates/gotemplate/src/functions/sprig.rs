//! The common functions of the sprig library that DingTalk templates use: text, defaults, lists, numbers, times. Nothing that reads the environment.

use super::arguments::{get, int, list, number, shown, text};
use super::prometheus::pattern;
use super::{Arity, Functions, encode};
use crate::value::Value;
use crate::{escape, format, time as go_time};

/// The longest text `repeat` makes, in bytes.
const REPEAT_MAX: usize = 1 << 16;

pub(super) fn add(table: &mut Functions) {
    table.insert("markdown", Arity::exactly(1), |_, args| Ok(Value::from(escape::markdown(text(args, 0)?))));
    add_trimming(table);
    add_shaping(table);
    add_defaults(table);
    add_lists(table);
    add_numbers(table);
    add_times(table);
}

fn add_trimming(table: &mut Functions) {
    let (one, two) = (Arity::exactly(1), Arity::exactly(2));
    table.insert("trim", one, |_, args| Ok(Value::str(text(args, 0)?.trim())));
    table.insert("trimAll", two, |_, args| Ok(Value::str(text(args, 1)?.trim_matches(|c| text(args, 0).is_ok_and(|cut| cut.contains(c))))));
    table.insert("trimPrefix", two, |_, args| Ok(Value::str(text(args, 1)?.strip_prefix(text(args, 0)?).unwrap_or(text(args, 1)?))));
    table.insert("trimSuffix", two, |_, args| Ok(Value::str(text(args, 1)?.strip_suffix(text(args, 0)?).unwrap_or(text(args, 1)?))));
    table.insert("nospace", one, |_, args| Ok(Value::from(text(args, 0)?.chars().filter(|c| !c.is_whitespace()).collect::<String>())));
    table.insert("trunc", two, |_, args| {
        let (wanted, whole) = (int(args, 0)?, text(args, 1)?);
        let count = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX);
        let skipped = if wanted < 0 { whole.chars().count().saturating_sub(count) } else { 0 };
        Ok(Value::from(whole.chars().skip(skipped).take(count).collect::<String>()))
    });
    table.insert("abbrev", two, |_, args| {
        let (width, whole) = (usize::try_from(int(args, 0)?).unwrap_or(0), text(args, 1)?);
        if width < 4 || whole.chars().count() <= width {
            return Ok(Value::str(whole));
        }
        Ok(Value::from(whole.chars().take(width - 3).collect::<String>() + "..."))
    });
    table.insert("substr", Arity::exactly(3), |_, args| {
        let (start, end, whole) = (usize::try_from(int(args, 0)?).unwrap_or(0), usize::try_from(int(args, 1)?).unwrap_or(usize::MAX), text(args, 2)?);
        Ok(Value::from(whole.chars().take(end).skip(start).collect::<String>()))
    });
}

fn add_shaping(table: &mut Functions) {
    let (one, two) = (Arity::exactly(1), Arity::exactly(2));
    table.insert("upper", one, |_, args| Ok(Value::from(text(args, 0)?.to_uppercase())));
    table.insert("lower", one, |_, args| Ok(Value::from(text(args, 0)?.to_lowercase())));
    table.insert("contains", two, |_, args| Ok(Value::Bool(text(args, 1)?.contains(text(args, 0)?))));
    table.insert("hasPrefix", two, |_, args| Ok(Value::Bool(text(args, 1)?.starts_with(text(args, 0)?))));
    table.insert("hasSuffix", two, |_, args| Ok(Value::Bool(text(args, 1)?.ends_with(text(args, 0)?))));
    table.insert("replace", Arity::exactly(3), |_, args| Ok(Value::from(text(args, 2)?.replace(text(args, 0)?, text(args, 1)?))));
    table.insert("regexMatch", two, |_, args| Ok(Value::Bool(pattern(text(args, 0)?)?.is_match(text(args, 1)?))));
    table.insert("regexReplaceAll", Arity::exactly(3), |_, args| {
        Ok(Value::from(pattern(text(args, 0)?)?.replace_all(text(args, 1)?, text(args, 2)?).into_owned()))
    });
    table.insert("quote", Arity::at_least(0), |_, args| Ok(Value::from(each_shown(args, format::quote))));
    table.insert("squote", Arity::at_least(0), |_, args| Ok(Value::from(each_shown(args, |part| format!("'{part}'")))));
    table.insert("cat", Arity::at_least(0), |_, args| Ok(Value::from(each_shown(args, str::to_owned))));
    table.insert("repeat", two, |_, args| {
        let whole = text(args, 1)?;
        let count = usize::try_from(int(args, 0)?).unwrap_or(0).min(REPEAT_MAX / whole.len().max(1));
        Ok(Value::from(whole.repeat(count)))
    });
    table.insert("indent", two, |_, args| Ok(Value::from(indented(int(args, 0)?, text(args, 1)?))));
    table.insert("nindent", two, |_, args| Ok(Value::from(format!("\n{}", indented(int(args, 0)?, text(args, 1)?)))));
    table.insert("plural", Arity::exactly(3), |_, args| Ok(Value::str(if int(args, 2)? == 1 { text(args, 0)? } else { text(args, 1)? })));
    table.insert("b64enc", one, |_, args| Ok(Value::from(encode::base64(text(args, 0)?.as_bytes()))));
    table.insert("b64dec", one, |_, args| encode::from_base64(text(args, 0)?).map(Value::from));
}

/// Each argument as text, shaped, with blanks between.
fn each_shown(args: &[Value], shape: impl Fn(&str) -> String) -> String {
    args.iter().filter(|arg| !matches!(arg, Value::Nil)).map(|arg| shape(&shown(arg))).collect::<Vec<_>>().join(" ")
}

fn indented(blanks: i64, text: &str) -> String {
    let pad = " ".repeat(usize::try_from(blanks).unwrap_or(0).min(REPEAT_MAX));
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}

fn add_defaults(table: &mut Functions) {
    table.insert("default", Arity::between(1, 2), |_, args| {
        Ok(args.get(1).filter(|given| given.is_true()).or(args.first()).cloned().unwrap_or_default())
    });
    table.insert("empty", Arity::exactly(1), |_, args| Ok(Value::Bool(!get(args, 0)?.is_true())));
    table.insert("coalesce", Arity::at_least(0), |_, args| Ok(args.iter().find(|v| v.is_true()).cloned().unwrap_or_default()));
    table.insert("ternary", Arity::exactly(3), |_, args| {
        Ok(if get(args, 2)?.is_true() { args.first() } else { args.get(1) }.cloned().unwrap_or_default())
    });
    table.insert("toString", Arity::exactly(1), |_, args| Ok(Value::from(shown(get(args, 0)?))));
}

fn add_lists(table: &mut Functions) {
    let (one, two) = (Arity::exactly(1), Arity::exactly(2));
    table.insert("toStrings", one, |_, args| Ok(Value::list_of(list(args, 0)?.iter().map(shown))));
    table.insert("splitList", two, |_, args| Ok(Value::list_of(text(args, 1)?.split(text(args, 0)?))));
    table.insert("split", two, |_, args| {
        let parts: Vec<(String, &str)> = text(args, 1)?.split(text(args, 0)?).enumerate().map(|(at, part)| (format!("_{at}"), part)).collect();
        Ok(Value::strings(parts))
    });
    table.insert("first", one, |_, args| Ok(list(args, 0)?.first().cloned().unwrap_or_default()));
    table.insert("last", one, |_, args| Ok(list(args, 0)?.last().cloned().unwrap_or_default()));
    table.insert("rest", one, |_, args| Ok(Value::list(list(args, 0)?.iter().skip(1).cloned())));
    table.insert("initial", one, |_, args| {
        let items = list(args, 0)?;
        Ok(Value::list(items.iter().take(items.len().saturating_sub(1)).cloned()))
    });
    table.insert("reverse", one, |_, args| Ok(Value::list(list(args, 0)?.iter().rev().cloned())));
    table.insert("has", two, |_, args| Ok(Value::Bool(list(args, 1)?.iter().any(|item| shown(item) == get(args, 0).map(shown).unwrap_or_default()))));
    table.insert("without", Arity::at_least(1), |_, args| {
        let gone: Vec<String> = args.iter().skip(1).map(shown).collect();
        Ok(Value::list(list(args, 0)?.iter().filter(|item| !gone.contains(&shown(item))).cloned()))
    });
    table.insert("uniq", one, |_, args| {
        let mut seen = std::collections::BTreeSet::new();
        Ok(Value::list(list(args, 0)?.iter().filter(|item| seen.insert(shown(item))).cloned()))
    });
    table.insert("sortAlpha", one, |_, args| {
        let mut items: Vec<String> = list(args, 0)?.iter().map(shown).collect();
        items.sort();
        Ok(Value::list_of(items))
    });
    table.insert("get", two, |_, args| match get(args, 0)?.data() {
        Value::Map(map) => Ok(map.entries.get(text(args, 1)?).cloned().unwrap_or_else(|| Value::str(""))),
        other => Err(super::arguments::wrong("map[string]interface {}", &other)),
    });
    table.insert("hasKey", two, |_, args| match get(args, 0)?.data() {
        Value::Map(map) => Ok(Value::Bool(map.entries.contains_key(text(args, 1)?))),
        other => Err(super::arguments::wrong("map[string]interface {}", &other)),
    });
    table.insert("keys", one, |_, args| match get(args, 0)?.data() {
        Value::Map(map) => Ok(Value::list_of(map.entries.keys())),
        other => Err(super::arguments::wrong("map[string]interface {}", &other)),
    });
}

fn add_numbers(table: &mut Functions) {
    let (one, two) = (Arity::exactly(1), Arity::exactly(2));
    table.insert("int", one, |_, args| number(get(args, 0)?).map(toward_zero));
    table.insert("int64", one, |_, args| number(get(args, 0)?).map(toward_zero));
    table.insert("float64", one, |_, args| number(get(args, 0)?).map(Value::Float));
    table.insert("atoi", one, |_, args| Ok(Value::Int(text(args, 0)?.parse().unwrap_or(0))));
    table.insert("add", Arity::at_least(1), |_, args| {
        (0..args.len()).try_fold(0i64, |sum, at| Ok(sum.saturating_add(int(args, at)?))).map(Value::Int)
    });
    table.insert("mul", Arity::at_least(1), |_, args| {
        (0..args.len()).try_fold(1i64, |all, at| Ok(all.saturating_mul(int(args, at)?))).map(Value::Int)
    });
    table.insert("sub", two, |_, args| Ok(Value::Int(int(args, 0)?.saturating_sub(int(args, 1)?))));
    table.insert("div", two, |_, args| int(args, 0)?.checked_div(int(args, 1)?).map(Value::Int).ok_or_else(|| "integer divide by zero".to_owned()));
    table.insert("mod", two, |_, args| int(args, 0)?.checked_rem(int(args, 1)?).map(Value::Int).ok_or_else(|| "integer divide by zero".to_owned()));
    table.insert("max", Arity::at_least(1), |_, args| (0..args.len()).try_fold(i64::MIN, |most, at| Ok(most.max(int(args, at)?))).map(Value::Int));
    table.insert("min", Arity::at_least(1), |_, args| (0..args.len()).try_fold(i64::MAX, |least, at| Ok(least.min(int(args, at)?))).map(Value::Int));
    table.insert("floor", one, |_, args| Ok(Value::Float(number(get(args, 0)?)?.floor())));
    table.insert("ceil", one, |_, args| Ok(Value::Float(number(get(args, 0)?)?.ceil())));
    table.insert("round", two, |_, args| {
        let scale = 10f64.powi(i32::try_from(int(args, 1)?).unwrap_or(0));
        Ok(Value::Float((number(get(args, 0)?)? * scale).round() / scale))
    });
}

/// The integer part, saturating.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what a text for people needs")]
fn toward_zero(v: f64) -> Value {
    Value::Int(v as i64)
}

fn add_times(table: &mut Functions) {
    table.insert("dateInZone", Arity::exactly(3), |env, args| {
        let zone = go_time::zone(text(args, 2)?, &env.local)?;
        Ok(Value::from(go_time::format(&moment(get(args, 1)?, &env.local)?.with_time_zone(zone), text(args, 0)?)))
    });
    table.insert("date", Arity::exactly(2), |env, args| Ok(Value::from(go_time::format(&moment(get(args, 1)?, &env.local)?, text(args, 0)?))));
    table.insert("unixEpoch", Arity::exactly(1), |env, args| Ok(Value::from(moment(get(args, 0)?, &env.local)?.timestamp().as_second().to_string())));
    table.insert("ago", Arity::exactly(1), |env, args| {
        let nanos = go_time::since(env.now, &moment(get(args, 0)?, &env.local)?);
        Ok(Value::from(go_time::duration_text(nanos / 1_000_000_000 * 1_000_000_000)))
    });
    table.insert("duration", Arity::exactly(1), |_, args| {
        let Value::Int(seconds) = toward_zero(number(get(args, 0)?)?) else { return Ok(Value::Nil) };
        Ok(Value::from(go_time::duration_text(seconds.saturating_mul(1_000_000_000))))
    });
}

/// A time, or unix seconds as one.
fn moment(value: &Value, local: &jiff::tz::TimeZone) -> Result<jiff::Zoned, String> {
    match value {
        Value::Time(time) => Ok((**time).clone()),
        Value::Int(seconds) => Ok(go_time::at_ms(seconds.saturating_mul(1000)).with_time_zone(local.clone())),
        other => Err(super::arguments::wrong("time.Time", other)),
    }
}
