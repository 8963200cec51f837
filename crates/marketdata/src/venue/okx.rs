//! OKX v5, spot and swaps: control messages, the `books` and `trades` channels, the REST snapshot, limits.
//!
//! Source: the OKX API guide, v5 ("WebSocket", "Order book channel", "Trades channel", "Get order book") and its changelog of 2026. `checksum` is 0
//! since June 2026 and says nothing; continuity is `seqId` and `prevSeqId` alone. Unknown fields are skipped. Must not know: instrument lists.

use std::time::Duration;

use crate::book::Side;
use crate::effect::StreamKind;
use crate::feed::cursor::{Cursor, string_field};
use crate::feed::{DeltaFrame, Frame, Malformed, Refusal, Rows, SnapshotFrame, TradeFrame};
use crate::instrument::{Exchange, MarketType};
use crate::sequence::{Rule, UpdateIds};
use crate::venue::dialect::{Answers, Dialect, Limits, SnapshotSource, Snapshots, Wire};
use crate::venue::okx_listing;

pub(super) static SPOT: Dialect =
    Dialect { market_type: MarketType::Spot, listing_path: okx_listing::spot_path, listing: okx_listing::spot, ..COMMON };

pub(super) static SWAP: Dialect =
    Dialect { market_type: MarketType::Perpetual, listing_path: okx_listing::swap_path, listing: okx_listing::swap, ..COMMON };

const COMMON: Dialect = Dialect {
    exchange: Exchange::Okx,
    market_type: MarketType::Spot,
    carries: &MarketType::ALL,
    ws_url: "wss://ws.okx.com:8443",
    ws_path: "/ws/v5/public",
    rest_url: "https://www.okx.com",
    rule: Rule::Chain,
    limits: Limits {
        // Our ping goes out after PING_AFTER, and the venue drops a link that is silent for 30 s.
        idle: Duration::from_secs(27),
        // A book without a change is told of about every minute.
        stale_after: Duration::from_secs(90),
        messages_per_second: 3,
        // 480 subscribe, unsubscribe and login requests in any hour: a budget that refills may be spent twice in one.
        requests_per_hour: 230,
        requests_per_address: None,
        // 64 KB.
        request_bytes: 60_000,
        // No number is published; below 30 depth channels a connection is advised.
        streams_per_connection: 50,
        connects_per_5_minutes: 150,
        // 3 a second and address; spot and swaps are two venues at one host and share all three of these.
        connect_spacing: Duration::from_millis(500),
        // 40 requests in 2 s and address.
        weight: (30, Duration::from_secs(2)),
    },
    snapshots: Snapshots { source: SnapshotSource::Stream, limit: 400, windowed: true, path: snapshot_path, weight: snapshot_weight, read: snapshot },
    wire: Wire {
        stream,
        subscribe,
        unsubscribe,
        answers: Answers::Each,
        greeting: None,
        // "timer N < 30 s, reset by every message; on expiry send the text ping".
        ping: Some((Duration::from_secs(15), ping)),
        challenged: None,
    },
    decode,
    lost,
    listing_path: okx_listing::spot_path,
    listing: okx_listing::spot,
};

const BOOKS: &str = "books";
const TRADES: &str = "trades";
/// "The connection will soon be closed for a service upgrade", 60 s ahead.
const CLOSING_SOON: &str = "64008";

/// What surrounds the data.
#[derive(Debug, Default)]
struct Message<'a> {
    event: Option<&'a str>,
    code: Option<&'a str>,
    request: Option<u64>,
    channel: Option<&'a str>,
    symbol: Option<&'a str>,
    action: Option<&'a str>,
    /// Data that came before its `arg`.
    early: Option<&'a str>,
    book: Option<Element<'a>>,
    told: bool,
}

/// One object of `data`, of either channel; each field stays `None` if its value has another type.
#[derive(Debug, Default)]
struct Element<'a> {
    bids: Option<&'a str>,
    asks: Option<&'a str>,
    ts: Option<i64>,
    seq: Option<u64>,
    /// -1 in a snapshot.
    previous: Option<i64>,
    trade: Option<u64>,
    price: Option<&'a str>,
    size: Option<&'a str>,
    side: Option<&'a str>,
    count: Option<u32>,
}

