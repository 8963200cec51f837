//! A page from samples: what our own `/metrics` and tests write. Must not know: where the samples come from.
use std::fmt::{self, Write};

use super::{Format, MetricKind};
use crate::labels::{Labels, METRIC_NAME, is_label_name, is_metric_name};

/// Writes a `# HELP` and a `# TYPE` line.
///
/// # Errors
/// Those of `out`.
pub fn write_metadata(out: &mut impl Write, format: Format, family: (&str, MetricKind), help: &str) -> fmt::Result {
    let (name, kind) = family;
    let word = if format == Format::Text && kind == MetricKind::Unknown { "untyped" } else { kind.as_str() };
    for (keyword, text) in [("HELP", help), ("TYPE", word)] {
        write!(out, "# {keyword} ")?;
        if is_metric_name(name) {
            out.write_str(name)?;
        } else {
            write_quoted(out, name)?;
        }
        out.write_char(' ')?;
        let quote = if format == Format::Text { "\"" } else { "\\\"" };
        write_escaped(out, text, quote)?;
        out.write_char('\n')?;
    }
    Ok(())
}

/// Writes a sample line; `value` is the value and, if it shall be stated, the time in unix milliseconds.
///
/// # Errors
/// Those of `out`.
pub fn write_sample(out: &mut impl Write, format: Format, labels: &Labels, value: (f64, Option<i64>)) -> fmt::Result {
    let name = labels.metric_name();
    let bare = is_metric_name(name);
    if bare {
        out.write_str(name)?;
    }
    let mut separator = '{';
    if !bare {
        out.write_char('{')?;
        write_quoted(out, name)?;
        separator = ',';
    }
    for (label, text) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        out.write_char(separator)?;
        separator = ',';
        if is_label_name(label) {
            out.write_str(label)?;
        } else {
            write_quoted(out, label)?;
        }
        out.write_char('=')?;
        write_quoted(out, text)?;
    }
    if separator == ',' {
        out.write_char('}')?;
    }
    out.write_char(' ')?;
    write_number(out, value.0)?;
    if let Some(t_ms) = value.1 {
        write_time(out, format, t_ms)?;
    }
    out.write_char('\n')
}

fn write_time(out: &mut impl Write, format: Format, t_ms: i64) -> fmt::Result {
    match format {
        Format::Text => write!(out, " {t_ms}"),
        Format::OpenMetrics => {
            let sign = if t_ms < 0 { "-" } else { "" };
            write!(out, " {sign}{}.{:03}", t_ms.unsigned_abs() / 1000, t_ms.unsigned_abs() % 1000)
        }
    }
}

fn write_number(out: &mut impl Write, value: f64) -> fmt::Result {
    if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value != 0.0 && !(1e-5..1e17).contains(&value.abs()) {
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    }
}

fn write_quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    write_escaped(out, text, "\\\"")?;
    out.write_char('"')
}

fn write_escaped(out: &mut impl Write, text: &str, quote: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '"' => out.write_str(quote)?,
            _ => out.write_char(c)?,
        }
    }
    Ok(())
}
