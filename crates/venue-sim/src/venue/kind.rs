//! What differs between the venues that are imitated: limits, intervals, paths, weights. Numbers are those of the venues' own manuals
//! (Binance spot-api-docs web-socket-streams.md and rest-api.md; USDⓈ-M "Websocket Market Streams", "Order Book"), read independently of the collector.

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
    /// The name used in scripts, states and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BinanceSpot => "binance_spot",
            Self::BinanceUsdm => "binance_usdm",
        }
    }

    /// Interval of the server's ping frames.
    pub fn ping_interval(self) -> Duration {
        match self {
            Self::BinanceSpot => Duration::from_secs(20),
            Self::BinanceUsdm => Duration::from_mins(3),
        }
    }

    /// How long the server waits for the pong.
    pub fn pong_timeout(self) -> Duration {
        match self {
            Self::BinanceSpot => Duration::from_mins(1),
            Self::BinanceUsdm => Duration::from_mins(10),
        }
    }

    /// Client messages (pings, pongs and JSON alike) allowed in any one second.
    pub fn inbound_per_second(self) -> u32 {
        match self {
            Self::BinanceSpot => 5,
            Self::BinanceUsdm => 10,
        }
    }

    /// Request weight per minute and address.
    pub fn weight_per_minute(self) -> u32 {
        match self {
            Self::BinanceSpot => 6000,
            Self::BinanceUsdm => 2400,
        }
    }

    /// Path before `/depth`, `/exchangeInfo`, `/ping`, `/time`.
    pub fn rest_prefix(self) -> &'static str {
        match self {
            Self::BinanceSpot => "/api/v3",
            Self::BinanceUsdm => "/fapi/v1",
        }
    }

    /// The number of levels answered for a requested limit and what the request weighs; `None` when the venue refuses the limit.
    pub fn depth_limit(self, asked: Option<u32>) -> Option<(usize, u32)> {
        match self {
            Self::BinanceSpot => {
                let limit = asked.unwrap_or(100).min(5000);
                let weight = match limit {
                    0 => return None,
                    1..=100 => 5,
                    101..=500 => 25,
                    501..=1000 => 50,
                    _ => 250,
                };
                Some((limit as usize, weight))
            }
            Self::BinanceUsdm => {
                let limit = asked.unwrap_or(500);
                let weight = match limit {
                    5 | 10 | 20 | 50 => 2,
                    100 => 5,
                    500 => 10,
                    1000 => 20,
                    _ => return None,
                };
                Some((limit as usize, weight))
            }
        }
    }

    /// Weight of `/exchangeInfo`.
    pub fn exchange_info_weight(self) -> u32 {
        match self {
            Self::BinanceSpot => 20,
            Self::BinanceUsdm => 1,
        }
    }

    /// The depth streams of the venue: what follows the symbol in the name, and the interval in ms.
    pub fn depth_streams(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::BinanceSpot => &[("@depth", 1000), ("@depth@100ms", 100)],
            // @0ms is in no manual and in every recording.
            Self::BinanceUsdm => &[("@depth", 250), ("@depth@250ms", 250), ("@depth@500ms", 500), ("@depth@100ms", 100), ("@depth@0ms", 0)],
        }
    }

    /// The stream meant by what follows the symbol in a name; `None` for streams the simulator does not have.
    pub fn stream_kind(self, suffix: &str) -> Option<StreamKind> {
        match suffix {
            "@trade" => Some(StreamKind::Trade),
            "@aggTrade" => Some(StreamKind::AggTrade),
            "@bookTicker" => Some(StreamKind::BookTicker),
            _ => self.depth_streams().iter().find(|(name, _)| *name == suffix).map(|&(_, interval_ms)| StreamKind::Depth { interval_ms }),
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
    fn depth_weights_are_the_manuals() {
        let rows = [
            (VenueKind::BinanceSpot, None, Some((100, 5))),
            (VenueKind::BinanceSpot, Some(500), Some((500, 25))),
            (VenueKind::BinanceSpot, Some(1000), Some((1000, 50))),
            (VenueKind::BinanceSpot, Some(9999), Some((5000, 250))),
            (VenueKind::BinanceUsdm, None, Some((500, 10))),
            (VenueKind::BinanceUsdm, Some(1000), Some((1000, 20))),
            (VenueKind::BinanceUsdm, Some(999), None),
        ];
        for (venue, asked, expected) in rows {
            assert_eq!(venue.depth_limit(asked), expected, "{venue:?} {asked:?}");
        }
    }

    #[test]
    fn futures_routes_split_the_streams() {
        assert!(Route::Public.carries(StreamKind::Trade));
        assert!(!Route::Public.carries(StreamKind::AggTrade));
        assert!(Route::Market.carries(StreamKind::AggTrade));
        assert!(!Route::Market.carries(StreamKind::Depth { interval_ms: 100 }));
    }
}
