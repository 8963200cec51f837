//! The router: alerts in, deliveries out.
//!
//! Owns: alerts, groups, the notification log, silences, robots' buckets, what is in flight. One owner, no locks; every method takes `now`.
//! Must not know: how messages look or travel.
//!
//! The way of one alert, in the order of [`Router::turn`]: placed in its groups (`place`) → its group becomes due → silenced, inhibited, muted alerts
//! are put aside (`view`) → each integration is asked what is new to it (`flush`, `ledger`) → sent, or queued at its robot (`send`, `robots`) →
//! reported back (`report`) → alerts that ended and that everybody knows of are dropped (`settle`).

mod explain;
mod flush;
mod groups;
mod inhibitor;
mod ledger;
mod outbox;
mod place;
mod report;
mod restore;
mod robots;
mod sample;
mod send;
mod settle;
mod shown;
mod silences;
mod store;
mod tick;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Now;

pub use explain::{ChannelExplanation, Explanation, RouteExplanation};
pub use outbox::{Announcement, HandOverError, Notice};

use crate::alert::{AlertError, PostedAlert};
use crate::delivery::{Delivery, DeliveryId, Outcome};
use crate::effects::{Effects, Event, EventKind, Received};
use crate::record::Record;
use crate::setup::Setup;
use crate::silence::{PostedSilence, Silence, SilenceError};
use groups::{Due, Groups, Timers};
use inhibitor::Inhibitor;
use ledger::{ChannelKey, Entry};
use outbox::Letter;
use robots::{Robot, RobotKey};
use send::Flight;
use silences::Silences;
use store::{PostTerms, Store};
use tick::{Tick, tick};

/// Bounds of everything the router holds; each is also a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Alerts held; further new ones are refused, known ones go on.
    pub alerts: usize,
    /// Silences held, expired ones included.
    pub silences: usize,
    /// Entries of the notification log; over that, those of groups that are gone are not kept.
    pub log: usize,
    /// Announcements, and notifications handed over by another Alertmanager, that are not yet delivered.
    pub queued: usize,
    /// Alerts looked at in one turn before it says `more`.
    pub alerts_per_turn: usize,
    /// Deliveries under way at once; further ones wait.
    pub in_flight: usize,
}

/// How full everything is, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Alerts held.
    pub alerts: usize,
    /// Of them firing.
    pub firing: usize,
    /// Groups.
    pub groups: usize,
    /// Silences held.
    pub silences: usize,
    /// Notification log entries.
    pub log: usize,
    /// Deliveries under way.
    pub in_flight: usize,
    /// Announcements and notifications of another Alertmanager that are not yet delivered.
    pub queued: usize,
    /// Messages waiting for a robot's free place.
    pub waiting: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Router {
    setup: Arc<Setup>,
    limits: Limits,
    /// When this router began: a new group waits its whole `group_wait` for a while after that.
    started: Tick,
    store: Store,
    groups: Groups,
    log: BTreeMap<ChannelKey, Entry>,
    silences: Silences,
    inhibitor: Inhibitor,
    robots: BTreeMap<RobotKey, Robot>,
    outbox: BTreeMap<Arc<str>, Letter>,
    flights: BTreeMap<DeliveryId, Flight>,
    last_id: u64,
    timers: Timers,
    out: Out,
}

/// What the next turn will return.
#[derive(Debug, Default)]
struct Out {
    persist: Vec<Record>,
    deliveries: Vec<Delivery>,
    events: Vec<Event>,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { alerts: 50_000, silences: 2_000, log: 100_000, queued: 500, alerts_per_turn: 2_000, in_flight: 64 }
    }
}

// === impl Router ===

impl Router {
    /// A router with the state that `records` (a snapshot and the journal after it, oldest first) fold to; none for a first start.
    pub fn new(setup: Arc<Setup>, limits: Limits, records: impl IntoIterator<Item = Record>, now: Now) -> Self {
        let mut router = Self {
            inhibitor: Inhibitor::new(&setup.config.inhibit_rules),
            setup,
            limits,
            started: tick(now),
            store: Store::default(),
            groups: Groups::default(),
            log: BTreeMap::new(),
            silences: Silences::default(),
            robots: BTreeMap::new(),
            outbox: BTreeMap::new(),
            flights: BTreeMap::new(),
            last_id: 0,
            timers: Timers::default(),
            out: Out::default(),
        };
        router.restore(now, records);
        router
    }

