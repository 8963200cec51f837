//! The series part of a line: name and labels, with or without braces and quotes. Must not know: values, times, pages.
use std::borrow::Cow;

use super::cursor::{Colon, Cursor};
use super::error::{Fault, Reason, quoted};
use super::{Format, Limits};

/// What reading one series needs besides the line.
#[derive(Debug)]
pub(super) struct SeriesReader<'a> {
    pub(super) format: Format,
    pub(super) limits: Limits,
    /// Label names of the line at hand, kept for its memory.
    pub(super) names: Vec<&'a str>,
}

/// The series part of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesText<'a> {
    /// From the name to the closing brace.
    pub(super) key: &'a str,
    /// The metric name, without quotes, escapes as written.
    pub(super) raw_name: &'a str,
    /// Whether it ends with a brace (a value may then follow without a blank, as Prometheus allows in the text format).
    pub(super) braced: bool,
}

/// Whose labels are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A sample's, whose quoted metric name may stand among them.
    Sample,
    /// An exemplar's.
    Exemplar,
}

/// The labels of a checked series text, in the order written.
#[derive(Clone, Debug)]
pub struct LabelPairs<'a> {
    cursor: Cursor<'a>,
}

// === impl SeriesReader ===

impl<'a> SeriesReader<'a> {
    pub(super) fn new(format: Format, limits: Limits) -> Self {
        Self { format, limits, names: Vec::new() }
    }

    /// Reads name and labels from the line's start.
    pub(super) fn series(&mut self, cursor: &mut Cursor<'a>) -> Result<SeriesText<'a>, Fault> {
        let from = cursor.at();
        let name = cursor.name(Colon::Allowed);
        if name.is_empty() && cursor.peek() != Some(b'{') {
            return Err(cursor.fault("a metric name, \"{\" or \"#\""));
        }
        self.check_value(name, from)?;
        let name_end = cursor.clone();
        if self.format == Format::Text {
            cursor.blanks();
        }
        if cursor.peek() != Some(b'{') {
            *cursor = name_end;
            return Ok(SeriesText { key: name, raw_name: name, braced: false });
        }
        let name_within = self.labels(cursor, Owner::Sample, name)?;
        let raw_name = if name.is_empty() { name_within } else { name };
        Ok(SeriesText { key: cursor.since(from), raw_name, braced: true })
    }

    /// Reads labels in braces; gives the quoted metric name that stands among them.
    pub(super) fn labels(&mut self, cursor: &mut Cursor<'a>, owner: Owner, name_before: &str) -> Result<&'a str, Fault> {
        let opened = cursor.at();
        let mut name_within = None;
        cursor.take(b'{');
        self.names.clear();
        loop {
            self.blanks(cursor);
            if cursor.take(b'}') {
                break;
            }
            let at = cursor.at();
            let label = label_name(cursor)?;
            self.blanks(cursor);
            let alone = cursor.since(at).starts_with('"') && matches!(cursor.peek(), Some(b',' | b'}'));
            if alone && owner == Owner::Sample {
                if !name_before.is_empty() || name_within.is_some() || label.is_empty() {
                    return Err(Fault::new(at, Reason::Unexpected { found: quoted(cursor.since(at)), expected: "one metric name, not empty" }));
                }
                self.check_value(label, at)?;
                name_within = Some(label);
            } else {
                self.label(cursor, label, at)?;
            }
            self.blanks(cursor);
            if !cursor.take(b',') && cursor.peek() != Some(b'}') {
                return Err(cursor.fault("\",\" or \"}\""));
            }
        }
        if owner == Owner::Sample && name_before.is_empty() && name_within.is_none() {
            let found = quoted(cursor.since(opened));
            return Err(Fault::new(opened, Reason::Unexpected { found, expected: "a metric name before or, quoted, within the braces" }));
        }
        Ok(name_within.unwrap_or(""))
    }

    /// Reads `="value"` after a label name that began at `at`.
    fn label(&mut self, cursor: &mut Cursor<'a>, name: &'a str, at: usize) -> Result<(), Fault> {
        if !cursor.take(b'=') {
            return Err(cursor.fault("\"=\" after the label name"));
        }
        self.blanks(cursor);
        let value_at = cursor.at();
        let value = cursor.quoted("a label value in double quotes")?;
        self.check_value(value, value_at)?;
        if name.len() > self.limits.label_name_bytes {
            return Err(Fault::new(at, Reason::LabelNameTooLong { found: name.len(), limit: self.limits.label_name_bytes }));
        }
        if name.is_empty() {
            return Err(Fault::new(at, Reason::Unexpected { found: quoted("\"\""), expected: "a label name, not empty" }));
        }
        if name == crate::labels::METRIC_NAME || self.names.contains(&name) {
            return Err(Fault::new(at, Reason::DuplicateLabel { name: quoted(name) }));
        }
        self.names.push(name);
        if self.names.len() >= self.limits.labels {
            return Err(Fault::new(at, Reason::TooManyLabels { limit: self.limits.labels }));
        }
        Ok(())
    }

    fn check_value(&self, value: &str, at: usize) -> Result<(), Fault> {
        let limit = self.limits.label_value_bytes;
        if value.len() > limit { Err(Fault::new(at, Reason::LabelValueTooLong { found: value.len(), limit })) } else { Ok(()) }
    }

    /// The text format allows blanks between the parts of a label list, OpenMetrics none.
    fn blanks(&self, cursor: &mut Cursor<'a>) {
        if self.format == Format::Text {
            cursor.blanks();
        }
    }
}

/// A label name, quoted or not; the text of a quoted one without its quotes.
fn label_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    const EXPECTED: &str = "a label name, a quoted name or \"}\"";
    if cursor.peek() == Some(b'"') {
        return cursor.quoted(EXPECTED);
    }
    let name = cursor.name(Colon::Refused);
    if name.is_empty() { Err(cursor.fault(EXPECTED)) } else { Ok(name) }
}

// === impl LabelPairs ===

impl<'a> LabelPairs<'a> {
    pub(super) fn of_key(key: &'a str) -> Self {
        let mut cursor = Cursor::new(key);
        cursor.name(Colon::Allowed);
        cursor.blanks();
        cursor.take(b'{');
        Self { cursor }
    }
}

impl<'a> Iterator for LabelPairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.cursor.blanks();
            let name = label_name(&mut self.cursor).ok()?;
            self.cursor.blanks();
            let value = if self.cursor.take(b'=') {
                self.cursor.blanks();
                self.cursor.quoted("").ok()
            } else {
                None
            };
            self.cursor.blanks();
            self.cursor.take(b',');
            // A quoted text without a value is the metric name.
            if let Some(value) = value {
                return Some((unescape(name), unescape(value)));
            }
        }
    }
}

/// Decodes `\\`, `\"` and `\n`; a backslash before anything else stays, as Prometheus leaves it.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    decode(raw, &['\\', '"'])
}

/// Decodes what the text format's HELP escapes: `\\` and `\n`; a quote stands for itself there.
pub(super) fn unescape_help(raw: &str) -> Cow<'_, str> {
    decode(raw, &['\\'])
}

fn decode<'a>(raw: &'a str, escaped: &[char]) -> Cow<'a, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some(c) if escaped.contains(&c) => text.push(c),
            other => {
                text.push('\\');
                text.extend(other);
            }
        }
    }
    Cow::Owned(text)
}
