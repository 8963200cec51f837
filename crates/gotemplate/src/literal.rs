//! Go's literals: numbers, characters, strings.

use crate::ast::Term;

/// A number as its spelling says: with `.`, an exponent or `p` a float, else an integer (also `0x`, `0o`, `0b`, `_`).
pub(crate) fn number(text: &str) -> Option<Term> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let radix = match lower.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    if radix != 10 {
        return integer(lower.get(2..)?, radix, negative);
    }
    if lower.contains(['.', 'e']) {
        let value: f64 = if lower.bytes().all(|b| b.is_ascii_digit() || b".e+-".contains(&b)) { lower.parse().ok()? } else { return None };
        return value.is_finite().then_some(Term::Float(if negative { -value } else { value }));
    }
    let octal = lower.len() > 1 && lower.starts_with('0');
    integer(&lower, if octal { 8 } else { 10 }, negative)
}

fn integer(digits: &str, radix: u32, negative: bool) -> Option<Term> {
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Term::Int)
}

/// A character constant with its quotes, as its code.
pub(crate) fn character(quoted: &str) -> Option<Term> {
    let inside = quoted.get(1..quoted.len().checked_sub(1)?)?;
    let text = unquote(&format!("\"{}\"", if inside == "\"" { "\\\"" } else { inside }.replace("\\'", "'")))?;
    let mut chars = text.chars();
    let only = chars.next().filter(|_| chars.next().is_none())?;
    Some(Term::Int(i64::from(u32::from(only))))
}

/// A Go string literal in double quotes, unescaped.
pub(crate) fn unquote(quoted: &str) -> Option<String> {
    let inside = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes: Vec<u8> = Vec::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next()? {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            '"' => bytes.push(b'"'),
            'x' => bytes.push(u8::try_from(digits(&mut chars, 2, 16)?).ok()?),
            'u' => push_char(&mut bytes, digits(&mut chars, 4, 16)?)?,
            'U' => push_char(&mut bytes, digits(&mut chars, 8, 16)?)?,
            first @ '0'..='7' => {
                let rest = digits(&mut chars, 2, 8)?;
                bytes.push(u8::try_from(first.to_digit(8)? * 64 + rest).ok()?);
            }
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0u32, |value, _| Some(value.checked_mul(radix)? + chars.next()?.to_digit(radix)?))
}

fn push_char(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}
