//! Go's `fmt` (<https://pkg.go.dev/fmt>): `Sprint`, `Sprintln`, `Sprintf` and the default form of every value.

mod number;
mod verb;

use std::fmt::Write as _;

pub use number::{float, general};

use crate::Value;
use verb::Spec;

/// The widest field and longest precision that a format may ask for.
const WIDTH_MAX: usize = 10_000;

/// A value as `%v` prints it.
pub fn print_value(value: &Value) -> String {
    let mut out = String::new();
    verb::write_value(&mut out, &Spec::plain('v'), value);
    out
}

/// `fmt.Sprint`: operands one after another, a blank between two that are no strings.
pub fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    let mut before_was_text = true;
    for (at, arg) in args.iter().enumerate() {
        let is_text = arg.as_str().is_some();
        if at > 0 && !is_text && !before_was_text {
            out.push(' ');
        }
        out.push_str(&print_value(arg));
        before_was_text = is_text;
    }
    out
}

/// `fmt.Sprintln`: operands separated by blanks, and a newline.
pub fn sprintln(args: &[Value]) -> String {
    let mut out = args.iter().map(print_value).collect::<Vec<_>>().join(" ");
    out.push('\n');
    out
}

/// `fmt.Sprintf`, with Go's notes in the text where verbs and operands do not fit (`%!d(string=x)`, `%!s(MISSING)`, `%!(EXTRA int=1)`).
pub fn sprintf(format: &str, args: &[Value]) -> String {
    let mut printer = Printer { out: String::with_capacity(format.len()), args, next: 0, reordered: false };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        printer.out.push_str(rest.get(..at).unwrap_or_default());
        rest = printer.directive(rest.get(at + 1..).unwrap_or_default());
    }
    printer.out.push_str(rest);
    printer.extra();
    printer.out
}

/// A Go string literal that means `text` (`%q`).
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            other => escape_char(&mut out, other),
        }
    }
    out.push('"');
    out
}

/// `c` with Go's escape when it is not printable.
fn escape_char(out: &mut String, c: char) {
    let code = u32::from(c);
    let known = match c {
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => "",
    };
    // Writing to a String cannot fail.
    let _ = match (known, c.is_control() || matches!(code, 0x200b..=0x200f | 0x2028..=0x202e | 0xfeff | 0xfffe..), code) {
        ("", true, 0..=0x7f) => write!(out, "\\x{code:02x}"),
        ("", true, 0x80..=0xffff) => write!(out, "\\u{code:04x}"),
        ("", true, _) => write!(out, "\\U{code:08x}"),
        ("", false, _) => write!(out, "{c}"),
        (known, ..) => write!(out, "{known}"),
    };
}

struct Printer<'a> {
    out: String,
    args: &'a [Value],
    next: usize,
    /// An explicit index was used: left-over operands are no mistake then.
    reordered: bool,
}

// === impl Printer ===

