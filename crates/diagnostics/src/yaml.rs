//! YAML in, with positions: the one module that knows the YAML reader.
//!
//! `serde-saphyr` gives line and column, rejects duplicate keys, applies merge keys and limits aliases and depth (docs/adr).
//! Reading goes on behind an unknown key or a value of a wrong type, so that all of them are said in one run ([`read_all`]).
//! Codes: `E001` not YAML, `E002` unknown key, `E003` missing key, `E004` wrong type or value, `E005` duplicate key, `E006` too large or too deep.

mod entry;
mod open;
mod syntax;
mod value;

use serde::de::DeserializeOwned;
use serde_saphyr::Error;
pub use serde_saphyr::Spanned;

use crate::{Diagnostic, Place, Text, closest};

/// The place of a spanned value, where it is written in the file (for an alias: where it is referenced).
pub fn place_of<T>(value: &Spanned<T>) -> Place {
    place_at(value.referenced)
}

/// `text` as a `T`, or the first thing that keeps it from being one, with its place. Unknown keys get a "did you mean".
///
/// # Errors
/// One diagnostic with code `E001` to `E006`, in `file`.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Box<Diagnostic>> {
    let source = if text.trim().is_empty() { "{}" } else { text };
    serde_saphyr::from_str_with_options(source, bounds()).map_err(|error| Box::new(diagnose(error.without_snippet(), file, text)))
}

/// The deepest nesting of lists and mappings: twice what any configuration has, and little enough for a thread's stack in a debug build.
const MAX_DEPTH: usize = 32;

fn bounds() -> serde_saphyr::Options {
    serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: MAX_DEPTH } }
}

/// After so many mistakes the rest of a file is not looked at.
const MISTAKES: usize = 50;

/// `text` as a `T`, and every unknown, missing or repeated key and value of a wrong type in it: what is read is what remains without them.
/// Nothing, when more is wrong than that.
///
/// A text that is no YAML ends the reading; a mistake that only follows from an entry that was left out is not said.
pub fn read_all<T: DeserializeOwned>(file: &str, text: &str) -> (Option<T>, Vec<Diagnostic>) {
    let (mut remaining, mut found) = (text.to_owned(), Vec::new());
    let mut left_out: Vec<String> = Vec::new();
    loop {
        let source = if remaining.trim().is_empty() { "{}" } else { &remaining };
        let error = match serde_saphyr::from_str_with_options(source, bounds()) {
            Ok(value) => {
                // What an entry without one of its keys would have meant is not known: others may refer to it.
                let whole = found.iter().all(|one: &Diagnostic| one.code != "E003");
                return (whole.then_some(value), found);
            }
            Err(error) => error,
        };
        let error = error.without_snippet();
        let mistake = diagnose(error, file, &remaining);
        if follows(error, &mistake, (&remaining, &left_out)) || is_where_something_was(&mistake, text, &remaining) {
            return (None, found);
        }
        let without = mistake.place.and_then(|place| match error {
            Error::SerdeUnknownField { field, .. } => entry::without_key(&remaining, place).map(|rest| (rest, field.clone())),
            Error::DuplicateMappingKey { .. } => entry::without_key(&remaining, place).map(|rest| (rest, String::new())),
            Error::SerdeMissingField { .. } => entry::without_entry(&remaining, place).map(|rest| (rest, String::new())),
            _ if mistake.code == "E004" => entry::without_value(&remaining, place),
            _ => None,
        });
        left_out.extend(mistake.hint.iter().map(|hint| hint.en.clone()));
        found.push(mistake);
        match without {
            Some((rest, key)) if rest != remaining && found.len() < MISTAKES => {
                remaining = rest;
                left_out.push(key);
            }
            _ => return (None, found),
        }
    }
}

/// Whether a mistake is only there because an entry was left out: a key that is missing now, a mapping that is empty now.
fn follows(error: &Error, mistake: &Diagnostic, (text, left_out): (&str, &[String])) -> bool {
    match error {
        Error::SerdeMissingField { field, .. } => left_out.iter().any(|key| key == field || key.contains(&format!("`{field}`"))),
        Error::Unexpected { .. } => !left_out.is_empty() && mistake.place.is_some_and(|place| entry::is_empty_at(text, place)),
        Error::SerdeInvalidType { unexpected, .. } => !left_out.is_empty() && (unexpected.contains("unit") || unexpected.contains("null")),
        _ => !left_out.is_empty() && mistake.code == "E001",
    }
}

/// Whether it stands in a line of which something was left out.
fn is_where_something_was(mistake: &Diagnostic, text: &str, remaining: &str) -> bool {
    let line = |of: &str| mistake.place.and_then(|place| of.lines().nth(place.line.saturating_sub(1)).map(str::to_owned));
    line(text) != line(remaining)
}

fn place_at(location: serde_saphyr::Location) -> Place {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let span = location.span();
    Place { line: number(location.line()), column: number(location.column()), len: usize::try_from(span.len()).unwrap_or(1) }
}

fn diagnose(error: &Error, file: &str, text: &str) -> Diagnostic {
    let place = error.location().map(place_at).filter(|place| place.line > 0);
    // The reader stands at the last entry of the mapping that lacks one.
    let place = place.map(|place| if matches!(error, Error::SerdeMissingField { .. }) { entry::mapping_around(text, place) } else { place });
    let found = match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        Error::SerdeMissingField { field, .. } => Diagnostic::error("E003", Text::new(format!("missing key `{field}`"), format!("缺少键 `{field}`"))),
        Error::DuplicateMappingKey { key, .. } => duplicate_key(key.as_deref().unwrap_or("?")),
        Error::Budget { .. } => too_large(),
        other if is_about_a_value(other) => value::mistake(other, place, text),
        other => plain(other, place, text),
    };
    let found = found.in_file(file);
    match place.filter(|_| found.place.is_none()) {
        Some(place) => found.at(place),
        None => found,
    }
}

