//! The query API beside a real Prometheus: both scrape the same page, which states its own times, and both are asked the same.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::stage::{PATIENCE, Stage, Target};

const CONFIG: &str = "
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
data_dir: data
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: app
    static_configs: [{targets: [TARGET], labels: {side: left}}]
WEB_SECTION
";

const RULES: &str = "
groups:
  - name: first
    interval: 300ms
    limit: 10
    rules:
      - {record: 'app:depth:sum', expr: 'sum(depth) by(venue)', labels: {kind: total}}
      - {record: 'app:depth:max', expr: 'max(depth)'}
  - name: second
    rules:
      - alert: Deep
        expr: depth{venue=\"a\"} > 0
        for: 1h
        keep_firing_for: 90s
        labels: {severity: page}
        annotations: {summary: 'depth is {{ $value }} at {{ $labels.venue }}'}
      - {alert: Never, expr: 'absent(up)'}
";

/// Times on the page are this far apart; eleven pages.
const STEP_MS: i64 = 15_000;
const PAGES: i64 = 11;

pub(crate) struct Prometheus {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// In the stage's directory; `None` when tools are to be skipped.
    pub(crate) fn start(stage: &Stage) -> Option<Self> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/prometheus");
        if !tool.exists() {
            assert!(std::env::var_os("SKIP_TOOLS").is_some(), "no prometheus in target/tools/bin: run `make tools`, or set SKIP_TOOLS=1");
            println!("not run: comparison with a real Prometheus (SKIP_TOOLS)");
            return None;
        }
        let tool = tool.canonicalize().unwrap();
        let mut child = Command::new(tool)
            .current_dir(stage.path(""))
            .args(["--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0", "--storage.tsdb.path=tsdb"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut address, mut line) = (String::new(), String::new());
        while log.read_line(&mut line).unwrap() > 0 && !line.contains("Server is ready") {
            if line.contains("Listening on") {
                line.split("address=").nth(1).unwrap().trim().clone_into(&mut address);
            }
            line.clear();
        }
        assert!(!address.is_empty(), "prometheus did not start");
        // Its log must be read on, or a full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { child, address })
    }
}

/// The page number `at`, its samples of `base_ms + at * STEP_MS`.
fn page(base_ms: i64, at: i64) -> String {
    let t_ms = base_ms + at * STEP_MS;
    let depth = |n: i64| (at * 7 + n * 3) % 11;
    let mut page = format!("page_number {at} {t_ms}\nmessages_total {} {t_ms}\nodd NaN {t_ms}\nlarge 1e25 {t_ms}\nsmall 1.5e-9 {t_ms}\n", at * at);
    for (n, venue) in (0..).zip(["a", "b", "quo\\\"te<&>"]) {
        writeln!(page, "depth{{venue=\"{venue}\"}} {} {t_ms}", depth(n)).unwrap();
    }
    for (le, count) in [("0.1", at), ("1", at * 3), ("+Inf", at * 4)] {
        writeln!(page, "wait_bucket{{le=\"{le}\"}} {count} {t_ms}").unwrap();
    }
    page
}

/// Status and body of a request: a GET, or a POST of `form`.
fn ask(address: &str, path: &str, form: Option<&str>) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = match form {
        None => format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n"),
        Some(form) => format!(
            "POST {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ),
    };
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| json!(format!("{error}: {body}"))))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Expressions asked at one time and over a grid.
const EXPRESSIONS: [&str; 24] = [
    "1+1",
    "time()",
    "\"text\"",
    "vector(1/0)",
    "depth",
    "depth{venue=~\"a|b\"}",
    "-depth",
    "sum by (venue) (depth)",
    "rate(messages_total[1m])",
    "depth[1m]",
    "odd",
    "large + 0",
    "small * 1",
    "depth == bool 3",
    "depth > 100",
    "absent(nothing{x=\"y\"})",
    "histogram_quantile(0.5, wait_bucket)",
    "max_over_time(depth[1m:15s])",
    "depth offset 30s",
    "topk(2, depth)",
    "label_replace(depth, \"to\", \"$1-x\", \"venue\", \"(.*)\")",
    "depth * on(venue) group_left depth",
    "depth * ignoring(venue) depth",
    "sort_desc(depth)",
];

