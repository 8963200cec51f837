//! From figures to levels and steps. Pure: no reading of anything, no clock; the same figures at the same times give the same decisions.
//!
//! Up: over the hard limit at once, over the soft one when two looks in a row say so. Down: one level at a time, after the figure has been well
//! below the limit (nine tenths) for the whole dwell time. While a level stays, its actions are repeated; when the elevated one is not left by
//! then, conflation is widened too.

use std::time::Duration;

use super::level::{Level, Limits, Reason, Resource, Step};
use super::meter::Meter;

/// The times and thresholds of the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// A figure must be well below a limit for this long before the level is left.
    pub dwell: Duration,
    /// Actions are repeated, and the elevated level takes its second step, after this while the level stays.
    pub again: Duration,
    /// After a purge the memory is judged after this.
    pub settle: Duration,
    /// The allocator is purged this often without any pressure; `None`: never.
    pub interval: Option<Duration>,
    /// That purge waits for a CPU use below this (share of one core), but not for longer than one more interval.
    pub low_load: f64,
    /// A rise that would pass the hard limit within this is rapid.
    pub horizon: Duration,
}

/// One look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// By [`Resource::index`]; `None`: could not be read.
    pub used: [Option<u64>; 3],
    /// CPU time used since the look before, as a share of one core.
    pub load: f64,
}

/// What has changed, and what is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// A resource has another level.
    Level {
        /// Which.
        resource: Resource,
        /// Before.
        from: Level,
        /// From now on.
        to: Level,
        /// Why.
        reason: Reason,
        /// The figure that decided it.
        used: u64,
    },
    /// Begin with, or go on after, a step that stands.
    Stand {
        /// Which.
        step: Step,
        /// Whether it holds from now on.
        holds: Holds,
    },
    /// Do this once, now.
    Act {
        /// What.
        step: Step,
        /// For which resource.
        resource: Resource,
        /// Why.
        reason: Reason,
    },
    /// Something a person should know.
    Event(NamedEvent),
}

/// Whether a standing step is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// From now on.
    Begins,
    /// No more.
    Ends,
}

/// What a person should know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NamedEvent {
    /// A purge did not bring memory below its soft limit.
    StillTooHighAfterPurge {
        /// Bytes now.
        used: u64,
        /// The soft limit.
        soft: u64,
    },
    /// At this pace the hard limit is passed within the horizon.
    RapidlyIncreasing {
        /// Of what.
        resource: Resource,
        /// Rise a minute, in the resource's unit.
        per_minute: f64,
        /// Minutes until the hard limit.
        minutes_left: f64,
    },
}

/// The state.
#[derive(Clone, Debug)]
pub struct Machine {
    pace: Pace,
    meters: Vec<Meter>,
    /// When the memory is judged after a purge that pressure asked for.
    judge_at: Option<Duration>,
    /// When the purge by interval is due.
    interval_due: Option<Duration>,
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self {
            dwell: Duration::from_secs(30),
            again: Duration::from_secs(30),
            settle: Duration::from_secs(5),
            interval: Some(Duration::from_mins(5)),
            low_load: 0.3,
            horizon: Duration::from_mins(10),
        }
    }
}

// === impl NamedEvent ===

impl NamedEvent {
    /// The words of all events.
    pub const WORDS: [&'static str; 2] = ["still_too_high_after_purge", "rapidly_increasing"];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StillTooHighAfterPurge { .. } => "still_too_high_after_purge",
            Self::RapidlyIncreasing { .. } => "rapidly_increasing",
        }
    }

    /// What it is about.
    pub const fn resource(self) -> Resource {
        match self {
            Self::StillTooHighAfterPurge { .. } => Resource::Memory,
            Self::RapidlyIncreasing { resource, .. } => resource,
        }
    }
}

// === impl Machine ===

impl Machine {
    /// All normal. `limits` by [`Resource::index`]; a resource without limits is never under pressure.
    pub fn new(limits: [Option<Limits>; 3], pace: Pace, now: Duration) -> Self {
        let meters = Resource::ALL.into_iter().zip(limits).filter_map(|(resource, limits)| Some(Meter::new(resource, limits?)));
        Self { pace, meters: meters.collect(), judge_at: None, interval_due: pace.interval.map(|interval| now + interval) }
    }

    /// The level of a resource.
    pub fn level(&self, resource: Resource) -> Level {
        self.meters.iter().find(|meter| meter.resource() == resource).map_or(Level::Normal, Meter::level)
    }

    /// Whether a standing step is in force.
    pub fn stands(&self, step: Step) -> bool {
        self.meters.iter().any(|meter| meter.stands(step))
    }

