//! What keeps the program from starting.

use std::net::TcpListener;

use crate::robot::{Cast, stage};
use crate::stage::{Stage, get, watchdog};

fn run(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let path = stage.path("watchdog.yml");
    let mut all = vec!["run", "--config", path.to_str().unwrap()];
    all.extend(arguments);
    let output = watchdog(&all).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn errors_in_every_file_are_told_at_once_in_the_language_asked_for_and_no_port_is_opened() {
    let (stage, _target) = stage(&Cast::OBEDIENT);
    stage.write("rules/app.yml", "groups: [{name: a, rules: [{alert: A, expr: 'up =='}, {alert: B, expr: 'sum('}]}]\n", &[]);
    stage.write("alertmanager.yml", "route: {receiver: nobody}\nreceivers: [{name: people}]\n", &[]);
    let (code, english) = run(&stage, &["--lang", "en"]);
    assert_eq!(code, Some(78), "{english}");
    assert_eq!(english.matches("app.yml:1:").count(), 2, "{english}");
    assert!(english.contains("alertmanager.yml:1:") && english.contains('^'), "{english}");
    let (code, chinese) = run(&stage, &["--lang", "zh"]);
    assert_eq!(code, Some(78));
    assert!(chinese.contains("错误[") && !chinese.contains("error["), "{chinese}");
    assert_eq!(get(&stage.web, "/-/healthy"), None);
    assert!(stage.children().is_empty() && !stage.path("data").exists());
}

#[test]
fn a_port_that_is_taken_is_told_with_its_holder_and_the_option() {
    let (stage, _target) = stage(&Cast::OBEDIENT);
    let _holder = TcpListener::bind(&stage.web).unwrap();
    let (code, said) = run(&stage, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&std::process::id().to_string()) && said.contains("web.listen"), "{said}");
    assert!(stage.children().is_empty());
}

#[test]
fn a_second_watchdog_on_the_same_data_is_refused() {
    let (mut stage, _target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    let (code, said) = run(&stage, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another watchdog") && said.contains(&stage.pid().to_string()), "{said}");
}

#[test]
fn a_missing_file_is_a_finding() {
    let output = watchdog(&["run", "--config", "no/such/file.yml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("E310"));
}
