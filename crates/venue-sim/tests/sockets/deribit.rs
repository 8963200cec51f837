//! Deribit over real sockets: partial results, actions that fit the book, heartbeats that must be answered, the same answers over HTTP and socket.

use std::time::Duration;

use serde_json::{Value, json};
use venue_sim::VenueKind;
use venue_sim::venue::book::{Book, Side, decimal_key};
use venue_sim::venue::config::LimitsConfig;

use crate::support::{Client, End, Sim};

const PATH: &str = "/ws/api/v2";
const BOOK: &str = "book.BTC-PERPETUAL.100ms";

async fn call(client: &mut Client, method: &str, params: Value) -> Value {
    client.say(json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params})).await;
    loop {
        let message = client.json().await;
        if message["id"] == 5 {
            return message;
        }
    }
}

/// The data of the next notification of a channel.
async fn next(client: &mut Client, channel: &str) -> Value {
    loop {
        let mut message = client.json().await;
        if message["params"]["channel"] == channel {
            return message["params"]["data"].take();
        }
    }
}

/// A book kept from the wire by Deribit's rules; panics at a gap or at an action that does not fit.
#[derive(Default)]
struct Follower {
    book: Book,
    id: u64,
}

impl Follower {
    fn take(&mut self, data: &Value) {
        if data["type"] == "change" {
            assert_eq!(data["prev_change_id"].as_u64(), Some(self.id), "{data}");
        } else {
            assert!(data.get("prev_change_id").is_none_or(Value::is_null));
            self.book = Book::default();
        }
        for (side, key) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            for level in data[key].as_array().unwrap() {
                let (action, level) = (level[0].as_str().unwrap(), (level[1].to_string(), level[2].to_string()));
                assert_eq!(self.book.has(side, &level), action != "new", "{action} {level:?}");
                assert_eq!(level.1 == "0.0", action == "delete");
                self.book.set(side, &level);
            }
        }
        self.id = data["change_id"].as_u64().unwrap();
    }

    fn keys(&self, side: Side) -> Vec<(Option<u128>, Option<u128>)> {
        self.book.levels(side, 400).iter().map(|(price, amount)| (decimal_key(price), decimal_key(amount))).collect()
    }

    async fn is_true(&self, sim: &Sim) {
        let truth = sim.book("BTC-PERPETUAL", self.id).await;
        for (side, key) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            let theirs =
                truth[key].as_array().unwrap().iter().map(|level| (decimal_key(level[0].as_str().unwrap()), decimal_key(level[1].as_str().unwrap())));
            assert_eq!(theirs.collect::<Vec<_>>(), self.keys(side), "at {}", self.id);
        }
    }
}

#[tokio::test]
async fn books_kept_from_the_wire_equal_the_venues_own() {
    let sim = Sim::walk(VenueKind::Deribit, &["BTC-USD", "ETH-USDC"]).await;
    let mut client = sim.connect(PATH).await;
    let answer = call(&mut client, "public/subscribe", json!({"channels": [BOOK, "book.NO-PERPETUAL.100ms"]})).await;
    assert_eq!(answer["result"], json!([BOOK]));
    let mut follower = Follower::default();
    for step in 0..24 {
        let data = next(&mut client, BOOK).await;
        assert_eq!(data["type"] == "snapshot", step == 0);
        follower.take(&data);
        if step % 8 == 0 {
            follower.is_true(&sim).await;
        }
    }
    let book = call(&mut client, "public/get_order_book", json!({"instrument_name": "BTC-PERPETUAL", "depth": 10})).await;
    assert_eq!((book["result"]["bids"].as_array().unwrap().len(), book["result"]["state"].as_str()), (10, Some("open")));
    sim.stop().await;
}

#[tokio::test]
async fn trades_come_in_arrays_without_a_hole() {
    let sim = Sim::walk(VenueKind::Deribit, &["BTC-USD"]).await;
    let mut client = sim.connect(PATH).await;
    let channel = "trades.BTC-PERPETUAL.100ms";
    call(&mut client, "public/subscribe", json!({"channels": [channel]})).await;
    let (mut last, mut longest): (Option<u64>, usize) = (None, 0);
    for _ in 0..15 {
        let data = next(&mut client, channel).await;
        longest = longest.max(data.as_array().unwrap().len());
        for trade in data.as_array().unwrap() {
            let seq = trade["trade_seq"].as_u64().unwrap();
            assert!(last.is_none_or(|last| last + 1 == seq));
            last = Some(seq);
        }
    }
    assert!(longest > 1);
    sim.stop().await;
}

