//! The one notion of time that the cores share: [`Now`], handed in by a shell with every input.
//!
//! Owns: the pair of readings and the comparison of two of them. Must not know: any clock (a shell reads it), any time zone.
#![forbid(unsafe_code)]

use std::time::Duration;

/// One reading of both clocks, taken together by a shell.
///
/// Waits, `for`, back-off, buckets and cool-downs use [`mono`](Self::mono); signatures, mute times and what people read use [`wall_ms`](Self::wall_ms).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Since an arbitrary start of this process; never goes back.
    pub mono: Duration,
    /// Unix time in milliseconds; may jump.
    pub wall_ms: i64,
}

/// A wall-clock step over this many milliseconds between two readings is a named event.
pub const WALL_JUMP_MS: i64 = 1_000;

// === impl Now ===

impl Now {
    /// A reading from its parts: monotonic duration, unix milliseconds.
    pub const fn new(mono: Duration, wall_ms: i64) -> Self {
        Self { mono, wall_ms }
    }

    /// The reading `by` later on both clocks; for tests, replay and unit-test grids.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self { mono: self.mono.saturating_add(by), wall_ms: self.wall_ms.saturating_add(ms) }
    }

    /// How far the wall clock stepped against the monotonic one since `before`, in milliseconds, if by more than [`WALL_JUMP_MS`].
    pub fn wall_jump_since(self, before: Self) -> Option<i64> {
        let elapsed = i64::try_from(self.mono.saturating_sub(before.mono).as_millis()).unwrap_or(i64::MAX);
        let step = self.wall_ms.saturating_sub(before.wall_ms).saturating_sub(elapsed);
        (step.abs() > WALL_JUMP_MS).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_clock_does_not_jump() {
        let start = Now::new(Duration::from_secs(5), 1_700_000_000_000);
        assert_eq!(start.later(Duration::from_mins(1)).wall_jump_since(start), None);
    }

    #[test]
    fn a_step_back_by_an_hour_is_told_with_its_size() {
        let start = Now::new(Duration::from_secs(5), 1_700_000_000_000);
        let mut after = start.later(Duration::from_secs(10));
        after.wall_ms -= 3_600_000;
        assert_eq!(after.wall_jump_since(start), Some(-3_600_000));
    }
}
