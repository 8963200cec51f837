//! Sums, means, variances, quantiles, regression: the numerical definitions that Prometheus's answers rest on.
use crate::Sample;

/// A sum with Neumaier's correction of rounding errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

/// A mean that stays finite where the plain sum would overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    /// The sum, or the mean itself once the sum has overflowed.
    value: Sum,
    count: f64,
    incremental: bool,
}

/// A straight line through samples, by least squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) slope: f64,
    /// Its value at the time that was asked for.
    pub(crate) at_origin: f64,
}

// === impl Sum ===

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.lost = if total.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.lost + ((self.sum - total) + value)
        } else {
            self.lost + ((value - total) + self.sum)
        };
        self.sum = total;
    }

    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

// === impl Mean ===

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.value;
            next.add(value);
            // An infinite first value is kept as it is; only a sum that became infinite is turned into a running mean.
            if self.count < 2.0 || next.sum.is_finite() || next.sum.is_nan() {
                self.value = next;
                return;
            }
            self.incremental = true;
            self.value = self.value.scaled(1.0 / (self.count - 1.0));
        }
        self.value = self.value.scaled((self.count - 1.0) / self.count);
        self.value.add(value / self.count);
    }

    pub(crate) fn value(self) -> f64 {
        if self.incremental { self.value.sum + self.value.lost } else { self.value.sum / self.count + self.value.lost / self.count }
    }
}

/// The population variance of the values, by Welford's method with corrected sums.
pub(crate) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.lost);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// The quantile `q` of the values with linear interpolation; NaN when there is none, infinite when `q` is outside of 0 to 1.
pub(crate) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // NaN sorts below every number.
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let rank = q * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ rank ≤ len - 1")]
    let lower = rank.floor() as usize;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    at(lower) * (1.0 - weight) + at((lower + 1).min(values.len() - 1)) * weight
}

/// The larger value; a NaN gives way to any number.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() { b } else { a }
}

/// The smaller value; a NaN gives way to any number.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() { b } else { a }
}

/// The line through at least two samples, with `origin_ms` as the time 0 of its value.
pub(crate) fn regression(samples: &[Sample], origin_ms: i64) -> Option<Line> {
    let first = samples.first()?;
    if samples.len() < 2 {
        return None;
    }
    #[expect(clippy::float_cmp, reason = "a constant series is recognized exactly, so that its slope is exactly 0")]
    let constant = samples.iter().all(|sample| sample.v == first.v);
    if constant {
        return Some(if first.v.is_infinite() { Line { slope: f64::NAN, at_origin: f64::NAN } } else { Line { slope: 0.0, at_origin: first.v } });
    }
    let n = samples.len() as f64;
    let x = |sample: &Sample| (sample.t_ms - origin_ms) as f64 / 1000.0;
    let total = |term: &dyn Fn(&Sample) -> f64| {
        let sum: Sum = samples.iter().map(term).collect();
        sum.sum + sum.lost
    };
    let (sum_x, sum_y) = (total(&x), total(&|sample| sample.v));
    let (sum_xy, sum_xx) = (total(&|sample| x(sample) * sample.v), total(&|sample| x(sample) * x(sample)));
    let slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n);
    Some(Line { slope, at_origin: sum_y / n - slope * sum_x / n })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> f64 {
        let mut mean = Mean::default();
        for value in values {
            mean.add(*value);
        }
        mean.value()
    }

    #[test]
    fn small_terms_survive_large_ones() {
        assert_eq!([1.0, 1e100, 1.0, -1e100].into_iter().collect::<Sum>().total(), 2.0);
        assert_eq!(mean(&[1.0, 1e100, 1.0, -1e100]), 0.5);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        assert!((mean(&[f64::MAX; 3]) / f64::MAX - 1.0).abs() < 1e-15);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(quantile(1.0, vec![4.0, 1.0]), 4.0);
        assert_eq!(quantile(-0.1, vec![1.0]), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, vec![1.0]), f64::INFINITY);
        assert!(quantile(f64::NAN, vec![1.0]).is_nan());
        assert!(quantile(0.0, vec![1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn variance_is_that_of_the_population() {
        assert_eq!(variance([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter()), 4.0);
    }
}
