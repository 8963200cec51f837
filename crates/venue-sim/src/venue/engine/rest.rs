//! Answers of the REST side: snapshots consistent with the streams, instruments, weights, and the faults of this side.

use std::time::Duration;

use serde_json::{Value, json};

use super::budget::Verdict;
use super::{Engine, Moment};
use crate::venue::fault::FaultKind;
use crate::venue::kind::VenueKind;
use crate::venue::market::Instrument;
use crate::venue::wire::to_json;

const RETRY_AFTER_S: u32 = 10;
const SLOW: Duration = Duration::from_secs(3);
const NEVER: Duration = Duration::from_mins(1);

/// A request, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `/ping`.
    Ping,
    /// `/time`.
    Time,
    /// `/exchangeInfo`.
    ExchangeInfo {
        /// Only these; empty: all.
        symbols: Vec<String>,
    },
    /// `/depth`.
    Depth {
        /// The symbol, if it was sent.
        symbol: Option<String>,
        /// The limit, if it was sent; an `Err` is text that is no number.
        limit: Result<Option<u32>, String>,
    },
}

/// The answer, and what becomes of it on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestReply {
    /// HTTP status.
    pub status: u16,
    /// Extra headers.
    pub headers: Vec<(&'static str, String)>,
    /// Content type.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
    /// Wait before answering.
    pub delay: Duration,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sent.
    Sent,
    /// It is not; the connection ends after the delay.
    Lost,
    /// The connection is reset.
    Reset,
}

// === impl RestReply ===

impl RestReply {
    fn json(status: u16, body: String) -> Self {
        Self { status, headers: Vec::new(), content_type: "application/json;charset=UTF-8", body, delay: Duration::ZERO, fate: Fate::Sent }
    }

    fn error(status: u16, code: i32, message: &str) -> Self {
        Self::json(status, json!({"code": code, "msg": message}).to_string())
    }

    fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

// === impl Ask ===

impl Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Time => "time",
            Self::ExchangeInfo { .. } => "exchangeInfo",
            Self::Depth { .. } => "depth",
        }
    }

    fn symbol(&self) -> &str {
        match self {
            Self::Depth { symbol: Some(symbol), .. } => symbol,
            _ => "",
        }
    }

    fn weight(&self, venue: VenueKind) -> u32 {
        match self {
            Self::Ping | Self::Time => 1,
            Self::ExchangeInfo { .. } => venue.exchange_info_weight(),
            Self::Depth { limit, .. } => limit.as_ref().ok().and_then(|&limit| venue.depth_limit(limit)).map_or(1, |(_, weight)| weight),
        }
    }
}

// === impl Engine ===

impl Engine {
    /// Answers one request.
    pub(super) fn rest(&mut self, ask: &Ask, now: Moment) -> RestReply {
        *self.rest_requests.entry(ask.name()).or_default() += 1;
        let verdict = self.budget.charge(ask.weight(self.venue), now.instant);
        let mut reply = match verdict {
            Verdict::Throttled(seconds) => self.too_much().header("Retry-After", seconds),
            Verdict::Banned(seconds) => banned(now, seconds).header("Retry-After", seconds),
            Verdict::Granted => self.faulty(ask, now).unwrap_or_else(|| self.answer(ask, now)),
        };
        self.delay(ask, &mut reply, now);
        let used = self.budget.used();
        reply.header("x-mbx-used-weight", used).header("x-mbx-used-weight-1m", used)
    }

    fn answer(&mut self, ask: &Ask, now: Moment) -> RestReply {
        match ask {
            Ask::Ping => RestReply::json(200, "{}".to_owned()),
            Ask::Time => RestReply::json(200, json!({"serverTime": now.wall_ms}).to_string()),
            Ask::ExchangeInfo { symbols } => self.exchange_info(symbols, now),
            Ask::Depth { symbol: None, .. } => mandatory("symbol"),
            Ask::Depth { limit: Err(_), .. } => RestReply::error(400, -1130, "Data sent for parameter 'limit' is not valid."),
            Ask::Depth { symbol: Some(symbol), limit: Ok(limit) } => self.depth(symbol, *limit, now),
        }
    }

    fn depth(&mut self, symbol: &str, limit: Option<u32>, now: Moment) -> RestReply {
        let Some((levels, _)) = self.venue.depth_limit(limit) else {
            return RestReply::error(400, -1130, "Data sent for parameter 'limit' is not valid.");
        };
        let Some(market) = self.markets.get(symbol) else { return RestReply::error(400, -1121, "Invalid symbol.") };
        let stale = self.faults.strike(FaultKind::RestStale, symbol, now.instant).is_some();
        let mut snapshot = if stale { market.stale_snapshot(levels) } else { market.snapshot(levels) };
        let times = (self.venue == VenueKind::BinanceUsdm).then_some(market.event_ms);
        snapshot.event_ms = times;
        snapshot.transaction_ms = times;
        self.feed.snapshot_served(now);
        RestReply::json(200, to_json(&snapshot))
    }

