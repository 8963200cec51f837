//! Writing and reading single bits, highest first. Must not know: what they mean.

/// Bits written so far.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are still free.
    free: u32,
}

/// A position in written bits.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits already read.
    at: usize,
}

// === impl BitWriter ===

impl BitWriter {
    /// Appends the lowest `bits` bits of `value`.
    pub(super) fn push(&mut self, value: u64, bits: u32) {
        let mut left = bits;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let step = left.min(self.free);
            left -= step;
            self.free -= step;
            let part = (value >> left) & ((1 << step) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::try_from(part << self.free).unwrap_or(0);
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory held.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

// === impl BitReader ===

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `bits` bits (1 to 64); none when fewer are left.
    pub(super) fn take(&mut self, bits: u32) -> Option<u64> {
        let end = self.at + bits as usize;
        if end > self.bytes.len() * 8 {
            return None;
        }
        let from = self.bytes.get(self.at / 8..)?;
        let skipped = u32::try_from(self.at % 8).ok()?;
        self.at = end;
        // Eight bytes hold all of it, unless it is long and begins within a byte: then the ninth has the rest.
        let window = from.first_chunk().map_or_else(|| padded(from), |eight| u64::from_be_bytes(*eight));
        let value = (window << skipped) >> (64 - bits);
        let beyond = (skipped + bits).saturating_sub(64);
        let rest = if beyond > 0 { u64::from(*from.get(8)?) >> (8 - beyond) } else { 0 };
        Some(value | rest)
    }

    pub(super) fn take_bit(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }
}

/// Fewer than eight bytes, zeros after them.
fn padded(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    for (to, from) in eight.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_be_bytes(eight)
}
