//! Deribit v2, perpetual contracts: JSON-RPC, heartbeats, the `book` and `trades` channels, the REST order book, limits.
//!
//! Source: docs.deribit.com, v2 ("JSON-RPC over WebSocket", "public/set_heartbeat", "book.(instrument).(interval)", "trades.(instrument).(interval)",
//! "Rate limits"). Numbers are bare JSON and are read from their text. Unknown fields are skipped. Must not know: instrument lists.

use std::time::Duration;

use crate::book::Side;
use crate::effect::StreamKind;
use crate::feed::cursor::{Cursor, string_field};
use crate::feed::{DeltaFrame, Frame, Malformed, Refusal, Rows, SnapshotFrame, TradeFrame};
use crate::instrument::{Exchange, MarketType};
use crate::sequence::{Rule, UpdateIds};
use crate::venue::deribit_listing;
use crate::venue::dialect::{Answers, Dialect, Limits, SnapshotSource, Snapshots, Wire};

pub(super) static PERPETUAL: Dialect = Dialect {
    exchange: Exchange::Deribit,
    market_type: MarketType::Perpetual,
    carries: &MarketType::ALL,
    ws_url: "wss://www.deribit.com",
    ws_path: "/ws/api/v2",
    rest_url: "https://www.deribit.com",
    rule: Rule::Chain,
    limits: Limits {
        // A heartbeat is due every HEARTBEAT_SECONDS.
        idle: Duration::from_secs(45),
        stale_after: Duration::from_mins(1),
        messages_per_second: 2,
        requests_per_hour: u32::MAX,
        // A subscription costs 3,000 of 30,000 credits, 10,000 come back in a second; without them the session is ended. Who has no account is counted
        // by address: this holds for all connections together.
        requests_per_address: Some((9, Duration::from_secs(3))),
        // 32 kB.
        request_bytes: 30_000,
        streams_per_connection: 200,
        // At most 32 connections at a time and address.
        connects_per_5_minutes: 60,
        connect_spacing: Duration::from_millis(500),
        // 500 of 50,000 credits a request, 10,000 come back in a second.
        weight: (10, Duration::from_secs(2)),
    },
    snapshots: Snapshots {
        source: SnapshotSource::Stream,
        limit: 10_000,
        windowed: false,
        path: snapshot_path,
        weight: snapshot_weight,
        read: snapshot,
    },
    wire: Wire { stream, subscribe, unsubscribe, answers: Answers::Listed, greeting: Some(greeting), ping: None, challenged: Some(challenged) },
    decode,
    lost,
    listing_path: deribit_listing::path,
    listing: deribit_listing::parse,
};

/// The least interval is 10.
const HEARTBEAT_SECONDS: u32 = 15;
const BOOK: &str = "book.";
const TRADES: &str = "trades.";
/// `raw` needs an account (error 13778), and one refused channel refuses the whole request.
const INTERVAL: &str = "100ms";

/// A message, as far as it is read; each field stays `None` if its value has another type.
#[derive(Debug, Default)]
struct Message<'a> {
    id: Option<u64>,
    method: Option<&'a str>,
    /// Of a heartbeat.
    kind: Option<&'a str>,
    channel: Option<&'a str>,
    answered: bool,
    channels: Option<&'a str>,
    error: Option<i64>,
    book: Option<BookData<'a>>,
    trades: Option<&'a str>,
}

#[derive(Debug, Default)]
struct BookData<'a> {
    kind: Option<&'a str>,
    ts: Option<i64>,
    change: Option<u64>,
    /// Missing, null or 0 in a snapshot.
    previous: Option<u64>,
    bids: Option<&'a str>,
    asks: Option<&'a str>,
}

fn stream(raw: &str, kind: StreamKind) -> String {
    let channel = match kind {
        StreamKind::Book => BOOK,
        StreamKind::Trade => TRADES,
    };
    format!("{channel}{raw}.{INTERVAL}")
}

