//! State over a reload, and over a restart.
//!
//! A group that did not change goes on untouched. In the others each rule keeps its alerts if a rule of the same name and labels was there before, wherever it stands now;
//! alerts of rules that are gone resolve, and their series end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clock::Now;
use promql::labels::Labels;

use super::outbox::Outgoing;
use super::reads::Reads;
use super::{ALIVE_EVERY_MS, RuleEngine, stale_at};
use crate::alert::{Active, AlertState, Reason};
use crate::effects::Event;
use crate::group::{GroupRun, RuleRun};
use crate::model::{Group, Rule, RuleSet};
use crate::record::{AlertRecord, Record, RuleKey, pairs};
use crate::schedule::Schedule;

/// What is left of the rules before.
#[derive(Default)]
struct Before {
    /// Groups by file and name.
    groups: BTreeMap<(Arc<str>, String), GroupRun>,
}

// === impl RuleEngine ===

impl RuleEngine {
    /// Puts these rules in the place of the ones before. Nothing fails here: a file with an error never becomes a [`RuleSet`] that is put to use.
    pub fn reload(&mut self, now: Now, rules: RuleSet) {
        let steady = self.timeline.steady_ms(now);
        let mut before = Before::default();
        for run in self.groups.drain(..) {
            before.groups.insert((run.group.file.clone(), run.group.name.clone()), run);
        }
        let mut twins: BTreeMap<RuleKey, usize> = BTreeMap::new();
        let mut kept: BTreeMap<RuleKey, RuleRun> = BTreeMap::new();
        let mut fresh = Vec::with_capacity(rules.groups.len());
        for group in rules.groups {
            let keys: Vec<RuleKey> = group.rules.iter().map(|rule| numbered(rule, &mut twins)).collect();
            let old = before.groups.remove(&(group.file.clone(), group.name.clone()));
            match old {
                Some(mut old) if self.is_unchanged(&old, &group) => {
                    old.group = group;
                    for (run, key) in old.rules.iter_mut().zip(keys) {
                        run.key = key;
                    }
                    fresh.push((old, Vec::new()));
                }
                old => {
                    let interval = group.interval_ms.unwrap_or(self.options.evaluation_interval_ms);
                    let mut run = GroupRun::new(group, Vec::new(), Schedule::new(interval, steady));
                    if let Some(old) = old {
                        if old.schedule.interval_ms() == interval {
                            run.schedule = old.schedule;
                        }
                        (run.last_at, run.missed) = (old.last_at, old.missed);
                        kept.extend(old.rules.into_iter().map(|rule| (rule.key.clone(), rule)));
                    }
                    fresh.push((run, keys));
                }
            }
        }
        kept.extend(before.groups.into_values().flat_map(|group| group.rules).map(|rule| (rule.key.clone(), rule)));
        self.groups = fresh.into_iter().map(|(run, keys)| filled(run, keys, &mut kept)).collect();
        for orphan in kept.into_values() {
            self.end(orphan, steady);
        }
        // What the rules before have read is perhaps not read any more.
        self.reads = Reads::default();
        self.listen();
        self.set_retention();
        self.forget_views();
    }

    fn is_unchanged(&self, old: &GroupRun, new: &Group) -> bool {
        let interval = new.interval_ms.unwrap_or(self.options.evaluation_interval_ms);
        old.group.digest == new.digest && old.rules.len() == new.rules.len() && old.schedule.interval_ms() == interval
    }

    /// Finds which metric names matter.
    fn listen(&mut self) {
        let rules: Vec<Arc<Rule>> = self.groups.iter().flat_map(|group| group.rules.iter().map(|run| run.rule.clone())).collect();
        let written: BTreeSet<&str> = rules.iter().filter(|rule| matches!(&***rule, Rule::Record(_))).map(|rule| rule.name()).collect();
        for group in &mut self.groups {
            group.note_reads(&written);
        }
        self.listening = self.groups.iter().flat_map(|group| group.reads.iter().cloned()).collect();
        self.heard.retain(|name, _| self.listening.contains(name));
    }

    /// Ends a rule that is gone: its firing alerts resolve, its series get stale markers.
    fn end(&mut self, mut orphan: RuleRun, now: i64) {
        let timeline = self.timeline;
        for (labels, alert) in &mut orphan.alerts.active {
            self.persist.push(Record::Gone { rule: orphan.key.clone(), labels: pairs(labels) });
            if alert.state == AlertState::Firing {
                (alert.state, alert.resolved_at) = (AlertState::Inactive, Some(now));
                self.outbox.push(Outgoing::new(&orphan.rule, labels, alert, now, |at| timeline.shown_ms(at)));
            }
            let reason = Reason::RuleRemoved.as_str();
            self.events.push(Event::AlertChanged { labels: labels.clone(), state: AlertState::Inactive.as_str(), reason });
        }
        for labels in &orphan.written {
            // A series that the store let go already needs no marker.
            let _ = self.store.append_to(labels, stale_at(now));
        }
    }

