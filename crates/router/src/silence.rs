//! Silences: an operator's "not now" for the alerts that matchers name.
//!
//! Owns: their form, check, edit rules and state. Must not know: alerts' way to a receiver.

use serde::{Deserialize, Serialize};

use crate::alert::UnixMs;
use crate::labels::Labels;
use crate::matcher::Matcher;

/// A silence as it is kept and journalled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// UUID.
    pub id: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From.
    pub starts_at: UnixMs,
    /// Until (exclusive).
    pub ends_at: UnixMs,
    /// Last change.
    pub updated_at: UnixMs,
    /// Who.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence as it is posted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PostedSilence {
    /// To change an existing one; empty for a new one.
    pub id: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From; what lies in the past is moved to now.
    pub starts_at: UnixMs,
    /// Until.
    pub ends_at: UnixMs,
    /// Who.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Where a silence stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// In force.
    Active,
    /// Not yet.
    Pending,
    /// No more.
    Expired,
}

/// Why a silence was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// No such id.
    #[error("silence not found")]
    NotFound,
    /// No matcher.
    #[error("at least one matcher required")]
    NoMatchers,
    /// Every matcher matches the empty string: it would silence everything.
    #[error("at least one matcher must not match the empty string")]
    MatchesAll,
    /// Ends before it starts.
    #[error("end time must not be before or equal to start time")]
    EndsBeforeStart,
    /// Ends in the past.
    #[error("end time can't be in the past")]
    EndsInThePast,
    /// More silences than may be held ([`crate::Limits::silences`]).
    #[error("the limit of silences held is reached")]
    TooMany,
    /// An expired silence cannot be changed into one of the past.
    #[error("silence is already expired")]
    AlreadyExpired,
}

// === impl SilenceState ===

impl SilenceState {
    /// The word of API v2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

// === impl Silence ===

impl Silence {
    /// Where it stands at `now_ms`.
    pub fn state(&self, now_ms: UnixMs) -> SilenceState {
        if now_ms >= self.ends_at {
            SilenceState::Expired
        } else if now_ms < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Whether it covers an alert with these labels, whatever the time.
    pub fn covers(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}
