//! Prices and quantities as exact fixed-point numbers: an `i64` and a scale that belongs to the instrument.
//!
//! Owns: text to number and back, without loss and without floats. Must not know: what is being priced.
#![expect(clippy::indexing_slicing, reason = "tables and the digit buffer are indexed below bounds shown beside each use")]

mod digits;

use thiserror::Error;

pub use digits::integer;
pub(crate) use digits::whole_number;
use digits::{EIGHT, SIXTEEN_DIGITS, append, digits_of, eight_digits, leading_digits, leading_zeros, sixteen_digits};

/// A price in units of 10^-digits of the instrument's price [`Scale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

/// A quantity in units of 10^-digits of the instrument's quantity [`Scale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub i64);

/// How numbers of one instrument are held and printed.
///
/// `digits` decimals are held. On printing at least `shown` decimals appear; zeros past them are trimmed, missing ones are padded. So a venue that
/// always prints 8 decimals gets 8 back even when fewer are held (meme coins, whose quantities would not fit an `i64` at 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    digits: u8,
    shown: u8,
}

/// Why a text is not a number of a scale. Nothing is ever rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    /// Not a number as JSON writes them.
    #[error("not a decimal number")]
    NotADecimal,
    /// A digit other than zero past the held decimals.
    #[error("more decimals than the instrument's scale holds")]
    TooPrecise,
    /// Does not fit 64 bits at this scale.
    #[error("out of range at the instrument's scale")]
    OutOfRange,
}

/// Most decimals a scale can hold: 10^18 is the largest power of ten in an `i64`.
pub const MAX_DIGITS: u8 = 18;

/// Longest printed number: sign, 19 digits, point and up to [`MAX_DIGITS`] leading or padded zeros.
const TEXT_MAX: usize = 1 + 19 + 1 + 2 * MAX_DIGITS as usize;

/// Texts up to this length are read without a check at every digit.
const SHORT: usize = 19;

/// Room for a row of two quoted numbers: the second begins at place 22 at the latest (a bracket, 16 digits and a zero, point, two quotes, a comma), and
/// 34 bytes are written from there on.
const ROOM: usize = 64;

const POWERS: [i64; MAX_DIGITS as usize + 1] = powers();

// === impl Scale ===

impl Scale {
    /// Holds and shows `digits` decimals (at most [`MAX_DIGITS`]).
    pub const fn new(digits: u8) -> Self {
        let digits = if digits > MAX_DIGITS { MAX_DIGITS } else { digits };
        Self { digits, shown: digits }
    }

    /// The same held decimals, printed with at least `shown` of them.
    #[must_use]
    pub const fn showing(self, shown: u8) -> Self {
        Self { digits: self.digits, shown: if shown > MAX_DIGITS { MAX_DIGITS } else { shown } }
    }

    /// From a venue's step and maximum, as listed (`"0.00001000"`, `"9000.00000000"`): shows as many decimals as `step` is written with, holds as many
    /// of them as leave room for [`HEADROOM`](Self::HEADROOM) times `max`, but never fewer than `step` needs.
    ///
    /// Venues print finer quantities than their step now and then (a spot level of 244.56630400 BTC was seen at a step of 0.00001), so as many
    /// decimals are held as there is room for.
    pub fn from_listing(step: &str, max: &str) -> Result<Self, NumberError> {
        let shown = decimals_written(step).min(MAX_DIGITS);
        let needed = decimals_needed(step).min(MAX_DIGITS);
        Scale::new(needed).parse(step)?;
        let whole = max.split('.').next().unwrap_or("").len();
        let room = 18usize.saturating_sub(whole + Self::HEADROOM_DIGITS);
        let digits = u8::try_from(room).unwrap_or(MAX_DIGITS).min(shown).max(needed);
        Ok(Scale::new(digits).showing(shown))
    }

    /// A level may gather many orders: room for this many times the largest single order.
    pub const HEADROOM: u64 = 100;
    const HEADROOM_DIGITS: usize = 2;

