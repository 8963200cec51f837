//! A count that forgets: each error counts half after a minute, so that one of yesterday is no trouble of today. Must not know: what went wrong.

use std::time::Duration;

/// After this, an error counts half.
const HALF_LIFE: Duration = Duration::from_mins(1);
/// Less than this of an error is none.
const LEAST: f64 = 0.01;

/// The count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fading {
    value: f64,
    at: Duration,
}

// === impl Fading ===

impl Fading {
    /// What is left of it.
    pub(crate) fn at(&mut self, now: Duration) -> f64 {
        let halves = now.saturating_sub(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.at = self.at.max(now);
        self.value *= 0.5_f64.powf(halves);
        if self.value < LEAST {
            self.value = 0.0;
        }
        self.value
    }

    /// So many more errors; what that makes.
    pub(crate) fn add(&mut self, errors: u64, now: Duration) -> f64 {
        self.value = self.at(now) + errors as f64;
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "powers of two")]
    fn each_error_counts_half_after_a_minute_and_nothing_in_the_end() {
        let (mut count, at) = (Fading::default(), Duration::from_secs);
        assert_eq!((count.add(4, at(100)), count.at(at(160)), count.add(1, at(160))), (4.0, 2.0, 3.0));
        assert_eq!((count.at(at(280)), count.at(at(1))), (0.75, 0.75), "time does not go back");
        assert_eq!(count.at(at(1_000)), 0.0);
    }
}
