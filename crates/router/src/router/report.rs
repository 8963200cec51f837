//! A delivery ended: what was told is remembered, what failed is tried again.
//!
//! Retries as Alertmanager's: from half a second, half as much more each time, at most a minute, for as long as a group interval; then the group's
//! next look at itself begins anew.

use std::time::Duration;

use clock::Now;

use super::Router;
use super::groups::Due;
use super::ledger::Progress;
use super::robots::{Rank, Wait, Waiter};
use super::send::{Flight, Part};
use super::tick::{Tick, tick};
use crate::delivery::{DeliveryId, Outcome};
use crate::effects::EventKind;

const FIRST_BACKOFF: f64 = 500.0;
const BACKOFF_FACTOR: f64 = 1.5;
const LONGEST_BACKOFF: i64 = 60_000;
/// Retries go on at least this long, however short the group interval.
const SHORTEST_PATIENCE: i64 = 10_000;

impl Router {
    /// How a delivery ended. Unknown ids (of before a restart) are ignored. The effects come with the next [`turn`](Self::turn).
    pub fn delivered(&mut self, now: Now, id: DeliveryId, outcome: Outcome) {
        let Some(flight) = self.flights.remove(&id) else { return };
        self.timers.cancel(flight.lost_at, Due::Lost(id));
        self.note_outcome(&flight, &outcome);
        if let (Some((robot, _)), Outcome::Throttled { after, .. }) = (&flight.robot, &outcome) {
            let until = tick(now).saturating_add(crate::time::millis(*after));
            self.robots.entry(robot.clone()).or_default().quiet(until);
            self.persist_robot(now, robot);
            self.timers.at(until, Due::Robot(robot.clone()));
        }
        let Flight { parts, robot, .. } = flight;
        for part in parts {
            match part {
                Part::Channel { .. } => self.channel_ended(now, part, &outcome, robot.as_ref().map(|(_, target)| target.clone())),
                Part::Letter(key) => self.letter_ended(now, &key, &outcome),
            }
        }
    }

    fn note_outcome(&mut self, flight: &Flight, outcome: &Outcome) {
        let (kind, detail) = match outcome {
            Outcome::Ok => (EventKind::Delivered, String::new()),
            Outcome::Retry { reason, .. } => (EventKind::RetryScheduled, reason.clone()),
            Outcome::Throttled { reason, .. } => (EventKind::RobotThrottled, reason.clone()),
            Outcome::Permanent { reason } => (EventKind::Refused, reason.clone()),
        };
        self.event(kind, flight.subject.clone(), detail);
    }

    fn channel_ended(&mut self, now: Now, part: Part, outcome: &Outcome, target: Option<std::sync::Arc<str>>) {
        let Part::Channel { key, present, owed_before, repeat_interval } = part else { return };
        let Some(entry) = self.log.get_mut(&key) else { return };
        match outcome {
            Outcome::Ok => {
                entry.told(present, now);
                entry.expires = tick(now).saturating_add(super::ledger::RETENTION.min(repeat_interval.saturating_mul(2)));
            }
            Outcome::Permanent { reason } => {
                // It surely did not arrive: what this attempt would have told is owed no more than before.
                entry.owed = owed_before;
                entry.pause(tick(now), reason.clone());
            }
            Outcome::Throttled { reason, .. } if target.is_some() => {
                entry.last_error = Some(reason.clone());
                let rank = if present.firing.is_empty() { Rank::Ordinary } else { self.rank_of(&present.firing) };
                if let Some(target) = target {
                    self.wait_for_robot(now, Wait { rank, since: tick(now), target, waiter: Waiter::Channel(key.clone()) });
                }
            }
            Outcome::Retry { after, reason } => self.retry_later(now, &key, *after, reason),
            Outcome::Throttled { after, reason } => self.retry_later(now, &key, Some(*after), reason),
        }
        self.persist_entry(now, &key);
        self.settle_owner(now, &key);
    }

    /// Backs off, or leaves it to the group's next look when retries have gone on long enough.
    fn retry_later(&mut self, now: Now, key: &std::sync::Arc<str>, after: Option<Duration>, reason: &str) {
        let interval = self.groups.owner(key).and_then(|(id, _)| self.route_of(id)).map_or(0, |route| crate::time::millis(route.group_interval));
        let Some(entry) = self.log.get_mut(key) else { return };
        let wait = after.map_or_else(|| backoff(entry.attempt, key), |after| crate::time::millis(after).max(1));
        let until = tick(now).saturating_add(wait);
        let patience = entry.attempts_since.saturating_add(interval.max(SHORTEST_PATIENCE));
        if after.is_none() && until > patience {
            return entry.pause(tick(now), reason.to_owned());
        }
        entry.last_error = Some(reason.to_owned());
        entry.progress = Progress::Backoff(until);
        self.timers.at(until, Due::Retry(Waiter::Channel(key.clone())));
    }

    /// A back-off is over: the channel is asked again, so that the message says what is true now.
    pub(super) fn retry(&mut self, now: Now, waiter: &Waiter) -> usize {
        let channel = match waiter {
            Waiter::Letter(key) => return self.retry_letter(now, key),
            Waiter::Channel(channel) => channel,
        };
        let due = self.log.get(channel).is_some_and(|entry| matches!(entry.progress, Progress::Backoff(until) if until <= tick(now)));
        let Some((id, at)) = self.groups.owner(channel).cloned().filter(|_| due) else { return 1 };
        if let Some(entry) = self.log.get_mut(channel) {
            entry.progress = Progress::Idle;
        }
        let Some(group) = self.groups.get(&id).cloned() else { return 1 };
        let view = self.view(now, &id, &group);
        self.consider(now, (&id, at), channel, &view);
        self.settle(now, &id, &view);
        group.members.len().max(1)
    }
}

/// Milliseconds before the next attempt; spread by up to a quarter by the channel's name, so that many do not come at once.
pub(super) fn backoff(attempt: u32, key: &str) -> Tick {
    let exponent = i32::try_from(attempt.saturating_sub(1).min(20)).unwrap_or(20);
    let spread = key.bytes().fold(u32::from(attempt.to_le_bytes()[0]), |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 256;
    let wait = FIRST_BACKOFF * BACKOFF_FACTOR.powi(exponent) * (1.0 + f64::from(spread) / 1024.0);
    #[expect(clippy::cast_possible_truncation, reason = "at most 500 × 1.5^20 × 1.25, far below i64::MAX")]
    let wait = wait as i64;
    wait.min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute() {
        let waits: Vec<i64> = (1..30).map(|attempt| backoff(attempt, "k")).collect();
        assert!((500..=625).contains(&waits[0]), "{waits:?}");
        assert!(waits[5] > waits[0] * 4 && waits.iter().all(|wait| *wait <= 60_000) && waits[28] == 60_000, "{waits:?}");
    }
}
