//! Each fault does what its name says, over real sockets.

use std::time::{Duration, Instant};

use crate::support::{End, Follower, Sim};
use serde_json::{Value, json};
use venue_sim::VenueKind;
use venue_sim::venue::wire::DepthUpdate;

const STREAM: &str = "btcusdt@depth@100ms";

async fn spot() -> Sim {
    Sim::walk(VenueKind::BinanceSpot, &["BTC-USDT", "ETH-USDT"]).await
}

/// The first and last ids of the next `count` diffs.
async fn ids(client: &mut crate::support::Client, count: usize) -> Vec<(u64, u64)> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let diff = client.diff().await;
        ids.push((diff.first_id, diff.last_id));
    }
    ids
}

fn gaps(ids: &[(u64, u64)]) -> usize {
    ids.windows(2).filter(|pair| pair[1].0 != pair[0].1 + 1).count()
}

#[tokio::test]
async fn a_dropped_diff_leaves_one_gap_on_its_symbol_only() {
    let sim = spot().await;
    let mut other = sim.connect("/ws/ethusdt@depth@100ms").await;
    let mut client = sim.connect("/ws").await;
    client.subscribe(&[STREAM]).await;
    let mut seen = ids(&mut client, 1).await;
    sim.fault(json!({"kind": "drop_diff", "symbol": "BTCUSDT"})).await;
    seen.extend(ids(&mut client, 5).await);
    assert_eq!(gaps(&seen), 1, "{seen:?}");
    assert_eq!(gaps(&ids(&mut other, 5).await), 0);
    sim.stop().await;
}

#[tokio::test]
async fn duplicates_and_reordering_change_nothing_but_the_order() {
    let sim = spot().await;
    let mut client = sim.connect(&format!("/ws/{STREAM}")).await;
    let mut seen = ids(&mut client, 1).await;
    sim.fault(json!({"kind": "duplicate_diff"})).await;
    seen.extend(ids(&mut client, 6).await);
    assert_eq!(seen.windows(2).filter(|pair| pair[0] == pair[1]).count(), 1, "{seen:?}");
    sim.fault(json!({"kind": "reorder_diff"})).await;
    let mut seen = ids(&mut client, 8).await;
    assert_eq!(seen.windows(2).filter(|pair| pair[0].0 > pair[1].0).count(), 1, "{seen:?}");
    seen.sort_unstable();
    assert_eq!(gaps(&seen), 0);
    sim.stop().await;
}

#[tokio::test]
async fn a_malformed_frame_is_no_json_and_an_unknown_event_is() {
    let sim = spot().await;
    let mut client = sim.connect(&format!("/stream?streams={STREAM}")).await;
    client.diff().await;
    sim.fault(json!([{"kind": "unknown_event"}, {"kind": "malformed_frame", "count": 1}])).await;
    assert_eq!(client.event("somethingNew").await["s"], "BTCUSDT");
    assert!(serde_json::from_str::<Value>(&client.text().await).is_err());
    assert!(serde_json::from_str::<Value>(&client.text().await).is_ok());
    sim.stop().await;
}

#[tokio::test]
async fn silent_streams_stay_subscribed_and_come_back() {
    let sim = spot().await;
    let mut client = sim.connect("/ws").await;
    sim.fault(json!({"kind": "silent_streams", "symbol": "BTCUSDT"})).await;
    client.subscribe(&[STREAM]).await;
    assert!(client.is_silent(Duration::from_millis(400)).await);
    client.say(json!({"method": "LIST_SUBSCRIPTIONS", "id": 9})).await;
    assert_eq!(client.json().await, json!({"result": [STREAM], "id": 9}));
    sim.clear().await;
    client.diff().await;
    sim.stop().await;
}

#[tokio::test]
async fn connections_end_as_the_fault_says() {
    let rows = [
        (json!({"kind": "tcp_reset"}), End::Reset),
        (json!({"kind": "close"}), End::Closed(1001, "Going away".into())),
        (json!({"kind": "cut_frame"}), End::Eof),
        (json!({"kind": "half_open", "for": "500ms"}), End::Reset),
    ];
    for (fault, expected) in rows {
        let sim = spot().await;
        let mut client = sim.connect(&format!("/ws/{STREAM}")).await;
        let mut other = sim.connect("/ws/ethusdt@depth@100ms").await;
        client.diff().await;
        let mut fault = fault;
        fault["symbol"] = json!("BTCUSDT");
        sim.fault(fault.clone()).await;
        assert_eq!(client.end().await, expected, "{fault}");
        other.diff().await;
        sim.stop().await;
    }
}

