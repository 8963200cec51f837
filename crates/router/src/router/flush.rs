//! A group looks at itself: what is new to each integration of its receiver?

use clock::Now;

use super::groups::{Due, GroupId};
use super::ledger::{Progress, Terms};
use super::robots::{Rank, Wait, Waiter};
use super::tick::{self, tick};
use super::view::View;
use super::{Router, robots};
use crate::delivery::Integration;
use crate::effects::EventKind;
use crate::labels::{Fingerprint, SEVERITY};
use crate::record::Record;
use crate::route::Route;

impl Router {
    /// One look of a group at itself; returns how many alerts it has.
    pub(super) fn flush(&mut self, now: Now, id: &GroupId) -> usize {
        let Some(group) = self.groups.all.get(id).filter(|group| group.flush_at <= tick(now)).cloned() else { return 1 };
        self.next_flush(now, id);
        let view = self.view(now, id, &group);
        self.note_suppressed(&group.key, &view);
        for (at, channel) in group.channels.iter().enumerate() {
            self.consider(now, (id, at), channel, &view);
        }
        self.settle(now, id, &view);
        group.members.len().max(1)
    }

    /// The timer is set again before anything is sent, so that a slow receiver does not shift it.
    fn next_flush(&mut self, now: Now, id: &GroupId) {
        let Some(interval) = self.route_of(id).map(|route| crate::time::millis(route.group_interval)) else { return };
        let Some(group) = self.groups.all.get_mut(id) else { return };
        group.flush_at = tick(now).saturating_add(interval.max(1));
        self.timers.at(group.flush_at, Due::Flush(id.clone()));
        if !group.flushed {
            group.flushed = true;
            self.out.persist.push(Record::Group { key: group.key.to_string(), flush_at: tick::wall(now, group.flush_at), flushed: true });
        }
    }

    pub(super) fn route_of(&self, id: &GroupId) -> Option<&Route> {
        self.setup.config.routes.get(id.route)
    }

    fn note_suppressed(&mut self, key: &str, view: &View) {
        if !view.silenced.is_empty() {
            self.event(EventKind::Silenced, key.to_owned(), format!("{} alerts", view.silenced.len()));
        }
        if let Some(why) = &view.muted {
            self.event(EventKind::Muted, key.to_owned(), why.as_str().to_owned());
        } else if !view.held_back.is_empty() {
            self.event(EventKind::Inhibited, key.to_owned(), format!("{} alerts", view.held_back.len()));
        }
    }

    /// Asks one channel whether there is something to tell, and starts telling it.
    pub(super) fn consider(&mut self, now: Now, (id, at): (&GroupId, usize), channel: &str, view: &View) {
        let Some(terms) = self.terms(id, at) else { return };
        let Some(integration) = self.integration(id, at) else { return };
        let entry = self.log.entry(channel.into()).or_default();
        if entry.is_busy(tick(now)) || entry.reason(&view.present, terms, tick(now)).is_none() {
            return;
        }
        if view.present.firing.is_empty() && !terms.send_resolved {
            // As Alertmanager: what the receiver does not want to hear counts as heard.
            entry.told(view.present.clone(), now);
            return self.persist_entry(now, channel);
        }
        match &*integration {
            Integration::DingTalk { target, .. } => {
                let rank = self.rank_of(&view.present.firing);
                self.wait_for_robot(now, Wait { rank, since: tick(now), target: target.clone(), waiter: Waiter::Channel(channel.into()) });
            }
            _ => self.send_channel(now, id, channel),
        }
    }

    /// What the decision of a channel depends on.
    pub(super) fn terms(&self, id: &GroupId, at: usize) -> Option<Terms> {
        let route = self.route_of(id)?;
        let send_resolved = self.setup.integrations(&route.receiver).get(at)?.send_resolved();
        Some(Terms { send_resolved, repeat_interval: crate::time::millis(route.repeat_interval) })
    }

    pub(super) fn integration(&self, id: &GroupId, at: usize) -> Option<std::sync::Arc<Integration>> {
        self.setup.integrations(&self.route_of(id)?.receiver).get(at).cloned()
    }

    pub(super) fn rank_of(&self, firing: &[Fingerprint]) -> Rank {
        let critical = |fingerprint: &Fingerprint| self.store.get(*fingerprint).is_some_and(|held| held.alert.labels.value(SEVERITY) == "critical");
        if firing.iter().any(critical) { Rank::Critical } else { Rank::Ordinary }
    }

    /// Queues at the robot; it is served at the end of this turn.
    pub(super) fn wait_for_robot(&mut self, now: Now, wait: Wait) {
        let Some(url) = self.setup.dingtalk.targets.get(&wait.target).map(|target| &target.url) else { return };
        let key = robots::robot_key(url);
        if let Waiter::Channel(channel) = &wait.waiter
            && let Some(entry) = self.log.get_mut(channel)
        {
            entry.progress = Progress::Waiting;
        }
        self.robots.entry(key.clone()).or_default().wait(wait);
        self.timers.at(tick(now), Due::Robot(key));
    }
}
