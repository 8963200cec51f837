//! From records to a state and back; another configuration over the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clock::Now;

use super::Router;
use super::groups::{Due, GroupId, Groups};
use super::inhibitor::Inhibitor;
use super::ledger::{Entry, Progress};
use super::outbox::Letter;
use super::place::new_group;
use super::robots::{PER_MINUTE, Robot, RobotKey, robot_key};
use super::tick::{self, Tick, tick};
use crate::labels::Fingerprint;
use crate::record::Record;
use crate::setup::Setup;

/// Timers are never restored further ahead than this: a clock that was set back must not silence a group.
const LONGEST_WAIT: i64 = 24 * 3_600_000;

/// A group's timer as it stood.
type Timer = (Tick, bool);

impl Router {
    /// Folds records into this fresh router.
    pub(super) fn restore(&mut self, now: Now, records: impl IntoIterator<Item = Record>) {
        let mut timers: BTreeMap<String, Timer> = BTreeMap::new();
        let mut alerts = BTreeMap::new();
        for record in records {
            match record {
                Record::Alert(alert) => drop(alerts.insert(alert.labels.fingerprint(), alert)),
                Record::AlertGone { fingerprint } => drop(alerts.remove(&fingerprint)),
                Record::Group { key, flush_at, flushed } => drop(timers.insert(key, (tick::due(now, flush_at, LONGEST_WAIT), flushed))),
                Record::GroupGone { key } => drop(timers.remove(&key)),
                Record::Log(record) => drop(self.log.insert(record.key.as_str().into(), Entry::restored(record, now))),
                Record::LogGone { key } => drop(self.log.remove(key.as_str())),
                Record::Silence(silence) => self.silences.restore(silence),
                Record::SilenceGone { id } => self.silences.remove(&id),
                Record::Robot { key, sent_at, quiet_until } => self.restore_robot(now, &key, &sent_at, quiet_until),
                Record::Queued { key, to, at, notification } => {
                    let since = tick::past(now, at);
                    let letter = Letter { to, notification: *notification, since, attempt: 0, progress: Progress::Idle };
                    self.outbox.insert(key.into(), letter);
                }
                Record::QueuedGone { key } => drop(self.outbox.remove(key.as_str())),
            }
        }
        self.silences.refresh(now.wall_ms);
        for alert in alerts.into_values() {
            self.store.restore(now, alert);
        }
        self.rebuild(now, &timers);
        self.out.persist.clear();
    }

    fn restore_robot(&mut self, now: Now, key: &str, sent_at: &[i64], quiet_until: i64) {
        let sent = sent_at.iter().rev().take(PER_MINUTE).map(|at| tick::past(now, *at));
        let quiet = (quiet_until > now.wall_ms).then(|| tick::due(now, quiet_until, crate::time::millis(crate::dingtalk::PENALTY)));
        self.robots.insert(key.into(), Robot::restored(sent, quiet));
    }

    /// Puts another configuration in force. Alerts, log, silences and messages in flight stay; timers of groups that still exist go on.
    pub fn reload(&mut self, now: Now, setup: Arc<Setup>) {
        let timers = self.groups.all.values().map(|group| (group.key.to_string(), (group.flush_at, group.flushed))).collect();
        for (id, group) in &self.groups.all {
            self.timers.cancel(group.flush_at, Due::Flush(id.clone()));
        }
        self.groups = Groups::default();
        self.inhibitor = Inhibitor::new(&setup.config.inhibit_rules);
        for robot in self.robots.values_mut() {
            *robot = Robot::restored(robot.sent().collect::<Vec<_>>(), robot.quiet_until());
        }
        for entry in self.log.values_mut().filter(|entry| entry.progress == Progress::Waiting) {
            entry.progress = Progress::Idle;
        }
        for letter in self.outbox.values_mut().filter(|letter| letter.progress == Progress::Waiting) {
            letter.progress = Progress::Idle;
        }
        self.setup = setup;
        self.rebuild(now, &timers);
    }

