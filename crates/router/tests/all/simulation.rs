//! A simulated world around a router: a clock, a rule engine that posts its alerts again each minute, receivers that may be down, a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clock::Now;
use router::alert::PostedAlert;
use router::delivery::{Delivery, Integration, Outcome};
use router::labels::Labels;
use router::record::Record;
use router::{Limits, Router, Setup, Surroundings, config, dingtalk};

/// 2026-11-20 (a Friday) 04:00:00 UTC.
pub(crate) const START_MS: i64 = 1_795_147_200_000;
/// How often a rule engine posts a firing alert again, and how long each post is good for.
const RESEND: i64 = 60_000;
const VALID: i64 = 240_000;

/// How a receiver answers.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Up,
    Down,
    Refuses,
    Throttles(Duration),
}

/// The world.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) now: Now,
    pub(crate) setup: Arc<Setup>,
    pub(crate) journal: Vec<Record>,
    /// Alerts that the rule engine holds firing, and since when.
    pub(crate) firing: BTreeMap<Labels, i64>,
    next_resend: i64,
    pub(crate) moods: BTreeMap<String, Mood>,
    /// What arrived: time and words.
    pub(crate) arrived: Vec<(i64, String)>,
    /// What was tried, arrived or not.
    pub(crate) tried: Vec<(i64, String)>,
    /// Robots' messages by time, for the limit.
    pub(crate) robot_posts: Vec<i64>,
}

/// A linked configuration; robots `ops` and `dev`, restart `collector`, own address 127.0.0.1:9099.
pub(crate) fn setup(alertmanager: &str) -> Arc<Setup> {
    let robots = "targets:\n  ops: {url: 'http://ding/robot/send?access_token=a'}\n  dev: {url: 'http://ding/robot/send?access_token=b'}\n";
    let config = config::load("alertmanager.yml", alertmanager).unwrap_or_else(|found| panic!("{found:#?}")).config;
    let robots = dingtalk::load("dingtalk.yml", robots).unwrap().config;
    let surroundings = Surroundings {
        own_addresses: vec!["127.0.0.1:9099".to_owned()],
        restarts: vec!["collector".to_owned()],
        external_url: "http://wd:9099".to_owned(),
        timezone: "Asia/Shanghai".to_owned(),
        ..Surroundings::default()
    };
    Setup::link(config, robots, &[], &surroundings).unwrap_or_else(|found| panic!("{found:#?}")).config
}

pub(crate) fn labels(text: &str) -> Labels {
    Labels::from_pairs(text.split_whitespace().filter_map(|pair| pair.split_once('=')))
}

impl World {
    pub(crate) fn new(alertmanager: &str) -> Self {
        let setup = setup(alertmanager);
        let now = Now::new(Duration::from_secs(1_000), START_MS);
        let router = Router::new(setup.clone(), Limits::default(), [], now);
        Self {
            router,
            now,
            setup,
            journal: Vec::new(),
            firing: BTreeMap::new(),
            next_resend: RESEND,
            moods: BTreeMap::new(),
            arrived: Vec::new(),
            tried: Vec::new(),
            robot_posts: Vec::new(),
        }
    }

    /// Milliseconds since the start, by the monotonic clock.
    pub(crate) fn elapsed(&self) -> i64 {
        i64::try_from(self.now.mono.as_millis()).unwrap() - 1_000_000
    }

    fn post(&mut self, labels: &Labels, starts_at: i64, ends_at: i64) {
        let posted = PostedAlert { labels: labels.clone(), starts_at: Some(starts_at), ends_at: Some(ends_at), ..PostedAlert::default() };
        let received = self.router.receive(self.now, &[posted]);
        assert!(received.refused.is_empty(), "{received:?}");
    }

    pub(crate) fn fire(&mut self, text: &str) {
        let labels = labels(text);
        self.firing.insert(labels.clone(), self.now.wall_ms);
        self.post(&labels, self.now.wall_ms, self.now.wall_ms + VALID);
        self.settle();
    }

    pub(crate) fn end(&mut self, text: &str) {
        let labels = labels(text);
        let since = self.firing.remove(&labels).unwrap_or(self.now.wall_ms);
        self.post(&labels, since, self.now.wall_ms);
        self.settle();
    }

    /// The rule engine stops posting it without saying that it ended.
    pub(crate) fn vanish(&mut self, text: &str) {
        self.firing.remove(&labels(text));
    }

