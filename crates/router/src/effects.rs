//! What the shell is to do after a turn, and what happened in it.
//!
//! Owns: the shapes only. Must not know: how anything is done.

use std::time::Duration;

use crate::alert::AlertError;
use crate::delivery::Delivery;
use crate::record::Record;

/// Result of [`crate::Router::turn`]. The shell appends and syncs `persist` first, then starts `deliveries`, then waits.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// To be on disk before anything else is done. When the disk is dead: go on, loudly.
    pub persist: Vec<Record>,
    /// To be started now.
    pub deliveries: Vec<Delivery>,
    /// Decisions worth a log line or a count, oldest first.
    pub events: Vec<Event>,
    /// How long from now until the next turn is needed; `None`: not before something is received.
    pub next: Option<Duration>,
    /// The turn stopped at its bound: take another soon (after other work had its chance).
    pub more: bool,
}

/// What became of a batch of posted alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// How many were taken.
    pub accepted: usize,
    /// Which were refused (index in the batch), and why.
    pub refused: Vec<(usize, AlertError)>,
}

/// A decision with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Receiver, `receiver/integration`, robot or group it concerns; may be empty.
    pub subject: String,
    /// More for the log line; may be empty.
    pub detail: String,
}

/// The words of events: log field and metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// An attempt was handed to the shell; detail is the reason to notify.
    Notify,
    /// A message arrived.
    Delivered,
    /// An attempt failed and will be made again.
    RetryScheduled,
    /// An attempt was refused for good.
    Refused,
    /// A robot was told to be quiet.
    RobotThrottled,
    /// Several groups were merged into one message, because the robot's limit did not allow one each.
    DigestMerged,
    /// An alert was not sent because of a silence.
    Silenced,
    /// An alert was not sent because another inhibits it.
    Inhibited,
    /// A group was not sent because of time intervals.
    Muted,
    /// A resolved message could not be delivered for so long that it was given up.
    GivenUp,
    /// An alert was refused: the limit of alerts held.
    AlertLimit,
    /// A message that another Alertmanager wanted to hand over was refused: the queue's limit.
    QueueLimit,
}

// === impl EventKind ===

impl EventKind {
    /// The word in log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Delivered => "delivered",
            Self::RetryScheduled => "retry_scheduled",
            Self::Refused => "refused",
            Self::RobotThrottled => "robot_throttled",
            Self::DigestMerged => "digest_merged",
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Muted => "muted",
            Self::GivenUp => "given_up",
            Self::AlertLimit => "alert_limit",
            Self::QueueLimit => "queue_limit",
        }
    }
}