#[tokio::test]
async fn half_open_answers_nothing_and_keeps_the_socket() {
    let sim = spot().await;
    let mut client = sim.connect(&format!("/ws/{STREAM}")).await;
    client.diff().await;
    sim.fault(json!({"kind": "half_open"})).await;
    while !client.is_silent(Duration::from_millis(300)).await {}
    client.say(json!({"method": "LIST_SUBSCRIPTIONS", "id": 9})).await;
    assert!(client.is_silent(Duration::from_millis(500)).await);
    sim.stop().await;
}

#[tokio::test]
async fn server_shutdown_is_announced_before_the_close() {
    for (path, combined) in [("/ws", false), ("/stream", true)] {
        let sim = spot().await;
        let mut client = sim.connect(path).await;
        client.subscribe(&[STREAM]).await;
        sim.fault(json!({"kind": "server_shutdown", "for": "2s"})).await;
        let notice = loop {
            let frame = client.json().await;
            if frame.to_string().contains("serverShutdown") {
                break frame;
            }
        };
        assert_eq!(combined, notice["stream"] == "!serverShutdown");
        client.diff().await;
        assert!(matches!(client.end().await, End::Closed(1001, _)));
        sim.stop().await;
    }
}

#[tokio::test]
async fn refused_connections_are_dropped_before_the_handshake() {
    let sim = spot().await;
    sim.fault(json!({"kind": "refuse_connect", "count": 2})).await;
    let url = format!("{}/ws", sim.only().address().ws);
    for _ in 0..2 {
        assert!(tokio_tungstenite::connect_async(&url).await.is_err());
    }
    sim.connect("/ws").await;
    sim.stop().await;
}

#[tokio::test]
async fn rest_fails_as_the_fault_says() {
    let sim = spot().await;
    let ask = "/api/v3/depth?symbol=BTCUSDT&limit=10";
    for (kind, status) in [("rest_429", 429), ("rest_418", 418), ("rest_500", 500), ("rest_403", 403)] {
        sim.fault(json!({"kind": kind, "retry_after": 7})).await;
        let answer = sim.get(ask).await;
        assert_eq!(answer.status(), status, "{kind}");
        let retry = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry, [429, 418].contains(&status).then(|| "7".to_owned()), "{kind}");
        assert_eq!(sim.get(ask).await.status(), 200);
    }
    sim.fault(json!({"kind": "rest_slow", "delay": "300ms"})).await;
    let begun = Instant::now();
    assert_eq!(sim.get(ask).await.status(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    sim.fault(json!([{"kind": "rest_timeout", "delay": "300ms"}, {"kind": "rest_reset"}])).await;
    let url = format!("{}{ask}", sim.only().address().rest);
    for _ in 0..2 {
        assert!(sim.http.get(&url).send().await.is_err());
    }
    assert_eq!(sim.get(ask).await.status(), 200);
    sim.stop().await;
}

#[tokio::test]
async fn a_stale_snapshot_is_too_old_for_the_stream() {
    let sim = spot().await;
    let mut client = sim.connect(&format!("/ws/{STREAM}")).await;
    for _ in 0..25 {
        client.diff().await;
    }
    let first: DepthUpdate = client.diff().await;
    sim.fault(json!({"kind": "rest_stale", "symbol": "BTCUSDT"})).await;
    assert!(sim.snapshot("BTCUSDT").await.last_update_id < first.first_id);
    let mut follower = Follower::new(VenueKind::BinanceSpot, &sim.snapshot("BTCUSDT").await);
    while !follower.take(&client.diff().await) {}
    sim.stop().await;
}

#[tokio::test]
async fn a_script_strikes_by_itself() {
    use venue_sim::venue::config::{FeedConfig, VenueConfig, VenuesConfig, WalkConfig};
    let faults = serde_saphyr::from_str("- {at: 3s, venue: binance_spot, kind: close}\n- {at: 0s, venue: binance_usdm, kind: close}\n").unwrap();
    let feed = FeedConfig::Walk(WalkConfig::new(&["BTC-USDT"], 1));
    let begun = Instant::now();
    let sim = Sim::start(VenuesConfig { venues: vec![VenueConfig::new(VenueKind::BinanceSpot, feed)], faults }).await;
    let mut client = sim.connect("/ws").await;
    assert!(matches!(client.end().await, End::Closed(1001, _)));
    assert!(begun.elapsed() >= Duration::from_secs(3));
    let state = sim.get_json("/control/state").await;
    assert_eq!(state["venues"]["binance_spot"]["faults"]["struck"], json!({"close": 1}));
    sim.stop().await;
}

#[tokio::test]
async fn a_wrong_fault_is_refused() {
    let sim = spot().await;
    let url = format!("{}/control/fault", sim.only().address().rest);
    let answer = sim.http.post(url).body(r#"{"kind":"explode"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("explode"));
    sim.stop().await;
}
