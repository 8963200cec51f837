//! Killed at any point, the router loses nothing and repeats at most the message in flight.
//!
//! Random alerts begin and end, time passes, and the process dies before its records are on disk, after that, or after a message arrived and before
//! that was reported. What each receiver believes at the end must be true, and a message that tells nothing new may come only once for each message
//! of which it was left unknown whether it arrived.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulation::{World, labels};
use proptest::prelude::*;
use router::Router;
use router::delivery::{Delivery, Outcome};
use router::labels::Labels;
use router::notification::Status;

const CONFIG: &str = r#"
route:
  receiver: team
  group_by: [alertname]
  group_wait: 10s
  group_interval: 30s
  repeat_interval: 1000h
  routes:
  - {matchers: [alertname="B"], receiver: robot, continue: true}
  - {matchers: [alertname="C"], group_by: ['...']}
  - {matchers: [alertname="B"]}
receivers:
- {name: team, webhook_configs: [{url: "http://h/x"}]}
- {name: robot, webhook_configs: [{url: "http://127.0.0.1:9099/dingtalk/ops/send"}]}
"#;

#[derive(Clone, Copy, Debug)]
enum Death {
    BeforePersist,
    AfterPersist,
    AfterArrival,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Fire(u8),
    End(u8),
    Wait(u32),
    Fail,
    Die(Death),
}

/// A world whose process may die inside a turn.
struct Mortal {
    world: World,
    /// Ended lately: the rule engine posts their end again for a quarter of an hour.
    ended: BTreeMap<Labels, (i64, i64)>,
    doom: Option<Death>,
    failures: u32,
    beliefs: BTreeMap<(String, String), BTreeMap<Labels, Status>>,
    nothing_new: usize,
    /// Messages of which the router cannot know whether they arrived.
    caught: usize,
}

fn alert(which: u8) -> Labels {
    let name = ["A", "B", "C"][usize::from(which % 3)];
    labels(&format!("alertname={name} instance={}", which / 3))
}

impl Mortal {
    fn new() -> Self {
        let (ended, beliefs) = (BTreeMap::new(), BTreeMap::new());
        Self { world: World::new(CONFIG), ended, doom: None, failures: 0, beliefs, nothing_new: 0, caught: 0 }
    }

    fn post_all(&mut self) {
        let now = self.world.now;
        let firing = self.world.firing.iter().map(|(labels, since)| (labels, *since, now.wall_ms + 240_000));
        let ended = self.ended.iter().filter(|(_, (_, end))| now.wall_ms - end < 900_000).map(|(labels, (since, end))| (labels, *since, *end));
        let posts: Vec<_> = firing
            .chain(ended)
            .map(|(labels, since, end)| router::alert::PostedAlert {
                labels: labels.clone(),
                starts_at: Some(since),
                ends_at: Some(end),
                ..Default::default()
            })
            .collect();
        self.world.router.receive(now, &posts);
    }

    fn reborn(&mut self) {
        self.doom = None;
        let (setup, now) = (self.world.setup.clone(), self.world.now);
        self.world.router = Router::new(setup, router::Limits::default(), self.world.journal.clone(), now);
        self.post_all();
    }

    /// Turns until idle; a pending death strikes inside.
    fn settle(&mut self) {
        for _ in 0..100 {
            let effects = self.world.router.turn(self.world.now);
            if matches!(self.doom, Some(Death::BeforePersist)) {
                return self.reborn_and_settle();
            }
            self.world.journal.extend(effects.persist);
            if matches!(self.doom, Some(Death::AfterPersist)) {
                self.caught += effects.deliveries.len();
                return self.reborn_and_settle();
            }
            let idle = effects.deliveries.is_empty() && !effects.more;
            let mut left = effects.deliveries.len();
            for delivery in effects.deliveries {
                if self.failures > 0 {
                    self.failures -= 1;
                    self.caught += 1;
                    left -= 1;
                    self.world.router.delivered(self.world.now, delivery.id, Outcome::retry("down"));
                    continue;
                }
                self.arrives(&delivery);
                if self.doom.take().is_some() {
                    self.caught += left;
                    return self.reborn_and_settle();
                }
                self.world.router.delivered(self.world.now, delivery.id, Outcome::Ok);
                left -= 1;
            }
            if idle {
                return;
            }
        }
        panic!("never idle");
    }

