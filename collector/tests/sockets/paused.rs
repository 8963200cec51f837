//! Instruments of low priority under real pressure: their subscriptions are given up, and afterwards they are whole again.

use std::time::{Duration, Instant};

use serde_json::Value;
use venue_sim::venue::config::LimitsConfig;

use crate::place::{BINANCE_SPOT, DERIBIT, OKX_SWAP};
use crate::world::{Capture, Collector, SOON, config, get};

/// Far above what the tests of this program need together, and far below the machine's memory.
const BUDGET: &str = "pressure: {memory: {soft: 500MB, hard: 550MB}, dwell: 1s}";
const BALLAST: usize = 700 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_instrument_is_unsubscribed_and_comes_back_whole() {
    for place in [BINANCE_SPOT, OKX_SWAP, DERIBIT] {
        let venues = place.walk(LimitsConfig::default()).await;
        let capture = Capture::default();
        let low = place.symbols[1];
        let more = format!(", publish: 50ms, overrides: [{{symbols: [{low}], priority: low}}]");
        let entry = venues.entry(place.kind, &place.symbols.join(", "), &more);
        let collector = Collector::start(config(&[entry], BUDGET), vec![Box::new(capture.clone())]);
        let of_low = |capture: &Capture| capture.books().iter().filter(|book| book.venue_symbol.starts_with("ETH")).count();
        let subscribed = async || {
            let state = venues.handle(place.kind).state().await.unwrap();
            let lists = state["connections"]["subscriptions"].as_array().unwrap().clone();
            let names: Vec<String> =
                lists.iter().flat_map(|list| list.as_array().unwrap()).map(|name| name.as_str().unwrap().to_uppercase()).collect();
            (names.iter().filter(|name| name.starts_with("ETH")).count(), names.len())
        };
        capture.more_books(20).await;
        assert!(of_low(&capture) > 0);
        assert_eq!(subscribed().await, (2, 4));

        let paused = format!("collector_instrument_paused{}", place.labels(&format!("symbol=\"{low}\"")));
        let ballast = vec![1_u8; BALLAST];
        collector.wait_for(&paused, 1.0).await;
        let deadline = Instant::now() + SOON;
        while subscribed().await != (0, 2) {
            assert!(Instant::now() < deadline, "{:?}", subscribed().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let health: Value = serde_json::from_str(&get(collector.metrics, "/health").await.1).unwrap();
        let of =
            |symbol: &str| health["streams"].as_array().unwrap().iter().find(|stream| stream["subject"].as_str().unwrap().ends_with(symbol)).cloned();
        assert_eq!((&of(low).unwrap()["status"], &of(place.symbols[0]).unwrap()["status"]), (&Value::from("paused"), &Value::from("healthy")));
        capture.clear();
        capture.more_books(5).await;
        assert_eq!(of_low(&capture), 0, "nothing of it is published");
        drop(ballast);

        collector.wait_for(&paused, 0.0).await;
        let deadline = Instant::now() + SOON;
        while of_low(&capture) < 10 {
            assert!(Instant::now() < deadline, "{}", collector.troubles().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(subscribed().await, (2, 4));
        let checked = place.all_books_are_true(&capture, &venues).await;
        println!("{} {}: {checked} books, all true, after a pause of {low}", place.exchange, place.market);
        let gap = collector.metric(&place.event("trade_gap")).await;
        assert!(gap >= 1.0, "the trades that were missed are told");
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}
