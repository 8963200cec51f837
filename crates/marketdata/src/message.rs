//! What leaves: subjects, message ids and JSON bodies.
//!
//! Owns: the wire form that the old system's consumers read (levels as string arrays, the old field names), plus what it lost: the venue's own event
//! time and update ids. Must not know: NATS, files, how often anything is published. Encoding appends to a buffer the caller reuses and allocates nothing.
//!
//! Differences from the old publisher, on purpose: `symbol` is the normalised one everywhere and the venue's own is `venue_symbol`;
//! `standardized_at` (a text form of `ts_ms` that no consumer reads) is not sent.

pub(crate) mod json;
pub mod text;
mod trade_name;

use clock::Now;

use crate::book::{Book, Level, Side};
use crate::delta::BookDelta;
use crate::instrument::{Instrument, InstrumentId, Unit};
use crate::kind::RecordKind;
use crate::message::json::{key, number, optional, signed, text_field, yes_or_no};
use crate::price::{Price, Quantity, Scale, write_row};

pub use crate::preview::wire::{encode_event, encode_preview};
pub use crate::price::integer;
pub use trade_name::TradeName;

/// The first N levels of a book, to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct BookView<'a> {
    /// Whose book.
    pub instrument: &'a Instrument,
    /// All levels held.
    pub book: &'a Book,
    /// How many of them are published.
    pub depth: usize,
    /// Where in the venue's sequence.
    pub stamp: Stamp,
    /// Whether a delta has joined the snapshot yet; a quiet instrument is published from its snapshot alone.
    pub confirmed: bool,
}

/// Where a book stands in the venue's sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Id of the last update in the book: Binance `u`, OKX `seqId`, Deribit `change_id`.
    pub sequence: u64,
    /// First id of the last delta: Binance `U`. `None` for a bare snapshot and for venues that have none.
    pub first: Option<u64>,
    /// Id before the last delta: Binance futures `pu`, OKX `prevSeqId`, Deribit `prev_change_id`.
    pub previous: Option<u64>,
    /// The venue's event time, unix ms. `None` for a Binance spot snapshot, which carries no time.
    pub event_ts_ms: Option<i64>,
    /// When it arrived here, unix ms.
    pub received_ms: i64,
}

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// The number that counts the instrument's trades: continuity goes by it. Deribit: `trade_seq`; elsewhere the venue's trade id.
    pub id: u64,
    /// The venue's own `trade_id`, where that is another thing (Deribit).
    pub name: TradeName,
    /// How many of the venue's ids it stands for, its own the last of them: OKX merges the fills of one order at one price. Elsewhere 1.
    pub covers: u32,
    /// At what price, in the instrument's scale.
    pub price: Price,
    /// How much, in the instrument's scale.
    pub quantity: Quantity,
    /// Side of the taker: [`Side::Bid`] bought.
    pub taker: Side,
    /// When it happened, unix ms.
    pub trade_ts_ms: i64,
    /// When the venue sent it, unix ms.
    pub event_ts_ms: i64,
    /// When it arrived here, unix ms.
    pub received_ms: i64,
}

// === impl BookView ===

impl BookView<'_> {
    /// Whether the published depth is all there (or the venue has no more levels).
    pub fn complete(&self) -> bool {
        self.book.complete(self.depth)
    }

    /// Levels that are published of one side.
    pub fn levels(&self, side: Side) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.book.top(side, self.depth)
    }
}

// === impl Trade ===

impl Trade {
    /// What the taker did: `buy` or `sell`.
    pub const fn taker_word(&self) -> &'static str {
        match self.taker {
            Side::Bid => "buy",
            Side::Ask => "sell",
        }
    }
}

// === encoding ===

/// Appends `<kind>.<exchange>.<market_type>.<symbol>`, e.g. `orderbook.binance.spot.BTC-USDT`.
pub fn subject(kind: RecordKind, instrument: &Instrument, out: &mut Vec<u8>) {
    joined(kind, instrument, b'.', out);
}

/// Appends the `Nats-Msg-Id` of a book, `orderbook:exchange:market_type:symbol:sequence:event_ts_ms`.
///
/// All of it is the venue's, so that a second collector of the same feed makes the same id.
pub fn book_id(view: &BookView<'_>, out: &mut Vec<u8>) {
    id(RecordKind::OrderBook, view.instrument, (view.stamp.sequence, view.stamp.event_ts_ms.unwrap_or(0)), out);
}

/// Appends the `Nats-Msg-Id` of a trade, `trade:exchange:market_type:symbol:id:event_ts_ms`.
pub fn trade_id(trade: &Trade, instrument: &Instrument, out: &mut Vec<u8>) {
    id(RecordKind::Trade, instrument, (trade.id, trade.event_ts_ms), out);
}

/// Appends one JSON object: the book's first N levels. `now` becomes `ts_ms`, the publishing time, as in the old system.
pub fn encode_book(view: &BookView<'_>, now: Now, out: &mut Vec<u8>) {
    text::BookText::default().encode(view, now, out);
}