/// Requests that are wrong in some way, or right in a special one.
const REQUESTS: [&str; 24] = [
    "/api/v1/query",
    "/api/v1/query?query=depth&time=yesterday",
    "/api/v1/query?query=depth&timeout=soon",
    "/api/v1/query?query=depth&limit=-1",
    "/api/v1/query?query=sum(depth",
    "/api/v1/query?query=depth&time=END&limit=2",
    "/api/v1/query_range?query=depth",
    "/api/v1/query_range?query=depth&start=1&end=x&step=1",
    "/api/v1/query_range?query=depth&start=100&end=1&step=1",
    "/api/v1/query_range?query=depth&start=1&end=100&step=0",
    "/api/v1/query_range?query=depth&start=1&end=100&step=y",
    "/api/v1/query_range?query=depth&start=1&end=20000&step=1",
    "/api/v1/query_range?query=depth[1m]&start=1&end=100&step=1",
    "/api/v1/query_range?query=depth&start=BASE&end=END&step=30s&limit=1",
    "/api/v1/format_query?query=sum(depth)by(venue)",
    "/api/v1/series",
    "/api/v1/series?match[]=depth&match[]=messages_total&start=BASE&end=END",
    "/api/v1/series?match[]=depth&start=1&end=2",
    "/api/v1/series?match[]=depth[1m]",
    "/api/v1/labels?match[]=depth&match[]=wait_bucket",
    "/api/v1/label/venue/values",
    "/api/v1/label/__name__/values?match[]={venue=%22a%22,job=%22app%22}&limit=1",
    "/api/v1/label/U__le/values?match[]=wait_bucket",
    "/api/v1/nothing",
];

/// What may differ: places and words inside an expression's error, notes with places, and the order of a vector that no function sorts.
fn comparable(path: &str, (status, mut body): (u16, Value)) -> (u16, Value) {
    let inside = |text: &str| text.contains("parse error") || text.contains("match group") || text.contains("is not a series selector");
    let wrong_selector = path.contains("match[]=depth[1m]");
    if body["error"].as_str().is_some_and(inside) || body["errorType"] == "execution" || wrong_selector {
        body["error"] = json!("of the expression");
    }
    if let Some(fields) = body.as_object_mut() {
        fields.remove("infos");
    }
    if let Some(elements) =
        body.pointer_mut("/data/result").and_then(Value::as_array_mut).filter(|_| !path.contains("sort") && !path.contains("topk"))
    {
        elements.sort_by_key(|element| element["metric"].to_string());
    }
    if path.contains("nothing") && !path.contains("query") {
        body = Value::Null;
    }
    (status, body)
}

