//! A message starts on its way: what it says, what is remembered of it, who waits for its end.

use std::sync::Arc;

use clock::Now;

use super::groups::{Due, GroupId};
use super::ledger::{AlertSet, ChannelKey, Present, Progress};
use super::robots::{RobotKey, Wait, Waiter};
use super::tick::{self, Tick, tick};
use super::{Router, robots};
use crate::delivery::{Delivery, DeliveryId, Integration};
use crate::digest::name_of;
use crate::effects::EventKind;
use crate::labels::Labels;
use crate::notification::{NOT_ENDED, Notification, NotifiedAlert, NotifyReason, Status};
use crate::record::Record;

/// A delivery that is not reported back for this long is taken as failed.
const LOST_AFTER: i64 = 5 * 60_000;
/// When all places in flight are taken, look again after this long.
pub(super) const CROWDED_WAIT: i64 = 1_000;

/// A delivery under way.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Whom its outcome concerns: several for a digest.
    pub(crate) parts: Vec<Part>,
    /// The robot it goes to.
    pub(crate) robot: Option<(RobotKey, Arc<str>)>,
    /// For log lines: `receiver/kind`.
    pub(crate) subject: String,
    /// When it is taken as lost.
    pub(crate) lost_at: Tick,
}

/// One channel or letter that a delivery speaks for.
#[derive(Debug)]
pub(crate) enum Part {
    Channel {
        key: ChannelKey,
        /// What it says.
        present: Present,
        /// What was owed before this attempt.
        owed_before: AlertSet,
        /// Of the route, for the entry's life.
        repeat_interval: i64,
    },
    Letter(Arc<str>),
}

impl Router {
    /// Sends one channel's message; when too many are under way, a little later.
    pub(super) fn send_channel(&mut self, now: Now, id: &GroupId, channel: &str) {
        if self.flights.len() >= self.limits.in_flight {
            if let Some(entry) = self.log.get_mut(channel) {
                entry.progress = Progress::Backoff(tick(now) + CROWDED_WAIT);
                self.timers.at(tick(now) + CROWDED_WAIT, Due::Retry(Waiter::Channel(channel.into())));
            }
            return;
        }
        let Some((part, notification)) = self.prepare(now, id, channel) else { return };
        let Some(integration) = self.owner_integration(channel) else { return };
        self.launch(now, integration, notification, vec![part], None);
    }

    pub(super) fn owner_integration(&self, channel: &str) -> Option<Arc<Integration>> {
        let (id, at) = self.groups.owner(channel)?;
        self.integration(id, *at)
    }

    /// What a channel is to be told now, with its part of the flight; `None` when there is nothing to tell any more.
    pub(super) fn prepare(&mut self, now: Now, id: &GroupId, channel: &str) -> Option<(Part, Notification)> {
        let group = self.groups.get(id)?.clone();
        let view = self.view(now, id, &group);
        let at = group.channels.iter().position(|one| **one == *channel)?;
        let terms = self.terms(id, at)?;
        let entry = self.log.get_mut(channel)?;
        let reason = entry.reason(&view.present, terms, tick(now))?;
        let only_firing = !terms.send_resolved;
        if only_firing && view.present.firing.is_empty() {
            entry.told(view.present, now);
            self.persist_entry(now, channel);
            return None;
        }
        let owed_before = entry.owed.clone();
        entry.owe(&view.present.firing);
        if entry.attempt == 0 {
            entry.attempts_since = tick(now);
        }
        entry.attempt += 1;
        entry.expires = tick(now).saturating_add(super::ledger::RETENTION.min(terms.repeat_interval.saturating_mul(2)));
        self.persist_entry(now, channel);
        let notification = self.notification(id, &group.key, &view.present, (reason, only_firing))?;
        Some((Part::Channel { key: channel.into(), present: view.present, owed_before, repeat_interval: terms.repeat_interval }, notification))
    }