/// Of more known keys than this only the nearest is told, when there is one.
const LISTED_MAX: usize = 20;

fn unknown_key(field: &str, expected: &[&str]) -> Diagnostic {
    let found = Diagnostic::error("E002", Text::new(format!("unknown key `{field}`"), format!("未知的键 `{field}`")));
    let near = closest(field, expected.iter().copied());
    // A scrape configuration has ninety keys: a list of them hides the one that was meant.
    let found = if expected.is_empty() || (near.is_some() && expected.len() > LISTED_MAX) {
        found
    } else {
        let list = expected.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        found.expected(Text::new(format!("one of {list}"), format!("以下之一：{list}")))
    };
    match near {
        Some(near) => found.hint(Text::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？"))),
        None => found,
    }
}

fn duplicate_key(key: &str) -> Diagnostic {
    Diagnostic::error("E005", Text::new(format!("key `{key}` is written twice"), format!("键 `{key}` 重复")))
        .hint(Text::new("remove or rename one of the two", "请删除或改名其中一个"))
}

fn too_large() -> Diagnostic {
    Diagnostic::error("E006", Text::new("the document is too large or expands too far", "文档过大，或别名展开过多"))
}

/// What the reader says in its own words of a text that is no YAML.
fn plain(error: &Error, place: Option<Place>, text: &str) -> Diagnostic {
    let said = words(error);
    if said.contains("budget breached") || said.contains("recursion limit") || said.contains("alias replay") {
        return too_large();
    }
    syntax::mistake(&said, place, text)
}

/// The reader's sentence without its place.
fn words(error: &Error) -> String {
    let said = error.render();
    let first = said.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).split(" at line ").next().unwrap_or(first).to_owned()
}

/// Well-formed YAML, but not a value that the key takes.
fn is_about_a_value(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidScalar { .. }
            | Error::InvalidBooleanStrict { .. }
            | Error::NullIntoString { .. }
            | Error::NonFiniteFloat { .. }
            | Error::SerdeInvalidType { .. }
            | Error::SerdeInvalidValue { .. }
            | Error::SerdeInvalidLength { .. }
            | Error::SerdeUnknownVariant { .. }
            | Error::SerdeVariantId { .. }
            | Error::Unexpected { .. }
            | Error::Message { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        expr: Spanned<String>,
        #[serde(default, rename = "labels")]
        _labels: BTreeMap<String, String>,
        #[serde(default, rename = "limit")]
        _limit: u32,
    }

    fn failure(text: &str) -> Diagnostic {
        *read::<Vec<Rule>>("r.yml", text).unwrap_err()
    }

    #[test]
    fn a_value_knows_its_place() {
        let rules: Vec<Rule> = read("r.yml", "- expr: up == 0\n").unwrap();
        assert_eq!(place_of(&rules[0].expr), Place { line: 1, column: 9, len: 7 });
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_known_one() {
        let found = failure("- expr: up\n  lables: {a: b}\n");
        assert_eq!((found.code, found.place.map(|p| (p.line, p.column))), ("E002", Some((2, 3))));
        assert_eq!(found.hint.unwrap().en, "did you mean `labels`?");
    }

    #[test]
    fn each_kind_of_trouble_has_its_code_and_a_place() {
        for (text, code, line) in [
            ("- expr: up\n  expr: down\n", "E005", 2),
            ("- labels: {}\n", "E003", 1),
            ("- expr: up\n  limit: many\n", "E004", 2),
            ("- expr: \"up\n", "E001", 1),
        ] {
            let found = failure(text);
            assert_eq!(found.code, code, "{text:?}: {found:?}");
            assert!(found.place.is_some_and(|place| place.line >= line), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn all_unknown_keys_and_wrong_values_are_said_in_one_run() {
        let text = "- expr: up\n  lables: {a: b}\n- expr: down\n  limit: many\n- exrp: up\n- expr: {a: b}\n  labels: {x: y}\n";
        let (rules, found) = read_all::<Vec<Rule>>("r.yml", text);
        let places: Vec<_> = found.iter().map(|one| (one.code, one.place.map_or(0, |place| place.line))).collect();
        assert_eq!(places, [("E002", 2), ("E004", 4), ("E002", 5)], "the missing `expr` of line 5 follows from its misspelling");
        assert!(rules.is_none());
        let text =
            "- expr: up\n  expr: down\n- labels: {}\n  limit: 1\n- {limit: many, expr: up}\n- expr: up\n  limit:\n  - 1\n- {expr: up, what: 1}\n";
        let (rules, found) = read_all::<Vec<Rule>>("r.yml", text);
        let places: Vec<_> = found.iter().map(|one| (one.code, one.place.map_or(0, |place| place.line))).collect();
        assert_eq!(places, [("E005", 2), ("E003", 3), ("E004", 5), ("E004", 8), ("E002", 9)]);
        assert!(rules.is_none(), "what is left out may be what others refer to");
        let (rules, found) = read_all::<Vec<Rule>>("r.yml", "- expr: up\n  lables: {a: b}\n- {expr: down, limt: 3}\n");
        assert_eq!((rules.map(|rules| rules.len()), found.len()), (Some(2), 2), "what remains is read");
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        #[derive(Deserialize)]
        struct Nothing {}
        assert!(read::<Nothing>("f", "\n").is_ok());
    }
}
