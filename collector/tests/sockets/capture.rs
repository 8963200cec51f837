//! What was captured of a live run is replayed to the same records, byte for byte.

use std::time::Duration;

use collector::replay::{Wishes, replay};
use marketdata::Publication;
use venue_sim::{FaultKind, FaultSpec, VenueKind};

use crate::world::{Capture, Collector, Venues, config, recording};

async fn comes_out_the_same(kind: VenueKind, faults: &[FaultKind]) {
    let dir = tempfile::tempdir().unwrap();
    let venues = Venues::walk(kind, &["BTC-USDT", "ETH-USDT"], vec![]).await;
    let sink = Capture::default();
    let more = format!(", publish: 50ms, delta: every, previews: [ofi, cvd, event], capture: {{dir: '{}', max_bytes: 100MB}}", dir.path().display());
    let collector = Collector::start(config(&[venues.entry(kind, "BTC-USDT, ETH-USDT", &more)], ""), vec![Box::new(sink.clone())]);
    sink.more_books(20).await;
    for fault in faults {
        venues.handle(kind).inject(FaultSpec::once(*fault)).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        sink.more_books(20).await;
    }
    assert_eq!(collector.stop().await, collector::Outcome::Clean);
    let mut out = Vec::new();
    let summary = replay(&[dir.path().to_owned()], Wishes::default(), &mut out).unwrap();
    let live: Vec<String> = sink.payloads();
    let again: Vec<&str> = std::str::from_utf8(&out).unwrap().lines().collect();
    println!("{}\n{} records live", summary.to_text(), live.len());
    assert!(summary.is_whole(), "{}", summary.to_text());
    let differs = live.iter().zip(&again).position(|(one, other)| one != other);
    assert_eq!(differs.map(|at| (&*live[at], again[at])), None);
    assert_eq!(again.len(), live.len());
    // Published more seldom, the same run has fewer books.
    let wishes = Wishes { publish: Some(Publication::Conflated(Duration::from_secs(1))), depth: Some(5) };
    let seldom = replay(&[dir.path().to_owned()], wishes, &mut std::io::sink()).unwrap();
    assert!(seldom.records["orderbook"] < summary.records["orderbook"], "{}", seldom.to_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_spot_run_with_faults_replays_to_the_same_records() {
    comes_out_the_same(VenueKind::BinanceSpot, &[FaultKind::DropDiff, FaultKind::TcpReset, FaultKind::MalformedFrame]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_futures_run_replays_to_the_same_records() {
    comes_out_the_same(VenueKind::BinanceUsdm, &[FaultKind::Rest429]).await;
}

#[test]
fn the_recordings_beside_the_project_are_replayed_whole() {
    // File, venue, how many books and trades, one of the instruments, how many there are, whether the recording has ids.
    let rows = [
        ("binance_spot_btcusdt_20240808.gz", "binance_spot", (3_427, 9_757), ("binance.spot.BTC-USDT", 1), true),
        ("binance_usdm_btcusdt_20240808.gz", "binance_usdm", (5_824, 21_313), ("binance.perpetual.BTC-USDT", 1), true),
        ("okx_20220513.txt.gz", "okx_swap", (290, 74), ("okx.perpetual.UNI-USD", 3), false),
        ("deribit_20210722.txt.gz", "deribit", (44, 0), ("deribit.options.BTC-24SEP21-8000-P", 10), true),
    ];
    let mut files = Vec::new();
    for (name, kind, (books, trades), (instrument, instruments), numbered) in rows {
        let Some(file) = recording(name) else { continue };
        let mut out = Vec::new();
        let summary = replay(std::slice::from_ref(&file), Wishes::default(), &mut out).unwrap();
        println!("{}", summary.to_text());
        assert!(summary.is_whole() && summary.runs == [kind], "{}", summary.to_text());
        assert!(summary.states.iter().all(|(_, state)| *state == "synced") && summary.states.len() == instruments, "{:?}", summary.states);
        assert!(summary.states.iter().any(|(name, _)| name == instrument), "{:?}", summary.states);
        let count = |kind| summary.records.get(kind).copied().unwrap_or(0);
        assert_eq!((count("orderbook"), count("trade"), summary.trades_missing, !summary.unnumbered), (books, trades, 0, numbered));
        assert_eq!(out.split(|byte| *byte == b'\n').count() as u64, summary.records.values().sum::<u64>() + 1, "a record a line");
        files.push(file);
    }
    if files.len() == rows.len() {
        // Each file is a run of its own, whatever came before it.
        let all = replay(&files, Wishes::default(), &mut std::io::sink()).unwrap();
        assert_eq!((all.runs.len(), all.records["orderbook"], all.states.len()), (4, 3_427 + 5_824 + 290 + 44, 15));
        assert!(all.seconds > 700.0 && all.seconds < 800.0, "{}", all.seconds);
    }
}

#[test]
fn what_is_no_recording_is_told_by_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    let code = |path: &std::path::Path| replay(&[path.to_owned()], Wishes::default(), &mut std::io::sink()).unwrap_err().exit_code();
    assert_eq!(code(&file), 66);
    let no_recordings: [&[u8]; 5] =
        [b"hello\n", b"1723161255030314667 {\"x\":1}\n", b"{\"at\":[1,2],\"what\":\"timeout\"}\n", b"\xff\xfe", b"\x1f\x8b\x08rest"];
    for text in no_recordings {
        std::fs::write(&file, text).unwrap();
        assert_eq!(code(&file), 65, "{text:?}");
    }
}

#[test]
fn a_recording_that_ends_in_the_middle_is_replayed_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("torn.gz");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for id in 1..=1_500_u64 {
        let price = id.wrapping_mul(0x9E37_79B9) % 90_000;
        let frame = format!(r#"{{"e":"depthUpdate","E":{id},"s":"BTCUSDT","U":{id},"u":{id},"b":[["{price}.50","1.5"]],"a":[]}}"#);
        std::io::Write::write_all(&mut packer, format!("{} {frame}\n", id * 1_000_000_000).as_bytes()).unwrap();
    }
    let whole = packer.finish().unwrap();
    std::fs::write(&file, &whole[..whole.len() * 2 / 3]).unwrap();
    let summary = replay(std::slice::from_ref(&file), Wishes::default(), &mut std::io::sink()).unwrap();
    assert_eq!((summary.torn, summary.is_whole()), (1, false), "{}", summary.to_text());
    assert!((100..1_500).contains(&summary.lines), "{}", summary.to_text());
}
