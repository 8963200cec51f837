//! What the program sees, of others and of itself.

use crate::robot::{Cast, messages, stage};
use crate::stage::{get, watchdog};

const SELF: &str = "\
groups:
  - name: itself
    rules:
      - {alert: SelfSeen, expr: 'watchdog_build_info{job=\"watchdog\"} == 1 and on (job) process_open_fds > 3', labels: {severity: critical}}
      - {alert: ChildSeen, expr: 'proc_up{process=\"app\"} == 1 and on (process) proc_threads >= 1 and on (process) up{job=\"app\"} == 1', labels: {severity: critical}}
      - {alert: ProbeSeen, expr: 'probe_success{probe=\"app-health\"} == 1', labels: {severity: critical}}
";

#[test]
fn everything_it_knows_is_a_series_its_own_state_too() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    stage.write("rules/app.yml", SELF, &[]);
    stage.start_and_wait();
    for alert in ["SelfSeen", "ChildSeen", "ProbeSeen"] {
        stage.until(alert, |_| messages(&target).contains(&(alert.into(), "firing".into())));
    }
}

#[test]
fn the_page_of_metrics_holds_only_documented_names() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    stage.until("deliveries, probes and looks are counted", |stage| {
        stage.metric("watchdog_probes_total{outcome=\"ok\",probe=\"app-health\"}").is_some()
    });
    let (_, page) = get(&stage.web, "/metrics").unwrap();
    let documented = include_str!("../../../docs/metrics-watchdog.md");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        assert!([name, family].iter().any(|name| documented.contains(&format!("| `{name}` |"))), "{name} is not documented");
    }
}

#[test]
fn a_target_that_hangs_costs_nobody_else_anything() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = std::fs::read_to_string(stage.path("watchdog.yml")).unwrap();
    let two = format!("targets: ['{}', '{}']", target.address, hung.local_addr().unwrap());
    std::fs::write(stage.path("watchdog.yml"), config.replace(&format!("targets: ['{}']", target.address), &two)).unwrap();
    stage.start_and_wait();
    let up = |stage: &crate::stage::Stage, at: usize| stage.status()["targets"][at]["up"].as_bool();
    stage.until("one is up and the other down", |stage| {
        [up(stage, 0), up(stage, 1)].contains(&Some(true)) && [up(stage, 0), up(stage, 1)].contains(&Some(false))
    });
    stage.until("both go on being scraped", |stage| {
        stage.metric("watchdog_scrapes_total{job=\"app\",outcome=\"ok\"}") >= Some(5.0)
            && stage.metric("watchdog_scrapes_total{job=\"app\",outcome=\"timeout\"}") >= Some(3.0)
    });
}

#[test]
fn healthcheck_asks_the_running_one() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    let path = stage.path("watchdog.yml");
    let asked = || watchdog(&["healthcheck", "--config", path.to_str().unwrap()]).output().unwrap().status.code();
    assert_eq!(asked(), Some(1));
    stage.start_and_wait();
    assert_eq!(asked(), Some(0));
}