fn subscribe(id: u64, streams: &[String]) -> String {
    request(id, "public/subscribe", &format!(r#""channels":["{}"]"#, streams.join("\",\"")))
}

fn unsubscribe(id: u64, streams: &[String]) -> String {
    request(id, "public/unsubscribe", &format!(r#""channels":["{}"]"#, streams.join("\",\"")))
}

fn greeting(id: u64) -> String {
    request(id, "public/set_heartbeat", &format!(r#""interval":{HEARTBEAT_SECONDS}"#))
}

/// The answer to a `test_request`; without it the venue closes the connection.
fn challenged(id: u64) -> String {
    request(id, "public/test", "")
}

fn request(id: u64, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

/// Depths are steps; the next one that is deep enough.
fn snapshot_path(raw: &str, limit: usize) -> String {
    let depth = [1, 5, 10, 20, 50, 100, 1_000].into_iter().find(|depth| *depth >= limit).unwrap_or(10_000);
    format!("/api/v2/public/get_order_book?instrument_name={raw}&depth={depth}")
}

const fn snapshot_weight(_limit: usize) -> u32 {
    1
}

fn decode<'a>(text: &'a str, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(text);
    let mut message = Message::default();
    cursor.open_object()?;
    let mut index = 0;
    while let Some(key) = cursor.next_key(&mut index)? {
        match key {
            "id" => message.id = cursor.integer_or_skip()?,
            "method" => message.method = cursor.string_or_skip()?,
            "result" => {
                message.answered = true;
                message.channels = Some(cursor.skip()?).filter(|result| result.starts_with('['));
            }
            "error" if cursor.peek() == Some(b'{') => message.error(&mut cursor)?,
            "params" if cursor.peek() == Some(b'{') => message.params(&mut cursor)?,
            _ => drop(cursor.skip()?),
        }
    }
    cursor.end()?;
    message.finish(each)?.ok_or(Malformed { what: "a field is missing or of another type", at: text.len() })
}

/// The symbol of a book message that could not be read.
fn lost(text: &str) -> Option<&str> {
    let (symbol, kind) = of_channel(string_field(text, "\"channel\":")?)?;
    (kind == StreamKind::Book).then_some(symbol)
}

/// `book.BTC-PERPETUAL.100ms` → symbol and kind.
fn of_channel(channel: &str) -> Option<(&str, StreamKind)> {
    let (rest, kind) = match (channel.strip_prefix(BOOK), channel.strip_prefix(TRADES)) {
        (Some(rest), _) => (rest, StreamKind::Book),
        (_, Some(rest)) => (rest, StreamKind::Trade),
        _ => return None,
    };
    rest.rsplit_once('.').map(|(symbol, _)| (symbol, kind))
}

/// Reads the body of `GET /api/v2/public/get_order_book`; its rows have no actions.
fn snapshot(text: &str) -> Result<SnapshotFrame<'_>, Malformed> {
    let mut cursor = Cursor::new(text);
    let mut result = None;
    cursor.open_object()?;
    let mut index = 0;
    while let Some(key) = cursor.next_key(&mut index)? {
        match key {
            "result" if cursor.peek() == Some(b'{') => result = Some(BookData::read(&mut cursor)?),
            _ => drop(cursor.skip()?),
        }
    }
    cursor.end()?;
    let book = result.and_then(|book| Some((book.change?, book.ts, Rows::new(book.bids?), Rows::new(book.asks?))));
    let (id, event_ts_ms, bids, asks) = book.ok_or(Malformed { what: "not an order book", at: text.len() })?;
    Ok(SnapshotFrame { id, event_ts_ms, bids, asks })
}

const fn refusal(code: i64) -> Refusal {
    match code {
        // Too many requests: the session ends.
        10_028 => Refusal::TooMuch,
        // Retry; matching engine queue full; maintenance; internal errors.
        10_040 | 10_047 | 11_051 | 11_094 | -32_603 => Refusal::Later,
        _ => Refusal::Never,
    }
}

// === impl Message ===

impl<'a> Message<'a> {
    fn error(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        self.error = Some(0);
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                "code" => self.error = cursor.integer_or_skip()?.or(self.error),
                _ => drop(cursor.skip()?),
            }
        }
        Ok(())
    }

    fn params(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                "channel" => self.channel = cursor.string_or_skip()?,
                "type" => self.kind = cursor.string_or_skip()?,
                "data" if cursor.peek() == Some(b'{') => self.book = Some(BookData::read(cursor)?),
                "data" if cursor.peek() == Some(b'[') => self.trades = Some(cursor.skip()?),
                _ => drop(cursor.skip()?),
            }
        }
        Ok(())
    }

    /// `None`: of a kind that is collected, but incomplete.
    fn finish(self, each: &mut dyn FnMut(Frame<'a>)) -> Result<Option<()>, Malformed> {
        match self.method {
            Some("subscription") => match self.channel.and_then(of_channel) {
                Some((symbol, StreamKind::Book)) => match self.book.and_then(|book| book.frame(symbol)) {
                    Some(frame) => each(frame),
                    None => return Ok(None),
                },
                Some((symbol, StreamKind::Trade)) => match self.trades {
                    Some(text) => trades(text, symbol, each)?,
                    None => return Ok(None),
                },
                None => each(Frame::Other),
            },
            Some("heartbeat") if self.kind == Some("test_request") => each(Frame::Challenge),
            Some("heartbeat") => each(Frame::Alive),
            None => self.answer(each)?,
            Some(_) => each(Frame::Other),
        }
        Ok(Some(()))
    }

    fn answer(self, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
        if let Some(code) = self.error {
            each(Frame::Refused { id: self.id, refusal: refusal(code) });
            return Ok(());
        }
        if let Some(channels) = self.channels {
            let mut cursor = Cursor::new(channels);
            cursor.open_array()?;
            let mut index = 0;
            while cursor.next_element(&mut index)? {
                if let Some((symbol, kind)) = cursor.string_or_skip()?.and_then(of_channel) {
                    each(Frame::Subscribed { id: self.id, symbol, kind });
                }
            }
        }
        each(if self.answered { self.id.map_or(Frame::Other, |id| Frame::Ack { id }) } else { Frame::Other });
        Ok(())
    }
}

// === impl BookData ===

impl<'a> BookData<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut book = Self::default();
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                "type" => book.kind = cursor.string_or_skip()?,
                "timestamp" => book.ts = cursor.integer_or_skip()?,
                "change_id" => book.change = cursor.integer_or_skip()?,
                "prev_change_id" => book.previous = cursor.integer_or_skip()?,
                "bids" => book.bids = cursor.rows_or_skip()?,
                "asks" => book.asks = cursor.rows_or_skip()?,
                _ => drop(cursor.skip()?),
            }
        }
        Ok(book)
    }

    fn frame(self, symbol: &'a str) -> Option<Frame<'a>> {
        let (id, event_ts_ms) = (self.change?, self.ts);
        let (bids, asks) = (Rows::with_actions(self.bids?), Rows::with_actions(self.asks?));
        match self.kind? {
            "snapshot" => Some(Frame::Snapshot { symbol, book: SnapshotFrame { id, event_ts_ms, bids, asks } }),
            "change" => {
                let ids = UpdateIds { first: id, last: id, previous: self.previous };
                Some(Frame::Delta(DeltaFrame { symbol, ids, event_ts_ms, bids, asks }))
            }
            _ => None,
        }
    }
}

