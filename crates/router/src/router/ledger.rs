//! The notification log: what each integration has been told of each group, and whether there is something new to tell.
//!
//! Owns: entries, and the decision. Must not know: how a group came to be, how a message travels.

use std::sync::Arc;

use clock::Now;

use super::tick::{self, Tick};
use crate::alert::UnixMs;
use crate::delivery::DeliveryId;
use crate::labels::Fingerprint;
use crate::notification::NotifyReason;
use crate::record::LogRecord;

/// Name of one integration of one group: `<group key>:<receiver>/<kind>/<index>`.
pub(crate) type ChannelKey = Arc<str>;

/// A sorted list of alerts.
pub(crate) type AlertSet = Vec<Fingerprint>;

/// What one integration knows of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// When the last message arrived.
    pub(crate) sent: Option<Tick>,
    /// The same on the wall clock of that moment; 0 when none has. It makes a reminder's content differ from the one before.
    pub(crate) sent_wall: UnixMs,
    /// Alerts it said are firing.
    pub(crate) firing: AlertSet,
    /// Alerts it said are resolved.
    pub(crate) resolved: AlertSet,
    /// Alerts that were to be told as firing by messages of which it is not known that they arrived.
    pub(crate) owed: AlertSet,
    /// Where the next message stands.
    pub(crate) progress: Progress,
    /// Attempts made at it.
    pub(crate) attempt: u32,
    /// When the first of them was made.
    pub(crate) attempts_since: Tick,
    /// Since when messages have failed for longer than retries last; `None` when the last one arrived.
    pub(crate) failing_since: Option<Tick>,
    /// What the last failed attempt ended with.
    pub(crate) last_error: Option<String>,
    /// When it may be forgotten, once its group is gone.
    pub(crate) expires: Tick,
}

/// Where the next message of a channel stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing under way.
    #[default]
    Idle,
    /// An attempt is being made.
    InFlight(DeliveryId),
    /// The attempt failed; the next comes then.
    Backoff(Tick),
    /// Waits for its robot.
    Waiting,
}

/// Alerts of a group as one integration would be told of them now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    /// Those that go on.
    pub(crate) firing: AlertSet,
    /// Those that ended and are still held.
    pub(crate) resolved: AlertSet,
}

/// What the decision depends on besides the entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Of the integration.
    pub(crate) send_resolved: bool,
    /// Of the route, in milliseconds.
    pub(crate) repeat_interval: i64,
}

// === impl Entry ===

impl Entry {
    /// Why the integration is to be told now, or `None`. The table of Alertmanager's deduplication, with `owed` counted as told when all has ended:
    /// who may have been told of a fire is told of its end.
    pub(crate) fn reason(&self, present: &Present, terms: Terms, now: Tick) -> Option<NotifyReason> {
        let Present { firing, resolved } = present;
        if !is_subset(firing, &self.firing) || (self.sent.is_none() && !firing.is_empty()) {
            // After an end of all, a new fire is a first one again (seen of Alertmanager 0.33.1).
            return Some(if self.firing.is_empty() { NotifyReason::FirstNotification } else { NotifyReason::NewAlertsInGroup });
        }
        if firing.is_empty() {
            let told = !self.firing.is_empty() || !self.owed.is_empty();
            return (told && !resolved.is_empty()).then_some(NotifyReason::AllAlertsResolved);
        }
        if terms.send_resolved && !is_subset(resolved, &self.resolved) {
            return Some(NotifyReason::NewResolvedAlerts);
        }
        let repeat_due = self.sent.is_none_or(|sent| now >= sent.saturating_add(terms.repeat_interval));
        repeat_due.then_some(NotifyReason::RepeatIntervalElapsed)
    }

    /// Whether it was told, or may have been told, that the alert fires, and not yet that it ended.
    pub(crate) fn knows(&self, alert: Fingerprint) -> bool {
        contains(&self.firing, alert) || contains(&self.owed, alert)
    }

