//! Instruments of low priority under pressure: their subscriptions are given up, and afterwards they are whole again.
//!
//! The step is set by hand: how memory leads to it is shown by `tests/pressure.rs`, which has a process to itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::clocks::SystemClock;
use collector::metrics::Registry;
use collector::pressure::Step;
use collector::sink::Started;
use collector::state::State;
use serde_json::Value;
use venue_sim::venue::config::LimitsConfig;

use crate::place::{BINANCE_SPOT, DERIBIT, OKX_SWAP};
use crate::world::{Capture, Collector, SOON, config, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_instrument_is_unsubscribed_and_comes_back_whole() {
    for place in [BINANCE_SPOT, OKX_SWAP, DERIBIT] {
        let venues = place.walk(LimitsConfig::default()).await;
        let capture = Capture::default();
        let low = place.symbols[1];
        let more = format!(", publish: 50ms, overrides: [{{symbols: [{low}], priority: low}}]");
        let entry = venues.entry(place.kind, &place.symbols.join(", "), &more);
        let config = config(&[entry], "");
        let (registry, state) = (Arc::new(Registry::new()), State::new(&config, SystemClock::shared()));
        let sinks = vec![Started { sink: Box::new(capture.clone()), worker: None }];
        let collector = Collector::start_with(config, sinks, (registry, Arc::clone(&state)));
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
        state.pressure.begin(Step::PauseLowPriority);
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
        state.pressure.end(Step::PauseLowPriority);
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
