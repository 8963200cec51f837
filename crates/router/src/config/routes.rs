//! The route tree: inheritance filled in, names resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Place, Text};

use super::check::{bad_label, duration};
use super::findings::{Findings, hint, suggest};
use super::scalars::{Words, each};
use super::{Receiver, matchers, written};
use crate::interval::TimeInterval;
use crate::matcher::set_text;
use crate::route::{GroupBy, Route, RouteId, RouteTree};

/// What the checks of a route look names up in.
struct Names<'a> {
    receivers: Vec<&'a str>,
    intervals: Vec<&'a str>,
}

/// The tree of the file; with findings it may be incomplete.
pub(super) fn tree(
    written: &written::Config,
    receivers: &[Receiver],
    intervals: &BTreeMap<String, Vec<TimeInterval>>,
    findings: &mut Findings,
) -> RouteTree {
    let names = Names { receivers: receivers.iter().map(|one| &*one.name).collect(), intervals: intervals.keys().map(String::as_str).collect() };
    let Some(root) = &written.route else {
        let found = findings.whole("E201", Text::new("no `route`: nothing says where alerts go", "缺少 `route`：没有规定告警发往何处"));
        hint(found, "add `route: {receiver: NAME}`", "请添加 `route: {receiver: 名称}`");
        return RouteTree::new(Vec::new());
    };
    check_root(root, findings);
    let mut routes = Vec::new();
    add(root, &defaults(), &names, (&mut routes, findings));
    unused_receivers(written, &routes, findings);
    RouteTree::new(routes)
}

/// What the root inherits (Alertmanager documentation, "route").
fn defaults() -> Route {
    Route {
        key: "".into(),
        receiver: "".into(),
        matchers: Vec::new(),
        continues: false,
        group_by: GroupBy::Labels(BTreeSet::new()),
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_mins(5),
        repeat_interval: Duration::from_hours(4),
        mute_intervals: Vec::new(),
        active_intervals: Vec::new(),
        children: Vec::new(),
    }
}

fn check_root(root: &Spanned<written::Route>, findings: &mut Findings) {
    let route = &root.value;
    if route.receiver.as_ref().is_none_or(|name| name.value.is_empty()) {
        let found = findings.error("E202", place_of(root), Text::new("the root route names no receiver", "根路由没有指定 receiver"));
        hint(found, "add `receiver: NAME`", "请添加 `receiver: 名称`");
    }
    let own = matchers::Parts::new("", route.match_equal.as_ref(), route.match_re.as_ref(), route.matchers.as_ref());
    let forbidden = [
        ("matchers", !own.is_empty()),
        ("continue", route.continues.as_ref().is_some_and(|flag| flag.value)),
        ("mute_time_intervals", has_names(route.mute_time_intervals.as_ref())),
        ("active_time_intervals", has_names(route.active_time_intervals.as_ref())),
    ];
    for (key, _) in forbidden.iter().filter(|(_, present)| *present) {
        let message = Text::new(
            format!("the root route must not have `{key}`: it takes every alert, always"),
            format!("根路由不能有 `{key}`：它始终接收所有告警"),
        );
        hint(findings.error("E203", place_of(root), message), "put it into a route below", "请写到子路由中");
    }
}

fn has_names(words: Option<&Spanned<Words>>) -> bool {
    words.is_some_and(|words| !each(words).is_empty())
}

/// Adds a route and everything below it; returns its id.
fn add(written: &Spanned<written::Route>, parent: &Route, names: &Names<'_>, out: (&mut Vec<Route>, &mut Findings)) -> RouteId {
    let (routes, findings) = out;
    let mut route = one(written, parent, names, findings);
    let id = RouteId(routes.len());
    routes.push(route.clone());
    let mut taken_whole = false;
    for child in &written.value.routes {
        if taken_whole {
            let message = Text::new("this route is never reached: one before it takes every alert", "该路由永远不会生效：它之前的路由已接收所有告警");
            hint(
                findings.warning("W208", place_of(child), message),
                "move it up, or add `continue: true` to the other",
                "请上移，或给前者加 `continue: true`",
            );
        }
        let child_id = add(child, &route, names, (&mut *routes, &mut *findings));
        let child = routes.get(child_id.0);
        taken_whole |= child.is_some_and(|child| child.matchers.is_empty() && !child.continues);
        route.children.push(child_id);
    }
    if let Some(slot) = routes.get_mut(id.0) {
        slot.children = route.children;
    }
    id
}