    /// One look at the monotonic time `now`; appends what follows from it, in the order in which it is to be done.
    pub fn observe(&mut self, now: Duration, figures: &Figures, decisions: &mut Vec<Decision>) {
        let stood = Step::ALL.map(|step| self.stands(step));
        for meter in &mut self.meters {
            if let Some(used) = figures.used.get(meter.resource().index()).copied().flatten() {
                meter.observe(now, used, &self.pace, decisions);
            }
        }
        for (step, before) in Step::ALL.into_iter().zip(stood) {
            match (before, self.stands(step)) {
                (false, true) => decisions.push(Decision::Stand { step, holds: Holds::Begins }),
                (true, false) => decisions.push(Decision::Stand { step, holds: Holds::Ends }),
                (true, true) | (false, false) => {}
            }
        }
        self.judge(now, figures, decisions);
        for meter in &mut self.meters {
            meter.act(now, &self.pace, decisions);
        }
        let purges = |decision: &Decision| matches!(decision, Decision::Act { step: Step::Purge, .. });
        if decisions.iter().any(purges) {
            self.judge_at.get_or_insert(now + self.pace.settle);
            self.interval_due = self.pace.interval.map(|interval| now + interval);
        } else if self.interval_has_come(now, figures.load) {
            decisions.push(Decision::Act { step: Step::Purge, resource: Resource::Memory, reason: Reason::Interval });
            self.interval_due = self.pace.interval.map(|interval| now + interval);
        }
    }

    /// Whether the last purge has helped.
    fn judge(&mut self, now: Duration, figures: &Figures, decisions: &mut Vec<Decision>) {
        if self.judge_at.is_none_or(|at| now < at) {
            return;
        }
        self.judge_at = None;
        let limits = self.meters.iter().find(|meter| meter.resource() == Resource::Memory).map(Meter::limits);
        if let (Some(limits), Some(Some(used))) = (limits, figures.used.get(Resource::Memory.index()).copied())
            && used > limits.soft
        {
            decisions.push(Decision::Event(NamedEvent::StillTooHighAfterPurge { used, soft: limits.soft }));
        }
    }

