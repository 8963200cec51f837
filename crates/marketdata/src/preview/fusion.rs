//! One figure from two: how unusual this second's order flow and trading are, weighted.
//!
//! Owns: exponentially weighted means and variances, z-scores, their weighted sum. Floats, as all of these are ratios. Must not know: what the inputs
//! mean, how it is written.

use std::time::Duration;

/// How the inputs are weighted, and how fast the past is forgotten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusionConfig {
    /// Weight of the z-score of ofi.
    pub ofi: f64,
    /// Weight of the z-score of the change of cvd.
    pub cvd: f64,
    /// After this time an observation has half its weight in mean and variance.
    pub half_life: Duration,
    /// Seconds observed before a value is given.
    pub warm_up: u32,
}

/// The value of one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fusion {
    /// The weighted sum; `None` while warming up.
    pub value: Option<f64>,
    /// z-score of ofi against the seconds before; `None` while warming up.
    pub z_ofi: Option<f64>,
    /// z-score of the change of cvd against the seconds before; `None` while warming up.
    pub z_cvd: Option<f64>,
    /// Seconds observed so far.
    pub samples: u64,
    /// Seconds still to be observed before a value is given; 0: warm.
    pub warm_up_left: u64,
}

/// Both running statistics.
#[derive(Debug)]
pub(crate) struct FusionMeter {
    config: FusionConfig,
    alpha: f64,
    ofi: Moments,
    cvd: Moments,
    samples: u64,
}

/// Exponentially weighted mean and variance.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f64,
    variance: f64,
}

// === impl FusionConfig ===

impl FusionConfig {
    /// Equal weights, a half-life and a warm-up of a minute.
    pub const DEFAULT: Self = Self { ofi: 0.5, cvd: 0.5, half_life: Duration::from_mins(1), warm_up: 60 };
}

// === impl FusionMeter ===

impl FusionMeter {
    pub(crate) fn new(config: FusionConfig) -> Self {
        let half_life = config.half_life.as_secs_f64().max(1.0);
        let alpha = 1.0 - (-std::f64::consts::LN_2 / half_life).exp();
        Self { config, alpha, ofi: Moments::default(), cvd: Moments::default(), samples: 0 }
    }

    /// A second's ofi and change of cvd. Each is judged by the seconds before it, and then joins them.
    pub(crate) fn observe(&mut self, ofi: f64, cvd: f64) -> Fusion {
        let warm_up = u64::from(self.config.warm_up.max(2));
        let warm = self.samples >= warm_up;
        let (z_ofi, z_cvd) = (self.ofi.score(ofi), self.cvd.score(cvd));
        let first = self.samples == 0;
        self.ofi.join(ofi, self.alpha, first);
        self.cvd.join(cvd, self.alpha, first);
        self.samples += 1;
        let given = |value: f64| warm.then_some(value);
        Fusion {
            value: given(self.config.ofi * z_ofi + self.config.cvd * z_cvd),
            z_ofi: given(z_ofi),
            z_cvd: given(z_cvd),
            samples: self.samples,
            warm_up_left: warm_up.saturating_sub(self.samples - 1),
        }
    }
}

// === impl Moments ===

impl Moments {
    /// Distance from the mean in standard deviations; 0 where nothing has varied yet.
    fn score(&self, value: f64) -> f64 {
        if self.variance > 0.0 { (value - self.mean) / self.variance.sqrt() } else { 0.0 }
    }

    /// West's incremental form: `m' = m + α(x − m)`, `v' = (1 − α)(v + α(x − m)²)`.
    fn join(&mut self, value: f64, alpha: f64, first: bool) {
        if first {
            self.mean = value;
            return;
        }
        let distance = value - self.mean;
        self.mean += alpha * distance;
        self.variance = (1.0 - alpha) * (self.variance + alpha * distance * distance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?} is not {expected}");
    }

    #[test]
    fn computed_by_hand() {
        // A half-life of 1 s: alpha = 1/2. ofi 0, 4, 2, 6; cvd stands still.
        // mean 0, 2, 2; variance 0, (0 + 4²/2)/2 = 4, (4 + 0)/2 = 2; so the z-score of 2 is 0 and that of 6 is (6 - 2)/√2.
        let mut meter = FusionMeter::new(FusionConfig { ofi: 0.25, cvd: 1.0, half_life: Duration::from_secs(1), warm_up: 2 });
        let found: Vec<Fusion> = [0.0, 4.0, 2.0, 6.0].into_iter().map(|ofi| meter.observe(ofi, 3.0)).collect();
        assert_eq!(found[0], Fusion { value: None, z_ofi: None, z_cvd: None, samples: 1, warm_up_left: 2 });
        assert_eq!((found[1].value, found[1].warm_up_left), (None, 1));
        close(found[2].value, 0.0);
        close(found[3].z_ofi, 4.0 / 2f64.sqrt());
        close(found[3].z_cvd, 0.0);
        close(found[3].value, 0.25 * 4.0 / 2f64.sqrt());
        assert_eq!((found[3].samples, found[3].warm_up_left), (4, 0));
    }

    proptest! {
        /// Against mean and variance computed anew from explicit weights: (1-α)^k for the k-th newest, the first taking what is left.
        #[test]
        fn the_running_moments_are_the_weighted_moments(values in proptest::collection::vec(-1_000.0f64..1_000.0, 2..60), half_life in 1u64..50) {
            let alpha = 1.0 - 0.5f64.powf(1.0 / half_life as f64);
            let mut moments = Moments::default();
            for (place, value) in values.iter().enumerate() {
                moments.join(*value, alpha, place == 0);
            }
            let last = values.len() - 1;
            let weight = |place: usize| (1.0 - alpha).powf((last - place) as f64) * if place == 0 { 1.0 } else { alpha };
            let mean: f64 = values.iter().enumerate().map(|(place, value)| weight(place) * value).sum();
            let variance: f64 = values.iter().enumerate().map(|(place, value)| weight(place) * (value - mean).powi(2)).sum();
            prop_assert!((moments.mean - mean).abs() < 1e-6 * (1.0 + mean.abs()), "{} {mean}", moments.mean);
            prop_assert!((moments.variance - variance).abs() < 1e-6 * (1.0 + variance), "{} {variance}", moments.variance);
        }
    }
}
