//! Answers of the REST side: snapshots consistent with the streams, instruments, weights, and the faults of this side.

use std::time::Duration;

use serde_json::{Value, json};

use super::budget::Verdict;
use super::{Engine, Moment};
use crate::venue::binance::rest as binance;
use crate::venue::deribit::rest::{self as deribit, DeribitAsk};
use crate::venue::fault::FaultKind;
use crate::venue::kind::VenueKind;
use crate::venue::okx::rest::{self as okx, OkxAsk};
use crate::venue::wire::Snapshot;

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
    /// A request to OKX.
    Okx(OkxAsk),
    /// A question to Deribit, over HTTP or a socket.
    Deribit(DeribitAsk),
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The budget is used up.
    TooMuch {
        /// What the budget was.
        limit: u32,
    },
    /// The address is banned.
    Banned {
        /// Until when, ms since 1970.
        until_ms: i64,
    },
    /// The venue does not know either.
    Unknown,
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
    /// A JSON answer, at once.
    pub(in crate::venue) fn json(status: u16, body: String) -> Self {
        Self { status, headers: Vec::new(), content_type: "application/json;charset=UTF-8", body, delay: Duration::ZERO, fate: Fate::Sent }
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
            Self::Okx(ask) => ask.name(),
            Self::Deribit(ask) => ask.name(),
        }
    }

    fn symbol(&self) -> &str {
        match self {
            Self::Depth { symbol: Some(symbol), .. } => symbol,
            Self::Okx(ask) => ask.symbol(),
            Self::Deribit(ask) => ask.symbol(),
            _ => "",
        }
    }
}

// === impl Engine ===

impl Engine {
    /// Answers one request.
    pub(super) fn rest(&mut self, ask: &Ask, now: Moment) -> RestReply {
        *self.rest_requests.entry(ask.name()).or_default() += 1;
        let verdict = self.budget.charge(binance::weight(self.venue, ask), now.instant);
        let mut reply = match verdict {
            Verdict::Throttled(seconds) => self.too_much().header("Retry-After", seconds),
            Verdict::Banned(seconds) => self.banned(now, seconds).header("Retry-After", seconds),
            Verdict::Granted => self.faulty(ask, now).unwrap_or_else(|| self.answer(ask, now)),
        };
        self.delay(ask, &mut reply, now);
        if self.venue.streams_snapshots() {
            return reply;
        }
        let used = self.budget.used();
        reply.header("x-mbx-used-weight", used).header("x-mbx-used-weight-1m", used)
    }

    /// Answers a question that came over a socket: the same content, without the budget and the faults of HTTP.
    pub(super) fn answer_over_socket(&mut self, ask: &Ask, now: Moment) -> String {
        self.answer(ask, now).body
    }

    fn answer(&mut self, ask: &Ask, now: Moment) -> RestReply {
        match ask {
            Ask::Ping => RestReply::json(200, "{}".to_owned()),
            Ask::Time => RestReply::json(200, json!({"serverTime": now.wall_ms}).to_string()),
            Ask::ExchangeInfo { symbols } => self.exchange_info(symbols, now),
            Ask::Depth { symbol: None, .. } => binance::mandatory("symbol"),
            Ask::Depth { limit: Err(_), .. } => binance::error(400, -1130, "Data sent for parameter 'limit' is not valid."),
            Ask::Depth { symbol: Some(symbol), limit: Ok(limit) } => self.depth(symbol, *limit, now),
            Ask::Okx(ask) => self.okx(ask, now),
            Ask::Deribit(ask) => self.deribit(ask, now),
        }
    }

    fn depth(&mut self, symbol: &str, limit: Option<u32>, now: Moment) -> RestReply {
        let Some((levels, _)) = binance::depth_limit(self.venue, limit) else {
            return binance::error(400, -1130, "Data sent for parameter 'limit' is not valid.");
        };
        let Some((snapshot, event_ms)) = self.snapshot(symbol, levels, now) else { return binance::error(400, -1121, "Invalid symbol.") };
        self.feed.snapshot_served(now);
        binance::depth(self.venue, snapshot, event_ms)
    }

