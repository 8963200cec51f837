//! What must survive SIGKILL, as records of a journal.
//!
//! Owns: the form of the state on disk. Must not know: how a journal is written. A state is the fold of its records, the last one of a key wins;
//! [`crate::Router::snapshot`] gives the shortest list that has the same fold.

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, UnixMs};
use crate::labels::Fingerprint;
use crate::notification::Notification;
use crate::silence::Silence;

/// One change of state. The shell appends it (JSON) and syncs before it performs any delivery of the same [`crate::Effects`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// An alert began, ended or changed its span.
    Alert(Alert),
    /// An alert was forgotten.
    AlertGone {
        /// Which.
        fingerprint: Fingerprint,
    },
    /// A group exists and looks at itself next at this time.
    Group {
        /// Route key and group labels, as in the payload's `groupKey`.
        key: String,
        /// Wall time of the next flush.
        flush_at: UnixMs,
        /// Whether it has been flushed before.
        flushed: bool,
    },
    /// A group is empty.
    GroupGone {
        /// Its key.
        key: String,
    },
    /// What one integration has been told of one group.
    Log(LogRecord),
    /// Nothing is remembered of this any more.
    LogGone {
        /// [`LogRecord::key`].
        key: String,
    },
    /// A silence was made or changed.
    Silence(Silence),
    /// A silence was forgotten, long after its end.
    SilenceGone {
        /// Its id.
        id: String,
    },
    /// What a robot was sent in the last minute, and until when it is to be quiet.
    Robot {
        /// Hash of the robot's URL (never the URL itself: it holds the token).
        key: String,
        /// Wall times of messages in the last minute.
        sent_at: Vec<UnixMs>,
        /// Quiet until this wall time (0: free).
        quiet_until: UnixMs,
    },
    /// A notification that belongs to no group, accepted and not yet delivered: handed over by another Alertmanager, or an announcement.
    Queued {
        /// Its key.
        key: String,
        /// Where it goes.
        to: Address,
        /// When it was accepted.
        at: UnixMs,
        /// What it says.
        notification: Box<Notification>,
    },
    /// Such a notification is delivered, or refused for good.
    QueuedGone {
        /// Its key.
        key: String,
    },
}

/// Where a message that belongs to no group goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Address {
    /// A robot.
    Robot {
        /// Its name in `dingtalk.yml`.
        target: String,
    },
    /// One integration of a receiver.
    Receiver {
        /// Its name.
        receiver: String,
        /// Which of its integrations.
        index: usize,
    },
}

/// The notification log's entry for one integration and one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Group key, receiver, integration and its index: `{}:{alertname="A"}:team/webhook/0`.
    pub key: String,
    /// Wall time of the last message that arrived; `None`: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<UnixMs>,
    /// Alerts it said are firing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firing: Vec<Fingerprint>,
    /// Alerts it said are resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<Fingerprint>,
    /// Alerts that later messages said (or were to say) are firing, when it is not known that they arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Fingerprint>,
    /// Wall time after which the entry may be forgotten, once its group is gone.
    pub expires_at: UnixMs,
}
