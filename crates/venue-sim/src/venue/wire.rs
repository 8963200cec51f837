//! The venues' messages, typed: what the walk writes and what a replay reads when ids or times must be shifted.
//! Field order follows the venues' own frames. Levels stay the venue's strings.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Price and absolute quantity, as decimal strings; a quantity of zero removes the price.
pub type Level = (String, String);

/// `depthUpdate`: changes of one book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthUpdate {
    /// Event type.
    pub e: Cow<'static, str>,
    /// Event time, ms.
    #[serde(rename = "E")]
    pub event_ms: i64,
    /// Transaction time, ms (futures).
    #[serde(rename = "T", default, skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<i64>,
    /// Symbol.
    pub s: String,
    /// First update id in the event.
    #[serde(rename = "U")]
    pub first_id: u64,
    /// Last update id in the event.
    #[serde(rename = "u")]
    pub last_id: u64,
    /// Last update id of the stream's previous event (futures).
    #[serde(rename = "pu", default, skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<u64>,
    /// Changed bids.
    pub b: Vec<Level>,
    /// Changed asks.
    pub a: Vec<Level>,
}

/// `trade`: one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Event type.
    pub e: Cow<'static, str>,
    /// Event time, ms.
    #[serde(rename = "E")]
    pub event_ms: i64,
    /// Trade time, ms; futures write it here, spot after the quantity. JSON readers do not mind.
    #[serde(rename = "T")]
    pub trade_ms: i64,
    /// Symbol.
    pub s: String,
    /// Trade id, consecutive for each symbol.
    pub t: u64,
    /// Price.
    pub p: String,
    /// Quantity.
    pub q: String,
    /// Order type (futures).
    #[serde(rename = "X", default, skip_serializing_if = "Option::is_none")]
    pub order_type: Option<Cow<'static, str>>,
    /// The buyer was the maker.
    pub m: bool,
    /// Best match, ignore (spot).
    #[serde(rename = "M", default, skip_serializing_if = "Option::is_none")]
    pub best_match: Option<bool>,
}

/// `aggTrade`: here always one trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AggTrade<'a> {
    /// Event type.
    pub e: &'static str,
    /// Event time, ms.
    #[serde(rename = "E")]
    pub event_ms: i64,
    /// Symbol.
    pub s: &'a str,
    /// Aggregate id.
    pub a: u64,
    /// Price.
    pub p: &'a str,
    /// Quantity.
    pub q: &'a str,
    /// First trade id.
    pub f: u64,
    /// Last trade id.
    pub l: u64,
    /// Trade time, ms.
    #[serde(rename = "T")]
    pub trade_ms: i64,
    /// The buyer was the maker.
    pub m: bool,
}

/// `bookTicker`: best prices after update `u`. Spot sends neither type nor times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookTicker {
    /// Event type (futures).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<Cow<'static, str>>,
    /// Update id, of the same count as the book's.
    pub u: u64,
    /// Symbol.
    pub s: String,
    /// Best bid price.
    pub b: String,
    /// Best bid quantity.
    #[serde(rename = "B")]
    pub bid_qty: String,
    /// Best ask price.
    pub a: String,
    /// Best ask quantity.
    #[serde(rename = "A")]
    pub ask_qty: String,
    /// Transaction time, ms (futures).
    #[serde(rename = "T", default, skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<i64>,
    /// Event time, ms (futures).
    #[serde(rename = "E", default, skip_serializing_if = "Option::is_none")]
    pub event_ms: Option<i64>,
}

/// The answer of `/depth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last update the levels contain.
    #[serde(rename = "lastUpdateId")]
    pub last_update_id: u64,
    /// Message time, ms (futures).
    #[serde(rename = "E", default, skip_serializing_if = "Option::is_none")]
    pub event_ms: Option<i64>,
    /// Transaction time, ms (futures).
    #[serde(rename = "T", default, skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<i64>,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
}

/// Event type of book changes.
pub const DEPTH_UPDATE: Cow<'static, str> = Cow::Borrowed("depthUpdate");
/// Event type of trades.
pub const TRADE: Cow<'static, str> = Cow::Borrowed("trade");
/// Event type of futures best prices.
pub const BOOK_TICKER: Cow<'static, str> = Cow::Borrowed("bookTicker");

/// Writes a message as JSON. These types have string keys and plain values, so writing cannot fail; an empty object would be seen at once by any reader.
pub fn to_json<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned())
}