    /// Takes back the records of a journal, oldest first, right after [`new`](Self::new). Time without the watchdog does not count towards a pending alert's `for`.
    pub fn restore(&mut self, now: Now, records: impl IntoIterator<Item = Record>) {
        let mut alerts: BTreeMap<RuleKey, BTreeMap<Vec<(String, String)>, AlertRecord>> = BTreeMap::new();
        let mut alive_ms = None;
        for record in records {
            match record {
                Record::Alert(alert) => {
                    alive_ms = alive_ms.max(Some(alert.active_at_ms));
                    alerts.entry(alert.rule.clone()).or_default().insert(alert.labels.clone(), alert);
                }
                Record::Gone { rule, labels } => _ = alerts.get_mut(&rule).and_then(|of_rule| of_rule.remove(&labels)),
                Record::Alive { at_ms } => alive_ms = alive_ms.max(Some(at_ms)),
            }
        }
        // The last note may be older than the end, so that much is not counted as time without the watchdog: quick restarts must not stretch a `for`.
        let down_ms = alive_ms.map_or(0, |alive| now.wall_ms.saturating_sub(alive).saturating_sub(ALIVE_EVERY_MS)).max(0);
        let timeline = self.timeline;
        for run in self.groups.iter_mut().flat_map(|group| &mut group.rules) {
            for record in alerts.remove(&run.key).unwrap_or_default().into_values() {
                let labels = Labels::from_pairs(record.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                run.alerts.active.insert(labels, record.alert(|at| timeline.steady_of_ms(at), down_ms));
                self.restored = true;
            }
        }
        self.forget_views();
    }

    /// The state of every alert, in place of all records so far: what a journal is compacted to.
    pub fn snapshot(&self, now: Now) -> Vec<Record> {
        let shown = |at| self.timeline.shown_ms(at);
        let alive = Record::Alive { at_ms: shown(self.timeline.steady_ms(now)) };
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let alerts =
            rules.flat_map(|run| run.alerts.active.iter().map(|(labels, alert)| Record::Alert(AlertRecord::of(&run.key, labels, alert, shown))));
        std::iter::once(alive).chain(alerts).collect()
    }
}

/// The rule's key, numbered if it has twins.
fn numbered(rule: &Rule, twins: &mut BTreeMap<RuleKey, usize>) -> RuleKey {
    let count = twins.entry(rule.key(0)).or_default();
    *count += 1;
    rule.key(*count - 1)
}

/// `run` with its rules, each with the state that was kept for it; a group that went on untouched has its rules already.
fn filled(mut run: GroupRun, keys: Vec<RuleKey>, kept: &mut BTreeMap<RuleKey, RuleRun>) -> GroupRun {
    if run.rules.is_empty() {
        let rules = run.group.rules.clone();
        run.rules = rules.into_iter().zip(keys).map(|(rule, key)| revived(rule, key, kept)).collect();
    }
    run
}

fn revived(rule: Arc<Rule>, key: RuleKey, kept: &mut BTreeMap<RuleKey, RuleRun>) -> RuleRun {
    let same_kind = |old: &RuleRun| matches!((&*old.rule, &*rule), (Rule::Alert(_), Rule::Alert(_)) | (Rule::Record(_), Rule::Record(_)));
    match kept.remove(&key) {
        Some(old) if same_kind(&old) => RuleRun { rule, error: None, ..old },
        Some(old) => {
            // Name and labels of an alerting rule that became a recording one: its alerts must still end.
            kept.insert(key.clone(), old);
            RuleRun::new(rule, key)
        }
        None => RuleRun::new(rule, key),
    }
}

// === impl AlertRecord ===

impl AlertRecord {
    /// The record of an alert; `shown` turns steady times into the wall clock's.
    pub(super) fn of(rule: &RuleKey, labels: &Labels, alert: &Active, shown: impl Fn(i64) -> i64) -> Self {
        Self {
            rule: rule.clone(),
            labels: pairs(labels),
            source: pairs(&alert.source),
            state: alert.state,
            active_at_ms: shown(alert.active_at),
            fired_at_ms: alert.fired_at.map(&shown),
            resolved_at_ms: alert.resolved_at.map(&shown),
            keep_firing_since_ms: alert.keep_firing_since.map(&shown),
            value: Some(alert.value).filter(|value| value.is_finite()),
        }
    }

    /// The alert of a record; `steady` turns the wall clock's times into steady ones.
    fn alert(&self, steady: impl Fn(i64) -> i64, down_ms: i64) -> Active {
        let pause = if self.state == AlertState::Pending { down_ms } else { 0 };
        Active {
            source: Labels::from_pairs(self.source.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            state: self.state,
            value: self.value.unwrap_or(f64::NAN),
            active_at: steady(self.active_at_ms).saturating_add(pause),
            fired_at: self.fired_at_ms.map(&steady),
            resolved_at: self.resolved_at_ms.map(&steady),
            // What was only kept firing goes on being kept for as long as was left.
            keep_firing_since: self.keep_firing_since_ms.map(|at| steady(at).saturating_add(down_ms)),
            last_sent_at: None,
            seen_at: steady(self.fired_at_ms.unwrap_or(self.active_at_ms)),
        }
    }
}
