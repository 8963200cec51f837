//! Why an alert was or was not sent, and when it will be: for the page, the API and `watchdog route`.

use std::sync::Arc;

use clock::Now;
use serde::Serialize;

use super::Router;
use super::groups::{Group, GroupId};
use super::ledger::{Entry, Present, Progress};
use super::tick::{self, tick};
use super::view::muted;
use crate::alert::UnixMs;
use crate::delivery::{Integration, WhyNot};
use crate::labels::{Fingerprint, Labels};
use crate::route::GroupBy;
use crate::setup::Setup;

/// One route that takes an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteExplanation {
    /// Receiver's name.
    pub receiver: String,
    /// Matchers from the root down: `{}/{severity="critical"}`.
    pub route: String,
    /// Labels it is grouped with.
    pub group_labels: Labels,
    /// `group_by` as written: names, or `...`.
    pub group_by: Vec<String>,
    /// Timers in Prometheus's notation.
    pub group_wait: String,
    /// As above.
    pub group_interval: String,
    /// As above.
    pub repeat_interval: String,
    /// Kinds of the receiver's integrations: `dingtalk:ops`, `restart:collector`, `webhook`, `email`.
    pub integrations: Vec<String>,
    /// Keys of integrations that are not delivered.
    pub undelivered: Vec<String>,
}

/// An alert in one of its groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Receiver's name.
    pub receiver: String,
    /// The group's key.
    pub group_key: String,
    /// When the group looks at itself next.
    pub next_flush_at: UnixMs,
    /// One for each integration.
    pub channels: Vec<ChannelExplanation>,
}

/// An alert and one integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelExplanation {
    /// `dingtalk:ops`, `webhook`, …
    pub integration: String,
    /// When the last message of the group arrived.
    pub last_sent_at: Option<UnixMs>,
    /// What the last failed attempt ended with; none when the last one arrived.
    pub last_error: Option<String>,
    /// Why this alert is not being sent at this moment.
    pub why_not: WhyNot,
    /// When it is sent or looked at next, if nothing changes.
    pub next_at: Option<UnixMs>,
}

impl Setup {
    /// Where an alert with these labels would go.
    pub fn explain_route(&self, labels: &Labels) -> Vec<RouteExplanation> {
        let routes = &self.config.routes;
        let explain = |route: &crate::route::Route| RouteExplanation {
            receiver: route.receiver.to_string(),
            route: route.key.to_string(),
            group_labels: route.group_by.group_labels(labels),
            group_by: match &route.group_by {
                GroupBy::All => vec!["...".to_owned()],
                GroupBy::Labels(names) => names.iter().cloned().collect(),
            },
            group_wait: crate::time::format_duration(route.group_wait),
            group_interval: crate::time::format_duration(route.group_interval),
            repeat_interval: crate::time::format_duration(route.repeat_interval),
            integrations: self.integrations(&route.receiver).iter().map(name_of).collect(),
            undelivered: self
                .config
                .receiver(&route.receiver)
                .map(|one| one.undelivered.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
        };
        routes.matching(labels).into_iter().filter_map(|id| routes.get(id)).map(explain).collect()
    }
}

impl Router {
    /// What becomes of an alert, in each group that holds it; empty when it is not held.
    pub fn explain(&self, now: Now, fingerprint: Fingerprint) -> Vec<Explanation> {
        let Some(held) = self.store.get(fingerprint) else { return Vec::new() };
        let routes = &self.setup.config.routes;
        let ids = routes.matching(&held.alert.labels).into_iter().filter_map(|id| {
            let labels = routes.get(id)?.group_by.group_labels(&held.alert.labels);
            Some(GroupId { route: id, labels })
        });
        let holding =
            ids.filter_map(|id| self.groups.get(&id).filter(|group| group.members.contains(&fingerprint)).cloned().map(|group| (id, group)));
        holding.filter_map(|(id, group)| self.explain_in(now, fingerprint, (&id, &group))).collect()
    }