#[test]
fn it_answers_as_a_real_prometheus_does() {
    let target = Target::start();
    let mut stage = Stage::new(&CONFIG.replace("WEB_SECTION", "web: {listen: 'WEB'}"), &[("TARGET", &target.address)]);
    stage.write("prometheus.yml", &CONFIG.replace("WEB_SECTION", "").replace("data_dir: data\n", ""), &[("TARGET", &target.address)]);
    stage.write("rules/app.yml", RULES, &[]);
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let base_ms = now_ms / 1000 * 1000 - PAGES * STEP_MS;
    target.say(&page(base_ms, 0));
    let Some(prometheus) = Prometheus::start(&stage) else { return };
    stage.start_and_wait();
    for at in 0..PAGES {
        target.say(&page(base_ms, at));
        let seen = |address: &str| ask(address, "/api/v1/query?query=page_number", None).1["data"]["result"][0]["value"][1] == json!(at.to_string());
        let deadline = Instant::now() + PATIENCE;
        while !(seen(&stage.web) && seen(&prometheus.address)) {
            assert!(Instant::now() < deadline, "page {at} was not scraped by both\n{}", stage.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let end_ms = base_ms + (PAGES - 1) * STEP_MS;
    let filled = |path: &str| path.replace("BASE", &(base_ms / 1000).to_string()).replace("END", &(end_ms / 1000).to_string());
    let mut requests: Vec<(String, Option<String>)> = REQUESTS.iter().map(|path| (filled(path), None)).collect();
    for expr in EXPRESSIONS {
        let expr = encoded(expr);
        requests.push((filled(&format!("/api/v1/query?time=END.5&query={expr}")), None));
        requests.push((filled(&format!("/api/v1/query_range?start=BASE&end=END&step=15&query={expr}")), None));
        requests.push(("/api/v1/query_range".to_owned(), Some(filled(&format!("start=BASE.25&end=END&step=20s&query={expr}")))));
    }
    requests.push(("/api/v1/series?match[]=small".to_owned(), Some("match[]=depth&match%5B%5D=odd".to_owned())));
    requests.push(("/api/v1/labels".to_owned(), Some("match[]=depth".to_owned())));
    let mut differing = Vec::new();
    for (path, form) in &requests {
        let both = [&prometheus.address, &stage.web].map(|address| comparable(path, ask(address, path, form.as_deref())));
        if both[0] != both[1] {
            differing.push(format!("{path} {form:?}\n  theirs {:?}\n  ours   {:?}", both[0], both[1]));
        }
    }
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), requests.len(), differing.join("\n"));
    same_rules(&stage, &prometheus.address);
    same_targets(&stage, &prometheus.address);
}

/// Without times, which differ.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["evaluationTime", "lastEvaluation", "activeAt", "lastScrape", "lastScrapeDuration", "file", "globalUrl"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(timeless);
        }
        Value::Array(list) => list.iter_mut().for_each(timeless),
        // Go writes 1.0 as 1, and so do we; a float that JSON reads back is compared as a number.
        Value::Number(number) => *value = json!(number.as_f64()),
        _ => {}
    }
}

fn same_rules(stage: &Stage, theirs: &str) {
    stage.until("the alert waits in both", |stage| {
        [theirs, &stage.web].iter().all(|address| ask(address, "/api/v1/alerts", None).1["data"]["alerts"][0]["state"] == "pending")
    });
    stage.until("every rule was evaluated", |stage| !ask(&stage.web, "/api/v1/rules", None).1.to_string().contains("unknown"));
    let groups = &ask(&stage.web, "/api/v1/rules", None).1["data"]["groups"];
    for timed in groups.as_array().into_iter().flatten().flat_map(|group| group["rules"].as_array().into_iter().flatten().chain([group])) {
        assert!(timed["evaluationTime"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 5.0), "{timed}");
        assert!(timed["lastEvaluation"].as_str().is_some_and(|time| time > "2020"), "{timed}");
    }
    for path in [
        "/api/v1/alerts",
        "/api/v1/rules",
        "/api/v1/rules?type=alert&exclude_alerts=true",
        "/api/v1/rules?type=record",
        "/api/v1/rules?rule_name[]=Deep",
        "/api/v1/rules?rule_group[]=first",
        "/api/v1/rules?type=both",
    ] {
        let shown = |address: &str| {
            let (status, mut body) = ask(address, path, None);
            timeless(&mut body);
            if let Some(fields) = body.as_object_mut() {
                // Ours warn of short history.
                fields.remove("warnings");
            }
            (status, body)
        };
        // Our grids differ, so the last value of the page may come later in one of them.
        let deadline = Instant::now() + PATIENCE / 4;
        while shown(theirs) != shown(&stage.web) {
            assert!(Instant::now() < deadline, "{path}\n  theirs {:?}\n  ours   {:?}", shown(theirs), shown(&stage.web));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn same_targets(stage: &Stage, theirs: &str) {
    for path in ["/api/v1/targets?state=active", "/api/v1/scrape_pools", "/api/v1/status/buildinfo", "/api/v1/status/flags", "/api/v1/metadata"] {
        let [mut theirs, mut ours] = [theirs, &stage.web].map(|address| ask(address, path, None).1);
        if path.contains("targets") || path.contains("pools") {
            timeless(&mut theirs);
            timeless(&mut ours);
            assert_eq!(theirs, ours, "{path}");
        }
        assert_eq!((theirs["status"].clone(), theirs["data"].is_object()), (ours["status"].clone(), ours["data"].is_object()), "{path}");
    }
    let config = ask(&stage.web, "/api/v1/status/config", None).1;
    assert!(config["data"]["yaml"].as_str().unwrap().contains("job_name: app"), "{config}");
}
