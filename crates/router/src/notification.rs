//! One notification: which alerts, in which state, and why now; and its form as Alertmanager's webhook payload, version 4.
//!
//! Owns: what every kind of message is made from. Must not know: how a kind of message looks, nor how it travels.

use serde::{Deserialize, Serialize};

use crate::alert::UnixMs;
use crate::labels::{Fingerprint, Labels};

/// Firing or resolved; a notification is firing while any of its alerts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one alert goes on.
    Firing,
    /// All have ended.
    Resolved,
}

/// Why a notification is sent (Alertmanager's `notification_reason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NotifyReason {
    /// This receiver has not been told of the group.
    #[serde(rename = "first notification")]
    FirstNotification,
    /// Alerts fire that it has not been told of.
    #[serde(rename = "new alerts added")]
    NewAlertsInGroup,
    /// Some ended, others go on.
    #[serde(rename = "some alerts resolved")]
    NewResolvedAlerts,
    /// All ended.
    #[serde(rename = "all alerts resolved")]
    AllAlertsResolved,
    /// Nothing changed, it is time to remind.
    #[serde(rename = "repeat interval elapsed")]
    RepeatIntervalElapsed,
    /// Asked for by hand, or handed over by another Alertmanager that gave no reason.
    #[serde(rename = "none", other)]
    None,
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifiedAlert {
    /// Its own state.
    pub status: Status,
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    #[serde(default)]
    pub annotations: Labels,
    /// When it began.
    #[serde(with = "crate::time::rfc3339")]
    pub starts_at: UnixMs,
    /// When it ended; [`NOT_ENDED`] while firing.
    #[serde(with = "crate::time::rfc3339", default = "not_ended")]
    pub ends_at: UnixMs,
    /// Link to what raised it.
    #[serde(rename = "generatorURL", default)]
    pub generator_url: String,
    /// Identity.
    #[serde(default)]
    pub fingerprint: Fingerprint,
}

/// The annotation that makes an alert an announcement: `done`, `failed` or `held`. It is shown in place of a severity, and nothing of it has an end.
pub const NOTICE: &str = "notice";

/// What Go writes for "no time": `0001-01-01T00:00:00Z`, in unix milliseconds.
pub const NOT_ENDED: UnixMs = -62_135_596_800_000;

/// One notification for one receiver, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Receiver's name.
    pub receiver: String,
    /// State of the whole.
    pub status: Status,
    /// The alerts: by job, instance, then labels.
    pub alerts: Vec<NotifiedAlert>,
    /// Why now.
    #[serde(rename = "notification_reason", default = "no_reason")]
    pub reason: NotifyReason,
    /// Labels that the alerts were grouped by.
    pub group_labels: Labels,
    /// Labels that all alerts share.
    pub common_labels: Labels,
    /// Annotations that all alerts share.
    pub common_annotations: Labels,
    /// Where this watchdog is reached.
    #[serde(rename = "externalURL")]
    pub external_url: String,
    /// `"4"`: the payload's version.
    pub version: String,
    /// Text identity of the group, `{}/{severity="critical"}:{alertname="X"}`.
    pub group_key: String,
    /// Alerts left out because of `max_alerts`.
    #[serde(default)]
    pub truncated_alerts: usize,
    /// How many groups a digest was merged from; 1 for an ordinary notification. Ours, not in the payload.
    #[serde(skip, default = "one_group")]
    pub groups: usize,
}

// === impl NotifyReason ===

impl NotifyReason {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::FirstNotification, Self::NewAlertsInGroup, Self::NewResolvedAlerts, Self::AllAlertsResolved, Self::RepeatIntervalElapsed, Self::None];

    /// The word in log, metric and payload.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstNotification => "first notification",
            Self::NewAlertsInGroup => "new alerts added",
            Self::NewResolvedAlerts => "some alerts resolved",
            Self::AllAlertsResolved => "all alerts resolved",
            Self::RepeatIntervalElapsed => "repeat interval elapsed",
            Self::None => "none",
        }
    }
}

// === impl Notification ===

impl Notification {
    /// The alerts that go on.
    pub fn firing(&self) -> impl Iterator<Item = &NotifiedAlert> {
        self.alerts.iter().filter(|alert| alert.status == Status::Firing)
    }

    /// The alerts that ended.
    pub fn resolved(&self) -> impl Iterator<Item = &NotifiedAlert> {
        self.alerts.iter().filter(|alert| alert.status == Status::Resolved)
    }
}

fn not_ended() -> UnixMs {
    NOT_ENDED
}