    /// Puts every alert held into its groups, with the timers that the groups of the same key had.
    fn rebuild(&mut self, now: Now, timers: &BTreeMap<String, Timer>) {
        let configured: BTreeSet<RobotKey> = self.setup.dingtalk.targets.values().map(|target| robot_key(&target.url)).collect();
        self.robots.retain(|key, _| configured.contains(key));
        let all: Vec<(Fingerprint, bool)> = self.store.iter().map(|(fingerprint, held)| (fingerprint, held.resolved)).collect();
        for (fingerprint, resolved) in all {
            if let Some(held) = self.store.get_mut(fingerprint) {
                held.groups = 0;
            }
            self.place_again(now, (fingerprint, resolved), timers);
            if resolved {
                self.ends(fingerprint);
            } else {
                self.time_expiry(fingerprint);
            }
        }
        let gone: BTreeSet<&str> = timers.keys().map(String::as_str).collect();
        let kept: BTreeSet<Arc<str>> = self.groups.all.values().map(|group| group.key.clone()).collect();
        let gone = gone.into_iter().filter(|key| !kept.contains(*key));
        self.out.persist.extend(gone.map(|key| Record::GroupGone { key: key.to_owned() }));
        let orphans: Vec<Arc<str>> = self.log.keys().filter(|channel| self.groups.owner(channel).is_none()).cloned().collect();
        for channel in &orphans {
            self.release(now, channel);
        }
        let queued: Vec<Arc<str>> = self.outbox.keys().cloned().collect();
        for key in &queued {
            self.start_letter(now, key);
        }
    }

    fn place_again(&mut self, now: Now, (fingerprint, resolved): (Fingerprint, bool), timers: &BTreeMap<String, Timer>) {
        let Some(alert) = self.store.get(fingerprint).map(|held| held.alert.clone()) else { return };
        if !resolved {
            self.inhibitor.fires(fingerprint, &alert.labels);
        }
        let setup = self.setup.clone();
        for id in setup.config.routes.matching(&alert.labels) {
            let Some(route) = setup.config.routes.get(id) else { continue };
            let group = GroupId { route: id, labels: route.group_by.group_labels(&alert.labels) };
            let Some(blank) = new_group(&setup, &group, 0) else { continue };
            // An ended alert is only worth a group where its fire was told.
            let known = blank.channels.iter().any(|channel| self.log.get(channel).is_some_and(|entry| entry.knows(fingerprint)));
            if resolved && !known {
                continue;
            }
            if !self.groups.all.contains_key(&group) {
                let fresh = (tick(now).saturating_add(crate::time::millis(route.group_wait)), false);
                let (flush_at, flushed) = timers.get(&*blank.key).copied().unwrap_or(fresh);
                // What was in flight, or had failed, is tried at once: a death or a reload must not cost a group interval.
                let unfinished = blank.channels.iter().any(|channel| self.log.get(channel).is_some_and(Entry::is_unfinished));
                let flush_at = if unfinished { tick(now) } else { flush_at };
                self.create(now, group.clone(), flush_at.max(tick(now)));
                if let Some(group) = self.groups.all.get_mut(&group) {
                    group.flushed = flushed;
                }
            }
            self.join(&group, fingerprint);
        }
    }

    /// The shortest list of records that folds to the present state: what a compacted journal starts with.
    pub fn snapshot(&self, now: Now) -> Vec<Record> {
        let mut records: Vec<Record> = self.store.iter().map(|(_, held)| Record::Alert(held.alert.as_ref().clone())).collect();
        records.extend(self.groups.all.values().map(|group| Record::Group {
            key: group.key.to_string(),
            flush_at: tick::wall(now, group.flush_at),
            flushed: group.flushed,
        }));
        records.extend(self.log.iter().filter(|(_, entry)| !entry.is_blank()).map(|(key, entry)| Record::Log(entry.record(key, now))));
        records.extend(self.silences.iter().cloned().map(Record::Silence));
        records.extend(self.robots.iter().map(|(key, robot)| Record::Robot {
            key: key.to_string(),
            sent_at: robot.sent().map(|at| tick::wall(now, at)).collect(),
            quiet_until: robot.quiet_until().map_or(0, |at| tick::wall(now, at)),
        }));
        records.extend(self.outbox.keys().filter_map(|key| self.letter_record(now, key)));
        records
    }
}
