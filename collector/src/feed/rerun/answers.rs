//! What a venue answers to a request, for recordings that have frames alone.
//!
//! Owns: the answers' forms. Must not know: what was recorded.

use serde_json::{Value, json};

/// The answers to a request, in their order: everything is granted.
pub(super) fn to(request: &str) -> Vec<String> {
    if request == "ping" {
        return vec!["pong".to_owned()];
    }
    let Ok(request) = serde_json::from_str::<Value>(request) else { return Vec::new() };
    let id = request.get("id");
    // OKX names each stream, Deribit lists them, Binance answers the request as a whole.
    if let (Some(op), Some(streams)) = (request.get("op").and_then(Value::as_str), request.get("args").and_then(Value::as_array)) {
        return streams.iter().map(|stream| json!({"id": id, "event": op, "arg": stream}).to_string()).collect();
    }
    let result = match (request.get("jsonrpc"), request.get("params").and_then(|params| params.get("channels"))) {
        (Some(_), Some(channels)) => channels.clone(),
        (Some(_), None) => "ok".into(),
        (None, _) => Value::Null,
    };
    vec![json!({"jsonrpc": request.get("jsonrpc"), "id": id, "result": result}).to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_venue_is_answered_in_its_own_form() {
        let rows: [(&str, &[&str]); 4] = [
            (r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":7}"#, &[r#"{"id":7,"jsonrpc":null,"result":null}"#]),
            (
                r#"{"id":"3","op":"subscribe","args":[{"channel":"books","instId":"A"},{"channel":"trades","instId":"A"}]}"#,
                &[
                    r#"{"arg":{"channel":"books","instId":"A"},"event":"subscribe","id":"3"}"#,
                    r#"{"arg":{"channel":"trades","instId":"A"},"event":"subscribe","id":"3"}"#,
                ],
            ),
            (
                r#"{"jsonrpc":"2.0","id":2,"method":"public/subscribe","params":{"channels":["book.A.100ms"]}}"#,
                &[r#"{"id":2,"jsonrpc":"2.0","result":["book.A.100ms"]}"#],
            ),
            ("ping", &["pong"]),
        ];
        for (request, expected) in rows {
            assert_eq!(to(request), expected, "{request}");
        }
    }
}