    fn exchange_info(&self, symbols: &[String], now: Moment) -> RestReply {
        if symbols.iter().any(|symbol| !self.markets.contains_key(symbol)) {
            return RestReply::error(400, -1121, "Invalid symbol.");
        }
        let wanted = |market: &&super::Market| symbols.is_empty() || symbols.contains(&market.instrument.symbol);
        let list: Vec<Value> = self.markets.values().filter(wanted).map(|market| symbol_info(self.venue, &market.instrument)).collect();
        let weight = json!({"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.budget.limit()});
        RestReply::json(
            200,
            json!({"timezone": "UTC", "serverTime": now.wall_ms, "rateLimits": [weight], "exchangeFilters": [], "symbols": list}).to_string(),
        )
    }

    fn faulty(&mut self, ask: &Ask, now: Moment) -> Option<RestReply> {
        let symbol = ask.symbol();
        if let Some(spec) = self.faults.strike(FaultKind::Rest429, symbol, now.instant) {
            return Some(self.too_much().header("Retry-After", spec.retry_after.unwrap_or(RETRY_AFTER_S)));
        }
        if let Some(spec) = self.faults.strike(FaultKind::Rest418, symbol, now.instant) {
            let seconds = spec.retry_after.unwrap_or(RETRY_AFTER_S);
            return Some(banned(now, u64::from(seconds)).header("Retry-After", seconds));
        }
        if self.faults.strike(FaultKind::Rest500, symbol, now.instant).is_some() {
            return Some(RestReply::error(500, -1000, "An unknown error occurred while processing the request."));
        }
        if self.faults.strike(FaultKind::Rest403, symbol, now.instant).is_some() {
            let body = "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>".to_owned();
            return Some(RestReply { content_type: "text/html", ..RestReply::json(403, body) });
        }
        None
    }

    fn delay(&mut self, ask: &Ask, reply: &mut RestReply, now: Moment) {
        let symbol = ask.symbol();
        if let Some(spec) = self.faults.strike(FaultKind::RestTimeout, symbol, now.instant) {
            (reply.delay, reply.fate) = (spec.delay.map_or(NEVER, |span| span.0), Fate::Lost);
        } else if self.faults.strike(FaultKind::RestReset, symbol, now.instant).is_some() {
            reply.fate = Fate::Reset;
        } else if let Some(spec) = self.faults.strike(FaultKind::RestSlow, symbol, now.instant) {
            reply.delay = spec.delay.map_or(SLOW, |span| span.0);
        }
    }

    fn too_much(&self) -> RestReply {
        let limit = self.budget.limit();
        let message = format!(
            "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
        );
        RestReply::error(429, -1003, &message)
    }
}

fn banned(now: Moment, seconds: u64) -> RestReply {
    let until = now.wall_ms + i64::try_from(seconds).unwrap_or_default() * 1_000;
    let message = format!("Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for live updates to avoid bans.");
    RestReply::error(418, -1003, &message)
}

fn mandatory(name: &str) -> RestReply {
    RestReply::error(400, -1102, &format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
}

fn symbol_info(venue: VenueKind, instrument: &Instrument) -> Value {
    let filters = json!([
        {"filterType": "PRICE_FILTER", "minPrice": instrument.tick_size, "maxPrice": "1000000.00000000", "tickSize": instrument.tick_size},
        {"filterType": "LOT_SIZE", "minQty": instrument.step_size, "maxQty": instrument.max_quantity, "stepSize": instrument.step_size},
    ]);
    let mut info = json!({
        "symbol": instrument.symbol, "status": "TRADING", "baseAsset": instrument.base, "quoteAsset": instrument.quote,
        "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "filters": filters,
    });
    let special = match venue {
        VenueKind::BinanceSpot => json!({"quoteAssetPrecision": 8, "isSpotTradingAllowed": true, "isMarginTradingAllowed": true, "permissions": []}),
        VenueKind::BinanceUsdm => json!({
            "pair": instrument.symbol, "contractType": "PERPETUAL", "marginAsset": instrument.quote, "underlyingType": "COIN",
            "pricePrecision": instrument.price_decimals, "quantityPrecision": instrument.quantity_decimals,
        }),
    };
    if let (Some(info), Value::Object(special)) = (info.as_object_mut(), special) {
        info.extend(special);
    }
    info
}
