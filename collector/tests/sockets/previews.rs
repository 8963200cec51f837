//! Deltas, previews and events, from the venue's socket to the sink: a consumer that knows only what the manual says has the venue's book.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use collector::sink::{Record, Refusal, Sink};
use marketdata::RecordKind;
use serde_json::Value;
use venue_sim::venue::engine::BookAnswer;
use venue_sim::{FaultKind, FaultSpec, VenueKind};

use crate::world::{Capture, Collector, Levels, SOON, Venues, config, get, trimmed};

/// A sink that has no room for every thirtieth delta.
struct Cramped {
    capture: Capture,
    deltas: AtomicUsize,
}

impl Sink for Cramped {
    fn name(&self) -> &'static str {
        "cramped"
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        if record.kind == RecordKind::OrderBookDelta && self.deltas.fetch_add(1, Ordering::Relaxed) % 30 == 29 {
            return Err(Refusal::QueueFull);
        }
        self.capture.offer(record)
    }
}

/// What the manual tells a consumer of `orderbook_delta` to do.
#[derive(Default)]
struct Consumer {
    sequence: Option<u64>,
    sides: [BTreeMap<String, String>; 2],
    snapshots: usize,
    deltas: usize,
}

impl Consumer {
    fn apply(&mut self, record: &Value) {
        if record["update_type"] == "snapshot" {
            self.sides = Default::default();
            self.snapshots += 1;
        } else {
            assert_eq!(record["prev_sequence"].as_u64(), self.sequence, "a hole in the chain: {record}");
            self.deltas += 1;
        }
        self.sequence = record["sequence"].as_u64();
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in record[name].as_array().unwrap() {
                let (price, quantity) = (trimmed(&level[0]), trimmed(&level[1]));
                if quantity == "0" {
                    side.remove(&price)
                } else {
                    side.insert(price, quantity)
                };
            }
        }
    }

    /// Best first.
    fn levels(&self) -> [Levels; 2] {
        let sorted = |side: &BTreeMap<String, String>| {
            let mut levels: Levels = side.iter().map(|(price, quantity)| [price.clone(), quantity.clone()]).collect();
            levels.sort_by(|a, b| a[0].parse::<f64>().unwrap().total_cmp(&b[0].parse::<f64>().unwrap()));
            levels
        };
        let [mut bids, asks] = self.sides.each_ref().map(sorted);
        bids.reverse();
        [bids, asks]
    }
}

fn of_kind<'a>(records: &'a [Value], kind: &str, symbol: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["data_type"] == kind && record["symbol"] == symbol).collect()
}