#[tokio::test]
async fn an_unanswered_test_request_ends_the_connection_at_once() {
    let limits = LimitsConfig { short_heartbeats: true, ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::Deribit, &["BTC-USD"], limits).await;
    let (mut mute, mut polite) = (sim.connect(PATH).await, sim.connect(PATH).await);
    for client in [&mut mute, &mut polite] {
        assert_eq!(call(client, "public/set_heartbeat", json!({"interval": 1})).await["result"], "ok");
    }
    for _ in 0..3 {
        while polite.json().await["params"]["type"] != "test_request" {}
        assert_eq!(call(&mut polite, "public/test", json!({})).await["result"]["version"], "1.2.26");
    }
    assert_eq!(mute.end().await, End::Reset);
    sim.stop().await;
}

#[tokio::test]
async fn raw_is_refused_whole_and_too_many_calls_end_the_session() {
    let sim = Sim::walk(VenueKind::Deribit, &["BTC-USD"]).await;
    let mut client = sim.connect(PATH).await;
    let raw = call(&mut client, "public/subscribe", json!({"channels": [BOOK, "book.BTC-PERPETUAL.raw"]})).await;
    assert_eq!(raw["error"]["code"], 13778);
    assert_eq!(call(&mut client, "public/nonsense", json!({})).await["error"]["code"], -32601);
    sim.fault(json!({"kind": "too_many_requests"})).await;
    assert_eq!(call(&mut client, "public/test", json!({})).await["error"]["code"], 10028);
    assert!(matches!(client.end().await, End::Closed(1000, _)));
    sim.stop().await;
}

#[tokio::test]
async fn faults_of_the_book_do_what_they_say() {
    let sim = Sim::walk(VenueKind::Deribit, &["BTC-USD"]).await;
    let mut client = sim.connect(PATH).await;
    sim.fault(json!({"kind": "null_previous"})).await;
    call(&mut client, "public/subscribe", json!({"channels": [BOOK]})).await;
    let snapshot = next(&mut client, BOOK).await;
    assert_eq!((&snapshot["type"], snapshot.get("prev_change_id")), (&json!("snapshot"), Some(&Value::Null)));
    let mut last = snapshot["change_id"].as_u64();
    sim.fault(json!({"kind": "unknown_delete"})).await;
    loop {
        let data = next(&mut client, BOOK).await;
        assert_eq!(data["prev_change_id"].as_u64(), last);
        last = data["change_id"].as_u64();
        if data["bids"].as_array().unwrap().contains(&json!(["delete", 0.5, 0.0])) {
            break;
        }
    }
    sim.fault(json!({"kind": "refuse_subscribe"})).await;
    let trades = json!({"channels": ["trades.BTC-PERPETUAL.100ms"]});
    assert_eq!(call(&mut client, "public/subscribe", trades).await["result"], json!([]));
    sim.fault(json!({"kind": "silent_streams", "for": "300ms"})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    sim.stop().await;
}

#[tokio::test]
async fn instruments_are_those_of_a_currency() {
    let sim = Sim::walk(VenueKind::Deribit, &["BTC-USD", "ETH-USD", "BTC-USDC"]).await;
    let names = async |query: &str| {
        let list = sim.get_json(&format!("/api/v2/public/get_instruments?{query}")).await;
        list["result"].as_array().unwrap().iter().map(|entry| entry["instrument_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("currency=BTC&kind=future").await, ["BTC-PERPETUAL"]);
    assert_eq!(names("currency=USDC&kind=future").await, ["BTC_USDC-PERPETUAL"]);
    assert_eq!(names("currency=any").await.len(), 3);
    assert!(names("currency=BTC&kind=option").await.is_empty());
    let list = sim.get_json("/api/v2/public/get_instruments?currency=BTC").await;
    let btc = &list["result"][0];
    assert_eq!((&btc["quote_currency"], &btc["contract_size"], &btc["instrument_type"]), (&json!("USD"), &json!(10.0), &json!("reversed")));
    let book = sim.get_json("/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=5").await;
    assert_eq!(book["result"]["asks"].as_array().unwrap().len(), 5);
    assert_eq!(sim.get("/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=7").await.status(), 400);
    sim.stop().await;
}
