//! Alerts that ended and that everybody knows of are dropped; empty groups go.

use clock::Now;

use super::Router;
use super::groups::{Due, Group, GroupId};
use super::ledger::{Entry, Progress};
use super::tick::{Tick, tick};
use super::view::View;
use crate::effects::EventKind;
use crate::labels::Fingerprint;
use crate::record::Record;

/// How long the end of an alert is kept for a receiver that takes no message.
const GIVE_UP: i64 = 4 * 3_600_000;

impl Router {
    /// Drops what is done in a group that has just been looked at.
    pub(super) fn settle(&mut self, now: Now, id: &GroupId, view: &View) {
        let Some(group) = self.groups.all.get(id).cloned() else { return };
        for fingerprint in self.done(now, id, &group, view) {
            self.leave(id, fingerprint);
        }
        self.forget_silenced(now, id, &group, view);
        if self.groups.get(id).is_some_and(|group| group.members.is_empty()) {
            self.remove_group(now, id);
        }
    }

    /// The same for the group of a channel whose message has just ended.
    pub(super) fn settle_owner(&mut self, now: Now, channel: &str) {
        let Some((id, _)) = self.groups.owner(channel).cloned() else { return };
        let Some(group) = self.groups.get(&id).cloned() else { return };
        let view = self.view(now, &id, &group);
        self.settle(now, &id, &view);
    }

    /// Ended alerts of which no channel has anything left to say.
    fn done(&mut self, now: Now, id: &GroupId, group: &Group, view: &View) -> Vec<Fingerprint> {
        let mut open = false;
        let mut given_up = false;
        for (at, channel) in group.channels.iter().enumerate() {
            let Some(entry) = self.log.get(channel) else { continue };
            match self.channel_state(now, (id, at), entry, view) {
                ChannelState::Done => {}
                ChannelState::Open => open = true,
                ChannelState::GivenUp => given_up = true,
            }
        }
        if open {
            return Vec::new();
        }
        if given_up {
            self.event(EventKind::GivenUp, group.key.to_string(), format!("{} ended alerts", view.present.resolved.len()));
        }
        // Held back: kept while a channel that told of the alert is to tell of its end.
        let forgotten =
            view.held_back.iter().filter(|one| self.is_resolved(**one) && !group.channels.iter().any(|channel| self.must_tell(channel, **one)));
        view.present.resolved.iter().chain(forgotten).copied().collect()
    }

    fn channel_state(&self, now: Now, (id, at): (&GroupId, usize), entry: &Entry, view: &View) -> ChannelState {
        let Some(terms) = self.terms(id, at) else { return ChannelState::Done };
        let failing = entry.failing_since.is_some_and(|since| tick(now) >= since.saturating_add(GIVE_UP));
        let ended = view.present.firing.is_empty();
        match (entry.is_busy(tick(now)), entry.reason(&view.present, terms, tick(now))) {
            (false, None) => ChannelState::Done,
            (false, Some(_)) if failing && ended => ChannelState::GivenUp,
            _ => ChannelState::Open,
        }
    }

    fn must_tell(&self, channel: &str, alert: Fingerprint) -> bool {
        let wants = self.owner_integration(channel).is_some_and(|integration| integration.send_resolved());
        wants && self.log.get(channel).is_some_and(|entry| entry.knows(alert))
    }

    fn is_resolved(&self, fingerprint: Fingerprint) -> bool {
        self.store.get(fingerprint).is_none_or(|held| held.resolved)
    }

    /// Who silences an alert does not want to hear of its end; but the next time it fires after the silence is news again.
    fn forget_silenced(&mut self, now: Now, id: &GroupId, group: &Group, view: &View) {
        let ended: Vec<Fingerprint> = view.silenced.iter().copied().filter(|one| self.is_resolved(*one)).collect();
        for fingerprint in ended {
            for channel in &group.channels {
                if self.log.get_mut(channel).is_some_and(|entry| entry.forget(fingerprint)) {
                    self.persist_entry(now, channel);
                }
            }
            self.leave(id, fingerprint);
        }
    }

    /// Takes an alert out of a group; an ended one that no group holds any more is forgotten.
    fn leave(&mut self, id: &GroupId, fingerprint: Fingerprint) {
        let Some(group) = self.groups.all.get_mut(id) else { return };
        if !group.members.remove(&fingerprint) {
            return;
        }
        let Some(held) = self.store.get_mut(fingerprint) else { return };
        held.groups = held.groups.saturating_sub(1);
        if held.resolved && held.groups == 0 {
            self.drop_alert(fingerprint);
        }
    }

    fn remove_group(&mut self, now: Now, id: &GroupId) {
        let Some(group) = self.groups.remove(id) else { return };
        self.timers.cancel(group.flush_at, Due::Flush(id.clone()));
        self.out.persist.push(Record::GroupGone { key: group.key.to_string() });
        for channel in &group.channels {
            self.release(now, channel);
        }
    }

    /// An entry without a group is kept until its time is over while it says that something fires, so that the same group made anew is not told
    /// twice; any other goes at once, as does any when there are too many.
    pub(super) fn release(&mut self, now: Now, channel: &std::sync::Arc<str>) {
        let Some(entry) = self.log.get(channel) else { return };
        if entry.is_blank() {
            self.log.remove(channel);
        } else if entry.is_closed() || self.log.len() > self.limits.log {
            self.log.remove(channel);
            self.out.persist.push(Record::LogGone { key: channel.to_string() });
        } else {
            let at: Tick = entry.expires.max(tick(now));
            self.timers.at(at, Due::Forget(channel.clone()));
        }
    }

    /// Forgets an entry whose time is over, unless a group has it again.
    pub(super) fn forget(&mut self, now: Now, channel: &std::sync::Arc<str>) {
        let over = self.log.get(channel).is_some_and(|entry| entry.expires <= tick(now) && !matches!(entry.progress, Progress::InFlight(_)));
        if over && self.groups.owner(channel).is_none() {
            self.log.remove(channel);
            self.out.persist.push(Record::LogGone { key: channel.to_string() });
        }
    }
}

/// Whether a channel has something left to say of a group.
enum ChannelState {
    Done,
    Open,
    GivenUp,
}