fn stream(raw: &str, kind: StreamKind) -> String {
    let channel = match kind {
        StreamKind::Book => BOOKS,
        StreamKind::Trade => TRADES,
    };
    format!(r#"{{"channel":"{channel}","instId":"{raw}"}}"#)
}

fn subscribe(id: u64, streams: &[String]) -> String {
    format!(r#"{{"id":"{id}","op":"subscribe","args":[{}]}}"#, streams.join(","))
}

fn unsubscribe(id: u64, streams: &[String]) -> String {
    format!(r#"{{"id":"{id}","op":"unsubscribe","args":[{}]}}"#, streams.join(","))
}

/// A text frame, not WebSocket's.
fn ping() -> String {
    "ping".to_owned()
}

/// `source=0` asks for the answer that carries `seqId`.
fn snapshot_path(raw: &str, limit: usize) -> String {
    format!("/api/v5/market/books?instId={raw}&sz={limit}&source=0")
}

const fn snapshot_weight(_limit: usize) -> u32 {
    1
}

fn decode<'a>(text: &'a str, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
    if text == "pong" {
        each(Frame::Alive);
        return Ok(());
    }
    let mut message = Message::default();
    message.read(text, each)?;
    if let Some(data) = message.early {
        message.data(&mut Cursor::new(data), each)?;
    }
    message.finish(each).ok_or(Malformed { what: "a field is missing or of another type", at: text.len() })
}

/// The symbol of a book message that could not be read.
fn lost(text: &str) -> Option<&str> {
    let book = string_field(text, "\"channel\":") == Some(BOOKS);
    string_field(text, "\"instId\":").filter(|_| book)
}

/// Reads the body of `GET /api/v5/market/books`.
fn snapshot(text: &str) -> Result<SnapshotFrame<'_>, Malformed> {
    let mut cursor = Cursor::new(text);
    let (mut code, mut element) = (None, None);
    cursor.open_object()?;
    let mut index = 0;
    while let Some(key) = cursor.next_key(&mut index)? {
        match key {
            "code" => code = cursor.string_or_skip()?,
            "data" if cursor.peek() == Some(b'[') => {
                cursor.open_array()?;
                let mut place = 0;
                while cursor.next_element(&mut place)? {
                    element = Some(Element::read(&mut cursor)?);
                }
            }
            _ => drop(cursor.skip()?),
        }
    }
    cursor.end()?;
    element.filter(|_| code == Some("0")).and_then(|element| element.snapshot()).ok_or(Malformed { what: "not an order book", at: text.len() })
}

fn refusal(code: Option<&str>) -> Refusal {
    match code {
        // Too frequent; internal error; too many requests.
        Some("60014" | "64007" | "50011") => Refusal::Later,
        _ => Refusal::Never,
    }
}

// === impl Message ===

impl<'a> Message<'a> {
    fn read(&mut self, text: &'a str, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(text);
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                "event" => self.event = cursor.string_or_skip()?,
                "code" => self.code = cursor.string_or_skip()?,
                "id" => self.request = cursor.quoted_integer_or_skip()?,
                "action" => self.action = cursor.string_or_skip()?,
                "arg" if cursor.peek() == Some(b'{') => self.arg(&mut cursor)?,
                "data" if cursor.peek() == Some(b'[') && self.channel.is_some() => self.data(&mut cursor, each)?,
                "data" if cursor.peek() == Some(b'[') => self.early = Some(cursor.skip()?),
                _ => drop(cursor.skip()?),
            }
        }
        cursor.end()
    }

    fn arg(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                "channel" => self.channel = cursor.string_or_skip()?,
                "instId" => self.symbol = cursor.string_or_skip()?,
                _ => drop(cursor.skip()?),
            }
        }
        Ok(())
    }

    fn data(&mut self, cursor: &mut Cursor<'a>, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
        cursor.open_array()?;
        let mut index = 0;
        while cursor.next_element(&mut index)? {
            match self.channel {
                Some(BOOKS) if self.book.is_some() => return Err(Malformed { what: "two books in one message", at: 0 }),
                // Whether it is a whole book may be said after it.
                Some(BOOKS) => self.book = Some(Element::read(cursor)?),
                Some(TRADES) => {
                    let trade = self.symbol.and_then(|symbol| Element::read(cursor).map(|element| element.trade(symbol)).transpose());
                    each(Frame::Trade(trade.transpose()?.ok_or(Malformed { what: "not a trade", at: 0 })?));
                    self.told = true;
                }
                _ => drop(cursor.skip()?),
            }
        }
        Ok(())
    }

    /// `None`: of a kind that is collected, but incomplete.
    fn finish(self, each: &mut dyn FnMut(Frame<'a>)) -> Option<()> {
        let kind = match self.channel {
            Some(BOOKS) => Some(StreamKind::Book),
            Some(TRADES) => Some(StreamKind::Trade),
            _ => None,
        };
        each(match (self.event, kind) {
            (Some("error"), _) => Frame::Refused { id: self.request, refusal: refusal(self.code) },
            (Some("notice"), _) if self.code == Some(CLOSING_SOON) => Frame::Shutdown,
            (Some("subscribe"), Some(kind)) => Frame::Subscribed { id: self.request, symbol: self.symbol?, kind },
            (Some("unsubscribe"), Some(kind)) => Frame::Unsubscribed { symbol: self.symbol?, kind },
            (None, Some(StreamKind::Book)) => {
                let (symbol, element) = (self.symbol?, self.book?);
                match self.action? {
                    "snapshot" => Frame::Snapshot { symbol, book: element.snapshot()? },
                    "update" => Frame::Delta(element.delta(symbol)?),
                    _ => return None,
                }
            }
            _ if self.told => return Some(()),
            _ => Frame::Other,
        });
        Some(())
    }
}

