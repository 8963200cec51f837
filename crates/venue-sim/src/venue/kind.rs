//! What differs between the venues that are imitated: limits, intervals, paths, weights. Numbers are those of the venues' own manuals
//! (Binance spot-api-docs web-socket-streams.md and rest-api.md; USDⓈ-M "Websocket Market Streams", "Order Book"; OKX v5 "WebSocket", "Order Book
//! Channel"; Deribit "Rate Limits", "book.{instrument}.{interval}"), read independently of the collector.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A venue the simulator can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueKind {
    /// Binance Spot: `/ws`, `/stream`, `/api/v3`.
    BinanceSpot,
    /// Binance USDⓈ-M futures: `/public`, `/market`, `/fapi/v1`.
    BinanceUsdm,
    /// OKX v5, spot instruments: `/ws/v5/public`, `/ws/v5/business`, `/api/v5`.
    OkxSpot,
    /// OKX v5, perpetual swaps, on the same paths.
    OkxSwap,
    /// Deribit v2 perpetuals: `/ws/api/v2`, `/api/v2`.
    Deribit,
}

/// What a connection that is silent for too long gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleRule {
    /// Neither side said anything for this long.
    pub after: Duration,
    /// Close code.
    pub code: u16,
    /// Close reason.
    pub reason: &'static str,
}

/// Which class of streams a connection's path carries; only futures tell them apart (since 2026-03-06).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Spot: one path for everything.
    Every,
    /// Futures `/public` and the unrouted paths: books, best prices, raw trades.
    Public,
    /// Futures `/market`: aggregated trades, mark prices, candles.
    Market,
}

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKind {
    /// Order book changes, gathered over an interval (0 = every change).
    Depth {
        /// Length of the gathering interval in ms.
        interval_ms: u64,
    },
    /// Raw trades.
    Trade,
    /// Aggregated trades; the simulator makes one for each trade.
    AggTrade,
    /// Best bid and ask.
    BookTicker,
}

// === impl VenueKind ===

