//! What Binance Spot and USDⓈ-M futures share: control messages, the combined envelope, event payloads, the depth snapshot.
//!
//! Sources: binance-spot-api-docs web-socket-streams.md and rest-api.md; developers.binance.com USDⓈ-M "Websocket Market Streams". Fields a venue adds
//! (`st`, `ps` since the coin-M migration) are skipped. Must not know: URLs, limits, continuity rules.

use crate::book::Side;
use crate::effect::StreamKind;
use crate::feed::cursor::{Cursor, string_field};
use crate::feed::plain::Plain;
use crate::feed::{DeltaFrame, Frame, Malformed, Refusal, Rows, SnapshotFrame, TradeFrame};
use crate::sequence::UpdateIds;
use crate::venue::dialect::{Answers, Wire};

/// The `e` of a diff depth event.
const DEPTH_EVENT: &str = "depthUpdate";
const TRADE_EVENT: &str = "trade";
/// Spot since 2026-05-08; not confirmed for futures.
const SHUTDOWN_EVENT: &str = "serverShutdown";

/// All fields any collected message has; each stays `None` if its value has another type.
#[derive(Debug, Default)]
struct Fields<'a> {
    event: Option<&'a str>,
    event_ts: Option<i64>,
    transaction_ts: Option<i64>,
    symbol: Option<&'a str>,
    first: Option<u64>,
    last: Option<u64>,
    previous: Option<u64>,
    bids: Option<&'a str>,
    asks: Option<&'a str>,
    trade: Option<u64>,
    price: Option<&'a str>,
    quantity: Option<&'a str>,
    buyer_is_maker: Option<bool>,
    request: Option<u64>,
    answered: bool,
    refused: bool,
}

pub(super) const WIRE: Wire = Wire { stream, subscribe, unsubscribe, answers: Answers::Whole, greeting: None, ping: None, challenged: None };

/// No bound is published; far above a request of 100 streams.
pub(super) const REQUEST_BYTES: usize = 16_000;

/// `{"method":"SUBSCRIBE","params":[…],"id":N}`. Names come from the venue's own list; they hold nothing JSON escapes.
fn subscribe(id: u64, streams: &[String]) -> String {
    format!(r#"{{"method":"SUBSCRIBE","params":["{}"],"id":{id}}}"#, streams.join("\",\""))
}

fn unsubscribe(id: u64, streams: &[String]) -> String {
    format!(r#"{{"method":"UNSUBSCRIBE","params":["{}"],"id":{id}}}"#, streams.join("\",\""))
}

/// `btcusdt@depth@100ms`, `btcusdt@trade`; stream names are lower case.
fn stream(raw: &str, kind: StreamKind) -> String {
    let channel = match kind {
        StreamKind::Book => "depth@100ms",
        StreamKind::Trade => TRADE_EVENT,
    };
    format!("{}@{channel}", raw.to_lowercase())
}

/// Reads one frame in raw or combined (`{"stream":…,"data":{…}}`) form; it holds one record.
pub(super) fn decode<'a>(text: &'a str, each: &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed> {
    each(match plain_delta(text) {
        Some(frame) => Frame::Delta(frame),
        None => read(text)?,
    });
    Ok(())
}

/// A diff depth event as both markets write it, in the combined form; `None`: another message, or another form.
fn plain_delta(text: &str) -> Option<DeltaFrame<'_>> {
    let mut plain = Plain::new(text);
    plain.literal("{\"stream\":\"")?;
    plain.inside()?;
    plain.literal("\",\"data\":{\"e\":\"depthUpdate\",\"E\":")?;
    let event_ts_ms = i64::try_from(plain.integer()?).ok();
    if plain.literal(",\"T\":").is_some() {
        plain.integer()?;
    }
    plain.literal(",\"s\":\"")?;
    let symbol = plain.inside()?;
    plain.literal("\",\"U\":")?;
    let first = plain.integer()?;
    plain.literal(",\"u\":")?;
    let last = plain.integer()?;
    let previous = match plain.literal(",\"pu\":") {
        Some(()) => Some(plain.integer()?),
        None => None,
    };
    plain.literal(",\"b\":")?;
    let bids = Rows::new(plain.rows()?);
    plain.literal(",\"a\":")?;
    let asks = Rows::new(plain.rows()?);
    plain.literal("}}")?;
    plain.end()?;
    Some(DeltaFrame { symbol, ids: UpdateIds { first, last, previous }, event_ts_ms, bids, asks })
}

fn read(text: &str) -> Result<Frame<'_>, Malformed> {
    let mut cursor = Cursor::new(text);
    let mut fields = Fields::default();
    cursor.open_object()?;
    let mut index = 0;
    while let Some(key) = cursor.next_key(&mut index)? {
        match key {
            "data" | "error" if cursor.peek() == Some(b'{') => {
                fields.refused |= key == "error";
                let mut inner = 0;
                cursor.open_object()?;
                while let Some(key) = cursor.next_key(&mut inner)? {
                    fields.read(key, &mut cursor)?;
                }
            }
            _ => fields.read(key, &mut cursor)?,
        }
    }
    cursor.end()?;
    fields.frame().ok_or(Malformed { what: "a field is missing or of another type", at: text.len() })
}

