//! Deribit's questions and answers, the same over HTTP and over a socket: instruments, books, tests, and refusals in the venue's words.

use serde_json::{Map, Value, json};

use super::number;
use crate::venue::engine::{RestReply, Trouble};
use crate::venue::market::{Instrument, Market};
use crate::venue::wire::{Level, Snapshot};

/// Depths that `get_order_book` takes.
const DEPTHS: [u64; 8] = [1, 5, 10, 20, 50, 100, 1_000, 10_000];

/// A question to Deribit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeribitAsk {
    /// `public/…`.
    pub method: String,
    /// Parameters; over HTTP each is a string.
    pub params: Value,
    /// Id of the call; null over HTTP.
    pub id: Value,
}

// === impl DeribitAsk ===

impl DeribitAsk {
    /// Name for counts.
    pub(crate) fn name(&self) -> &'static str {
        match self.method.as_str() {
            "public/get_instruments" => "get_instruments",
            "public/get_order_book" => "get_order_book",
            "public/get_time" => "get_time",
            "public/test" => "test",
            _ => "other",
        }
    }

    /// The symbol that faults go by.
    pub(crate) fn symbol(&self) -> &str {
        self.text("instrument_name").unwrap_or_default()
    }

    /// A parameter's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// The depth that was asked for; `None` when the venue refuses it.
    pub(crate) fn depth(&self) -> Option<usize> {
        let asked = match self.params.get("depth") {
            None => 5,
            Some(depth) => depth.as_u64().or_else(|| depth.as_str()?.parse().ok())?,
        };
        DEPTHS.contains(&asked).then(|| usize::try_from(asked).unwrap_or(usize::MAX))
    }
}

/// The answer of `get_instruments`.
pub(crate) fn instruments<'a>(ask: &DeribitAsk, markets: impl Iterator<Item = &'a Market>) -> RestReply {
    let (currency, kind) = (ask.text("currency").unwrap_or("any"), ask.text("kind").unwrap_or("future"));
    let wanted = |market: &&Market| kind == "future" && (currency == "any" || settlement(&market.instrument) == currency);
    let list: Vec<Value> = markets.filter(wanted).map(|market| instrument(&market.instrument)).collect();
    RestReply::json(200, result(&ask.id, &json!(list)))
}

/// The answer of `get_order_book`.
pub(crate) fn order_book(ask: &DeribitAsk, snapshot: &Snapshot, event_ms: i64) -> RestReply {
    let side = |levels: &[Level]| {
        let pairs: Vec<String> = levels.iter().map(|(price, amount)| format!("[{},{}]", number(price), number(amount))).collect();
        format!("[{}]", pairs.join(","))
    };
    let body = format!(
        "{{\"timestamp\":{event_ms},\"state\":\"open\",\"instrument_name\":\"{}\",\"change_id\":{},\"bids\":{},\"asks\":{}}}",
        ask.symbol(),
        snapshot.last_update_id,
        side(&snapshot.bids),
        side(&snapshot.asks)
    );
    RestReply::json(200, envelope(&ask.id, &format!("\"result\":{body}")))
}

/// A good answer.
pub(crate) fn result(id: &Value, result: &Value) -> String {
    envelope(id, &format!("\"result\":{result}"))
}

/// A refusal.
pub(crate) fn fault(id: &Value, code: i64, message: &str) -> String {
    envelope(id, &format!("\"error\":{}", json!({"code": code, "message": message})))
}

/// A refusal over HTTP.
pub(crate) fn refusal(ask: &DeribitAsk, code: i64, message: &str) -> RestReply {
    RestReply::json(400, fault(&ask.id, code, message))
}

/// What the venue says when it does not answer.
pub(crate) fn trouble(trouble: Trouble) -> RestReply {
    match trouble {
        Trouble::TooMuch { .. } => RestReply::json(429, fault(&Value::Null, 10028, "too_many_requests")),
        // The venue has no 418; what is asked for by a fault is sent all the same.
        Trouble::Banned { .. } => RestReply::json(418, fault(&Value::Null, 10028, "too_many_requests")),
        Trouble::Unknown => RestReply::json(500, fault(&Value::Null, 11094, "internal_server_error")),
    }
}

/// Parameters of a query string.
pub(crate) fn params(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>())
}

fn envelope(id: &Value, what: &str) -> String {
    let id = if id.is_null() { String::new() } else { format!("\"id\":{id},") };
    format!("{{\"jsonrpc\":\"2.0\",{id}{what},\"usIn\":1699999999000000,\"usOut\":1699999999000450,\"usDiff\":450,\"testnet\":false}}")
}

/// The currency a contract is settled in: the base of inverse ones, the quote of linear ones.
fn settlement(instrument: &Instrument) -> &str {
    if instrument.quote == "USD" { &instrument.base } else { &instrument.quote }
}

fn instrument(instrument: &Instrument) -> Value {
    let Instrument { symbol, base, quote, tick_size, step_size, .. } = instrument;
    let inverse = quote == "USD";
    let numeric = |text: &str| text.parse::<f64>().unwrap_or_default();
    json!({
        "kind": "future", "instrument_name": symbol, "base_currency": base, "quote_currency": quote, "counter_currency": quote,
        "settlement_currency": settlement(instrument), "settlement_period": "perpetual", "is_active": true, "state": "open",
        "instrument_type": if inverse { "reversed" } else { "linear" }, "future_type": if inverse { "reversed" } else { "linear" },
        "contract_size": numeric(step_size), "min_trade_amount": numeric(step_size), "tick_size": numeric(tick_size), "tick_size_steps": [],
        "price_index": format!("{}_{}", base.to_lowercase(), quote.to_lowercase()), "expiration_timestamp": 32_503_708_800_000_i64,
        "creation_timestamp": 1_534_167_754_000_i64, "max_leverage": 50, "maker_commission": 0.0, "taker_commission": 0.0005, "rfq": false,
    })
}
