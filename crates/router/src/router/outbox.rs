//! Messages that belong to no group: what another Alertmanager hands over for a robot, and announcements. Accepted, persisted, delivered once.
//!
//! A peer takes anything but 2xx and 5xx as final, so a message that waits for a robot must have been accepted (the webhook's retry rule).
//! An announcement (a restart is over) is told at once to those whom its labels route to, is not repeated and has no end.

use std::sync::Arc;

use clock::Now;

use super::Router;
use super::groups::Due;
use super::ledger::Progress;
use super::report::backoff;
use super::robots::{Rank, Wait, Waiter};
use super::send::{Part, assemble};
use super::tick::{self, Tick, tick};
use super::view::muted;
use crate::delivery::{Integration, Outcome};
use crate::digest::name_of;
use crate::effects::EventKind;
use crate::labels::{Labels, SEVERITY};
use crate::notification::{NOT_ENDED, NOTICE, Notification, NotifiedAlert, NotifyReason, Status};
use crate::record::{Address, Record};

/// A message that no attempt delivered for this long is dropped.
const GIVE_UP: i64 = 4 * 3_600_000;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) to: Address,
    pub(crate) notification: Notification,
    pub(crate) since: Tick,
    pub(crate) attempt: u32,
    pub(crate) progress: Progress,
}

/// News that is told once: a restart succeeded, failed, was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Equal for the same news; announced again while it is on its way, it is sent once.
    pub id: String,
    /// What they route by: those of the alert that caused it, with a name of its own.
    pub labels: Labels,
    /// `summary`, `description`, …
    pub annotations: Labels,
    /// How it went.
    pub notice: Notice,
}

/// How something that is announced went; shown in place of a severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Well.
    Done,
    /// Not well: people are needed.
    Failed,
    /// It was not tried: a guard or a person keeps it back.
    Held,
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

// === impl Notice ===

impl Notice {
    /// The value of the annotation `notice`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Held => "held",
        }
    }
}

// === impl Router ===

impl Router {
    /// Accepts a notification that another Alertmanager posted to `/dingtalk/<target>/send`. Answer 200 only after the next turn's records are on disk;
    /// the same notification again (a retry of the peer) while it is queued is accepted and kept once.
    ///
    /// # Errors
    /// Unknown target (answer 404) or a full queue (answer 503, the peer retries).
    pub fn hand_over(&mut self, now: Now, target: &str, notification: Notification) -> Result<(), HandOverError> {
        if !self.setup.dingtalk.targets.contains_key(target) {
            return Err(HandOverError::UnknownTarget(target.to_owned()));
        }
        let key = name_of([target.as_bytes(), &serde_json::to_vec(&notification).unwrap_or_default()], 12);
        if self.post_letter(now, key, Address::Robot { target: target.to_owned() }, notification) { Ok(()) } else { Err(HandOverError::Full) }
    }

    /// Tells news at once to every receiver that an alert with these labels goes to, except through restarts. Silences and time intervals hold.
    /// The effects come with the next [`turn`](Self::turn). Returns how many messages are on their way.
    pub fn announce(&mut self, now: Now, news: &Announcement) -> usize {
        if !self.silences.covering(&news.labels).is_empty() {
            self.event(EventKind::Silenced, news.id.clone(), "announcement".to_owned());
            return 0;
        }
        let setup = self.setup.clone();
        let mut receivers: Vec<Arc<str>> = Vec::new();
        for route in setup.config.routes.matching(&news.labels).into_iter().filter_map(|id| setup.config.routes.get(id)) {
            if muted(&setup, route, now).is_none() && !receivers.contains(&route.receiver) {
                receivers.push(route.receiver.clone());
            }
        }
        let mut posted = 0;
        for receiver in receivers {
            for (index, integration) in setup.integrations(&receiver).iter().enumerate() {
                if matches!(**integration, Integration::Restart { .. }) {
                    continue;
                }
                let key = name_of([news.id.as_bytes(), receiver.as_bytes(), &index.to_be_bytes()], 12);
                let to = Address::Receiver { receiver: receiver.to_string(), index };
                posted += usize::from(self.post_letter(now, key, to, announced(news, &receiver, (now.wall_ms, &setup.external_url))));
            }
        }
        posted
    }

    /// Queues a message; false when the queue is full.
    fn post_letter(&mut self, now: Now, key: String, to: Address, notification: Notification) -> bool {
        let key: Arc<str> = key.into();
        if self.outbox.contains_key(&key) {
            return true;
        }
        if self.outbox.len() >= self.limits.queued {
            self.event(EventKind::QueueLimit, notification.receiver, format!("{} queued", self.outbox.len()));
            return false;
        }
        self.outbox.insert(key.clone(), Letter { to, notification, since: tick(now), attempt: 0, progress: Progress::Idle });
        self.out.persist.extend(self.letter_record(now, &key));
        self.start_letter(now, &key);
        true
    }

