//! The functions of notification templates (Alertmanager documentation, "Notification template reference").

use super::arguments::{get, list, number, shown, text, time};
use super::{Arity, Functions, encode, humanize, prometheus};
use crate::value::Value;
use crate::{escape, time as go_time};

pub(super) fn add(table: &mut Functions) {
    prometheus::add_text(table);
    table.declare("routeLabels");
    // Unlike Prometheus's, which leaves the rest of each word as it is.
    table.insert("title", Arity::exactly(1), |_, args| Ok(Value::from(prometheus::title(&text(args, 0)?.to_lowercase()))));
    let one = Arity::exactly(1);
    table.insert("trimSpace", one, |_, args| Ok(Value::str(text(args, 0)?.trim())));
    table.insert("join", Arity::exactly(2), |_, args| {
        let parts: Vec<String> = list(args, 1)?.iter().map(shown).collect();
        Ok(Value::from(parts.join(text(args, 0)?)))
    });
    table.insert("safeHtml", one, |_, args| Ok(Value::Html(text(args, 0)?.into())));
    table.insert("safeUrl", one, |_, args| Ok(Value::Html(escape::html(text(args, 0)?).into())));
    table.insert("urlUnescape", one, |_, args| {
        escape::url_unescape(text(args, 0)?).map(Value::from).ok_or_else(|| format!("invalid URL escape in {:?}", text(args, 0).unwrap_or_default()))
    });
    table.insert("stringSlice", Arity::at_least(0), |_, args| Ok(Value::list(args.iter().cloned())));
    table.insert("list", Arity::at_least(0), |_, args| Ok(Value::list(args.iter().cloned())));
    table.insert("append", Arity::at_least(1), |_, args| Ok(Value::list(list(args, 0)?.iter().chain(args.iter().skip(1)).cloned())));
    table.insert("dict", Arity::at_least(0), |_, args| dict(args));
    table.insert("toJson", one, |_, args| Ok(Value::from(encode::json(get(args, 0)?))));
    table.insert("base64encode", one, |_, args| Ok(Value::from(encode::base64(text(args, 0)?.as_bytes()))));
    table.insert("base64decode", one, |_, args| encode::from_base64(text(args, 0)?).map(Value::from));
    add_times(table);
}

fn add_times(table: &mut Functions) {
    table.insert("humanizeDuration", Arity::exactly(1), |_, args| Ok(Value::from(humanize::humanize_duration(number(get(args, 0)?)?))));
    table.insert("date", Arity::exactly(2), |_, args| Ok(Value::from(go_time::format(time(args, 1)?, text(args, 0)?))));
    table.insert("tz", Arity::exactly(2), |env, args| {
        let zone = go_time::zone(text(args, 0)?, &env.local)?;
        Ok(Value::from(time(args, 1)?.with_time_zone(zone)))
    });
    table.insert("now", Arity::exactly(0), |env, _| Ok(Value::from(env.now.to_zoned(env.local.clone()))));
    table.insert("since", Arity::exactly(1), |env, args| Ok(Value::Duration(go_time::since(env.now, time(args, 0)?))));
    table.insert("toDate", Arity::exactly(2), |env, args| {
        Ok(go_time::parse(text(args, 0)?, text(args, 1)?, &env.local).map_or_else(|_| Value::time_ms(go_time::ZERO_MS), Value::from))
    });
    table.insert("mustToDate", Arity::exactly(2), |env, args| go_time::parse(text(args, 0)?, text(args, 1)?, &env.local).map(Value::from));
}

/// Keys and values by turns.
fn dict(args: &[Value]) -> Result<Value, String> {
    let mut entries = Vec::with_capacity(args.len() / 2);
    for pair in args.chunks(2) {
        let key = text(pair, 0)?;
        entries.push((key, pair.get(1).cloned().unwrap_or_else(|| Value::str(""))));
    }
    Ok(Value::map(entries))
}
