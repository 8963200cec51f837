//! What the engine shows of itself: groups, rules, alerts, and why a rule cannot alarm.

use std::sync::Arc;

use clock::Now;
use promql::labels::{METRIC_NAME, MatchOp, Matcher};
use promql::parse::inspect::{Read, reads};

use super::RuleEngine;
use crate::alert::AlertState;
use crate::group::{Drawn, GroupRun, RuleRun};
use crate::model::Rule;
use crate::render::Subject;
use crate::view::{AlertView, GroupView, Health, MissingSeries, RuleKind, RuleState, RuleView};

/// A group that is seldom evaluated is drawn again after this time: the series that its view tells of change without it.
const REDRAW_EVERY_MS: i64 = 15_000;

// === impl RuleEngine ===

impl RuleEngine {
    /// All groups as they are now: for a page, once a second at most. A group that did not change since it was drawn gives the same view again; drawing one looks up
    /// every selector of every rule, and is done again after 15 s in any case.
    pub fn view(&mut self, now: Now) -> Vec<Arc<GroupView>> {
        let at = self.timeline.steady_ms(now);
        let is_current = |drawn: &&Drawn| at - drawn.at < REDRAW_EVERY_MS;
        let draw = |run| Drawn { view: Arc::new(self.group_view(run, at)), at };
        let drawn: Vec<Drawn> = self.groups.iter().map(|run| run.drawn.as_ref().filter(is_current).cloned().unwrap_or_else(|| draw(run))).collect();
        let views = drawn.iter().map(|drawn| Arc::clone(&drawn.view)).collect();
        for (run, drawn) in self.groups.iter_mut().zip(drawn) {
            run.drawn = Some(drawn);
        }
        views
    }

    /// Lets every group be drawn anew: something that all views tell of has changed.
    pub(super) fn forget_views(&mut self) {
        for run in &mut self.groups {
            run.drawn = None;
        }
    }

    fn group_view(&self, run: &GroupRun, now: i64) -> GroupView {
        GroupView {
            file: run.group.file.to_string(),
            name: run.group.name.clone(),
            interval_ms: run.schedule.interval_ms(),
            limit: run.group.limit,
            last_evaluation_ms: run.last_at.map(|at| self.timeline.shown_ms(at)),
            took: run.took,
            missed: run.missed,
            rules: run.rules.iter().map(|rule| self.rule_view(rule, now)).collect(),
        }
    }

    fn rule_view(&self, run: &RuleRun, now: i64) -> RuleView {
        let text = |pairs: Vec<(&str, &str)>| pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (kind, for_ms, keep_firing_for_ms, annotations) = match &*run.rule {
            Rule::Alert(rule) => {
                let annotations = rule.annotations.iter().map(|(name, field)| (name.clone(), field.text.clone())).collect();
                (RuleKind::Alerting, rule.for_ms, rule.keep_firing_for_ms, annotations)
            }
            Rule::Record(_) => (RuleKind::Recording, 0, 0, Vec::new()),
        };
        let evaluated = run.last_at.is_some();
        RuleView {
            kind,
            name: run.rule.name().to_owned(),
            query: run.rule.query().to_owned(),
            labels: text(run.rule.labels().into_iter().collect()),
            annotations,
            for_ms,
            keep_firing_for_ms,
            health: if run.error.is_some() {
                Health::Err
            } else if evaluated {
                Health::Ok
            } else {
                Health::Unknown
            },
            last_error: run.error.clone(),
            last_evaluation_ms: run.last_at.map(|at| self.timeline.shown_ms(at)),
            took: run.took,
            state: if evaluated { RuleState::Known(run.alerts.state()) } else { RuleState::Unknown },
            value: run.value,
            alerts: self.alert_views(run),
            missing: self.missing(run, now),
            short_history: self.short_history(run, now),
            line: run.rule.place().line,
        }
    }

    fn alert_views(&self, run: &RuleRun) -> Vec<AlertView> {
        let Rule::Alert(rule) = &*run.rule else { return Vec::new() };
        let shown = |at| self.timeline.shown_ms(at);
        let view = |(labels, alert): (&promql::labels::Labels, &crate::alert::Active)| AlertView {
            labels: labels.clone(),
            annotations: self.annotations(rule, Subject { labels: &alert.source, value: alert.value, at_ms: shown(alert.seen_at) }),
            state: alert.state,
            active_at_ms: shown(alert.active_at),
            fired_at_ms: alert.fired_at.map(shown),
            resolved_at_ms: alert.resolved_at.map(shown),
            keep_firing_since_ms: alert.keep_firing_since.map(shown),
            value: alert.value,
        };
        run.alerts.active.iter().map(view).collect()
    }

    /// Selectors that match no series within their reach at steady time `now`. One below `absent` is meant to match none.
    fn missing(&self, run: &RuleRun, now: i64) -> Vec<MissingSeries> {
        let lookback = self.options.eval.lookback_ms;
        let exists = |matchers: &[Matcher], reach: i64| self.store.has_sample(matchers, now - reach, now);
        let mut missing = Vec::new();
        for read in reads(run.rule.expr(), lookback) {
            let reach = read.look_back_ms.unwrap_or(lookback).max(lookback);
            if exists(&read.selector.matchers, reach) || crate::lint::is_meant_to_be_absent(run.rule.expr(), read.selector) {
                continue;
            }
            let metric = read.selector.metric_name().map(str::to_owned);
            let by_name = metric.as_ref().map(|name| Matcher::new(METRIC_NAME, MatchOp::Equal, name, None));
            missing.push(MissingSeries {
                name_exists: by_name.is_some_and(|matcher| exists(&[matcher], reach)),
                selector: selector_text(&read),
                metric,
            });
        }
        missing
    }

    /// Have and need, when the rule looks further back than any series it reads reaches.
    fn short_history(&self, run: &RuleRun, now: i64) -> Option<(i64, i64)> {
        let ranges = reads(run.rule.expr(), self.options.eval.lookback_ms);
        let needs = ranges.iter().filter(|read| read.range_ms.is_some()).filter_map(|read| Some((read, read.look_back_ms?)));
        let short = needs.filter_map(|(read, need)| {
            let oldest = self.store.oldest_ms(&read.selector.matchers)?;
            let have = now - oldest;
            // One sample interval is always missing at the edge.
            (have + self.options.evaluation_interval_ms < need).then_some((have.max(0), need))
        });
        short.max_by_key(|(have, need)| need - have)
    }

    /// Alerts of the rules named `alert` that fire, for rule tests: labels and rendered annotations.
    pub(crate) fn firing(&self, alert: &str) -> Vec<AlertView> {
        let rules = self.groups.iter().flat_map(|group| &group.rules).filter(|run| run.rule.name() == alert);
        rules.flat_map(|run| self.alert_views(run)).filter(|view| view.state == AlertState::Firing).collect()
    }
}

/// The selector, as the expression prints it.
fn selector_text(read: &Read<'_>) -> String {
    let matchers = read.selector.matchers.iter().filter(|matcher| &*matcher.name != METRIC_NAME || read.selector.metric_name().is_none());
    let inside: Vec<String> = matchers.map(|matcher| format!("{}{}{:?}", matcher.name, symbol(matcher.op), matcher.value)).collect();
    let name = read.selector.metric_name().unwrap_or_default();
    if inside.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", inside.join(",")) }
}

fn symbol(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    }
}
