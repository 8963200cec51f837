//! One value under one verb.

use std::fmt::Write as _;

use super::number::float;
use super::{escape_char, quote};
use crate::Value;

/// A directive: flags, width, precision, verb.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) verb: char,
}

// === impl Spec ===

impl Spec {
    pub(super) fn plain(verb: char) -> Self {
        Self { plus: false, minus: false, sharp: false, space: false, zero: false, width: None, precision: None, verb }
    }

    pub(super) fn set_flag(&mut self, flag: char) {
        match flag {
            '+' => self.plus = true,
            '-' => self.minus = true,
            '#' => self.sharp = true,
            ' ' => self.space = true,
            _ => self.zero = true,
        }
    }

    /// `text` in a field of the width.
    fn pad(&self, out: &mut String, text: &str) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let blanks = " ".repeat(missing);
        if self.minus {
            out.push_str(text);
            out.push_str(&blanks);
        } else {
            out.push_str(&blanks);
            out.push_str(text);
        }
    }

    /// A number (its digits with a `-` when negative) with sign flags and zeros.
    fn pad_number(&self, out: &mut String, text: &str) {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.get(..1).unwrap_or_default(), rest),
            None => ("", text),
        };
        let sign = match sign {
            "-" => "-",
            _ if self.plus => "+",
            _ if self.space => " ",
            _ if digits == "Inf" => "+",
            _ => "",
        };
        let finite = digits != "Inf" && digits != "NaN";
        if self.zero && !self.minus && finite {
            let missing = self.width.unwrap_or(0).saturating_sub(sign.len() + digits.len());
            out.push_str(sign);
            out.push_str(&"0".repeat(missing));
            out.push_str(digits);
        } else {
            self.pad(out, &format!("{sign}{digits}"));
        }
    }
}

/// `type=value`, as Go's notes show an operand.
pub(super) fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        other => format!("{}={}", other.type_name(), super::print_value(other)),
    }
}

pub(super) fn write_value(out: &mut String, spec: &Spec, value: &Value) {
    if spec.verb == 'T' {
        return spec.pad(out, value.type_name());
    }
    match value {
        Value::Nil if spec.verb == 'v' => spec.pad(out, "<nil>"),
        Value::Nil => bad(out, spec, value),
        Value::Bool(v) => match spec.verb {
            't' | 'v' => spec.pad(out, if *v { "true" } else { "false" }),
            _ => bad(out, spec, value),
        },
        Value::Int(v) => write_int(out, spec, *v, value),
        Value::Float(v) => write_float(out, spec, *v, value),
        Value::Str(text) | Value::Html(text) => write_text(out, spec, text, value),
        Value::Time(time) => write_text(out, spec, &crate::time::display(time), value),
        Value::Duration(nanos) if matches!(spec.verb, 'v' | 's' | 'q') => write_text(out, spec, &crate::time::duration_text(*nanos), value),
        Value::Duration(nanos) => write_int(out, spec, *nanos, value),
        Value::List(items) => write_list(out, spec, items),
        Value::Map(map) => {
            out.push_str("map[");
            for (at, (key, item)) in map.entries.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write_value(out, spec, &Value::Str(key.clone()));
                out.push(':');
                write_value(out, spec, item);
            }
            out.push(']');
        }
        Value::Object(object) => match object.text().filter(|_| matches!(spec.verb, 'v' | 's' | 'q' | 'x' | 'X')) {
            Some(text) => write_text(out, spec, &text, value),
            None => match object.underlying() {
                Some(inner) => write_value(out, spec, &inner),
                None => write_fields(out, spec, &object.fields()),
            },
        },
    }
}

fn bad(out: &mut String, spec: &Spec, value: &Value) {
    // Writing to a String cannot fail.
    let _ = write!(out, "%!{}({})", spec.verb, typed(value));
}

fn write_list(out: &mut String, spec: &Spec, items: &[Value]) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        write_value(out, spec, item);
    }
    out.push(']');
}

fn write_fields(out: &mut String, spec: &Spec, fields: &[(std::sync::Arc<str>, Value)]) {
    out.push('{');
    for (at, (name, item)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        if spec.plus && spec.verb == 'v' {
            out.push_str(name);
            out.push(':');
        }
        write_value(out, spec, item);
    }
    out.push('}');
}

fn write_int(out: &mut String, spec: &Spec, v: i64, value: &Value) {
    let sign = if v < 0 { "-" } else { "" };
    let magnitude = v.unsigned_abs();
    let prefix = |text: &'static str| if spec.sharp { text } else { "" };
    let digits = match spec.verb {
        'd' | 'v' => format!("{sign}{magnitude}"),
        'b' => format!("{sign}{}{magnitude:b}", prefix("0b")),
        'o' => format!("{sign}{}{magnitude:o}", prefix("0")),
        'O' => format!("{sign}0o{magnitude:o}"),
        'x' => format!("{sign}{}{magnitude:x}", prefix("0x")),
        'X' => format!("{sign}{}{magnitude:X}", prefix("0X")),
        'U' => format!("U+{magnitude:04X}"),
        'c' | 'q' => {
            let c = u32::try_from(v).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            return spec.pad(out, &if spec.verb == 'c' { c.to_string() } else { quoted_char(c) });
        }
        _ => return bad(out, spec, value),
    };
    match spec.precision {
        Some(least) if matches!(spec.verb, 'd' | 'v') => spec.pad_number(out, &format!("{sign}{magnitude:0least$}")),
        _ => spec.pad_number(out, &digits),
    }
}

fn quoted_char(c: char) -> String {
    let mut out = "'".to_owned();
    if c == '\'' {
        out.push_str("\\'");
    } else {
        escape_char(&mut out, c);
    }
    out.push('\'');
    out
}

fn write_float(out: &mut String, spec: &Spec, v: f64, value: &Value) {
    let text = match spec.verb {
        'v' => float(v, 'g', spec.precision),
        'g' | 'G' => float(v, spec.verb, spec.precision),
        'e' | 'E' | 'f' => float(v, spec.verb, Some(spec.precision.unwrap_or(6))),
        'F' => float(v, 'f', Some(spec.precision.unwrap_or(6))),
        _ => return bad(out, spec, value),
    };
    spec.pad_number(out, &text);
}

fn write_text(out: &mut String, spec: &Spec, text: &str, value: &Value) {
    let cut: String;
    let text = match spec.precision {
        Some(most) => {
            cut = text.chars().take(most).collect();
            &cut
        }
        None => text,
    };
    match spec.verb {
        's' | 'v' => spec.pad(out, text),
        'q' if spec.sharp && !text.contains(['`', '\n']) => spec.pad(out, &format!("`{text}`")),
        'q' => spec.pad(out, &quote(text)),
        'x' | 'X' => {
            let hex: Vec<String> = text.bytes().map(|b| if spec.verb == 'x' { format!("{b:02x}") } else { format!("{b:02X}") }).collect();
            spec.pad(out, &hex.join(if spec.space { " " } else { "" }));
        }
        _ => bad(out, spec, value),
    }
}
