//! The slope of a figure over a window: least squares over evenly kept points, so that a sawtooth or one spike does not speak for all.

use std::collections::VecDeque;
use std::time::Duration;

/// The last points of one figure.
#[derive(Clone, Debug)]
pub struct Trend {
    every: Duration,
    most: usize,
    points: VecDeque<(Duration, f64)>,
}

// === impl Trend ===

impl Trend {
    /// Keeps `most` points, at most one in `every`.
    pub fn new(every: Duration, most: usize) -> Self {
        Self { every, most, points: VecDeque::with_capacity(most) }
    }

    /// The figure now (monotonic time).
    pub fn note(&mut self, at: Duration, value: f64) {
        if self.points.back().is_some_and(|(last, _)| at < *last + self.every) {
            return;
        }
        if self.points.len() >= self.most {
            self.points.pop_front();
        }
        self.points.push_back((at, value));
    }

    /// Points kept, and how many there may be.
    pub fn fill(&self) -> (usize, usize) {
        (self.points.len(), self.most)
    }

    /// Growth a minute, in the figure's unit; `None` until half of the window is seen.
    pub fn per_minute(&self) -> Option<f64> {
        let (first, ..) = self.points.front()?;
        if self.points.len() < (self.most / 2).max(2) {
            return None;
        }
        let count = self.points.len() as f64;
        let minutes = |at: &Duration| at.saturating_sub(*first).as_secs_f64() / 60.0;
        let mean_time = self.points.iter().map(|(at, _)| minutes(at)).sum::<f64>() / count;
        let mean_value = self.points.iter().map(|(_, value)| value).sum::<f64>() / count;
        let (mut above, mut below) = (0.0, 0.0);
        for (at, value) in &self.points {
            let off = minutes(at) - mean_time;
            above += off * (value - mean_value);
            below += off * off;
        }
        (below > 0.0).then(|| above / below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// A script of figures, one every 10 s, and the slope it must show.
    #[test]
    fn the_slope_is_that_of_the_script() {
        type Script = fn(u64) -> f64;
        let table: [(&str, Script, f64); 5] = [
            ("flat", |_| 8e6, 0.0),
            ("3 MB a minute", |n| 8e6 + 0.5e6 * n as f64, 3e6),
            ("falls", |n| 9e6 - 0.1e6 * n as f64, -0.6e6),
            ("a sawtooth without slope", |n| 8e6 + 1e6 * f64::from(u32::try_from(n % 2).unwrap()), 0.0),
            ("a sawtooth on a slope", |n| 8e6 + 1e6 * f64::from(u32::try_from(n % 2).unwrap()) + 0.5e6 * n as f64, 3e6),
        ];
        for (name, script, expected) in table {
            let mut trend = Trend::new(seconds(10), 60);
            for n in 0..200 {
                trend.note(seconds(10 * n), script(n));
            }
            let found = trend.per_minute().unwrap();
            assert!((found - expected).abs() < 0.01e6, "{name}: {found} and not {expected}");
            assert_eq!(trend.fill(), (60, 60), "bounded");
        }
    }

    #[test]
    fn nothing_is_said_before_half_of_the_window_and_points_are_not_crowded() {
        let mut trend = Trend::new(seconds(10), 6);
        for n in 0..29 {
            trend.note(seconds(n), n as f64);
        }
        assert_eq!((trend.per_minute().is_none(), trend.fill().0), (false, 3));
        let mut early = Trend::new(seconds(10), 6);
        early.note(seconds(0), 1.0);
        early.note(seconds(10), 2.0);
        assert_eq!(early.per_minute(), None);
    }
}