// === impl Element ===

impl<'a> Element<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut element = Self::default();
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                "bids" => element.bids = cursor.rows_or_skip()?,
                "asks" => element.asks = cursor.rows_or_skip()?,
                "ts" => element.ts = cursor.quoted_integer_or_skip()?,
                "seqId" => element.seq = cursor.quoted_integer_or_skip()?,
                "prevSeqId" => element.previous = cursor.quoted_integer_or_skip()?,
                "tradeId" => element.trade = cursor.quoted_integer_or_skip()?,
                "px" => element.price = cursor.string_or_skip()?,
                "sz" => element.size = cursor.string_or_skip()?,
                "side" => element.side = cursor.string_or_skip()?,
                "count" => element.count = cursor.quoted_integer_or_skip()?,
                _ => drop(cursor.skip()?),
            }
        }
        Ok(element)
    }

    fn snapshot(&self) -> Option<SnapshotFrame<'a>> {
        Some(SnapshotFrame { id: self.seq?, event_ts_ms: self.ts, bids: Rows::new(self.bids?), asks: Rows::new(self.asks?) })
    }

    fn delta(&self, symbol: &'a str) -> Option<DeltaFrame<'a>> {
        let last = self.seq?;
        let ids = UpdateIds { first: last, last, previous: self.previous.and_then(|previous| u64::try_from(previous).ok()) };
        Some(DeltaFrame { symbol, ids, event_ts_ms: self.ts, bids: Rows::new(self.bids?), asks: Rows::new(self.asks?) })
    }

    fn trade(&self, symbol: &'a str) -> Option<TradeFrame<'a>> {
        let taker = match self.side? {
            "buy" => Side::Bid,
            "sell" => Side::Ask,
            _ => return None,
        };
        Some(TradeFrame {
            symbol,
            id: self.trade?,
            name: None,
            // Fills of one taker order at one price are merged; the id is the last one's.
            covers: self.count.unwrap_or(1).max(1),
            price: self.price?,
            quantity: self.size?,
            taker,
            trade_ts_ms: self.ts?,
            event_ts_ms: self.ts?,
        })
    }
}