    /// Decimals held.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// Decimals printed at least.
    pub const fn shown(self) -> u8 {
        self.shown
    }

    /// The number in units of 10^-digits; exact or an error.
    pub fn parse(self, text: &str) -> Result<i64, NumberError> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, bytes),
        };
        let magnitude = self.parse_digits(digits)?;
        Ok(if negative { -magnitude } else { magnitude })
    }

    fn parse_digits(self, text: &[u8]) -> Result<i64, NumberError> {
        match self.parse_short(text) {
            // Longer, or an exponent, or nothing of the kind.
            None => self.parse_long(text),
            Some(parsed) => parsed,
        }
    }

    /// `digits[.digits]` of at most [`SHORT`] bytes; `None`: another form.
    fn parse_short(self, text: &[u8]) -> Option<Result<i64, NumberError>> {
        if text.len() > SHORT {
            return None;
        }
        // Up to 19 digits are below 2^64: nothing here can overflow.
        let mut value: u64 = 0;
        let mut rest = text;
        let whole = loop {
            match rest.split_first() {
                Some((byte @ b'0'..=b'9', after)) => {
                    value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    rest = after;
                }
                Some((b'.', after)) => {
                    let digits = text.len() - rest.len();
                    rest = after;
                    break digits;
                }
                Some(_) => return None,
                None => break text.len(),
            }
        };
        if whole == 0 || whole + 1 == text.len() && text[whole] == b'.' {
            return None;
        }
        let decimals = rest.len();
        if let Some((eight, after)) = rest.split_first_chunk::<8>() {
            value = value.wrapping_mul(100_000_000).wrapping_add(u64::from(digits_of(*eight)?));
            rest = after;
        }
        for byte in rest {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        }
        let Ok(value) = i64::try_from(value) else { return Some(Err(NumberError::OutOfRange)) };
        // Both differences are below the table's length: a text this short has at most 17 decimals.
        Some(if let Some(missing) = usize::from(self.digits).checked_sub(decimals) {
            value.checked_mul(POWERS[missing]).ok_or(NumberError::OutOfRange)
        } else {
            let surplus = POWERS[decimals - usize::from(self.digits)];
            if value % surplus == 0 { Ok(value / surplus) } else { Err(NumberError::TooPrecise) }
        })
    }

    /// Reads `digits[.digits]"` at the beginning of a text, in one pass: the number, and what comes behind the quote. `None`: another form, or a number
    /// that is not exact at this scale; [`parse`](Self::parse) knows which.
    #[inline]
    pub(crate) fn read_quoted(self, text: &[u8]) -> Option<(i64, &[u8])> {
        let Some((value, decimals, rest)) = short_quoted(text) else { return self.read_quoted_long(text) };
        Some((self.exactly(value, decimals)?, rest))
    }

    /// The same of any length.
    #[cold]
    fn read_quoted_long(self, text: &[u8]) -> Option<(i64, &[u8])> {
        let (mut value, mut rest) = (0_u64, text);
        while let [byte @ b'0'..=b'9', after @ ..] = rest {
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            rest = after;
        }
        let whole = text.len() - rest.len();
        let mut decimals = 0;
        if let [b'.', fraction @ ..] = rest {
            rest = fraction;
            while let [byte @ b'0'..=b'9', after @ ..] = rest {
                value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                rest = after;
            }
            decimals = fraction.len() - rest.len();
            if decimals == 0 {
                return None;
            }
        }
        // Up to 19 digits are below 2^64: nothing above has overflowed then.
        let [b'"', rest @ ..] = rest else { return None };
        if whole == 0 || whole + decimals > SHORT {
            return None;
        }
        Some((self.exactly(i64::try_from(value).ok()?, decimals)?, rest))
    }

    /// A number of so many decimals, at most [`MAX_DIGITS`], at this scale.
    #[inline]
    fn exactly(self, value: i64, decimals: usize) -> Option<i64> {
        if let Some(missing) = usize::from(self.digits).checked_sub(decimals) {
            return value.checked_mul(POWERS[missing]);
        }
        let surplus = POWERS[decimals - usize::from(self.digits)];
        (value % surplus == 0).then_some(value / surplus)
    }

    fn parse_long(self, text: &[u8]) -> Result<i64, NumberError> {
        let mut value: i64 = 0;
        let mut digits = 0u32;
        let mut fraction: Option<u8> = None;
        for &byte in text {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    if let Some(seen) = &mut fraction {
                        if *seen >= self.digits {
                            if byte != b'0' {
                                return Err(NumberError::TooPrecise);
                            }
                            continue;
                        }
                        *seen += 1;
                    }
                    value = value.checked_mul(10).and_then(|v| v.checked_add(i64::from(byte - b'0'))).ok_or(NumberError::OutOfRange)?;
                }
                b'.' if fraction.is_none() && digits > 0 => fraction = Some(0),
                b'e' | b'E' => return self.parse_scientific(text),
                _ => return Err(NumberError::NotADecimal),
            }
        }
        if digits == 0 || text.last() == Some(&b'.') {
            return Err(NumberError::NotADecimal);
        }
        // `fraction` never passes `digits`, and `digits` never passes MAX_DIGITS, so the index is inside the table.
        let missing = usize::from(self.digits - fraction.unwrap_or(0));
        value.checked_mul(POWERS[missing]).ok_or(NumberError::OutOfRange)
    }

    /// Deribit's numbers are bare JSON and may have an exponent (`6.55e-6`): the point is moved in the text, so nothing is rounded on the way.
    #[cold]
    fn parse_scientific(self, text: &[u8]) -> Result<i64, NumberError> {
        let text = std::str::from_utf8(text).map_err(|_| NumberError::NotADecimal)?;
        let (mantissa, exponent) = text.split_once(['e', 'E']).ok_or(NumberError::NotADecimal)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let exponent: i32 = exponent.parse().map_err(|_| NumberError::NotADecimal)?;
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(NumberError::NotADecimal);
        }
        // Past this distance every number but zero is out of range or too precise, and the plain text says so by itself.
        let shift = usize::try_from(exponent.unsigned_abs().min(64)).unwrap_or(64);
        let zeros = "0".repeat(shift);
        let (digits, point) = if exponent < 0 {
            (format!("{zeros}{whole}{fraction}"), whole.len())
        } else {
            (format!("{whole}{fraction}{zeros}"), whole.len() + shift)
        };
        let (before, after) = digits.split_at(point);
        self.parse_digits(format!("{before}.{after}").as_bytes())
    }

    /// Appends the exact decimal text of `value`.
    pub fn write(self, value: i64, out: &mut Vec<u8>) {
        let magnitude = value.unsigned_abs();
        if magnitude >= SIXTEEN_DIGITS || self.digits >= 16 || self.digits > self.shown {
            return self.write_long(value, out);
        }
        let (word, zeros) = sixteen_digits(magnitude);
        let point = 16 - u32::from(self.digits);
        let first = zeros.min(point - 1); // at least one digit before the point
        if value < 0 {
            out.push(b'-');
        }
        append(word >> (8 * first), point - first, out);
        if self.shown > 0 {
            out.push(b'.');
        }
        if self.digits > 0 {
            append(word >> (8 * point), 16 - point, out);
        }
        for _ in self.digits..self.shown {
            out.push(b'0');
        }
    }

    fn write_long(self, value: i64, out: &mut Vec<u8>) {
        let mut buffer = [b'0'; TEXT_MAX];
        let mut at = TEXT_MAX;
        let mut rest = value.unsigned_abs();
        let mut decimals = self.digits;
        while decimals > self.shown && rest.is_multiple_of(10) {
            rest /= 10;
            decimals -= 1;
        }
        at -= usize::from(self.shown.saturating_sub(decimals)); // padding: the buffer is zeros
        let point = decimals.max(self.shown) > 0;
        for _ in 0..decimals {
            at -= 1;
            buffer[at] = digit(rest);
            rest /= 10;
        }
        if point {
            at -= 1;
            buffer[at] = b'.';
        }
        loop {
            at -= 1;
            buffer[at] = digit(rest);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            buffer[at] = b'-';
        }
        out.extend_from_slice(&buffer[at..]);
    }

    /// Puts `"number"` into `room` from place `at` (22 at most) on: where it ends. `None`: it is not of the plain form, as many digits shown as held.
    fn quote(self, value: i64, room: &mut [u8; ROOM], at: usize) -> Option<usize> {
        let (digits, magnitude) = (usize::from(self.digits), value.unsigned_abs());
        if value < 0 || magnitude >= SIXTEEN_DIGITS || self.digits != self.shown {
            return None;
        }
        let (whole, end) = match digits {
            // Nearly all of spot: the two words are what stands before the point and behind it.
            8 => {
                let (high, low) = (eight_digits(magnitude / EIGHT), eight_digits(magnitude % EIGHT));
                let first = leading_zeros(high).min(7); // at least one digit before the point
                let whole = 8 - first as usize;
                room[at + 1..at + 9].copy_from_slice(&(high >> (8 * first)).to_le_bytes());
                room[at + 2 + whole..at + 10 + whole].copy_from_slice(&low.to_le_bytes());
                (whole, at + 10 + whole)
            }
            1..16 => {
                let (word, zeros) = sixteen_digits(magnitude);
                let point = 16 - u32::from(self.digits);
                let first = zeros.min(point - 1);
                let whole = (point - first) as usize;
                room[at + 1..at + 17].copy_from_slice(&(word >> (8 * first)).to_le_bytes());
                room[at + 2 + whole..at + 18 + whole].copy_from_slice(&(word >> (8 * point)).to_le_bytes());
                (whole, at + 2 + whole + digits)
            }
            _ => return None,
        };
        room[at] = b'"';
        room[at + 1 + whole] = b'.';
        room[end] = b'"';
        Some(end + 1)
    }

    /// The exact decimal text of `value`; for logs and tests, [`write`](Self::write) does not allocate.
    pub fn text(self, value: i64) -> String {
        let mut out = Vec::with_capacity(24);
        self.write(value, &mut out);
        out.into_iter().map(char::from).collect()
    }
}