/// The record of a book around the text of its levels.
fn book_with(view: &BookView<'_>, now: Now, (bids, asks): (&[u8], &[u8]), out: &mut Vec<u8>) {
    let stamp = view.stamp;
    head(RecordKind::OrderBook, view.instrument, now, out);
    text_field("update_type", "snapshot", out);
    optional("last_update_id", Some(stamp.sequence), out);
    optional("first_update_id", stamp.first, out);
    optional("prev_update_id", stamp.previous, out);
    optional("sequence", Some(stamp.sequence), out);
    signed("event_ts_ms", stamp.event_ts_ms, out);
    signed("collected_ts_ms", Some(stamp.received_ms), out);
    optional("depth_levels", u64::try_from(view.depth).ok(), out);
    yes_or_no("complete", view.complete(), out);
    yes_or_no("confirmed", view.confirmed, out);
    for (name, levels) in [("bids", bids), ("asks", asks)] {
        key(name, out);
        out.push(b'[');
        out.extend_from_slice(levels);
        out.push(b']');
    }
    out.push(b'}');
}

/// What the records of one kind and instrument begin with, made once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head(Vec<u8>);

// === impl Head ===

impl Head {
    /// For the records of this kind of an instrument.
    pub fn new(kind: RecordKind, instrument: &Instrument) -> Self {
        let mut text = Vec::with_capacity(320);
        head_of(kind, instrument, &mut text);
        text.shrink_to_fit();
        Self(text)
    }

    fn write(&self, now: Now, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        signed("ts_ms", Some(now.wall_ms), out);
    }
}

/// Appends one JSON object: what changed in a book. `now` becomes `ts_ms`, the publishing time.
pub fn encode_delta(delta: &BookDelta<'_>, now: Now, out: &mut Vec<u8>) {
    let stamp = delta.stamp;
    delta.head.write(now, out);
    text_field("update_type", delta.form.as_str(), out);
    optional("prev_sequence", delta.previous, out);
    optional("sequence", Some(stamp.sequence), out);
    signed("event_ts_ms", stamp.event_ts_ms, out);
    signed("collected_ts_ms", Some(stamp.received_ms), out);
    optional("depth_levels", u64::try_from(delta.depth).ok(), out);
    yes_or_no("complete", delta.complete, out);
    levels("bids", delta.instrument, delta.bids, out);
    levels("asks", delta.instrument, delta.asks, out);
    out.push(b'}');
}

/// Appends one JSON object: a trade. `now` becomes `ts_ms`, the publishing time.
pub fn encode_trade(trade: &Trade, instrument: &Instrument, now: Now, out: &mut Vec<u8>) {
    head(RecordKind::Trade, instrument, now, out);
    number("price", instrument.price, trade.price.0, out);
    number("quantity", instrument.quantity, trade.quantity.0, out);
    text_field("side", trade.taker_word(), out);
    yes_or_no("is_maker", trade.taker == Side::Ask, out);
    own_id(trade, out);
    optional("sequence", Some(trade.id), out);
    signed("trade_ts_ms", Some(trade.trade_ts_ms), out);
    signed("event_ts_ms", Some(trade.event_ts_ms), out);
    signed("collected_ts_ms", Some(trade.received_ms), out);
    out.push(b'}');
}

/// The venue's own id of a trade: its name, or its number.
pub(crate) fn own_id(trade: &Trade, out: &mut Vec<u8>) {
    key("trade_id", out);
    out.push(b'"');
    match trade.name.text() {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => integer(trade.id, out),
    }
    out.push(b'"');
}

pub(crate) fn head(kind: RecordKind, instrument: &Instrument, now: Now, out: &mut Vec<u8>) {
    head_of(kind, instrument, out);
    signed("ts_ms", Some(now.wall_ms), out);
}

fn head_of(kind: RecordKind, instrument: &Instrument, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"exchange\":\"");
    out.extend_from_slice(instrument.exchange.as_str().as_bytes());
    out.push(b'"');
    text_field("market_type", instrument.market_type.as_str(), out);
    text_field("symbol", &instrument.symbol, out);
    text_field("normalized_symbol", &instrument.symbol, out);
    text_field("venue_symbol", &instrument.raw, out);
    if instrument.unit != Unit::Base {
        text_field("quantity_unit", instrument.unit.as_str(), out);
    }
    text_field("data_type", kind.as_str(), out);
    text_field("data_source", "tidemark", out);
    text_field("publisher", "collector", out);
    text_field("standardization_version", "2.0", out);
}

fn levels(name: &str, instrument: &Instrument, levels: &[Level], out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'[');
    for level in levels {
        row(instrument, *level, out);
    }
    // The last comma goes.
    if !levels.is_empty() {
        out.pop();
    }
    out.push(b']');
}

/// Appends `["price","quantity"],`.
#[inline]
fn row(instrument: &Instrument, level: Level, out: &mut Vec<u8>) {
    write_row((instrument.price, instrument.quantity), (level.price.0, level.quantity.0), out);
}

fn id(kind: RecordKind, instrument: &Instrument, (sequence, event_ts_ms): (u64, i64), out: &mut Vec<u8>) {
    joined(kind, instrument, b':', out);
    out.push(b':');
    integer(sequence, out);
    out.push(b':');
    Scale::new(0).write(event_ts_ms, out);
}

