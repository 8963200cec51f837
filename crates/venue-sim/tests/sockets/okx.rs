//! OKX over real sockets: acknowledgements, the chain of sequence numbers in each of its cases, duties, both ways to a first book.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use venue_sim::VenueKind;
use venue_sim::duration::Span;
use venue_sim::venue::book::{Book, Side};
use venue_sim::venue::config::LimitsConfig;
use venue_sim::venue::wire::Level;

use crate::support::{Client, End, SOON, Sim};

const PUBLIC: &str = "/ws/v5/public";

/// A book kept from the wire by OKX's rules; panics at a gap.
#[derive(Default)]
struct Follower {
    book: Book,
    seq: i64,
    resets: u32,
    repeats: u32,
}

impl Follower {
    fn take(&mut self, data: &Value) {
        let (previous, seq) = (data["prevSeqId"].as_i64().unwrap(), data["seqId"].as_i64().unwrap());
        assert_eq!(previous, self.seq, "{data}");
        self.resets += u32::from(seq < previous);
        self.repeats += u32::from(seq == previous);
        for (side, key) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            for level in levels(&data[key]) {
                self.book.set(side, &level);
            }
        }
        self.seq = seq;
    }

    fn snapshot(data: &Value) -> Self {
        let mut new = Self { seq: data["prevSeqId"].as_i64().unwrap(), ..Self::default() };
        new.take(data);
        assert_eq!(new.resets, 0);
        new
    }

    async fn is_true(&self, sim: &Sim, symbol: &str) {
        let truth = sim.book(symbol, self.seq.unsigned_abs()).await;
        let ours = json!({"bids": self.book.levels(Side::Bid, 400), "asks": self.book.levels(Side::Ask, 400)});
        assert_eq!((&truth["bids"], &truth["asks"]), (&ours["bids"], &ours["asks"]), "at {}", self.seq);
    }
}

fn levels(side: &Value) -> Vec<Level> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    side.as_array().unwrap().iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
}

fn subscribe(channel: &str, symbol: &str) -> Value {
    json!({"id": "1", "op": "subscribe", "args": [{"channel": channel, "instId": symbol}]})
}

/// The next message of the book channel.
async fn book(client: &mut Client) -> (String, Value) {
    loop {
        let mut message = client.json().await;
        if message["arg"]["channel"] == "books" && message.get("data").is_some() {
            return (message["action"].as_str().unwrap().to_owned(), message["data"][0].take());
        }
    }
}

/// A subscriber with the first book.
async fn follow(sim: &Sim, symbol: &str) -> (Client, Follower) {
    let mut client = sim.connect(PUBLIC).await;
    client.say(subscribe("books", symbol)).await;
    let (action, data) = book(&mut client).await;
    assert_eq!((action.as_str(), data["prevSeqId"].as_i64()), ("snapshot", Some(-1)));
    (client, Follower::snapshot(&data))
}

#[tokio::test]
async fn books_kept_from_the_wire_equal_the_venues_own() {
    for (venue, symbol) in [(VenueKind::OkxSpot, "BTC-USDT"), (VenueKind::OkxSwap, "BTC-USDT-SWAP")] {
        let sim = Sim::walk(venue, &["BTC-USDT", "ETH-USDT"]).await;
        let (mut client, mut follower) = follow(&sim, symbol).await;
        for step in 0..24 {
            follower.take(&book(&mut client).await.1);
            assert!(follower.book.depth(Side::Bid) <= 400);
            if step % 8 == 0 {
                follower.is_true(&sim, symbol).await;
            }
        }
        // A second subscriber disturbs nobody.
        let (_other, second) = follow(&sim, symbol).await;
        second.is_true(&sim, symbol).await;
        for _ in 0..5 {
            follower.take(&book(&mut client).await.1);
        }
        sim.stop().await;
    }
}

#[tokio::test]
async fn an_unknown_instrument_takes_down_no_neighbour_and_text_pings_are_answered() {
    let sim = Sim::walk(VenueKind::OkxSpot, &["BTC-USDT"]).await;
    let mut client = sim.connect(PUBLIC).await;
    client.say_text("ping").await;
    assert_eq!(client.text().await, "pong");
    let args = json!([{"channel": "books", "instId": "NO-SUCH"}, {"channel": "trades", "instId": "BTC-USDT"}]);
    client.say(json!({"id": "7", "op": "subscribe", "args": args})).await;
    assert_eq!(client.json().await["code"], "60018");
    assert_eq!(client.json().await["event"], "subscribe");
    let trade = client.json().await;
    assert_eq!(trade["arg"]["channel"], "trades");
    assert!(["buy", "sell"].contains(&trade["data"][0]["side"].as_str().unwrap()));
    sim.stop().await;
}

