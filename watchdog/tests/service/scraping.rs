//! Scraping beside a real Prometheus: both run on the same plain prometheus.yml and scrape the same targets, which lose series, fall sick, come back and move.
//!
//! One known difference is left out: when a page that was good goes over `sample_limit`, Prometheus 3.5 lets series that stand on it before the limit live on
//! until the look-back ends them; here they end with the failed scrape, as its manual says of every failure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::queries::Prometheus;
use crate::stage::{PATIENCE, Stage, Target, get};

const CONFIG: &str = r#"
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
scrape_configs:
  - job_name: plain
    static_configs: [{targets: [FIRST], labels: {env: prod}}, {targets: [FIRST], labels: {env: prod}}]
  - job_name: limited
    sample_limit: 1
    static_configs: [{targets: [FIRST]}]
  - job_name: relabelled
    params: {module: [m1, m2]}
    honor_labels: true
    static_configs: [{targets: [SECOND, "gone:1", "a b:2"], labels: {team: Core, __tmp: x}}]
    relabel_configs:
      - {source_labels: [__address__], regex: "gone.*", action: drop}
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: SECOND}
      - {source_labels: [team], target_label: team, action: lowercase}
      - {source_labels: [instance, team], separator: "-", target_label: shard, modulus: 7, action: hashmod}
      - {source_labels: [__scheme__, __scrape_interval__], target_label: how}
      - {regex: __tmp, action: labeldrop}
    metric_relabel_configs:
      - {source_labels: [__name__], regex: b, action: drop}
      - {source_labels: [x], regex: "(.+)", target_label: y, replacement: "v$1"}
  - job_name: listed
    file_sd_configs: [{files: ["sd/*.json"]}]
    relabel_configs: [{action: labelmap, regex: "__meta_(zone)"}]
  - job_name: crowded
    target_limit: 1
    static_configs: [{targets: [FIRST, SECOND]}]
"#;

/// What is compared: everything scraped, and what scrapes tell of themselves but for times.
const SERIES: &str =
    r#"{__name__=~"step|a|b|c|up|scrape_samples_scraped|scrape_samples_post_metric_relabeling",job=~"plain|limited|relabelled|listed|crowded"}"#;

/// Series with their values, as an instant query gives them now.
fn series(address: &str) -> BTreeSet<String> {
    let found = data(address, &format!("/api/v1/query?query={}", gotemplate::escape::url_query(SERIES)));
    let lines = found["result"].as_array().into_iter().flatten();
    lines.map(|line| format!("{} {}", line["metric"], line["value"][1])).collect()
}

/// Paths are told as they are known to each: from the stage's directory on.
fn targets(stage: &Stage, address: &str) -> BTreeSet<String> {
    let dir = stage.path("").display().to_string();
    let found = data(address, "/api/v1/targets");
    let all = ["activeTargets", "droppedTargets"].into_iter().flat_map(|kind| found[kind].as_array().cloned().unwrap_or_default());
    let told = ["discoveredLabels", "labels", "scrapePool", "scrapeUrl", "health", "scrapeInterval", "scrapeTimeout"];
    all.map(|target| {
        // A dropped target of an older Prometheus does not tell its pool.
        let told = told.iter().filter(|key| **key != "scrapePool" || target["labels"].is_object());
        told.map(|key| format!("{key}={}", target[key]).replace(&dir, "")).collect::<Vec<_>>().join(" ")
    })
    .collect()
}

fn data(address: &str, path: &str) -> Value {
    let body = get(address, path).map(|(_, body)| body).unwrap_or_default();
    // Go's server sends longer answers in chunks.
    let start = body.find('{').unwrap_or(0);
    let text: String = body[start..].lines().filter(|line| line.is_empty() || usize::from_str_radix(line.trim(), 16).is_err()).collect();
    serde_json::from_str::<Value>(&text).unwrap_or_default()["data"].take()
}

/// Waits until both say the same, and `marker` is part of it; shows what differs otherwise.
#[track_caller]
fn same(stage: &Stage, theirs: &str, marker: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (ours, theirs) = (series(&stage.web), series(theirs));
        if ours == theirs && ours.iter().any(|line| line.contains(marker)) {
            return;
        }
        let differ: Vec<_> = ours.symmetric_difference(&theirs).map(|line| (if ours.contains(line) { "ours" } else { "theirs" }, line)).collect();
        assert!(Instant::now() < deadline, "not seen: the same series, {marker} among them: {differ:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_scraped_and_what_ends_is_what_a_real_prometheus_says() {
    let (first, second) = (Target::start(), Target::start());
    let config = CONFIG.replace("FIRST", &format!("\"{}\"", first.address)).replace("SECOND", &format!("\"{}\"", second.address));
    let mut stage = Stage::new(&config, &[]);
    std::fs::create_dir(stage.path("sd")).unwrap();
    let listed = format!(r#"[{{"targets": ["{}", "127.0.0.1:1"], "labels": {{"env": "one", "__meta_zone": "z"}}}}]"#, second.address);
    stage.write("sd/a.json", &listed, &[]);
    stage.write("prometheus.yml", &config, &[]);
    first.say("step 1\na 1\n");
    second.say("step 1\na{x=\"q\",instance=\"own\"} 3\nb 2\n");
    let Some(prometheus) = Prometheus::start(&stage) else { return };
    let listen = stage.web.clone();
    stage.start_with("prometheus.yml", &["--listen", &listen]);
    let theirs = prometheus.address.as_str();
    same(&stage, theirs, r#""step" "#.trim_end());

    first.say("step 2\nc{x=\"1\"} 7\n");
    same(&stage, theirs, r#""job":"plain","x":"1""#);
    first.say("step 3\na 1\nb 2\n");
    second.say("<html>502</html>");
    stage.until("sick", |stage| series(&stage.web).iter().filter(|line| line.contains("\"up\"") && line.ends_with("\"0\"")).count() >= 7);
    same(&stage, theirs, r#""b""#);
    second.say("step 4\na{x=\"q\",instance=\"own\"} 4\na{x=\"r\"} 5\n");
    same(&stage, theirs, r#""y":"vr""#);
    let ours = targets(&stage, &stage.web);
    stage.until("the same targets", |stage| targets(stage, &stage.web) == targets(stage, theirs));
    assert!(ours.iter().any(|target| target.contains("module=m1&module=m2&target=a+b%3A2")), "{ours:?}");

    stage.write("sd/a.json", &listed.replace("one", "two").replace(", \"127.0.0.1:1\"", ""), &[]);
    same(&stage, theirs, r#""env":"two""#);
    stage.until("the same targets", |stage| targets(stage, &stage.web) == targets(stage, theirs));
    assert_eq!(stage.end(), Some(0));
}