async fn wait(capture: &Capture, what: &str, enough: impl Fn(&[Value]) -> bool) {
    let deadline = Instant::now() + SOON;
    while !enough(&capture.records()) {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn events(records: &[Value], event: &str, reason: &str) -> usize {
    of_kind(records, "event", "BTC-USDT")
        .iter()
        .filter(|record| record["event"] == event && (reason.is_empty() || record["reason"] == reason))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_of_deltas_has_the_venues_book_through_gaps_hand_overs_and_refusals() {
    let kind = VenueKind::BinanceSpot;
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let capture = Capture::default();
    let sink = Cramped { capture: capture.clone(), deltas: AtomicUsize::new(0) };
    let entry = venues.entry(kind, "BTC-USDT", ", depth: 20, publish: every, delta: 50ms");
    let collector = Collector::start(config(&[entry], ""), vec![Box::new(sink)]);
    let deltas = |records: &[Value]| of_kind(records, "orderbook_delta", "BTC-USDT").len();
    wait(&capture, "a refusal", |records| deltas(records) > 35).await;
    venues.handle(kind).inject(FaultSpec::once(FaultKind::DropDiff).on("BTCUSDT")).await;
    wait(&capture, "the gap", |records| events(records, "resync", "gap") == 1 && events(records, "synced", "") == 2).await;
    venues.handle(kind).inject(FaultSpec::once(FaultKind::ServerShutdown).lasting(Duration::from_secs(20))).await;
    collector.wait_for("collector_feed_events_total{exchange=\"binance\",market_type=\"spot\",event=\"hand_over_done\",reason=\"\"}", 1.0).await;
    let before = deltas(&capture.records());
    wait(&capture, "deltas of the new connection", |records| deltas(records) > before + 20).await;
    assert_eq!(collector.stop().await, collector::Outcome::Clean);

    let records = capture.records();
    let mut consumer = Consumer::default();
    for record in of_kind(&records, "orderbook_delta", "BTC-USDT") {
        consumer.apply(record);
        let truth = venues.handle(kind).book("BTCUSDT", consumer.sequence, 20).await;
        let Some(BookAnswer::Book { bids, asks, .. }) = truth else { panic!("no book at {:?}: {truth:?}", consumer.sequence) };
        for (mine, theirs) in consumer.levels().iter().zip([bids, asks]) {
            let theirs: Levels = theirs.iter().map(|(p, q)| [trimmed(&p.as_str().into()), trimmed(&q.as_str().into())]).collect();
            assert!(record["complete"] == false || mine.len() == 20);
            assert_eq!(*mine, theirs[..mine.len()], "at {:?}", consumer.sequence);
        }
    }
    println!("{} deltas and {} whole images applied, each state the venue's", consumer.deltas, consumer.snapshots);
    assert!(consumer.snapshots >= 3, "the first, after the refusal, after the gap: {}", consumer.snapshots);
    assert!(consumer.deltas > 50, "{}", consumer.deltas);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previews_come_every_second_and_add_up_to_the_trades_and_quiet_kinds_are_no_trouble() {
    let kind = VenueKind::BinanceUsdm;
    let venues = Venues::walk(kind, &["BTC-USDT"], vec![]).await;
    let capture = Capture::default();
    let more = ", previews: [ofi, cvd, fusion, feature, event], large_trade: 1, fusion: {warm_up: 2s, half_life: 10s}";
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT", more)], ""), vec![Box::new(capture.clone())]);
    let count = |records: &[Value], kind: &str| of_kind(records, kind, "BTC-USDT").len();
    wait(&capture, "seconds", |records| ["ofi", "cvd", "fusion", "feature"].iter().all(|kind| count(records, kind) >= 5)).await;
    wait(&capture, "a large trade", |records| events(records, "large_trade", "") > 0).await;
    let page: Value = serde_json::from_str(&get(collector.health, "/health").await.1).unwrap();
    assert_eq!(page["coverage"].as_object().unwrap().keys().collect::<Vec<_>>(), ["orderbook", "trade"], "previews say nothing of health");
    let metrics = get(collector.metrics, "/metrics").await.1;
    let expected: Vec<&str> = metrics.lines().filter(|line| line.starts_with("collector_stream_expected{")).collect();
    assert_eq!(expected.len(), 2, "{expected:?}");
    assert_eq!(collector.stop().await, collector::Outcome::Clean);

    let records = capture.records();
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let (ofi, cvd, feature) = (of_kind(&records, "ofi", "BTC-USDT"), of_kind(&records, "cvd", "BTC-USDT"), of_kind(&records, "feature", "BTC-USDT"));
    for (earlier, later) in cvd.iter().zip(cvd.iter().skip(1)) {
        assert_eq!(later["event_ts_ms"].as_i64().unwrap() - earlier["event_ts_ms"].as_i64().unwrap(), later["interval_ms"].as_i64().unwrap());
        assert!((number(&later["cvd"]) - number(&earlier["cvd"]) - number(&later["change"])).abs() < 1e-6, "{earlier} {later}");
    }
    // Up to the last closed second, the sums are those of the published trades in their order.
    let last = cvd.last().unwrap();
    let trades = of_kind(&records, "trade", "BTC-USDT");
    let counted = usize::try_from(last["trades"].as_u64().unwrap()).unwrap();
    let sum: f64 = trades[..counted].iter().map(|trade| number(&trade["quantity"]) * if trade["side"] == "buy" { 1.0 } else { -1.0 }).sum();
    assert!((sum - number(&last["cvd"])).abs() < 1e-6, "{sum} {last}");
    assert_eq!((last["reset"].as_str(), last["complete"].as_bool()), (Some("start"), Some(false)));
    for bar in &feature {
        let (mid, micro, spread) = (number(&bar["mid"]), number(&bar["microprice"]), number(&bar["spread"]));
        assert!((mid - micro).abs() <= spread / 2.0 + 1e-9 && spread > 0.0, "{bar}");
        let same_second = ofi.iter().find(|ofi| ofi["event_ts_ms"] == bar["event_ts_ms"]).unwrap();
        assert_eq!(bar["ofi"], same_second["ofi"]);
    }
    let fusion = of_kind(&records, "fusion", "BTC-USDT");
    assert!(fusion[0]["warming_up"] == true && fusion[0]["fusion"].is_null(), "{}", fusion[0]);
    assert!(fusion.last().unwrap()["fusion"].is_number(), "{}", fusion.last().unwrap());
    let large = of_kind(&records, "event", "BTC-USDT").into_iter().find(|record| record["event"] == "large_trade").unwrap();
    assert!((number(&large["price"]) * number(&large["quantity"]) - number(&large["notional"])).abs() < 1e-3, "{large}");
    println!("{} seconds of each preview; the last cvd {}", cvd.len(), last["cvd"]);
}