    /// Notes that a message that says so is about to be sent.
    pub(crate) fn owe(&mut self, firing: &[Fingerprint]) {
        self.owed = union(&self.owed, firing);
    }

    /// Notes that a message that said so arrived.
    pub(crate) fn told(&mut self, present: Present, now: Now) {
        self.sent = Some(tick::tick(now));
        self.sent_wall = now.wall_ms;
        self.firing = present.firing;
        self.resolved = present.resolved;
        self.owed.clear();
        self.progress = Progress::Idle;
        self.attempt = 0;
        self.failing_since = None;
        self.last_error = None;
    }

    /// Notes that there will be no further attempt before the group's next look at itself.
    pub(crate) fn pause(&mut self, now: Tick, error: String) {
        self.progress = Progress::Idle;
        self.attempt = 0;
        self.failing_since.get_or_insert(now);
        self.last_error = Some(error);
    }

    /// Whether a message is under way or waits for its own time. A back-off that is over (its group was away) holds nothing up.
    pub(crate) fn is_busy(&self, now: Tick) -> bool {
        match self.progress {
            Progress::Idle => false,
            Progress::InFlight(_) | Progress::Waiting => true,
            Progress::Backoff(until) => until > now,
        }
    }

    /// Whether a message that was begun is neither told nor under way.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.progress == Progress::Idle && (!self.owed.is_empty() || self.failing_since.is_some())
    }

    /// Whether it holds nothing that matters once its group is gone: nobody believes that anything fires.
    pub(crate) fn is_closed(&self) -> bool {
        self.firing.is_empty() && self.owed.is_empty() && self.progress == Progress::Idle
    }

    /// Whether it was never written to disk.
    pub(crate) fn is_blank(&self) -> bool {
        self.sent.is_none() && self.is_closed()
    }

    /// Forgets that it was told of the alert, so that the next fire is news.
    pub(crate) fn forget(&mut self, alert: Fingerprint) -> bool {
        let known = self.knows(alert);
        self.firing.retain(|one| *one != alert);
        self.owed.retain(|one| *one != alert);
        known
    }

    pub(crate) fn record(&self, key: &str, now: Now) -> LogRecord {
        LogRecord {
            key: key.to_owned(),
            sent_at: self.sent.map(|_| self.sent_wall),
            firing: self.firing.clone(),
            resolved: self.resolved.clone(),
            owed: self.owed.clone(),
            expires_at: tick::wall(now, self.expires),
        }
    }

    /// An entry as a record left it. What was in flight then is not known to have arrived: it stays owed and is sent again.
    pub(crate) fn restored(record: LogRecord, now: Now) -> Self {
        Self {
            sent: record.sent_at.map(|sent| tick::past(now, sent)),
            sent_wall: record.sent_at.unwrap_or_default(),
            firing: sorted(record.firing),
            resolved: sorted(record.resolved),
            owed: sorted(record.owed),
            expires: tick::due(now, record.expires_at, RETENTION),
            ..Self::default()
        }
    }
}

/// How long an entry may outlive its group (Alertmanager's `--data.retention`).
pub(crate) const RETENTION: i64 = 120 * 3_600_000;

/// `alerts` in order.
pub(crate) fn sorted(mut alerts: AlertSet) -> AlertSet {
    alerts.sort_unstable();
    alerts.dedup();
    alerts
}

fn contains(set: &[Fingerprint], alert: Fingerprint) -> bool {
    set.binary_search(&alert).is_ok()
}

fn is_subset(part: &[Fingerprint], whole: &[Fingerprint]) -> bool {
    part.iter().all(|alert| contains(whole, *alert))
}

