//! Notifications that another Alertmanager hands over for a robot: accepted, persisted, delivered when the robot may.
//!
//! The peer takes anything but 2xx and 5xx as final, so a message that waits for a robot must have been accepted (facts of the webhook's retry rule).

use std::sync::Arc;

use clock::Now;

use super::Router;
use super::groups::Due;
use super::ledger::Progress;
use super::report::backoff;
use super::robots::{Rank, Wait, Waiter};
use super::tick::{self, Tick, tick};
use crate::delivery::Outcome;
use crate::digest::name_of;
use crate::effects::EventKind;
use crate::labels::SEVERITY;
use crate::notification::Notification;
use crate::record::Record;

/// A message that no attempt delivered for this long is dropped.
const GIVE_UP: i64 = 4 * 3_600_000;

/// One notification handed over.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    pub(crate) target: Arc<str>,
    pub(crate) notification: Notification,
    pub(crate) since: Tick,
    pub(crate) attempt: u32,
    pub(crate) progress: Progress,
}

/// Why a handed-over notification was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// No such robot: answer 404.
    #[error("no DingTalk target named {0:?}")]
    UnknownTarget(String),
    /// [`crate::Limits::queued`]: answer 503, the peer tries again.
    #[error("the queue of messages for DingTalk is full")]
    Full,
}

impl Router {
    /// Accepts a notification that another Alertmanager posted to `/dingtalk/<target>/send`. Answer 200 only after the next turn's records are on disk;
    /// the same notification again (a retry of the peer) while it is queued is accepted and kept once.
    ///
    /// # Errors
    /// Unknown target (answer 404) or a full queue (answer 503, the peer retries).
    pub fn hand_over(&mut self, now: Now, target: &str, notification: Notification) -> Result<(), HandOverError> {
        let Some(robot) = self.setup.dingtalk.targets.get(target) else {
            return Err(HandOverError::UnknownTarget(target.to_owned()));
        };
        let (target, key) = (robot.name.clone(), queue_key(target, &notification));
        if self.handed.contains_key(&key) {
            return Ok(());
        }
        if self.handed.len() >= self.limits.queued {
            self.event(EventKind::QueueLimit, target.to_string(), format!("{} queued", self.handed.len()));
            return Err(HandOverError::Full);
        }
        let record =
            Record::Queued { key: key.to_string(), target: target.to_string(), at: now.wall_ms, notification: Box::new(notification.clone()) };
        self.out.persist.push(record);
        self.handed.insert(key.clone(), Handed { target, notification, since: tick(now), attempt: 0, progress: Progress::Idle });
        self.queue_handed(now, &key);
        Ok(())
    }

    /// Queues at the robot, unless it is queued or under way.
    pub(super) fn queue_handed(&mut self, now: Now, key: &Arc<str>) {
        let Some(handed) = self.handed.get_mut(key).filter(|handed| handed.progress == Progress::Idle) else { return };
        handed.progress = Progress::Waiting;
        let critical = handed.notification.firing().any(|alert| alert.labels.value(SEVERITY) == "critical");
        let rank = if critical { Rank::Critical } else { Rank::Ordinary };
        let wait = Wait { rank, since: handed.since, target: handed.target.clone(), waiter: Waiter::Handed(key.clone()) };
        if self.robot_of(&wait.target).is_some() {
            self.wait_for_robot(now, wait);
        } else {
            self.drop_handed(key, "its target is no longer configured");
        }
    }

    pub(super) fn handed_ended(&mut self, now: Now, key: &Arc<str>, outcome: &Outcome) {
        let Some(handed) = self.handed.get_mut(key) else { return };
        handed.progress = Progress::Idle;
        let old = tick(now) >= handed.since.saturating_add(GIVE_UP);
        let wait = match outcome {
            Outcome::Ok => {
                self.handed.remove(key);
                return self.out.persist.push(Record::QueuedGone { key: key.to_string() });
            }
            Outcome::Permanent { reason } => return self.drop_handed(key, reason),
            Outcome::Retry { reason, .. } if old => return self.drop_handed(key, reason),
            Outcome::Throttled { .. } => return self.queue_handed(now, key),
            Outcome::Retry { after, .. } => after.map_or_else(|| backoff(handed.attempt, key), crate::time::millis),
        };
        let until = tick(now).saturating_add(wait);
        handed.progress = Progress::Backoff(until);
        self.timers.at(until, Due::Retry(Waiter::Handed(key.clone())));
    }

    pub(super) fn retry_handed(&mut self, now: Now, key: &Arc<str>) -> usize {
        let due = self.handed.get_mut(key).filter(|handed| matches!(handed.progress, Progress::Backoff(until) if until <= tick(now)));
        if let Some(handed) = due {
            handed.progress = Progress::Idle;
            self.queue_handed(now, key);
        }
        1
    }

    fn drop_handed(&mut self, key: &Arc<str>, why: &str) {
        if let Some(handed) = self.handed.remove(key) {
            self.out.persist.push(Record::QueuedGone { key: key.to_string() });
            self.event(EventKind::GivenUp, handed.target.to_string(), why.to_owned());
        }
    }

    pub(super) fn handed_record(&self, now: Now, key: &Arc<str>) -> Option<Record> {
        let handed = self.handed.get(key)?;
        let notification = Box::new(handed.notification.clone());
        Some(Record::Queued { key: key.to_string(), target: handed.target.to_string(), at: tick::wall(now, handed.since), notification })
    }
}

/// A name for the content, so that a peer's retry is recognised.
fn queue_key(target: &str, notification: &Notification) -> Arc<str> {
    name_of([target.as_bytes(), &serde_json::to_vec(notification).unwrap_or_default()], 12).into()
}