    /// The wall clock steps; the rule engine keeps its times steady and shows them shifted.
    pub(crate) fn step_clock(&mut self, by: i64) {
        self.now.wall_ms += by;
        self.firing.values_mut().for_each(|since| *since += by);
    }

    /// Takes turns until nothing is due; carries every delivery at once.
    pub(crate) fn settle(&mut self) {
        loop {
            let effects = self.router.turn(self.now);
            self.journal.extend(effects.persist);
            let idle = effects.deliveries.is_empty() && !effects.more;
            for delivery in effects.deliveries {
                let outcome = self.carry(&delivery);
                self.router.delivered(self.now, delivery.id, outcome);
            }
            if idle {
                return;
            }
        }
    }

    pub(crate) fn carry(&mut self, delivery: &Delivery) -> Outcome {
        let words = words(delivery);
        self.tried.push((self.elapsed(), words.clone()));
        if matches!(*delivery.integration, Integration::DingTalk { .. }) {
            self.robot_posts.push(self.elapsed());
        }
        match self.moods.get(&*delivery.receiver).cloned().unwrap_or(Mood::Up) {
            Mood::Up => {
                self.arrived.push((self.elapsed(), words));
                Outcome::Ok
            }
            Mood::Down => Outcome::retry("connection refused"),
            Mood::Refuses => Outcome::Permanent { reason: "HTTP 400".to_owned() },
            Mood::Throttles(after) => Outcome::Throttled { after, reason: "130101".to_owned() },
        }
    }

    /// Lets time pass up to `until` (milliseconds since the start), doing what is due on the way.
    pub(crate) fn run_to(&mut self, until: i64) {
        while self.elapsed() < until {
            let effects = self.router.turn(self.now);
            assert!(effects.deliveries.is_empty(), "settled before");
            self.journal.extend(effects.persist);
            let due = effects.next.map_or(i64::MAX, |next| self.elapsed() + i64::try_from(next.as_millis()).unwrap());
            let at = due.max(self.elapsed() + 1).min(self.next_resend).min(until).max(self.elapsed() + 1);
            self.now = self.now.later(Duration::from_millis(u64::try_from(at - self.elapsed()).unwrap()));
            if self.elapsed() >= self.next_resend {
                self.next_resend += RESEND;
                for (labels, since) in self.firing.clone() {
                    self.post(&labels, since, self.now.wall_ms + VALID);
                }
            }
            self.settle();
        }
    }

    /// The process dies and starts anew from its journal; half of the time the journal was compacted before.
    pub(crate) fn kill(&mut self, compacted: bool) {
        if compacted {
            self.journal = self.router.snapshot(self.now);
        }
        let lines: Vec<String> = self.journal.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        let records = lines.iter().map(|line| serde_json::from_str::<Record>(line).unwrap());
        self.router = Router::new(self.setup.clone(), Limits::default(), records.collect::<Vec<_>>(), self.now);
        self.settle();
    }

    pub(crate) fn reload(&mut self, alertmanager: &str) {
        self.setup = setup(alertmanager);
        self.router.reload(self.now, self.setup.clone());
        self.settle();
    }
}

/// `team/webhook firing A,B resolved C: reason`
pub(crate) fn words(delivery: &Delivery) -> String {
    let notification = &delivery.notification;
    let names = |alerts: Vec<&router::notification::NotifiedAlert>| -> String {
        let name = |alert: &&router::notification::NotifiedAlert| {
            let rest: Vec<&str> = ["instance", "process"].iter().map(|label| alert.labels.value(label)).filter(|value| !value.is_empty()).collect();
            [&[alert.labels.value("alertname")], &rest[..]].concat().join(".")
        };
        alerts.iter().map(name).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
    };
    let kind = match &*delivery.integration {
        Integration::DingTalk { target, .. } => format!("dingtalk:{target}"),
        Integration::Restart { name } => format!("restart:{name}"),
        other => other.as_str().to_owned(),
    };
    let mut out = format!("{}/{kind}", delivery.receiver);
    for (word, list) in [("firing", names(notification.firing().collect())), ("resolved", names(notification.resolved().collect()))] {
        if !list.is_empty() {
            out.extend([" ", word, " ", &list]);
        }
    }
    if notification.groups > 1 {
        out.extend([" groups ", &notification.groups.to_string()]);
    }
    format!("{out}: {}", notification.reason.as_str())
}
