//! Time as series know it: steady, while the wall clock may step.
//!
//! Samples, `for` and every wait are on a steady time that runs with the monotonic clock. What an expression or a person sees is shifted by an offset, so that it is
//! the wall clock's time. When the wall clock steps, only the offset changes: history stays joined to the present, no look-back breaks, no `for` is lost or fired, and
//! `time()` still agrees with timestamps that programs on the same host report.

use std::sync::Arc;

use clock::{Now, WALL_JUMP_MS};
use promql::labels::Matcher;
use promql::{Asked, Block, Queryable, SeriesData};

/// How late an observation may be stamped before `now`; anything else is taken as being of `now`.
const LATE_MS: i64 = 60_000;

/// The steady time, and its distance to the wall clock's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    start: Now,
    start_steady_ms: i64,
    offset_ms: i64,
}

/// A source whose times are the steady ones, seen in the wall clock's.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    source: &'a dyn Queryable,
    offset_ms: i64,
}

// === impl Timeline ===

impl Timeline {
    /// Starts at `now`, not before `newest_ms`, the last sample a store brings along. `offset_ms` was the distance to the wall clock's time when it was taken: a step
    /// of the clock before a restart must not tear history from the present after it.
    pub(crate) fn start(now: Now, newest_ms: Option<i64>, offset_ms: i64) -> Self {
        let steady = newest_ms.map_or(now.wall_ms, |newest| now.wall_ms.saturating_sub(offset_ms).max(newest.saturating_add(1)));
        Self { start: now, start_steady_ms: steady, offset_ms: now.wall_ms.saturating_sub(steady) }
    }

    /// The steady time of `now`, in milliseconds.
    pub(crate) fn steady_ms(&self, now: Now) -> i64 {
        let passed = now.mono.saturating_sub(self.start.mono).as_millis();
        self.start_steady_ms.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// Takes note of the wall clock; the size of a step, if it stepped.
    pub(crate) fn follow(&mut self, now: Now) -> Option<i64> {
        let step = now.wall_ms.saturating_sub(self.shown_ms(self.steady_ms(now)));
        if step.abs() <= WALL_JUMP_MS {
            return None;
        }
        self.offset_ms = self.offset_ms.saturating_add(step);
        Some(step)
    }

    /// The wall clock's time of a steady one.
    pub(crate) fn shown_ms(&self, steady_ms: i64) -> i64 {
        steady_ms.saturating_add(self.offset_ms)
    }

    /// What is added to a steady time to show it in the wall clock's.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// The steady time of a wall clock's one.
    pub(crate) fn steady_of_ms(&self, shown_ms: i64) -> i64 {
        shown_ms.saturating_sub(self.offset_ms)
    }

    /// The steady time of something that was stamped `at_ms` and arrives at `now`.
    pub(crate) fn stamped_ms(&self, now: Now, at_ms: i64) -> i64 {
        let age = now.wall_ms.saturating_sub(at_ms);
        let steady = self.steady_ms(now);
        if (0..=LATE_MS).contains(&age) { steady.saturating_sub(age) } else { steady }
    }

    /// The monotonic reading at which the steady time will be `steady_ms`.
    pub(crate) fn mono_of(&self, steady_ms: i64) -> std::time::Duration {
        let ahead = u64::try_from(steady_ms.saturating_sub(self.start_steady_ms)).unwrap_or(0);
        self.start.mono.saturating_add(std::time::Duration::from_millis(ahead))
    }

    /// `source` in the wall clock's times.
    pub(crate) fn shown<'a>(&self, source: &'a dyn Queryable) -> Shown<'a> {
        Shown::new(source, self.offset_ms)
    }
}

// === impl Shown ===

impl<'a> Shown<'a> {
    /// `source` with `offset_ms` added to its times.
    pub fn new(source: &'a dyn Queryable, offset_ms: i64) -> Self {
        Self { source, offset_ms }
    }
}

impl Shown<'_> {
    /// Series that were read in steady time, in the wall clock's.
    fn shift(self, mut found: Vec<SeriesData>) -> Vec<SeriesData> {
        if self.offset_ms != 0 {
            for sample in found.iter_mut().flat_map(|series| &mut series.samples) {
                sample.t_ms = sample.t_ms.saturating_add(self.offset_ms);
            }
        }
        found
    }
}

impl Queryable for Shown<'_> {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let (start_ms, end_ms) = (start_ms.saturating_sub(self.offset_ms), end_ms.saturating_sub(self.offset_ms));
        self.source.select(matchers, start_ms, end_ms).map(|found| self.shift(found))
    }

    fn latest(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, String> {
        let (start_ms, end_ms) = (start_ms.saturating_sub(self.offset_ms), end_ms.saturating_sub(self.offset_ms));
        self.source.latest(matchers, start_ms, end_ms).map(|found| self.shift(found))
    }

    fn read(&self, asked: &Asked<'_>) -> Result<Arc<Block>, String> {
        let (start_ms, end_ms) = (asked.start_ms.saturating_sub(self.offset_ms), asked.end_ms.saturating_sub(self.offset_ms));
        let mut block = self.source.read(&Asked { start_ms, end_ms, ..*asked })?;
        if self.offset_ms != 0 {
            Arc::make_mut(&mut block).shift(self.offset_ms);
        }
        Ok(block)
    }

    fn given_up(&self) -> bool {
        self.source.given_up()
    }
}

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("offset_ms", &self.offset_ms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Now = Now::new(Duration::from_secs(100), 1_700_000_000_000);

    #[test]
    fn a_step_of_the_wall_clock_moves_what_is_shown_and_nothing_else() {
        let mut timeline = Timeline::start(START, None, 0);
        let mut later = START.later(Duration::from_secs(10));
        assert_eq!(timeline.follow(later), None);
        later.wall_ms += 3_600_000;
        assert_eq!(timeline.follow(later), Some(3_600_000));
        assert_eq!(timeline.steady_ms(later), 1_700_000_010_000);
        assert_eq!(timeline.shown_ms(timeline.steady_ms(later)), later.wall_ms);
        assert_eq!(timeline.stamped_ms(later, later.wall_ms - 200), 1_700_000_009_800);
    }

    #[test]
    fn steady_time_starts_behind_the_newest_sample() {
        let timeline = Timeline::start(START, Some(1_700_003_600_000), 0);
        assert_eq!(timeline.steady_ms(START), 1_700_003_600_001);
        assert_eq!(timeline.shown_ms(timeline.steady_ms(START)), START.wall_ms);
    }

    #[test]
    fn a_step_before_a_restart_leaves_history_joined_to_the_present() {
        for (newest, offset, steady) in [
            (1_699_996_395_000, 3_600_000, 1_699_996_400_000),
            (1_700_003_595_000, -3_600_000, 1_700_003_600_000),
            (1_700_000_000_500, 3_600_000, 1_700_000_000_501),
        ] {
            let timeline = Timeline::start(START, Some(newest), offset);
            assert_eq!(timeline.steady_ms(START), steady);
            assert_eq!(timeline.shown_ms(timeline.steady_ms(START)), START.wall_ms);
        }
    }

    #[test]
    fn a_wake_is_the_same_moment_on_the_monotonic_clock() {
        let timeline = Timeline::start(START, None, 0);
        let wake = START.later(Duration::from_secs(7));
        assert_eq!(timeline.mono_of(timeline.steady_ms(wake)), wake.mono);
    }
}