fn union(a: &[Fingerprint], b: &[Fingerprint]) -> AlertSet {
    sorted(a.iter().chain(b).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(alerts: &[u64]) -> AlertSet {
        alerts.iter().map(|one| Fingerprint(*one)).collect()
    }

    fn entry(sent: Option<Tick>, firing: &[u64], resolved: &[u64], owed: &[u64]) -> Entry {
        Entry { sent, firing: set(firing), resolved: set(resolved), owed: set(owed), ..Entry::default() }
    }

    /// (entry, firing now, resolved now, send_resolved, time) → reason; repeat_interval is 100, the last message arrived at 0.
    #[test]
    fn the_deduplication_table() {
        use NotifyReason::{AllAlertsResolved, FirstNotification, NewAlertsInGroup, NewResolvedAlerts, RepeatIntervalElapsed};
        let nothing = || entry(None, &[], &[], &[]);
        let told = || entry(Some(0), &[1, 2], &[3], &[]);
        type Case = (Entry, &'static [u64], &'static [u64], bool, Tick, Option<NotifyReason>);
        let cases: [Case; 17] = [
            (nothing(), &[1], &[], true, 10, Some(FirstNotification)),
            (nothing(), &[1], &[2], true, 10, Some(FirstNotification)),
            (nothing(), &[], &[2], true, 10, None),
            (nothing(), &[], &[], true, 10, None),
            (told(), &[1, 2], &[3], true, 10, None),
            (told(), &[1, 2, 4], &[3], true, 10, Some(NewAlertsInGroup)),
            (told(), &[1, 3], &[], true, 10, Some(NewAlertsInGroup)),
            (told(), &[1], &[2], true, 10, Some(NewResolvedAlerts)),
            (told(), &[1], &[2], false, 10, None),
            (told(), &[], &[1, 2], true, 10, Some(AllAlertsResolved)),
            (told(), &[], &[1, 2], false, 10, Some(AllAlertsResolved)),
            (told(), &[1, 2], &[], true, 99, None),
            (told(), &[1, 2], &[], true, 100, Some(RepeatIntervalElapsed)),
            (entry(Some(0), &[], &[1], &[]), &[], &[1], true, 500, None),
            (entry(Some(0), &[], &[1], &[]), &[1], &[], true, 10, Some(FirstNotification)),
            (entry(None, &[], &[], &[1]), &[], &[1], true, 10, Some(AllAlertsResolved)),
            (entry(None, &[], &[], &[1]), &[1], &[], true, 10, Some(FirstNotification)),
        ];
        for (at, (entry, firing, resolved, send_resolved, now, expected)) in cases.into_iter().enumerate() {
            let present = Present { firing: set(firing), resolved: set(resolved) };
            assert_eq!(entry.reason(&present, Terms { send_resolved, repeat_interval: 100 }, now), expected, "case {at}");
        }
    }

    #[test]
    fn what_arrived_is_owed_no_more() {
        let mut entry = entry(None, &[], &[], &[]);
        entry.owe(&set(&[2, 1]));
        entry.owe(&set(&[3]));
        assert_eq!(entry.owed, set(&[1, 2, 3]));
        assert!(entry.knows(Fingerprint(3)));
        entry.told(Present { firing: set(&[1]), resolved: set(&[2, 3]) }, Now::default());
        assert!(entry.owed.is_empty() && entry.knows(Fingerprint(1)) && !entry.knows(Fingerprint(2)));
        assert!(entry.forget(Fingerprint(1)) && !entry.forget(Fingerprint(1)));
    }

    #[test]
    fn an_entry_comes_back_from_its_record() {
        let now = Now::new(std::time::Duration::from_secs(50), 1_000_000);
        let before = Entry { expires: 60_000, sent_wall: 970_000, ..entry(Some(20_000), &[1], &[2], &[3]) };
        let after = Entry::restored(before.record("k", now), now);
        assert_eq!(
            (after.sent, after.firing, after.resolved, after.owed, after.expires),
            (before.sent, before.firing, before.resolved, before.owed, 60_000)
        );
    }
}
