//! Series on a real disk: the program is killed, ended, and its files are damaged.

use std::path::PathBuf;

use serde_json::Value;

use crate::stage::{Stage, Target, get};

const CONFIG: &str = "
global: {scrape_interval: 100ms, scrape_timeout: 100ms, evaluation_interval: 100ms}
data_dir: data
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: app
    static_configs: [{targets: [TARGET]}]
web: {listen: 'WEB'}
";

const RULES: &str = "
groups:
  - name: far
    rules:
      - {alert: Sick, expr: 'max_over_time(sick[1h]) > 0', for: 300ms}
";

fn stage() -> (Stage, Target) {
    let target = Target::start();
    let stage = Stage::new(CONFIG, &[("TARGET", &target.address)]);
    stage.write("rules/app.yml", RULES, &[]);
    (stage, target)
}

/// The samples of `sick` up to now, or to a time.
fn samples(stage: &Stage, until: Option<f64>) -> Vec<Value> {
    let until = until.map(|until| format!("&time={until}")).unwrap_or_default();
    let path = format!("/api/v1/query?query=sick%5B1d%5D{until}");
    let body = get(&stage.web, &path).map(|(_, body)| body).unwrap_or_default();
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    body["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default()
}

fn time(sample: Option<&Value>) -> f64 {
    sample.and_then(|sample| sample[0].as_f64()).unwrap_or_default()
}

fn firing(stage: &Stage) -> bool {
    stage.status()["rules"][0]["state"] == "firing"
}

fn flushes(stage: &Stage) -> f64 {
    stage.metric("watchdog_storage_writes_total{outcome=\"ok\",what=\"recent\"}").unwrap_or(0.0)
}

#[test]
fn ranges_are_there_again_after_a_kill_and_after_an_end_and_damage_is_set_aside() {
    let (mut stage, target) = stage();
    stage.start_and_wait();
    target.say("sick 1\n");
    stage.until("the alert fires", firing);
    target.say("sick 0\n");
    stage.until("the newest samples are on disk", |stage| flushes(stage) >= 2.0);
    let before = samples(&stage, None);
    stage.kill();
    stage.start_and_wait();
    stage.until("it is scraped again", |stage| samples(stage, None).len() > before.len() / 2 && firing(stage));
    stage.until("the query is answered", |stage| !samples(stage, Some(time(before.last()))).is_empty());
    let after = samples(&stage, Some(time(before.last())));
    // What came after the last write is missing at the end, and nothing else.
    assert!(before.starts_with(&after), "{after:?} of {before:?}");
    assert!(time(before.last()) - time(after.last()) < 15.0, "{} of {}", after.len(), before.len());
    assert!(stage.status()["rules"][0]["history"].as_str().is_some_and(|history| history.ends_with(" / 1h")), "{}", stage.status()["rules"]);

    let before = samples(&stage, None);
    assert_eq!(stage.end(), Some(0));
    stage.start_and_wait();
    stage.until("it is scraped again", |stage| samples(stage, None).len() > before.len());
    stage.until("an end loses nothing", |stage| samples(stage, Some(time(before.last()))) == before);
    stage.until("the alert fires: its cause lies before both restarts", firing);

    stage.kill();
    let log: PathBuf = std::fs::read_dir(stage.path("data/series/recent"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&log, bytes).unwrap();
    stage.start_and_wait();
    stage.until("it is scraped again", |stage| !samples(stage, None).is_empty());
    assert_eq!(stage.metric("watchdog_storage_troubles_total{trouble=\"quarantined\"}"), Some(1.0));
    assert!(stage.log().contains("were damaged; what is sound is kept"), "{}", stage.log());
    stage.until("the page says so", |stage| stage.status()["storage"]["damaged"] == 1);
    target.say("sick 1\n");
    stage.until("alerting goes on", firing);
}

#[test]
fn a_disk_that_takes_nothing_stops_no_alert() {
    let (mut stage, target) = stage();
    std::fs::create_dir_all(stage.path("data")).unwrap();
    std::fs::write(stage.path("data/series"), "a file where the directory should be").unwrap();
    stage.start_and_wait();
    stage.until("the page says so", |stage| stage.status()["storage"]["ok"] == false);
    target.say("sick 1\n");
    stage.until("the alert fires", firing);
    assert_eq!(stage.metric("watchdog_storage_ok"), Some(0.0));
    std::fs::remove_file(stage.path("data/series")).unwrap();
    stage.until("it is used when it is there", |stage| stage.metric("watchdog_storage_ok") == Some(1.0) && flushes(stage) >= 1.0);
}
