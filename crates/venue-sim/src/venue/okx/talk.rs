//! OKX's control messages (v5 "Subscribe", "Unsubscribe", "Notification", "Error Code"): text `ping`, one acknowledgement or error for each argument,
//! 480 requests an hour, 64 KB a request. No I/O: text in, answers out.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::venue::engine::ToConnection;
use crate::venue::fault::FaultKind;
use crate::venue::session::{Answer, Desk, Reply};

/// Length of all arguments of a request.
const REQUEST_BYTES: usize = 64 * 1024;
/// Requests of a connection in an hour.
pub(crate) const REQUESTS_PER_HOUR: u32 = 480;
const HOUR: Duration = Duration::from_hours(1);
/// Channels of the public path that are played.
const PUBLIC: [&str; 2] = ["books", "trades"];
/// Channels of the business path that are played.
const BUSINESS: [&str; 1] = ["trades-all"];

/// Which path a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/ws/v5/public`.
    Public,
    /// `/ws/v5/business`.
    Business,
}

/// A connection at OKX.
#[derive(Debug)]
pub(crate) struct Talk {
    endpoint: Endpoint,
    connection: String,
    requests_per_hour: u32,
    requests: VecDeque<Instant>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Option<String>,
    op: String,
    args: Vec<Arg>,
}

#[derive(Deserialize)]
struct Arg {
    channel: String,
    #[serde(rename = "instId")]
    symbol: Option<String>,
}

// === impl Talk ===

impl Talk {
    /// A connection by a path; `number` makes its name.
    pub(crate) fn new(endpoint: Endpoint, number: u64, requests_per_hour: u32) -> Self {
        let connection = format!("{:08x}", number.wrapping_mul(0x9E37_79B1) & 0xffff_ffff);
        Self { endpoint, connection, requests_per_hour, requests: VecDeque::new() }
    }

    /// Answers one message; `streams` are the connection's subscriptions.
    pub(crate) fn answer(&mut self, streams: &mut BTreeSet<String>, text: &str, mut desk: Desk<'_>) -> Answer {
        if text == "ping" {
            return Answer::text("pong".to_owned());
        }
        if text.len() > REQUEST_BYTES {
            return Answer::order(ToConnection::Close { code: 1009, reason: "Request message exceeds the maximum frame length" });
        }
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            return Answer::text(self.error("60012", &format!("Invalid request: {text}"), None));
        };
        let id = request.id.as_deref();
        if request.op != "subscribe" && request.op != "unsubscribe" {
            return Answer::text(self.error("60019", &format!("Invalid op: {}", request.op), id));
        }
        if !self.admit(desk.now.instant) {
            return Answer::text(self.error("60014", "Requests too frequent", id));
        }
        if request.args.is_empty() {
            return Answer::text(self.error("60013", "Invalid args", id));
        }
        let mut answer = Answer::default();
        for arg in &request.args {
            let text = match self.stream(arg, &mut desk) {
                Err(refusal) => self.error("60018", &refusal, id),
                Ok(stream) if request.op == "unsubscribe" => {
                    streams.remove(&stream);
                    self.acknowledge("unsubscribe", arg, id)
                }
                // What is subscribed already is acknowledged and brings no new snapshot: the strict reading of what the manual leaves open.
                Ok(stream) => {
                    if streams.insert(stream.clone()) {
                        answer.added.push(stream);
                    }
                    self.acknowledge("subscribe", arg, id)
                }
            };
            answer.replies.push(Reply::Text(text));
        }
        answer
    }

    /// The notice that comes a minute before the venue closes connections for an upgrade.
    pub(crate) fn notice(&self) -> String {
        let message = "The connection will soon be closed for a service upgrade. Please reconnect.";
        json!({"event": "notice", "code": "64008", "msg": message, "connId": self.connection}).to_string()
    }

    /// Counts a request; `false` over the hour's budget.
    fn admit(&mut self, now: Instant) -> bool {
        while self.requests.front().is_some_and(|first| now.saturating_duration_since(*first) >= HOUR) {
            self.requests.pop_front();
        }
        if self.requests.len() >= self.requests_per_hour as usize {
            return false;
        }
        self.requests.push_back(now);
        true
    }

    /// The stream an argument means, or the venue's refusal.
    fn stream(&self, arg: &Arg, desk: &mut Desk<'_>) -> Result<String, String> {
        let known: &[&str] = if self.endpoint == Endpoint::Public { &PUBLIC } else { &BUSINESS };
        let symbol = arg.symbol.as_deref().unwrap_or_default();
        if !known.contains(&arg.channel.as_str()) || !(desk.lists)(symbol) || (desk.strikes)(FaultKind::RefuseSubscribe, symbol) {
            let channel = &arg.channel;
            return Err(format!(
                "Wrong URL or channel:{channel},instId:{symbol} doesn't exist. Please use the correct URL, channel and parameters referring to API document."
            ));
        }
        Ok(format!("{symbol}@{}", arg.channel))
    }

    fn acknowledge(&self, event: &str, arg: &Arg, id: Option<&str>) -> String {
        let arg = json!({"channel": arg.channel, "instId": arg.symbol});
        with_id(json!({"event": event, "arg": arg, "connId": self.connection}), id)
    }

    fn error(&self, code: &str, message: &str, id: Option<&str>) -> String {
        with_id(json!({"event": "error", "code": code, "msg": message, "connId": self.connection}), id)
    }
}

