//! When a source is looked at: a fixed grid of wall time, spread so that sources do not all start at once.
//!
//! Owns: the phase and the wait. Must not know: what is looked at. After a wall-clock step the grid is simply the new clock's; a slot that was missed is skipped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How long from `now_ms` until the next slot of a grid of `interval` whose phase comes from `key`; at least 1 ms.
pub fn until_next(now_ms: i64, interval: Duration, key: &impl Hash) -> Duration {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let phase = i64::try_from(hasher.finish() % interval_ms.unsigned_abs()).unwrap_or(0);
    let into = now_ms.saturating_sub(phase).rem_euclid(interval_ms);
    Duration::from_millis(u64::try_from(interval_ms - into).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_an_interval_apart_and_keys_are_spread() {
        let interval = Duration::from_secs(5);
        let first = until_next(1_700_000_000_000, interval, &"a");
        assert!(first <= interval && !first.is_zero());
        let slot = 1_700_000_000_000 + i64::try_from(first.as_millis()).unwrap();
        assert_eq!(until_next(slot, interval, &"a"), interval);
        assert_eq!(until_next(slot + 1, interval, &"a"), Duration::from_millis(4_999));
        let phases: std::collections::BTreeSet<Duration> = (0..20).map(|key| until_next(slot, interval, &key)).collect();
        assert!(phases.len() > 15, "{phases:?}");
    }
}
