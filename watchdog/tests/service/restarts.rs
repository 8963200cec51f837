//! Children and foreign processes, restarted.

use std::process::Command;

use crate::robot::{Cast, messages, stage};
use crate::stage::{post, send_signal, watchdog};

#[test]
fn an_alert_restarts_the_child_and_the_outcome_goes_to_the_same_people() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let first = stage.child();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    target.say("sick{number=\"1\"} 1\n");
    stage.until("another child", |stage| stage.children().len() == 1 && stage.children() != [first]);
    target.say("sick 0\n");
    stage.until("the restart is verified", |stage| stage.told().get("verified") == Some(&2));
    stage.until("people hear of the alert and of the restart", |_| {
        let messages = messages(&target);
        messages.contains(&("Sick".into(), "firing".into())) && messages.contains(&("RestartSucceeded".into(), "firing".into()))
    });
    stage.until("people hear that it is over", |_| messages(&target).contains(&("Sick".into(), "resolved".into())));
    assert_eq!(stage.saved("app").ledger.last_attempt, 1, "the first start is not counted");
    assert!(stage.path("data/evidence/app-000001.txt").exists());
    let shown = stage.status();
    assert_eq!(shown["restarts"][0]["state"], "succeeded");
    assert_eq!(shown["restarts"][0]["cause"], "Sick");
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_after_its_grace() {
    let (mut stage, _target) = stage(&Cast::DEAF);
    stage.start_and_wait();
    let first = stage.child();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    assert_eq!(post(&stage.web, "/restart/app", "").unwrap().0, 200);
    stage.until("another child", |stage| stage.children().len() == 1 && stage.children() != [first]);
    let log = stage.log();
    let (term, kill) = (log.find("signal=\"SIGTERM\" result=Ok"), log.find("signal=\"SIGKILL\" result=Ok"));
    assert!(term.is_some() && kill.is_some() && term < kill, "{log}");
    stage.until("verified", |stage| stage.told().get("verified") == Some(&2));
}

#[test]
fn a_child_that_ends_by_itself_is_started_again_and_its_status_is_logged() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let first = stage.child();
    send_signal(first, "KILL");
    stage.until("another child", |stage| stage.children().len() == 1 && stage.children() != [first]);
    stage.until("its status", |stage| stage.log().contains("signal: 9 (SIGKILL)"));
    stage.until("verified", |stage| stage.saved("app").intent.is_none() && stage.saved("app").ledger.last_attempt == 1);
}

#[test]
fn the_death_and_the_end_of_the_watchdog_leave_the_child_alone() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let child = stage.child();
    stage.until("verified", |stage| stage.saved("app").intent.is_none() && stage.saved("app").process.is_some());
    stage.kill();
    assert_eq!(stage.children(), [child]);
    stage.start_and_wait();
    stage.until("adopted", |stage| stage.log().contains("adopted"));
    assert_eq!(stage.end(), Some(0));
    assert_eq!(stage.children(), [child]);
    stage.start_and_wait();
    stage.until("seen again", |stage| stage.status()["processes"][0]["pid"] == child);
    assert_eq!(stage.children(), [child]);
    assert_eq!(stage.saved("app").ledger.last_attempt, 0, "the first start alone");
}

#[test]
fn a_probe_that_keeps_failing_fails_the_restart_and_people_hear_of_it() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    target.healthy.store(false, std::sync::atomic::Ordering::SeqCst);
    post(&stage.web, "/restart/app", "").unwrap();
    stage.until("failed", |stage| stage.log().contains("stage=\"failed\" reason=\"probe_failed\""));
    target.healthy.store(true, std::sync::atomic::Ordering::SeqCst);
    stage.until("people hear of the failure, and then of the success", |_| {
        let messages = messages(&target);
        messages.contains(&("RestartFailed".into(), "firing".into())) && messages.contains(&("RestartSucceeded".into(), "firing".into()))
    });
}

