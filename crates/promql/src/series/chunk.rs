//! Samples of one series, compressed: time as delta of delta, value as XOR with the one before ("Gorilla: A Fast, Scalable, In-Memory Time Series
//! Database", Pelkonen et al., VLDB 2015). A steady series costs two bits a sample. Must not know: series, order rules.
use super::bits::{BitReader, BitWriter};
use crate::{Asked, Sample, Wanted, is_stale};

/// Samples after which a chunk is sealed, as in Prometheus.
pub(super) const CHUNK_SAMPLES: u16 = 120;

/// Signed widths of a delta of delta, in milliseconds: jitter of a scrape, a few seconds, hours, anything. Each is marked by one more `1` bit.
const TIME_WIDTHS: [u32; 4] = [8, 14, 26, 64];

/// A sealed chunk; never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) count: u16,
    /// The number of the cut it belongs to; 0 when it came from the disk.
    pub(super) cut: u32,
    pub(super) bits: Box<[u8]>,
}

/// A chunk being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    bits: BitWriter,
    count: u16,
    start_ms: i64,
    state: State,
}

/// What the next sample is coded against.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    t_ms: i64,
    delta: i64,
    value: u64,
    /// The bits of the last XOR that was written out: `leading` zeros, then `width` bits; no width before the first.
    leading: u32,
    width: u32,
}

/// The samples of a chunk, oldest first. Ends early when the bits do (which [`Chunk`]s of a store never do).
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    bits: BitReader<'a>,
    left: u16,
    first: bool,
    state: State,
}

// === impl Chunk ===

impl Chunk {
    /// Time of the oldest sample, unix milliseconds.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// Time of the newest sample, unix milliseconds.
    pub fn end_ms(&self) -> i64 {
        self.end_ms
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its samples, oldest first.
    pub fn samples(&self) -> Samples<'_> {
        Samples::new(&self.bits, self.count)
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        // The reference counts in front of it and the pointer to it.
        self.bits.len() + size_of::<Self>() + 3 * size_of::<usize>()
    }
}

// === impl Head ===

impl Head {
    pub(super) fn push(&mut self, sample: Sample) {
        let State { t_ms, delta, value, .. } = self.state;
        let new_value = sample.v.to_bits();
        if self.count == 0 {
            self.start_ms = sample.t_ms;
            self.bits.push(sample.t_ms.cast_unsigned(), 64);
            self.bits.push(new_value, 64);
        } else {
            let new_delta = sample.t_ms.wrapping_sub(t_ms);
            self.push_time(new_delta.wrapping_sub(delta));
            self.state.delta = new_delta;
            self.push_value(value ^ new_value);
        }
        self.state.t_ms = sample.t_ms;
        self.state.value = new_value;
        self.count += 1;
    }

    fn push_time(&mut self, delta_of_delta: i64) {
        if delta_of_delta == 0 {
            return self.bits.push(0, 1);
        }
        for (ones, width) in (1..).zip(TIME_WIDTHS) {
            // As many ones as the place of the width, then a zero unless it is the last.
            let mark = (1 << ones) - 1;
            if width == 64 {
                self.bits.push(mark, ones);
                return self.bits.push(delta_of_delta.cast_unsigned(), width);
            }
            if (delta_of_delta >> (width - 1) == 0) || (delta_of_delta >> (width - 1) == -1) {
                let low = delta_of_delta.cast_unsigned() & ((1 << width) - 1);
                return self.bits.push(mark << (width + 1) | low, ones + 1 + width);
            }
        }
    }

    fn push_value(&mut self, xor: u64) {
        if xor == 0 {
            return self.bits.push(0, 1);
        }
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        let State { leading: old_leading, width: old_width, .. } = self.state;
        let old_trailing = 64 - old_leading - old_width;
        if old_width > 0 && leading >= old_leading && trailing >= old_trailing {
            return self.push_marked((0b10, 2), (xor >> old_trailing, old_width));
        }
        let width = 64 - leading - trailing;
        let window = u64::from(0b11_u8) << 11 | u64::from(leading) << 6 | u64::from(width - 1);
        self.push_marked((window, 13), (xor >> trailing, width));
        (self.state.leading, self.state.width) = (leading, width);
    }

    /// A mark and what it tells of, at once if they fit together.
    fn push_marked(&mut self, (mark, mark_width): (u64, u32), (value, width): (u64, u32)) {
        if mark_width + width <= 64 {
            return self.bits.push(mark << width | value, mark_width + width);
        }
        self.bits.push(mark, mark_width);
        self.bits.push(value, width);
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= CHUNK_SAMPLES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Times of the oldest and the newest sample; meaningless when empty.
    pub(super) fn span_ms(&self) -> (i64, i64) {
        (self.start_ms, self.state.t_ms)
    }

    /// Time of the sample before the newest.
    pub(super) fn second_newest_ms(&self) -> Option<i64> {
        (self.count > 1).then(|| self.state.t_ms.wrapping_sub(self.state.delta))
    }

    pub(super) fn samples(&self) -> Samples<'_> {
        Samples::new(self.bits.bytes(), self.count)
    }

