//! Binance Spot: URLs, limits, continuity rule, instrument list.
//!
//! Source: binance-spot-api-docs (web-socket-streams.md, rest-api.md). Must not know: connections.

use std::time::Duration;

use crate::feed::Malformed;
use crate::instrument::{Exchange, Listing, MarketType};
use crate::sequence::Rule;
use crate::venue::binance;
use crate::venue::binance_listing::{self, Symbol};
use crate::venue::dialect::{Dialect, Limits, SnapshotSource, Snapshots};

pub(super) static DIALECT: Dialect = Dialect {
    exchange: Exchange::Binance,
    market_type: MarketType::Spot,
    carries: &[MarketType::Spot],
    ws_url: "wss://stream.binance.com:9443",
    ws_path: "/stream",
    rest_url: "https://api.binance.com",
    rule: Rule::Range,
    limits: Limits {
        // The server pings every 20 s and drops us without a pong within 60 s.
        idle: Duration::from_mins(1),
        stale_after: Duration::from_mins(1),
        // 5 a second, pongs included; passing it disconnects, repeating it bans the address.
        messages_per_second: 3,
        requests_per_hour: u32::MAX,
        requests_per_address: None,
        request_bytes: binance::REQUEST_BYTES,
        streams_per_connection: 1_024,
        // 300 attempts in 5 minutes per address.
        connects_per_5_minutes: 150,
        connect_spacing: Duration::ZERO,
        // REQUEST_WEIGHT 6,000 a minute per address; others may share it.
        weight: (4_000, Duration::from_mins(1)),
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
    format!("/api/v3/depth?symbol={}&limit={limit}", binance_listing::escaped(raw))
}

/// rest-api.md, "Order book": weight by limit.
const fn snapshot_weight(limit: usize) -> u32 {
    match limit {
        0..=100 => 5,
        101..=500 => 25,
        501..=1_000 => 50,
        _ => 250,
    }
}

/// The whole list is over ten megabytes, so the wanted symbols are named.
fn listing_path(symbols: &[&str]) -> String {
    if symbols.is_empty() {
        return "/api/v3/exchangeInfo".to_owned();
    }
    let names: Vec<String> = symbols.iter().map(|symbol| format!("%22{}%22", binance_listing::escaped(&symbol.replace('-', "")))).collect();
    format!("/api/v3/exchangeInfo?symbols=%5B{}%5D", names.join(","))
}

fn listing(body: &str) -> Result<Vec<Listing>, Malformed> {
    let collected = |symbol: &Symbol<'_>| symbol.base_asset.is_some();
    binance_listing::parse(body, MarketType::Spot, collected)
}
