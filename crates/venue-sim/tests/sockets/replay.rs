//! Replays over real sockets. The recordings lie beside the project; without them these tests say so and pass.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Follower, SOON, Sim};
use serde_json::Value;
use venue_sim::VenueKind;
use venue_sim::venue::book::Side;
use venue_sim::venue::config::{AtEnd, FeedConfig, ReplayConfig, Start, VenueConfig, VenuesConfig};
use venue_sim::venue::wire::DepthUpdate;

fn recording(name: &str) -> Option<PathBuf> {
    // Beside the project; a git worktree lies one directory deeper.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../../../shared/recordings", "../../../../shared/recordings"].iter().map(|up| here.join(up).join(name)).find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no recording {name} beside the project");
    }
    found
}

fn one(venue: VenueKind, replay: ReplayConfig) -> VenuesConfig {
    VenuesConfig { venues: vec![VenueConfig::new(venue, FeedConfig::Replay(replay))], faults: vec![] }
}

struct Counts {
    diffs: usize,
    tickers: usize,
    compared: usize,
    trades: usize,
}

/// Reads a whole recording at full speed, keeps the book by the venue's rules, and compares it with each best price that was sent for the same update.
async fn read_whole(venue: VenueKind, file: PathBuf, path: &str, depth: &str) -> Counts {
    let streams = [depth, "btcusdt@trade", "btcusdt@bookTicker"];
    let start = Start::Streams(streams.iter().map(|&name| name.to_owned()).collect());
    let sim = Sim::start(one(venue, ReplayConfig { start, ..ReplayConfig::new(file, 0.0) })).await;
    let mut client = sim.connect(path).await;
    client.subscribe(&streams).await;
    let mut counts = Counts { diffs: 0, tickers: 0, compared: 0, trades: 0 };
    let mut follower: Option<Follower> = None;
    let (mut best, mut last_trade) = (std::collections::BTreeMap::new(), None);
    let deadline = Instant::now() + SOON;
    loop {
        let Ok(frame) = tokio::time::timeout(Duration::from_millis(500), client.json()).await else {
            // Silent: at the end when everything that was delivered has come.
            let state = sim.only().state().await.unwrap();
            let delivered = |stream: &str| state["streams"][stream]["delivered"].as_u64();
            let come = [counts.diffs, counts.trades, counts.tickers].map(|count| Some(count as u64));
            if state["feed"]["ended"] == true && streams.map(delivered) == come {
                break;
            }
            assert!(Instant::now() < deadline, "{come:?} of {state}");
            continue;
        };
        let data = &frame["data"];
        match frame["stream"].as_str().unwrap() {
            "btcusdt@trade" => {
                let id = data["t"].as_u64().unwrap();
                assert!(last_trade.is_none_or(|last| last + 1 == id), "trade {id} after {last_trade:?}");
                last_trade = Some(id);
                counts.trades += 1;
            }
            "btcusdt@bookTicker" => {
                counts.tickers += 1;
                best.insert(data["u"].as_u64().unwrap(), [data["b"].clone(), data["B"].clone(), data["a"].clone(), data["A"].clone()]);
            }
            _ => {
                counts.diffs += 1;
                if follower.is_none() {
                    follower = Some(Follower::new(venue, &sim.snapshot("BTCUSDT").await));
                }
                let diff: DepthUpdate = serde_json::from_value(data.clone()).unwrap();
                let follower = follower.as_mut().unwrap();
                if follower.take(&diff)
                    && let Some(ticker) = best.get(&follower.id)
                {
                    let (bid, ask) = (follower.book.best(Side::Bid).unwrap(), follower.book.best(Side::Ask).unwrap());
                    assert_eq!(*ticker, [&bid.0, &bid.1, &ask.0, &ask.1].map(|text| Value::from(text.as_str())), "at {}", follower.id);
                    counts.compared += 1;
                }
                best = best.split_off(&diff.last_id);
            }
        }
    }
    let state = sim.only().state().await.unwrap();
    assert_eq!((&state["feed"]["ended"], &state["feed"]["failure"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(state["streams"][depth]["delivered"], counts.diffs);
    assert_eq!(state["connections"]["slow_readers_dropped"], 0);
    sim.stop().await;
    counts
}

#[tokio::test]
async fn the_spot_recording_arrives_whole_and_its_book_is_right() {
    let Some(file) = recording("binance_spot_btcusdt_20240808.gz") else { return };
    let counts = read_whole(VenueKind::BinanceSpot, file, "/stream", "btcusdt@depth@100ms").await;
    println!("spot: {} diffs, {} trades, {} tickers, {} compared", counts.diffs, counts.trades, counts.tickers, counts.compared);
    assert_eq!((counts.diffs, counts.trades), (3451, 9757));
    assert!(counts.compared > 500);
}

#[tokio::test]
async fn the_futures_recording_arrives_whole_and_its_book_is_right() {
    let Some(file) = recording("binance_usdm_btcusdt_20240808.gz") else { return };
    let counts = read_whole(VenueKind::BinanceUsdm, file, "/public/stream", "btcusdt@depth@0ms").await;
    println!("futures: {} diffs, {} trades, {} tickers, {} compared", counts.diffs, counts.trades, counts.tickers, counts.compared);
    assert_eq!((counts.diffs, counts.trades, counts.tickers), (6551, 21313, 66089));
    assert!(counts.compared > 500);
}

#[tokio::test]
async fn a_slower_stream_of_the_futures_recording_chains_too() {
    let Some(file) = recording("binance_usdm_btcusdt_20240808.gz") else { return };
    let sim = Sim::start(one(VenueKind::BinanceUsdm, ReplayConfig::new(file, 0.0))).await;
    let mut client = sim.connect("/public/ws").await;
    client.subscribe(&["btcusdt@depth@500ms"]).await;
    let first = client.diff().await;
    let mut follower = Follower::new(VenueKind::BinanceUsdm, &sim.snapshot("BTCUSDT").await);
    follower.take(&first);
    for _ in 0..300 {
        let diff = client.diff().await;
        follower.take(&diff);
    }
    sim.stop().await;
}

/// Ten messages: enough for every case of a second pass.
fn small_recording(directory: &Path) -> PathBuf {
    let path = directory.join("small.gz");
    let mut file = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    let mut line = |ms: u64, json: &str| writeln!(file, "{} {json}", 1_700_000_000_000_000_000 + ms * 1_000_000).unwrap();
    let diff = |ms: u64, first: u64, last: u64, side: &str| {
        format!(r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{first},"u":{last},{side}}}}}"#)
    };
    let trade = |ms: u64, id: u64| {
        let data = format!(r#"{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{id},"p":"10.0","q":"1.0","T":{ms},"m":true,"M":true}}"#);
        format!(r#"{{"stream":"btcusdt@trade","data":{data}}}"#)
    };
    line(0, &diff(1_000, 90, 94, r#""b":[["9.0","1.0"]],"a":[]"#));
    line(10, &trade(1_010, 500));
    line(20, r#"{"lastUpdateId":96,"bids":[["9.5","2.0"],["9.0","1.0"]],"asks":[["10.5","1.0"]]}"#);
    line(30, &diff(1_030, 95, 99, r#""b":[["9.5","3.0"]],"a":[["10.4","1.0"]]"#));
    line(40, &trade(1_040, 501));
    line(50, &diff(1_050, 100, 105, r#""b":[],"a":[["10.4","0.0"],["10.6","4.0"]]"#));
    file.finish().unwrap();
    path
}

#[tokio::test]
async fn a_looped_recording_goes_on_without_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let replay = ReplayConfig { at_end: AtEnd::Loop, ..ReplayConfig::new(small_recording(directory.path()), 1.0) };
    let sim = Sim::start(one(VenueKind::BinanceSpot, replay)).await;
    let mut client = sim.connect("/stream").await;
    client.subscribe(&["btcusdt@depth@100ms", "btcusdt@trade"]).await;
    let mut follower: Option<Follower> = None;
    let (mut trades, mut last_ms) = (Vec::new(), 0);
    while follower.as_ref().is_none_or(|f| f.id < 130) {
        let frame = client.json().await;
        let data = &frame["data"];
        assert!(data["E"].as_i64().unwrap() >= last_ms, "times go on");
        last_ms = data["E"].as_i64().unwrap();
        if data["e"] == "trade" {
            trades.push(data["t"].as_u64().unwrap());
            continue;
        }
        if follower.is_none() {
            follower = Some(Follower::new(VenueKind::BinanceSpot, &sim.snapshot("BTCUSDT").await));
        }
        let follower = follower.as_mut().unwrap();
        follower.take(&serde_json::from_value(data.clone()).unwrap());
        let truth = sim.truth("BTCUSDT", follower.id).await;
        let ours = follower.top(500);
        assert_eq!((&truth["bids"], &truth["asks"]), (&ours["bids"], &ours["asks"]));
    }
    assert!(trades.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{trades:?}");
    sim.stop().await;
}

#[tokio::test]
async fn retimed_messages_carry_todays_times_and_the_recordings_ids() {
    let directory = tempfile::tempdir().unwrap();
    let replay = ReplayConfig { retime: true, ..ReplayConfig::new(small_recording(directory.path()), 1.0) };
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let sim = Sim::start(one(VenueKind::BinanceSpot, replay)).await;
    let mut client = sim.connect("/ws/btcusdt@depth@100ms").await;
    let first = client.diff().await;
    assert!(u128::from(first.event_ms.unsigned_abs()) >= before);
    assert_eq!((first.first_id, first.last_id), (90, 94));
    sim.stop().await;
}

#[tokio::test]
async fn a_missing_recording_is_an_error_that_names_it() {
    let config = one(VenueKind::BinanceSpot, ReplayConfig::new("no/such.gz".into(), 1.0));
    let error = venue_sim::run_venues(config, venue_sim::CancellationToken::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("no/such.gz"), "{error:#}");
}
