//! From the file as written to the file as meant: all findings at once.
//!
//! Codes: E201 no route, E202 root without receiver, E203 root with matchers or intervals, E204 undefined receiver, E205 undefined time interval,
//! E206 duplicate receiver, E207 duplicate interval, E208 empty name, E209 `'...'` mixed with labels, E210 duplicate group_by label, E211 bad label name,
//! E212 bad duration, E213 zero interval, E214 incomplete mail, E215 duplicate header, E216 webhook URL, E217 secret given twice, E218 bad time interval,
//! E219 bad matcher, E220 bad regular expression, E221 bad URL, E222 several authentications, E223 unknown time zone, E224 bad smarthost, E225 bad value.
//! W201 integration not delivered, W202 classic matcher syntax, W203 ambiguous matcher, W204 deprecated key, W205 unused receiver, W206 inhibition without
//! `equal`, W207 repeat_interval shorter than group_interval, W208 route that is never reached, W209 key without effect.

use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Place, Text};

use super::findings::{Findings, hint};
use super::scalars::Word;
use super::{Config, Loaded, intervals, masked, matchers, receivers, routes, written};
use crate::inhibit::InhibitRule;
use crate::time::parse_duration;

/// `resolve_timeout` of Alertmanager.
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);

/// Checks everything; warnings do not keep a file from being used.
pub(crate) fn check(file: &str, text: &str, written: &written::Config) -> Result<Loaded<Config>, Vec<Diagnostic>> {
    let mut findings = Findings::new(file);
    let global = written.global.clone().unwrap_or_default();
    let intervals = intervals::all(written, &mut findings);
    let receivers = receivers::all(&written.receivers, &global, &mut findings);
    let routes = routes::tree(written, &receivers, &intervals, &mut findings);
    let inhibit_rules = written.inhibit_rules.iter().map(|rule| inhibit_rule(rule, &mut findings)).collect();
    without_effect(written, &mut findings);
    let config = Config {
        file: file.to_owned(),
        original: masked::masked(file, text),
        resolve_timeout: duration(global.resolve_timeout.as_ref(), RESOLVE_TIMEOUT, &mut findings),
        templates: written.templates.iter().map(|glob| glob.value.clone()).collect(),
        routes,
        receivers,
        inhibit_rules,
        intervals,
    };
    let warnings = findings.verdict()?;
    Ok(Loaded { config, warnings })
}

/// A duration, or `default` when absent or (with a finding) when unreadable.
pub(super) fn duration(word: Option<&Word>, default: Duration, findings: &mut Findings) -> Duration {
    let Some(word) = word else { return default };
    parse_duration(&word.value).unwrap_or_else(|| {
        let message = Text::new(format!("`{}` is not a duration", word.value), format!("`{}` 不是时长", word.value));
        let found = findings.error("E212", place_of(word), message);
        found.expected = Some(Text::new("a number with a unit, as `30s`, `5m`, `1h30m`, `4h`", "数字加单位，如 `30s`、`5m`、`1h30m`、`4h`"));
        default
    })
}

/// Whether `name` is a classic label name, as `match`, `group_by` and `equal` demand in classic configurations.
pub(super) fn is_classic_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn bad_label(findings: &mut Findings, place: Place, name: &str) {
    findings.error("E211", place, Text::new(format!("`{name}` is not a label name"), format!("`{name}` 不是合法的标签名")));
}

/// A deprecated key that still works.
pub(super) fn deprecated(findings: &mut Findings, place: Place, key: &str, instead: &str) {
    let found = findings.warning("W204", place, Text::new(format!("`{key}` is deprecated"), format!("`{key}` 已弃用")));
    hint(found, &format!("write `{instead}`"), &format!("请改用 `{instead}`"));
}

fn inhibit_rule(written: &Spanned<written::InhibitRule>, findings: &mut Findings) -> InhibitRule {
    let rule = &written.value;
    let source = matchers::of(
        &matchers::Parts::new("source_", rule.source_match.as_ref(), rule.source_match_re.as_ref(), rule.source_matchers.as_ref()),
        findings,
    );
    let target = matchers::of(
        &matchers::Parts::new("target_", rule.target_match.as_ref(), rule.target_match_re.as_ref(), rule.target_matchers.as_ref()),
        findings,
    );
    let equal: Vec<(&str, Place)> = rule.equal.as_ref().map(super::scalars::each).unwrap_or_default();
    for (name, place) in &equal {
        if name.is_empty() {
            bad_label(findings, *place, name);
        }
    }
    let place = place_of(written);
    for (side, list) in [("source", &source), ("target", &target)] {
        if list.is_empty() {
            let message = Text::new(
                format!("this rule has no {side} matchers: every alert is its {side}"),
                format!("该抑制规则没有 {side} 匹配条件：所有告警都会被当作 {side}"),
            );
            findings.warning("W206", place, message);
        }
    }
    if equal.is_empty() {
        let message =
            Text::new("this rule has no `equal`: one source inhibits all its targets", "该抑制规则没有 `equal`：任一源告警会抑制全部目标告警");
        findings.warning("W206", place, message);
    }
    InhibitRule { name: rule.name.clone().unwrap_or_default(), source, target, equal: equal.into_iter().map(|(name, _)| name.to_owned()).collect() }
}

/// Keys that are accepted for compatibility and do nothing here.
fn without_effect(written: &written::Config, findings: &mut Findings) {
    for (key, value) in [("tracing", &written.tracing), ("event_recorder", &written.event_recorder)] {
        if let Some(value) = value {
            let message = Text::new(format!("`{key}` has no effect in Tidemark"), format!("`{key}` 在 Tidemark 中不起作用"));
            findings.warning("W209", place_of(value), message);
        }
    }
}
