//! When a group runs: on a fixed grid whose phase lies just behind the scrapes that the group reads.
//!
//! Times are the engine's steady ones, in milliseconds.

/// A group's place in time.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    interval_ms: i64,
    /// Since when the group waits for its first time.
    waiting_since: i64,
    /// Grid times are `phase` above a multiple of the interval; unknown until the group's sources were seen once.
    phase: Option<i64>,
    next_at: i64,
}

/// A time at which a group is to be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: i64,
    /// Grid times before it that passed unused.
    pub(crate) missed: u64,
}

// === impl Schedule ===

impl Schedule {
    pub(crate) fn new(interval_ms: i64, now: i64) -> Self {
        Self { interval_ms: interval_ms.max(1), waiting_since: now, phase: None, next_at: now.saturating_add(interval_ms.max(1)) }
    }

    pub(crate) fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// Whether the phase is still to be found.
    pub(crate) fn is_waiting(&self) -> bool {
        self.phase.is_none()
    }

    pub(crate) fn waiting_since(&self) -> i64 {
        self.waiting_since
    }

    /// When to look again.
    pub(crate) fn next_at(&self) -> i64 {
        self.next_at
    }

    /// Sets the phase from the times at which the group's sources were last heard; the first evaluation is just behind the last of them.
    pub(crate) fn align(&mut self, arrivals: &[i64], now: i64) {
        let slack = (self.interval_ms / 20).min(SLACK_MAX_MS);
        let latest = arrivals.iter().copied().max().unwrap_or(now);
        let phase = match best_phase(arrivals, self.interval_ms) {
            Some(phase) => (phase + slack).rem_euclid(self.interval_ms),
            None => now.rem_euclid(self.interval_ms),
        };
        self.phase = Some(phase);
        let from = latest.max(now.saturating_sub(slack));
        self.next_at = from.saturating_add((phase - from).rem_euclid(self.interval_ms));
    }

    /// The grid time that is due at `now`, if one is: the last that passed. Moves on to the next.
    pub(crate) fn take_due(&mut self, now: i64) -> Option<Slot> {
        if self.phase.is_none() || now < self.next_at {
            return None;
        }
        let behind = (now - self.next_at) / self.interval_ms;
        let at = self.next_at + behind * self.interval_ms;
        self.next_at = at + self.interval_ms;
        Some(Slot { at, missed: u64::try_from(behind).unwrap_or(0) })
    }
}

/// Evaluations wait this long behind the last scrape, at most.
const SLACK_MAX_MS: i64 = 250;

/// The phase right behind that arrival for which the oldest of the others is youngest.
fn best_phase(arrivals: &[i64], interval_ms: i64) -> Option<i64> {
    let phases: Vec<i64> = arrivals.iter().map(|at| at.rem_euclid(interval_ms)).collect();
    let oldest_seen_from = |candidate: i64| phases.iter().map(|phase| (candidate - phase).rem_euclid(interval_ms)).max().unwrap_or(0);
    phases.iter().copied().min_by_key(|candidate| oldest_seen_from(*candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_lies_behind_the_cluster_of_scrapes() {
        assert_eq!(best_phase(&[1_000, 1_200, 900], 5_000), Some(1_200));
        assert_eq!(best_phase(&[4_900, 5_100], 5_000), Some(100));
        assert_eq!(best_phase(&[], 5_000), None);
    }

    #[test]
    fn the_grid_is_kept_and_missed_times_are_counted_not_caught_up() {
        let mut schedule = Schedule::new(5_000, 100_000);
        assert_eq!(schedule.take_due(200_000), None);
        schedule.align(&[101_000, 101_300], 101_300);
        assert_eq!(schedule.next_at(), 101_550);
        assert_eq!(schedule.take_due(101_549), None);
        assert_eq!(schedule.take_due(101_560), Some(Slot { at: 101_550, missed: 0 }));
        assert_eq!(schedule.take_due(101_560), None);
        assert_eq!(schedule.take_due(123_000), Some(Slot { at: 121_550, missed: 3 }));
        assert_eq!(schedule.next_at(), 126_550);
    }

    #[test]
    fn without_sources_the_grid_starts_at_once() {
        let mut schedule = Schedule::new(5_000, 100_000);
        schedule.align(&[], 105_000);
        assert_eq!(schedule.take_due(105_000), Some(Slot { at: 105_000, missed: 0 }));
    }
}
