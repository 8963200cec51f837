//! An alert begins, goes on or ends: it is put into its groups, its end gets a timer.

use std::collections::BTreeSet;
use std::sync::Arc;

use clock::Now;

use super::Router;
use super::groups::{Due, Group, GroupId};
use super::ledger::ChannelKey;
use super::store::Posted;
use super::tick::{self, Tick, tick};
use crate::labels::Fingerprint;
use crate::record::Record;
use crate::route::{Route, RouteId};
use crate::setup::Setup;

/// After a start, a group with old alerts waits its whole `group_wait` for this long: its fellows and what inhibits it may still be on their way.
const SETTLING: i64 = 60_000;

impl Router {
    /// Follows a post that was taken.
    pub(super) fn posted(&mut self, now: Now, done: Posted) {
        if !done.held {
            return;
        }
        if done.firing {
            self.time_expiry(done.fingerprint);
        }
        if !done.changed {
            return;
        }
        self.persist_alert(done.fingerprint);
        if done.firing { self.begins(now, done.fingerprint) } else { self.ends(done.fingerprint) }
    }

    pub(super) fn persist_alert(&mut self, fingerprint: Fingerprint) {
        if let Some(held) = self.store.get(fingerprint) {
            self.out.persist.push(Record::Alert(held.alert.as_ref().clone()));
        }
    }

    /// One timer an alert: it is moved on when it fires early (`expire`), so that a post costs none.
    pub(super) fn time_expiry(&mut self, fingerprint: Fingerprint) {
        if let Some(held) = self.store.get_mut(fingerprint)
            && held.expires < held.timer
        {
            self.timers.cancel(held.timer, Due::Expire(fingerprint));
            held.timer = held.expires;
            self.timers.at(held.expires, Due::Expire(fingerprint));
        }
    }

    /// The alert fires, and did not before.
    pub(super) fn begins(&mut self, now: Now, fingerprint: Fingerprint) {
        let Some(held) = self.store.get(fingerprint) else { return };
        let alert = held.alert.clone();
        self.inhibitor.fires(fingerprint, &alert.labels);
        let setup = self.setup.clone();
        for id in setup.config.routes.matching(&alert.labels) {
            let Some(route) = setup.config.routes.get(id) else { continue };
            let group = GroupId { route: id, labels: route.group_by.group_labels(&alert.labels) };
            if !self.groups.all.contains_key(&group) {
                let at = tick(now).saturating_add(self.first_wait(now, route, alert.starts_at));
                self.create(now, group.clone(), at);
            }
            self.join(&group, fingerprint);
        }
    }

    pub(super) fn join(&mut self, group: &GroupId, fingerprint: Fingerprint) {
        if self.groups.all.get_mut(group).is_some_and(|group| group.members.insert(fingerprint))
            && let Some(held) = self.store.get_mut(fingerprint)
        {
            held.groups += 1;
        }
    }

    /// `group_wait`; nothing for an alert that began longer ago than that (Alertmanager), except soon after a start.
    fn first_wait(&self, now: Now, route: &Route, starts_at: i64) -> i64 {
        let wait = crate::time::millis(route.group_wait);
        let settled = tick(now) >= self.started.saturating_add(SETTLING);
        if settled && starts_at.saturating_add(wait) < now.wall_ms { 0 } else { wait }
    }

    /// A new group that looks at itself at `flush_at`.
    pub(super) fn create(&mut self, now: Now, id: GroupId, flush_at: Tick) {
        let Some(group) = new_group(&self.setup, &id, flush_at) else { return };
        self.out.persist.push(Record::Group { key: group.key.to_string(), flush_at: tick::wall(now, flush_at), flushed: false });
        self.timers.at(flush_at, Due::Flush(id.clone()));
        self.groups.insert(id, group);
    }

    /// The alert has ended: it inhibits no more; its groups keep it until everybody knows.
    pub(super) fn ends(&mut self, fingerprint: Fingerprint) {
        let Some(held) = self.store.get(fingerprint) else { return };
        self.inhibitor.ended(fingerprint, &held.alert.labels);
        if held.groups == 0 {
            self.drop_alert(fingerprint);
        }
    }

    pub(super) fn drop_alert(&mut self, fingerprint: Fingerprint) {
        if let Some(held) = self.store.get(fingerprint) {
            self.timers.cancel(held.timer, Due::Expire(fingerprint));
        }
        self.store.remove(fingerprint);
        self.out.persist.push(Record::AlertGone { fingerprint });
    }

    /// An alert's time has come, or its timer must be moved on.
    pub(super) fn expire(&mut self, now: Now, fingerprint: Fingerprint) {
        if self.store.expire(now, fingerprint) {
            self.persist_alert(fingerprint);
            self.ends(fingerprint);
        } else if let Some(held) = self.store.get_mut(fingerprint).filter(|held| !held.resolved) {
            held.timer = held.expires;
            self.timers.at(held.expires, Due::Expire(fingerprint));
        } else if let Some(held) = self.store.get_mut(fingerprint) {
            held.timer = Tick::MAX;
        }
    }
}

/// A group without members.
pub(super) fn new_group(setup: &Setup, id: &GroupId, flush_at: Tick) -> Option<Group> {
    let route = setup.config.routes.get(id.route)?;
    let key: Arc<str> = route.group_key(&id.labels).into();
    let channels = channels(setup, id.route, &key);
    Some(Group { key, members: BTreeSet::new(), flush_at, flushed: false, channels })
}

/// Names of the channels of a group: one for each integration of its receiver.
fn channels(setup: &Setup, route: RouteId, key: &str) -> Vec<ChannelKey> {
    let Some(route) = setup.config.routes.get(route) else { return Vec::new() };
    let integrations = setup.integrations(&route.receiver);
    let name = |(at, integration): (usize, &Arc<crate::delivery::Integration>)| -> ChannelKey {
        format!("{key}:{}/{}/{at}", route.receiver, integration.as_str()).into()
    };
    integrations.iter().enumerate().map(name).collect()
}
