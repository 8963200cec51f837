//! Past attempts and served incidents: what the guards count.
//!
//! Owns: the windows and the back-off. Must not know: why a restart is wanted. Bounded: attempts of one day at most [`ATTEMPTS_MAX`], incidents [`INCIDENTS_MAX`].
use std::collections::VecDeque;
use std::time::Duration;

use clock::Now;
use serde::{Deserialize, Serialize};

use super::types::{Guard, Wait};

/// Attempts remembered; a guard that allows more a day than this is held to it.
pub(super) const ATTEMPTS_MAX: usize = 256;
/// Incidents remembered, the oldest forgotten first.
pub(super) const INCIDENTS_MAX: usize = 1024;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What was tried before. Times are unix milliseconds: they survive the program; [`Ledger::rebase`] keeps them sane when the wall clock moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Number of the last attempt.
    pub last_attempt: u64,
    /// Begin of each attempt, oldest first.
    attempts_ms: VecDeque<i64>,
    /// End of the last attempt.
    last_end_ms: Option<i64>,
    /// Attempts in a row without a long healthy run.
    streak: u32,
    /// Incidents already served.
    served: VecDeque<String>,
}

// === impl Ledger ===

impl Ledger {
    /// Whether this incident was served by an earlier attempt.
    pub fn was_served(&self, incident: &str) -> bool {
        self.served.iter().any(|known| known == incident)
    }

    /// Marks an incident as served.
    pub fn serve(&mut self, incident: &str) {
        if self.was_served(incident) {
            return;
        }
        if self.served.len() >= INCIDENTS_MAX {
            self.served.pop_front();
        }
        self.served.push_back(incident.to_owned());
    }

    /// Enters a new attempt; gives its number. `uptime` is how long the process has run: a long run ends the row of attempts.
    pub fn begin(&mut self, now: Now, uptime: Option<Duration>, guard: &Guard) -> u64 {
        if uptime.is_some_and(|uptime| uptime >= guard.reset_after) {
            self.streak = 0;
        }
        self.streak = self.streak.saturating_add(1);
        self.last_attempt += 1;
        if self.attempts_ms.len() >= ATTEMPTS_MAX {
            self.attempts_ms.pop_front();
        }
        self.attempts_ms.push_back(now.wall_ms);
        self.last_attempt
    }

    /// Enters the end of the attempt.
    pub fn end(&mut self, now: Now) {
        self.last_end_ms = Some(now.wall_ms);
    }

    /// How many attempts in the last hour and day.
    pub fn counts(&self, now: Now) -> (usize, usize) {
        let within = |window: Duration| self.attempts_ms.iter().filter(|at| age(now, **at) < window).count();
        (within(HOUR), within(DAY))
    }

    /// Moves every time by the step that the wall clock made, so that waits stay as long as they were.
    pub fn rebase(&mut self, step_ms: i64) {
        for at in self.attempts_ms.iter_mut().chain(self.last_end_ms.iter_mut()) {
            *at = at.saturating_add(step_ms);
        }
    }

    /// Times from the future (the wall clock was set back while the program did not run) become now: they count, and they pass.
    pub fn clamp_to(&mut self, now: Now) {
        for at in self.attempts_ms.iter_mut().chain(self.last_end_ms.iter_mut()) {
            *at = (*at).min(now.wall_ms);
        }
    }

    /// The guard that makes an attempt wait longest, and how long; `uptime` of the process, if there is one.
    pub fn wait(&self, now: Now, uptime: Option<Duration>, guard: &Guard) -> Option<(Wait, Duration)> {
        let young = uptime.map_or(Duration::ZERO, |uptime| guard.min_uptime.saturating_sub(uptime));
        let cooling = self.last_event().map_or(Duration::ZERO, |at| self.cooldown(uptime, guard).saturating_sub(age(now, at)));
        [
            (Wait::MinUptime, young),
            (Wait::Cooldown, cooling),
            (Wait::PerHour, self.window_wait(now, HOUR, guard.per_hour)),
            (Wait::PerDay, self.window_wait(now, DAY, guard.per_day)),
        ]
        .into_iter()
        .filter(|(_, wait)| !wait.is_zero())
        .max_by_key(|(_, wait)| *wait)
    }

    fn last_event(&self) -> Option<i64> {
        self.attempts_ms.back().copied().max(self.last_end_ms)
    }

    /// `cooldown`, doubled with each attempt of the row after the first.
    fn cooldown(&self, uptime: Option<Duration>, guard: &Guard) -> Duration {
        let long_run = uptime.is_some_and(|uptime| uptime >= guard.reset_after);
        let doublings = if long_run { 0 } else { self.streak.saturating_sub(1).min(31) };
        guard.cooldown.saturating_mul(1_u32 << doublings).min(guard.cooldown_max.max(guard.cooldown))
    }

