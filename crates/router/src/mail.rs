//! A mail about a notification: addresses, headers, bodies.
//!
//! Owns: what the mail says. Must not know: SMTP, MIME.

use gotemplate::Escape;

use crate::config::Email;
use crate::digest::name_of;
use crate::message::{SHOWN, Style, cut, data};
use crate::notification::Notification;
use crate::setup::Setup;

/// One mail, ready to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Sender's address.
    pub from: String,
    /// Recipients' addresses.
    pub to: Vec<String>,
    /// Subject, in one line.
    pub subject: String,
    /// Further headers, by canonical name; never `From`, `To`, `Subject`, `Message-Id` or `Date`.
    pub headers: Vec<(String, String)>,
    /// Text body.
    pub text: Option<String>,
    /// HTML body.
    pub html: Option<String>,
}

const SUBJECT: &str = "{{ template \"email.default.subject\" . }}";
const TEXT: &str = "{{ template \"email.default.text\" . }}";
const HTML: &str = "{{ template \"email.default.html\" . }}";

impl Setup {
    /// The mail that tells of a notification.
    ///
    /// # Errors
    /// A template that could not be carried out, or no recipient; trying again will not help.
    pub fn mail(&self, email: &Email, notification: &Notification, now_ms: i64) -> Result<Mail, String> {
        let part = cut(notification, SHOWN);
        let html_style = Style { lang: self.lang, zone: &self.timezone, now_ms, escape: Escape::Html };
        // Mail is not markdown: text from outside is capped as for HTML, and printed as it is.
        let text_data = data::data(&part, &html_style, &[]);
        let render = |name: &str, template: &str, escape: Escape| {
            Style { escape, ..html_style }.render(self.alertmanager_templates(), (name, template), &text_data)
        };
        let line =
            |name: &str, template: &str| render(name, template, Escape::Text).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        let header = |name: &str, default: &str| line(name, email.headers.get(name).map_or(default, String::as_str));
        let to = addresses(&line("to", &email.to)?);
        if to.is_empty() {
            return Err("no recipient".to_owned());
        }
        let mut headers = Vec::new();
        for (name, template) in email.headers.iter().filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str())) {
            headers.push((name.clone(), line(name, template)?));
        }
        headers.extend(thread(email, notification, now_ms, &html_style));
        let body = |own: &Option<String>, default: &str, escape: Escape| match own.as_deref().unwrap_or(default) {
            "" => Ok(None),
            template => render(if escape == Escape::Html { "html" } else { "text" }, template, escape).map(Some),
        };
        let (text, html) = (body(&email.text, TEXT, Escape::Text)?, body(&email.html, HTML, Escape::Html)?);
        Ok(Mail { from: header("From", &email.from)?, to, subject: header("Subject", SUBJECT)?, headers, text, html })
    }
}

/// Headers that a mail gets in another way.
const OWN_HEADERS: [&str; 5] = ["From", "To", "Subject", "Message-Id", "Date"];

/// The headers that make mails of one group one thread.
fn thread(email: &Email, notification: &Notification, now_ms: i64, style: &Style<'_>) -> Vec<(String, String)> {
    let Some(daily) = email.threading else { return Vec::new() };
    let day: String = crate::message::words::clock(now_ms, style.zone).chars().take(if daily { 10 } else { 0 }).collect();
    let id = name_of([notification.group_key.as_bytes(), day.as_bytes()], 12);
    let root = format!("<group.{id}@tidemark>");
    vec![("In-Reply-To".to_owned(), root.clone()), ("References".to_owned(), root)]
}

/// Addresses of a comma-separated list; a comma inside quotes separates nothing.
fn addresses(list: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in list.chars() {
        quoted ^= c == '"';
        match (c, out.last_mut()) {
            (',', _) if !quoted => out.push(String::new()),
            (c, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    out.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_quoted_name_separates_nothing() {
        assert_eq!(addresses("a@x, \"B, C\" <b@x>,,c@x "), ["a@x", "\"B, C\" <b@x>", "c@x"]);
    }
}
