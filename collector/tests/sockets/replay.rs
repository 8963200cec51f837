//! The recordings through real sockets: every published book against the venue's own best prices.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::Value;
use venue_sim::VenueKind;
use venue_sim::venue::config::{FeedConfig, ReplayConfig, Start, VenueConfig};

use crate::world::{Capture, Collector, SOON, Venues, config, recording, trimmed};

/// Best bid and ask, prices and quantities, by update id; the last one counts, as the venue sends several per update.
type Tickers = BTreeMap<u64, [String; 4]>;

fn tickers(file: &Path) -> Tickers {
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(file).unwrap())).lines();
    let mut all = Tickers::new();
    for line in lines {
        let line = line.unwrap();
        let (_, json) = line.split_once(' ').unwrap();
        if json.contains("@bookTicker") {
            let data = serde_json::from_str::<Value>(json).unwrap()["data"].take();
            all.insert(data["u"].as_u64().unwrap(), ["b", "B", "a", "A"].map(|key| trimmed(&data[key])));
        }
    }
    all
}

async fn every_book_equals_the_ticker(kind: VenueKind, file: &str) {
    let Some(file) = recording(file) else { return };
    let streams = ["btcusdt@depth@100ms", "btcusdt@trade"].map(str::to_owned).to_vec();
    let replay = ReplayConfig { start: Start::Streams(streams), ..ReplayConfig::new(file.clone(), 0.0) };
    let venues = Venues::start(vec![VenueConfig::new(kind, FeedConfig::Replay(replay))], vec![]).await;
    let capture = Capture::default();
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", ", publish: every")], ""), vec![Box::new(capture.clone())]);
    // As long as it takes, as long as something comes of it.
    let (mut come, mut since) = (0, Instant::now());
    while venues.handle(kind).state().await.unwrap()["feed"]["ended"] != true {
        if capture.len() > come {
            (come, since) = (capture.len(), Instant::now());
        }
        assert!(since.elapsed() < SOON, "the replay does not go on\n{}", collector.troubles().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut before = 0;
    while capture.len() > before {
        before = capture.len();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (tickers, books, trades) = (tickers(&file), capture.books(), capture.trade_ids());
    let mut compared = 0;
    for book in &books {
        if let Some(ticker) = tickers.get(&book.sequence) {
            let best = [&book.bids[0][0], &book.bids[0][1], &book.asks[0][0], &book.asks[0][1]];
            assert_eq!(best.map(String::as_str), ticker.each_ref().map(String::as_str), "at update {}", book.sequence);
            compared += 1;
        }
    }
    println!("{}: {} books published, {compared} compared with bookTicker and equal; {} trades", kind.as_str(), books.len(), trades.len());
    assert!(books.windows(2).all(|pair| pair[0].sequence < pair[1].sequence), "books in order");
    assert!(trades.windows(2).all(|pair| pair[1] == pair[0] + 1), "trade ids are consecutive");
    assert_eq!(collector.sum("collector_resyncs_total").await, 0.0, "{}", collector.troubles().await);
    assert!(compared > 300 && books.len() > 1_000 && trades.len() > 5_000, "{compared} {} {}", books.len(), trades.len());
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spot_recording_gives_exact_books() {
    every_book_equals_the_ticker(VenueKind::BinanceSpot, "binance_spot_btcusdt_20240808.gz").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_recording_gives_exact_books() {
    every_book_equals_the_ticker(VenueKind::BinanceUsdm, "binance_usdm_btcusdt_20240808.gz").await;
}