impl Printer<'_> {
    /// Writes one directive, its `%` having been read; what follows it.
    fn directive<'t>(&mut self, text: &'t str) -> &'t str {
        let mut spec = Spec::plain('v');
        let mut rest = text.trim_start_matches(['+', '-', '#', ' ', '0']);
        for flag in text.get(..text.len() - rest.len()).unwrap_or_default().chars() {
            spec.set_flag(flag);
        }
        rest = self.index(rest);
        (spec.width, rest) = self.amount(rest);
        if let Some(after) = rest.strip_prefix('.') {
            let after = self.index(after);
            let (precision, after) = self.amount(after);
            spec.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
        rest = self.index(rest);
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return "";
        };
        spec.verb = verb;
        let after = rest.get(verb.len_utf8()..).unwrap_or_default();
        if verb == '%' {
            self.out.push('%');
            return after;
        }
        match self.args.get(self.next) {
            Some(arg) => verb::write_value(&mut self.out, &spec, arg),
            // Writing to a String cannot fail.
            None => _ = write!(self.out, "%!{verb}(MISSING)"),
        }
        self.next += 1;
        after
    }

    /// `[n]`: the operand to take next, counted from 1.
    fn index<'t>(&mut self, text: &'t str) -> &'t str {
        let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((number, rest)) = inside else { return text };
        let Ok(number) = number.parse::<usize>() else { return text };
        self.next = number.saturating_sub(1);
        self.reordered = true;
        rest
    }

    /// A number, or `*` for the next operand.
    fn amount<'t>(&mut self, text: &'t str) -> (Option<usize>, &'t str) {
        if let Some(rest) = text.strip_prefix('*') {
            let value = self.args.get(self.next).and_then(Value::as_int).and_then(|v| usize::try_from(v).ok());
            self.next += 1;
            return (value.map(|v| v.min(WIDTH_MAX)), rest);
        }
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = text.get(..text.len() - rest.len()).unwrap_or_default();
        (digits.parse().ok().map(|v: usize| v.min(WIDTH_MAX)), rest)
    }

    fn extra(&mut self) {
        let left = self.args.get(self.next..).unwrap_or_default();
        if self.reordered || left.is_empty() {
            return;
        }
        let shown: Vec<String> = left.iter().map(verb::typed).collect();
        let _ = write!(self.out, "%!(EXTRA {})", shown.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sprintf_table() {
        let s = |t: &str| Value::str(t);
        let list = Value::list_of(["a", "b"]);
        let cases: &[(&str, Vec<Value>, &str)] = &[
            ("%.2f%%", vec![Value::Float(0.123)], "0.12%"),
            ("%d", vec![Value::Int(-5)], "-5"),
            ("%5d|%-5d|%05d|%+d", vec![Value::Int(42); 4], "   42|42   |00042|+42"),
            ("%x %X %o %b %#x", vec![Value::Int(255); 5], "ff FF 377 11111111 0xff"),
            ("%c %q %U", vec![Value::Int(65); 3], "A 'A' U+0041"),
            ("%e", vec![Value::Float(123456.789)], "1.234568e+05"),
            ("%g", vec![Value::Float(1e21)], "1e+21"),
            ("%g", vec![Value::Float(1234567.0)], "1.234567e+06"),
            ("%.3g", vec![Value::Float(1234567.0)], "1.23e+06"),
            ("%.4g", vec![Value::Float(12345.0)], "1.234e+04"),
            ("%6.2f|%-8.1f|%08.3f|%+.1f", vec![Value::Float(3.25159); 4], "  3.25|3.3     |0003.252|+3.3"),
            ("%08.2f", vec![Value::Float(-3.25159)], "-0003.25"),
            ("%v %v %v", vec![Value::Float(1.0), Value::Float(1e6), Value::Float(0.00001)], "1 1e+06 1e-05"),
            ("%v %v", vec![Value::Float(f64::INFINITY), Value::Float(f64::NAN)], "+Inf NaN"),
            ("%f", vec![Value::Float(f64::NEG_INFINITY)], "-Inf"),
            ("%s|%10s|%-10s|%.2s", vec![s("héllo"); 4], "héllo|     héllo|héllo     |hé"),
            ("%q", vec![s("a\"b\n\u{1}")], "\"a\\\"b\\n\\x01\""),
            ("%x % x", vec![s("hi"), s("hi")], "6869 68 69"),
            ("%t %v", vec![Value::Bool(true), Value::Bool(false)], "true false"),
            ("%d", vec![s("x")], "%!d(string=x)"),
            ("%d", vec![Value::Float(1.5)], "%!d(float64=1.5)"),
            ("%s", vec![Value::Int(3)], "%!s(int=3)"),
            ("%.1f", vec![Value::Int(3)], "%!f(int=3)"),
            ("%s", vec![], "%!s(MISSING)"),
            ("x", vec![Value::Int(1), s("y")], "x%!(EXTRA int=1, string=y)"),
            ("%", vec![], "%!(NOVERB)"),
            ("%z", vec![Value::Int(1)], "%!z(int=1)"),
            ("%v %s %q", vec![list.clone(), list.clone(), list], "[a b] [a b] [\"a\" \"b\"]"),
            ("%v", vec![Value::strings([("b", "2"), ("a", "1")])], "map[a:1 b:2]"),
            ("%v %d", vec![Value::Nil, Value::Nil], "<nil> %!d(<nil>)"),
            ("%[2]s %[1]s", vec![s("a"), s("b")], "b a"),
            ("%*d", vec![Value::Int(4), Value::Int(7)], "   7"),
            ("%T %T", vec![Value::Int(4), Value::Float(7.0)], "int float64"),
            ("%v %d", vec![Value::Duration(1_500_000_000), Value::Duration(7)], "1.5s 7"),
        ];
        for (format, args, want) in cases {
            assert_eq!(sprintf(format, args), *want, "{format} {args:?}");
        }
    }

    #[test]
    fn sprint_sets_blanks_between_what_is_no_string() {
        assert_eq!(sprint(&[Value::Int(1), Value::Int(2), Value::str("x"), Value::Int(3)]), "1 2x3");
        assert_eq!(sprintln(&[Value::str("a"), Value::str("b")]), "a b\n");
    }

    #[test]
    fn a_huge_width_is_capped() {
        assert_eq!(sprintf("%99999999999d", &[Value::Int(1)]).len(), WIDTH_MAX);
        assert_eq!(sprintf("%9999999d", &[Value::Int(1)]).len(), WIDTH_MAX);
    }
}
