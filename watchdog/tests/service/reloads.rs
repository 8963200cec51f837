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

#[test]
fn a_swapped_link_is_a_change_as_with_a_config_map() {
    use std::os::unix::fs::symlink;
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    for (version, name) in [("..1", "Sick"), ("..2", "Unwell")] {
        std::fs::create_dir(stage.path(&format!("rules/{version}"))).unwrap();
        stage.write(&format!("rules/{version}/app.yml"), &RULES.replace("Sick", name), &[]);
    }
    std::fs::remove_file(stage.path("rules/app.yml")).unwrap();
    symlink("..1", stage.path("rules/..data")).unwrap();
    symlink("..data/app.yml", stage.path("rules/app.yml")).unwrap();
    stage.start_and_wait();
    stage.until("the rule is shown", |stage| rules_shown(stage) == ["Sick"]);
    symlink("..2", stage.path("rules/..data_tmp")).unwrap();
    let begun = std::time::Instant::now();
    std::fs::rename(stage.path("rules/..data_tmp"), stage.path("rules/..data")).unwrap();
    stage.until("the new rule is shown", |stage| rules_shown(stage) == ["Unwell"]);
    assert!(begun.elapsed().as_secs() < 30, "noticed at once, not by the comparison once a minute");
}

/// How long the reloads go on; `RELOAD_SECONDS=600` for the whole ten minutes.
fn storm_seconds() -> u64 {
    std::env::var("RELOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn a_reload_every_second_with_changing_and_broken_files_loses_no_for() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    let seconds = storm_seconds();
    let rules = |version: u64| {
        let broken = if version % 3 == 2 { "}" } else { "" };
        format!(
            "groups:\n- name: g{}\n  rules:\n  - {{record: r{version}, expr: sick + {version}}}\n  - {{alert: Slow, expr: 'last_over_time(sick[1m]) > 0', for: {}s, annotations: {{v: '{version}'}}}}\n{broken}",
            version % 2,
            seconds - 5
        )
    };
    // A scrape that fails on a loaded machine ends no condition here: the range bridges it.
    stage.write("rules/app.yml", &rules(0), &[]);
    stage.start_and_wait();
    target.say("sick 1\n");
    let alert = |stage: &crate::stage::Stage| -> serde_json::Value {
        let body = crate::stage::get(&stage.web, "/api/v1/alerts").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default()["data"]["alerts"][0].clone()
    };
    stage.until("the alert waits", |stage| alert(stage)["state"] == "pending");
    let since = alert(&stage)["activeAt"].clone();
    let begun = std::time::Instant::now();
    let (mut version, mut fired) = (0, None);
    // On a loaded machine the alert comes later; a condition that had begun again would take as long as the storm.
    while begun.elapsed().as_secs() < seconds || (fired.is_none() && begun.elapsed().as_secs() < 2 * seconds - 7) {
        version += 1;
        stage.write("rules/app.yml", &rules(version), &[]);
        if version % 2 == 0 {
            send_signal(stage.pid(), "HUP");
        }
        let next = begun + std::time::Duration::from_secs(version);
        while std::time::Instant::now() < next {
            let now = alert(&stage);
            // The page is drawn once a second, and between two reloads a rule may not be on it.
            assert!(now.is_null() || now["activeAt"] == since, "second {version}: {now} instead of {since}\n{}", stage.log());
            if now["state"] == "firing" {
                fired.get_or_insert(begun.elapsed().as_secs());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    assert!(fired.is_some_and(|second| second + 7 >= seconds), "fired at {fired:?} of {seconds}");
    let count = |outcome: &str| stage.metric(&format!("watchdog_config_reloads_total{{outcome=\"{outcome}\"}}")).unwrap_or(0.0);
    assert!(count("ok") >= version as f64 / 4.0 && count("failed") >= version as f64 / 6.0, "{} {}", count("ok"), count("failed"));
}