    fn reborn_and_settle(&mut self) {
        self.reborn();
        self.settle();
    }

    fn arrives(&mut self, delivery: &Delivery) {
        let key = (delivery.receiver.to_string(), delivery.notification.group_key.clone());
        let belief = self.beliefs.entry(key).or_default();
        let mut news = false;
        for alert in &delivery.notification.alerts {
            news |= belief.insert(alert.labels.clone(), alert.status) != Some(alert.status);
        }
        self.nothing_new += usize::from(!news);
    }

    fn wait(&mut self, ms: u32) {
        let until = self.world.elapsed() + i64::from(ms);
        while self.world.elapsed() < until {
            let effects = self.world.router.turn(self.world.now);
            assert!(effects.deliveries.is_empty());
            self.world.journal.extend(effects.persist);
            let due = effects.next.map_or(i64::MAX, |next| self.world.elapsed() + i64::try_from(next.as_millis()).unwrap());
            let resend = (self.world.elapsed() / 60_000 + 1) * 60_000;
            let at = due.max(self.world.elapsed() + 1).min(resend).min(until);
            self.world.now = self.world.now.later(std::time::Duration::from_millis(u64::try_from(at - self.world.elapsed()).unwrap()));
            if at % 60_000 == 0 {
                self.post_all();
            }
            self.settle();
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Fire(which) => {
                let labels = alert(which);
                self.ended.remove(&labels);
                self.world.firing.entry(labels).or_insert(self.world.now.wall_ms);
                self.post_all();
                self.settle();
            }
            Step::End(which) => {
                if let Some(since) = self.world.firing.remove(&alert(which)) {
                    self.ended.insert(alert(which), (since, self.world.now.wall_ms));
                    self.post_all();
                    self.settle();
                }
            }
            Step::Wait(ms) => self.wait(ms),
            Step::Fail => self.failures += 1,
            Step::Die(death) => self.doom = Some(death),
        }
    }

    fn check(&self) {
        let firing: BTreeSet<&Labels> = self.world.firing.keys().collect();
        for alert in &firing {
            let told = self.beliefs.iter().filter(|(_, belief)| belief.get(*alert) == Some(&Status::Firing)).count();
            let wanted = if alert.value("alertname") == "B" { 2 } else { 1 };
            assert_eq!(told, wanted, "{alert} fires; beliefs {:#?}", self.beliefs);
        }
        for (key, belief) in &self.beliefs {
            for (alert, status) in belief {
                assert!(*status == Status::Resolved || firing.contains(alert), "{key:?} believes that {alert} fires");
            }
        }
        assert!(self.nothing_new <= self.caught, "{} messages told nothing new, {} were left unknown", self.nothing_new, self.caught);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let death = prop_oneof![Just(Death::BeforePersist), Just(Death::AfterPersist), Just(Death::AfterArrival)];
    let step = prop_oneof![
        4 => (0u8..9).prop_map(Step::Fire),
        3 => (0u8..9).prop_map(Step::End),
        5 => (100u32..40_000).prop_map(Step::Wait),
        1 => Just(Step::Fail),
        3 => death.prop_map(Step::Die),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(20261121), ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_little_is_repeated(steps in steps()) {
        let mut mortal = Mortal::new();
        for step in steps {
            mortal.step(step);
        }
        mortal.doom = None;
        mortal.failures = 0;
        mortal.wait(1_200_000);
        mortal.check();
    }
}