impl VenueKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::BinanceSpot, Self::BinanceUsdm, Self::OkxSpot, Self::OkxSwap, Self::Deribit];

    /// The name used in scripts, states and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BinanceSpot => "binance_spot",
            Self::BinanceUsdm => "binance_usdm",
            Self::OkxSpot => "okx_spot",
            Self::OkxSwap => "okx_swap",
            Self::Deribit => "deribit",
        }
    }

    /// Interval of the server's ping frames; OKX and Deribit send none.
    pub fn ping_interval(self) -> Option<Duration> {
        match self {
            Self::BinanceSpot => Some(Duration::from_secs(20)),
            Self::BinanceUsdm => Some(Duration::from_mins(3)),
            Self::OkxSpot | Self::OkxSwap | Self::Deribit => None,
        }
    }

    /// How long the server waits for the pong.
    pub fn pong_timeout(self) -> Duration {
        match self {
            Self::BinanceUsdm => Duration::from_mins(10),
            _ => Duration::from_mins(1),
        }
    }

    /// What ends a connection on which nothing moves (OKX "Connection": 30 s, close code 4004).
    pub fn idle_rule(self) -> Option<IdleRule> {
        let okx = IdleRule { after: Duration::from_secs(30), code: 4004, reason: "No data received in 30s." };
        matches!(self, Self::OkxSpot | Self::OkxSwap).then_some(okx)
    }

    /// Life of a connection; where the manual knows none, longer than any test.
    pub fn max_life(self) -> Duration {
        match self {
            Self::BinanceSpot | Self::BinanceUsdm => Duration::from_hours(24),
            Self::OkxSpot | Self::OkxSwap | Self::Deribit => Duration::from_hours(24 * 365),
        }
    }

    /// Client messages (pings, pongs and JSON alike) allowed in any one second; OKX and Deribit count other things.
    pub fn inbound_per_second(self) -> u32 {
        match self {
            Self::BinanceSpot => 5,
            Self::BinanceUsdm => 10,
            Self::OkxSpot | Self::OkxSwap | Self::Deribit => u32::MAX,
        }
    }

    /// New connections allowed in any one second.
    pub fn connects_per_second(self) -> u32 {
        if matches!(self, Self::OkxSpot | Self::OkxSwap) { 3 } else { u32::MAX }
    }

    /// Connections open at once.
    pub fn connections_max(self) -> usize {
        if self == Self::Deribit { 32 } else { usize::MAX }
    }

    /// Request weight of an address, and the time over which it is counted. OKX counts the requests of a path, Deribit fills up credits; both come to this.
    pub fn weight(self) -> (u32, Duration) {
        match self {
            Self::BinanceSpot => (6000, Duration::from_mins(1)),
            Self::BinanceUsdm => (2400, Duration::from_mins(1)),
            Self::OkxSpot | Self::OkxSwap => (40, Duration::from_secs(2)),
            Self::Deribit => (100, Duration::from_secs(5)),
        }
    }

    /// Levels of a side that the venue's book has: OKX's `books` deletes what falls outside 400, the others send all there are.
    pub fn book_levels(self) -> usize {
        if matches!(self, Self::OkxSpot | Self::OkxSwap) { 400 } else { 1_200 }
    }

    /// Path before the REST methods.
    pub fn rest_prefix(self) -> &'static str {
        match self {
            Self::BinanceSpot => "/api/v3",
            Self::BinanceUsdm => "/fapi/v1",
            Self::OkxSpot | Self::OkxSwap => "/api/v5",
            Self::Deribit => "/api/v2/public",
        }
    }

    /// Whether update ids leap and each change names the one before it.
    pub fn chains_by_previous(self) -> bool {
        self != Self::BinanceSpot
    }

    /// Whether the book itself comes over the stream, as the first message of a subscription.
    pub fn streams_snapshots(self) -> bool {
        matches!(self, Self::OkxSpot | Self::OkxSwap | Self::Deribit)
    }

    /// After how long without a change OKX repeats the last sequence number with empty sides.
    pub fn keep_alive(self) -> Option<Duration> {
        matches!(self, Self::OkxSpot | Self::OkxSwap).then_some(Duration::from_mins(1))
    }

    /// A symbol as it stands in internal stream names (Binance's are lower-case).
    pub fn stream_symbol(self, symbol: &str) -> String {
        match self {
            Self::BinanceSpot | Self::BinanceUsdm => symbol.to_lowercase(),
            Self::OkxSpot | Self::OkxSwap | Self::Deribit => symbol.to_owned(),
        }
    }

    /// The depth streams of the venue: what follows the symbol in the name, and the interval in ms.
    pub fn depth_streams(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::BinanceSpot => &[("@depth", 1000), ("@depth@100ms", 100)],
            // @0ms is in no manual and in every recording.
            Self::BinanceUsdm => &[("@depth", 250), ("@depth@250ms", 250), ("@depth@500ms", 500), ("@depth@100ms", 100), ("@depth@0ms", 0)],
            Self::OkxSpot | Self::OkxSwap => &[("@books", 100)],
            Self::Deribit => &[("@book.100ms", 100)],
        }
    }

    /// The stream meant by what follows the symbol in a name; `None` for streams the simulator does not have.
    pub fn stream_kind(self, suffix: &str) -> Option<StreamKind> {
        let depth = || self.depth_streams().iter().find(|(name, _)| *name == suffix).map(|&(_, interval_ms)| StreamKind::Depth { interval_ms });
        match (self, suffix) {
            (Self::BinanceSpot | Self::BinanceUsdm, "@trade") => Some(StreamKind::Trade),
            (Self::BinanceSpot | Self::BinanceUsdm, "@aggTrade") => Some(StreamKind::AggTrade),
            (Self::BinanceSpot | Self::BinanceUsdm, "@bookTicker") => Some(StreamKind::BookTicker),
            (Self::OkxSpot | Self::OkxSwap, "@trades" | "@trades-all") | (Self::Deribit, "@trades.100ms") => Some(StreamKind::Trade),
            _ => depth(),
        }
    }
}

// === impl Route ===

impl Route {
    /// Whether data of the kind flow on this route. Where they do not, a subscription is acknowledged all the same and stays silent.
    pub fn carries(self, kind: StreamKind) -> bool {
        match self {
            Self::Every => true,
            Self::Public => kind != StreamKind::AggTrade,
            Self::Market => kind == StreamKind::AggTrade,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_routes_split_the_streams() {
        assert!(Route::Public.carries(StreamKind::Trade));
        assert!(!Route::Public.carries(StreamKind::AggTrade));
        assert!(Route::Market.carries(StreamKind::AggTrade));
        assert!(!Route::Market.carries(StreamKind::Depth { interval_ms: 100 }));
    }
}
