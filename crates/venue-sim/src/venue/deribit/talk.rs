//! Deribit's JSON-RPC over a socket ("Subscription Management", "Rate Limits", `public/set_heartbeat`): partial results, whole refusals of `.raw`,
//! credits whose end ends the session, 32 kB a frame. No I/O: text in, answers out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rest::{DeribitAsk, fault, result};
use crate::venue::engine::{Ask, ToConnection};
use crate::venue::fault::FaultKind;
use crate::venue::session::{Answer, Desk, Reply};

/// Length of a frame.
const FRAME_BYTES: usize = 32 * 1024;
/// Credits of a subscription call, of all there are, and what comes back in a second.
const SUBSCRIBE_COST: u64 = 3_000;
/// Credits for subscriptions.
pub(crate) const CREDITS: u64 = 30_000;
const CREDITS_PER_SECOND: u64 = 10_000;
/// Shortest heartbeat, seconds.
const HEARTBEAT_MIN: u64 = 10;

/// A connection at Deribit.
#[derive(Debug)]
pub(crate) struct Talk {
    pool: u64,
    credits: u64,
    filled: Option<Instant>,
    heartbeat_min: u64,
}

/// A call, read.
struct Call {
    id: Value,
    method: String,
    params: Value,
}

// === impl Talk ===

impl Talk {
    /// A connection with a pool of subscription credits. Tests may want heartbeats shorter than the venue's shortest.
    pub(crate) fn new(pool: u64, short_heartbeats: bool) -> Self {
        Self { pool, credits: pool, filled: None, heartbeat_min: if short_heartbeats { 1 } else { HEARTBEAT_MIN } }
    }

    /// Answers one message; `streams` are the connection's subscriptions.
    pub(crate) fn answer(&mut self, streams: &mut BTreeSet<String>, text: &str, mut desk: Desk<'_>) -> Answer {
        if text.len() > FRAME_BYTES {
            return Answer::text(fault(&Value::Null, -32600, "request entity too large"));
        }
        let Some(call) = read(text) else { return Answer::text(fault(&Value::Null, -32700, "Parse error")) };
        if (desk.strikes)(FaultKind::TooManyRequests, "") {
            return too_many(&call.id);
        }
        match call.method.as_str() {
            "public/subscribe" | "public/unsubscribe" | "public/unsubscribe_all" if !self.pay(desk.now.instant) => too_many(&call.id),
            "public/subscribe" => subscribe(streams, &call, &mut desk),
            "public/unsubscribe" => {
                let left = channels(&call.params).into_iter().filter(|channel| stream_of(channel).is_some_and(|stream| streams.remove(&stream)));
                Answer::text(result(&call.id, &json!(left.collect::<Vec<_>>())))
            }
            "public/unsubscribe_all" => {
                streams.clear();
                Answer::text(result(&call.id, &json!("ok")))
            }
            "public/set_heartbeat" => self.set_heartbeat(&call),
            "public/disable_heartbeat" => {
                let stop = Reply::Order(ToConnection::Heartbeat(None));
                Answer { replies: vec![Reply::Text(result(&call.id, &json!("ok"))), stop], added: Vec::new() }
            }
            _ => {
                let ask = DeribitAsk { method: call.method, params: call.params, id: call.id };
                Answer { replies: vec![Reply::Asked(Ask::Deribit(ask))], added: Vec::new() }
            }
        }
    }

    fn set_heartbeat(&self, call: &Call) -> Answer {
        match call.params.get("interval").and_then(Value::as_u64) {
            Some(seconds) if seconds >= self.heartbeat_min => {
                let order = Reply::Order(ToConnection::Heartbeat(Some(Duration::from_secs(seconds))));
                Answer { replies: vec![Reply::Text(result(&call.id, &json!("ok"))), order], added: Vec::new() }
            }
            _ => Answer::text(fault(&call.id, -32602, "Invalid params")),
        }
    }

    /// Takes the credits of one subscription call; `false` when there are not enough.
    fn pay(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(*self.filled.get_or_insert(now));
        let back = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_mul(CREDITS_PER_SECOND / 1_000);
        self.credits = self.credits.saturating_add(back).min(self.pool);
        self.filled = Some(now);
        let paid = self.credits >= SUBSCRIBE_COST;
        if paid {
            self.credits -= SUBSCRIBE_COST;
        }
        paid
    }
}

/// A channel that is unknown is missing from the result; one `.raw` channel refuses the whole call.
fn subscribe(streams: &mut BTreeSet<String>, call: &Call, desk: &mut Desk<'_>) -> Answer {
    let channels = channels(&call.params);
    if channels.is_empty() {
        return Answer::text(fault(&call.id, -32602, "Invalid params"));
    }
    if channels.iter().any(|channel| channel.rsplit('.').next() == Some("raw")) {
        return Answer::text(fault(&call.id, 13778, "raw_subscriptions_not_available_for_unauthorized"));
    }
    let (mut granted, mut added) = (Vec::new(), Vec::new());
    for channel in channels {
        let Some(stream) = stream_of(&channel) else { continue };
        let symbol = stream.split('@').next().unwrap_or_default();
        if !(desk.lists)(symbol) || (desk.strikes)(FaultKind::RefuseSubscribe, symbol) {
            continue;
        }
        granted.push(channel);
        if streams.insert(stream.clone()) {
            added.push(stream);
        }
    }
    // The venue does not keep the order of what was asked.
    granted.reverse();
    Answer { added, ..Answer::text(result(&call.id, &json!(granted))) }
}