/// The symbol of a depth event that could not be read.
pub(super) fn lost(text: &str) -> Option<&str> {
    let depth = string_field(text, "\"e\":") == Some(DEPTH_EVENT);
    string_field(text, "\"s\":").filter(|_| depth)
}

/// Reads the body of `GET …/depth`; spot gives no time, futures `E`.
pub(super) fn snapshot(text: &str) -> Result<SnapshotFrame<'_>, Malformed> {
    let mut cursor = Cursor::new(text);
    let (mut id, mut event_ts_ms, mut bids, mut asks) = (None, None, None, None);
    cursor.open_object()?;
    let mut index = 0;
    while let Some(key) = cursor.next_key(&mut index)? {
        match key {
            "lastUpdateId" => id = cursor.integer_or_skip()?,
            "E" => event_ts_ms = cursor.integer_or_skip()?,
            "bids" => bids = cursor.rows_or_skip()?,
            "asks" => asks = cursor.rows_or_skip()?,
            _ => drop(cursor.skip()?),
        }
    }
    cursor.end()?;
    match (id, bids, asks) {
        (Some(id), Some(bids), Some(asks)) => Ok(SnapshotFrame { id, event_ts_ms, bids: Rows::new(bids), asks: Rows::new(asks) }),
        _ => Err(Malformed { what: "not a depth snapshot", at: text.len() }),
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    fn read(&mut self, key: &str, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        match key {
            "e" => self.event = cursor.string_or_skip()?,
            "E" => self.event_ts = cursor.integer_or_skip()?,
            "T" => self.transaction_ts = cursor.integer_or_skip()?,
            "s" => self.symbol = cursor.string_or_skip()?,
            "U" => self.first = cursor.integer_or_skip()?,
            "u" => self.last = cursor.integer_or_skip()?,
            "pu" => self.previous = cursor.integer_or_skip()?,
            "b" => self.bids = cursor.rows_or_skip()?,
            "a" => self.asks = cursor.rows_or_skip()?,
            "t" => self.trade = cursor.integer_or_skip()?,
            "p" => self.price = cursor.string_or_skip()?,
            "q" => self.quantity = cursor.string_or_skip()?,
            "m" => self.buyer_is_maker = cursor.skip()?.parse().ok(),
            "id" => self.request = cursor.integer_or_skip()?,
            "result" => {
                self.answered = true;
                cursor.skip()?;
            }
            "code" => {
                self.refused = true;
                cursor.skip()?;
            }
            _ => drop(cursor.skip()?),
        }
        Ok(())
    }

    /// `None`: of a kind that is collected, but incomplete.
    fn frame(self) -> Option<Frame<'a>> {
        match self.event {
            Some(DEPTH_EVENT) => Some(Frame::Delta(DeltaFrame {
                symbol: self.symbol?,
                ids: UpdateIds { first: self.first?, last: self.last?, previous: self.previous },
                event_ts_ms: self.event_ts,
                bids: Rows::new(self.bids?),
                asks: Rows::new(self.asks?),
            })),
            Some(TRADE_EVENT) => Some(Frame::Trade(TradeFrame {
                symbol: self.symbol?,
                id: self.trade?,
                name: None,
                covers: 1,
                price: self.price?,
                quantity: self.quantity?,
                // The buyer was the maker, so the seller took.
                taker: if self.buyer_is_maker? { Side::Ask } else { Side::Bid },
                trade_ts_ms: self.transaction_ts?,
                event_ts_ms: self.event_ts?,
            })),
            Some(SHUTDOWN_EVENT) => Some(Frame::Shutdown),
            None if self.refused => Some(Frame::Refused { id: self.request, refusal: Refusal::Never }),
            None if self.answered => Some(self.request.map_or(Frame::Other, |id| Frame::Ack { id })),
            _ => Some(Frame::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPOT: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,"u":50093239202,"b":[["61737.63000000","0.00000000"],["61737.60000000","1.5"]],"a":[["61937.64000000","0.02000000"]]}}"#;
    const FUTURES: &str = r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[],"a":[["65880.70","15.918"]]}}"#;

    /// All of a delta, to be compared.
    fn told(frame: &Frame<'_>) -> String {
        format!("{frame:?}")
    }

    #[test]
    fn the_usual_form_is_read_in_one_pass() {
        for text in [SPOT, FUTURES] {
            let plain = plain_delta(text).unwrap();
            assert_eq!(told(&Frame::Delta(plain)), told(&read(text).unwrap()));
        }
        assert!(plain_delta(&SPOT.replace("\"u\"", "\"x\":1,\"u\"")).is_none(), "what a venue adds is left to the other reader");
    }

    proptest! {
        /// Whatever becomes of such a text, what is read in one pass is what the other reader finds.
        #[test]
        fn both_readers_agree(futures in any::<bool>(), changes in proptest::collection::vec((any::<proptest::sample::Index>(), "[ -~]{0,3}", 0usize..4), 0..3)) {
            let mut text = if futures { FUTURES } else { SPOT }.to_owned();
            for (place, new, gone) in changes {
                let at = place.index(text.len());
                text.replace_range(at..(at + gone).min(text.len()), &new);
            }
            if let Some(plain) = plain_delta(&text) {
                prop_assert_eq!(read(&text).map(|frame| told(&frame)), Ok(told(&Frame::Delta(plain))), "{}", text);
            }
        }
    }
}
