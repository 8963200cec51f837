//! A configuration with everything: a target, a probe, a child, rules, routes, and a webhook that collects the messages.

use crate::stage::{Stage, Target};

pub(crate) const CONFIG: &str = "\
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
lang: en
data_dir: DIR/data
rule_files: [DIR/rules/*.yml]
scrape_configs:
  - {job_name: app, static_configs: [{targets: ['TARGET'], labels: {process: app}}]}
probes:
  - {name: app-health, url: 'http://TARGET/health', interval: 200ms, timeout: 200ms}
processes:
  - {name: app, match: {argv: ['MARK']}}
restarts:
  - name: app
    process: app
    method: METHOD
    COMMAND
    grace: GRACE
    verify: {probe: app-health, within: 5s}
    guard: {min_uptime: 0, cooldown: 0, per_hour: 200, per_day: 200}
alertmanager: {config_file: DIR/alertmanager.yml}
web: {listen: 'WEB', trust_loopback: true}
";

pub(crate) const RULES: &str = "\
groups:
  - name: app
    rules:
      - alert: Sick
        expr: sick > 0
        labels: {severity: critical, incident: '{{ $labels.number }}'}
        annotations: {summary: 'sick since number {{ $labels.number }}'}
";

pub(crate) const ROUTES: &str = "\
route:
  receiver: people
  group_by: [alertname, incident]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - {matchers: ['alertname=\"Sick\"'], receiver: restart, group_wait: 0s, continue: true}
    - {matchers: ['severity=\"critical\"'], receiver: people}
receivers:
  - name: people
    webhook_configs: [{url: 'http://TARGET/people'}]
  - name: restart
    webhook_configs: [{url: 'http://WEB/restart/app', send_resolved: false}]
";

/// What the child is.
pub(crate) struct Cast {
    pub(crate) method: &'static str,
    pub(crate) command: &'static str,
    pub(crate) grace: &'static str,
}

impl Cast {
    /// A child that ends on SIGTERM.
    pub(crate) const OBEDIENT: Self = Self { method: "child", command: "command: [sleep, 'MARK']", grace: "5s" };
    /// A child that ignores it.
    pub(crate) const DEAF: Self =
        Self { method: "child", command: "command: [sh, -c, 'trap \"\" TERM; while :; do sleep 0.1; done', 'MARK']", grace: "500ms" };
}

/// The stage of this cast, not yet started, and the target that the test plays.
pub(crate) fn stage(cast: &Cast) -> (Stage, Target) {
    let target = Target::start();
    let more = [("TARGET", target.address.as_str()), ("METHOD", cast.method), ("GRACE", cast.grace)];
    let stage = Stage::new(&CONFIG.replace("COMMAND", cast.command), &more);
    stage.write("rules/app.yml", RULES, &[]);
    stage.write("alertmanager.yml", ROUTES, &more);
    (stage, target)
}

/// Names of the alerts in messages to people, with their state, in order of arrival.
pub(crate) fn messages(target: &Target) -> Vec<(String, String)> {
    let posted = target.posted.lock().unwrap();
    let bodies = posted.iter().filter(|(path, _)| path == "/people").map(|(_, body)| serde_json::from_str::<serde_json::Value>(body).unwrap());
    let alerts = bodies.flat_map(|body| body["alerts"].as_array().cloned().unwrap_or_default());
    alerts
        .map(|alert| (alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned(), alert["status"].as_str().unwrap_or_default().to_owned()))
        .collect()
}