/// The array of a trades notification: all trades of 100 ms, in their order.
fn trades<'a>(text: &'a str, symbol: &'a str, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(text);
    cursor.open_array()?;
    let mut place = 0;
    while cursor.next_element(&mut place)? {
        let (mut id, mut name, mut ts, mut price, mut amount, mut taker) = (None, None, None, None, None, None);
        cursor.open_object()?;
        let mut index = 0;
        while let Some(key) = cursor.next_key(&mut index)? {
            match key {
                // Counts the instrument's trades; `trade_id` counts those of the currency, and its form is not told (`403691824`, `ETH-34066`).
                "trade_seq" => id = cursor.integer_or_skip()?,
                "trade_id" => name = cursor.string_or_skip()?,
                "timestamp" => ts = cursor.integer_or_skip()?,
                "price" => price = cursor.scalar_or_skip()?,
                "amount" => amount = cursor.scalar_or_skip()?,
                "direction" => {
                    taker = match cursor.string_or_skip()? {
                        Some("buy") => Some(Side::Bid),
                        Some("sell") => Some(Side::Ask),
                        _ => None,
                    }
                }
                _ => drop(cursor.skip()?),
            }
        }
        let (Some(id), Some(ts), Some(price), Some(quantity), Some(taker)) = (id, ts, price, amount, taker) else {
            return Err(Malformed { what: "not a trade", at: 0 });
        };
        each(Frame::Trade(TradeFrame { symbol, id, name, covers: 1, price, quantity, taker, trade_ts_ms: ts, event_ts_ms: ts }));
    }
    Ok(())
}
