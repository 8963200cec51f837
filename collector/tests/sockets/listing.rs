//! Instruments that come and go while the collector runs: what is gone leaves the page, what comes is collected, the neighbours notice nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use venue_sim::venue::config::LimitsConfig;

use crate::place::{BINANCE_SPOT, DERIBIT, OKX_SWAP};
use crate::world::{Capture, Collector, SOON, config, get};

/// Names of the metrics with a series of this symbol.
async fn names_of(collector: &Collector, symbol: &str) -> BTreeSet<String> {
    let label = format!("symbol=\"{symbol}\"");
    let page = get(collector.metrics, "/metrics").await.1;
    page.lines().filter(|line| line.contains(&label)).map(|line| line.split('{').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delisted_leaves_the_page_and_what_is_listed_is_collected() {
    for place in [BINANCE_SPOT, OKX_SWAP, DERIBIT] {
        let venues = place.walk(LimitsConfig::default()).await;
        let capture = Capture::default();
        let entry = venues.entry(place.kind, &place.symbols.join(", "), ", publish: 50ms");
        let often = "instruments: {listing_interval: 1s, cleanup_interval: 1s}";
        let collector = Collector::start(config(&[entry], often), vec![Box::new(capture.clone())]);
        let of_first = |capture: &Capture| capture.books().iter().filter(|book| book.venue_symbol == place.raw).count();
        capture.more_books(10).await;
        assert!(of_first(&capture) > 0);
        let before = names_of(&collector, place.symbols[0]).await;
        venues.handle(place.kind).delist(place.raw).await.unwrap();
        let deadline = Instant::now() + SOON;
        loop {
            let left = names_of(&collector, place.symbols[0]).await;
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "{} {}: still on the page: {left:?}", place.exchange, place.market);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        capture.clear();
        capture.more_books(10).await;
        assert_eq!(of_first(&capture), 0);
        assert!(place.all_books_are_true(&capture, &venues).await >= 10);
        venues.handle(place.kind).list(place.symbols[0]).await.unwrap();
        collector.wait_for(&place.synced(), 1.0).await;
        capture.more_books(20).await;
        assert!(of_first(&capture) > 0);
        place.all_books_are_true(&capture, &venues).await;
        let after = names_of(&collector, place.symbols[0]).await;
        let missing: Vec<_> = before.difference(&after).collect();
        assert!(missing.is_empty(), "{} {}: did not come back: {missing:?}", place.exchange, place.market);
        assert_eq!(collector.stop().await, collector::Outcome::Clean);
    }
}
