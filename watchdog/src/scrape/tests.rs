//! A scraper against real sockets that hang, lie, redirect and break off.

use std::io::Write as _;
use std::sync::Mutex;

use flate2::write::GzEncoder;
use router::config::{Auth, HttpConfig, Secret, SecretSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Job;
use crate::config::job::Limits;
use crate::http_client::{Clients, Settings};
use promql::labels::Labels;

/// A fake target and the requests it got.
struct Fake {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// Answers each request by its path; nothing: it hangs.
async fn fake(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fake = Fake { address: listener.local_addr().unwrap().to_string(), requests: Arc::default() };
    let (requests, answer) = (fake.requests.clone(), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (requests, answer) = (requests.clone(), answer.clone());
            tokio::spawn(async move {
                let mut request = vec![0_u8; 8192];
                let count = socket.read(&mut request).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..count]).to_ascii_lowercase();
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                requests.lock().unwrap().push(text);
                match answer(&path) {
                    Some(bytes) => drop(socket.write_all(&bytes).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    fake
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn page(body: &str) -> Vec<u8> {
    answer("200 OK", "content-type: text/plain; version=0.0.4\r\n", body.as_bytes())
}

fn job() -> Job {
    Job { timeout: Duration::from_mins(1), limits: Limits { body_size: 64, ..Limits::default() }, ..Job::default() }
}

fn target(address: &str, job: Job) -> Arc<Target> {
    let labels = Labels::from_pairs([("job", "t"), ("instance", address)]);
    let (interval, timeout) = (job.interval, job.timeout);
    Arc::new(Target {
        job: Arc::new(job),
        labels,
        discovered: Labels::default(),
        url: format!("http://{address}/metrics"),
        interval,
        timeout,
        over_limit: None,
    })
}

fn client(job: &Job) -> Result<Client, String> {
    Clients::default().get(&Settings::new(&job.http, &job.base, job.compression))
}

/// One scrape; the word of its outcome and what is said of it.
async fn outcome(address: &str, job: Job) -> (&'static str, String) {
    let client = client(&job);
    let mut scraper = Scraper::new(target(address, job), 1);
    match scraper.scrape(&client).await {
        Ok(()) => ("ok", String::new()),
        Err(error) => (error.as_str(), error.to_string()),
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_name() {
    let long = "# a comment that is longer than the limit of this test allows, by far\n";
    let cut = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\na 1\n".to_vec();
    let plain = "content-type: text/plain\r\n";
    let cases: Vec<(Option<Vec<u8>>, &str, &str)> = vec![
        (Some(page("a 1\nb 2\n")), "ok", ""),
        (None, "timeout", "within 300ms"),
        (Some(cut), "connection", ""),
        (Some(answer("503 Busy", "", b"")), "status", "status 503"),
        (Some(answer("301 Moved", "", b"")), "status", "status 301"),
        (Some(answer("302 Found", "location: /metrics\r\n", b"")), "redirect", "more than 10"),
        (Some(answer("200 OK", plain, long.as_bytes())), "body_too_large", "limit of 64 bytes"),
        (Some(answer("200 OK", plain, b"<html>login</html>")), "not_exposition", "line 1, column 1"),
        (Some(answer("200 OK", "content-type: text/html\r\n", b"a 1\n")), "not_exposition", "text/html"),
        (Some(answer("200 OK", "", b"a 1\n")), "not_exposition", "expected text/plain"),
    ];
    for (reply, want, says) in cases {
        let fake = fake(move |_| reply.clone()).await;
        // Short only where nothing else can happen: a busy machine takes its time.
        let timeout = if want == "timeout" { Duration::from_millis(300) } else { job().timeout };
        let (word, text) = outcome(&fake.address, Job { timeout, ..job() }).await;
        assert_eq!(word, want, "{text}");
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(outcome("127.0.0.1:1", job()).await.0, "connection");
}

#[tokio::test]
async fn a_fallback_protocol_reads_a_page_that_names_no_type() {
    let fake = fake(|_| Some(answer("200 OK", "", b"a 1\n"))).await;
    let fallback = Some(promql::exposition::Format::Text);
    assert_eq!(outcome(&fake.address, Job { fallback, ..job() }).await.0, "ok");
}

#[tokio::test]
async fn the_limit_on_a_body_counts_what_is_decoded() {
    let zipped = |body: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body.as_bytes()).unwrap();
        answer("200 OK", "content-type: text/plain\r\ncontent-encoding: gzip\r\n", &encoder.finish().unwrap())
    };
    let (small, bomb) = (zipped("a 1\nb 2\n"), zipped(&"a 1\n".repeat(100_000)));
    let good = fake(move |_| Some(small.clone())).await;
    assert_eq!(outcome(&good.address, job()).await.0, "ok");
    assert!(good.requests.lock().unwrap()[0].contains("accept-encoding: gzip"));
    let bad = fake(move |_| Some(bomb.clone())).await;
    assert_eq!(outcome(&bad.address, job()).await.0, "body_too_large");
    // It answers in gzip all the same, which nobody asked for.
    assert_eq!(outcome(&good.address, Job { compression: false, ..job() }).await.0, "not_exposition");
    assert!(!good.requests.lock().unwrap()[1].contains("accept-encoding"));
}

#[tokio::test]
async fn credentials_and_headers_stay_with_the_targets_own_origin() {
    let stranger = fake(|_| Some(page("a 1\n"))).await;
    let place = stranger.address.clone();
    let own = fake(move |path| match path {
        "/metrics" => Some(answer("302 Found", "location: /moved\r\n", b"")),
        _ => Some(answer("307 Temporary Redirect", &format!("location: http://{place}/elsewhere\r\n"), b"")),
    })
    .await;
    let secret = |text: &str| SecretSource::Inline(Secret::new(text));
    let http = HttpConfig {
        auth: Auth::Header { kind: "Bearer".into(), credentials: secret("t0ken") },
        headers: [("X-Tenant".to_owned(), vec![secret("ours")])].into(),
        ..HttpConfig::default()
    };
    assert_eq!(outcome(&own.address, Job { http: http.clone(), ..job() }).await.0, "ok");
    for request in own.requests.lock().unwrap().iter() {
        assert!(request.contains("authorization: bearer t0ken") && request.contains("x-tenant: ours"), "{request}");
    }
    let strangers = stranger.requests.lock().unwrap().clone();
    assert!(strangers[0].starts_with("get /elsewhere"), "{strangers:?}");
    assert!(!strangers[0].contains("authorization") && !strangers[0].contains("x-tenant"), "{strangers:?}");
    let not_followed = HttpConfig { follow_redirects: false, ..http };
    assert_eq!(outcome(&own.address, Job { http: not_followed, ..job() }).await.0, "status");
}

#[tokio::test]
async fn secrets_are_read_from_files_at_each_scrape() {
    let fake = fake(|_| Some(page("a 1\n"))).await;
    let dir = tempfile::tempdir().unwrap();
    let auth = Auth::Basic { username: SecretSource::Inline(Secret::new("me")), password: Some(SecretSource::File("password".into())) };
    let job = Job { http: HttpConfig { auth, ..HttpConfig::default() }, base: dir.path().to_path_buf(), ..job() };
    let (word, text) = outcome(&fake.address, job.clone()).await;
    assert_eq!(word, "setup");
    assert!(text.contains("password"), "{text}");
    std::fs::write(dir.path().join("password"), "pw\n").unwrap();
    assert_eq!(outcome(&fake.address, job).await.0, "ok");
    // RFC 7617 of "me:pw", in lower case as the fake keeps it.
    assert!(fake.requests.lock().unwrap()[0].contains("authorization: basic bwu6chc="));
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url() {
    let proxy = fake(|_| Some(page("a 1\n"))).await;
    let http = HttpConfig { proxy_url: Some(format!("http://{}", proxy.address)), ..HttpConfig::default() };
    assert_eq!(outcome("target.invalid:9", Job { http: http.clone(), ..job() }).await.0, "ok");
    assert!(proxy.requests.lock().unwrap()[0].starts_with("get http://target.invalid:9/metrics"));
    let http = HttpConfig { no_proxy: "127.0.0.1".into(), ..http };
    assert_eq!(outcome("127.0.0.1:1", Job { http, ..job() }).await.0, "connection");
}

#[tokio::test]
async fn up_tells_at_once_and_the_page_ends_after_the_tolerated_failures() {
    let mut scraper = Scraper::new(target("h:1", Job { stale_after_failures: 2, ..job() }), 1);
    let bad = Err(ScrapeError::Status(500));
    let observe = |scraper: &mut Scraper, result: &Result<(), ScrapeError>| {
        let page = scraper.observe(1_000, result, Duration::ZERO).page.unwrap();
        (page.samples.iter().find(|(number, _)| *number == 0).unwrap().1, page.samples.len(), page.stale.len())
    };
    scraper.reader.read(b"a 1\n", promql::exposition::Format::Text).unwrap();
    assert_eq!(observe(&mut scraper, &Ok(())), (1.0, 6, 0));
    assert_eq!(observe(&mut scraper, &bad), (0.0, 5, 0));
    assert_eq!(observe(&mut scraper, &bad), (0.0, 5, 1));
    assert_eq!(observe(&mut scraper, &bad), (0.0, 5, 0));
}

#[tokio::test]
async fn a_job_over_its_target_limit_scrapes_none() {
    let fake = fake(|_| Some(page("a 1\n"))).await;
    let over = Target { over_limit: Some((3, 2)), ..(*target(&fake.address, job())).clone() };
    let mut scraper = Scraper::new(Arc::new(over), 1);
    assert_eq!(scraper.scrape(&client(&job())).await.unwrap_err().to_string(), "the job has 3 targets, over the target_limit of 2");
    assert!(fake.requests.lock().unwrap().is_empty());
}

#[test]
fn a_scrape_a_moment_late_is_stamped_as_due() {
    assert_eq!((stamp_ms(1_002, 1_000), stamp_ms(1_003, 1_000), stamp_ms(999, 1_000)), (1_000, 1_003, 999));
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_expires() {
    for (answered, asked) in [(r#"{"access_token": "t1", "expires_in": 3600}"#, 1), (r#"{"access_token": "t1", "expires_in": 5}"#, 2)] {
        let fake = fake(move |path| Some(if path == "/token" { answer("200 OK", "", answered.as_bytes()) } else { page("a 1\n") })).await;
        let auth = Auth::OAuth2(Box::new(router::config::OAuth2 {
            client_id: "me".into(),
            client_secret: Some(SecretSource::Inline(Secret::new("s"))),
            scopes: vec!["read".into(), "more".into()],
            token_url: format!("http://{}/token", fake.address),
            endpoint_params: std::collections::BTreeMap::from([("audience".into(), "all of it".into())]),
        }));
        let job = Job { http: HttpConfig { auth, ..HttpConfig::default() }, ..job() };
        let client = client(&job);
        let target = target(&fake.address, job);
        for _ in 0..2 {
            Scraper::new(target.clone(), 1).scrape(&client).await.unwrap();
        }
        let requests = fake.requests.lock().unwrap();
        let tokens: Vec<_> = requests.iter().filter(|request| request.starts_with("post /token")).collect();
        assert_eq!(tokens.len(), asked, "{requests:?}");
        assert!(tokens[0].contains("authorization: basic bwu6cw==") && tokens[0].contains("grant_type=client_credentials"), "{}", tokens[0]);
        assert!(tokens[0].contains("audience=all+of+it") && tokens[0].contains("scope=read+more"), "{}", tokens[0]);
        let scrapes: Vec<_> = requests.iter().filter(|request| request.starts_with("get /metrics")).collect();
        assert!(scrapes.len() == 2 && scrapes.iter().all(|scrape| scrape.contains("authorization: bearer t1")), "{scrapes:?}");
    }
}
