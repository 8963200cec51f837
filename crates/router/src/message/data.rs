//! What templates see of a notification (Alertmanager documentation, "Notification template reference"), and ours besides.
//!
//! Ours, on the whole: `.AtMobiles` (as the DingTalk webhook), `.Title` (for a banner), `.Heading` (the same for markdown), `.Groups`, `.Truncated`, `.ShownFiring`, `.Lang`. Ours, on an alert, ready to
//! be printed, in the language and zone of the message, safe: `.Emoji`, `.Severity`, `.Name`, `.Subject`, `.Summary`, `.Impact`, `.Action`, `.Value`,
//! `.Notice`, `.Since`, `.Ended`, `.Lasted`, `.Tags`, `.RunbookURL`, `.DashboardURL`, `.GraphURL`.

use std::sync::Arc;

use diagnostics::Lang;
use gotemplate::{Kv, Object, Value};

use super::Style;
use super::words::{ANNOTATION_MAX, LABEL_MAX, capped, clock, leading, link, localized, plain, severity, span, subject};
use crate::labels::{ALERTNAME, Labels, SEVERITY};
use crate::notification::{NOT_ENDED, NOTICE, Notification, NotifiedAlert, Status, quoted_for_regex};

/// Bytes of one label's or annotation's value that a template can see.
const VALUE_MAX: usize = 4_000;

/// The list of alerts, with `.Firing` and `.Resolved`.
#[derive(Debug)]
struct Alerts {
    all: Arc<[Value]>,
    firing: Arc<[Value]>,
    resolved: Arc<[Value]>,
}

impl Object for Alerts {
    fn type_name(&self) -> &'static str {
        "template.Alerts"
    }

    fn method(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Firing" => Some(Ok(Value::List(self.firing.clone()))),
            "Resolved" => Some(Ok(Value::List(self.resolved.clone()))),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::List(self.all.clone()))
    }
}

/// The data of a notification.
pub(crate) fn data(notification: &Notification, style: &Style<'_>, mobiles: &[String]) -> Value {
    let each = |status: Option<Status>| -> Arc<[Value]> {
        let wanted = notification.alerts.iter().filter(|alert| status.is_none_or(|status| alert.status == status));
        wanted.map(|alert| one(alert, notification, style)).collect()
    };
    let alerts = Alerts { all: each(None), firing: each(Some(Status::Firing)), resolved: each(Some(Status::Resolved)) };
    let shown_firing = alerts.firing.len();
    Value::record(
        "template.Data",
        [
            ("Receiver", Value::str(quoted_for_regex(&notification.receiver))),
            ("Status", Value::str(status(notification.status))),
            ("Alerts", Value::object(alerts)),
            ("GroupLabels", kv(&notification.group_labels)),
            ("CommonLabels", kv(&notification.common_labels)),
            ("CommonAnnotations", kv(&notification.common_annotations)),
            ("RouteLabels", kv(&Labels::default())),
            ("NotificationReason", Value::str(notification.reason.as_str())),
            ("ExternalURL", Value::str(&notification.external_url)),
            ("AtMobiles", Value::list_of(mobiles)),
            ("Title", Value::from(title(notification, style, capped))),
            ("Heading", Value::from(title(notification, style, |text, max| shown(text, max, style)))),
            ("Groups", number(notification.groups)),
            ("Truncated", number(notification.truncated_alerts)),
            ("ShownFiring", number(shown_firing)),
            ("Lang", Value::str(if style.lang == Lang::Zh { "zh" } else { "en" })),
        ],
    )
}

