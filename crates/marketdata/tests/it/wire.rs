//! How each venue says things: requests read, answers and data written. The tests' own account of the manuals, apart from the core's.

use marketdata::{Multiplier, StreamKind, VenueKind};
use serde_json::Value;

use crate::market::{Change, Deal, Whole};

/// A stream: place of its market, kind.
pub(crate) type Key = (usize, StreamKind);

/// What we were asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Subscribe(u64, Vec<Key>),
    Unsubscribe(u64, Vec<Key>),
    /// Deribit's heartbeat and its answer.
    Other(u64, String),
    Ping,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire(pub(crate) VenueKind);

use StreamKind::{Book, Trade};
use VenueKind::{BinanceSpot, BinanceUsdm, Deribit, OkxSpot, OkxSwap};

impl Wire {
    /// The venue's names of three instruments.
    pub(crate) fn names(self) -> [&'static str; 3] {
        match self.0 {
            BinanceSpot | BinanceUsdm => ["BTCUSDT", "ETHUSDT", "SOLUSDT"],
            OkxSpot => ["BTC-USDT", "ETH-USDT", "SOL-USDT"],
            OkxSwap => ["BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP"],
            Deribit => ["BTC_USDC-PERPETUAL", "ETH_USDC-PERPETUAL", "SOL_USDC-PERPETUAL"],
        }
    }

    /// Swaps count contracts of 0.01.
    pub(crate) fn multiplier(self) -> Multiplier {
        if self.0 == OkxSwap { Multiplier::product(&["0.01", "1"]).unwrap() } else { Multiplier::ONE }
    }

    fn place(self, raw: &str) -> usize {
        self.names().iter().position(|name| name.eq_ignore_ascii_case(raw)).unwrap_or_else(|| panic!("no market {raw}"))
    }

    fn key(self, stream: &Value) -> Key {
        match self.0 {
            BinanceSpot | BinanceUsdm => match stream.as_str().unwrap().split_once('@').unwrap() {
                (raw, "depth@100ms") => (self.place(raw), Book),
                (raw, "trade") => (self.place(raw), Trade),
                other => panic!("{other:?}"),
            },
            OkxSpot | OkxSwap => match (stream["instId"].as_str().unwrap(), stream["channel"].as_str().unwrap()) {
                (raw, "books") => (self.place(raw), Book),
                (raw, "trades") => (self.place(raw), Trade),
                other => panic!("{other:?}"),
            },
            Deribit => match stream.as_str().unwrap().split('.').collect::<Vec<_>>()[..] {
                ["book", raw, "100ms"] => (self.place(raw), Book),
                ["trades", raw, "100ms"] => (self.place(raw), Trade),
                _ => panic!("{stream}"),
            },
        }
    }

