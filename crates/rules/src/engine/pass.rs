//! A pass over a group: its rules one after another at one time, within the turn's budget.

use std::collections::BTreeSet;
use std::time::Duration;

use promql::Sample;
use promql::eval::Options;
use promql::labels::Labels;

use super::outbox::Outgoing;
use super::reads::{Reads, Shared};
use super::{RuleEngine, stale_at};
use crate::alert::{Absence, AlertState, Change, Terms};
use crate::effects::{Event, Iteration};
use crate::evaluate;
use crate::group::{Pass, PassKind};
use crate::model::{AlertRule, Rule};
use crate::record::{AlertRecord, Record};
use crate::render::Surroundings;

/// What is fixed for a pass.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Steady time of the evaluation.
    at: i64,
    /// The same for expressions and people.
    shown_ms: i64,
    query_offset_ms: i64,
    interval_ms: i64,
    limit: usize,
}

/// A rule by its place.
#[derive(Clone, Copy, Debug)]
struct Spot {
    group: usize,
    rule: usize,
}

// === impl RuleEngine ===

impl RuleEngine {
    /// Runs the passes that are under way until the budget is spent; whether any is left. `reading` times the rules.
    pub(super) fn run_passes(&mut self, reading: &dyn Fn() -> Duration) -> bool {
        if self.groups.iter().all(|group| group.pass.is_none()) {
            return false;
        }
        self.store.settle_order();
        let mut reads = std::mem::take(&mut self.reads);
        reads.check(self.store.stats().counters);
        let unfinished = self.run_within_budget(&reads, reading);
        reads.hold(self.store.stats().counters);
        self.reads = reads;
        unfinished
    }

    fn run_within_budget(&mut self, reads: &Reads, reading: &dyn Fn() -> Duration) -> bool {
        let mut work = 0;
        for group in 0..self.groups.len() {
            loop {
                // Before the next rule is taken: one that is taken is run.
                if work >= self.options.limits.work_a_turn && self.groups.get(group).is_some_and(|group| group.pass.is_some()) {
                    return true;
                }
                let Some(spot) = self.next_spot(group) else { break };
                let begun = reading();
                work += 1 + self.run_rule(spot, reads);
                self.note_time(spot, reading().saturating_sub(begun));
            }
        }
        false
    }

    fn note_time(&mut self, spot: Spot, took: Duration) {
        let Some(group) = self.groups.get_mut(spot.group) else { return };
        if let Some(pass) = &mut group.pass {
            pass.took += took;
        }
        if let Some(run) = group.rules.get_mut(spot.rule) {
            run.took = took;
        }
    }

    /// Runs one group at steady time `at`, whatever its schedule: for rule tests.
    pub(crate) fn run_group(&mut self, group: usize, at: i64) {
        if let Some(run) = self.groups.get_mut(group) {
            run.pass = Some(Pass::new(at, PassKind::Grid));
        }
        let reads = Reads::default();
        while let Some(spot) = self.next_spot(group) {
            self.run_rule(spot, &reads);
        }
    }

    /// The next rule of the group's pass; ends the pass behind the last.
    fn next_spot(&mut self, group: usize) -> Option<Spot> {
        let run = self.groups.get_mut(group)?;
        let pass = run.pass.as_mut()?;
        run.drawn = None;
        if pass.next_rule == 0 {
            run.last_at = Some(pass.at);
            self.figures.evaluations += 1;
        }
        let wanted = |rule: &Rule| pass.kind == PassKind::Grid || matches!(rule, Rule::Alert(_));
        let Some((rule, _)) = run.rules.iter().enumerate().skip(pass.next_rule).find(|(_, run)| wanted(&run.rule)) else {
            run.took = pass.took;
            self.iterations.push(Iteration { due: self.timeline.mono_of(pass.at), took: pass.took });
            run.pass = None;
            return None;
        };
        pass.next_rule = rule + 1;
        Some(Spot { group, rule })
    }

    /// Evaluates one rule; the samples it touched.
    fn run_rule(&mut self, spot: Spot, reads: &Reads) -> u64 {
        let Some((rule, moment)) = self.moment(spot) else { return 0 };
        let query_ms = moment.shown_ms - moment.query_offset_ms;
        let shared = Shared { store: &self.store, reads };
        let evaluated = evaluate::elements(&self.timeline.shown(&shared), rule.expr(), query_ms, &self.options.eval);
        let (work, result) = match evaluated {
            Err(error) => (0, Err(error)),
            Ok(evaluated) => {
                let value = if let [only] = evaluated.elements.as_slice() { Some(only.sample.v) } else { None };
                if let Some(run) = self.groups.get_mut(spot.group).and_then(|group| group.rules.get_mut(spot.rule)) {
                    run.value = value;
                }
                let result = match &*rule {
                    Rule::Record(record) => evaluate::recorded(record, moment.limit, evaluated.elements),
                    Rule::Alert(alert) => self.update_alerts(spot, alert, moment, evaluated.elements),
                };
                (evaluated.work, result)
            }
        };
        let error = match result {
            Ok(series) => {
                self.write(spot, moment, series, reads);
                None
            }
            Err(error) => Some(error),
        };
        self.settle(spot, moment, error);
        work
    }

    fn moment(&self, spot: Spot) -> Option<(std::sync::Arc<Rule>, Moment)> {
        let run = self.groups.get(spot.group)?;
        let at = run.last_at?;
        let moment = Moment {
            at,
            shown_ms: self.timeline.shown_ms(at),
            query_offset_ms: run.group.query_offset_ms.unwrap_or(self.options.query_offset_ms),
            interval_ms: run.schedule.interval_ms(),
            limit: run.group.limit,
        };
        Some((run.rules.get(spot.rule)?.rule.clone(), moment))
    }

