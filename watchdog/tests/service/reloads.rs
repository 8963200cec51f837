//! The configuration changes while the program runs.

use crate::robot::{Cast, RULES, stage};
use crate::stage::send_signal;

fn rules_shown(stage: &crate::stage::Stage) -> Vec<String> {
    let status = stage.status();
    status["rules"].as_array().into_iter().flatten().map(|rule| rule["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_changed_rule_file_comes_into_force_by_itself_and_a_broken_one_changes_nothing() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let child = stage.child();
    stage.until("the rule is shown", |stage| rules_shown(stage) == ["Sick"]);
    stage.write("rules/app.yml", &RULES.replace("Sick", "Unwell"), &[]);
    stage.until("the new rule is shown", |stage| rules_shown(stage) == ["Unwell"]);
    stage.write("rules/app.yml", "groups: [{name: a, rules: [{alert: A, expr: 'up =='}]}]\n", &[]);
    stage.until("the error is shown", |stage| stage.status()["reload"]["error"].as_str().is_some_and(|error| error.contains("app.yml:1:")));
    assert_eq!(rules_shown(&stage), ["Unwell"], "the old rules stay");
    assert_eq!(stage.metric("watchdog_config_last_reload_successful"), Some(0.0));
    stage.write("rules/app.yml", RULES, &[]);
    stage.until("all is well again", |stage| rules_shown(stage) == ["Sick"] && stage.metric("watchdog_config_last_reload_successful") == Some(1.0));
    assert_eq!(stage.children(), [child]);
}

#[test]
fn sighup_reads_everything_again_and_sources_follow() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    stage.child();
    let config = std::fs::read_to_string(stage.path("watchdog.yml")).unwrap();
    stage.until("the probe works", |stage| stage.status()["probes"][0]["ok"] == true);
    std::fs::write(
        stage.path("watchdog.yml"),
        config.replace("job_name: app", "job_name: other").replace("interval: 200ms, timeout: 200ms}", "interval: 300ms, timeout: 200ms}"),
    )
    .unwrap();
    send_signal(stage.pid(), "HUP");
    stage.until("the other job is scraped", |stage| stage.status()["targets"][0]["job"] == "other" && stage.status()["targets"][0]["up"] == true);
    stage.until("the probe works still", |stage| stage.status()["probes"][0]["ok"] == true);
    drop(target);
}