    /// Until the oldest of the last `most` attempts leaves the window; a window that allows none is waited out in full from now.
    fn window_wait(&self, now: Now, window: Duration, most: u32) -> Duration {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(ATTEMPTS_MAX);
        if most == 0 {
            return window;
        }
        let nth = self.attempts_ms.len().checked_sub(most).and_then(|at| self.attempts_ms.get(at));
        nth.map_or(Duration::ZERO, |at| window.saturating_sub(age(now, *at)))
    }
}

fn age(now: Now, at_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(at_ms)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let s = Duration::from_secs;
        Guard { min_uptime: s(60), cooldown: s(30), cooldown_max: s(1_800), per_hour: 3, per_day: 6, reset_after: s(1_800) }
    }

    fn at(seconds: u64) -> Now {
        Now::new(Duration::from_secs(seconds), 1_000_000_000 + i64::try_from(seconds).unwrap() * 1_000)
    }

    fn wait(ledger: &Ledger, seconds: u64, uptime: Option<u64>) -> Option<(Wait, u64)> {
        ledger.wait(at(seconds), uptime.map(Duration::from_secs), &guard()).map(|(wait, long)| (wait, long.as_secs()))
    }

    #[test]
    fn the_guard_that_waits_longest_is_named() {
        let mut ledger = Ledger::default();
        assert_eq!(wait(&ledger, 0, Some(3_600)), None);
        assert_eq!(wait(&ledger, 0, Some(10)), Some((Wait::MinUptime, 50)));
        ledger.begin(at(0), None, &guard());
        assert_eq!(wait(&ledger, 10, None), Some((Wait::Cooldown, 20)));
        ledger.end(at(20));
        assert_eq!(wait(&ledger, 30, None), Some((Wait::Cooldown, 20)));
        assert_eq!(wait(&ledger, 50, None), None);
    }

    #[test]
    fn the_cooldown_doubles_until_a_long_healthy_run() {
        let mut ledger = Ledger::default();
        let mut now = 0;
        for expected in [30, 60] {
            ledger.begin(at(now), None, &guard());
            assert_eq!(wait(&ledger, now, None), Some((Wait::Cooldown, expected)));
            now += expected;
        }
        assert_eq!(wait(&ledger, now, Some(1_800)), None, "a long run ends the row");
        ledger.begin(at(now), Some(Duration::from_mins(30)), &guard());
        assert!(matches!(wait(&ledger, now + 31, None), Some((Wait::PerHour, _))));
    }

    #[test]
    fn the_windows_let_go_when_the_oldest_attempt_leaves_them() {
        let mut ledger = Ledger::default();
        for begun in [0, 1_000, 2_000] {
            ledger.begin(at(begun), Some(Duration::from_mins(30)), &guard());
        }
        assert_eq!(wait(&ledger, 3_000, Some(1_800)), Some((Wait::PerHour, 600)));
        assert_eq!(wait(&ledger, 3_600, Some(1_800)), None);
        for begun in [10_000, 20_000, 30_000] {
            ledger.begin(at(begun), Some(Duration::from_mins(30)), &guard());
        }
        assert_eq!(wait(&ledger, 40_000, Some(1_800)), Some((Wait::PerDay, 46_400)));
        assert_eq!(ledger.counts(at(30_001)), (1, 6));
    }

    #[test]
    fn a_wall_clock_that_moves_neither_frees_nor_blocks() {
        let mut ledger = Ledger::default();
        ledger.begin(at(0), None, &guard());
        let mut back = at(10);
        back.wall_ms -= 7_200_000;
        ledger.rebase(-7_200_000);
        assert_eq!(ledger.wait(back, None, &guard()), Some((Wait::Cooldown, Duration::from_secs(20))));
        let mut future = Ledger::default();
        future.begin(at(900_000), None, &guard());
        future.clamp_to(at(0));
        assert_eq!(wait(&future, 30, None), None);
    }

    #[test]
    fn incidents_are_remembered_in_bounded_number() {
        let mut ledger = Ledger::default();
        for number in 0..=INCIDENTS_MAX {
            ledger.serve(&format!("i{number}"));
        }
        assert!(!ledger.was_served("i0") && ledger.was_served("i1") && ledger.was_served(&format!("i{INCIDENTS_MAX}")));
        assert_eq!(ledger.served.len(), INCIDENTS_MAX);
    }
}
