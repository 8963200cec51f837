//! Binance USDⓈ-M futures (perpetual contracts): URLs, limits, continuity rule, instrument list.
//!
//! Source: developers.binance.com, USDⓈ-M. Since 2026-03-06 the WebSocket is split by path: depth and raw trades are under `/public`; a stream asked for
//! on the wrong path is acknowledged and stays silent for ever, which is what the first-data bound is for. Must not know: connections.

use std::time::Duration;

use crate::feed::Malformed;
use crate::instrument::{Exchange, Listing, MarketType};
use crate::sequence::Rule;
use crate::venue::binance;
use crate::venue::binance_listing::{self, Symbol};
use crate::venue::dialect::{Dialect, Limits, SnapshotSource, Snapshots};

pub(super) static DIALECT: Dialect = Dialect {
    exchange: Exchange::Binance,
    market_type: MarketType::Perpetual,
    carries: &[MarketType::Perpetual, MarketType::Futures],
    ws_url: "wss://fstream.binance.com",
    ws_path: "/public/stream",
    rest_url: "https://fapi.binance.com",
    rule: Rule::Previous,
    limits: Limits {
        // The server pings every 3 minutes and drops us without a pong within 10.
        idle: Duration::from_mins(7),
        stale_after: Duration::from_mins(1),
        // 10 a second.
        messages_per_second: 5,
        requests_per_hour: u32::MAX,
        requests_per_address: None,
        request_bytes: binance::REQUEST_BYTES,
        // The page says 1,024; an older copy 200, which other collectors keep to.
        streams_per_connection: 200,
        // No number is published for futures; spot's is 300.
        connects_per_5_minutes: 100,
        connect_spacing: Duration::ZERO,
        // 2,400 a minute per address; others may share it.
        weight: (1_600, Duration::from_mins(1)),
    },
    snapshots: Snapshots {
        source: SnapshotSource::Rest,
        limit: 1_000,
        windowed: false,
        path: snapshot_path,
        weight: snapshot_weight,
        read: binance::snapshot,
    },
    wire: binance::WIRE,
    decode: binance::decode,
    lost: binance::lost,
    listing_path,
    listing,
};

fn snapshot_path(raw: &str, limit: usize) -> String {
    format!("/fapi/v1/depth?symbol={}&limit={limit}", binance_listing::escaped(raw))
}

/// Weight by limit; 1,000 is the most.
const fn snapshot_weight(limit: usize) -> u32 {
    match limit {
        0..=50 => 2,
        51..=100 => 5,
        101..=500 => 10,
        _ => 20,
    }
}

/// Cannot be narrowed; about a megabyte.
fn listing_path(_symbols: &[&str]) -> String {
    "/fapi/v1/exchangeInfo".to_owned()
}

fn listing(body: &str) -> Result<Vec<Listing>, Malformed> {
    let perpetual = |symbol: &Symbol<'_>| symbol.contract_type.as_deref() == Some("PERPETUAL");
    binance_listing::parse(body, MarketType::Perpetual, perpetual)
}