    /// What it holds as a sealed chunk of the cut with this number.
    pub(super) fn to_chunk(&self, cut: u32) -> Chunk {
        Chunk { start_ms: self.start_ms, end_ms: self.state.t_ms, count: self.count, cut, bits: self.bits.bytes().into() }
    }

    /// Bytes of memory held beside the struct.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bits.capacity()
    }
}

// === impl Samples ===

#[expect(clippy::inline_always, reason = "the state stays in registers while a chunk is read: half of what reading costs")]
impl<'a> Samples<'a> {
    fn new(bytes: &'a [u8], count: u16) -> Self {
        Self { bits: BitReader::new(bytes), left: count, first: true, state: State::default() }
    }

    /// Appends those in `(start_ms, end_ms]`; whether none lies behind that.
    pub(super) fn read_into(self, asked: &Asked<'_>, out: &mut Vec<Sample>) -> bool {
        let stale_too = asked.wanted == Wanted::All;
        for sample in self {
            if sample.t_ms > asked.end_ms {
                return false;
            }
            if sample.t_ms > asked.start_ms && (stale_too || !is_stale(sample.v)) {
                out.push(sample);
            }
        }
        true
    }

    #[inline(always)]
    fn read(&mut self) -> Option<Sample> {
        if self.first {
            self.read_first()?;
        } else {
            self.state.delta = self.state.delta.wrapping_add(if self.bits.take_bit()? { self.read_changed_time()? } else { 0 });
            self.state.t_ms = self.state.t_ms.wrapping_add(self.state.delta);
            self.state.value ^= if self.bits.take_bit()? { self.read_changed_value()? } else { 0 };
        }
        Some(Sample { t_ms: self.state.t_ms, v: f64::from_bits(self.state.value) })
    }

    fn read_first(&mut self) -> Option<()> {
        self.first = false;
        self.state.t_ms = self.bits.take(64)?.cast_signed();
        self.state.value = self.bits.take(64)?;
        Some(())
    }

    fn read_changed_time(&mut self) -> Option<i64> {
        for width in TIME_WIDTHS {
            if width == 64 || !self.bits.take_bit()? {
                let unused = 64 - width;
                return Some((self.bits.take(width)? << unused).cast_signed() >> unused);
            }
        }
        None
    }

    #[inline(always)]
    fn read_changed_value(&mut self) -> Option<u64> {
        if self.bits.take_bit()? {
            let window = self.bits.take(11)?;
            self.state.leading = u32::try_from(window >> 6).ok()?;
            self.state.width = u32::try_from(window & 63).ok()? + 1;
        }
        // Only damaged bits ask for more than 64, or for a window before there was one.
        let trailing = 64_u32.checked_sub(self.state.leading + self.state.width).filter(|trailing| *trailing < 64)?;
        Some(self.bits.take(self.state.width)? << trailing)
    }
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    #[inline]
    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        let sample = self.read();
        if sample.is_none() {
            self.left = 0;
        }
        sample
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coded(samples: &[Sample]) -> Head {
        let mut head = Head::default();
        for sample in samples {
            head.push(*sample);
        }
        head
    }

    #[test]
    fn a_steady_series_costs_two_bits_a_sample() {
        let samples: Vec<_> = (0..120).map(|at| Sample { t_ms: 1_700_000_000_000 + at * 5_000, v: 97.0 }).collect();
        assert!(coded(&samples).to_chunk(1).bits.len() <= 16 + 6 + 30, "{}", coded(&samples).to_chunk(1).bits.len());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            steps in prop::collection::vec((prop_oneof![Just(5_000_i64), 4_900..5_100_i64, 1..20_000_000_i64, any::<i64>()],
                prop_oneof![Just(0_u64), (0..9_u8).prop_map(|n| f64::from(n).to_bits()), any::<u64>()]), 0..130),
            start in prop_oneof![Just(1_700_000_000_000_i64), any::<i64>()],
        ) {
            let mut t_ms = start;
            let samples: Vec<_> = steps.into_iter().map(|(step, bits)| { t_ms = t_ms.wrapping_add(step); Sample { t_ms, v: f64::from_bits(bits) } }).collect();
            let chunk = coded(&samples).to_chunk(1);
            let bits = |samples: Vec<Sample>| samples.into_iter().map(|sample| (sample.t_ms, sample.v.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(chunk.samples().collect()), bits(samples));
        }

        #[test]
        fn damaged_bits_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in any::<u16>()) {
            prop_assert!(Samples::new(&bytes, count).count() <= usize::from(count));
        }
    }
}
