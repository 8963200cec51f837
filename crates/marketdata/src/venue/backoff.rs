//! Waits that grow, are capped, and differ between collectors.
//!
//! Owns: one pure function. The seed comes from the shell, once; a core rolls no dice.

use std::time::Duration;

/// The wait after `failures` failures in a row: `first` doubled for each but the first, at most `most`, times a factor of ½ to 1 that follows from the
/// seed, the salt and the count.
pub(super) fn wait(failures: u32, (first, most): (Duration, Duration), seed: u64, salt: u64) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(most);
    let spread = mixed(seed ^ salt.rotate_left(32) ^ u64::from(failures)) % 512;
    doubled.mul_f64((512.0 + spread as f64) / 1_024.0)
}

/// SplitMix64's finaliser: neighbouring inputs give unrelated outputs.
const fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_are_spread() {
        let bounds = (Duration::from_millis(500), Duration::from_mins(1));
        for seed in 0..100 {
            for failures in 1..40 {
                let whole = Duration::from_millis(500 << (failures - 1).min(20)).min(Duration::from_mins(1));
                let waited = wait(failures, bounds, seed, 7);
                assert!(waited >= whole / 2 && waited <= whole, "{failures}: {waited:?} of {whole:?}");
            }
        }
        let of = |seed| wait(10, bounds, seed, 0);
        assert_ne!(of(1), of(2), "two collectors do not come back together");
        assert_eq!(of(1), of(1), "the same seed waits the same");
    }
}
