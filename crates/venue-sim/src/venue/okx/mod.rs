//! What only OKX v5 does: `op` messages with one acknowledgement for each argument, book frames chained by `prevSeqId`, its REST answers.
//!
//! Sizes of swaps are numbers of contracts: what one contract is stands in the instrument list.

pub(super) mod frames;
pub(super) mod rest;
pub(super) mod talk;

/// Contract value and its currency of a swap: coins of the base for linear ones, dollars for inverse ones.
pub(super) fn contract(base: &str, quote: &str) -> (&'static str, String) {
    if quote == "USD" {
        return (if base == "BTC" { "100" } else { "10" }, "USD".to_owned());
    }
    let value = match base {
        "BTC" | "BNB" => "0.01",
        "ETH" => "0.1",
        "XRP" | "ADA" => "100",
        "DOGE" => "1000",
        "PEPE" => "10000000",
        "SHIB" => "1000000",
        _ => "1",
    };
    (value, base.to_owned())
}
