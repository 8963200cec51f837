//! Inputs made from other inputs. Must not know: what they are for.

/// A maker of inputs; the same number gives the same ones.
#[derive(Debug)]
pub(crate) struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

/// Numbers at which readers stumble.
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1e308",
    "-1e-320",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "NaN",
    "Inf",
    "0x1p-3",
];

/// Bytes at which readers stumble.
const BYTES: [u8; 12] = [0, 1, 9, 10, 13, 32, 34, 92, 127, 128, 192, 255];

// === impl Mutator ===

impl Mutator {
    pub(crate) fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self { state: seed, words }
    }

    /// An input of at most `longest` bytes, from one of the corpus, or two.
    pub(crate) fn next(&mut self, corpus: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let mut input = self.one_of(corpus).cloned().unwrap_or_default();
        for _ in 0..=self.below(5) {
            self.mutate(&mut input, corpus);
        }
        input.truncate(longest);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.short()).min(input.len());
        match self.below(11) {
            0 => {
                let bit = self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let new = self.one_of(&BYTES).copied().unwrap_or(0);
                if let Some(byte) = input.get_mut(at) {
                    *byte = new;
                }
            }
            2 | 3 => {
                let word = self.one_of(self.words).copied().unwrap_or("");
                input.splice(at..at, word.bytes());
            }
            4 => {
                let word = self.one_of(self.words).copied().unwrap_or("");
                input.splice(at..end.max(at), word.bytes());
            }
            5 => drop(input.drain(at..end.max(at))),
            6 => {
                let part = input.get(at..end.max(at)).unwrap_or_default().to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, part);
            }
            7 => {
                // Depth and length: what is bounded must bite.
                let part = input.get(at..end.max(at)).unwrap_or_default().to_vec();
                let times = 1 << self.below(11);
                input.splice(at..at, part.repeat(times));
            }
            8 => {
                let other = self.one_of(corpus).cloned().unwrap_or_default();
                let from = self.below(other.len() + 1);
                let tail = other.get(from..).unwrap_or_default();
                input.truncate(at);
                input.extend(tail);
            }
            9 => self.renumber(input, at),
            _ => input.truncate(at),
        }
    }

    /// Puts another number in the place of the first one from `at` on.
    fn renumber(&mut self, input: &mut Vec<u8>, at: usize) {
        let rest = input.get(at..).unwrap_or_default();
        let Some(digit) = rest.iter().position(u8::is_ascii_digit) else { return };
        let digits = rest.iter().skip(digit).take_while(|byte| byte.is_ascii_digit()).count();
        let number = self.one_of(&NUMBERS).copied().unwrap_or("0");
        input.splice(at + digit..at + digit + digits, number.bytes());
    }

    /// A length: mostly a few bytes, at times many.
    fn short(&mut self) -> usize {
        let bits = self.below(8);
        self.below(1 << bits)
    }

    fn one_of<'c, T>(&mut self, choices: &'c [T]) -> Option<&'c T> {
        let at = self.below(choices.len());
        choices.get(at)
    }

    /// A number below `bound`, 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = (u128::from(z ^ (z >> 31)) * bound as u128) >> 64;
        usize::try_from(drawn).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gives_the_same_inputs_each_time_and_none_is_too_long() {
        let corpus = vec![b"rate(up[5m]) > 0.5".to_vec(), b"sum by (job) (x)".to_vec()];
        let make = |seed| {
            let mut mutator = Mutator::new(seed, &["(", "by"]);
            (0..2_000).map(|_| mutator.next(&corpus, 300)).collect::<Vec<_>>()
        };
        let inputs = make(7);
        assert_eq!(inputs, make(7));
        assert_ne!(inputs, make(8));
        assert!(inputs.iter().all(|input| input.len() <= 300));
        let distinct: std::collections::BTreeSet<_> = inputs.iter().collect();
        assert!(distinct.len() > 1_500, "{}", distinct.len());
    }
}
