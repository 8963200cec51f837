//! Alerts handed over to real Alertmanagers: two that live, one of them behind a prefix and a password, and one that is dead.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use venue_sim::port::Port;

use crate::stage::{Stage, Target, get_with};

const CONFIG: &str = "
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms, external_labels: {replica: a, host: md-1}}
data_dir: data
rule_files: [rules/*.yml]
scrape_configs:
  - {job_name: app, static_configs: [{targets: [TARGET]}]}
alerting:
  alert_relabel_configs:
    - {regex: replica, action: labeldrop}
    - {source_labels: [alertname], regex: Quiet, action: drop}
  alertmanagers:
    - static_configs: [{targets: [GUARDED, DEAD]}]
      path_prefix: /am/
      basic_auth: {username: watchdog, password_file: password}
      timeout: 2s
    - static_configs: [{targets: [OPEN]}]
web: {listen: 'WEB'}
";

const RULES: &str = "
groups:
  - name: app
    rules:
      - alert: Sick
        expr: sick > 0
        labels: {severity: page}
        annotations: {summary: 'sick: {{ $value }}'}
      - {alert: Quiet, expr: sick > 0}
";

/// `secret`, hashed for Alertmanager's web configuration.
const PASSWORDS: &str = "basic_auth_users: {watchdog: $2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a}\n";
/// `watchdog:secret` in base64.
const LOGIN: &str = "authorization: Basic d2F0Y2hkb2c6c2VjcmV0\r\n";

const TEMPLATES: &str = "/usr/share/prometheus/alertmanager";

struct Alertmanager {
    child: Child,
    address: String,
    prefix: &'static str,
    _reserved: Port,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    /// In the stage's directory; `None` when tools are to be skipped.
    fn start(stage: &Stage, name: &str, prefix: &'static str) -> Option<Self> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/alertmanager");
        if !tool.exists() {
            assert!(std::env::var_os("SKIP_TOOLS").is_some(), "no alertmanager in target/tools/bin: run `make tools`, or set SKIP_TOOLS=1");
            println!("not run: handing over to a real Alertmanager (SKIP_TOOLS)");
            return None;
        }
        let reserved = Port::reserve().unwrap();
        let address = reserved.address().to_string();
        let tool = tool.canonicalize().unwrap();
        // Debian's build reads its default templates from a fixed place; where they are not installed it is given empty ones in a mount of its own.
        let mut command = if Path::new(TEMPLATES).exists() {
            Command::new(tool)
        } else {
            let mut command = Command::new("unshare");
            let place = format!("mount -t tmpfs tmpfs /usr/share && mkdir -p {TEMPLATES} && touch {TEMPLATES}/default.tmpl {TEMPLATES}/email.tmpl");
            command.args(["-Urm", "sh", "-c", &format!("{place} && exec \"$0\" \"$@\"")]).arg(tool);
            command
        };
        command.current_dir(stage.path("")).args(["--config.file=alertmanager.yml", "--cluster.listen-address="]);
        command.arg(format!("--storage.path={name}")).arg(format!("--web.listen-address={address}"));
        if !prefix.is_empty() {
            command.arg(format!("--web.route-prefix={prefix}")).arg("--web.config.file=web.yml");
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Self { child, address, prefix, _reserved: reserved };
        stage.until("Alertmanager answers", |_| {
            get_with(&started.address, &format!("{prefix}/-/ready"), LOGIN).is_some_and(|(status, _)| status == 200)
        });
        Some(started)
    }

    /// Alerts that are active there.
    fn alerts(&self) -> Vec<Value> {
        let body = get_with(&self.address, &format!("{}/api/v2/alerts?active=true", self.prefix), LOGIN).map(|(_, body)| body).unwrap_or_default();
        let list: Value = serde_json::from_str(body.trim()).unwrap_or_default();
        list.as_array().cloned().unwrap_or_default()
    }
}

#[test]
fn two_alertmanagers_hear_of_an_alert_and_of_its_end_and_a_dead_one_harms_nobody() {
    let target = Target::start();
    let mut stage = Stage::new("", &[]);
    stage.write("alertmanager.yml", "route: {receiver: nobody, group_wait: 1h}\nreceivers: [{name: nobody}]\n", &[]);
    stage.write("web.yml", PASSWORDS, &[]);
    stage.write("password", "secret\n", &[]);
    let Some(guarded) = Alertmanager::start(&stage, "guarded", "/am") else { return };
    let Some(open) = Alertmanager::start(&stage, "open", "") else { return };
    let nobody = Port::reserve().unwrap();
    let dead = nobody.address().to_string();
    let places = [("TARGET", target.address.as_str()), ("GUARDED", &guarded.address), ("OPEN", &open.address), ("DEAD", &dead)];
    stage.write("watchdog.yml", CONFIG, &places);
    stage.write("rules/app.yml", RULES, &[]);
    stage.start_and_wait();
    target.say("sick 3\n");
    for alertmanager in [&guarded, &open] {
        stage.until("the alert is there", |_| !alertmanager.alerts().is_empty());
        let alerts = alertmanager.alerts();
        assert_eq!(alerts.len(), 1, "the other is dropped by relabelling: {alerts:?}");
        let labels = serde_json::json!({"alertname": "Sick", "severity": "page", "job": "app", "instance": target.address, "host": "md-1"});
        assert_eq!((&alerts[0]["labels"], &alerts[0]["annotations"]["summary"]), (&labels, &"sick: 3".into()));
        assert_eq!(alerts[0]["status"]["state"], "active");
        assert!(alerts[0]["generatorURL"].as_str().is_some_and(|url| url.contains("/graph?g0.expr=sick+%3E+0")), "{}", alerts[0]);
    }
    let forwarded = |address: &str, prefix: &str, outcome: &str| {
        stage.metric(&format!("watchdog_alerts_forwarded_total{{alertmanager=\"http://{address}{prefix}/api/v2/alerts\",outcome=\"{outcome}\"}}"))
    };
    stage.until("the dead one is counted", |_| forwarded(&dead, "/am", "failed") > Some(0.0));
    assert!(forwarded(&guarded.address, "/am", "ok") > Some(0.0) && forwarded(&guarded.address, "/am", "failed").is_none());
    assert!(forwarded(&open.address, "", "ok") > Some(0.0) && forwarded(&open.address, "", "failed").is_none());
    target.say("sick 0\n");
    for alertmanager in [&guarded, &open] {
        stage.until("the alert is over there", |_| alertmanager.alerts().is_empty());
    }
}
