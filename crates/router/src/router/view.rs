//! A group as its receiver may see it now: without what is silenced, inhibited or muted.
//!
//! Owns: the one place where suppression is decided; flushing and explaining both ask here.

use std::sync::Arc;

use clock::Now;

use super::Router;
use super::groups::{Group, GroupId};
use super::ledger::{AlertSet, Present};
use crate::alert::Alert;
use crate::delivery::WhyNot;
use crate::interval::any_contains;
use crate::labels::Fingerprint;
use crate::route::Route;
use crate::setup::Setup;

/// What a group's alerts are, by what is done with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Told: those that go on, and those that ended.
    pub(crate) present: Present,
    /// Put aside for good: who silences an alert does not want to hear of its end.
    pub(crate) silenced: AlertSet,
    /// Put aside until inhibition or muting ends.
    pub(crate) held_back: AlertSet,
    /// Why the whole group is mute, if it is.
    pub(crate) muted: Option<WhyNot>,
}

impl Router {
    pub(super) fn view(&self, now: Now, id: &GroupId, group: &Group) -> View {
        let mut view = View { muted: self.setup.config.routes.get(id.route).and_then(|route| muted(&self.setup, route, now)), ..View::default() };
        for fingerprint in &group.members {
            let Some(held) = self.store.get(*fingerprint) else { continue };
            let list = match self.suppression(&held.alert) {
                Some(WhyNot::Silenced { .. }) => &mut view.silenced,
                Some(_) => &mut view.held_back,
                None if view.muted.is_some() => &mut view.held_back,
                None if held.resolved => &mut view.present.resolved,
                None => &mut view.present.firing,
            };
            list.push(*fingerprint);
        }
        view
    }

    /// Why an alert by itself is not told: silenced, else inhibited.
    pub(super) fn suppression(&self, alert: &Alert) -> Option<WhyNot> {
        let ids = self.silences.covering(&alert.labels);
        if !ids.is_empty() {
            return Some(WhyNot::Silenced { ids });
        }
        self.inhibitor.inhibits(&alert.labels).map(|by| WhyNot::Inhibited { by: by.to_string() })
    }

    /// The alerts of a set, by job, instance, then labels.
    pub(super) fn in_order(&self, set: &[Fingerprint]) -> Vec<(Fingerprint, Arc<Alert>, bool)> {
        let mut alerts: Vec<_> =
            set.iter().filter_map(|fingerprint| self.store.get(*fingerprint).map(|held| (*fingerprint, held.alert.clone(), held.resolved))).collect();
        alerts.sort_by(|(_, a, _), (_, b, _)| {
            let by = |name: &str| a.labels.value(name).cmp(b.labels.value(name));
            by("job").then_with(|| by("instance")).then_with(|| a.labels.cmp(&b.labels))
        });
        alerts
    }
}

/// Why a route is mute at this wall time.
pub(super) fn muted(setup: &Setup, route: &Route, now: Now) -> Option<WhyNot> {
    let inside =
        |name: &String| setup.config.intervals.get(name).is_some_and(|alternatives| any_contains(alternatives, now.wall_ms, &setup.timezone));
    if !route.active_intervals.is_empty() && !route.active_intervals.iter().any(inside) {
        return Some(WhyNot::NotActive);
    }
    route.mute_intervals.iter().find(|name| inside(name)).map(|name| WhyNot::Muted { interval: name.clone() })
}
