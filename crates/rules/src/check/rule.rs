//! One rule: alerting or recording.

use std::collections::BTreeMap;

use diagnostics::yaml::Spanned;
use diagnostics::{Diagnostic, Place, Text};
use promql::parse::{Expr, parse};

use super::{Lints, Reader, say_lints};
use crate::document::{Fields, Node, Written};
use crate::lint;
use crate::model::{AlertRule, RecordRule, Rule};

const RULE_KEYS: &[&str] = &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// Which kind of rule, with its name.
enum Kind {
    Alert(Written),
    Record(Written),
}

// === impl Reader ===

impl Reader<'_> {
    /// A rule; `None` after saying what is wrong with it. `group_labels` are overridden by its own.
    pub(super) fn rule(&mut self, node: &Spanned<Node>, group_labels: &[(Written, Written)]) -> Option<Rule> {
        let fields = self.document.fields(node, RULE_KEYS)?;
        let begin = self.document.found.len();
        let kind = self.kind(fields);
        let expr = self.expression(fields);
        let for_ms = self.duration(fields, "for").unwrap_or(0);
        let keep_firing_for_ms = self.duration(fields, "keep_firing_for").unwrap_or(0);
        let own = self.labels(fields);
        let mut labels: BTreeMap<String, Written> = group_labels.iter().map(|(name, text)| (name.text.clone(), text.clone())).collect();
        labels.extend(own.into_iter().map(|(name, text)| (name.text, text)));
        let rule = match kind? {
            Kind::Record(name) => self.recording(fields, name, (expr, labels), (for_ms, keep_firing_for_ms)),
            Kind::Alert(name) => self.alerting(fields, name, (expr, labels), (for_ms, keep_firing_for_ms)),
        };
        let faultless = self.document.found.get(begin..).unwrap_or_default().iter().all(|found| found.severity != diagnostics::Severity::Error);
        rule.filter(|_| faultless)
    }

    fn kind(&mut self, fields: Fields<'_>) -> Option<Kind> {
        let text =
            |reader: &mut Self, key| fields.get(key).and_then(|node| reader.document.text(node)).filter(|name: &Written| !name.text.is_empty());
        let (alert, record) = (text(self, "alert"), text(self, "record"));
        let place = fields.key_place("record").or_else(|| fields.key_place("alert")).unwrap_or(Place { len: 1, ..fields.place });
        match (alert, record) {
            (Some(name), None) => Some(Kind::Alert(name)),
            (None, Some(name)) => {
                self.metric_name(&name);
                Some(Kind::Record(name))
            }
            (Some(_), Some(_)) => {
                self.error(
                    "E111",
                    Text::new("a rule has either `alert` or `record`, not both", "规则只能有 `alert` 或 `record` 之一，不能同时有"),
                    place,
                );
                None
            }
            (None, None) => {
                self.error("E111", Text::new("the rule has neither `alert` nor `record`", "规则既没有 `alert` 也没有 `record`"), place);
                None
            }
        }
    }

    fn metric_name(&mut self, name: &Written) {
        if name.text.contains(['{', '}']) {
            let message = Text::new(format!("{:?} is not a metric name", name.text), format!("{:?} 不是有效的指标名", name.text));
            let found = Diagnostic::error("E114", message).hint(Text::new("write labels under `labels`", "标签请写在 `labels` 下"));
            self.document.say(found, name.place);
        } else if !promql::labels::is_metric_name(&name.text) {
            self.unusual_name(name);
        }
    }

    /// The expression with its text; every error of it is reported at its place in the file.
    fn expression(&mut self, fields: Fields<'_>) -> Option<(Written, Expr)> {
        let text = fields.get("expr").and_then(|node| self.document.text(node));
        let Some(text) = text.filter(|text| !text.text.trim().is_empty()) else {
            let place = fields.key_place("expr").unwrap_or(Place { len: 1, ..fields.place });
            self.error("E111", Text::new("the rule has no `expr`", "规则没有 `expr`"), place);
            return None;
        };
        match parse(&text.text) {
            Ok(expr) => Some((text, expr)),
            Err(errors) => {
                for error in errors {
                    let len = text.text.get(error.span.start..error.span.end).map_or(1, |part| part.chars().count());
                    let place = text.inside(self.document.source, error.span.start, len);
                    let mut found = Diagnostic::error(error.code(), Text::new(error.to_string(), error.zh()));
                    found.hint = error.hint().map(|(en, zh)| Text::new(en, zh));
                    self.document.say(found, place);
                }
                None
            }
        }
    }

    fn recording(
        &mut self,
        fields: Fields<'_>,
        name: Written,
        (expr, labels): (Option<(Written, Expr)>, BTreeMap<String, Written>),
        (for_ms, keep_firing_for_ms): (i64, i64),
    ) -> Option<Rule> {
        let annotated = !self.document.texts(fields.get("annotations")).is_empty();
        for (key, is_set) in [("for", for_ms > 0), ("keep_firing_for", keep_firing_for_ms > 0), ("annotations", annotated)] {
            if let Some(place) = fields.key_place(key).filter(|_| is_set) {
                self.error("E113", Text::new(format!("a recording rule has no `{key}`"), format!("记录规则没有 `{key}`")), place);
            }
        }
        let (query, expr) = expr?;
        let place = name.place;
        self.lint(&query, &expr, &lint::Texts::default());
        let labels = labels.into_iter().map(|(name, value)| (name, value.text)).collect();
        Some(Rule::Record(RecordRule { name: name.text, query: query.text, expr, labels, place }))
    }

    fn alerting(
        &mut self,
        fields: Fields<'_>,
        name: Written,
        (expr, labels): (Option<(Written, Expr)>, BTreeMap<String, Written>),
        (for_ms, keep_firing_for_ms): (i64, i64),
    ) -> Option<Rule> {
        let annotations = self.document.texts(fields.get("annotations"));
        for (name, _) in annotations.iter().filter(|(name, _)| !promql::labels::is_label_name(&name.text)) {
            if name.text.is_empty() {
                self.error("E115", Text::new("an annotation has no name", "注解没有名称"), name.place);
            } else {
                self.unusual_name(name);
            }
        }
        let annotations: BTreeMap<String, Written> = annotations.into_iter().map(|(name, text)| (name.text, text)).collect();
        if let Some((query, expr)) = &expr {
            self.lint(query, expr, &lint::Texts { labels: &labels, annotations: &annotations });
        }
        // Whatever else is wrong: all errors come in one run.
        let (labels, annotations) = (self.templates(&name.text, labels), self.templates(&name.text, annotations));
        let (query, expr) = expr?;
        Some(Rule::Alert(AlertRule {
            labels: labels?,
            annotations: annotations?,
            place: name.place,
            name: name.text,
            query: query.text,
            expr,
            for_ms,
            keep_firing_for_ms,
        }))
    }

    fn lint(&mut self, query: &Written, expr: &Expr, texts: &lint::Texts<'_>) {
        if self.options.lints == Lints::All {
            let surroundings = lint::Surroundings {
                source: self.document.source,
                scrape_interval_ms: self.options.scrape_interval_ms,
                known_metrics: self.options.known_metrics.as_ref(),
            };
            let found = lint::find(expr, texts, &surroundings);
            say_lints(&mut self.document, found, query);
        }
    }
}