fn one(alert: &NotifiedAlert, notification: &Notification, style: &Style<'_>) -> Value {
    let (emoji, word) = severity(alert, style.lang);
    let base = &notification.external_url;
    let safe = |text: &str, max: usize| Value::from(shown(text, max, style));
    let annotation = |names: &[&str]| {
        let text = names.iter().map(|name| localized(alert, name, style.lang)).find(|text| !text.is_empty()).unwrap_or("");
        safe(text, ANNOTATION_MAX)
    };
    let url = |text: &str| Value::from(link(text, base).unwrap_or_default());
    let dashboard =
        [alert.annotations.value("dashboard_url"), alert.annotations.value("dashboard")].into_iter().find(|one| !one.is_empty()).unwrap_or("");
    Value::record(
        "template.Alert",
        [
            ("Status", Value::str(status(alert.status))),
            ("Labels", kv(&alert.labels)),
            ("Annotations", kv(&alert.annotations)),
            ("StartsAt", time(alert.starts_at, style)),
            ("EndsAt", time(alert.ends_at, style)),
            ("GeneratorURL", Value::str(&alert.generator_url)),
            ("Fingerprint", Value::from(alert.fingerprint.to_string())),
            ("Emoji", Value::str(emoji)),
            ("Severity", Value::str(word)),
            ("Name", safe(alert.labels.value(ALERTNAME), LABEL_MAX)),
            ("Subject", safe(subject(alert), LABEL_MAX)),
            ("Summary", annotation(&["summary", "message", "description"])),
            ("Impact", annotation(if alert.annotations.value("summary").is_empty() { &["impact"] } else { &["impact", "description"] })),
            ("Action", annotation(&["action", "suggestion"])),
            ("Value", annotation(&["value"])),
            ("Notice", Value::str(alert.annotations.value(NOTICE))),
            ("Since", Value::from(clock(alert.starts_at, style.zone))),
            ("Ended", Value::from(if alert.ends_at == NOT_ENDED { String::new() } else { clock(alert.ends_at, style.zone) })),
            ("Lasted", Value::from(lasted(alert, style))),
            ("Tags", Value::from(tags(alert, style))),
            ("RunbookURL", url(alert.annotations.value("runbook_url"))),
            ("DashboardURL", url(dashboard)),
            ("GraphURL", url(&alert.generator_url)),
        ],
    )
}

/// What stands above the message and in the banner: emoji, severity, name, what it is about, how many.
/// A banner is no markdown, a heading is: `safe` makes text from outside fit for the place.
fn title(notification: &Notification, style: &Style<'_>, safe: impl Fn(&str, usize) -> String) -> String {
    let zh = style.lang == Lang::Zh;
    let total = notification.alerts.len() + notification.truncated_alerts;
    let Some(lead) = leading(notification) else {
        return (if zh { "告警" } else { "Alert" }).to_owned();
    };
    let (emoji, word) = severity(lead, style.lang);
    if notification.groups > 1 {
        return if zh {
            format!("{emoji} 告警汇总：{} 组 {total} 条", notification.groups)
        } else {
            format!("{emoji} Digest: {} groups, {total} alerts", notification.groups)
        };
    }
    // An announcement's word says what its name would say again.
    let name = if lead.annotations.value(NOTICE).is_empty() { safe(lead.labels.value(ALERTNAME), LABEL_MAX) } else { String::new() };
    let about = if total == 1 { safe(subject(lead), LABEL_MAX) } else { format!("×{total}") };
    [emoji, word, &name, &about].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text from outside as it may stand in this kind of message.
fn shown(text: &str, max: usize, style: &Style<'_>) -> String {
    match style.escape {
        // HTML is escaped when it is printed; here only the length is bounded.
        gotemplate::Escape::Html => capped(text, max),
        gotemplate::Escape::Text => plain(text, max),
    }
}

/// The labels that the rest of the message does not say: `process=collector, venue=okx`.
fn tags(alert: &NotifiedAlert, style: &Style<'_>) -> String {
    let said = [ALERTNAME, SEVERITY, "instance"];
    let rest = alert.labels.iter().filter(|(name, _)| !said.contains(name)).take(20);
    rest.map(|(name, value)| format!("{}={}", shown(name, LABEL_MAX, style), shown(value, LABEL_MAX, style))).collect::<Vec<_>>().join(", ")
}

fn lasted(alert: &NotifiedAlert, style: &Style<'_>) -> String {
    let until = if alert.status == Status::Resolved { alert.ends_at } else { style.now_ms };
    span(until.saturating_sub(alert.starts_at), style.lang)
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Firing => "firing",
        Status::Resolved => "resolved",
    }
}

fn kv(labels: &Labels) -> Value {
    Kv::value(labels.iter().map(|(name, value)| (name, if value.len() > VALUE_MAX { capped(value, VALUE_MAX / 4) } else { value.to_owned() })))
}

fn time(ms: i64, style: &Style<'_>) -> Value {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MIN);
    // Go's zero time means "not yet" and is compared as such; a zone would only shift its digits.
    Value::from(at.to_zoned(if ms == NOT_ENDED { jiff::tz::TimeZone::UTC } else { style.zone.clone() }))
}

fn number(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
