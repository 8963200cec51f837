//! The random walk over real sockets: acknowledgements, continuity, snapshots that fit, limits.

use std::time::Duration;

use crate::support::{Client, End, Follower, Sim};
use serde_json::json;
use venue_sim::VenueKind;
use venue_sim::duration::Span;
use venue_sim::venue::config::LimitsConfig;

const BOTH: [(VenueKind, &str, &str); 3] = [
    (VenueKind::BinanceSpot, "/ws", "btcusdt@depth@100ms"),
    (VenueKind::BinanceUsdm, "/public/ws", "btcusdt@depth@100ms"),
    (VenueKind::BinanceUsdm, "/public/stream", "btcusdt@depth@0ms"),
];

#[tokio::test]
async fn books_kept_from_the_wire_equal_the_venues_own() {
    for (venue, path, stream) in BOTH {
        let sim = Sim::walk(venue, &["BTC-USDT", "ETH-USDT"]).await;
        let mut client = sim.connect(path).await;
        client.subscribe(&[stream]).await;
        client.diff().await;
        let mut follower = Follower::new(venue, &sim.snapshot("BTCUSDT").await);
        let mut applied = 0;
        while applied < 25 {
            let diff = client.diff().await;
            if !follower.take(&diff) {
                continue;
            }
            applied += 1;
            if applied % 8 == 0 {
                let mut truth = sim.truth("BTCUSDT", follower.id).await;
                assert_eq!(truth["u"].take(), follower.id);
                let ours = follower.top(500);
                assert_eq!((&truth["bids"], &truth["asks"]), (&ours["bids"], &ours["asks"]), "{venue:?} {stream} at {}", follower.id);
            }
        }
        sim.stop().await;
    }
}

#[tokio::test]
async fn trades_are_consecutive_and_tickers_are_the_best_prices() {
    for (venue, path) in [(VenueKind::BinanceSpot, "/stream"), (VenueKind::BinanceUsdm, "/public/stream")] {
        let sim = Sim::walk(venue, &["PEPE-USDT"]).await;
        let mut client = sim.connect(&format!("{path}?streams=pepeusdt@trade/pepeusdt@bookTicker")).await;
        let (mut last_trade, mut last_u, mut trades) = (None, 0, 0);
        while trades < 20 {
            let frame = client.json().await;
            let (stream, data) = (frame["stream"].as_str().unwrap(), &frame["data"]);
            if stream == "pepeusdt@trade" {
                let id = data["t"].as_u64().unwrap();
                assert!(last_trade.is_none_or(|last| last + 1 == id));
                last_trade = Some(id);
                trades += 1;
            } else {
                assert_eq!(stream, "pepeusdt@bookTicker");
                assert!(data["u"].as_u64().unwrap() > last_u);
                last_u = data["u"].as_u64().unwrap();
            }
        }
        sim.stop().await;
    }
}

#[tokio::test]
async fn a_stream_on_the_wrong_futures_path_is_acknowledged_and_silent() {
    let sim = Sim::walk(VenueKind::BinanceUsdm, &["BTC-USDT"]).await;
    for path in ["/public/ws", "/ws"] {
        let mut client = sim.connect(path).await;
        client.subscribe(&["btcusdt@aggTrade"]).await;
        assert!(client.is_silent(Duration::from_millis(500)).await);
    }
    let mut client = sim.connect("/market/ws").await;
    client.subscribe(&["btcusdt@aggTrade", "btcusdt@depth@100ms"]).await;
    assert_eq!(client.json().await["e"], "aggTrade");
    sim.stop().await;
}

