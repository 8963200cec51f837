//! What only Deribit v2 does: JSON-RPC, credits, heartbeats that must be answered, books of actions chained by `prev_change_id`, its REST answers.
//!
//! Amounts of inverse contracts are dollars, prices and amounts are JSON numbers.

pub(super) mod frames;
pub(super) mod rest;
pub(super) mod talk;

/// A decimal string as Deribit writes numbers: no zeros at the end, at least one digit after the point.
pub(super) fn number(decimal: &str) -> String {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction = fraction.trim_end_matches('0');
    format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_written_as_floats() {
        for (decimal, number) in [("42500", "42500.0"), ("61800.20", "61800.2"), ("0.00000890", "0.0000089"), ("5.000", "5.0")] {
            assert_eq!(super::number(decimal), number);
        }
    }
}
