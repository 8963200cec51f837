//! The series notation of rule tests: `1+1x3 _ stale NaN 7x2` (Prometheus documentation, "Unit testing for rules").
//!
//! Owns: turning that text into points. Must not know: intervals and times; a point is its place in the list.
use crate::STALE_NAN_BITS;
use crate::parse::Span;

/// The most points one text may expand to.
pub const MAX_POINTS: usize = 1_000_000;

/// What is wrong with a notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// An item that is none of the forms.
    #[error("{item:?} is not a series item: expected a number, _, stale, axN, a+bxN, a-bxN or _xN")]
    BadItem {
        /// As written.
        item: String,
        /// Where, in bytes.
        span: Span,
    },
    /// A native histogram.
    #[error("native histograms are not kept here")]
    NativeHistogram {
        /// Where, in bytes.
        span: Span,
    },
    /// More points than [`MAX_POINTS`].
    #[error("the series has more than {MAX_POINTS} points")]
    TooLong {
        /// Where, in bytes.
        span: Span,
    },
}

/// Expands the notation: one entry per interval, `None` for a gap; a stale marker is the value with [`STALE_NAN_BITS`].
///
/// # Errors
/// The first item that is wrong.
pub fn expand(text: &str) -> Result<Vec<Option<f64>>, NotationError> {
    let mut points = Vec::new();
    let mut from = 0;
    for item in text.split_ascii_whitespace() {
        let start = text.get(from..).and_then(|rest| rest.find(item)).map_or(from, |at| from + at);
        let span = Span::new(start, start + item.len());
        from = span.end;
        if item.starts_with("{{") {
            return Err(NotationError::NativeHistogram { span });
        }
        let item = parse_item(item).ok_or_else(|| NotationError::BadItem { item: item.chars().take(40).collect(), span })?;
        if item.points > MAX_POINTS.saturating_sub(points.len()) {
            return Err(NotationError::TooLong { span });
        }
        item.push_to(&mut points);
    }
    Ok(points)
}

/// `first`, `first + step`, … for `points` points; gaps when there is no first.
#[derive(Debug, PartialEq)]
struct Item {
    first: Option<f64>,
    step: f64,
    points: usize,
}

// === impl Item ===

impl Item {
    fn push_to(&self, points: &mut Vec<Option<f64>>) {
        let mut value = self.first;
        for _ in 0..self.points {
            points.push(value);
            // Added up one by one, as Prometheus does: the rounding errors are part of the expected values. A stale marker must keep its bits.
            if self.step != 0.0 {
                value = value.map(|value| value + self.step);
            }
        }
    }
}

fn parse_item(item: &str) -> Option<Item> {
    if let Some(gap) = item.strip_prefix('_') {
        let points = if gap.is_empty() { 1 } else { gap.strip_prefix('x')?.parse().ok()? };
        return Some(Item { first: None, step: 0.0, points });
    }
    if let Some(word) = word(item) {
        return Some(Item { first: Some(word), step: 0.0, points: 1 });
    }
    let Some((value, times)) = item.rsplit_once('x') else {
        return Some(Item { first: Some(signed(item)?), step: 0.0, points: 1 });
    };
    // The value itself comes before its repetitions.
    let points = times.parse::<usize>().ok()?.saturating_add(1);
    if let Some(first) = signed(value) {
        return Some(Item { first: Some(first), step: 0.0, points });
    }
    let at = value.char_indices().skip(1).find(|(at, c)| matches!(c, '+' | '-') && !value.get(..*at).is_some_and(ends_in_exponent))?.0;
    let (first, step) = value.split_at_checked(at)?;
    Some(Item { first: Some(signed(first)?), step: signed(step)?, points })
}

/// `stale`, or `NaN` and `Inf` with an optional sign; none of them can be repeated.
fn word(item: &str) -> Option<f64> {
    let unsigned = item.strip_prefix(['+', '-']).unwrap_or(item);
    let value = match unsigned.to_ascii_lowercase().as_str() {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        _ if item == "stale" => return Some(f64::from_bits(STALE_NAN_BITS)),
        _ => return None,
    };
    Some(if item.starts_with('-') { -value } else { value })
}

fn ends_in_exponent(text: &str) -> bool {
    text.ends_with(['e', 'E']) && text.chars().rev().nth(1).is_some_and(|c| c.is_ascii_digit() || c == '.')
}

/// A number as expressions write it, but not in hexadecimal, with an optional sign.
fn signed(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !unsigned.contains(['x', 'X']);
    let value = is_number.then(|| crate::parse::number(unsigned)).flatten()?;
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(points: &[Option<f64>]) -> String {
        let word = |point: &Option<f64>| match point {
            None => "_".to_owned(),
            Some(value) if crate::is_stale(*value) => "stale".to_owned(),
            Some(value) => value.to_string(),
        };
        points.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_expands() {
        for (notation, want) in [
            ("", ""),
            ("1 2 -3", "1 2 -3"),
            ("0+10x3", "0 10 20 30"),
            ("5-2x2", "5 3 1"),
            ("-1-1x2", "-1 -2 -3"),
            ("7x2", "7 7 7"),
            ("7x0", "7"),
            ("_ _x3 1", "_ _ _ _ 1"),
            ("1 stale 2", "1 stale 2"),
            ("1_000x1 010", "1000 1000 8"),
            ("NaN Inf +Inf -Inf", "NaN inf inf -inf"),
            ("1e3 1e-2+1e-2x1 1.5e+1x1", "1000 0.01 0.02 15 15"),
            ("  1\n\t2 ", "1 2"),
        ] {
            assert_eq!(text(&expand(notation).unwrap()), want, "{notation}");
        }
    }

    #[test]
    fn a_bad_item_is_named_with_its_place() {
        for (notation, item, start) in [
            ("1 x", "x", 2),
            ("1 2+3", "2+3", 2),
            ("1 1 0x1f", "0x1f", 4),
            ("1x-1", "1x-1", 0),
            ("stalex1", "stalex1", 0),
            ("NaNx2", "NaNx2", 0),
            ("1+Infx2", "1+Infx2", 0),
            ("-stale", "-stale", 0),
            ("_x", "_x", 0),
            ("1e999", "1e999", 0),
        ] {
            let error = expand(notation).unwrap_err();
            assert_eq!(error, NotationError::BadItem { item: item.into(), span: Span::new(start, start + item.len()) });
        }
        assert!(matches!(expand("1 {{schema:0}}"), Err(NotationError::NativeHistogram { .. })));
        assert!(matches!(expand("1x999999 1"), Err(NotationError::TooLong { .. })));
    }
}