fn with_id(mut event: Value, id: Option<&str>) -> String {
    if let (Some(id), Some(event)) = (id, event.as_object_mut()) {
        event.insert("id".to_owned(), json!(id));
    }
    event.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::engine::Moment;

    fn ask(talk: &mut Talk, streams: &mut BTreeSet<String>, text: &str) -> (Vec<Value>, Vec<String>) {
        let desk = Desk { lists: &|symbol| symbol.starts_with("BTC"), strikes: &mut |_, _| false, now: Moment::now() };
        let answer = talk.answer(streams, text, desk);
        let texts = answer.replies.iter().map(|reply| match reply {
            Reply::Text(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            other => json!(format!("{other:?}")),
        });
        (texts.collect(), answer.added)
    }

    #[test]
    fn each_argument_has_its_own_answer() {
        let (mut talk, mut streams) = (Talk::new(Endpoint::Public, 1, 480), BTreeSet::new());
        let request = r#"{"id":"1512","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"books","instId":"NO-USDT"},{"channel":"trades","instId":"BTC-USDT"}]}"#;
        let (replies, added) = ask(&mut talk, &mut streams, request);
        assert_eq!(
            (&replies[0]["event"], &replies[0]["arg"]["instId"], &replies[0]["id"]),
            (&json!("subscribe"), &json!("BTC-USDT"), &json!("1512"))
        );
        assert_eq!((&replies[1]["event"], &replies[1]["code"], replies[1].get("arg")), (&json!("error"), &json!("60018"), None));
        assert_eq!(&replies[2]["arg"]["channel"], "trades");
        assert_eq!(added, ["BTC-USDT@books", "BTC-USDT@trades"]);
        let again = r#"{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#;
        assert!(ask(&mut talk, &mut streams, again).1.is_empty());
        ask(&mut talk, &mut streams, r#"{"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#);
        assert_eq!(ask(&mut talk, &mut streams, again).1, ["BTC-USDT@books"]);
    }

    #[test]
    fn what_is_refused_has_the_venues_code() {
        let (mut talk, mut streams) = (Talk::new(Endpoint::Public, 1, 2), BTreeSet::new());
        for (question, code) in [
            ("hello", "60012"),
            (r#"{"op":"explode","args":[]}"#, "60019"),
            (r#"{"op":"subscribe","args":[{"channel":"trades-all","instId":"BTC-USDT"}]}"#, "60018"),
            (r#"{"op":"subscribe","args":[]}"#, "60013"),
            (r#"{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#, "60014"),
        ] {
            assert_eq!(ask(&mut talk, &mut streams, question).0[0]["code"], code, "{question}");
        }
        assert_eq!(ask(&mut talk, &mut streams, "ping").0, [json!("pong")]);
        let long = format!(r#"{{"op":"subscribe","args":[{}]}}"#, " ".repeat(70_000));
        assert!(ask(&mut talk, &mut streams, &long).0[0].as_str().unwrap().contains("1009"));
        assert!(streams.is_empty());
    }

    #[test]
    fn all_trades_are_on_the_business_path() {
        let (mut talk, mut streams) = (Talk::new(Endpoint::Business, 1, 480), BTreeSet::new());
        let request = r#"{"op":"subscribe","args":[{"channel":"trades-all","instId":"BTC-USDT"},{"channel":"books","instId":"BTC-USDT"}]}"#;
        let (replies, added) = ask(&mut talk, &mut streams, request);
        assert_eq!((added, &replies[1]["code"]), (vec!["BTC-USDT@trades-all".to_owned()], &json!("60018")));
    }
}
