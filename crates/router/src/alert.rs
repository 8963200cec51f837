//! An alert as it is posted, checked and merged.
//!
//! Owns: the rules of `POST /api/v2/alerts` for one alert, and what a repeated post of the same alert does. Must not know: routes, groups, receivers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;

/// Unix time in milliseconds.
pub type UnixMs = i64;

/// An alert as a client posts it: the rule engine in process, or Prometheus over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostedAlert {
    /// Identifying labels; empty values are dropped.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Labels,
    /// When it began; absent: now, or `ends_at` when that is given.
    pub starts_at: Option<UnixMs>,
    /// When it ended (past) or until when it is to be taken as firing (future); absent: now + `resolve_timeout`.
    pub ends_at: Option<UnixMs>,
    /// Link to what raised it.
    pub generator_url: String,
}

/// An alert that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Identifying labels.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Labels,
    /// When it began.
    pub starts_at: UnixMs,
    /// When it ended, or until when it is taken as firing.
    pub ends_at: UnixMs,
    /// Whether `ends_at` is our own (`resolve_timeout`) and not the client's.
    pub timeout: bool,
    /// Link to what raised it.
    pub generator_url: Arc<str>,
    /// When the latest post of it came in.
    pub updated_at: UnixMs,
}

/// Why a posted alert was refused; the others of its batch are still taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// No label with a value.
    #[error("at least one label pair required")]
    NoLabels,
    /// `starts_at` is after `ends_at`.
    #[error("start time must be before end time")]
    EndsBeforeStart,
    /// A label or annotation has an empty name.
    #[error("a label or annotation name is empty")]
    EmptyName,
    /// The router already holds as many alerts as it may ([`crate::Limits::alerts`]).
    #[error("the limit of alerts held is reached; this new alert was refused")]
    TooMany,
}

// === impl PostedAlert ===

impl PostedAlert {
    /// The alert this post means at `now_ms`, by the rules of Alertmanager's API (defaults of 0.33.1).
    pub(crate) fn accept(&self, now_ms: UnixMs, resolve_timeout_ms: i64) -> Result<Alert, AlertError> {
        let labels = self.labels.without_empty();
        if labels.is_empty() {
            return Err(AlertError::NoLabels);
        }
        if self.labels.iter().chain(self.annotations.iter()).any(|(name, _)| name.is_empty()) {
            return Err(AlertError::EmptyName);
        }
        let starts_at = self.starts_at.or(self.ends_at).unwrap_or(now_ms);
        let (ends_at, timeout) = match self.ends_at {
            Some(ends_at) => (ends_at, false),
            None => (now_ms.saturating_add(resolve_timeout_ms), true),
        };
        if starts_at > ends_at {
            return Err(AlertError::EndsBeforeStart);
        }
        let generator_url = self.generator_url.as_str().into();
        Ok(Alert { labels, annotations: self.annotations.clone(), starts_at, ends_at, timeout, generator_url, updated_at: now_ms })
    }
}

// === impl Alert ===

impl Alert {
    /// Whether it has ended by `now_ms`.
    pub fn resolved_at(&self, now_ms: UnixMs) -> bool {
        self.ends_at <= now_ms
    }

    /// This alert after `newer`, a later post of the same labels. Overlapping spans are one: earliest start, newest texts; an end of our own making
    /// (`timeout`) never shortens or replaces a later end that a client gave. Disjoint spans are a new incident.
    pub(crate) fn merged(&self, mut newer: Self, now_ms: UnixMs) -> Self {
        let overlap = newer.starts_at < self.ends_at && newer.ends_at > self.starts_at || newer.starts_at == self.starts_at;
        if !overlap {
            return newer;
        }
        newer.starts_at = newer.starts_at.min(self.starts_at);
        let both_resolved = newer.resolved_at(now_ms) && self.resolved_at(now_ms);
        let keeps_clients_end = !newer.resolved_at(now_ms) && !self.timeout;
        if (both_resolved || keeps_clients_end) && self.ends_at > newer.ends_at {
            newer.ends_at = self.ends_at;
            newer.timeout = self.timeout;
        }
        newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(starts_at: Option<i64>, ends_at: Option<i64>) -> PostedAlert {
        PostedAlert { labels: Labels::from_pairs([("alertname", "A")]), starts_at, ends_at, ..PostedAlert::default() }
    }

    #[test]
    fn defaults_of_a_post() {
        for (given, starts_at, ends_at, timeout) in [
            (post(None, None), 1_000, 301_000, true),
            (post(Some(400), None), 400, 301_000, true),
            (post(None, Some(700)), 700, 700, false),
            (post(None, Some(9_000)), 9_000, 9_000, false),
        ] {
            let alert = given.accept(1_000, 300_000).unwrap();
            assert_eq!((alert.starts_at, alert.ends_at, alert.timeout), (starts_at, ends_at, timeout), "{given:?}");
        }
    }

    #[test]
    fn refusals() {
        let empty = PostedAlert { labels: Labels::from_pairs([("a", "")]), ..PostedAlert::default() };
        assert_eq!(empty.accept(0, 1), Err(AlertError::NoLabels));
        assert_eq!(post(Some(5), Some(4)).accept(0, 1), Err(AlertError::EndsBeforeStart));
    }

    /// (old start, old end, old timeout) + (new start, new end, new timeout) at 100 → (start, end, timeout)
    #[test]
    fn merging() {
        type Span = (i64, i64, bool);
        let cases: [(Span, Span, Span); 6] = [
            ((10, 200, false), (50, 300, false), (10, 300, false)), // overlap: earliest start, newest end
            ((10, 400, false), (50, 300, true), (10, 400, false)),  // our timeout does not override a client's later end
            ((10, 400, true), (50, 300, false), (10, 300, false)),  // a client's end overrides our timeout
            ((10, 400, false), (10, 90, false), (10, 90, false)),   // resolved now: wins over the promise to last longer
            ((10, 95, false), (20, 90, false), (10, 95, false)),    // both resolved: the later end
            ((10, 20, false), (60, 300, false), (60, 300, false)),  // disjoint: a new incident
        ];
        for (old, new, expected) in cases {
            let make = |(starts_at, ends_at, timeout): Span| Alert { timeout, ..post(Some(starts_at), Some(ends_at)).accept(0, 0).unwrap() };
            let merged = make(old).merged(make(new), 100);
            assert_eq!((merged.starts_at, merged.ends_at, merged.timeout), expected, "{old:?} + {new:?}");
        }
    }
}
