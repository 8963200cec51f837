//! The engine's edges: limits, hand-over, explanations, views, many alerts at once, reload.

use std::time::Duration;

use router::alert::{AlertError, PostedAlert};
use router::delivery::{DeliveryId, Outcome, WhyNot};
use router::labels::Labels;
use router::matcher::parse_one;
use router::notification::{NotifyReason, payload_v4};
use router::record::Record;
use router::silence::PostedSilence;
use router::view::{AlertQuery, AlertState, ReceiverPattern};
use router::{Announcement, EventKind, HandOverError, Limits, Notice, Router};

use crate::simulation::{Mood, World, labels, setup};

const PLAIN: &str = r#"
route: {receiver: team, group_by: [alertname], group_wait: 10s, group_interval: 1m, repeat_interval: 90s}
receivers: [{name: team, webhook_configs: [{url: "http://h/x"}]}]
inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: [severity="warning"]}]
"#;

const DING: &str = r#"
route: {receiver: ding, group_by: ['...'], group_wait: 0s, group_interval: 1m, repeat_interval: 4h}
receivers: [{name: ding, webhook_configs: [{url: "http://127.0.0.1:9099/dingtalk/ops/send"}]}]
"#;

/// The one channel's verdict on an alert, and when it is looked at next (milliseconds since the start).
fn why(world: &World, alert: &str) -> (String, i64) {
    let explained = world.router.explain(world.now, labels(alert).fingerprint());
    let channel = &explained[0].channels[0];
    (channel.why_not.as_str().to_owned(), channel.next_at.unwrap() - crate::simulation::START_MS)
}

#[test]
fn every_wait_is_explained() {
    let mut world = World::new(PLAIN);
    world.fire("alertname=A");
    assert_eq!(why(&world, "alertname=A"), ("group_wait".to_owned(), 10_000));
    world.run_to(20_000);
    // Reminded at the first look (70 s, 130 s, …) that is 90 s or more after 10 s.
    assert_eq!(why(&world, "alertname=A"), ("already_notified".to_owned(), 130_000));
    world.fire("alertname=A instance=2");
    assert_eq!(why(&world, "alertname=A instance=2"), ("group_interval".to_owned(), 70_000));
    world.fire("alertname=S severity=critical");
    world.fire("alertname=T severity=warning");
    assert_eq!(why(&world, "alertname=T severity=warning").0, "inhibited");
    let matchers = vec![parse_one("alertname=S").unwrap()];
    let until = world.now.wall_ms + 60_000;
    world.router.set_silence(world.now, PostedSilence { matchers, starts_at: 0, ends_at: until, ..PostedSilence::default() }).unwrap();
    assert_eq!(why(&world, "alertname=S severity=critical").0, "silenced");
    world.end("alertname=A");
    assert_eq!(why(&world, "alertname=A"), ("group_interval".to_owned(), 70_000));
    world.moods.insert("team".to_owned(), Mood::Down);
    world.run_to(70_001);
    let (reason, next) = why(&world, "alertname=A");
    assert!(reason == "backoff" && next > 70_000 && next < 71_000, "{reason} {next}");
    world.moods.insert("team".to_owned(), Mood::Refuses);
    world.run_to(80_000);
    assert_eq!(why(&world, "alertname=A").0, "refused");
    assert!(world.router.explain(world.now, labels("alertname=unknown").fingerprint()).is_empty());
}

#[test]
fn a_robots_queue_is_explained() {
    let mut world = World::new(DING);
    world.moods.insert("ding".to_owned(), Mood::Throttles(Duration::from_mins(10)));
    world.fire("alertname=A");
    assert_eq!(why(&world, "alertname=A"), ("rate_limited".to_owned(), 600_000));
}

#[test]
fn a_route_is_explained_without_a_router() {
    let explained = setup(DING).explain_route(&labels("alertname=A severity=critical"));
    assert_eq!(explained.len(), 1);
    assert_eq!((explained[0].receiver.as_str(), explained[0].integrations[0].as_str()), ("ding", "dingtalk:ops"));
    assert_eq!((explained[0].group_wait.as_str(), explained[0].repeat_interval.as_str(), explained[0].group_by[0].as_str()), ("0s", "4h", "..."));
}