    /// The configuration in force.
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// The bounds.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How full everything is.
    pub fn load(&self) -> Load {
        Load {
            alerts: self.store.len(),
            firing: self.store.firing(),
            groups: self.groups.all.len(),
            silences: self.silences.len(),
            log: self.log.len(),
            in_flight: self.flights.len(),
            queued: self.outbox.len(),
            waiting: self.robots.values().map(Robot::waiting).sum(),
        }
    }

    /// Takes a batch of posted alerts; the effects come with the next [`turn`](Self::turn).
    pub fn receive(&mut self, now: Now, alerts: &[PostedAlert]) -> Received {
        let resolve_timeout = crate::time::millis(self.setup.config.resolve_timeout);
        let terms = PostTerms { resolve_timeout, limit: self.limits.alerts };
        let mut received = Received::default();
        for (at, posted) in alerts.iter().enumerate() {
            match self.store.post(now, posted, terms) {
                Ok(done) => {
                    received.accepted += 1;
                    self.posted(now, done);
                }
                Err(error) => received.refused.push((at, error)),
            }
        }
        let over = received.refused.iter().filter(|(_, error)| *error == AlertError::TooMany).count();
        if over > 0 {
            self.event(EventKind::AlertLimit, String::new(), format!("{over} refused, {} held", self.store.len()));
        }
        received
    }

    /// Does what is due at `now`, up to the bound.
    pub fn turn(&mut self, now: Now) -> Effects {
        for id in self.silences.refresh(now.wall_ms) {
            self.out.persist.push(Record::SilenceGone { id });
        }
        let mut budget = self.limits.alerts_per_turn;
        let mut more = false;
        while let Some(due) = self.timers.pop(tick(now)) {
            let cost = self.handle(now, due);
            budget = budget.saturating_sub(cost);
            if budget == 0 {
                more = self.timers.next().is_some_and(|at| at <= tick(now));
                break;
            }
        }
        self.serve_robots(now);
        let Out { persist, deliveries, events } = std::mem::take(&mut self.out);
        let silence = self.silences.next_change(now.wall_ms).map(|at| tick(now).saturating_add(at.saturating_sub(now.wall_ms)));
        let next = [self.timers.next(), silence].into_iter().flatten().min();
        let next = next.map(|at| std::time::Duration::from_millis(at.saturating_sub(tick(now)).max(0).unsigned_abs()));
        Effects { persist, deliveries, events, next, more }
    }

    /// Does one due thing; returns how many alerts it looked at, at least 1.
    fn handle(&mut self, now: Now, due: Due) -> usize {
        match due {
            Due::Expire(fingerprint) => self.expire(now, fingerprint),
            Due::Flush(group) => return self.flush(now, &group),
            Due::Retry(waiter) => return self.retry(now, &waiter),
            // Robots are served at the end of each turn: the timer only had to make one.
            Due::Robot(_) => {}
            Due::Lost(id) => self.delivered(now, id, Outcome::retry("the attempt was never reported back")),
            Due::Forget(channel) => self.forget(now, &channel),
        }
        1
    }

    /// Makes or changes a silence; returns its id.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn set_silence(&mut self, now: Now, silence: PostedSilence) -> Result<String, SilenceError> {
        let changed = self.silences.set(now.wall_ms, silence, self.limits.silences)?;
        self.out.persist.extend(changed.silences.into_iter().map(Record::Silence));
        Ok(changed.id)
    }

    /// Ends a silence now; ending an ended one is fine.
    ///
    /// # Errors
    /// No such id.
    pub fn expire_silence(&mut self, now: Now, id: &str) -> Result<(), SilenceError> {
        let changed = self.silences.expire(now.wall_ms, id)?;
        self.out.persist.extend(changed.silences.into_iter().map(Record::Silence));
        Ok(())
    }

    /// A silence by id.
    pub fn silence(&self, id: &str) -> Option<&Silence> {
        self.silences.get(id)
    }

    /// All silences held, by id.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.iter()
    }

    fn event(&mut self, kind: EventKind, subject: String, detail: String) {
        self.out.events.push(Event { kind, subject, detail });
    }

    /// Persists what a channel knows now.
    fn persist_entry(&mut self, now: Now, channel: &str) {
        if let Some(entry) = self.log.get(channel) {
            self.out.persist.push(Record::Log(entry.record(channel, now)));
        }
    }
}
