//! The watchdog is killed again and again between an alert and the verification of its restart.

use std::time::{Duration, Instant};

use crate::robot::{Cast, messages, stage};
use crate::stage::Stage;

const INCIDENTS: u64 = 10;
const KILLS_EACH: u64 = 5;

/// A fixed sequence of delays, so that a failure can be repeated (as far as the machine allows).
struct Delays(u64);

impl Delays {
    fn next(&mut self, below_ms: u64) -> Duration {
        // Knuth's MMIX generator; the high bits are good enough to spread delays.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % below_ms)
    }
}

/// While the delay passes, the children are looked at: there is never more than one, and a new one appears only by a restart.
fn watch(stage: &Stage, long: Duration, seen: &mut Vec<u32>) {
    let until = Instant::now() + long;
    while Instant::now() < until {
        note(stage, seen);
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn note(stage: &Stage, seen: &mut Vec<u32>) {
    let children = stage.children();
    assert!(children.len() <= 1, "two children at once: {children:?}\n{}", stage.log());
    if let Some(child) = children.first().filter(|child| seen.last() != Some(child)) {
        seen.push(*child);
    }
}

#[test]
fn killed_fifty_times_between_alert_and_verification_it_restarts_once_an_incident() {
    let (mut stage, target) = stage(&Cast::OBEDIENT);
    stage.start_and_wait();
    stage.child();
    stage.until("the first start is verified", |stage| stage.told().get("verified") == Some(&1));
    let mut delays = Delays(7);
    for incident in 1..=INCIDENTS {
        let mut seen = stage.children();
        target.say(&format!("sick{{number=\"{incident}\"}} 1\n"));
        for _ in 0..KILLS_EACH {
            watch(&stage, delays.next(400), &mut seen);
            stage.kill();
            note(&stage, &mut seen);
            stage.start();
        }
        stage.until("this incident's restart is verified", |stage| {
            let saved = stage.saved("app");
            saved.intent.is_none() && saved.waiting.is_none() && saved.ledger.last_attempt == incident
        });
        note(&stage, &mut seen);
        assert_eq!(seen.len(), 2, "incident {incident}: one restart, the same process until then: {seen:?}\n{}", stage.log());
        target.say("sick 0\n");
        stage.until("the alert is over", |stage| stage.metric("watchdog_alerts{state=\"firing\"}") == Some(0.0));
    }
    let restarted = messages(&target).iter().filter(|(name, status)| name == "RestartSucceeded" && status == "firing").count();
    assert!(restarted >= 1, "people heard of the outcome");
}