    fn explain_in(&self, now: Now, fingerprint: Fingerprint, (id, group): (&GroupId, &Group)) -> Option<Explanation> {
        let receiver = self.route_of(id)?.receiver.to_string();
        let put_aside = self.put_aside(now, fingerprint, id);
        let view = self.view(now, id, group);
        let mut channels = Vec::new();
        for (at, channel) in group.channels.iter().enumerate() {
            let integration = self.integration(id, at)?;
            let entry = self.log.get(channel).cloned().unwrap_or_default();
            let (why_not, next) = match &put_aside {
                Some(why) => (why.clone(), group.flush_at),
                None => self.channel_verdict((id, at), group, &entry, (fingerprint, &view.present)),
            };
            channels.push(ChannelExplanation {
                integration: name_of(&integration),
                last_sent_at: entry.sent.map(|_| entry.sent_wall),
                last_error: entry.last_error,
                why_not,
                next_at: Some(tick::wall(now, next.max(tick(now)))),
            });
        }
        if channels.is_empty() {
            let why_not = WhyNot::NoIntegration;
            channels.push(ChannelExplanation { integration: String::new(), last_sent_at: None, last_error: None, why_not, next_at: None });
        }
        Some(Explanation { receiver, group_key: group.key.to_string(), next_flush_at: tick::wall(now, group.flush_at), channels })
    }

    /// Silenced, inhibited or muted, if it is.
    fn put_aside(&self, now: Now, fingerprint: Fingerprint, id: &GroupId) -> Option<WhyNot> {
        let held = self.store.get(fingerprint)?;
        self.suppression(&held.alert).or_else(|| muted(&self.setup, self.route_of(id)?, now))
    }

    /// Where a channel stands with an alert that nothing puts aside, and when it is looked at next.
    fn channel_verdict(&self, (id, at): (&GroupId, usize), group: &Group, entry: &Entry, (alert, present): (Fingerprint, &Present)) -> (WhyNot, i64) {
        let flush = group.flush_at;
        let error = || entry.last_error.clone().unwrap_or_default();
        match entry.progress {
            Progress::InFlight(_) => return (WhyNot::InFlight, flush),
            Progress::Backoff(until) => return (WhyNot::Backoff { error: error() }, until),
            Progress::Waiting => return (WhyNot::RateLimited, self.robot_look(id, at).unwrap_or(flush)),
            Progress::Idle => {}
        }
        let resolved = self.store.get(alert).is_none_or(|held| held.resolved);
        let Some(terms) = self.terms(id, at) else { return (WhyNot::NoIntegration, flush) };
        let pending = entry.reason(present, terms, flush);
        if entry.failing_since.is_some() {
            (WhyNot::Refused { error: error() }, flush)
        } else if resolved && !entry.knows(alert) {
            (WhyNot::ResolvedUnnotified, flush)
        } else if resolved && !terms.send_resolved {
            (WhyNot::ResolvedNotWanted, flush)
        } else if !group.flushed {
            (WhyNot::GroupWait, flush)
        } else if resolved || !entry.knows(alert) {
            (WhyNot::GroupInterval, flush)
        } else if pending.is_some() {
            (WhyNot::AlreadyNotified, flush)
        } else {
            let remind = entry.sent.unwrap_or(flush).saturating_add(terms.repeat_interval);
            (WhyNot::AlreadyNotified, at_flush(remind, flush, self.interval_of(id)))
        }
    }

    fn robot_look(&self, id: &GroupId, at: usize) -> Option<i64> {
        let integration = self.integration(id, at)?;
        let Integration::DingTalk { target, .. } = &*integration else { return None };
        self.robots.get(&self.robot_of(target)?)?.next_look(i64::MIN)
    }

    fn interval_of(&self, id: &GroupId) -> i64 {
        self.route_of(id).map_or(1, |route| crate::time::millis(route.group_interval).max(1))
    }
}

/// The first look at or after `due`: reminders are sent only when a group looks at itself.
fn at_flush(due: i64, flush: i64, interval: i64) -> i64 {
    if due <= flush { flush } else { flush.saturating_add((due - flush + interval - 1) / interval * interval) }
}

/// An integration as people name it.
pub(super) fn name_of(integration: &Arc<Integration>) -> String {
    match &**integration {
        Integration::DingTalk { target, .. } => format!("dingtalk:{target}"),
        Integration::Restart { name } => format!("restart:{name}"),
        other => other.as_str().to_owned(),
    }
}