#[test]
fn refusals_do_not_touch_the_others_of_a_batch() {
    let now = World::new(PLAIN).now;
    let mut router = Router::new(setup(PLAIN), Limits { alerts: 2, ..Limits::default() }, [], now);
    let post = |text: &str| PostedAlert { labels: labels(text), ..PostedAlert::default() };
    let received = router.receive(now, &[post("a=1"), post(""), post("a=2"), post("a=3"), post("a=1")]);
    assert_eq!((received.accepted, received.refused), (3, vec![(1, AlertError::NoLabels), (3, AlertError::TooMany)]));
    let events = router.turn(now).events;
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::AlertLimit).count(), 1);
    assert_eq!(router.load().alerts, 2);
}

#[test]
fn deliveries_under_way_are_bounded_and_a_lost_one_is_tried_again() {
    let config = PLAIN.replace("[alertname]", "['...']").replace("90s", "1h");
    let mut now = World::new(PLAIN).now;
    let mut router = Router::new(setup(&config), Limits { in_flight: 3, ..Limits::default() }, [], now);
    let posts: Vec<_> = (0..10)
        .map(|at| PostedAlert {
            labels: Labels::from_pairs([("n", at.to_string())]),
            ends_at: Some(now.wall_ms + 3_600_000),
            ..PostedAlert::default()
        })
        .collect();
    let posts: Vec<_> = posts.into_iter().map(|post| PostedAlert { starts_at: Some(now.wall_ms), ..post }).collect();
    router.receive(now, &posts);
    now = now.later(Duration::from_secs(10));
    let first = router.turn(now).deliveries;
    assert_eq!(first.len(), 3);
    for _ in 0..100 {
        now = now.later(Duration::from_millis(500));
        assert!(router.turn(now).deliveries.is_empty());
    }
    for delivery in &first {
        router.delivered(now, delivery.id, Outcome::Ok);
        router.delivered(now, delivery.id, Outcome::Ok);
    }
    let mut seen = 3;
    for _ in 0..2_000 {
        now = now.later(Duration::from_millis(500));
        // None of these is ever reported: each is taken as failed after a while, and its place is free again.
        let under_way = router.turn(now).deliveries;
        assert!(under_way.iter().all(|delivery| delivery.id > DeliveryId(3)));
        seen += under_way.len();
        assert!(router.load().in_flight <= 3);
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn ten_thousand_alerts_are_taken_in_bounded_turns() {
    let config = PLAIN.replace("[alertname]", "[rack]");
    let mut now = World::new(PLAIN).now;
    let mut router = Router::new(setup(&config), Limits::default(), [], now);
    let alert = |at: usize| Labels::from_pairs([("alertname", "A".to_owned()), ("rack", (at % 100).to_string()), ("n", at.to_string())]);
    let end = Some(now.wall_ms + 3_600_000);
    let posts: Vec<_> =
        (0..10_000).map(|at| PostedAlert { labels: alert(at), starts_at: Some(now.wall_ms), ends_at: end, ..PostedAlert::default() }).collect();
    assert_eq!(router.receive(now, &posts).accepted, 10_000);
    now = now.later(Duration::from_secs(10));
    let (mut turns, mut told) = (0, 0);
    loop {
        let effects = router.turn(now);
        turns += 1;
        for delivery in effects.deliveries {
            told += delivery.notification.alerts.len();
            router.delivered(now, delivery.id, Outcome::Ok);
        }
        let waiting = router.load().log < 100 || told < 10_000;
        if !effects.more && !waiting {
            break;
        }
        if !effects.more {
            now = now.later(Duration::from_millis(500));
        }
        assert!(turns < 1_000);
    }
    assert_eq!(told, 10_000);
    assert!(turns >= 5, "{turns}");
}

#[test]
fn a_notification_of_another_alertmanager_is_kept_until_the_robot_has_it() {
    let mut world = World::new(DING);
    let notification = world.router.sample(world.now, "ding").unwrap()[0].notification.clone();
    assert_eq!(world.router.hand_over(world.now, "opps", notification.clone()), Err(HandOverError::UnknownTarget("opps".to_owned())));
    world.moods.insert("ding".to_owned(), Mood::Down);
    for _ in 0..3 {
        world.router.hand_over(world.now, "ops", notification.clone()).unwrap();
        world.settle();
    }
    assert_eq!(world.router.load().queued, 1, "the peer's retry of what is queued is not queued twice");
    world.run_to(5_000);
    world.kill(false);
    world.run_to(30_000);
    assert_eq!(world.router.load().queued, 1);
    world.moods.clear();
    world.run_to(120_000);
    assert_eq!(world.arrived.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>(), ["ding/dingtalk:ops firing TidemarkTest.test: none"]);
    assert_eq!(world.router.load().queued, 0);
    world.kill(false);
    assert_eq!(world.router.load().queued, 0);
}

#[test]
fn a_full_queue_says_so() {
    let now = World::new(DING).now;
    let mut router = Router::new(setup(DING), Limits { queued: 1, ..Limits::default() }, [], now);
    let mut notification = router.sample(now, "ding").unwrap()[0].notification.clone();
    router.hand_over(now, "ops", notification.clone()).unwrap();
    notification.reason = NotifyReason::RepeatIntervalElapsed;
    assert_eq!(router.hand_over(now, "ops", notification), Err(HandOverError::Full));
}

#[test]
fn a_robot_never_gets_more_than_twenty_messages_in_a_minute() {
    let mut world = World::new(DING);
    for at in 0..120 {
        world.fire(&format!("alertname=A instance={at}"));
        world.run_to(world.elapsed() + 1_500);
    }
    world.run_to(600_000);
    for from in &world.robot_posts {
        assert!(world.robot_posts.iter().filter(|at| (*from..from + 60_000).contains(*at)).count() <= 20);
    }
    let told: usize = world.arrived.iter().map(|(_, words)| words.matches("A.").count()).sum();
    assert_eq!(told, 120, "each alert is told exactly once, in whichever message");
}

#[test]
fn a_robots_limit_survives_a_restart() {
    let mut world = World::new(DING);
    for at in 0..17 {
        world.fire(&format!("alertname=A instance={at}"));
    }
    assert_eq!(world.robot_posts.len(), 17);
    world.kill(true);
    world.fire("alertname=B");
    assert_eq!(world.robot_posts.len(), 17);
    world.run_to(60_000);
    assert_eq!(world.robot_posts.len(), 18);
}

#[test]
fn the_same_content_keeps_its_name_over_a_restart_and_a_reminder_has_another() {
    let mut names = Vec::new();
    let mut world = World::new(PLAIN);
    world.fire("alertname=A");
    world.now = world.now.later(Duration::from_secs(10));
    for _ in 0..2 {
        let effects = world.router.turn(world.now);
        world.journal.extend(effects.persist);
        names.push(effects.deliveries[0].idempotency_key.clone());
        // Killed with the message in flight, twice.
        world.router = Router::new(world.setup.clone(), Limits::default(), world.journal.clone(), world.now);
    }
    let effects = world.router.turn(world.now);
    names.push(effects.deliveries[0].idempotency_key.clone());
    world.router.delivered(world.now, effects.deliveries[0].id, Outcome::Ok);
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    world.now = world.now.later(Duration::from_mins(2));
    let effects = world.router.turn(world.now);
    assert_eq!(effects.deliveries[0].notification.reason, NotifyReason::RepeatIntervalElapsed);
    assert_ne!(effects.deliveries[0].idempotency_key, names[0]);
}

#[test]
fn what_is_told_is_on_disk_before_it_is_sent() {
    let mut world = World::new(PLAIN);
    world.fire("alertname=A");
    world.now = world.now.later(Duration::from_secs(10));
    let effects = world.router.turn(world.now);
    let owed = effects.persist.iter().any(|record| matches!(record, Record::Log(entry) if !entry.owed.is_empty()));
    assert!(owed && effects.deliveries.len() == 1, "{effects:#?}");
}

#[test]
fn reload_takes_new_receivers_and_keeps_what_was_told() {
    let mut world = World::new(PLAIN);
    world.fire("alertname=A");
    world.run_to(10_000);
    let two = PLAIN.replace("receivers: [", "receivers: [{name: other, webhook_configs: [{url: \"http://h/y\"}]}, ").replace(
        "repeat_interval: 90s}",
        "repeat_interval: 90s, routes: [{matchers: [alertname=~\".+\"], receiver: other, continue: true}, {matchers: [alertname=~\".+\"], receiver: other, group_by: [x]}]}",
    );
    world.reload(&two);
    world.run_to(25_000);
    let told: Vec<&str> = world.arrived.iter().map(|(_, words)| words.as_str()).collect();
    assert_eq!(
        told,
        ["team/webhook firing A: first notification", "other/webhook firing A: first notification", "other/webhook firing A: first notification"]
    );
    world.reload(PLAIN);
    world.run_to(80_000);
    assert_eq!(world.arrived.len(), 3, "{:?}", world.arrived);
}

#[test]
fn views_have_the_shape_of_api_v2() {
    let mut world = World::new(PLAIN);
    world.fire("alertname=A severity=critical");
    world.fire("alertname=B severity=warning");
    let alerts = world.router.alerts(world.now, &AlertQuery::default());
    let states: Vec<_> = alerts.iter().map(|alert| (alert.labels.value("alertname"), alert.status.state)).collect();
    assert!(states.contains(&("A", AlertState::Active)) && states.contains(&("B", AlertState::Suppressed)), "{states:?}");
    let json = serde_json::to_value(alerts.iter().find(|alert| alert.labels.value("alertname") == "B")).unwrap();
    assert_eq!(json["status"]["inhibitedBy"][0], labels("alertname=A severity=critical").fingerprint().to_string());
    assert_eq!((json["receivers"][0]["name"].as_str(), json["startsAt"].as_str()), (Some("team"), Some("2026-11-20T04:00:00.000Z")));
    let only = |query: AlertQuery| world.router.alerts(world.now, &query).len();
    assert_eq!(only(AlertQuery { inhibited: false, ..AlertQuery::default() }), 1);
    assert_eq!(only(AlertQuery { active: false, ..AlertQuery::default() }), 1);
    assert_eq!(only(AlertQuery { filters: vec![parse_one("alertname=~\"A|X\"").unwrap()], ..AlertQuery::default() }), 1);
    assert_eq!(only(AlertQuery { receiver: Some(ReceiverPattern::new("te").unwrap()), ..AlertQuery::default() }), 0);
    let groups = world.router.groups(world.now, &AlertQuery::default());
    assert_eq!(
        groups.iter().map(|group| (group.labels.to_string(), group.alerts.len())).collect::<Vec<_>>(),
        [("{alertname=\"A\"}".to_owned(), 1), ("{alertname=\"B\"}".to_owned(), 1)]
    );
}

#[test]
fn silences_are_listed_active_first() {
    let mut world = World::new(PLAIN);
    let start = world.now.wall_ms;
    let mut make = |name: &str, starts_at: i64, ends_at: i64| {
        let matchers = vec![parse_one(&format!("alertname={name}")).unwrap()];
        let posted = PostedSilence { matchers, starts_at: start + starts_at, ends_at: start + ends_at, ..PostedSilence::default() };
        world.router.set_silence(world.now, posted).unwrap()
    };
    let (late, soon, pending, ended) = (make("a", 0, 9_000), make("b", 0, 5_000), make("c", 1_000, 2_000), make("d", 0, 9_000));
    world.router.expire_silence(world.now, &ended).unwrap();
    let ids: Vec<String> = world.router.silence_views(world.now, &[]).into_iter().map(|view| view.id).collect();
    assert_eq!(ids, [soon.clone(), late, pending, ended]);
    let found = world.router.silence_views(world.now, &[parse_one("alertname=b").unwrap()]);
    assert_eq!(found.iter().map(|view| &view.id).collect::<Vec<_>>(), [&soon]);
    world.settle();
    world.kill(false);
    assert!(world.router.silence(&soon).is_some());
}

#[test]
fn a_payload_given_to_a_webhook_can_be_handed_over_again() {
    let world = World::new(DING);
    let notification = world.router.sample(world.now, "ding").unwrap()[0].notification.clone();
    let parsed = router::notification::parse_payload_v4(payload_v4(&notification, 0).as_bytes()).unwrap();
    assert_eq!(parsed, notification);
}

#[test]
fn a_receiver_without_integrations_holds_nothing_up() {
    let mut world = World::new("route: {receiver: nobody, group_wait: 1s, group_interval: 10s}\nreceivers: [{name: nobody}]\n");
    world.fire("alertname=A");
    world.run_to(5_000);
    let explained = world.router.explain(world.now, labels("alertname=A").fingerprint());
    assert_eq!(explained[0].channels[0].why_not, WhyNot::NoIntegration);
    world.end("alertname=A");
    world.run_to(30_000);
    assert_eq!((world.router.load().alerts, world.router.load().groups), (0, 0));
}

#[test]
fn nothing_is_left_when_all_is_over() {
    let mut world = World::new(PLAIN);
    for at in 0..50 {
        world.fire(&format!("alertname=A{at}"));
        world.run_to(world.elapsed() + 700);
        world.end(&format!("alertname=A{at}"));
    }
    for at in 0..50 {
        world.fire(&format!("alertname=B{at}"));
    }
    world.run_to(100_000);
    for at in 0..50 {
        world.end(&format!("alertname=B{at}"));
    }
    // Log entries outlive their groups by twice the repeat interval.
    world.run_to(600_000);
    let load = world.router.load();
    assert_eq!((load.alerts, load.groups, load.log, load.in_flight, load.waiting), (0, 0, 0, 0, 0), "{load:?}");
    assert!(world.router.turn(world.now).next.is_none());
    assert!(world.router.snapshot(world.now).is_empty());
}

/// News with the labels of the alert that caused it.
fn news(id: &str, text: &str) -> Announcement {
    let annotations = Labels::from_pairs([("summary", "collector was restarted")]);
    Announcement { id: id.to_owned(), labels: labels(text), annotations, notice: Notice::Done }
}

const RESTARTING: &str = r#"
route: {receiver: ding, group_wait: 30s, group_interval: 1m, repeat_interval: 2m, routes: [{matchers: [process="collector"], receiver: restart, continue: true}, {matchers: [process="collector"], receiver: team}]}
receivers:
- {name: ding, webhook_configs: [{url: "http://127.0.0.1:9099/dingtalk/ops/send"}]}
- {name: team, webhook_configs: [{url: "http://127.0.0.1:9099/dingtalk/ops/send"}, {url: "http://h/x"}]}
- {name: restart, webhook_configs: [{url: "http://127.0.0.1:9099/restart/collector"}]}
"#;

#[test]
fn an_announcement_is_told_at_once_to_everybody_but_a_restart_and_only_once() {
    let mut world = World::new(RESTARTING);
    assert_eq!(world.router.announce(world.now, &news("i1", "alertname=RestartSucceeded process=collector")), 2);
    assert_eq!(world.router.announce(world.now, &news("i1", "alertname=RestartSucceeded process=collector")), 2);
    world.settle();
    let told = ["team/webhook firing RestartSucceeded.collector: none", "team/dingtalk:ops firing RestartSucceeded.collector: none"];
    assert_eq!(world.arrived.iter().map(|(at, words)| (*at, words.as_str())).collect::<Vec<_>>(), told.map(|words| (0, words)));
    world.run_to(600_000);
    world.kill(true);
    world.run_to(700_000);
    assert_eq!((world.arrived.len(), world.router.load().queued), (2, 0));
}

#[test]
fn an_announcement_survives_a_death_and_is_held_by_a_silence() {
    let mut world = World::new(RESTARTING);
    world.moods.insert("team".to_owned(), Mood::Down);
    world.router.announce(world.now, &news("i1", "alertname=RestartFailed process=collector"));
    world.settle();
    world.run_to(5_000);
    world.kill(false);
    world.moods.clear();
    world.run_to(100_000);
    assert_eq!(world.arrived.len(), 2);
    let matchers = vec![parse_one("process=collector").unwrap()];
    let ends_at = world.now.wall_ms + 60_000;
    world.router.set_silence(world.now, PostedSilence { matchers, ends_at, ..PostedSilence::default() }).unwrap();
    assert_eq!(world.router.announce(world.now, &news("i2", "alertname=RestartFailed process=collector")), 0);
}