    fn stream(self, (place, kind): Key) -> String {
        let raw = self.names()[place];
        match (self.0, kind) {
            (OkxSpot | OkxSwap, Book) => format!(r#"{{"channel":"books","instId":"{raw}"}}"#),
            (OkxSpot | OkxSwap, Trade) => format!(r#"{{"channel":"trades","instId":"{raw}"}}"#),
            (Deribit, Book) => format!("book.{raw}.100ms"),
            (Deribit, Trade) => format!("trades.{raw}.100ms"),
            (_, Book) => format!("{}@depth@100ms", raw.to_lowercase()),
            (_, Trade) => format!("{}@trade", raw.to_lowercase()),
        }
    }

    pub(crate) fn read(self, text: &str) -> Request {
        if matches!(self.0, OkxSpot | OkxSwap) && text == "ping" {
            return Request::Ping;
        }
        let request: Value = serde_json::from_str(text).unwrap();
        let keys = |streams: &Value| streams.as_array().unwrap().iter().map(|stream| self.key(stream)).collect();
        let (id, method) = match self.0 {
            BinanceSpot | BinanceUsdm => (request["id"].as_u64(), request["method"].as_str()),
            OkxSpot | OkxSwap => (request["id"].as_str().and_then(|id| id.parse().ok()), request["op"].as_str()),
            Deribit => (request["id"].as_u64(), request["method"].as_str()),
        };
        let streams = match self.0 {
            BinanceSpot | BinanceUsdm => &request["params"],
            OkxSpot | OkxSwap => &request["args"],
            Deribit => &request["params"]["channels"],
        };
        match (id.unwrap(), method.unwrap()) {
            (id, "SUBSCRIBE" | "subscribe" | "public/subscribe") => Request::Subscribe(id, keys(streams)),
            (id, "UNSUBSCRIBE" | "unsubscribe" | "public/unsubscribe") => Request::Unsubscribe(id, keys(streams)),
            (id, other) => Request::Other(id, other.to_owned()),
        }
    }

    /// The frames that say yes.
    pub(crate) fn accepted(self, id: u64, keys: &[Key], word: &str) -> Vec<String> {
        let streams = keys.iter().map(|key| self.stream(*key));
        match self.0 {
            BinanceSpot | BinanceUsdm => vec![format!(r#"{{"result":null,"id":{id}}}"#)],
            OkxSpot | OkxSwap => streams.map(|arg| format!(r#"{{"id":"{id}","event":"{word}","arg":{arg},"connId":"a4d3ae55"}}"#)).collect(),
            Deribit => {
                let mut listed: Vec<String> = streams.map(|name| format!("\"{name}\"")).collect();
                listed.reverse();
                vec![format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{}],"usIn":1,"usOut":2,"usDiff":1,"testnet":false}}"#, listed.join(","))]
            }
        }
    }

    pub(crate) fn refused(self, id: u64) -> String {
        match self.0 {
            BinanceSpot | BinanceUsdm => format!(r#"{{"code":2,"msg":"Invalid request: unknown stream","id":{id}}}"#),
            OkxSpot | OkxSwap => {
                format!(r#"{{"id":"{id}","event":"error","code":"60018","msg":"Wrong URL or channel doesn't exist.","connId":"a4d3ae55"}}"#)
            }
            Deribit => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":"Invalid params"}},"usIn":1,"usOut":2,"usDiff":1}}"#),
        }
    }

    /// The announcement that the connection will be closed, where there is one.
    pub(crate) fn farewell(self) -> Option<String> {
        match self.0 {
            BinanceSpot | BinanceUsdm => Some(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#.to_owned()),
            OkxSpot | OkxSwap => Some(
                r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#
                    .to_owned(),
            ),
            Deribit => None,
        }
    }

    pub(crate) fn delta(self, place: usize, change: &Change, wall_ms: i64) -> String {
        let raw = self.names()[place];
        let Change { first, last, previous, .. } = change;
        let (bids, asks) = (self.rows(&change.bids), self.rows(&change.asks));
        match self.0 {
            BinanceSpot | BinanceUsdm => {
                let pu = if self.0 == BinanceSpot { String::new() } else { format!(r#""pu":{previous},"T":{wall_ms},"st":1,"#) };
                format!(
                    r#"{{"stream":"{}@depth@100ms","data":{{"e":"depthUpdate","E":{wall_ms},"s":"{raw}","U":{first},"u":{last},{pu}"b":[{bids}],"a":[{asks}]}}}}"#,
                    raw.to_lowercase()
                )
            }
            OkxSpot | OkxSwap => format!(
                r#"{{"arg":{},"action":"update","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{wall_ms}","checksum":0,"prevSeqId":{previous},"seqId":{last}}}]}}"#,
                self.stream((place, Book))
            ),
            Deribit => format!(
                r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{}","data":{{"type":"change","timestamp":{wall_ms},"prev_change_id":{previous},"instrument_name":"{raw}","change_id":{last},"bids":[{bids}],"asks":[{asks}]}}}}}}"#,
                self.stream((place, Book))
            ),
        }
    }

    /// A sign of life of a book that does not change.
    pub(crate) fn nothing_new(self, place: usize, id: u64, wall_ms: i64) -> Option<String> {
        let change = Change { first: id, last: id, previous: id, bids: Vec::new(), asks: Vec::new() };
        matches!(self.0, OkxSpot | OkxSwap).then(|| self.delta(place, &change, wall_ms))
    }

    /// A book that comes with its stream.
    pub(crate) fn stream_snapshot(self, place: usize, whole: &Whole, wall_ms: i64) -> String {
        let raw = self.names()[place];
        let new = |levels: &[(i64, i64)]| self.rows(&levels.iter().map(|(price, quantity)| (*price, *quantity, false)).collect::<Vec<_>>());
        let (id, bids, asks, stream) = (whole.id, new(&whole.bids), new(&whole.asks), self.stream((place, Book)));
        if self.0 == Deribit {
            return format!(
                r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{stream}","data":{{"type":"snapshot","timestamp":{wall_ms},"instrument_name":"{raw}","change_id":{id},"bids":[{bids}],"asks":[{asks}]}}}}}}"#
            );
        }
        format!(
            r#"{{"arg":{stream},"action":"snapshot","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{wall_ms}","checksum":0,"prevSeqId":-1,"seqId":{id}}}]}}"#
        )
    }

    /// A book over REST.
    pub(crate) fn rest_snapshot(self, whole: &Whole, wall_ms: i64) -> String {
        let plain = |levels: &[(i64, i64)]| {
            let row = |&(price, quantity): &(i64, i64)| match self.0 {
                Deribit => format!("[{},{}]", ticks(price), self.size(quantity)),
                _ => format!(r#"["{}","{}"]"#, ticks(price), self.size(quantity)),
            };
            levels.iter().map(row).collect::<Vec<_>>().join(",")
        };
        let (id, bids, asks) = (whole.id, plain(&whole.bids), plain(&whole.asks));
        match self.0 {
            BinanceSpot | BinanceUsdm => format!(r#"{{"lastUpdateId":{id},"bids":[{bids}],"asks":[{asks}]}}"#),
            OkxSpot | OkxSwap => {
                format!(r#"{{"code":"0","msg":"","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{wall_ms}","seqId":{id}}}]}}"#)
            }
            Deribit => format!(
                r#"{{"jsonrpc":"2.0","result":{{"timestamp":{wall_ms},"state":"open","change_id":{id},"bids":[{bids}],"asks":[{asks}]}},"usIn":1,"usOut":2}}"#
            ),
        }
    }

    pub(crate) fn trade(self, place: usize, deal: &Deal, wall_ms: i64) -> String {
        let raw = self.names()[place];
        let (id, price, size) = (deal.id, ticks(deal.price), self.size(20));
        let side = if deal.buyer_is_maker { "sell" } else { "buy" };
        match self.0 {
            BinanceSpot | BinanceUsdm => format!(
                r#"{{"stream":"{}@trade","data":{{"e":"trade","E":{wall_ms},"T":{wall_ms},"s":"{raw}","t":{id},"p":"{price}","q":"{size}","m":{},"M":true}}}}"#,
                raw.to_lowercase(),
                deal.buyer_is_maker
            ),
            OkxSpot | OkxSwap => format!(
                r#"{{"arg":{},"data":[{{"instId":"{raw}","tradeId":"{id}","px":"{price}","sz":"{size}","side":"{side}","ts":"{wall_ms}","count":"{}","source":"0","seqId":1}}]}}"#,
                self.stream((place, Trade)),
                deal.count
            ),
            Deribit => format!(
                r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{}","data":[{{"trade_seq":{id},"trade_id":"{}","timestamp":{wall_ms},"tick_direction":2,"price":{price},"mark_price":1.5e-6,"instrument_name":"{raw}","direction":"{side}","contracts":1.0,"amount":{size}}}]}}}}"#,
                self.stream((place, Trade)),
                id * 7
            ),
        }
    }

    fn rows(self, levels: &[(i64, i64, bool)]) -> String {
        let row = |&(price, quantity, known): &(i64, i64, bool)| match self.0 {
            BinanceSpot | BinanceUsdm => format!(r#"["{}","{}"]"#, ticks(price), self.size(quantity)),
            OkxSpot | OkxSwap => format!(r#"["{}","{}","0","2"]"#, ticks(price), self.size(quantity)),
            Deribit => {
                let action = match (quantity, known) {
                    (0, _) => "delete",
                    (_, true) => "change",
                    (_, false) => "new",
                };
                format!(r#"["{action}",{},{}]"#, ticks(price), self.size(quantity))
            }
        };
        levels.iter().map(row).collect::<Vec<_>>().join(",")
    }

    /// Lots are thousandths; a contract is a hundredth.
    fn size(self, lots: i64) -> String {
        if self.0 == OkxSwap { format!("{}.{}", lots / 10, lots % 10) } else { format!("{}.{:03}", lots / 1_000, lots % 1_000) }
    }
}

fn ticks(price: i64) -> String {
    format!("{}.{:02}", price / 100, price % 100)
}
