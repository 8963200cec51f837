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

    /// The next `bits` bits (at most 64); none when fewer are left.
    pub(super) fn take(&mut self, bits: u32) -> Option<u64> {
        let mut value = 0;
        let mut left = bits;
        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.at / 8)?);
            let unread = 8 - u32::try_from(self.at % 8).ok()?;
            let step = left.min(unread);
            let part = (byte >> (unread - step)) & ((1 << step) - 1);
            value = (value << step) | part;
            left -= step;
            self.at += step as usize;
        }
        Some(value)
    }

    pub(super) fn take_bit(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }
}