    /// Brings the rule's alerts to what its expression gave, queues what is to be sent; the series that tell of them.
    fn update_alerts(
        &mut self,
        spot: Spot,
        rule: &AlertRule,
        moment: Moment,
        elements: Vec<promql::eval::Element>,
    ) -> Result<Vec<(Labels, f64)>, String> {
        let source = self.timeline.shown(&self.store);
        let options: &Options = &self.options.eval;
        let around =
            Surroundings { source: &source, options, external_labels: &self.options.external_labels, external_url: &self.options.external_url };
        let found = evaluate::alerts(rule, moment.shown_ms, elements, around)?;
        let absence = if self.waits_for_data(spot, moment.at) { Absence::Unknown } else { Absence::Ended };
        let terms = Terms { for_ms: rule.for_ms, keep_firing_for_ms: rule.keep_firing_for_ms, limit: moment.limit, absence };
        let Some(run) = self.groups.get_mut(spot.group).and_then(|group| group.rules.get_mut(spot.rule)) else { return Ok(Vec::new()) };
        let outcome = run.alerts.update(found, moment.at, terms);
        self.send(spot, moment);
        for change in &outcome.changes {
            self.record_change(spot, change);
        }
        if let Some(error) = outcome.error {
            return Err(error);
        }
        let run = self.groups.get(spot.group).and_then(|group| group.rules.get(spot.rule));
        Ok(run.map(|run| evaluate::alert_series(&run.alerts, |at| self.timeline.shown_ms(at))).unwrap_or_default())
    }

    /// Whether state came back from before a restart and what the rule reads has not been heard since: then an absence proves nothing.
    fn waits_for_data(&self, spot: Spot, at: i64) -> bool {
        if !self.restored || at - self.started_at > self.options.eval.lookback_ms {
            return false;
        }
        let Some(run) = self.groups.get(spot.group).and_then(|group| group.rules.get(spot.rule)) else { return false };
        promql::parse::inspect::metric_names(run.rule.expr()).into_iter().any(|name| self.listening.contains(name) && !self.heard.contains_key(name))
    }

    fn send(&mut self, spot: Spot, moment: Moment) {
        let resend = self.options.resend_delay_ms;
        let valid_until = moment.at + 4 * moment.interval_ms.max(resend);
        let timeline = self.timeline;
        let Some(run) = self.groups.get_mut(spot.group).and_then(|group| group.rules.get_mut(spot.rule)) else { return };
        for (labels, alert) in run.alerts.active.iter_mut().filter(|(_, alert)| alert.needs_sending(moment.at, resend)) {
            if self.outbox.push(Outgoing::new(&run.rule, labels, alert, valid_until, |at| timeline.shown_ms(at))) {
                alert.last_sent_at = Some(moment.at);
            }
        }
    }

    /// Records a change of an alert, and tells of it.
    fn record_change(&mut self, spot: Spot, change: &Change) {
        let Some(run) = self.groups.get(spot.group).and_then(|group| group.rules.get(spot.rule)) else { return };
        let state = run.alerts.active.get(&change.labels).map_or(AlertState::Inactive, |alert| alert.state);
        let record = match run.alerts.active.get(&change.labels) {
            Some(alert) => Record::Alert(AlertRecord::of(&run.key, &change.labels, alert, |at| self.timeline.shown_ms(at))),
            None => Record::Gone { rule: run.key.clone(), labels: crate::record::pairs(&change.labels) },
        };
        self.persist.push(record);
        self.events.push(Event::AlertChanged { labels: change.labels.clone(), state: state.as_str(), reason: change.reason.as_str() });
    }

    /// Appends the series of this evaluation; those of the last that are gone get a stale marker.
    fn write(&mut self, spot: Spot, moment: Moment, series: Vec<(Labels, f64)>, reads: &Reads) {
        let t_ms = moment.at - moment.query_offset_ms;
        let Some(run) = self.groups.get_mut(spot.group).and_then(|group| group.rules.get_mut(spot.rule)) else { return };
        let mut refused = None;
        let mut written = BTreeSet::new();
        for (labels, v) in series {
            if let Err(error) = self.store.append_to(&labels, Sample { t_ms, v }) {
                refused = Some(error);
            }
            reads.forget(&labels);
            written.insert(labels);
        }
        for gone in run.written.difference(&written) {
            // A series that the store let go already needs no marker.
            let _ = self.store.append_to(gone, stale_at(t_ms));
            reads.forget(gone);
        }
        run.written = written;
        if let Some(error) = refused {
            self.events.push(Event::SamplesRefused { rule: run.rule.name().to_owned(), error: error.to_string() });
        }
    }

    /// Notes how the evaluation went.
    fn settle(&mut self, spot: Spot, moment: Moment, error: Option<String>) {
        let Some(group) = self.groups.get_mut(spot.group) else { return };
        let name = group.group.name.clone();
        let Some(run) = group.rules.get_mut(spot.rule) else { return };
        run.last_at = Some(moment.at);
        self.figures.failures += u64::from(error.is_some());
        let rule = run.rule.name().to_owned();
        match (&run.error, &error) {
            (before, Some(now)) if before.as_ref() != Some(now) => self.events.push(Event::RuleFailed { group: name, rule, error: now.clone() }),
            (Some(_), None) => self.events.push(Event::RuleRecovered { group: name, rule }),
            _ => {}
        }
        run.error = error;
    }
}
