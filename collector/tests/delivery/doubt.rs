//! Records that are stored and whose acknowledgement is lost, sent again only after the stream has forgotten their ids.

use std::time::Duration;

use crate::feed::{Feed, config, prove};
use crate::server::Server;
use crate::wire::Wire;

const RATE: u32 = 1_000;
/// The stream knows ids again for the shortest time there is.
const FORGETS: &str = "  streams: {trade: {duplicate_window: 1s}, orderbook: {duplicate_window: 1s}}\n";

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A sink whose server can be made unheard, its files in a directory of its own; `None` when there is no server.
async fn over_a_wire(more: &str) -> Option<(Server, Wire, tempfile::TempDir, Feed)> {
    let server = Server::start(true)?;
    let (wire, dir) = (Wire::to(server.port).await, tempfile::tempdir().unwrap());
    let feed = Feed::start(&config(dir.path(), &wire.url(), more));
    Some((server, wire, dir, feed))
}

async fn prove_with_some_held(server: &Server, feed: Feed) {
    feed.until_delivered().await;
    assert!(feed.metric("collector_nats_held_total", "") > 0.0, "some were there already\n{}", feed.figures());
    prove(server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_stored_unheard_is_not_stored_again_from_the_spool() {
    let Some((server, wire, _dir, mut feed)) = over_a_wire(FORGETS).await else { return };
    feed.run(RATE, seconds(1.0)).await;
    wire.lose_after(0);
    feed.run(RATE, seconds(2.0)).await;
    feed.run_until(RATE, "the spool fills", |feed| feed.metric("collector_spills_total", "slow") > 0.0).await;
    wire.cut();
    feed.run(RATE, seconds(1.0)).await;
    // And once more while the spool is being drained.
    wire.lose_after(20_000);
    feed.run(RATE, seconds(3.0)).await;
    wire.cut();
    feed.run(RATE, seconds(0.5)).await;
    prove_with_some_held(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_stored_unheard_is_not_stored_again_from_memory() {
    let Some(server) = Server::start(true) else { return };
    let (wire, dir) = (Wire::to(server.port).await, tempfile::tempdir().unwrap());
    // Without a spool records stay in memory up to the emergency mark.
    std::fs::write(dir.path().join("spool"), "a file stands in the way").unwrap();
    let mut feed = Feed::start(&config(dir.path(), &wire.url(), &format!("{FORGETS}  ack_timeout: 30s")));
    feed.run(RATE, seconds(1.0)).await;
    wire.lose_after(0);
    feed.run(RATE, seconds(2.0)).await;
    wire.cut();
    feed.run(RATE, seconds(0.5)).await;
    assert_eq!(feed.metric("collector_spooled_total", ""), 0.0);
    prove_with_some_held(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_that_was_purged_meanwhile_holds_nothing_and_gets_everything() {
    let Some((server, wire, _dir, mut feed)) = over_a_wire(FORGETS).await else { return };
    feed.run(RATE, seconds(1.0)).await;
    feed.until_delivered().await;
    let acknowledged = feed.last.clone();
    wire.lose_after(0);
    feed.run(RATE, seconds(3.0)).await;
    let context = server.jetstream().await;
    for name in ["TRADE", "ORDERBOOK"] {
        context.get_stream(name).await.unwrap().purge().await.unwrap();
    }
    wire.cut();
    feed.until_delivered().await;
    let mut stored = server.stored("ORDERBOOK").await;
    stored.extend(server.stored("TRADE").await);
    for ((stream, before), last) in feed.state.streams.iter().zip(&acknowledged).zip(&feed.last) {
        assert_eq!(stored[&stream.subject], (before + 1..=*last).collect::<Vec<_>>(), "{}", stream.subject);
    }
    assert_eq!(feed.metric("collector_nats_held_total", ""), 0.0);
    assert!(feed.metric("collector_nats_doubts_total", "answered") > 0.0, "{}", feed.figures());
    feed.stop().await;
}