#[test]
fn with_method_signal_the_supervisor_starts_it_and_the_new_one_is_verified() {
    let cast = Cast { method: "signal", command: "", grace: "5s" };
    let (mut stage, target) = stage(&cast);
    let script = "while :; do sleep \"$0\"; done";
    let mut supervisor = Command::new("sh").args(["-c", script, &stage.mark]).spawn().unwrap();
    let sleeper = |stage: &crate::stage::Stage| stage.children().into_iter().find(|pid| *pid != supervisor.id());
    stage.until("the supervised process", |stage| sleeper(stage).is_some());
    let first = sleeper(&stage).unwrap();
    stage.write(
        "watchdog.yml",
        &crate::robot::CONFIG.replace("COMMAND", "").replace("{argv: ['MARK']}", "{exe: sleep, argv: ['MARK']}"),
        &[("TARGET", target.address.as_str()), ("METHOD", "signal"), ("GRACE", "5s")],
    );
    stage.start_and_wait();
    stage.until("it is seen", |stage| stage.status()["processes"][0]["pid"] == first);
    post(&stage.web, "/restart/app", "").unwrap();
    stage.until("verified", |stage| stage.told().get("verified") == Some(&1));
    let second = sleeper(&stage).unwrap();
    assert_ne!(first, second);
    assert_eq!(supervisor.try_wait().unwrap(), None, "the supervisor was not touched");
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    send_signal(second, "KILL");
}

#[test]
fn a_hold_survives_the_watchdog_and_a_release_restarts_again() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let child = stage.child();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    let command = |stage: &crate::stage::Stage, verb: &str, name: &str| {
        let config = stage.path("watchdog.yml");
        let output = watchdog(&[verb, name, "--config", config.to_str().unwrap()]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    assert_eq!(command(&stage, "hold", "nobody"), (Some(1), "watchdog: there is no restart named nobody\n".to_owned()));
    assert_eq!(command(&stage, "hold", "app"), (Some(0), "restarts of app are held until released\n".to_owned()));
    stage.kill();
    stage.start_and_wait();
    stage
        .until("it is still held", |stage| stage.status()["held"][0] == "app" && stage.metric("watchdog_restart_held{restart=\"app\"}") == Some(1.0));
    target.say("sick{number=\"1\"} 1\n");
    stage.until("the wish is refused", |stage| stage.log().contains("stage=\"refused\" reason=\"held\""));
    assert_eq!(stage.children(), [child]);
    target.say("sick 0\n");
    stage.until("it is over", |stage| stage.metric("watchdog_alerts{state=\"firing\"}") == Some(0.0));
    assert_eq!(command(&stage, "release", "app").0, Some(0));
    stage.until("it is shown", |stage| stage.status()["held"] == serde_json::json!([]));
    target.say("sick{number=\"2\"} 1\n");
    stage.until("another child", |stage| stage.children().len() == 1 && stage.children() != [child]);
}

#[test]
fn a_dead_disk_is_told_and_stops_no_restart() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let first = stage.child();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    // The program may be writing there this very moment.
    stage.until("a file is in the way", |stage| {
        let _ = std::fs::remove_dir_all(stage.path("data/restarts"));
        std::fs::write(stage.path("data/restarts"), "a file in the way").is_ok()
    });
    post(&stage.web, "/restart/app", "").unwrap();
    stage.until("another child", |stage| stage.children().len() == 1 && stage.children() != [first]);
    stage.until("verified", |stage| stage.told().get("verified") == Some(&2));
    assert_eq!(stage.metric("watchdog_journal_ok{journal=\"restarts\"}"), Some(0.0));
}

#[test]
fn an_alert_that_ends_while_a_guard_waits_restarts_nothing() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    let config = std::fs::read_to_string(stage.path("watchdog.yml")).unwrap();
    std::fs::write(stage.path("watchdog.yml"), config.replace("min_uptime: 0", "min_uptime: 1h")).unwrap();
    stage.start_and_wait();
    let child = stage.child();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    target.say("sick{number=\"1\"} 1\n");
    stage.until("it waits", |stage| stage.log().contains("stage=\"waiting\" reason=\"min_uptime\""));
    stage.kill();
    stage.start_and_wait();
    assert!(stage.saved("app").waiting.is_some(), "the wish survives");
    target.say("sick 0\n");
    stage.until("it is dropped", |stage| stage.told().get("cancelled") == Some(&1));
    assert_eq!(stage.children(), [child]);
}