/// Appends `"number"`.
pub(crate) fn write_quoted(scale: Scale, value: i64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[b'"'; ROOM]);
    let end = out.last_chunk_mut().and_then(|room| scale.quote(value, room, 0));
    out.truncate(start + end.unwrap_or(0));
    if end.is_none() {
        write_quoted_long(scale, value, out);
    }
}

/// Appends `["price","quantity"],`.
pub(crate) fn write_row((first, second): (Scale, Scale), (one, two): (i64, i64), out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[b'"'; ROOM]);
    let both = |room: &mut [u8; ROOM]| {
        room[0] = b'[';
        let end = first.quote(one, room, 1)?;
        room[end] = b',';
        let end = second.quote(two, room, end + 1)?;
        room[end..end + 2].copy_from_slice(b"],");
        Some(end + 2)
    };
    if let Some(end) = out.last_chunk_mut().and_then(both) {
        return out.truncate(start + end);
    }
    out.truncate(start);
    out.push(b'[');
    write_quoted(first, one, out);
    out.push(b',');
    write_quoted(second, two, out);
    out.extend_from_slice(b"],");
}

#[cold]
fn write_quoted_long(scale: Scale, value: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    scale.write(value, out);
    out.push(b'"');
}

/// Reads `digits[.digits]"` of seven and eight digits at most: all digits as a number, how many of them are decimals, and what comes behind the quote.
#[inline]
fn short_quoted(text: &[u8]) -> Option<(i64, usize, &[u8])> {
    let (whole, value) = leading_digits(*text.first_chunk()?);
    match text.get(whole as usize..)? {
        [b'.', fraction @ ..] if whole > 0 && whole < 8 => {
            let (decimals, digits) = leading_digits(*fraction.first_chunk()?);
            let decimals = decimals as usize;
            let [b'"', rest @ ..] = fraction.get(decimals..)? else { return None };
            // Fifteen digits at most: nothing wraps.
            let value = value.cast_signed().wrapping_mul(POWERS[decimals]).wrapping_add(digits.cast_signed());
            (decimals > 0).then_some((value, decimals, rest))
        }
        [b'"', rest @ ..] if whole > 0 => Some((value.cast_signed(), 0, rest)),
        _ => None,
    }
}

const fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

const fn powers() -> [i64; MAX_DIGITS as usize + 1] {
    let mut table = [1i64; MAX_DIGITS as usize + 1];
    let mut i = 1;
    while i < table.len() {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
}

fn decimals_written(text: &str) -> u8 {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    u8::try_from(fraction.len()).unwrap_or(u8::MAX)
}

pub(crate) fn decimals_needed(text: &str) -> u8 {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction).trim_end_matches('0');
    u8::try_from(fraction.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_up_to_its_quote_is_the_number_or_left_to_the_other_reader() {
        for (digits, text, expected) in [
            (8, "61737.63000000\",rest", Some(6_173_763_000_000)),
            (2, "61737.63000000\",rest", Some(6_173_763)),
            (2, "61737.63100000\",rest", None),
            (0, "7\",rest", Some(7)),
            (3, "0.5\",rest", Some(500)),
            (8, "0.123456789\",rest", None),
            (8, "0.1234567800\",rest", Some(12_345_678)),
            (0, "9223372036854775807\",rest", Some(i64::MAX)),
            (0, "9223372036854775808\",rest", None),
            (0, "18446744073709551617\",rest", None),
            (2, "1.\",rest", None),
            (2, ".5\",rest", None),
            (2, "-1\",rest", None),
            (2, "1e3\",rest", None),
            (2, "1", None),
            (2, "", None),
        ] {
            assert_eq!(Scale::new(digits).read_quoted(text.as_bytes()), expected.map(|value| (value, &b",rest"[..])), "{text}");
        }
    }

    #[test]
    fn texts_of_venues_come_back_as_they_were() {
        // (digits held, decimals shown, text): spot pads to 8, futures prints its own precision, OKX prints no padding.
        let rows: [(u8, u8, &str); 12] = [
            (8, 8, "61737.63000000"),
            (8, 8, "0.00000000"),
            (2, 2, "61510.90"),
            (3, 3, "0.000"),
            (2, 8, "123456789012345.67000000"),
            (0, 8, "9223372036854775807.00000000"),
            (1, 0, "8477"),
            (2, 0, "8476.98"),
            (2, 0, "8476.9"),
            (18, 18, "0.000000000000000001"),
            (0, 0, "0"),
            (4, 2, "-12.50"),
        ];
        for (digits, shown, text) in rows {
            let scale = Scale::new(digits).showing(shown);
            let value = scale.parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(scale.text(value), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_never_rounded() {
        let rows: [(u8, &str, NumberError); 21] = [
            (2, "1.001", NumberError::TooPrecise),
            (8, "92233720368.54775808", NumberError::OutOfRange),
            (8, "1000000000000.0", NumberError::OutOfRange),
            (0, "99999999999999999999999", NumberError::OutOfRange),
            (2, "", NumberError::NotADecimal),
            (2, "-", NumberError::NotADecimal),
            (2, ".", NumberError::NotADecimal),
            (2, ".5", NumberError::NotADecimal),
            (2, "5.", NumberError::NotADecimal),
            (2, "1.2.3", NumberError::NotADecimal),
            (2, "1e-3", NumberError::TooPrecise),
            (2, "1e-99999", NumberError::TooPrecise),
            (2, "1e99999", NumberError::OutOfRange),
            (2, "1e", NumberError::NotADecimal),
            (2, "e5", NumberError::NotADecimal),
            (2, "1.e5", NumberError::NotADecimal),
            (2, "1e5e5", NumberError::NotADecimal),
            (2, "1e99999999999", NumberError::NotADecimal),
            (2, "+1", NumberError::NotADecimal),
            (2, " 1", NumberError::NotADecimal),
            (2, "NaN", NumberError::NotADecimal),
        ];
        for (digits, text, error) in rows {
            assert_eq!(Scale::new(digits).parse(text), Err(error), "{text} at {digits}");
        }
        assert_eq!(Scale::new(2).parse("1.000000"), Ok(100), "zeros past the scale are no digits lost");
    }

    #[test]
    fn exponents_are_read_exactly() {
        let rows = [("6.55e-6", 655), ("1e5", 10_000_000_000_000), ("-1.25E+1", -1_250_000_000), ("0e-400", 0), ("0.0e9999", 0), ("12e-8", 12)];
        for (text, value) in rows {
            assert_eq!(Scale::new(8).parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_listing_decides_the_scale_and_leaves_room_for_many_orders() {
        // (step, max, digits, shown): BTC, a meme coin whose levels pass 9.2e10, futures.
        let rows = [
            ("0.00001000", "9000.00000000", 8, 8),
            ("1.00", "92141578736.00", 2, 2),
            ("1.00000000", "92141578736.00000000", 5, 8),
            ("0.00000001", "92141578736.00000000", 8, 8),
            ("0.10", "4529764", 2, 2),
            ("1", "1000000000", 0, 0),
        ];
        for (step, max, digits, shown) in rows {
            let scale = Scale::from_listing(step, max).unwrap();
            assert_eq!((scale.digits(), scale.shown()), (digits, shown), "{step} {max}");
        }
        let meme = Scale::from_listing("1.00000000", "92141578736.00000000").unwrap();
        assert!(meme.parse("9214157873600.00000000").is_ok(), "100 of the largest orders in one level");
        assert!(Scale::from_listing("x", "1").is_err());
    }

    proptest! {
        /// What is written in quotes is what is written, and is read back in one pass.
        #[test]
        fn quoted_numbers_are_the_numbers(value in any::<i64>(), shift in 0u32..63, digits in 0u8..19, shown in 0u8..19) {
            let (scale, value) = (Scale::new(digits).showing(shown), value >> shift);
            let (mut plain, mut quoted) = (Vec::new(), Vec::new());
            scale.write(value, &mut plain);
            write_quoted(scale, value, &mut quoted);
            prop_assert_eq!(&quoted[1..quoted.len() - 1], &plain[..]);
            prop_assert_eq!((quoted[0], quoted[quoted.len() - 1]), (b'"', b'"'));
            if let Some((read, rest)) = scale.read_quoted(&quoted[1..]) {
                prop_assert_eq!((read, rest.len()), (value, 0));
            }
        }
        /// The short ways and the long ones are the same.
        #[test]
        fn both_ways_write_and_read_the_same(value in any::<i64>(), small in -2_000_000i64..2_000_000, digits in 0u8..=18, shown in 0u8..=18, text in "-?[0-9.]{0,24}") {
            let scale = Scale::new(digits).showing(shown);
            for value in [value, value / 1_000, value / 1_000_000_000, small] {
                let (mut short, mut long) = (Vec::new(), Vec::new());
                scale.write(value, &mut short);
                scale.write_long(value, &mut long);
                prop_assert_eq!(short, long);
            }
            let digits = text.trim_start_matches('-').as_bytes();
            // Where a text is wrong in two ways, which of them is told may differ.
            prop_assert_eq!(scale.parse_digits(digits).ok(), scale.parse_long(digits).ok());
        }

        #[test]
        fn every_value_survives_print_and_parse(value in any::<i64>(), digits in 0u8..=18, shown in 0u8..=18) {
            prop_assume!(value != i64::MIN);
            let scale = Scale::new(digits).showing(shown);
            prop_assert_eq!(scale.parse(&scale.text(value)), Ok(value));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", digits in 0u8..=18) {
            let _ = Scale::new(digits).parse(&text);
        }
    }
}