fn no_reason() -> NotifyReason {
    NotifyReason::None
}

fn one_group() -> usize {
    1
}

/// The JSON body of Alertmanager's webhook, version 4 (Alertmanager documentation, "webhook_config"), with at most `max_alerts` alerts (0: all).
/// As there, the receiver's name is quoted for use in a regular expression.
pub fn payload_v4(notification: &Notification, max_alerts: usize) -> String {
    let mut cut = notification.clone();
    if max_alerts > 0 && cut.alerts.len() > max_alerts {
        cut.truncated_alerts += cut.alerts.len() - max_alerts;
        cut.alerts.truncate(max_alerts);
    }
    cut.receiver = quoted_for_regex(&notification.receiver);
    serde_json::to_string(&cut).unwrap_or_default()
}

/// A payload that another Alertmanager posted to `/dingtalk/<target>/send`; unknown fields are ignored.
///
/// # Errors
/// What is wrong with the JSON, for the reply and the log.
pub fn parse_payload_v4(body: &[u8]) -> Result<Notification, String> {
    let mut notification: Notification = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    notification.receiver = unquoted(&notification.receiver);
    Ok(notification)
}

/// Go's `regexp.QuoteMeta`.
pub(crate) fn quoted_for_regex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Notification {
        let labels = Labels::from_pairs([("alertname", "A"), ("x", "1")]);
        let annotations = Labels::from_pairs([("summary", "s")]);
        Notification {
            receiver: "team-x.y".to_owned(),
            status: Status::Firing,
            alerts: vec![NotifiedAlert {
                status: Status::Firing,
                labels: labels.clone(),
                annotations: annotations.clone(),
                starts_at: 1_795_269_600_123,
                ends_at: NOT_ENDED,
                generator_url: String::new(),
                fingerprint: labels.fingerprint(),
            }],
            reason: NotifyReason::FirstNotification,
            group_labels: Labels::from_pairs([("alertname", "A")]),
            common_labels: labels,
            common_annotations: annotations,
            external_url: "http://vm:19978".to_owned(),
            version: "4".to_owned(),
            group_key: "{}:{alertname=\"A\"}".to_owned(),
            truncated_alerts: 0,
            groups: 1,
        }
    }

    /// Key by key what Alertmanager 0.33.1 was seen to send for the same alert.
    #[test]
    fn the_payload_is_alertmanagers() {
        let expected = serde_json::json!({
            "receiver": "team-x\\.y", "status": "firing",
            "alerts": [{
                "status": "firing", "labels": {"alertname": "A", "x": "1"}, "annotations": {"summary": "s"},
                "startsAt": "2026-11-21T14:00:00.123Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
                "fingerprint": sample().alerts[0].fingerprint.to_string(),
            }],
            "notification_reason": "first notification", "groupLabels": {"alertname": "A"}, "commonLabels": {"alertname": "A", "x": "1"},
            "commonAnnotations": {"summary": "s"}, "externalURL": "http://vm:19978", "version": "4", "groupKey": "{}:{alertname=\"A\"}",
            "truncatedAlerts": 0,
        });
        let body = payload_v4(&sample(), 0);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
        assert_eq!(parse_payload_v4(body.as_bytes()).unwrap(), sample());
    }

    #[test]
    fn an_older_payload_without_reason_is_taken() {
        let body = r#"{"version":"4","groupKey":"k","status":"resolved","receiver":"r","groupLabels":{},"commonLabels":{},"commonAnnotations":{},
            "externalURL":"","alerts":[{"status":"resolved","labels":{"a":"b"},"annotations":{},"startsAt":"2026-11-21T22:00:00+08:00",
            "endsAt":"2026-11-21T15:00:00.5Z","generatorURL":"","fingerprint":"bce0eb0b78ab82bd","unknown":1}],"numFiring":0}"#;
        let notification = parse_payload_v4(body.as_bytes()).unwrap();
        assert_eq!((notification.reason, notification.groups), (NotifyReason::None, 1));
        assert_eq!(notification.alerts[0].starts_at, 1_795_269_600_000);
        assert!(parse_payload_v4(b"{}").is_err());
    }

    #[test]
    fn more_alerts_than_wanted_are_counted() {
        let mut many = sample();
        many.alerts = vec![many.alerts[0].clone(); 5];
        let value: serde_json::Value = serde_json::from_str(&payload_v4(&many, 2)).unwrap();
        assert_eq!((value["alerts"].as_array().unwrap().len(), value["truncatedAlerts"].as_u64()), (2, Some(3)));
    }
}