fn one(written: &Spanned<written::Route>, parent: &Route, names: &Names<'_>, findings: &mut Findings) -> Route {
    let route = &written.value;
    let matchers = matchers::of(&matchers::Parts::new("", route.match_equal.as_ref(), route.match_re.as_ref(), route.matchers.as_ref()), findings);
    let text = set_text(&matchers);
    let (group_interval, repeat_interval) = intervals_of(route, parent, findings);
    Route {
        key: if parent.key.is_empty() { text.into() } else { format!("{}/{text}", parent.key).into() },
        receiver: receiver_of(route, parent, names, findings),
        matchers,
        continues: route.continues.as_ref().is_some_and(|flag| flag.value),
        group_by: route.group_by.as_ref().map_or_else(|| parent.group_by.clone(), |words| group_by(words, findings)),
        group_wait: duration(route.group_wait.as_ref(), parent.group_wait, findings),
        group_interval,
        repeat_interval,
        mute_intervals: interval_names(route.mute_time_intervals.as_ref(), names, findings),
        active_intervals: interval_names(route.active_time_intervals.as_ref(), names, findings),
        children: Vec::new(),
    }
}

fn receiver_of(route: &written::Route, parent: &Route, names: &Names<'_>, findings: &mut Findings) -> Arc<str> {
    let Some(name) = route.receiver.as_ref().filter(|name| !name.value.is_empty()) else {
        return parent.receiver.clone();
    };
    if !names.receivers.contains(&name.value.as_str()) {
        let message = Text::new(format!("undefined receiver `{}`", name.value), format!("未定义的 receiver `{}`", name.value));
        suggest(findings.error("E204", place_of(name), message), &name.value, names.receivers.iter().copied());
    }
    name.value.as_str().into()
}

fn intervals_of(route: &written::Route, parent: &Route, findings: &mut Findings) -> (Duration, Duration) {
    let group = duration(route.group_interval.as_ref(), parent.group_interval, findings);
    let repeat = duration(route.repeat_interval.as_ref(), parent.repeat_interval, findings);
    for (key, word, value) in [("group_interval", &route.group_interval, group), ("repeat_interval", &route.repeat_interval, repeat)] {
        if let Some(word) = word.as_ref().filter(|_| value.is_zero()) {
            findings.error("E213", place_of(word), Text::new(format!("`{key}` must not be zero"), format!("`{key}` 不能为 0")));
        }
    }
    if let Some(word) = route.repeat_interval.as_ref().or(route.group_interval.as_ref()).filter(|_| repeat < group && !repeat.is_zero()) {
        let message = Text::new(
            "`repeat_interval` is shorter than `group_interval`: reminders come only every `group_interval`",
            "`repeat_interval` 小于 `group_interval`：实际只会每隔 `group_interval` 提醒一次",
        );
        findings.warning("W207", place_of(word), message);
    }
    (group, repeat)
}

fn group_by(words: &Spanned<Words>, findings: &mut Findings) -> GroupBy {
    let list = each(words);
    let mut seen = BTreeSet::new();
    for (name, place) in &list {
        if name.is_empty() {
            bad_label(findings, *place, name);
        } else if !seen.insert((*name).to_owned()) {
            findings.error("E210", *place, Text::new(format!("`{name}` stands twice in group_by"), format!("group_by 中 `{name}` 重复")));
        }
    }
    if !seen.contains("...") {
        return GroupBy::Labels(seen);
    }
    if seen.len() > 1 {
        let message = Text::new("`'...'` means all labels and stands alone", "`'...'` 表示全部标签，不能与其他标签并列");
        findings.error("E209", place_of(words), message);
    }
    GroupBy::All
}

fn interval_names(words: Option<&Spanned<Words>>, names: &Names<'_>, findings: &mut Findings) -> Vec<String> {
    let list: Vec<(&str, Place)> = words.map(each).unwrap_or_default();
    for (name, place) in &list {
        if !names.intervals.contains(name) {
            let message = Text::new(format!("undefined time interval `{name}`"), format!("未定义的时间段 `{name}`"));
            suggest(findings.error("E205", *place, message), name, names.intervals.iter().copied());
        }
    }
    list.into_iter().map(|(name, _)| name.to_owned()).collect()
}

fn unused_receivers(written: &written::Config, routes: &[Route], findings: &mut Findings) {
    for receiver in &written.receivers {
        let name = &receiver.value.name;
        if !routes.iter().any(|route| *route.receiver == *name.value) {
            let message = Text::new(format!("no route leads to receiver `{}`", name.value), format!("没有路由指向 receiver `{}`", name.value));
            findings.warning("W205", place_of(name), message);
        }
    }
}
