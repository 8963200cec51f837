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
    /// Bytes that are not yet wholly in the window.
    rest: &'a [u8],
    /// The next bits, highest first.
    window: u64,
    /// How many bits of the window count; those behind them are either zero or what follows.
    valid: u32,
}

/// Bytes that are made room for at least.
const LEAST_ROOM: usize = 16;

/// The most bits that are in the window after a refill, as long as there are any.
const WINDOW_BITS: u32 = 56;

// === impl BitWriter ===

impl BitWriter {
    /// Appends the lowest `bits` bits of `value`, 64 at the most.
    pub(super) fn push(&mut self, value: u64, bits: u32) {
        if bits == 0 {
            return;
        }
        // As they will stand behind what is there: the first that are free in the last byte, then whole bytes.
        let aligned = value << (64 - bits);
        let fitting = bits.min(self.free);
        if fitting > 0
            && let Some(last) = self.bytes.last_mut()
        {
            let [first, ..] = (aligned >> (8 - self.free)).to_be_bytes();
            *last |= first;
            self.free -= fitting;
        }
        let left = bits - fitting;
        if left > 0 {
            let bytes = left.div_ceil(8);
            self.make_room(bytes as usize);
            self.bytes.extend((aligned << fitting).to_be_bytes().into_iter().take(bytes as usize));
            self.free = bytes * 8 - left;
        }
    }

    /// Grows by a quarter: there are as many of these as series, and what a series will need is not known.
    fn make_room(&mut self, bytes: usize) {
        if self.bytes.capacity() - self.bytes.len() < bytes {
            self.bytes.reserve_exact((self.bytes.len() / 4).max(LEAST_ROOM).max(bytes));
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

#[expect(clippy::inline_always, reason = "the state stays in registers while a chunk is read: half of what reading costs")]
impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, window: 0, valid: 0 }
    }

    /// The next `bits` bits (1 to 64); none when fewer are left.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) -> Option<u64> {
        if bits > WINDOW_BITS {
            let low = bits - WINDOW_BITS;
            return Some(self.take_short(WINDOW_BITS)? << low | self.take_short(low)?);
        }
        self.take_short(bits)
    }

    #[inline(always)]
    pub(super) fn take_bit(&mut self) -> Option<bool> {
        self.take_short(1).map(|bit| bit == 1)
    }

    #[inline(always)]
    fn take_short(&mut self, bits: u32) -> Option<u64> {
        if self.valid < bits {
            self.refill();
            if self.valid < bits {
                return None;
            }
        }
        let value = self.window >> (64 - bits);
        self.window <<= bits;
        self.valid -= bits;
        Some(value)
    }

    #[inline]
    fn refill(&mut self) {
        if let Some(eight) = self.rest.first_chunk() {
            // As many whole bytes as fit count; the bits behind them come again with the next refill.
            let bytes = (63 - self.valid) / 8;
            self.window |= u64::from_be_bytes(*eight) >> self.valid;
            self.valid += bytes * 8;
            self.rest = self.rest.get(bytes as usize..).unwrap_or_default();
            return;
        }
        while self.valid <= WINDOW_BITS
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.window |= u64::from(*byte) << (WINDOW_BITS - self.valid);
            self.valid += 8;
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_read_as_they_were_written(parts in prop::collection::vec((any::<u64>(), 1..=64_u32), 0..60)) {
            let mut writer = BitWriter::default();
            for (value, bits) in &parts {
                writer.push(*value, *bits);
            }
            let mut reader = BitReader::new(writer.bytes());
            for (value, bits) in &parts {
                prop_assert_eq!(reader.take(*bits), Some(value << (64 - bits) >> (64 - bits)));
            }
            let padding = (8 - parts.iter().map(|(_, bits)| bits).sum::<u32>() % 8) % 8;
            for _ in 0..padding {
                prop_assert_eq!(reader.take_bit(), Some(false));
            }
            prop_assert_eq!(reader.take_bit(), None);
        }
    }
}
