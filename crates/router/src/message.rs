//! What every kind of message shares: words in two languages, safe text, template data.
//!
//! Owns: how an alert is put into words. Must not know: robots, mail servers, when a message is sent.

pub(crate) mod data;
pub(crate) mod words;

use diagnostics::Lang;
use gotemplate::{Escape, Functions, Host, TemplateSet, Value};
use jiff::tz::TimeZone;

use crate::notification::Notification;

/// Alerts that one message shows at most; the others are counted.
pub(crate) const SHOWN: usize = 50;

/// Our own templates, by the names that users' templates call (`ding.link.title`, `email.default.subject`, …); users' files may redefine them.
const BUILTIN: [(&str, &str); 2] = [("dingtalk.tmpl", include_str!("templates/dingtalk.tmpl")), ("email.tmpl", include_str!("templates/email.tmpl"))];

/// A set of the builtin templates that may call `functions`.
pub(crate) fn builtin(functions: Functions) -> TemplateSet {
    let mut set = TemplateSet::new(functions);
    for (name, text) in BUILTIN {
        // A test renders each of them; a builtin that does not parse would be missing there.
        let _ = set.parse(name, text);
    }
    set
}

/// How one message is rendered.
#[derive(Clone, Copy)]
pub(crate) struct Style<'a> {
    pub(crate) lang: Lang,
    pub(crate) zone: &'a TimeZone,
    pub(crate) now_ms: i64,
    pub(crate) escape: Escape,
}

/// Functions that templates may call and only a rendering can answer.
pub(crate) struct MessageHost;

impl Host for MessageHost {
    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        // Route labels (Alertmanager 0.34) are accepted in configurations and not kept.
        (name == "routeLabels").then(|| Ok(Value::strings::<&str, &str>([])))
    }
}

impl Style<'_> {
    /// `text`, a template, on a notification.
    ///
    /// # Errors
    /// Where and why it could not be carried out.
    pub(crate) fn render(&self, set: &TemplateSet, (name, text): (&str, &str), data: &Value) -> Result<String, String> {
        let host = MessageHost;
        let env = gotemplate::Env::at_ms(self.now_ms).in_zone(self.zone.clone()).escaping(self.escape).with_host(&host);
        set.render_text(name, text, data, &env).map_err(|error| error.to_string())
    }
}

/// The first `count` alerts of a notification, firing ones first, the most urgent before, the rest counted as truncated.
pub(crate) fn cut(notification: &Notification, count: usize) -> Notification {
    let mut out = notification.clone();
    out.alerts.sort_by_key(|alert| (alert.status, words::urgency(alert)));
    let over = out.alerts.len().saturating_sub(count);
    out.alerts.truncate(count);
    out.truncated_alerts += over;
    out
}
