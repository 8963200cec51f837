//! Groups of alerts and everything that is due at a time.
//!
//! Owns: which alerts are together, when a group next looks at itself, the one list of timers. Must not know: what is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ledger::ChannelKey;
use super::robots::{RobotKey, Waiter};
use super::tick::Tick;
use crate::delivery::DeliveryId;
use crate::labels::{Fingerprint, Labels};
use crate::route::RouteId;

/// Identity of a group: its route and its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId {
    pub(crate) route: RouteId,
    pub(crate) labels: Labels,
}

/// One group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// As in payloads.
    pub(crate) key: Arc<str>,
    /// Its alerts; those that ended stay until everybody knows.
    pub(crate) members: BTreeSet<Fingerprint>,
    /// When it looks at itself next.
    pub(crate) flush_at: Tick,
    /// Whether it has done so before.
    pub(crate) flushed: bool,
    /// One for each integration of the receiver.
    pub(crate) channels: Vec<ChannelKey>,
}

/// What becomes due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// An alert ends unless posted again.
    Expire(Fingerprint),
    /// A group looks at itself.
    Flush(GroupId),
    /// A failed message is tried again.
    Retry(Waiter),
    /// A robot has a free place.
    Robot(RobotKey),
    /// A delivery was never reported back.
    Lost(DeliveryId),
    /// An entry of the notification log is too old to matter.
    Forget(ChannelKey),
}

/// All timers.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Tick, Due)>);

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) all: BTreeMap<GroupId, Group>,
    /// The group of each channel.
    pub(crate) owners: BTreeMap<ChannelKey, (GroupId, usize)>,
}

// === impl Timers ===

impl Timers {
    pub(crate) fn at(&mut self, at: Tick, due: Due) {
        self.0.insert((at, due));
    }

    pub(crate) fn cancel(&mut self, at: Tick, due: Due) {
        self.0.remove(&(at, due));
    }

    /// The earliest that is due by `now`.
    pub(crate) fn pop(&mut self, now: Tick) -> Option<Due> {
        self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first().map(|(_, due)| due)
    }

    pub(crate) fn next(&self) -> Option<Tick> {
        self.0.first().map(|(at, _)| *at)
    }
}

// === impl Groups ===

impl Groups {
    pub(crate) fn get(&self, id: &GroupId) -> Option<&Group> {
        self.all.get(id)
    }

    /// The group that a channel belongs to, and which of its integrations it is.
    pub(crate) fn owner(&self, channel: &str) -> Option<&(GroupId, usize)> {
        self.owners.get(channel)
    }

    pub(crate) fn insert(&mut self, id: GroupId, group: Group) {
        for (at, channel) in group.channels.iter().enumerate() {
            // Two equal routes share a channel, and so the notification log: the second finds everything told.
            self.owners.entry(channel.clone()).or_insert_with(|| (id.clone(), at));
        }
        self.all.insert(id, group);
    }

    pub(crate) fn remove(&mut self, id: &GroupId) -> Option<Group> {
        let group = self.all.remove(id)?;
        for channel in &group.channels {
            if self.owners.get(channel).is_some_and(|(owner, _)| owner == id) {
                self.owners.remove(channel);
            }
        }
        Some(group)
    }
}
