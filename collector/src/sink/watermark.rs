//! Water marks: how full something is, told once when it changes. Must not know: what is done about it.

use std::time::Duration;

use crate::config::Bounds;

/// How full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Below all marks.
    #[default]
    Calm,
    /// Over 80 % of the high mark.
    Warning,
    /// Over the high mark: everything is sent, or spooled, at once.
    High,
    /// Over the emergency mark: memory is relieved.
    Emergency,
}

/// A measure that is watched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    level: Level,
}

/// The rate of records of a stream, smoothed over about five seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    per_second: f64,
    seen: u64,
    at: Duration,
}

// === impl Level ===

impl Level {
    /// The word in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Warning => "warning",
            Self::High => "high",
            Self::Emergency => "emergency",
        }
    }

    /// Where it begins.
    fn mark(self, bounds: Bounds) -> usize {
        match self {
            Self::Calm => 0,
            Self::Warning => bounds.high - bounds.high / 5,
            Self::High => bounds.high,
            Self::Emergency => bounds.emergency,
        }
    }
}

// === impl Watermark ===

impl Watermark {
    /// How full it is now.
    pub(crate) fn level(self) -> Level {
        self.level
    }

    /// Takes the measure; the new level if it changed. A level is left again only at half of its mark, so that one that swings about a mark is told once.
    pub(crate) fn judge(&mut self, value: usize, bounds: Bounds) -> Option<Level> {
        let reached = [Level::Emergency, Level::High, Level::Warning].into_iter().find(|level| value >= level.mark(bounds)).unwrap_or_default();
        let holds = reached < self.level && value > self.level.mark(bounds) / 2;
        if reached == self.level || holds {
            return None;
        }
        self.level = reached;
        Some(reached)
    }
}

// === impl Rate ===

impl Rate {
    /// Takes the count so far.
    pub(crate) fn look(&mut self, count: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        if elapsed <= 0.0 {
            return;
        }
        let fresh = count.saturating_sub(self.seen) as f64 / elapsed;
        let weight = 1.0 - (-elapsed / 5.0).exp();
        self.per_second += (fresh - self.per_second) * weight;
        (self.seen, self.at) = (count, now);
    }

    /// Records a second.
    pub(crate) fn per_second(self) -> f64 {
        self.per_second
    }
}

/// Bounds that follow a rate: as many records as come in `hold`, within a quarter and all of what is configured.
pub(crate) fn adapted(configured: Bounds, rate: Rate, hold: Duration) -> Bounds {
    let share = rate.per_second() * hold.as_secs_f64() / configured.high.max(1) as f64;
    let share = if share.is_finite() { share.clamp(0.25, 1.0) } else { 1.0 };
    Bounds { high: scaled(configured.high, share), emergency: scaled(configured.emergency, share) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, between a quarter and all of it")]
fn scaled(count: usize, share: f64) -> usize {
    ((count as f64 * share) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { high: 100, emergency: 200 };

    #[test]
    fn each_level_is_told_once_and_left_at_half_of_its_mark() {
        let mut mark = Watermark::default();
        let told: Vec<(usize, Level)> = [10, 79, 80, 85, 70, 81, 100, 99, 101, 200, 150, 220, 101, 100, 60, 51, 50, 41, 40, 90]
            .iter()
            .filter_map(|value| Some((*value, mark.judge(*value, BOUNDS)?)))
            .collect();
        assert_eq!(
            told,
            [(80, Level::Warning), (100, Level::High), (200, Level::Emergency), (100, Level::High), (50, Level::Calm), (90, Level::Warning)]
        );
    }

    #[test]
    fn bounds_follow_the_rate_within_a_quarter_and_all() {
        let hold = Duration::from_secs(10);
        let at = |per_second| {
            let mut rate = Rate::default();
            for second in 1..=60_u64 {
                rate.look(second * per_second, Duration::from_secs(second));
            }
            adapted(BOUNDS, rate, hold)
        };
        assert_eq!(at(0), Bounds { high: 25, emergency: 50 });
        assert_eq!(at(5).high / 5, 9, "{:?}", at(5));
        assert_eq!(at(1_000), BOUNDS);
    }
}