    fn notification(&self, id: &GroupId, key: &str, present: &Present, (reason, only_firing): (NotifyReason, bool)) -> Option<Notification> {
        let resolved: &[_] = if only_firing { &[] } else { &present.resolved };
        let set: Vec<_> = present.firing.iter().chain(resolved).copied().collect();
        let alerts = self.in_order(&set).into_iter().map(|(fingerprint, alert, resolved)| NotifiedAlert {
            status: if resolved { Status::Resolved } else { Status::Firing },
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: if resolved { alert.ends_at } else { NOT_ENDED },
            generator_url: alert.generator_url.to_string(),
            fingerprint,
        });
        let receiver = self.route_of(id)?.receiver.to_string();
        Some(Notification {
            group_key: key.to_owned(),
            group_labels: id.labels.clone(),
            external_url: self.setup.external_url.clone(),
            receiver,
            ..assemble(alerts.collect(), reason)
        })
    }

    /// Hands a message to the shell and remembers whom its outcome concerns.
    pub(super) fn launch(
        &mut self,
        now: Now,
        integration: Arc<Integration>,
        notification: Notification,
        parts: Vec<Part>,
        robot: Option<(RobotKey, Arc<str>)>,
    ) {
        self.last_id += 1;
        let id = DeliveryId(self.last_id);
        let attempt = parts.iter().map(|part| self.attempt_of(part, id)).max().unwrap_or(1);
        if let Some((key, _)) = &robot {
            self.spend(now, key);
        }
        let subject = format!("{}/{}", notification.receiver, integration.as_str());
        self.event(EventKind::Notify, subject.clone(), notification.reason.as_str().to_owned());
        let idempotency_key = self.content_key(&parts, &integration, &notification);
        let lost_at = tick(now) + LOST_AFTER;
        self.timers.at(lost_at, Due::Lost(id));
        self.flights.insert(id, Flight { parts, robot, subject, lost_at });
        let receiver = notification.receiver.as_str().into();
        self.out.deliveries.push(Delivery { id, receiver, integration, notification, attempt, idempotency_key });
    }

    /// Marks a part as under way; returns which attempt this is.
    fn attempt_of(&mut self, part: &Part, id: DeliveryId) -> u32 {
        match part {
            Part::Channel { key, .. } => self.log.get_mut(key).map_or(1, |entry| {
                entry.progress = Progress::InFlight(id);
                entry.attempt
            }),
            Part::Letter(key) => self.outbox.get_mut(key).map_or(1, |letter| {
                letter.progress = Progress::InFlight(id);
                letter.attempt += 1;
                letter.attempt
            }),
        }
    }

    fn spend(&mut self, now: Now, key: &RobotKey) {
        self.robots.entry(key.clone()).or_default().spend(tick(now));
        self.persist_robot(now, key);
    }

    pub(super) fn persist_robot(&mut self, now: Now, key: &RobotKey) {
        let Some(robot) = self.robots.get(key) else { return };
        let sent_at = robot.sent().map(|at| tick::wall(now, at)).collect();
        let quiet_until = robot.quiet_until().map_or(0, |at| tick::wall(now, at));
        self.out.persist.push(Record::Robot { key: key.to_string(), sent_at, quiet_until });
    }

    /// Lets every robot send what it may.
    pub(super) fn serve_robots(&mut self, now: Now) {
        let waiting: Vec<RobotKey> = self.robots.iter().filter(|(_, robot)| robot.waiting() > 0).map(|(key, _)| key.clone()).collect();
        for key in waiting {
            if self.flights.len() < self.limits.in_flight {
                let plan = self.robots.get_mut(&key).map(|robot| robot.plan(tick(now))).unwrap_or_default();
                for batch in plan {
                    self.send_batch(now, &key, batch);
                }
            } else {
                self.timers.at(tick(now) + CROWDED_WAIT, Due::Robot(key.clone()));
                continue;
            }
            if let Some(next) = self.robots.get(&key).and_then(|robot| robot.next_look(tick(now))) {
                self.timers.at(next.max(tick(now) + 1), Due::Robot(key));
            }
        }
    }

