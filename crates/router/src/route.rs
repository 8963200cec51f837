//! The route tree: which receivers an alert goes to, and how it is grouped there.
//!
//! Owns: matching, inheritance already applied, keys. Must not know: groups' timers, receivers' contents.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::labels::Labels;
use crate::matcher::Matcher;

/// Index of a route in [`RouteTree::routes`]; 0 is the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub usize);

/// The whole tree, flat: a route's children stand after it.
#[derive(Clone, Debug)]
pub struct RouteTree {
    routes: Vec<Route>,
}

/// By what alerts of one route are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// `'...'`: by every label, so each alert is its own group.
    All,
    /// By these labels; none means one group for all.
    Labels(BTreeSet<String>),
}

/// One route, with what it inherits filled in.
#[derive(Clone, Debug)]
pub struct Route {
    /// Key text: parent's key, `/`, matchers; `{}` for the root.
    pub key: Arc<str>,
    /// Receiver's name.
    pub receiver: Arc<str>,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// Whether later siblings are tried after this one matched.
    pub continues: bool,
    /// Grouping.
    pub group_by: GroupBy,
    /// Wait before a new group's first notification.
    pub group_wait: Duration,
    /// Time between looks at a group.
    pub group_interval: Duration,
    /// Time before an unchanged group is told again.
    pub repeat_interval: Duration,
    /// Names of intervals in which it is mute.
    pub mute_intervals: Vec<String>,
    /// Names of intervals outside of which it is mute; empty means always active.
    pub active_intervals: Vec<String>,
    /// In the order of the file.
    pub children: Vec<RouteId>,
}

// === impl GroupBy ===

impl GroupBy {
    /// The labels of the group that an alert belongs to.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match self {
            Self::All => labels.clone(),
            Self::Labels(names) => labels.filtered(|name| names.contains(name)),
        }
    }
}

// === impl Route ===

impl Route {
    /// The group's identity in payloads and in the notification log.
    pub fn group_key(&self, group_labels: &Labels) -> String {
        format!("{}:{group_labels}", self.key)
    }
}

// === impl RouteTree ===

impl RouteTree {
    /// A tree from its routes, root first; children are named by index.
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// Every route, root first.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route of this id.
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0)
    }

    /// The routes that take an alert with these labels: depth first, children before their parent, siblings until the first that does not continue.
    pub fn matching(&self, labels: &Labels) -> Vec<RouteId> {
        let mut found = Vec::new();
        self.collect(RouteId(0), labels, &mut found);
        found
    }

    /// Whether `id` or a route below it takes the alert; those that do are appended.
    fn collect(&self, id: RouteId, labels: &Labels, found: &mut Vec<RouteId>) -> bool {
        let Some(route) = self.get(id).filter(|route| route.matchers.iter().all(|matcher| matcher.matches(labels))) else {
            return false;
        };
        let before = found.len();
        for child in &route.children {
            let matched = self.collect(*child, labels, found);
            if matched && !self.get(*child).is_some_and(|child| child.continues) {
                break;
            }
        }
        if found.len() == before {
            found.push(id);
        }
        true
    }
}
