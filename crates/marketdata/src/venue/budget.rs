//! A budget that refills: so much in so long, spent ahead at most once over.
//!
//! Owns: the arithmetic of one token bucket, exact in integers. Must not know: what is spent.

use std::time::Duration;

/// `most` units in `period`.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    period_ms: u64,
    /// Units times `period_ms`, so that every millisecond adds exactly `most`.
    level: u64,
    at: Duration,
}

// === impl Budget ===

impl Budget {
    pub(crate) const fn new(most: u32, period: Duration) -> Self {
        let period_ms = period.as_secs() * 1_000;
        Self { most: most as u64, period_ms, level: most as u64 * period_ms, at: Duration::ZERO }
    }

    fn refill(&mut self, now: Duration) {
        let passed = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            self.level = self.level.saturating_add(passed.saturating_mul(self.most)).min(self.most * self.period_ms);
            // Whole milliseconds only, so that fractions are not lost.
            self.at += Duration::from_millis(passed);
        }
    }

    /// A cost over the whole budget counts as the whole budget, so that it is delayed, not blocked for ever.
    fn price(&self, cost: u32) -> u64 {
        u64::from(cost).min(self.most) * self.period_ms
    }

    /// Spends `cost` if it is there.
    pub(crate) fn take(&mut self, now: Duration, cost: u32) -> bool {
        self.refill(now);
        let price = self.price(cost);
        let affordable = price <= self.level;
        if affordable {
            self.level -= price;
        }
        affordable
    }

    /// When `cost` will be there.
    pub(crate) fn available_at(&self, cost: u32) -> Duration {
        let missing = self.price(cost).saturating_sub(self.level);
        self.at + Duration::from_millis(missing.div_ceil(self.most))
    }

    /// The other side counts too and says how much is used: never believe there is more left than that.
    pub(crate) fn used(&mut self, now: Duration, used: u32) {
        self.refill(now);
        self.level = self.level.min(self.most.saturating_sub(u64::from(used)) * self.period_ms);
    }

    /// Level and time as numbers that can be written down.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.level, u64::try_from(self.at.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Puts figures back.
    pub(crate) fn set(&mut self, (level, at): (u64, u64)) {
        (self.level, self.at) = (level.min(self.most * self.period_ms), Duration::from_nanos(at));
    }

    /// Units left.
    pub(crate) const fn left(&self) -> u64 {
        self.level / self.period_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_comes_back_evenly() {
        let ms = Duration::from_millis;
        let mut budget = Budget::new(100, Duration::from_mins(1));
        assert!(budget.take(ms(0), 60) && budget.take(ms(0), 40));
        assert!(!budget.take(ms(599), 1));
        assert_eq!(budget.available_at(1), ms(600), "100 a minute is one in 600 ms");
        assert!(budget.take(ms(600), 1));
        assert_eq!(budget.available_at(50), ms(600 + 50 * 600));
        assert!(budget.take(ms(3_600_000), 100) && !budget.take(ms(3_600_000), 1), "it never holds more than once over");
    }

    #[test]
    fn the_venues_own_count_wins() {
        let mut budget = Budget::new(100, Duration::from_mins(1));
        budget.used(Duration::ZERO, 95);
        assert_eq!(budget.left(), 5);
        budget.used(Duration::ZERO, 10);
        assert_eq!(budget.left(), 5, "a lower count does not give back");
    }

    #[test]
    fn a_cost_over_the_budget_is_delayed_not_blocked() {
        let mut budget = Budget::new(10, Duration::from_mins(1));
        assert!(budget.take(Duration::ZERO, 250));
        assert_eq!(budget.available_at(250), Duration::from_mins(1));
    }
}