#[tokio::test]
async fn rest_speaks_as_the_venue_does() {
    let sim = Sim::walk(VenueKind::BinanceSpot, &["BTC-USDT", "PEPE-USDT"]).await;
    assert_eq!(sim.get_json("/api/v3/ping").await, json!({}));
    let info = sim.get_json("/api/v3/exchangeInfo").await;
    assert_eq!(info["symbols"][1]["symbol"], "PEPEUSDT");
    assert_eq!((&info["symbols"][1]["baseAsset"], &info["symbols"][1]["quoteAsset"]), (&json!("PEPE"), &json!("USDT")));
    let depth = sim.get("/api/v3/depth?symbol=PEPEUSDT&limit=20").await;
    assert_eq!(depth.headers()["x-mbx-used-weight-1m"], "26");
    let depth: serde_json::Value = depth.json().await.unwrap();
    assert_eq!(depth["bids"].as_array().unwrap().len(), 20);
    for (path, code) in [("/api/v3/depth?symbol=NOPE", -1121), ("/api/v3/depth", -1102), ("/api/v3/exchangeInfo?symbol=NOPE", -1121)] {
        let answer = sim.get(path).await;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], code, "{path}");
    }
    assert_eq!(sim.get("/nothing").await.status(), 404);
    sim.stop().await;
}

#[tokio::test]
async fn too_much_weight_is_429_then_418() {
    let limits = LimitsConfig { weight_per_minute: Some(100), ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::BinanceSpot, &["BTC-USDT"], limits).await;
    let ask = "/api/v3/depth?symbol=BTCUSDT&limit=1000";
    assert_eq!(sim.get(ask).await.status(), 200);
    assert_eq!(sim.get(ask).await.status(), 200);
    let throttled = sim.get(ask).await;
    assert_eq!(throttled.status(), 429);
    assert!(throttled.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() <= 60);
    assert_eq!(throttled.json::<serde_json::Value>().await.unwrap()["code"], -1003);
    for _ in 0..9 {
        assert_eq!(sim.get(ask).await.status(), 429);
    }
    assert_eq!(sim.get(ask).await.status(), 418);
    sim.stop().await;
}

#[tokio::test]
async fn a_talkative_client_is_closed() {
    let sim = Sim::walk(VenueKind::BinanceSpot, &["BTC-USDT"]).await;
    let mut client = sim.connect("/ws").await;
    // Five a second are allowed; more than fit into the seconds that a loaded machine may take to send them.
    for id in 0..100 {
        client.say_if_open(json!({"method": "LIST_SUBSCRIPTIONS", "id": id})).await;
    }
    assert_eq!(client.end().await, End::Closed(1008, "Too many requests".into()));
    sim.stop().await;
}

#[tokio::test]
async fn pings_keep_a_client_that_answers_and_end_one_that_does_not() {
    let ms = |ms| Some(Span(Duration::from_millis(ms)));
    let limits = LimitsConfig { ping_interval: ms(300), pong_timeout: ms(1_500), ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::BinanceSpot, &["BTC-USDT"], limits).await;
    let (mut reader, mute) = (sim.connect("/ws").await, sim.connect("/ws").await);
    let (ended, heard) = tokio::join!(tokio::time::timeout(Duration::from_secs(4), reader.end()), mute.hear_unanswering());
    assert!(ended.is_err(), "a client that answers stays: {ended:?}");
    let farewell = [&1_008_u16.to_be_bytes()[..], b"Pong timeout"].concat();
    assert!(heard.ends_with(&farewell), "{heard:?}");
    sim.stop().await;
}

#[tokio::test]
async fn a_connections_life_ends() {
    let limits = LimitsConfig { max_life: Some(Span(Duration::from_millis(300))), ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::BinanceUsdm, &["BTC-USDT"], limits).await;
    let mut client: Client = sim.connect("/public/ws").await;
    assert!(matches!(client.end().await, End::Closed(1001, _)));
    sim.stop().await;
}

#[tokio::test]
async fn a_load_beyond_the_venues_keeps_its_rate_and_its_chain() {
    let limits = LimitsConfig { depth_interval: Some(Span(Duration::from_millis(5))), ..LimitsConfig::default() };
    let sim = Sim::walk_with(VenueKind::BinanceUsdm, &["BTC-USDT"], limits).await;
    let mut client = sim.connect("/public/ws/btcusdt@depth@100ms").await;
    let mut last = client.diff().await;
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        let diff = client.diff().await;
        assert_eq!(diff.previous_id, Some(last.last_id));
        last = diff;
    }
    // The venue's own pace, ten a second, would take 20 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    sim.stop().await;
}