    fn interval_has_come(&self, now: Duration, load: f64) -> bool {
        let (Some(due), Some(interval)) = (self.interval_due, self.pace.interval) else { return false };
        now >= due && (load < self.pace.low_load || now >= due + interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// Figures of one resource, a second apart, and what was decided, as words: `12 memory elevated over_soft`.
    struct Script {
        machine: Machine,
        second: u64,
        said: Vec<String>,
    }

    fn script() -> Script {
        let limits = |soft, hard| Some(Limits { soft, hard });
        let pace = Pace { interval: None, ..Pace::default() };
        let machine = Machine::new([limits(10 * MB, 20 * MB), limits(100, 200), limits(50, 100)], pace, Duration::ZERO);
        Script { machine, second: 0, said: Vec::new() }
    }

    impl Script {
        fn play(&mut self, resource: Resource, used: impl IntoIterator<Item = u64>) -> &mut Self {
            for used in used {
                let mut figures = Figures::default();
                figures.used[resource.index()] = Some(used);
                self.look(&figures);
            }
            self
        }

        fn look(&mut self, figures: &Figures) {
            let mut decisions = Vec::new();
            self.machine.observe(Duration::from_secs(self.second), figures, &mut decisions);
            for decision in decisions {
                let words = match decision {
                    Decision::Level { resource, to, reason, .. } => format!("{} {} {}", resource.as_str(), to.as_str(), reason.as_str()),
                    Decision::Stand { step, holds } => format!("{} {holds:?}", step.as_str()),
                    Decision::Act { step, resource, reason } => format!("{} for {} {}", step.as_str(), resource.as_str(), reason.as_str()),
                    Decision::Event(event) => format!("{} {}", event.as_str(), event.resource().as_str()),
                };
                self.said.push(format!("{} {words}", self.second));
            }
            self.second += 1;
        }

        fn said(&mut self) -> Vec<String> {
            std::mem::take(&mut self.said)
        }
    }

    fn memory(megabytes: u64, seconds: usize) -> impl Iterator<Item = u64> {
        std::iter::repeat_n(megabytes * MB, seconds)
    }

    #[test]
    fn memory_goes_up_by_steps_and_down_one_level_after_each_dwell() {
        let mut script = script();
        let up = script.play(Resource::Memory, memory(9, 3)).play(Resource::Memory, memory(11, 2)).said();
        assert_eq!(up, ["4 memory elevated over_soft", "4 shed_preview Begins", "4 purge for memory over_soft"]);
        let critical = script.play(Resource::Memory, memory(21, 1)).said();
        assert_eq!(
            critical,
            [
                "5 memory critical over_hard",
                "5 widen_conflation Begins",
                "5 pause_low_priority Begins",
                "5 close_idle for memory over_hard",
                "5 purge for memory over_hard"
            ]
        );
        let down = script.play(Resource::Memory, memory(8, 70)).said();
        assert_eq!(
            down,
            [
                "36 memory elevated recovered",
                "36 pause_low_priority Ends",
                "67 memory normal recovered",
                "67 shed_preview Ends",
                "67 widen_conflation Ends"
            ]
        );
    }

    #[test]
    fn one_look_over_the_soft_limit_is_a_spike_and_a_swing_around_the_limit_does_not_flap() {
        let mut script = script();
        assert!(script.play(Resource::Memory, [11 * MB, 9 * MB, 11 * MB, 9 * MB]).said().is_empty());
        script.play(Resource::Memory, memory(11, 2)).said();
        // Never below nine tenths for the whole dwell time.
        let swing: Vec<u64> = (0..200).map(|n| if n % 20 == 0 { 95 * MB / 10 } else { 8 * MB }).collect();
        let said = script.play(Resource::Memory, swing).said();
        assert!(said.iter().all(|line| line.contains("purge for memory over_soft") || line.contains("widen_conflation Begins")), "{said:?}");
        assert_eq!(script.machine.level(Resource::Memory), Level::Elevated);
    }

    #[test]
    fn actions_are_repeated_and_a_purge_that_does_not_help_is_told() {
        let mut script = script();
        let said = script.play(Resource::Memory, memory(12, 65)).said();
        let told = |wanted: &str| said.iter().filter(|line| line.ends_with(wanted)).map(String::as_str).collect::<Vec<_>>();
        assert_eq!(
            told("purge for memory over_soft"),
            ["1 purge for memory over_soft", "31 purge for memory over_soft", "61 purge for memory over_soft"]
        );
        assert_eq!(told("widen_conflation Begins"), ["31 widen_conflation Begins"], "the first step was not enough");
        assert_eq!(told("still_too_high_after_purge memory"), ["6 still_too_high_after_purge memory", "36 still_too_high_after_purge memory"]);
        let mut helped = super::tests::script();
        helped.play(Resource::Memory, memory(12, 3)).play(Resource::Memory, memory(9, 20));
        assert!(!helped.said().iter().any(|line| line.contains("still_too_high")));
    }

    #[test]
    fn sockets_and_descriptors_close_what_is_idle_and_touch_no_data() {
        let mut script = script();
        let said = script.play(Resource::Sockets, [60, 60, 120]).said();
        assert_eq!(
            said,
            [
                "1 sockets elevated over_soft",
                "1 close_idle for sockets over_soft",
                "2 sockets critical over_hard",
                "2 close_idle for sockets over_hard"
            ]
        );
        assert!(!Step::ALL.into_iter().any(|step| script.machine.stands(step)));
    }

    #[test]
    fn a_rise_towards_the_hard_limit_is_told_once_in_a_while() {
        let mut script = script();
        // 3 MB a minute: 20 MB are passed within 10 minutes from the start.
        let said = script.play(Resource::Memory, (0..120).map(|n| 2 * MB + n * 50_000)).said();
        assert_eq!(said, ["29 rapidly_increasing memory"]);
        let slow = super::tests::script().play(Resource::Memory, (0..400).map(|n| 2 * MB + n * 1_000)).said();
        assert!(slow.is_empty(), "60 kB a minute is no hurry: {slow:?}");
        let leak = super::tests::script().play(Resource::Descriptors, (0..60).map(|n| 30 + n)).said();
        assert_eq!(leak, ["29 rapidly_increasing descriptors"]);
    }

    #[test]
    fn the_purge_by_interval_waits_for_a_quiet_moment_but_not_for_ever() {
        let mut machine = Machine::new([None; 3], Pace { interval: Some(Duration::from_mins(1)), ..Pace::default() }, Duration::ZERO);
        let mut purged = |load_at: fn(u64) -> f64| -> Vec<u64> {
            let looks = (0..200).filter(|second| {
                let mut decisions = Vec::new();
                machine.observe(Duration::from_secs(*second), &Figures { load: load_at(*second), ..Figures::default() }, &mut decisions);
                !decisions.is_empty()
            });
            looks.collect()
        };
        assert_eq!(purged(|second| if second < 75 { 0.9 } else { 0.1 }), [75, 135, 195]);
        let mut busy = Machine::new([None; 3], Pace { interval: Some(Duration::from_mins(1)), ..Pace::default() }, Duration::ZERO);
        let at: Vec<u64> = (0..200)
            .filter(|second| {
                let mut decisions = Vec::new();
                busy.observe(Duration::from_secs(*second), &Figures { load: 1.0, ..Figures::default() }, &mut decisions);
                !decisions.is_empty()
            })
            .collect();
        assert_eq!(at, [120]);
    }

    #[test]
    fn a_figure_that_cannot_be_read_changes_nothing() {
        let mut script = script();
        script.play(Resource::Memory, memory(25, 1)).said();
        for _ in 0..20 {
            script.look(&Figures::default());
        }
        assert_eq!(script.machine.level(Resource::Memory), Level::Critical);
    }
}
