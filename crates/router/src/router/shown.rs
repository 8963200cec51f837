//! The router's state as API v2 shows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use clock::Now;

use super::Router;
use super::groups::{Group, GroupId};
use super::store::Held;
use super::tick;
use super::view::muted;
use crate::delivery::WhyNot;
use crate::labels::Fingerprint;
use crate::view::{AlertQuery, AlertState, AlertStatus, AlertView, GroupView, Name, SilenceView};

impl Router {
    /// `GET /alerts`: firing alerts by fingerprint.
    pub fn alerts(&self, now: Now, query: &AlertQuery) -> Vec<AlertView> {
        let firing = self.store.iter().filter(|(_, held)| !held.resolved);
        let views = firing.filter_map(|(fingerprint, held)| {
            let receivers = self.receivers_of(held);
            let wanted = receivers.iter().any(|receiver| query.takes_receiver(&receiver.name));
            wanted.then(|| self.alert_view(now, (fingerprint, held), receivers, None))
        });
        let mut views: Vec<AlertView> = views.filter(|view| query.takes(view)).collect();
        views.sort_by_key(|view| view.fingerprint.to_string());
        views
    }

    /// `GET /alerts/groups`: groups with alerts that are asked for, by labels, then receiver.
    pub fn groups(&self, now: Now, query: &AlertQuery) -> Vec<GroupView> {
        let mut views: Vec<GroupView> = self.groups.all.iter().filter_map(|(id, group)| self.group_view(now, (id, group), query)).collect();
        views.sort_by(|a, b| (&a.labels, &a.receiver).cmp(&(&b.labels, &b.receiver)));
        views
    }

    /// `GET /silences`, in API v2's order.
    pub fn silence_views(&self, now: Now, filters: &[crate::matcher::Matcher]) -> Vec<SilenceView> {
        SilenceView::list(self.silences.iter(), filters, now.wall_ms)
    }

    fn receivers_of(&self, held: &Held) -> Vec<Name> {
        let routes = &self.setup.config.routes;
        let names: BTreeSet<Arc<str>> =
            routes.matching(&held.alert.labels).into_iter().filter_map(|id| routes.get(id)).map(|route| route.receiver.clone()).collect();
        names.into_iter().map(|name| Name { name: name.to_string() }).collect()
    }

    fn group_view(&self, now: Now, (id, group): (&GroupId, &Group), query: &AlertQuery) -> Option<GroupView> {
        let route = self.route_of(id)?;
        if !query.takes_receiver(&route.receiver) {
            return None;
        }
        let why = muted(&self.setup, route, now);
        let members: Vec<Fingerprint> = group.members.iter().copied().collect();
        let alerts: Vec<AlertView> = self
            .in_order(&members)
            .into_iter()
            .filter(|(_, _, resolved)| !resolved)
            .filter_map(|(fingerprint, ..)| {
                let held = self.store.get(fingerprint)?;
                Some(self.alert_view(now, (fingerprint, held), self.receivers_of(held), why.as_ref()))
            })
            .filter(|view| query.takes(view))
            .collect();
        let receiver = Name { name: route.receiver.to_string() };
        (!alerts.is_empty()).then(|| GroupView { alerts, labels: id.labels.clone(), receiver })
    }

    fn alert_view(&self, now: Now, (fingerprint, held): (Fingerprint, &Held), receivers: Vec<Name>, muted: Option<&WhyNot>) -> AlertView {
        let alert = &held.alert;
        let silenced_by = self.silences.covering(&alert.labels);
        let inhibited_by: Vec<String> = self.inhibitor.inhibits(&alert.labels).map(|by| by.to_string()).into_iter().collect();
        let muted_by = match muted {
            Some(WhyNot::Muted { interval }) => vec![interval.clone()],
            Some(WhyNot::NotActive) => vec!["active_time_intervals".to_owned()],
            _ => Vec::new(),
        };
        let state = if !(silenced_by.is_empty() && inhibited_by.is_empty() && muted_by.is_empty()) {
            AlertState::Suppressed
        } else if held.groups > 0 {
            AlertState::Active
        } else {
            AlertState::Unprocessed
        };
        AlertView {
            annotations: alert.annotations.clone(),
            ends_at: tick::wall(now, held.expires),
            fingerprint,
            receivers,
            starts_at: alert.starts_at,
            status: AlertStatus { inhibited_by, muted_by, silenced_by, state },
            updated_at: alert.updated_at,
            generator_url: alert.generator_url.clone(),
            labels: alert.labels.clone(),
        }
    }
}
