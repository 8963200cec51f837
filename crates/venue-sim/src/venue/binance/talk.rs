//! Binance's control messages, answered in the venue's own words (web-socket-streams.md "Live Subscribing/Unsubscribing"). No I/O: text in, text out.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::venue::kind::Route;
use crate::venue::session::Answer;

/// Streams one connection may have.
const STREAMS_MAX: usize = 1024;

/// A connection at Binance.
#[derive(Debug)]
pub(crate) struct Talk {
    /// The class of streams the connection's path carries.
    pub route: Route,
    /// Events are wrapped as `{"stream":…,"data":…}`.
    pub combined: bool,
}

#[derive(Deserialize)]
struct Request {
    method: Method,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default)]
    id: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

// === impl Talk ===

impl Talk {
    /// Answers one message; `streams` are the connection's subscriptions.
    pub(crate) fn answer(&mut self, streams: &mut BTreeSet<String>, text: &str) -> Answer {
        let request = match read(text) {
            Ok(request) => request,
            Err(error) => return plain(error),
        };
        let id = request.id;
        match request.method {
            Method::Subscribe => subscribe(streams, request.params.as_ref(), &id),
            Method::Unsubscribe => match names(request.params.as_ref()) {
                Ok(names) => {
                    streams.retain(|stream| !names.contains(stream));
                    plain(result(Value::Null, &id))
                }
                Err(message) => plain(refusal(2, &message, &id)),
            },
            Method::ListSubscriptions => plain(result(json!(streams), &id)),
            Method::SetProperty => plain(self.set_property(request.params.as_ref(), &id)),
            Method::GetProperty => plain(self.get_property(request.params.as_ref(), &id)),
        }
    }

    fn set_property(&mut self, params: Option<&Value>, id: &Value) -> String {
        let Some(Value::Array(params)) = params else { return refusal(2, "Invalid request: missing field `params`", id) };
        match params.as_slice() {
            [Value::String(name), value] if name == "combined" => match value.as_bool() {
                Some(on) => {
                    self.combined = on;
                    result(Value::Null, id)
                }
                None => refusal(1, "Invalid value type: expected Boolean", id),
            },
            [_, _] => refusal(0, "Unknown property", id),
            [_] | [] => refusal(2, "Invalid request: not enough parameters", id),
            _ => refusal(2, "Invalid request: too many parameters", id),
        }
    }

    fn get_property(&self, params: Option<&Value>, id: &Value) -> String {
        match params.and_then(Value::as_array).map(Vec::as_slice) {
            Some([Value::String(name)]) if name == "combined" => result(json!(self.combined), id),
            Some([_]) => refusal(0, "Unknown property", id),
            _ => refusal(2, "Invalid request: property name must be a string", id),
        }
    }
}

/// A name that exists nowhere, or not on this route, is acknowledged like any other and stays silent.
fn subscribe(streams: &mut BTreeSet<String>, params: Option<&Value>, id: &Value) -> Answer {
    match names(params) {
        Ok(names) if streams.len() + names.len() > STREAMS_MAX => plain(refusal(2, "Invalid request: too many subscriptions", id)),
        Ok(added) => {
            streams.extend(added.iter().cloned());
            Answer { added, ..plain(result(Value::Null, id)) }
        }
        Err(message) => plain(refusal(2, &message, id)),
    }
}

fn read(text: &str) -> Result<Request, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| refusal(3, &format!("Invalid JSON: {error}"), &Value::Null))?;
    if let Some(id) = value.get("id")
        && !is_id(id)
    {
        return Err(refusal(2, "Invalid request: request ID must be an unsigned integer or a short string", &Value::Null));
    }
    // The second reading is for the error texts: with a method unknown or missing they name the line and the column.
    serde_json::from_str(text).map_err(|error| refusal(2, &format!("Invalid request: {error}"), &Value::Null))
}

fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => text.len() <= 36 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
        _ => false,
    }
}

fn names(params: Option<&Value>) -> Result<Vec<String>, String> {
    let Some(Value::Array(items)) = params else { return Err("Invalid request: missing field `params`".to_owned()) };
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| "Invalid request: stream name must be a string".to_owned())).collect()
}

fn plain(text: String) -> Answer {
    Answer::text(text)
}

fn result(value: Value, id: &Value) -> String {
    // Written by hand: the venue sends `result` first.
    format!("{{\"result\":{value},\"id\":{id}}}")
}

fn refusal(code: u8, message: &str, id: &Value) -> String {
    let message = Value::from(message);
    if id.is_null() { format!("{{\"code\":{code},\"msg\":{message}}}") } else { format!("{{\"code\":{code},\"msg\":{message},\"id\":{id}}}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::session::Reply;

    fn said(answer: &Answer) -> &str {
        match answer.replies.as_slice() {
            [Reply::Text(text)] => text,
            other => panic!("{other:?}"),
        }
    }

    fn talk(lines: &[(&str, &str)]) {
        let (mut talk, mut streams) = (Talk { route: Route::Every, combined: false }, BTreeSet::new());
        for (question, answer) in lines {
            assert_eq!(said(&talk.answer(&mut streams, question)), *answer, "{question}");
        }
    }

    #[test]
    fn speaks_the_venues_words() {
        talk(&[
            (r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@trade"],"id":1}"#, r#"{"result":null,"id":1}"#),
            (r#"{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":312}"#, r#"{"result":null,"id":312}"#),
            (r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#, r#"{"result":["btcusdt@depth@100ms"],"id":3}"#),
            (r#"{"method":"SET_PROPERTY","params":["combined",true],"id":"a5"}"#, r#"{"result":null,"id":"a5"}"#),
            (r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#, r#"{"result":true,"id":2}"#),
            (r#"{"method":"SUBSCRIBE","params":["no@such"],"id":null}"#, r#"{"result":null,"id":null}"#),
            (r#"{"method":"GET_PROPERTY","params":["colour"],"id":7}"#, r#"{"code":0,"msg":"Unknown property","id":7}"#),
            (r#"{"method":"SET_PROPERTY","params":["combined","x"]}"#, r#"{"code":1,"msg":"Invalid value type: expected Boolean"}"#),
            ("hello", r#"{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}"#),
        ]);
    }

    #[test]
    fn refuses_what_the_venue_refuses() {
        let (mut talk, mut streams) = (Talk { route: Route::Every, combined: false }, BTreeSet::new());
        for question in [
            r#"{"method":"EXPLODE","id":1}"#,
            r#"{"params":["btcusdt@trade"],"id":1}"#,
            r#"{"method":"SUBSCRIBE","id":1}"#,
            r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#,
            r#"{"method":"SUBSCRIBE","params":[],"id":{}}"#,
            r#"{"method":"SUBSCRIBE","params":[],"id":"0123456789012345678901234567890123456789"}"#,
        ] {
            let answer = talk.answer(&mut streams, question);
            let answer = said(&answer);
            assert!(answer.starts_with(r#"{"code":2,"msg":"Invalid request: "#), "{question} -> {answer}");
        }
        assert!(streams.is_empty());
    }
}
