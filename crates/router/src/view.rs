//! What API v2 shows: alerts, groups, silences, as its clients (amtool, Grafana, karma) read them.
//!
//! Owns: the shapes and the filters (Alertmanager `api/v2/openapi.yaml`). Must not know: HTTP.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::alert::UnixMs;
use crate::labels::{Fingerprint, Labels};
use crate::matcher::Matcher;
use crate::silence::{Silence, SilenceState};

/// Which alerts are asked for; the default asks for all.
#[derive(Clone, Debug)]
pub struct AlertQuery {
    /// All must match.
    pub filters: Vec<Matcher>,
    /// Fully anchored pattern of receivers' names.
    pub receiver: Option<ReceiverPattern>,
    /// Those that nothing suppresses.
    pub active: bool,
    /// Those that a silence covers.
    pub silenced: bool,
    /// Those that another inhibits.
    pub inhibited: bool,
    /// Those that no group has looked at yet.
    pub unprocessed: bool,
    /// Those that only time intervals suppress (groups only).
    pub muted: bool,
}

/// A pattern of receivers' names, matched as a whole.
#[derive(Clone, Debug)]
pub struct ReceiverPattern(regex::Regex);

/// `gettableAlert`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// Annotations.
    pub annotations: Labels,
    /// When it ends unless posted again.
    #[serde(serialize_with = "milliseconds")]
    pub ends_at: UnixMs,
    /// Identity.
    pub fingerprint: Fingerprint,
    /// Receivers it goes to.
    pub receivers: Vec<Name>,
    /// When it began.
    #[serde(serialize_with = "milliseconds")]
    pub starts_at: UnixMs,
    /// Whether it is suppressed, and by what.
    pub status: AlertStatus,
    /// Last post.
    #[serde(serialize_with = "milliseconds")]
    pub updated_at: UnixMs,
    /// Link to what raised it.
    #[serde(rename = "generatorURL", skip_serializing_if = "no_text")]
    pub generator_url: Arc<str>,
    /// Labels.
    pub labels: Labels,
}

/// `{"name": …}`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Name {
    /// The name.
    pub name: String,
}

/// `alertStatus`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Fingerprints of alerts that inhibit it.
    pub inhibited_by: Vec<String>,
    /// Names of intervals that mute it.
    pub muted_by: Vec<String>,
    /// Ids of silences that cover it.
    pub silenced_by: Vec<String>,
    /// Where it stands.
    pub state: AlertState,
}

/// `alertStatus.state`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// No group has looked at it.
    Unprocessed,
    /// Told, or about to be.
    Active,
    /// Silenced, inhibited or muted.
    Suppressed,
}

/// `alertGroup`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// Its alerts.
    pub alerts: Vec<AlertView>,
    /// Its labels.
    pub labels: Labels,
    /// Where it goes.
    pub receiver: Name,
}

/// `gettableSilence`
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceView {
    /// UUID.
    pub id: String,
    /// Where it stands.
    pub status: SilenceStatus,
    /// Last change.
    #[serde(serialize_with = "milliseconds")]
    pub updated_at: UnixMs,
    /// Why.
    pub comment: String,
    /// Who.
    pub created_by: String,
    /// Until.
    #[serde(serialize_with = "milliseconds")]
    pub ends_at: UnixMs,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From.
    #[serde(serialize_with = "milliseconds")]
    pub starts_at: UnixMs,
}

/// `silenceStatus`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SilenceStatus {
    /// Where it stands.
    pub state: SilenceState,
}

// === impl AlertQuery ===

impl Default for AlertQuery {
    fn default() -> Self {
        Self { filters: Vec::new(), receiver: None, active: true, silenced: true, inhibited: true, unprocessed: true, muted: true }
    }
}

impl AlertQuery {
    pub(crate) fn takes(&self, view: &AlertView) -> bool {
        let status = &view.status;
        let wanted = match status.state {
            AlertState::Unprocessed => self.unprocessed,
            AlertState::Active => self.active,
            AlertState::Suppressed => true,
        };
        wanted
            && (self.silenced || status.silenced_by.is_empty())
            && (self.inhibited || status.inhibited_by.is_empty())
            && (self.muted || status.muted_by.is_empty())
            && self.filters.iter().all(|matcher| matcher.matches(&view.labels))
    }

    pub(crate) fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|pattern| pattern.0.is_match(name))
    }
}

// === impl ReceiverPattern ===

impl ReceiverPattern {
    /// A pattern in Go's syntax.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        crate::re2::anchored(pattern).map(Self)
    }
}

// === impl SilenceView ===

impl SilenceView {
    /// A silence as it stands at `now_ms`.
    pub fn of(silence: &Silence, now_ms: UnixMs) -> Self {
        Self {
            id: silence.id.clone(),
            status: SilenceStatus { state: silence.state(now_ms) },
            updated_at: silence.updated_at,
            comment: silence.comment.clone(),
            created_by: silence.created_by.clone(),
            ends_at: silence.ends_at,
            matchers: silence.matchers.clone(),
            starts_at: silence.starts_at,
        }
    }

    /// Several in API v2's order: active (soonest end first), pending (soonest start first), expired (latest end first); only those whose matchers
    /// fit every filter (`name=value` finds a silence with such a matcher).
    pub fn list<'a>(silences: impl Iterator<Item = &'a Silence>, filters: &[Matcher], now_ms: UnixMs) -> Vec<Self> {
        let fits = |silence: &&Silence| {
            filters.iter().all(|filter| silence.matchers.iter().any(|matcher| matcher.name == filter.name && filter.matches_value(&matcher.value)))
        };
        let mut views: Vec<Self> = silences.filter(fits).map(|silence| Self::of(silence, now_ms)).collect();
        views.sort_by_key(|view| {
            let state = view.status.state;
            let order = match state {
                SilenceState::Active => view.ends_at,
                SilenceState::Pending => view.starts_at,
                SilenceState::Expired => view.ends_at.saturating_neg(),
            };
            (state, order, view.id.clone())
        });
        views
    }
}

fn no_text(text: &str) -> bool {
    text.is_empty()
}

/// RFC 3339 in UTC with always three digits of milliseconds, as API v2 writes.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn milliseconds<S: Serializer>(ms: &UnixMs, serializer: S) -> Result<S::Ok, S::Error> {
    let at = jiff::Timestamp::from_millisecond(*ms).unwrap_or(jiff::Timestamp::MIN);
    serializer.serialize_str(&at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::parse_one;

    #[test]
    fn times_have_milliseconds() {
        let silence = Silence {
            id: "x".to_owned(),
            matchers: vec![parse_one("a=b").unwrap()],
            starts_at: 1_700_000_000_000,
            ends_at: 1_700_000_001_120,
            updated_at: 1_700_000_000_000,
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
        };
        let json = serde_json::to_value(SilenceView::of(&silence, 1_700_000_000_500)).unwrap();
        let expected = serde_json::json!({
            "id": "x", "status": {"state": "active"}, "updatedAt": "2023-11-14T22:13:20.000Z", "comment": "c", "createdBy": "me",
            "startsAt": "2023-11-14T22:13:20.000Z", "endsAt": "2023-11-14T22:13:21.120Z",
            "matchers": [{"name": "a", "value": "b", "isRegex": false, "isEqual": true}],
        });
        assert_eq!(json, expected);
    }
}