    /// A symbol's book with the time of its last change; an old one, if a fault says so.
    fn snapshot(&mut self, symbol: &str, levels: usize, now: Moment) -> Option<(Snapshot, i64)> {
        let market = self.markets.get(symbol)?;
        let stale = self.faults.strike(FaultKind::RestStale, symbol, now.instant).is_some();
        Some((if stale { market.stale_snapshot(levels) } else { market.snapshot(levels) }, market.event_ms))
    }

    fn exchange_info(&self, symbols: &[String], now: Moment) -> RestReply {
        if symbols.iter().any(|symbol| !self.markets.contains_key(symbol)) {
            return binance::error(400, -1121, "Invalid symbol.");
        }
        let wanted = |market: &&super::Market| symbols.is_empty() || symbols.contains(&market.instrument.symbol);
        binance::exchange_info(self.venue, self.markets.values().filter(wanted), (self.budget.limit(), now.wall_ms))
    }

    fn okx(&mut self, ask: &OkxAsk, now: Moment) -> RestReply {
        match ask {
            OkxAsk::Time => okx::data(&json!([{"ts": now.wall_ms.to_string()}])),
            OkxAsk::Instruments { kind, symbol } => okx::instruments(self.venue, kind.as_deref(), symbol.as_deref(), self.markets.values()),
            OkxAsk::Books { symbol: None, .. } => okx::error(400, "50014", "Parameter instId can not be empty."),
            OkxAsk::Books { symbol: Some(symbol), size, full, .. } => {
                let most = if *full { 5_000 } else { 400 };
                let Some((snapshot, event_ms)) = self.snapshot(symbol, size.unwrap_or(1).clamp(1, most), now) else {
                    return okx::error(200, "51001", "Instrument ID doesn't exist.");
                };
                okx::books(&snapshot, event_ms, ask)
            }
        }
    }

    fn deribit(&mut self, ask: &DeribitAsk, now: Moment) -> RestReply {
        let good = |result: Value| RestReply::json(200, deribit::result(&ask.id, &result));
        match ask.method.as_str() {
            "public/test" | "public/hello" => good(json!({"version": "1.2.26"})),
            "public/get_time" => good(json!(now.wall_ms)),
            "public/get_instruments" => deribit::instruments(ask, self.markets.values()),
            "public/get_order_book" => {
                let Some(depth) = ask.depth() else { return deribit::refusal(ask, -32602, "Invalid params") };
                let Some((snapshot, event_ms)) = self.snapshot(ask.symbol(), depth, now) else {
                    return deribit::refusal(ask, -32602, "Invalid params");
                };
                deribit::order_book(ask, &snapshot, event_ms)
            }
            _ => deribit::refusal(ask, -32601, "Method not found"),
        }
    }

    fn faulty(&mut self, ask: &Ask, now: Moment) -> Option<RestReply> {
        let symbol = ask.symbol();
        if let Some(spec) = self.faults.strike(FaultKind::Rest429, symbol, now.instant) {
            return Some(self.too_much().header("Retry-After", spec.retry_after.unwrap_or(RETRY_AFTER_S)));
        }
        if let Some(spec) = self.faults.strike(FaultKind::Rest418, symbol, now.instant) {
            let seconds = spec.retry_after.unwrap_or(RETRY_AFTER_S);
            return Some(self.banned(now, u64::from(seconds)).header("Retry-After", seconds));
        }
        if self.faults.strike(FaultKind::Rest500, symbol, now.instant).is_some() {
            return Some(self.trouble(Trouble::Unknown));
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
        self.trouble(Trouble::TooMuch { limit: self.budget.limit() })
    }

    fn banned(&self, now: Moment, seconds: u64) -> RestReply {
        self.trouble(Trouble::Banned { until_ms: now.wall_ms + i64::try_from(seconds).unwrap_or_default() * 1_000 })
    }

    fn trouble(&self, trouble: Trouble) -> RestReply {
        match self.venue {
            VenueKind::BinanceSpot | VenueKind::BinanceUsdm => binance::trouble(trouble),
            VenueKind::OkxSpot | VenueKind::OkxSwap => okx::trouble(trouble),
            VenueKind::Deribit => deribit::trouble(trouble),
        }
    }
}
