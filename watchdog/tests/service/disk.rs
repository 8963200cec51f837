//! The disk of the series: the program is killed while it writes, and the disk fills up.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::stage::{Stage, Target, get};

const CONFIG: &str = "
global: {scrape_interval: 100ms, scrape_timeout: 100ms, evaluation_interval: 100ms}
data_dir: data
rule_files: [rules/*.yml]
scrape_configs:
  - {job_name: app, static_configs: [{targets: [TARGET]}]}
web: {listen: 'WEB'}
";

const RULES: &str = "
groups:
  - name: app
    rules:
      - {alert: Sick, expr: sick > 0}
      - {alert: StorageFailing, expr: watchdog_storage_ok == 0}
";

fn stage() -> (Stage, Target) {
    let target = Target::start();
    let stage = Stage::new(CONFIG, &[("TARGET", &target.address)]);
    stage.write("rules/app.yml", RULES, &[]);
    (stage, target)
}

/// Times of the samples of `sick`.
fn times(stage: &Stage) -> Vec<f64> {
    let body = get(&stage.web, "/api/v1/query?query=sick%5B1d%5D").map(|(_, body)| body).unwrap_or_default();
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let values = body["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    values.iter().map(|sample| sample[0].as_f64().unwrap_or_default()).collect()
}

fn firing(stage: &Stage, name: &str) -> bool {
    let status = stage.status();
    status["rules"].as_array().into_iter().flatten().any(|rule| rule["name"] == name && rule["state"] == "firing")
}

#[test]
fn killed_again_and_again_while_it_writes_it_loses_the_last_seconds_only() {
    let (mut stage, _target) = stage();
    let mut kept = 0;
    for round in 0..12_u64 {
        stage.start_and_wait();
        stage.until("it is scraped", |stage| times(stage).len() > kept);
        // Now just behind a write, now in the middle of one.
        std::thread::sleep(Duration::from_millis(200 + round * 97 % 700));
        if round % 4 == 3 {
            let written = |stage: &Stage| stage.metric("watchdog_storage_writes_total{outcome=\"ok\",what=\"recent\"}");
            stage.until("the newest samples are on disk", |stage| written(stage) >= Some(1.0));
            kept = times(&stage).len() / 2;
        }
        let damaged = stage.metric("watchdog_storage_troubles_total{trouble=\"quarantined\"}");
        assert!(damaged.is_none_or(|files| files < 1.0), "a kill damages nothing but the end of a file\n{}", stage.log());
        stage.kill();
    }
    stage.start_and_wait();
    stage.until("what was on disk is there", |stage| times(stage).len() > kept);
    let times = times(&stage);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice: {times:?}");
}

#[test]
fn a_full_disk_is_announced_and_used_again_when_there_is_room() {
    let (mut stage, target) = stage();
    std::fs::create_dir(stage.path("data")).unwrap();
    // A file system of its own for the program: 1 MB, filled by a file.
    let mount = format!("mount -t tmpfs -o size=1m tmpfs {}", stage.path("data").display());
    let possible = Command::new("unshare").args(["-m", "sh", "-c", &mount]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !possible {
        println!("not run: a full disk (this user may mount nothing)");
        return;
    }
    stage.start_under(&["unshare", "-m", "sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
    stage.until("the page answers", |stage| get(&stage.web, "/-/ready").is_some_and(|(status, _)| status == 200));
    // Inside the program's own mount.
    let inside = Path::new("/proc").join(stage.pid().to_string()).join("root").join(stage.path("data").strip_prefix("/").unwrap());
    stage.until("it writes", |stage| stage.metric("watchdog_storage_ok") == Some(1.0));
    let _full = std::fs::write(inside.join("ballast"), vec![1_u8; 1 << 20]);
    stage.until("it is announced as a metric", |stage| stage.metric("watchdog_storage_ok") == Some(0.0));
    stage.until("and on the page", |stage| stage.status()["storage"]["ok"] == false);
    stage.until("and as an alert", |stage| firing(stage, "StorageFailing"));
    target.say("sick 1\n");
    stage.until("alerting goes on", |stage| firing(stage, "Sick"));
    std::fs::remove_file(inside.join("ballast")).unwrap();
    stage.until("it recovers", |stage| stage.metric("watchdog_storage_ok") == Some(1.0) && !firing(stage, "StorageFailing"));
    assert_eq!(stage.end(), Some(0));
}
