//! What is to be delivered, by which way, and how it went.
//!
//! Owns: the words between the router and the workers that carry messages. Must not know: how a message is carried.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Email, Webhook};
use crate::notification::Notification;

/// Names one delivery in this run of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// One way of one receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Integration {
    /// HTTP POST of the version 4 payload.
    Webhook(Box<Webhook>),
    /// Mail.
    Email(Box<Email>),
    /// A robot of `dingtalk.yml`, in process.
    DingTalk {
        /// Name under `targets:`.
        target: Arc<str>,
        /// As the webhook that named it.
        send_resolved: bool,
        /// As the webhook that named it; 0 means all that fit.
        max_alerts: usize,
    },
    /// A restart of `watchdog.yml`, in process; only firing alerts are handed to it.
    Restart {
        /// Name under `restarts:`.
        name: Arc<str>,
    },
}

/// One attempt to be made now. The worker renders it (see [`crate::Setup`]), carries it, and calls [`crate::Router::delivered`] exactly once.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// To be given back with the outcome.
    pub id: DeliveryId,
    /// Receiver's name; for what another Alertmanager handed over, the name it gave.
    pub receiver: Arc<str>,
    /// By which way.
    pub integration: Arc<Integration>,
    /// What it is about.
    pub notification: Notification,
    /// 1 for the first attempt of this message.
    pub attempt: u32,
    /// Equal for every attempt at the same content, also after a restart of the watchdog: DingTalk's `msgUuid`, a mail's Message-Id, an incident's name.
    pub idempotency_key: String,
}

/// How an attempt ended, as the worker (or [`crate::dingtalk::classify`]) judges it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Ok,
    /// It may work later, at once or `after` (a `Retry-After`).
    Retry {
        /// Not before this long from now; `None`: by our own back-off.
        after: Option<Duration>,
        /// For people.
        reason: String,
    },
    /// The robot as a whole is told to be quiet for `after`: every message to it waits.
    Throttled {
        /// How long.
        after: Duration,
        /// For people.
        reason: String,
    },
    /// This message will never get through like this (configuration, refused): next try at the group's next interval, as Alertmanager does.
    Permanent {
        /// For people.
        reason: String,
    },
}

/// Why an alert is not (or not yet) sent through an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum WhyNot {
    /// The group collects for `group_wait`.
    GroupWait,
    /// The group looks again at its next `group_interval`.
    GroupInterval,
    /// This receiver knows; it is reminded after `repeat_interval`.
    AlreadyNotified,
    /// A silence covers it.
    Silenced {
        /// Ids of the silences.
        ids: Vec<String>,
    },
    /// Another alert inhibits it.
    Inhibited {
        /// Fingerprint of one alert that does.
        by: String,
    },
    /// The route is muted by this time interval.
    Muted {
        /// Name of the interval.
        interval: String,
    },
    /// The route is active only in time intervals, and now is in none of them.
    NotActive,
    /// An attempt is under way.
    InFlight,
    /// The last attempt failed and the next waits.
    Backoff {
        /// What the last attempt ended with.
        error: String,
    },
    /// The last attempt was refused for good.
    Refused {
        /// What it ended with.
        error: String,
    },
    /// The robot's limit of messages a minute is used up, or DingTalk told it to be quiet.
    RateLimited,
    /// It ended before anybody was told.
    ResolvedUnnotified,
    /// The receiver does not want resolved alerts.
    ResolvedNotWanted,
    /// The receiver has no integration that Tidemark delivers.
    NoIntegration,
}

// === impl Integration ===

impl Integration {
    /// Whether resolved alerts are wanted.
    pub fn send_resolved(&self) -> bool {
        match self {
            Self::Webhook(webhook) => webhook.send_resolved,
            Self::Email(email) => email.send_resolved,
            Self::DingTalk { send_resolved, .. } => *send_resolved,
            Self::Restart { .. } => false,
        }
    }

    /// The kind's word in metrics, log and page.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::DingTalk { .. } => "dingtalk",
            Self::Restart { .. } => "restart",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// The word in log and metric.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry { .. } => "retry",
            Self::Throttled { .. } => "throttled",
            Self::Permanent { .. } => "permanent",
        }
    }

    /// A failure that may pass by itself, by our own back-off.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }
}

// === impl WhyNot ===

impl WhyNot {
    /// The word in log, metric, page and test.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::GroupWait => "group_wait",
            Self::GroupInterval => "group_interval",
            Self::AlreadyNotified => "already_notified",
            Self::Silenced { .. } => "silenced",
            Self::Inhibited { .. } => "inhibited",
            Self::Muted { .. } => "muted",
            Self::NotActive => "not_active",
            Self::InFlight => "in_flight",
            Self::Backoff { .. } => "backoff",
            Self::Refused { .. } => "refused",
            Self::RateLimited => "rate_limited",
            Self::ResolvedUnnotified => "resolved_unnotified",
            Self::ResolvedNotWanted => "resolved_not_wanted",
            Self::NoIntegration => "no_integration",
        }
    }
}