fn too_many(id: &Value) -> Answer {
    let close = ToConnection::Close { code: 1000, reason: "too_many_requests" };
    Answer { replies: vec![Reply::Text(fault(id, 10028, "too_many_requests")), Reply::Order(close)], added: Vec::new() }
}

fn read(text: &str) -> Option<Call> {
    let value: Value = serde_json::from_str(text).ok()?;
    let method = value.get("method")?.as_str()?.to_owned();
    let part = |key: &str| value.get(key).cloned().unwrap_or_default();
    Some(Call { id: part("id"), method, params: part("params") })
}

fn channels(params: &Value) -> Vec<String> {
    let list = params.get("channels").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|channel| channel.as_str().map(str::to_owned)).collect()
}

/// The internal name of a channel: `book.BTC-PERPETUAL.100ms` is `BTC-PERPETUAL@book.100ms`.
fn stream_of(channel: &str) -> Option<String> {
    let (kind, rest) = channel.split_once('.')?;
    let (symbol, interval) = rest.rsplit_once('.')?;
    (matches!(kind, "book" | "trades") && interval == "100ms").then(|| format!("{symbol}@{kind}.{interval}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::engine::Moment;

    fn ask(talk: &mut Talk, streams: &mut BTreeSet<String>, question: &Value) -> (Vec<Value>, Vec<String>) {
        let desk = Desk { lists: &|symbol| symbol == "BTC-PERPETUAL", strikes: &mut |_, _| false, now: Moment::now() };
        let answer = talk.answer(streams, &question.to_string(), desk);
        let texts = answer.replies.iter().map(|reply| match reply {
            Reply::Text(text) => serde_json::from_str(text).unwrap(),
            other => json!(format!("{other:?}")),
        });
        (texts.collect(), answer.added)
    }

    fn call(method: &str, params: Value) -> Value {
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    }

    #[test]
    fn unknown_channels_are_missing_and_raw_refuses_all() {
        let (mut talk, mut streams) = (Talk::new(CREDITS, false), BTreeSet::new());
        let channels = ["book.BTC-PERPETUAL.100ms", "book.NO-PERPETUAL.100ms", "ticker.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms"];
        let (replies, added) = ask(&mut talk, &mut streams, &call("public/subscribe", json!({"channels": channels})));
        assert_eq!(replies[0]["result"], json!(["trades.BTC-PERPETUAL.100ms", "book.BTC-PERPETUAL.100ms"]));
        assert_eq!(added, ["BTC-PERPETUAL@book.100ms", "BTC-PERPETUAL@trades.100ms"]);
        let raw = call("public/subscribe", json!({"channels": ["book.BTC-PERPETUAL.100ms", "book.BTC-PERPETUAL.raw"]}));
        assert_eq!(ask(&mut talk, &mut streams, &raw).0[0]["error"]["code"], 13778);
        let off = call("public/unsubscribe", json!({"channels": ["book.BTC-PERPETUAL.100ms", "book.NO-PERPETUAL.100ms"]}));
        assert_eq!(ask(&mut talk, &mut streams, &off).0[0]["result"], json!(["book.BTC-PERPETUAL.100ms"]));
    }

    #[test]
    fn credits_end_and_with_them_the_session() {
        let (mut talk, mut streams) = (Talk::new(2 * SUBSCRIBE_COST, false), BTreeSet::new());
        let subscribe = call("public/subscribe", json!({"channels": ["book.BTC-PERPETUAL.100ms"]}));
        for _ in 0..2 {
            assert!(ask(&mut talk, &mut streams, &subscribe).0[0].get("result").is_some());
        }
        let (replies, _) = ask(&mut talk, &mut streams, &subscribe);
        assert_eq!(replies[0]["error"]["code"], 10028);
        assert!(replies[1].as_str().unwrap().contains("Close"));
    }

    #[test]
    fn heartbeats_have_a_shortest_interval() {
        let (mut talk, mut streams) = (Talk::new(CREDITS, false), BTreeSet::new());
        assert_eq!(ask(&mut talk, &mut streams, &call("public/set_heartbeat", json!({"interval": 5}))).0[0]["error"]["code"], -32602);
        let (replies, _) = ask(&mut talk, &mut streams, &call("public/set_heartbeat", json!({"interval": 30})));
        assert_eq!((&replies[0]["result"], replies.len()), (&json!("ok"), 2));
        let long = call("public/subscribe", json!({"channels": ["x".repeat(40_000)]}));
        assert_eq!(ask(&mut talk, &mut streams, &long).0[0]["error"]["code"], -32600);
    }
}
