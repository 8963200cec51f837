//! Time inside the router: monotonic milliseconds, so that a step of the wall clock ends no alert and sends no reminder.
//!
//! Owns: the way between ticks and wall time. Records keep wall time, because monotonic time does not survive a reboot.

use clock::Now;

use crate::alert::UnixMs;

/// Milliseconds on the monotonic clock; negative for what happened before this process's clock began.
pub(crate) type Tick = i64;

/// The tick of `now`.
pub(crate) fn tick(now: Now) -> Tick {
    crate::time::millis(now.mono)
}

/// When `at` is, on the wall clock as it stands now.
pub(crate) fn wall(now: Now, at: Tick) -> UnixMs {
    now.wall_ms.saturating_add(at.saturating_sub(tick(now)))
}

/// The tick of something that lies in the past by the wall clock; what seems to lie in the future happened now.
pub(crate) fn past(now: Now, wall_ms: UnixMs) -> Tick {
    tick(now).saturating_sub(now.wall_ms.saturating_sub(wall_ms).max(0))
}

/// The tick of something that is due at a wall time, at most `bound` milliseconds ahead (a clock that was set back must not postpone it for ever).
pub(crate) fn due(now: Now, wall_ms: UnixMs, bound: i64) -> Tick {
    tick(now).saturating_add(wall_ms.saturating_sub(now.wall_ms).clamp(0, bound.max(0)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_way_there_and_back() {
        let now = Now::new(Duration::from_secs(100), 1_000_000);
        assert_eq!(wall(now, 101_000), 1_001_000);
        assert_eq!(past(now, 990_000), 90_000);
        assert_eq!(past(now, 1_990_000), 100_000);
        assert_eq!(past(now, 0), -900_000);
        assert_eq!((due(now, 1_005_000, 60_000), due(now, 9_000_000, 60_000), due(now, 5, 60_000)), (105_000, 160_000, 100_000));
    }
}
