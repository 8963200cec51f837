//! A histogram of durations with fixed bounds. Must not know: of what.

use std::fmt;

use promql::exposition::{Format, write_sample};
use promql::labels::{Labels, METRIC_NAME};

/// Upper bounds of the buckets in seconds: from a turn with nothing to do to one that is longer than most intervals.
const BOUNDS: [f64; 15] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Counts by bound, and the sum.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Of each bound alone, not cumulated.
    counts: [u64; BOUNDS.len()],
    above: u64,
    sum: f64,
}

// === impl Histogram ===

impl Histogram {
    pub(super) fn observe(&mut self, seconds: f64) {
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        *self.counts.get_mut(at).unwrap_or(&mut self.above) += 1;
        self.sum += seconds;
    }

    /// How many were counted.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    /// `_bucket`, `_sum` and `_count` of the family that `labels` name.
    pub(super) fn write(&self, page: &mut String, labels: &Labels) -> fmt::Result {
        let name = labels.metric_name();
        let bucket = labels.with(METRIC_NAME, &format!("{name}_bucket"));
        let mut cumulated = 0;
        for (bound, count) in BOUNDS.iter().zip(&self.counts) {
            cumulated += count;
            write_sample(page, Format::Text, &bucket.with("le", &bound.to_string()), (cumulated as f64, None))?;
        }
        let count = self.count() as f64;
        write_sample(page, Format::Text, &bucket.with("le", "+Inf"), (count, None))?;
        write_sample(page, Format::Text, &labels.with(METRIC_NAME, &format!("{name}_sum")), (self.sum, None))?;
        write_sample(page, Format::Text, &labels.with(METRIC_NAME, &format!("{name}_count")), (count, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_every_bucket_from_its_own_on() {
        let mut histogram = Histogram::default();
        for seconds in [0.001, 0.3, 60.0] {
            histogram.observe(seconds);
        }
        let mut page = String::new();
        histogram.write(&mut page, &Labels::from_pairs([(METRIC_NAME, "turn_seconds"), ("engine", "rules")])).unwrap();
        for line in [
            "turn_seconds_bucket{engine=\"rules\",le=\"0.0005\"} 0",
            "turn_seconds_bucket{engine=\"rules\",le=\"0.001\"} 1",
            "turn_seconds_bucket{engine=\"rules\",le=\"0.5\"} 2",
            "turn_seconds_bucket{engine=\"rules\",le=\"10\"} 2",
            "turn_seconds_bucket{engine=\"rules\",le=\"+Inf\"} 3",
            "turn_seconds_sum{engine=\"rules\"} 60.301",
            "turn_seconds_count{engine=\"rules\"} 3",
        ] {
            assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        }
    }
}