#[tokio::test]
async fn trade_ids_are_consecutive_where_each_fill_is_told() {
    let sim = Sim::walk(VenueKind::OkxSwap, &["ETH-USDT"]).await;
    let mut client = sim.connect("/ws/v5/business").await;
    client.say(subscribe("trades-all", "ETH-USDT-SWAP")).await;
    client.json().await;
    let mut last: Option<u64> = None;
    for _ in 0..40 {
        let id = client.json().await["data"][0]["tradeId"].as_str().unwrap().parse().unwrap();
        assert!(last.is_none_or(|last| last + 1 == id));
        last = Some(id);
    }
    sim.stop().await;
}

#[tokio::test]
async fn the_sequence_repeats_falls_back_and_breaks_as_told() {
    let sim = Sim::walk(VenueKind::OkxSpot, &["BTC-USDT"]).await;
    let (mut client, mut follower) = follow(&sim, "BTC-USDT").await;
    sim.fault(json!({"kind": "keep_alive"})).await;
    while follower.repeats == 0 {
        follower.take(&book(&mut client).await.1);
    }
    sim.fault(json!({"kind": "sequence_reset", "symbol": "BTC-USDT"})).await;
    while follower.resets == 0 {
        follower.take(&book(&mut client).await.1);
    }
    for _ in 0..3 {
        follower.take(&book(&mut client).await.1);
    }
    follower.is_true(&sim, "BTC-USDT").await;
    for (kind, field) in [("checksum_absent", None), ("checksum_wrong", Some(json!(-855_196_043)))] {
        sim.fault(json!({"kind": kind})).await;
        loop {
            let (_, data) = book(&mut client).await;
            follower.take(&data);
            if data.get("checksum") == field.as_ref() {
                break;
            }
        }
    }
    sim.fault(json!({"kind": "drop_diff"})).await;
    let broken = loop {
        let (_, data) = book(&mut client).await;
        if data["prevSeqId"].as_i64() != Some(follower.seq) {
            break true;
        }
        follower.take(&data);
    };
    assert!(broken);
    // Only who has unsubscribed gets a new snapshot.
    client.say(json!({"op": "unsubscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})).await;
    client.say(subscribe("books", "BTC-USDT")).await;
    while book(&mut client).await.0 != "snapshot" {}
    sim.stop().await;
}

#[tokio::test]
async fn a_quiet_book_repeats_its_number_and_a_silent_link_is_closed() {
    let ms = |ms| Some(Span(Duration::from_millis(ms)));
    let limits = LimitsConfig { keep_alive: ms(300), idle: ms(2_000), ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::OkxSpot, &["BTC-USDT"], limits).await;
    let (mut client, mut follower) = follow(&sim, "BTC-USDT").await;
    sim.fault(json!({"kind": "quiet_book"})).await;
    while follower.repeats < 9 {
        follower.take(&book(&mut client).await.1);
    }
    // What is pushed keeps the connection; where nothing is subscribed only the client's ping does.
    let mut silent = sim.connect(PUBLIC).await;
    let mut pinging = sim.connect(PUBLIC).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        pinging.say_text("ping").await;
        assert_eq!(pinging.text().await, "pong");
    }
    assert!(matches!(silent.end().await, End::Closed(4004, _)));
    sim.stop().await;
}

#[tokio::test]
async fn an_upgrade_is_announced_and_a_close_has_its_code() {
    let sim = Sim::walk(VenueKind::OkxSwap, &["BTC-USDT"]).await;
    let mut client = sim.connect(PUBLIC).await;
    sim.fault(json!({"kind": "server_shutdown", "for": "300ms"})).await;
    assert_eq!(client.json().await["code"], "64008");
    assert!(matches!(client.end().await, End::Closed(1001, _)));
    let mut client = sim.connect(PUBLIC).await;
    sim.fault(json!({"kind": "close", "code": 4005})).await;
    assert!(matches!(client.end().await, End::Closed(4005, _)));
    sim.stop().await;
}

#[tokio::test]
async fn without_a_snapshot_on_the_stream_rest_anchors_the_book() {
    let sim = Sim::walk(VenueKind::OkxSpot, &["BTC-USDT"]).await;
    sim.fault(json!({"kind": "no_snapshot", "for": "1h"})).await;
    let mut client = sim.connect(PUBLIC).await;
    client.say(subscribe("books", "BTC-USDT")).await;
    let first = book(&mut client).await;
    assert_eq!(first.0, "update");
    let answer = sim.get_json("/api/v5/market/books?instId=BTC-USDT&sz=400&source=0").await;
    assert_eq!(sim.get_json("/api/v5/market/books?instId=BTC-USDT&sz=400").await["data"][0].get("seqId"), None);
    let anchor = &answer["data"][0];
    let seq = anchor["seqId"].as_i64().unwrap();
    let mut follower = Follower { seq, ..Follower::default() };
    for (side, key) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
        for level in levels(&anchor[key]) {
            follower.book.set(side, &level);
        }
    }
    let mut applied = 0;
    while applied < 10 {
        let (_, data) = book(&mut client).await;
        if data["seqId"].as_i64().unwrap() <= seq {
            continue;
        }
        if applied == 0 {
            assert!(data["prevSeqId"].as_i64().unwrap() <= seq, "the anchor fits: {data}");
            follower.seq = data["prevSeqId"].as_i64().unwrap();
        }
        follower.take(&data);
        applied += 1;
    }
    follower.is_true(&sim, "BTC-USDT").await;
    sim.stop().await;
}

#[tokio::test]
async fn rest_speaks_as_the_venue_does_and_instruments_come_and_go() {
    let sim = Sim::walk(VenueKind::OkxSwap, &["BTC-USDT", "BTC-USD"]).await;
    let list = sim.get_json("/api/v5/public/instruments?instType=SWAP").await;
    let entry = |symbol: &str| list["data"].as_array().unwrap().iter().find(|entry| entry["instId"] == symbol).cloned().unwrap();
    let (linear, inverse) = (entry("BTC-USDT-SWAP"), entry("BTC-USD-SWAP"));
    assert_eq!((&linear["ctVal"], &linear["ctValCcy"], &linear["state"]), (&json!("0.01"), &json!("BTC"), &json!("live")));
    assert_eq!((&inverse["ctVal"], &inverse["ctValCcy"], &inverse["settleCcy"]), (&json!("100"), &json!("USD"), &json!("BTC")));
    assert_eq!(sim.get_json("/api/v5/public/instruments?instType=SPOT").await["data"], json!([]));
    assert_eq!(sim.get_json("/api/v5/market/books?instId=NO-SUCH").await["code"], "51001");
    let control = |path: String| sim.http.post(format!("{}{path}", sim.only().address().rest)).send();
    assert!(control("/control/list?instrument=SOL-USDT".into()).await.unwrap().status().is_success());
    assert!(control("/control/delist?symbol=BTC-USD-SWAP".into()).await.unwrap().status().is_success());
    assert_eq!(control("/control/delist?symbol=BTC-USD-SWAP".into()).await.unwrap().status(), 400);
    let list = sim.get_json("/api/v5/public/instruments?instType=SWAP").await;
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|entry| entry["instId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["BTC-USDT-SWAP", "SOL-USDT-SWAP"]);
    let (mut client, mut follower) = follow(&sim, "SOL-USDT-SWAP").await;
    follower.take(&book(&mut client).await.1);
    sim.stop().await;
}

#[tokio::test]
async fn requests_and_connections_have_their_budgets() {
    let limits = LimitsConfig { requests_per_hour: Some(2), connects_per_second: Some(2), ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::OkxSpot, &["BTC-USDT"], limits).await;
    let mut client = sim.connect(PUBLIC).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        client.say(subscribe("books", "BTC-USDT")).await;
        loop {
            let message = client.json().await;
            if message.get("event").is_some() {
                said.push(message["code"].as_str().unwrap_or("ok").to_owned());
                break;
            }
        }
    }
    assert_eq!(said, ["ok", "ok", "60014"]);
    let url = format!("{}{PUBLIC}", sim.only().address().ws);
    let deadline = Instant::now() + SOON;
    loop {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let (begun, mut outcomes) = (Instant::now(), Vec::new());
        for _ in 0..3 {
            outcomes.push(tokio_tungstenite::connect_async(&url).await.is_ok());
        }
        // Only what came within the same second says something.
        if begun.elapsed() < Duration::from_secs(1) {
            assert_eq!(outcomes, [true, true, false]);
            break;
        }
        assert!(Instant::now() < deadline, "three connections take longer than a second");
    }
    sim.stop().await;
}