fn joined(kind: RecordKind, instrument: &Instrument, by: u8, out: &mut Vec<u8>) {
    for word in [kind.as_str(), instrument.exchange.as_str(), instrument.market_type.as_str()] {
        out.extend_from_slice(word.as_bytes());
        out.push(by);
    }
    out.extend_from_slice(instrument.symbol.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::DepthBounds;
    use crate::instrument::{Exchange, MarketType};
    use std::time::Duration;

    fn btc() -> Instrument {
        let scale = Scale::new(8);
        let (exchange, market_type) = (Exchange::Binance, MarketType::Spot);
        Instrument::new(exchange, market_type, ("BTCUSDT", "BTC-USDT"), (scale, scale))
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    const NOW: Now = Now::new(Duration::from_secs(1), 1_723_161_255_400);

    #[test]
    fn a_book_as_it_goes_out() {
        let instrument = btc();
        let level = |price: &str, quantity: &str| Level {
            price: Price(instrument.price.parse(price).unwrap()),
            quantity: Quantity(instrument.quantity.parse(quantity).unwrap()),
        };
        let mut book = Book::new(DepthBounds { most: 10, kept: 10 });
        book.load(&[level("61737.63", "0.5"), level("61737.62", "1")], &[level("61837.64000000", "1.54698000")], 2);
        let stamp = Stamp {
            sequence: 50_093_239_202,
            first: Some(50_093_239_189),
            previous: None,
            event_ts_ms: Some(1_723_161_255_208),
            received_ms: 1_723_161_255_300,
        };
        let view = BookView { instrument: &instrument, book: &book, depth: 2, stamp, confirmed: true };
        assert_eq!(
            text(|out| encode_book(&view, NOW, out)),
            concat!(
                r#"{"exchange":"binance","market_type":"spot","symbol":"BTC-USDT","normalized_symbol":"BTC-USDT","venue_symbol":"BTCUSDT","#,
                r#""data_type":"orderbook","data_source":"tidemark","publisher":"collector","standardization_version":"2.0","ts_ms":1723161255400,"#,
                r#""update_type":"snapshot","last_update_id":50093239202,"first_update_id":50093239189,"prev_update_id":null,"sequence":50093239202,"#,
                r#""event_ts_ms":1723161255208,"collected_ts_ms":1723161255300,"depth_levels":2,"complete":true,"confirmed":true,"#,
                r#""bids":[["61737.63000000","0.50000000"],["61737.62000000","1.00000000"]],"asks":[["61837.64000000","1.54698000"]]}"#
            )
        );
        assert_eq!(text(|out| book_id(&view, out)), "orderbook:binance:spot:BTC-USDT:50093239202:1723161255208");
        assert_eq!(text(|out| subject(RecordKind::OrderBook, &instrument, out)), "orderbook.binance.spot.BTC-USDT");
    }

    #[test]
    fn a_trade_as_it_goes_out() {
        let instrument = btc();
        let trade = Trade {
            instrument: InstrumentId(0),
            id: 3_735_683_259,
            name: TradeName::NONE,
            covers: 1,
            price: Price(instrument.price.parse("61837.63").unwrap()),
            quantity: Quantity(instrument.quantity.parse("0.02").unwrap()),
            taker: Side::Ask,
            trade_ts_ms: 1_723_161_255_342,
            event_ts_ms: 1_723_161_255_343,
            received_ms: 1_723_161_255_350,
        };
        assert_eq!(
            text(|out| encode_trade(&trade, &instrument, NOW, out)),
            concat!(
                r#"{"exchange":"binance","market_type":"spot","symbol":"BTC-USDT","normalized_symbol":"BTC-USDT","venue_symbol":"BTCUSDT","#,
                r#""data_type":"trade","data_source":"tidemark","publisher":"collector","standardization_version":"2.0","ts_ms":1723161255400,"#,
                r#""price":"61837.63000000","quantity":"0.02000000","side":"sell","is_maker":true,"trade_id":"3735683259","sequence":3735683259,"#,
                r#""trade_ts_ms":1723161255342,"event_ts_ms":1723161255343,"collected_ts_ms":1723161255350}"#
            )
        );
        assert_eq!(text(|out| trade_id(&trade, &instrument, out)), "trade:binance:spot:BTC-USDT:3735683259:1723161255343");
        let named = Trade { name: TradeName::of("ETH-34066").unwrap(), ..trade };
        let said = text(|out| encode_trade(&named, &instrument, NOW, out));
        assert!(said.contains(r#""trade_id":"ETH-34066","sequence":3735683259,"#), "{said}");
        assert_eq!(text(|out| trade_id(&named, &instrument, out)), "trade:binance:spot:BTC-USDT:3735683259:1723161255343", "by the number");
    }

    #[test]
    fn integers_of_all_sizes_print() {
        for value in [0, 9, 10, 12345, u64::MAX - 1, u64::MAX] {
            assert_eq!(text(|out| integer(value, out)), value.to_string());
        }
    }
}
