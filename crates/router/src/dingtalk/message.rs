//! The message a robot is sent: markdown, who is mentioned, and never too long.

use diagnostics::{Lang, Text};
use gotemplate::Escape;

use super::Target;
use crate::config::SecretSource;
use crate::message::words::{capped, is_good_news};
use crate::message::{SHOWN, Style, cut, data};
use crate::notification::{Notification, Status};
use crate::setup::Setup;

/// Bytes of title and text together; the robot refuses a body over 20,000 (custom robot documentation, error 460101).
const BYTES_MAX: usize = 18_000;
/// Characters of a title: it is the banner of a notification on a phone.
const TITLE_MAX: usize = 200;

/// One message to a robot, ready to be signed and posted.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// URL with the token, without signature.
    pub url: SecretSource,
    /// Key of the signature.
    pub secret: Option<SecretSource>,
    /// Banner text.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// The JSON body.
    pub body: String,
    /// Something went wrong with the user's template, and ours was used instead.
    pub note: Option<Text>,
}

impl Setup {
    /// The message that tells a robot of a notification; `None` when there is no such target.
    pub fn dingtalk_message(&self, target: &str, notification: &Notification, now_ms: i64) -> Option<Message> {
        let robot = self.dingtalk.targets.get(target)?;
        let style = Style { lang: self.lang, zone: &self.timezone, now_ms, escape: Escape::Text };
        let at = mentions(robot, notification);
        let (title, text, note) = match self.worded(robot, notification, (&style, &at), own_templates(robot)) {
            Ok((title, text)) => (title, text, None),
            Err(error) => {
                let note = Text::new(format!("template of target {target}: {error}"), format!("target {target} 的模板：{error}"));
                let (title, text) = self.worded(robot, notification, (&style, &at), OURS).unwrap_or_default();
                (title, text, Some(note))
            }
        };
        let body = serde_json::json!({
            "msgtype": "markdown",
            "markdown": {"title": title, "text": text},
            "at": {"atMobiles": at, "atUserIds": [], "isAtAll": robot.mention_all && calls(notification)},
        });
        Some(Message { url: robot.url.clone(), secret: robot.secret.clone(), title, text, body: body.to_string(), note })
    }

    /// Title and text, with as many alerts as fit.
    fn worded(
        &self,
        robot: &Target,
        notification: &Notification,
        (style, at): (&Style<'_>, &[String]),
        (title, text): (&str, &str),
    ) -> Result<(String, String), String> {
        let set = self.dingtalk_templates();
        let name = |part: &str| format!("dingtalk.yml {} {part}", robot.name);
        let mut shown = notification.alerts.len().min(SHOWN);
        loop {
            let part = cut(notification, shown);
            let data = data::data(&part, style, at);
            let title = capped(style.render(set, (&name("title"), title), &data)?.trim(), TITLE_MAX);
            let body = style.render(set, (&name("text"), text), &data)?;
            let missing: Vec<&String> = at.iter().filter(|number| !body.contains(&format!("@{number}"))).collect();
            let tail = tail(&part, &missing, style.lang);
            let room = BYTES_MAX.saturating_sub(title.len() + tail.len());
            if body.len() <= room {
                return Ok((title, format!("{}{tail}", body.trim_end())));
            }
            if shown <= 1 {
                return Ok((title, format!("{}\n\n…{tail}", floor(&body, room.saturating_sub(8)))));
            }
            // Alerts are of about one size: aim a little under what fits.
            shown = (shown * room / body.len().max(1)).clamp(1, shown - 1);
        }
    }
}

const OURS: (&str, &str) = ("{{ template \"ding.link.title\" . }}", "{{ template \"ding.link.content\" . }}");

fn own_templates(robot: &Target) -> (&str, &str) {
    let (title, text) = OURS;
    (robot.title.as_ref().map_or(title, |(own, _)| own), robot.text.as_ref().map_or(text, |(own, _)| own))
}

/// Numbers to mention: the target's, and those that the alerts themselves name (annotation `at_mobiles`, comma-separated). Nobody is called for an end.
fn mentions(robot: &Target, notification: &Notification) -> Vec<String> {
    if !calls(notification) {
        return Vec::new();
    }
    let named = notification.firing().flat_map(|alert| alert.annotations.value("at_mobiles").split(','));
    let is_number = |text: &&str| text.len() >= 5 && text.len() <= 20 && text.trim_start_matches('+').chars().all(|c| c.is_ascii_digit() || c == '-');
    let mut all: Vec<String> = Vec::new();
    for number in robot.mention_mobiles.iter().map(String::as_str).chain(named.map(str::trim).filter(is_number)) {
        if !all.iter().any(|have| have == number) && all.len() < 50 {
            all.push(number.to_owned());
        }
    }
    all
}

/// Whether people are called: not for an end, not for good news.
fn calls(notification: &Notification) -> bool {
    notification.status == Status::Firing && !notification.alerts.iter().all(is_good_news)
}

/// What stands below any template's text: what was left out, the page, and the numbers, without which a mention is not highlighted.
fn tail(notification: &Notification, at: &[&String], lang: Lang) -> String {
    let mut out = String::new();
    if notification.truncated_alerts > 0 {
        let count = notification.truncated_alerts;
        let link = &notification.external_url;
        let note = if lang == Lang::Zh { format!("另有 {count} 条未显示") } else { format!("{count} more not shown") };
        let note = if link.is_empty() { note } else { format!("[{note}]({link})") };
        out.extend(["\n\n**", &note, "**"]);
    }
    if !at.is_empty() {
        out.push_str("\n\n");
        out.push_str(&at.iter().map(|number| format!("@{number}")).collect::<Vec<_>>().join(" "));
    }
    out
}

/// At most `max` bytes of `text`, ending with a whole character.
fn floor(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
