//! A small seeded generator (SplitMix64), so that a walk is the same on every machine for the same seed. Not for secrets.

/// The generator.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

// === impl Rng ===

impl Rng {
    /// A generator for one of several parties that share a seed.
    pub(super) fn for_name(seed: u64, name: &str) -> Self {
        Self(name.bytes().fold(seed ^ 0x9E37_79B9_7F4A_7C15, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)))
    }

    /// The next 64 bits.
    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 for a bound of 0). The tiny bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// True `percent` times of a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number below about `1 << bits`, small ones far more often than large ones.
    pub(super) fn skewed(&mut self, bits: u64) -> u64 {
        let width = self.below(bits.min(62)) + 1;
        self.below(1 << width)
    }
}
