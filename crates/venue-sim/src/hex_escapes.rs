//! Bytes written as a mark and two hexadecimal digits: `%2F` in URLs, `=2F` in quoted-printable.

/// Undoes the escapes; a mark without two digits behind it stays as it is.
pub(crate) fn decode(text: &str, mark: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = (first == mark).then(|| tail.split_at_checked(2)).flatten();
        let escaped = digits.and_then(|(hex, after)| Some((u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?, after)));
        let (byte, after) = escaped.unwrap_or((first, tail));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_is_an_escape() {
        for (text, decoded) in [("a%2Fb", "a/b"), ("%E5%B8%81", "\u{5e01}"), ("100%", "100%"), ("%zz%4", "%zz%4")] {
            assert_eq!(decode(text, b'%'), decoded.as_bytes(), "{text}");
        }
    }
}
