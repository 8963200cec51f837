//! Decimal digits in machine words, eight at a time: from text and to text.
//!
//! Owns: the arithmetic. Must not know: scales, decimal points.

/// Eight times `0`.
pub(super) const EIGHT_ZEROS: u64 = 0x3030_3030_3030_3030;

/// 10^8: what eight digits stay below.
pub(super) const EIGHT: u64 = 100_000_000;

/// Numbers below this have sixteen digits at most.
pub(super) const SIXTEEN_DIGITS: u64 = EIGHT * EIGHT;

/// Powers of ten up to 10^8.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, EIGHT];

/// The value of eight ASCII digits, the first in the lowest byte.
pub(super) fn digits_of(text: [u8; 8]) -> Option<u32> {
    match leading_digits(text) {
        (8, value) => u32::try_from(value).ok(),
        _ => None,
    }
}

/// How many digits eight bytes of text begin with, and their value.
#[inline]
pub(super) const fn leading_digits(text: [u8; 8]) -> (u32, u64) {
    // Digits become 0 to 9, and no other byte does.
    let values = u64::from_le_bytes(text) ^ EIGHT_ZEROS;
    // The highest bit of each byte that is ten or more: no sum passes its byte.
    let others = (((values & 0x7F7F_7F7F_7F7F_7F7F) + 0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() / 8;
    // As if zeros stood before the digits. Nothing is left of no digits.
    let word = if count == 0 { 0 } else { values << (64 - 8 * count) };
    // Neighbours are joined pairwise in one word, three times: 10·a + b, 100·a + b, 10,000·a + b.
    let pairs = word.wrapping_mul(2_561) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    (count, (fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32)
}

/// The first digits, at most 16, of a text as a number, and how many they are. `None`: there is none, or less than eight bytes follow.
#[inline]
pub(crate) fn whole_number(text: &[u8]) -> Option<(u64, usize)> {
    let (count, high) = leading_digits(*text.first_chunk()?);
    if count < 8 {
        return (count > 0).then_some((high, count as usize));
    }
    let (count, low) = leading_digits(*text.get(8..)?.first_chunk()?);
    Some((high * TENS.get(count as usize)? + low, 8 + count as usize))
}

/// Eight ASCII digits of a number below 10^8, the first in the lowest byte: the word is split in halves, three times. The divisions by 100 and by 10 are
/// multiplications that are exact for numbers below 10,000 and 100.
pub(super) const fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | (value % 10_000) << 32;
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x0000_007F_0000_007F;
    let pairs = hundreds | fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
    let tens = (pairs.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    EIGHT_ZEROS.wrapping_add(tens | pairs.wrapping_sub(tens.wrapping_mul(10)) << 8)
}

/// Leading `0`s of eight digits.
pub(super) const fn leading_zeros(digits: u64) -> u32 {
    (digits ^ EIGHT_ZEROS).trailing_zeros() / 8
}

/// All digits of a number below [`SIXTEEN_DIGITS`], the first in the lowest byte, and how many zeros they begin with.
pub(super) fn sixteen_digits(value: u64) -> (u128, u32) {
    let (high, low) = (eight_digits(value / EIGHT), eight_digits(value % EIGHT));
    let zeros = if high == EIGHT_ZEROS { 8 + leading_zeros(low) } else { leading_zeros(high) };
    (u128::from(high) | u128::from(low) << 64, zeros)
}

/// Appends the lowest bytes of a word: all of it, then cut, which is less than a call to copy a few bytes.
pub(super) fn append(word: u128, bytes: u32, out: &mut Vec<u8>) {
    let end = out.len() + bytes as usize;
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

/// Appends the decimal digits of a whole number.
pub fn integer(value: u64, out: &mut Vec<u8>) {
    if value >= SIXTEEN_DIGITS {
        integer(value / SIXTEEN_DIGITS, out);
        return append(sixteen_digits(value % SIXTEEN_DIGITS).0, 16, out);
    }
    let (digits, zeros) = sixteen_digits(value);
    let first = zeros.min(15); // zero has a digit too
    append(digits >> (8 * first), 16 - first, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_of_all_sizes_are_written(value in any::<u64>(), shift in 0u32..64) {
            for value in [value >> shift, SIXTEEN_DIGITS - 1, SIXTEEN_DIGITS, 0, 9, 10, u64::MAX] {
                let mut out = b"n".to_vec();
                integer(value, &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("n{value}"));
            }
        }

        #[test]
        fn as_many_digits_are_read_as_there_are(text in proptest::array::uniform8(prop_oneof![any::<u8>(), b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'])) {
            let digits: String = text.iter().copied().take_while(u8::is_ascii_digit).map(char::from).collect();
            let value = if digits.is_empty() { 0 } else { digits.parse().unwrap() };
            prop_assert_eq!(leading_digits(text), (u32::try_from(digits.len()).unwrap(), value));
            prop_assert_eq!(whole_number(&text), (!digits.is_empty() && digits.len() < 8).then_some((value, digits.len())));
            let longer = [b"00012345", &text[..], b"x"].concat();
            let whole: String = longer.iter().copied().take_while(u8::is_ascii_digit).map(char::from).collect();
            prop_assert_eq!(whole_number(&longer), Some((whole.parse().unwrap(), whole.len())));
            prop_assert_eq!(digits_of(text), (digits.len() == 8).then_some(u32::try_from(value).unwrap()));
        }
    }
}
