//! What may happen to a server, and that nothing is lost by it.

use std::time::Duration;

use crate::feed::{Feed, assert_all, beside_a_server, config, prove};
use crate::server::Server;

/// Records a second over four streams.
const RATE: u32 = 2_000;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Length of an outage; `TIDEMARK_OUTAGE_SECONDS=60` is the full length.
pub(crate) fn outage() -> Duration {
    std::env::var("TIDEMARK_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok()).map_or(Duration::from_secs(6), Duration::from_secs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn streams_are_made_and_everything_is_acknowledged_in_order() {
    let Some((server, _dir, mut feed)) = beside_a_server("") else { return };
    feed.run(RATE, seconds(2.0)).await;
    feed.until_delivered().await;
    let twice = feed.metric("collector_nats_acks_total", "duplicate");
    assert_eq!((twice, feed.metric("collector_spooled_total", "")), (0.0, 0.0), "{}", feed.figures());
    prove(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let Some((mut server, _dir, mut feed)) = beside_a_server("") else { return };
    feed.run(RATE, seconds(1.0)).await;
    for pause in [0.0, 0.3, 2.0] {
        server.kill();
        feed.run(RATE, seconds(pause)).await;
        server.run();
        feed.run(RATE, seconds(0.7)).await;
    }
    prove(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_outage_goes_to_the_spool_and_comes_back_in_order() {
    let Some((mut server, _dir, mut feed)) = beside_a_server("") else { return };
    feed.run(RATE, seconds(0.5)).await;
    server.kill();
    feed.run(RATE, outage()).await;
    feed.run_until(RATE, "the spool fills", |feed| feed.metric("collector_spool_records", "") > f64::from(RATE)).await;
    // Far less than the outage has lasted.
    feed.run_until(RATE, "what comes is secured soon", |feed| feed.metric("collector_unsecured_age_seconds", "") < 2.0).await;
    assert_eq!(feed.metric("collector_sink_up", "nats"), 1.0, "the spool secures what comes");
    server.run();
    feed.run(RATE, seconds(2.0)).await;
    prove(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_is_paused_costs_nothing_either() {
    // The stream has forgotten the ids when it goes on.
    let forgets = "  streams: {trade: {duplicate_window: 1s}, orderbook: {duplicate_window: 1s}}\n  ack_timeout: 2s";
    let Some((server, _dir, mut feed)) = beside_a_server(forgets) else { return };
    feed.run(RATE, seconds(0.5)).await;
    // Shorter and longer than the patience with an acknowledgement.
    for pause in [0.5, 4.0] {
        server.pause();
        feed.run(RATE, seconds(pause)).await;
        server.go_on();
        feed.run(RATE, seconds(1.0)).await;
    }
    prove(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_stream_refuses_and_goes_on_in_order_when_there_is_room() {
    let limits = "{max_bytes: 400kB, discard: new}";
    let Some((server, _dir, mut feed)) = beside_a_server(&format!("  streams: {{trade: {limits}, orderbook: {limits}}}")) else { return };
    feed.run_until(RATE, "the stream is full", |feed| feed.metric("collector_nats_ack_errors_total", "stream_full") > 0.0).await;
    feed.run_until(RATE, "the spool fills", |feed| feed.metric("collector_spool_records", "") > f64::from(RATE)).await;
    // The operator makes room; the collector does not change the stream by itself.
    let context = server.jetstream().await;
    for name in ["TRADE", "ORDERBOOK"] {
        let mut wider = context.get_stream(name).await.unwrap().info().await.unwrap().config.clone();
        wider.max_bytes = 1 << 30;
        context.update_stream(wider).await.unwrap();
    }
    feed.run(RATE, seconds(1.0)).await;
    prove(&server, feed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_jetstream_the_spool_keeps_everything_until_there_is_one() {
    let Some(mut server) = Server::start(false) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(&config(dir.path(), &server.url(), ""));
    feed.run_until(RATE, "it is told", |feed| feed.metric("collector_nats_stream_troubles_total", "no_jetstream") > 0.0).await;
    feed.run(RATE, seconds(1.0)).await;
    // A stop in the middle of it: what was taken is in the spool.
    let last = feed.last.clone();
    feed.stop().await;
    server.kill();
    server.learn_jetstream();
    server.run();
    let mut feed = Feed::start(&config(dir.path(), &server.url(), ""));
    feed.last = last;
    feed.run(RATE, seconds(1.0)).await;
    feed.until("everything is delivered", |feed| {
        feed.metric("collector_spool_records", "") == 0.0 && feed.metric("collector_unsecured_records", "") == 0.0
    })
    .await;
    assert_all(&server, &feed.state, &feed.last).await;
    feed.stop().await;
}
