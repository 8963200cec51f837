//! Enough of MIME to show a mail: headers with encoded words, base64 and quoted-printable bodies, the text and HTML parts of multiparts. UTF-8 only.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::hex_escapes;

/// What is shown of a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mail {
    /// Subject, decoded.
    pub subject: String,
    /// The first text part.
    pub text: String,
    /// The first HTML part.
    pub html: String,
}

/// Multiparts within multiparts that are looked into.
const NESTING: usize = 5;

const LENIENT: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Reads a message as it came over SMTP, without dot stuffing.
pub(super) fn read(message: &str) -> Mail {
    let message = message.replace("\r\n", "\n");
    let (headers, body) = split(&message);
    let mut mail = Mail { subject: decoded_words(&header(&headers, "subject")), ..Mail::default() };
    take_part(&mut mail, &headers, body, NESTING);
    mail
}

fn take_part(mail: &mut Mail, headers: &[(String, String)], body: &str, nesting: usize) {
    let content_type = header(headers, "content-type");
    let lower = content_type.to_ascii_lowercase();
    if lower.starts_with("multipart/") {
        if let (Some(boundary), true) = (parameter(&content_type, "boundary"), nesting > 0) {
            for part in parts(body, &boundary) {
                let (headers, body) = split(part);
                take_part(mail, &headers, body, nesting - 1);
            }
        }
        return;
    }
    let shown = if lower.starts_with("text/html") { &mut mail.html } else { &mut mail.text };
    let is_text = lower.is_empty() || lower.starts_with("text/");
    if is_text && shown.is_empty() {
        *shown = decoded_body(body, &header(headers, "content-transfer-encoding").to_ascii_lowercase());
    }
}

/// Headers, unfolded, with lower-case names, and what follows the blank line.
fn split(message: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = match message.strip_prefix('\n') {
        Some(body) => ("", body),
        None => message.split_once("\n\n").unwrap_or((message, "")),
    };
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let headers = unfolded.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    (headers.collect(), body)
}

fn header(headers: &[(String, String)], name: &str) -> String {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value
        .split(';')
        .skip(1)
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim().trim_matches('"').to_owned())
}

fn parts<'a>(body: &'a str, boundary: &str) -> Vec<&'a str> {
    let delimiter = format!("--{boundary}");
    body.split(delimiter.as_str()).skip(1).take_while(|part| !part.starts_with("--")).map(|part| part.strip_prefix('\n').unwrap_or(part)).collect()
}

fn decoded_body(body: &str, encoding: &str) -> String {
    match encoding {
        "base64" => {
            let compact: String = body.split_ascii_whitespace().collect();
            LENIENT.decode(compact).map_or_else(|_| body.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        "quoted-printable" => String::from_utf8_lossy(&hex_escapes::decode(&body.replace("=\n", ""), b'=')).into_owned(),
        _ => body.to_owned(),
    }
}

/// Undoes RFC 2047: `=?utf-8?b?…?=` and `=?utf-8?q?…?=`. The bytes of neighbouring words are joined before they become text,
/// since a character may be cut between two words.
fn decoded_words(value: &str) -> String {
    let (mut out, mut bytes, mut rest) = (String::new(), Vec::new(), value);
    while let Some((before, word, after)) = next_word(rest) {
        if !before.trim().is_empty() || bytes.is_empty() {
            out.push_str(&String::from_utf8_lossy(&std::mem::take(&mut bytes)));
            out.push_str(before);
        }
        bytes.extend(word);
        rest = after;
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    out.push_str(rest);
    out
}

fn next_word(text: &str) -> Option<(&str, Vec<u8>, &str)> {
    let (before, tail) = text.split_once("=?")?;
    let mut fields = tail.splitn(3, '?');
    let (_charset, encoding, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let (payload, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "b" | "B" => LENIENT.decode(payload).ok()?,
        "q" | "Q" => hex_escapes::decode(&payload.replace('_', " "), b'='),
        _ => return None,
    };
    Some((before, bytes, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_mail_is_decoded() {
        let mail = read(concat!(
            "From: a@b\r\nSubject: =?utf-8?b?5ZGK6K2m?= =?utf-8?q?_fired?=\r\nContent-Type: multipart/alternative;\r\n boundary=\"xx\"\r\n\r\n",
            "--xx\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nmemory =E5=91=8A=\r\n=E8=AD=A6\r\n",
            "--xx\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwv\r\nYj4=\r\n--xx--\r\n",
        ));
        assert_eq!(mail.subject, "告警 fired");
        assert_eq!(mail.text, "memory 告警\n");
        assert_eq!(mail.html, "<b>x</b>");
    }

    #[test]
    fn a_character_cut_between_two_words_is_whole() {
        // 告 is E5 91 8A.
        assert_eq!(decoded_words("[=?utf-8?q?=E5=91?= =?utf-8?q?=8A?=] x"), "[告] x");
    }

    #[test]
    fn a_plain_mail_is_itself() {
        let mail = read("Subject: hello\r\n\r\nline 1\r\nline 2\r\n");
        assert_eq!(mail, Mail { subject: "hello".into(), text: "line 1\nline 2\n".into(), html: String::new() });
    }
}
