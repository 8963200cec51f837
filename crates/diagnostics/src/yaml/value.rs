//! A value that the key does not take: what it is and what was expected, in words of both languages.

use serde_saphyr::Error;

use crate::{Diagnostic, Place, Text};

/// The finding `E004` behind the reader's error.
pub(super) fn mistake(error: &Error, place: Option<Place>, text: &str) -> Diagnostic {
    let written = place.map(|place| at(text, place)).unwrap_or_default();
    match error {
        Error::SerdeInvalidType { unexpected, expected, .. } | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            found(&kind(unexpected)).expected(wanted(expected))
        }
        Error::Unexpected { expected, .. } => mapping_or_list(&written, wanted(expected)),
        Error::InvalidBooleanStrict { .. } => found(&Text::same(format!("`{written}`"))).expected(wanted("a boolean")),
        Error::InvalidScalar { ty, .. } => found(&Text::same(format!("`{written}`"))).expected(wanted(ty)),
        Error::NullIntoString { .. } => found(&Text::new("nothing", "空值")).expected(wanted("a string")),
        other => said(&super::words(other)),
    }
}

/// A mapping or list where a single value was expected, or the other way round.
fn mapping_or_list(written: &str, wanted: Text) -> Diagnostic {
    let what = match written.chars().next() {
        Some('{') => Text::new("a mapping", "映射"),
        Some('[' | '-') => Text::new("a list", "列表"),
        None => Text::new("nothing", "空值"),
        Some(_) => Text::same(format!("`{written}`")),
    };
    let finding = found(&what).expected(wanted);
    if written.starts_with(['{', '[']) {
        return finding.hint(Text::new("a value that begins with `{` or `[` needs quotes: '…'", "以 `{` 或 `[` 开头的值需要加引号：'…'"));
    }
    if written.contains('：') {
        return finding.hint(Text::new("this colon is full-width; write `:` and a space", "此处是全角冒号；请写半角 `:` 加空格"));
    }
    finding
}

fn found(what: &Text) -> Diagnostic {
    let space = if what.zh.starts_with('`') { " " } else { "" };
    Diagnostic::error("E004", Text::new(format!("found {}", what.en), format!("此处是{space}{}", what.zh)))
}

/// A sentence of a type's own check.
fn said(words: &str) -> Diagnostic {
    Diagnostic::error("E004", Text::new(words, format!("此处的值不可用（原文：“{words}”）")))
}

/// What serde calls a value that it met.
fn kind(unexpected: &str) -> Text {
    let (word, value) = unexpected.split_once(' ').unwrap_or((unexpected, ""));
    match (word, value) {
        ("map", _) => Text::new("a mapping", "映射"),
        ("sequence", _) => Text::new("a list", "列表"),
        ("unit" | "Option" | "null", _) => Text::new("nothing", "空值"),
        ("string", value) => Text::new(format!("the text {value}"), format!("文本 {value}")),
        ("integer", value) => Text::new(format!("the number {value}"), format!("数字 {value}")),
        ("floating", value) => {
            let value = value.trim_start_matches("point ");
            Text::new(format!("the number {value}"), format!("数字 {value}"))
        }
        ("boolean", value) => Text::same(value),
        _ => Text::same(unexpected),
    }
}

/// What a type says it expects.
fn wanted(expected: &str) -> Text {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => Text::new("a whole number, not negative", "非负整数"),
        "i8" | "i16" | "i32" | "i64" | "isize" | "integer" => Text::new("a whole number", "整数"),
        "f32" | "f64" | "float" => Text::new("a number", "数字"),
        "bool" | "boolean" | "a boolean" => Text::new("`true` or `false`", "`true` 或 `false`"),
        "a string" | "string" | "string scalar" | "scalar" | "a borrowed string" => Text::new("a text", "文本"),
        "a sequence" | "sequence start" => Text::new("a list: `- …` or `[…]`", "列表：`- …` 或 `[…]`"),
        "a map" | "mapping start" => Text::new("a mapping: `key: …`", "映射：`键: …`"),
        other if other.starts_with("struct ") => Text::new("a mapping: `key: …`", "映射：`键: …`"),
        other => Text::same(other),
    }
}

/// What is written at the place.
fn at(text: &str, place: Place) -> String {
    let start = super::entry::offset(text, place).unwrap_or(text.len());
    text.get(start..).unwrap_or_default().chars().take_while(|c| *c != '\n').take(place.len.clamp(1, 40)).collect()
}
