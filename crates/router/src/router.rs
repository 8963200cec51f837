//! The router: alerts in, deliveries out.
//!
//! Owns: alerts, groups, the notification log, silences, robots' buckets, what is in flight. One owner, no locks; every method takes `now`.
//! Must not know: how messages look or travel.

use std::sync::Arc;

use clock::Now;

use crate::alert::PostedAlert;
use crate::delivery::{DeliveryId, Outcome};
use crate::effects::{Effects, Received};
use crate::notification::Notification;
use crate::record::Record;
use crate::setup::Setup;
use crate::silence::{PostedSilence, Silence, SilenceError};

/// Bounds of everything the router holds; each is also a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Alerts held; further new ones are refused, known ones go on.
    pub alerts: usize,
    /// Silences held, expired ones included.
    pub silences: usize,
    /// Notifications handed over by another Alertmanager that wait for a robot.
    pub queued: usize,
    /// Alerts looked at in one turn before it says `more`.
    pub alerts_per_turn: usize,
    /// Deliveries under way at once; further ones wait.
    pub in_flight: usize,
}

/// How full everything is, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Alerts held.
    pub alerts: usize,
    /// Of them firing.
    pub firing: usize,
    /// Groups.
    pub groups: usize,
    /// Silences held.
    pub silences: usize,
    /// Notification log entries.
    pub log: usize,
    /// Deliveries under way.
    pub in_flight: usize,
    /// Notifications from another Alertmanager waiting for a robot.
    pub queued: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Router {
    setup: Arc<Setup>,
    limits: Limits,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { alerts: 50_000, silences: 2_000, queued: 500, alerts_per_turn: 2_000, in_flight: 64 }
    }
}

// === impl Router ===

impl Router {
    /// A router with the state that `records` (a snapshot and the journal after it, oldest first) fold to; none for a first start.
    pub fn new(setup: Arc<Setup>, limits: Limits, records: impl IntoIterator<Item = Record>, now: Now) -> Self {
        let _ = (records.into_iter().count(), now);
        Self { setup, limits }
    }

    /// Puts another configuration in force. Alerts, log, silences and messages in flight stay; timers of groups that still exist go on.
    pub fn reload(&mut self, now: Now, setup: Arc<Setup>) {
        let _ = now;
        self.setup = setup;
    }

    /// The configuration in force.
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// The bounds.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How full everything is.
    pub fn load(&self) -> Load {
        Load::default()
    }

    /// Takes a batch of posted alerts; the effects come with the next [`turn`](Self::turn).
    pub fn receive(&mut self, now: Now, alerts: &[PostedAlert]) -> Received {
        let _ = now;
        Received { accepted: alerts.len(), refused: Vec::new() }
    }

    /// Does what is due at `now`, up to the bound.
    pub fn turn(&mut self, now: Now) -> Effects {
        let _ = now;
        Effects::default()
    }

    /// How a delivery ended. Unknown ids (of before a restart) are ignored. The effects come with the next [`turn`](Self::turn).
    pub fn delivered(&mut self, now: Now, id: DeliveryId, outcome: Outcome) {
        let _ = (now, id, outcome);
    }

    /// Accepts a notification that another Alertmanager posted to `/dingtalk/<target>/send`. Answer 200 only after the next turn's records are on disk;
    /// the same notification again (a retry of the peer) while it is queued is accepted and kept once.
    ///
    /// # Errors
    /// Unknown target (answer 404) or a full queue (answer 503, the peer retries).
    pub fn hand_over(&mut self, now: Now, target: &str, notification: Notification) -> Result<(), HandOverError> {
        let _ = (now, notification);
        Err(HandOverError::UnknownTarget(target.to_owned()))
    }

    /// Deliveries of a sample notification to every integration of a receiver, without touching any state; their outcome need not be reported.
    /// `None` when there is no such receiver.
    pub fn sample(&self, now: Now, receiver: &str) -> Option<Vec<crate::delivery::Delivery>> {
        let _ = now;
        self.setup.config.receiver(receiver).map(|_| Vec::new())
    }

    /// Makes or changes a silence; returns its id.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn set_silence(&mut self, now: Now, silence: PostedSilence) -> Result<String, SilenceError> {
        let _ = (now, silence);
        Err(SilenceError::NotFound)
    }

    /// Ends a silence now; ending an ended one is fine.
    ///
    /// # Errors
    /// No such id.
    pub fn expire_silence(&mut self, now: Now, id: &str) -> Result<(), SilenceError> {
        let _ = (now, id);
        Err(SilenceError::NotFound)
    }

    /// A silence by id.
    pub fn silence(&self, id: &str) -> Option<&Silence> {
        let _ = id;
        None
    }

    /// The shortest list of records that folds to the present state: what a compacted journal starts with.
    pub fn snapshot(&self, now: Now) -> Vec<Record> {
        let _ = now;
        Vec::new()
    }
}

/// Why a handed-over notification was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// No such robot.
    #[error("no DingTalk target named {0:?}")]
    UnknownTarget(String),
    /// [`Limits::queued`].
    #[error("the queue of messages for DingTalk is full")]
    Full,
}
