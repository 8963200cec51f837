//! What happens at the bounds: of the spool in bytes and age, of memory, of time; and what becomes of dead letters.

use std::collections::BTreeMap;
use std::time::Duration;

use collector::conditions::Condition;
use collector::config::Environment;
use futures_util::StreamExt;

use crate::feed::{Feed, read, text};
use crate::server::{SOON, Server};

const RATE: u32 = 2_000;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

async fn all_stored(server: &Server) -> BTreeMap<String, Vec<u64>> {
    let mut stored = server.stored("ORDERBOOK").await;
    stored.extend(server.stored("TRADE").await);
    stored
}

/// A spool with this bound gives up its oldest records for this reason, says so, and delivers the rest in order.
async fn gives_up_the_oldest(bound: &str, reason: &str) {
    let Some(mut server) = Server::start(true) else { return };
    let dir = tempfile::tempdir().unwrap();
    let bounded = text(dir.path(), &server.url(), "").replace("/spool'}", &format!("/spool', {bound}}}"));
    let mut feed = Feed::start(&read(&bounded, &Environment::default()));
    feed.run(RATE, seconds(0.5)).await;
    server.kill();
    feed.run_until(RATE, "the bound bites", |feed| feed.metric("collector_spool_lost_total", reason) > 0.0).await;
    feed.until("health is told", |feed| feed.state.conditions.holds(Condition::SpoolBound)).await;
    assert!(feed.metric("collector_spool_bytes", "") <= feed.metric("collector_spool_bytes_limit", ""), "{}", feed.figures());
    server.run();
    feed.until("everything is delivered", |feed| {
        feed.metric("collector_unsecured_records", "") == 0.0 && feed.metric("collector_spool_records", "") == 0.0
    })
    .await;
    let (stored, lost) = (all_stored(&server).await, feed.metric("collector_spool_lost_total", ""));
    let mut count = 0;
    for sequences in stored.values() {
        count += sequences.len();
        assert!(sequences.is_sorted_by(|a, b| a < b), "once and in order");
        assert!(sequences.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() <= 1, "one piece is missing");
    }
    assert_eq!(count as f64 + lost, feed.last.iter().sum::<u64>() as f64, "what is not there was told\n{}", feed.figures());
    feed.until("health is well again", |feed| !feed.state.conditions.holds(Condition::SpoolBound)).await;
    feed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_spool_over_its_size_gives_up_the_oldest_and_says_how_many() {
    gives_up_the_oldest("max_total: 4MiB", "size").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_too_old_for_the_spool_is_given_up_and_counted() {
    gives_up_the_oldest("max_age: 1s", "age").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dead_letters_are_sent_by_themselves_when_everything_is_calm_again() {
    let Some(mut server) = Server::start(true) else { return };
    let dir = tempfile::tempdir().unwrap();
    // Neither NATS nor the spool takes anything: over the emergency mark also authoritative records become dead letters.
    std::fs::write(dir.path().join("spool"), "a file stands in the way").unwrap();
    let marks = "buffers: {bytes: {high: 64KiB, emergency: 128KiB}}";
    let previews = text(dir.path(), &server.url(), marks).replace("previews: []", "previews: [ofi]");
    let mut feed = Feed::start(&read(&previews, &Environment::default()));
    let subscriber = async_nats::connect(server.url()).await.unwrap();
    feed.run(RATE, seconds(0.5)).await;
    server.kill();
    for reason in ["spool_failed", "kind=\"ofi\""] {
        feed.run_until(RATE, "there are dead letters", |feed| feed.metric("collector_dead_letter_records_total", reason) > 0.0).await;
    }
    feed.until("health is told", |feed| feed.state.conditions.holds(Condition::DeadLetters)).await;
    server.run();
    let mut previews = loop {
        if let Ok(subscriber) = subscriber.subscribe("ofi.>").await {
            break subscriber;
        }
    };
    subscriber.flush().await.unwrap();
    feed.until("all of them are sent", |feed| {
        feed.metric("collector_dead_letter_files", "") == 0.0 && feed.metric("collector_unsecured_records", "") == 0.0
    })
    .await;
    assert_eq!((feed.refused, feed.metric("collector_sink_dropped_total", "spool_failed")), (0, 0.0), "{}", feed.figures());
    for (stream, last) in feed.state.streams.iter().zip(&feed.last).filter(|(stream, _)| stream.kind.is_authoritative()) {
        let mut stored = all_stored(&server).await.remove(&stream.subject).unwrap();
        // What became a dead letter comes behind its successors.
        stored.sort_unstable();
        assert_eq!(stored, (1..=*last).collect::<Vec<_>>(), "{}", stream.subject);
    }
    assert!(tokio::time::timeout(SOON, previews.next()).await.unwrap().is_some(), "previews too");
    feed.until("health is well again", |feed| !feed.state.conditions.holds(Condition::DeadLetters)).await;
    feed.stop().await;
}

/// Streams that take nothing are spooled because of the high mark, after this many records of each.
async fn spools_at(records: u32, text: &str, environment: &[(&str, &str)]) {
    let feed = feed_without_server(records, text, environment).await;
    feed.until("the mark is crossed", |feed| feed.metric("collector_spills_total", "reason=\"high\"") > 0.0).await;
    feed.stop().await;
}

/// They are not, in the time in which a sink looks at its marks a hundred times.
async fn keeps(records: u32, text: &str, environment: &[(&str, &str)]) {
    let feed = feed_without_server(records, text, environment).await;
    tokio::time::sleep(seconds(2.5)).await;
    assert_eq!(feed.metric("collector_spills_total", "reason=\"high\""), 0.0, "{}", feed.figures());
    feed.stop().await;
}

async fn feed_without_server(records: u32, text: &str, environment: &[(&str, &str)]) -> Feed {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut feed = Feed::start(&read(text, &environment));
    // Four streams in two seconds.
    feed.run_through(records * 2, records * 4).await;
    feed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn marks_come_from_the_file_or_the_environment_and_follow_the_rate_if_told_to() {
    let Some(mut server) = Server::start(true) else { return };
    server.kill();
    let slow = "  accept_within: 60s\n";
    let marks = "buffers: {trade: {high: 400, emergency: 800}, orderbook: {high: 400, emergency: 800}";
    // A directory of its own for each, or its streams would begin behind the backlog of the one before.
    let dirs = tempfile::tempdir().unwrap();
    let with = |dir: &str, more: &str| text(&dirs.path().join(dir), &server.url(), &format!("{slow}{marks}{more}}}"));
    keeps(150, &with("a", ""), &[]).await;
    spools_at(450, &with("b", ""), &[]).await;
    // The environment wins.
    spools_at(150, &with("c", ""), &[("PRICES_BUFFER_HIGH", "100")]).await;
    // The mark follows the rate of 75 records a second: as many as come in a second, but not below a quarter of 400.
    spools_at(150, &with("d", ", adapt: 1s"), &[]).await;
}