    /// The way that a letter takes; `None` when it is no longer configured.
    pub(super) fn way_of(&self, to: &Address) -> Option<Arc<Integration>> {
        match to {
            Address::Robot { target } => {
                let (target, _) = self.setup.dingtalk.targets.get_key_value(target.as_str())?;
                Some(Arc::new(Integration::DingTalk { target: target.clone(), send_resolved: true, max_alerts: 0 }))
            }
            Address::Receiver { receiver, index } => self.setup.integrations(receiver).get(*index).cloned(),
        }
    }

    /// Queues at the robot, or sends, unless it is queued or under way.
    pub(super) fn start_letter(&mut self, now: Now, key: &Arc<str>) {
        let Some(letter) = self.outbox.get(key).filter(|letter| letter.progress == Progress::Idle) else { return };
        let Some(way) = self.way_of(&letter.to) else {
            return self.drop_letter(key, "its receiver is no longer configured");
        };
        let critical = letter.notification.firing().any(|alert| alert.labels.value(SEVERITY) == "critical");
        let rank = if critical { Rank::Critical } else { Rank::Ordinary };
        let (since, notification) = (letter.since, letter.notification.clone());
        match &*way {
            Integration::DingTalk { target, .. } => {
                self.letter_progress(key, Progress::Waiting);
                self.wait_for_robot(now, Wait { rank, since, target: target.clone(), waiter: Waiter::Letter(key.clone()) });
            }
            _ if self.flights.len() >= self.limits.in_flight => self.letter_later(now, key, super::send::CROWDED_WAIT),
            _ => self.launch(now, way, notification, vec![Part::Letter(key.clone())], None),
        }
    }

    fn letter_progress(&mut self, key: &Arc<str>, progress: Progress) {
        if let Some(letter) = self.outbox.get_mut(key) {
            letter.progress = progress;
        }
    }

    fn letter_later(&mut self, now: Now, key: &Arc<str>, wait: i64) {
        let until = tick(now).saturating_add(wait);
        self.letter_progress(key, Progress::Backoff(until));
        self.timers.at(until, Due::Retry(Waiter::Letter(key.clone())));
    }

    pub(super) fn letter_ended(&mut self, now: Now, key: &Arc<str>, outcome: &Outcome) {
        let Some(letter) = self.outbox.get_mut(key) else { return };
        letter.progress = Progress::Idle;
        let old = tick(now) >= letter.since.saturating_add(GIVE_UP);
        match outcome {
            Outcome::Ok => {
                self.outbox.remove(key);
                self.out.persist.push(Record::QueuedGone { key: key.to_string() });
            }
            Outcome::Permanent { reason } => self.drop_letter(key, reason),
            Outcome::Retry { reason, .. } if old => self.drop_letter(key, reason),
            Outcome::Retry { after, .. } => {
                let wait = after.map_or_else(|| backoff(letter.attempt, key), crate::time::millis);
                self.letter_later(now, key, wait);
            }
            Outcome::Throttled { after, .. } => {
                // A robot's queue waits by itself.
                let robot = self.outbox.get(key).and_then(|letter| self.way_of(&letter.to)).is_some_and(|way| way.as_str() == "dingtalk");
                if robot { self.start_letter(now, key) } else { self.letter_later(now, key, crate::time::millis(*after)) }
            }
        }
    }

    pub(super) fn retry_letter(&mut self, now: Now, key: &Arc<str>) -> usize {
        let due = self.outbox.get_mut(key).filter(|letter| matches!(letter.progress, Progress::Backoff(until) if until <= tick(now)));
        if let Some(letter) = due {
            letter.progress = Progress::Idle;
            self.start_letter(now, key);
        }
        1
    }

    fn drop_letter(&mut self, key: &Arc<str>, why: &str) {
        if let Some(letter) = self.outbox.remove(key) {
            self.out.persist.push(Record::QueuedGone { key: key.to_string() });
            self.event(EventKind::GivenUp, letter.notification.receiver, why.to_owned());
        }
    }

    pub(super) fn letter_record(&self, now: Now, key: &Arc<str>) -> Option<Record> {
        let letter = self.outbox.get(key)?;
        let notification = Box::new(letter.notification.clone());
        Some(Record::Queued { key: key.to_string(), to: letter.to.clone(), at: tick::wall(now, letter.since), notification })
    }
}

/// The notification that tells news to a receiver.
fn announced(news: &Announcement, receiver: &str, (wall_ms, external_url): (i64, &str)) -> Notification {
    let notice = (NOTICE, news.notice.as_str());
    let alert = NotifiedAlert {
        status: Status::Firing,
        fingerprint: news.labels.fingerprint(),
        labels: news.labels.clone(),
        annotations: Labels::from_pairs(news.annotations.iter().chain([notice])),
        starts_at: wall_ms,
        ends_at: NOT_ENDED,
        generator_url: String::new(),
    };
    Notification {
        receiver: receiver.to_owned(),
        group_labels: news.labels.clone(),
        external_url: external_url.to_owned(),
        group_key: format!("announcement:{}", news.id),
        ..assemble(vec![alert], NotifyReason::None)
    }
}
