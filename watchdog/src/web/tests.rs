//! The page and the guard of what changes something, over real sockets.

use promql::labels::Labels;
use rules::{AlertState, AlertView, GroupView, Health, MissingSeries, RuleKind, RuleState, RuleView};

use super::view::{StreamView, TargetView};
use super::*;

struct Nothing;

impl Actions for Nothing {
    fn metrics(&self) -> String {
        "watchdog_up 1\n".to_owned()
    }
    fn ready(&self) -> bool {
        true
    }
    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn dingtalk<'a>(&'a self, target: &'a str, _body: &'a [u8]) -> BoxFuture<'a, Reply> {
        Box::pin(async move { Reply { status: 404, text: format!("no robot {target}") } })
    }
    fn restart<'a>(&'a self, _name: &'a str, _body: &'a [u8]) -> BoxFuture<'a, Reply> {
        Box::pin(async { Reply { status: 200, text: "accepted".to_owned() } })
    }
    fn switch<'a>(&'a self, name: &'a str, to: Switch) -> BoxFuture<'a, Reply> {
        Box::pin(async move { Reply { status: 200, text: format!("{name} {to:?}") } })
    }
}

fn sick_board() -> Board {
    let board = Board::default();
    board.held.store(Arc::new(vec!["collector".into()]));
    board.targets.store(Arc::new(vec![TargetView {
        job: "collector".into(),
        up: Some(false),
        error: "timed out <b>".into(),
        error_zh: "超时".into(),
        ..TargetView::default()
    }]));
    board.streams.store(Arc::new(vec![StreamView { symbol: "BTC-USDT".into(), kind: "trade".into(), ..StreamView::default() }]));
    let missing = MissingSeries { metric: None, selector: "no_such_metric".into(), name_exists: false };
    let firing = AlertView {
        labels: Labels::from_pairs([("alertname", "CollectorHung")]),
        annotations: vec![("summary".into(), "hangs".into())],
        state: AlertState::Firing,
        active_at_ms: 1_699_999_990_000,
        fired_at_ms: Some(1_699_999_990_000),
        resolved_at_ms: None,
        keep_firing_since_ms: None,
        value: 0.0,
    };
    board.groups.store(Arc::new(vec![Arc::new(GroupView {
        file: "r.yml".into(),
        name: "health".into(),
        interval_ms: 1_000,
        limit: 0,
        last_evaluation_ms: None,
        took: Duration::ZERO,
        missed: 0,
        rules: vec![
            RuleView { missing: vec![missing], ..rule("NeverAlarms", AlertState::Inactive) },
            RuleView { alerts: vec![firing], labels: vec![("severity".into(), "critical".into())], ..rule("CollectorHung", AlertState::Firing) },
        ],
    })]));
    board
}

fn rule(name: &str, state: AlertState) -> RuleView {
    RuleView {
        kind: RuleKind::Alerting,
        name: name.into(),
        query: "up == 0".into(),
        labels: Vec::new(),
        annotations: Vec::new(),
        for_ms: 0,
        keep_firing_for_ms: 0,
        health: Health::Ok,
        last_error: None,
        last_evaluation_ms: None,
        took: Duration::ZERO,
        state: RuleState::Known(state),
        value: None,
        alerts: Vec::new(),
        missing: Vec::new(),
        short_history: None,
        line: 1,
    }
}

async fn start(options: WebOptions) -> (String, CancellationToken) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let site = Site {
        board: Arc::new(sick_board()),
        actions: Arc::new(Nothing),
        options,
        now_ms: || 1_700_000_000_000,
        more: Router::new(),
        metrics: Arc::default(),
        longest: Duration::from_secs(30),
    };
    tokio::spawn(serve(listener, site, shutdown.clone()));
    (address, shutdown)
}

async fn fetch(url: String) -> String {
    reqwest::Client::new().get(url).send().await.unwrap().text().await.unwrap()
}

fn options() -> WebOptions {
    WebOptions { lang: Lang::Zh, timezone: TimeZone::UTC, token: Some("secret".into()), trust_loopback: false, links: Vec::new() }
}

#[tokio::test]
async fn the_page_tells_what_is_wrong_in_both_languages() {
    let (address, _shutdown) = start(options()).await;
    let page = |query: &str| fetch(format!("http://{address}/{query}"));
    let (zh, en) = (page("").await, page("?lang=en").await);
    assert!(zh.contains("1 条告警触发，1 个目标不可用，1 个数据流停滞"), "{zh}");
    assert!(en.contains("1 alerts firing, 1 targets down, 1 streams stale"), "{en}");
    assert!(zh.contains("超时") && !zh.contains("timed out"), "{zh}");
    assert!(zh.contains("已暂停重启：collector") && en.contains("Restarts are held: collector"), "{en}");
    assert!(en.contains("cannot alarm: no such metric") && en.contains("no_such_metric"));
    assert!(en.contains("timed out &#60;b&#62;") || en.contains("timed out &lt;b&gt;"), "scraped text is escaped");
    assert!(en.find("CollectorHung").unwrap() < en.find("NeverAlarms").unwrap(), "what fires comes first");
}

#[tokio::test]
async fn changing_something_needs_the_token_and_the_own_site() {
    let (address, _shutdown) = start(options()).await;
    let client = reqwest::Client::new();
    let ask = |token: &str, origin: Option<String>| {
        let request = client.post(format!("http://{address}/restart/collector")).header("authorization", format!("Bearer {token}"));
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    for switch in ["hold", "release"] {
        let url = format!("http://{address}/restart/collector/{switch}");
        assert_eq!(client.post(&url).send().await.unwrap().status(), 401);
        let said = client.post(&url).header("authorization", "Bearer secret").send().await.unwrap().text().await.unwrap();
        assert_eq!(said.to_lowercase(), format!("collector {switch}"));
    }
    for (token, origin, expected) in [
        ("secret", None, 200),
        ("secret", Some(format!("http://{address}")), 200),
        ("secret", Some("http://elsewhere".to_owned()), 403),
        ("wrong!", None, 401),
        ("", None, 401),
    ] {
        let status = ask(token, origin.clone()).send().await.unwrap().status().as_u16();
        assert_eq!(status, expected, "token {token:?}, origin {origin:?}");
    }
}

#[tokio::test]
async fn loopback_may_be_trusted_and_without_token_nobody_else_is() {
    let trusting = WebOptions { token: None, trust_loopback: true, ..options() };
    let (address, _shutdown) = start(trusting).await;
    let client = reqwest::Client::new();
    assert_eq!(client.post(format!("http://{address}/-/reload")).send().await.unwrap().status(), 200);
    assert_eq!(client.post(format!("http://{address}/dingtalk/nobody/send")).send().await.unwrap().status(), 404);
    let (address, _shutdown) = start(WebOptions { token: None, ..options() }).await;
    assert_eq!(client.post(format!("http://{address}/-/reload")).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn many_connections_that_say_nothing_keep_nobody_out() {
    use tokio::io::AsyncWriteExt;
    let (address, _shutdown) = start(options()).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        idle.push(stream);
    }
    assert!(fetch(format!("http://{address}/-/healthy")).await.contains("healthy"));
    let long = "x".repeat(128 << 10);
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    // The server may hang up before all of it is written.
    let _ = stream.write_all(format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}
