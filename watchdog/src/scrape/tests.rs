//! A scraper against real sockets that hang, lie and break off.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::http_client;

/// What a fake target does with a connection.
#[derive(Clone, Copy)]
enum Manner {
    Answers(&'static str),
    Hangs,
    BreaksOff,
}

async fn target(manner: Manner) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0_u8; 4096];
                let _ = socket.read(&mut request).await;
                match manner {
                    Manner::Answers(text) => drop(socket.write_all(text.as_bytes()).await),
                    Manner::BreaksOff => {
                        drop(socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\na 1\n").await);
                    }
                    Manner::Hangs => tokio::time::sleep(Duration::from_mins(1)).await,
                }
            });
        }
    });
    Target {
        job: "t".into(),
        instance: address.to_string(),
        url: format!("http://{address}/metrics"),
        labels: Labels::from_pairs([("job", "t")]),
        interval: Duration::from_secs(5),
        timeout: Duration::from_millis(300),
        honor_labels: false,
        honor_timestamps: true,
        body_size_limit: 64,
        sample_limit: 0,
        stale_after_failures: 2,
    }
}

fn client() -> reqwest::Client {
    http_client::client(&http_client::tls().unwrap()).unwrap()
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: 8\r\nconnection: close\r\n\r\na 1\nb 2\n";

#[tokio::test]
async fn each_way_to_fail_has_its_name() {
    let long = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n# a comment that is longer than the limit of this test allows, by far\n";
    for (manner, expected) in [
        (Manner::Answers(GOOD), "ok"),
        (Manner::Hangs, "timeout"),
        (Manner::BreaksOff, "connection"),
        (Manner::Answers("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), "status"),
        (Manner::Answers("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"), "not_exposition"),
        (Manner::Answers(long), "body_too_large"),
    ] {
        let scraped = scrape(&client(), &target(manner).await).await;
        assert_eq!(scraped.result.as_ref().err().map_or("ok", ScrapeError::as_str), expected, "{scraped:?}");
        assert!(scraped.took < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn up_tells_at_once_and_the_page_ends_after_the_tolerated_failures() {
    let mut scraper = Scraper { target: target(Manner::Hangs).await, source: Source::default(), failures: 0 };
    let page = vec![(Labels::from_pairs([(promql::labels::METRIC_NAME, "a"), ("job", "t")]), 1.0, None)];
    let good = Scraped { result: Ok(page), took: Duration::ZERO };
    let bad = || Scraped { result: Err(ScrapeError::Status(500)), took: Duration::ZERO };
    let read = |(observation, _): (Observation, TargetView)| -> (BTreeMap<String, f64>, usize) {
        (observation.samples.iter().map(|(labels, value)| (labels.metric_name().to_owned(), *value)).collect(), observation.stale.len())
    };
    let (first, _) = read(scraper.observe(1_000, good));
    assert_eq!((first["a"], first["up"], first["scrape_samples_scraped"]), (1.0, 1.0, 1.0));
    let (tolerated, ended) = read(scraper.observe(2_000, bad()));
    assert!(!tolerated.contains_key("a") && tolerated["up"] < 0.5 && ended == 0);
    assert_eq!(read(scraper.observe(3_000, bad())).1, 1);
}