    /// One message for all of `batch`: an ordinary one for a single waiter, else a digest.
    fn send_batch(&mut self, now: Now, key: &RobotKey, batch: Vec<Wait>) {
        let Some(target) = batch.first().map(|wait| wait.target.clone()) else { return };
        let mut found: Vec<(Part, Notification, Arc<Integration>)> = batch.iter().filter_map(|wait| self.prepare_wait(now, wait)).collect();
        if found.len() > 1 {
            let parts: Vec<Part> = found.iter_mut().map(|(part, ..)| std::mem::replace(part, Part::Letter("".into()))).collect();
            let integration = found.first().map(|(_, _, integration)| integration.clone());
            let digest = digest(found.into_iter().map(|(_, notification, _)| notification).collect());
            self.event(EventKind::DigestMerged, target.to_string(), format!("{} groups", digest.groups));
            if let Some(integration) = integration {
                self.launch(now, integration, digest, parts, Some((key.clone(), target)));
            }
        } else if let Some((part, notification, integration)) = found.pop() {
            self.launch(now, integration, notification, vec![part], Some((key.clone(), target)));
        }
    }

    fn prepare_wait(&mut self, now: Now, wait: &Wait) -> Option<(Part, Notification, Arc<Integration>)> {
        match &wait.waiter {
            Waiter::Letter(key) => {
                let letter = self.outbox.get(key)?;
                Some((Part::Letter(key.clone()), letter.notification.clone(), self.way_of(&letter.to)?))
            }
            Waiter::Channel(channel) => {
                self.log.get_mut(channel)?.progress = Progress::Idle;
                let (id, _) = self.groups.owner(channel)?.clone();
                let integration = self.owner_integration(channel)?;
                let (part, notification) = self.prepare(now, &id, channel)?;
                Some((part, notification, integration))
            }
        }
    }

    /// A name for the content: the same alerts in the same state after the same last message give the same name, in any run of the process.
    fn content_key(&self, parts: &[Part], integration: &Integration, notification: &Notification) -> String {
        let names = [integration.as_str(), &notification.receiver, &notification.group_key, notification.reason.as_str()];
        let mut content: Vec<u8> = Vec::new();
        for part in parts {
            let entry = if let Part::Channel { key, .. } = part { self.log.get(key) } else { None };
            content.extend(entry.map_or(0, |entry| entry.sent_wall).to_be_bytes());
        }
        for alert in &notification.alerts {
            content.extend(alert.fingerprint.0.to_be_bytes());
            content.extend(alert.starts_at.to_be_bytes());
            content.push(u8::from(alert.status == Status::Firing));
        }
        name_of(names.map(str::as_bytes).into_iter().chain([content.as_slice()]), 16)
    }

    pub(super) fn robot_of(&self, target: &str) -> Option<RobotKey> {
        self.setup.dingtalk.targets.get(target).map(|target| robots::robot_key(&target.url))
    }
}

/// A notification from its alerts: status, what they share; the rest is empty.
pub(super) fn assemble(alerts: Vec<NotifiedAlert>, reason: NotifyReason) -> Notification {
    let firing = alerts.iter().any(|alert| alert.status == Status::Firing);
    let shared = |of: fn(&NotifiedAlert) -> &Labels| {
        let mut all = alerts.iter().map(of);
        let first = all.next().cloned().unwrap_or_default();
        all.fold(first, |shared, labels| shared.shared_with(labels))
    };
    Notification {
        receiver: String::new(),
        status: if firing { Status::Firing } else { Status::Resolved },
        reason,
        group_labels: Labels::default(),
        common_labels: shared(|alert| &alert.labels),
        common_annotations: shared(|alert| &alert.annotations),
        external_url: String::new(),
        version: "4".to_owned(),
        group_key: String::new(),
        truncated_alerts: 0,
        groups: 1,
        alerts,
    }
}

/// Several notifications for one robot as one.
fn digest(notifications: Vec<Notification>) -> Notification {
    let groups = notifications.len();
    let Some(first) = notifications.first() else { return assemble(Vec::new(), NotifyReason::None) };
    let (receiver, external_url, reason, mut group_labels) =
        (first.receiver.clone(), first.external_url.clone(), first.reason, first.group_labels.clone());
    for notification in &notifications {
        group_labels = group_labels.shared_with(&notification.group_labels);
    }
    let keys: Vec<&str> = notifications.iter().map(|one| one.group_key.as_str()).collect();
    let group_key = keys.join(" ");
    let truncated_alerts = notifications.iter().map(|one| one.truncated_alerts).sum();
    let alerts = notifications.into_iter().flat_map(|one| one.alerts).collect();
    Notification { receiver, group_labels, external_url, group_key, truncated_alerts, groups, ..assemble(alerts, reason) }
}
