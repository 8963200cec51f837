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

/// What Go writes for "no time": `0001-01-01T00:00:00Z`, in unix milliseconds.
pub const NOT_ENDED: UnixMs = -62_135_596_800_000;

/// One notification for one receiver, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// `"4"`: the payload's version.
    pub version: String,
    /// Text identity of the group, `{}/{severity="critical"}:{alertname="X"}`.
    pub group_key: String,
    /// Alerts left out because of `max_alerts`.
    #[serde(default)]
    pub truncated_alerts: usize,
    /// State of the whole.
    pub status: Status,
    /// Receiver's name.
    pub receiver: String,
    /// Labels that the alerts were grouped by.
    pub group_labels: Labels,
    /// Labels that all alerts share.
    pub common_labels: Labels,
    /// Annotations that all alerts share.
    pub common_annotations: Labels,
    /// Where this watchdog is reached.
    #[serde(rename = "externalURL")]
    pub external_url: String,
    /// The alerts: by job, instance, then labels.
    pub alerts: Vec<NotifiedAlert>,
    /// Why now.
    #[serde(rename = "notification_reason", default = "no_reason")]
    pub reason: NotifyReason,
    /// How many groups a digest was merged from; 1 for an ordinary notification. Ours, not in the payload.
    #[serde(skip, default = "one_group")]
    pub groups: usize,
}

// === impl NotifyReason ===

impl NotifyReason {
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
pub fn payload_v4(notification: &Notification, max_alerts: usize) -> String {
    let mut cut = notification.clone();
    if max_alerts > 0 && cut.alerts.len() > max_alerts {
        cut.truncated_alerts += cut.alerts.len() - max_alerts;
        cut.alerts.truncate(max_alerts);
    }
    serde_json::to_string(&cut).unwrap_or_default()
}

/// A payload that another Alertmanager posted to `/dingtalk/<target>/send`; unknown fields are ignored.
///
/// # Errors
/// What is wrong with the JSON, for the reply and the log.
pub fn parse_payload_v4(body: &[u8]) -> Result<Notification, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}
