//! What differs between venues, as a table.
//!
//! Owns: [`Dialect`]: constants and pure functions, one static value per venue in its own small file. Must not know: state of any kind.

use std::time::Duration;

use crate::effect::StreamKind;
use crate::feed::{Frame, Malformed, SnapshotFrame};
use crate::instrument::{Exchange, Listing, MarketType};
use crate::sequence::Rule;

/// One venue's rules.
pub(crate) struct Dialect {
    pub(crate) exchange: Exchange,
    pub(crate) market_type: MarketType,
    pub(crate) ws_url: &'static str,
    /// Appended to the WebSocket base.
    pub(crate) ws_path: &'static str,
    pub(crate) rest_url: &'static str,
    pub(crate) rule: Rule,
    /// Longest silence of a healthy connection, pings included.
    pub(crate) idle: Duration,
    /// Inbound messages the venue accepts, with a margin.
    pub(crate) messages_per_second: u32,
    pub(crate) streams_per_connection: usize,
    pub(crate) connects_per_5_minutes: u32,
    pub(crate) weight_per_minute: u32,
    /// Name of a stream, from the venue's symbol.
    pub(crate) stream: fn(&str, StreamKind) -> String,
    /// A subscribe request with this id.
    pub(crate) subscribe: fn(u64, &[String]) -> String,
    pub(crate) decode: fn(&str) -> Result<Frame<'_>, Malformed>,
    /// Whose book has lost a delta by a text that could not be read, as far as it can be told.
    pub(crate) lost: fn(&str) -> Option<&str>,
    /// Path of a snapshot, appended to the REST base: symbol, levels.
    pub(crate) snapshot_path: fn(&str, usize) -> String,
    pub(crate) snapshot_weight: fn(usize) -> u32,
    pub(crate) snapshot: fn(&str) -> Result<SnapshotFrame<'_>, Malformed>,
    pub(crate) listing_path: fn(&[&str]) -> String,
    pub(crate) listing: fn(&str) -> Result<Vec<Listing>, Malformed>,
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialect({} {})", self.exchange.as_str(), self.market_type.as_str())
    }
}
