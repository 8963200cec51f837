//! One resource under pressure: its level, when it goes up and down, and how fast the figure rises.
//!
//! Owns: the hysteresis of one figure. Must not know: other resources, what a step means.

use std::time::Duration;

use super::level::{Level, Limits, Reason, Resource, Step};
use super::machine::{Decision, NamedEvent, Pace};
use super::trend::Trend;

/// One resource that has limits.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    resource: Resource,
    limits: Limits,
    level: Level,
    /// The figure passed the soft limit at the look before.
    warned: bool,
    calm_since: Option<Duration>,
    act_at: Option<Duration>,
    /// The first step of the elevated level was not enough.
    persists: bool,
    rise: Trend,
    /// No other word about the rise before this.
    quiet_until: Duration,
}

/// Looks, a second apart, over which a rise is judged. The shell's timer may be a little early: what keeps them apart is less than a second.
const RISE: (Duration, usize) = (Duration::from_millis(500), 60);

// === impl Meter ===

impl Meter {
    pub(super) fn new(resource: Resource, limits: Limits) -> Self {
        Self {
            resource,
            limits,
            level: Level::Normal,
            warned: false,
            calm_since: None,
            act_at: None,
            persists: false,
            rise: Trend::new(RISE.0, RISE.1),
            quiet_until: Duration::ZERO,
        }
    }

    pub(super) const fn resource(&self) -> Resource {
        self.resource
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) const fn level(&self) -> Level {
        self.level
    }

    /// Whether a standing step is in force for this resource.
    pub(super) fn stands(&self, step: Step) -> bool {
        let early = step == Step::WidenConflation && !self.persists;
        !early && self.level.standing(self.resource).contains(&step)
    }

    /// One look at its figure.
    pub(super) fn observe(&mut self, now: Duration, used: u64, pace: &Pace, decisions: &mut Vec<Decision>) {
        let from = self.level;
        if let Some((to, reason)) = self.next_level(now, used, pace) {
            self.level = to;
            self.calm_since = None;
            // A level that is reached from below acts at once; the one on the way down goes on at its pace.
            self.act_at = match to {
                Level::Normal => None,
                _ if to > from => Some(now),
                _ => Some(now + pace.again),
            };
            decisions.push(Decision::Level { resource: self.resource, from, to, reason, used });
        } else if self.acts(now) {
            self.persists = true;
        }
        self.persists = self.level != Level::Normal && (self.persists || self.level == Level::Critical);
        self.watch_rise(now, used, pace, decisions);
    }

    fn next_level(&mut self, now: Duration, used: u64, pace: &Pace) -> Option<(Level, Reason)> {
        let says = self.limits.level(used);
        let warned = std::mem::replace(&mut self.warned, says > self.level);
        if says > self.level {
            self.calm_since = None;
            return (says == Level::Critical || warned).then_some((says, Reason::of(says)));
        }
        if self.level == Level::Normal || !self.limits.is_calm(self.level, used) {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        (now.saturating_sub(since) >= pace.dwell).then_some((self.level.lower(), Reason::Recovered))
    }

    /// Whether its actions are due. On the way down, with the figure already well below, there is nothing to gain.
    fn acts(&self, now: Duration) -> bool {
        self.calm_since.is_none() && self.act_at.is_some_and(|at| now >= at)
    }

    /// Says again what is to be done while the level stays.
    pub(super) fn act(&mut self, now: Duration, pace: &Pace, decisions: &mut Vec<Decision>) {
        if !self.acts(now) {
            return;
        }
        self.act_at = Some(now + pace.again);
        let reason = Reason::of(self.level);
        decisions.extend(self.level.actions(self.resource).iter().map(|step| Decision::Act { step: *step, resource: self.resource, reason }));
    }

    fn watch_rise(&mut self, now: Duration, used: u64, pace: &Pace, decisions: &mut Vec<Decision>) {
        self.rise.note(now, used as f64);
        let Some(per_minute) = self.rise.per_minute() else { return };
        let left = self.limits.hard.saturating_sub(used) as f64;
        let minutes_left = left / per_minute.max(f64::MIN_POSITIVE);
        let notable = per_minute >= self.resource.notable_rise() as f64;
        if notable && left > 0.0 && minutes_left <= pace.horizon.as_secs_f64() / 60.0 && now >= self.quiet_until {
            self.quiet_until = now + pace.horizon / 2;
            decisions.push(Decision::Event(NamedEvent::RapidlyIncreasing { resource: self.resource, per_minute, minutes_left }));
        }
    }
}
