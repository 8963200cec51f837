//! Quantiles and fractions of classic histograms (Prometheus documentation, `histogram_quantile`, `histogram_fraction`).

/// A cumulative bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Inclusive upper bound, the value of `le`.
    pub(crate) upper: f64,
    /// Observations up to it.
    pub(crate) count: f64,
}

/// A quantile, and whether buckets had to be repaired for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile {
    pub(crate) value: f64,
    /// Some bucket held less than the one below it by more than a rounding error.
    pub(crate) forced_monotonic: bool,
}

/// Counts that differ by less than this share are taken for equal: sums of floats are not exact.
const TOLERANCE: f64 = 1e-12;

/// The quantile `q` of a histogram, interpolated within its bucket.
pub(crate) fn quantile(q: f64, buckets: Vec<Bucket>) -> Quantile {
    let plain = |value| Quantile { value, forced_monotonic: false };
    if q.is_nan() {
        return plain(f64::NAN);
    }
    if !(0.0..=1.0).contains(&q) {
        return plain(if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let Some(mut buckets) = merged(buckets) else { return plain(f64::NAN) };
    let forced_monotonic = make_monotonic(&mut buckets);
    Quantile { value: interpolated(q, &buckets), forced_monotonic }
}

fn interpolated(q: f64, buckets: &[Bucket]) -> f64 {
    let [below @ .., last] = buckets else { return f64::NAN };
    let Some(second_last) = below.last() else { return f64::NAN };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let rank = q * last.count;
    let at = below.partition_point(|bucket| bucket.count < rank || bucket.count.is_nan());
    let Some(found) = below.get(at) else { return second_last.upper };
    let lower = at.checked_sub(1).and_then(|at| below.get(at));
    if lower.is_none() && found.upper <= 0.0 {
        return found.upper;
    }
    // The lowest bucket of positive values begins at zero.
    let (start, before) = lower.map_or((0.0, 0.0), |lower| (lower.upper, lower.count));
    start + (found.upper - start) * ((rank - before) / (found.count - before))
}

/// The share of observations between two values, interpolated within their buckets.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = merged(buckets) else { return f64::NAN };
    let total = buckets.last().map_or(0.0, |last| last.count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &buckets, total) - rank_of(lower, &buckets, total)) / total
}

/// How many observations lie below `value`.
fn rank_of(value: f64, buckets: &[Bucket], total: f64) -> f64 {
    let mut rank: f64 = 0.0;
    let mut start = f64::NEG_INFINITY;
    for (at, bucket) in buckets.iter().enumerate() {
        // As for quantiles, the lowest bucket of positive values begins at zero.
        if at == 0 && bucket.upper > 0.0 {
            start = 0.0;
        }
        if start >= value {
            return rank.min(total);
        }
        if bucket.upper > value {
            // Nothing is known about where in a bucket without lower end its observations lie.
            let inside = if start.is_infinite() { bucket.count } else { rank + (bucket.count - rank) * (value - start) / (bucket.upper - start) };
            return inside.min(total);
        }
        rank = bucket.count;
        start = bucket.upper;
    }
    total
}

/// Buckets in order, those of one bound added up; `None` unless the last one is `+Inf`.
fn merged(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    #[expect(clippy::float_cmp, reason = "the same bound, written differently")]
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(buckets)
}

/// Raises every count to that of the bucket below it; whether one was lower by more than a rounding error.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let Some((first, rest)) = buckets.split_first_mut() else { return false };
    let mut below = first.count;
    for bucket in rest {
        if almost_equal(below, bucket.count) {
            bucket.count = below;
        } else if bucket.count < below {
            bucket.count = below;
            forced = true;
        } else {
            below = bucket.count;
        }
    }
    forced
}

#[expect(clippy::float_cmp, reason = "the exact case comes first, the tolerance after it")]
fn almost_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == b {
        true
    } else if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        difference < TOLERANCE * f64::MIN_POSITIVE
    } else {
        difference / sum.min(f64::MAX) < TOLERANCE
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn a_quantile_is_interpolated_in_its_bucket() {
        let latency = || buckets(&[(1.0, 10.0), (2.0, 30.0), (INF, 40.0)]);
        for (q, want) in [(0.25, 1.0), (0.5, 1.5), (0.0, 0.0), (0.9, 2.0), (1.0, 2.0), (-1.0, -INF), (2.0, INF)] {
            assert_eq!(quantile(q, latency()).value, want, "{q}");
        }
        assert_eq!(quantile(0.1, buckets(&[(-1.0, 10.0), (INF, 10.0)])).value, -1.0);
        for broken in [&[][..], &[(1.0, 1.0)], &[(INF, 1.0)], &[(1.0, 0.0), (INF, 0.0)]] {
            assert!(quantile(0.5, buckets(broken)).value.is_nan(), "{broken:?}");
        }
    }

    #[test]
    fn a_bucket_that_holds_too_little_is_repaired_and_told() {
        let repaired = quantile(0.5, buckets(&[(1.0, 10.0), (2.0, 5.0), (INF, 20.0)]));
        assert_eq!(repaired, Quantile { value: 1.0, forced_monotonic: true });
        assert!(!quantile(0.5, buckets(&[(1.0, 10.0), (2.0, 9.999999999999999), (INF, 20.0)])).forced_monotonic);
    }

    #[test]
    fn a_fraction_is_the_inverse_of_a_quantile() {
        let latency = || buckets(&[(1.0, 10.0), (2.0, 30.0), (INF, 40.0)]);
        for (lower, upper, want) in
            [(0.0, 1.5, 0.5), (-INF, 1.0, 0.25), (1.0, 2.0, 0.5), (2.0, INF, 0.25), (2.0, 3.0, 0.0), (3.0, 1.0, 0.0), (-5.0, 0.5, 0.125)]
        {
            assert_eq!(fraction(lower, upper, latency()), want, "{lower}..{upper}");
        }
        assert!(fraction(f64::NAN, 1.0, latency()).is_nan());
    }
}
