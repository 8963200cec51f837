//! The alerts held: merged posts, when each ends, what is persisted of it.
//!
//! Owns: alerts by identity. Must not know: routes, groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Now;

use super::tick::{self, Tick};
use crate::alert::{Alert, AlertError, PostedAlert, UnixMs};
use crate::labels::Fingerprint;

/// One alert held.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Its latest form.
    pub(crate) alert: Arc<Alert>,
    /// Whether it has ended.
    pub(crate) resolved: bool,
    /// When it ends by itself unless posted again; meaningless once resolved.
    pub(crate) expires: Tick,
    /// Where its timer stands; `Tick::MAX`: nowhere.
    pub(crate) timer: Tick,
    /// Groups that hold it.
    pub(crate) groups: usize,
}

/// What a post did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// Which alert.
    pub(crate) fingerprint: Fingerprint,
    /// Whether it fires now.
    pub(crate) firing: bool,
    /// Whether its span changed, so that it must be persisted and looked at.
    pub(crate) changed: bool,
    /// Whether it is held at all: an ended alert that nobody knew is not.
    pub(crate) held: bool,
}

/// All alerts held.
#[derive(Debug, Default)]
pub(crate) struct Store {
    alerts: BTreeMap<Fingerprint, Held>,
    firing: usize,
}

// === impl Store ===

impl Store {
    /// Takes a post.
    pub(crate) fn post(&mut self, now: Now, posted: &PostedAlert, terms: PostTerms) -> Result<Posted, AlertError> {
        let alert = posted.accept(now.wall_ms, terms.resolve_timeout)?;
        let fingerprint = alert.labels.fingerprint();
        let old = self.alerts.get(&fingerprint);
        if old.is_none() && alert.resolved_at(now.wall_ms) {
            return Ok(Posted { fingerprint, firing: false, changed: false, held: false });
        }
        if old.is_none() && self.alerts.len() >= terms.limit {
            return Err(AlertError::TooMany);
        }
        let alert = match old {
            Some(old) => as_seen(old, now).merged(alert, now.wall_ms),
            None => alert,
        };
        let resolved = alert.resolved_at(now.wall_ms);
        let changed = old.is_none_or(|old| old.resolved != resolved || old.alert.starts_at != alert.starts_at);
        let expires = tick::tick(now).saturating_add(alert.ends_at.saturating_sub(now.wall_ms));
        let (groups, timer) = old.map_or((0, Tick::MAX), |old| (old.groups, old.timer));
        self.put(fingerprint, Held { alert: Arc::new(alert), resolved, expires, timer, groups });
        Ok(Posted { fingerprint, firing: !resolved, changed, held: true })
    }

    /// An alert as a record left it. A firing one gets the whole span again that its client had given it: downtime does not end alerts.
    pub(crate) fn restore(&mut self, now: Now, mut alert: Alert) {
        let resolved = alert.resolved_at(alert.updated_at);
        if !resolved {
            let span = alert.ends_at.saturating_sub(alert.updated_at);
            alert.updated_at = now.wall_ms;
            alert.ends_at = now.wall_ms.saturating_add(span);
        }
        let expires = tick::tick(now).saturating_add(alert.ends_at.saturating_sub(now.wall_ms));
        self.put(alert.labels.fingerprint(), Held { alert: Arc::new(alert), resolved, expires, timer: Tick::MAX, groups: 0 });
    }

    fn put(&mut self, fingerprint: Fingerprint, held: Held) {
        self.firing += usize::from(!held.resolved);
        if let Some(old) = self.alerts.insert(fingerprint, held) {
            self.firing -= usize::from(!old.resolved);
        }
    }

    /// Ends the alert if its time has come; true when it has just ended.
    pub(crate) fn expire(&mut self, now: Now, fingerprint: Fingerprint) -> bool {
        let Some(held) = self.alerts.get_mut(&fingerprint).filter(|held| !held.resolved && held.expires <= tick::tick(now)) else {
            return false;
        };
        held.resolved = true;
        self.firing -= 1;
        let ended = ended_at(held.alert.ends_at, now.wall_ms, held.alert.starts_at);
        let alert = Arc::make_mut(&mut held.alert);
        alert.ends_at = ended;
        alert.updated_at = now.wall_ms.max(ended);
        true
    }

    pub(crate) fn get(&self, fingerprint: Fingerprint) -> Option<&Held> {
        self.alerts.get(&fingerprint)
    }

    pub(crate) fn get_mut(&mut self, fingerprint: Fingerprint) -> Option<&mut Held> {
        self.alerts.get_mut(&fingerprint)
    }

    pub(crate) fn remove(&mut self, fingerprint: Fingerprint) {
        if let Some(old) = self.alerts.remove(&fingerprint) {
            self.firing -= usize::from(!old.resolved);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Held)> {
        self.alerts.iter().map(|(fingerprint, held)| (*fingerprint, held))
    }

    pub(crate) fn len(&self) -> usize {
        self.alerts.len()
    }

    pub(crate) fn firing(&self) -> usize {
        self.firing
    }
}

/// What taking a post depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostTerms {
    /// Milliseconds.
    pub(crate) resolve_timeout: i64,
    /// Alerts held at most.
    pub(crate) limit: usize,
}

/// The alert with its end on the wall clock as it stands now: the clock may have been set since the last post.
fn as_seen(held: &Held, now: Now) -> Alert {
    let mut alert = Alert::clone(&held.alert);
    if !held.resolved {
        alert.ends_at = tick::wall(now, held.expires);
    }
    alert
}

/// When an alert ended that was not posted again: when it was said to, but not in the future and not before it began.
fn ended_at(promised: UnixMs, now_ms: UnixMs, starts_at: UnixMs) -> UnixMs {
    promised.min(now_ms).max(starts_at)
}
