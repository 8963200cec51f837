//! Messages over real sockets to the inbox of venue-sim, which checks signatures and answers as DingTalk and a mail server do.

use diagnostics::Lang;
use router::Surroundings;
use router::delivery::DeliveryId;
use router::labels::Labels;
use router::notification::{NOT_ENDED, NotifiedAlert, NotifyReason, Status};
use venue_sim::CancellationToken;
use venue_sim::inbox::{Content, InboxConfig, RobotConfig, RunningInbox, run_inbox};

use super::*;

const SECRET: &str = "SECtest0000";

struct World {
    inbox: RunningInbox,
    setup: Arc<Setup>,
    courier: Courier,
    _shutdown: tokio_util::sync::DropGuard,
    dir: tempfile::TempDir,
}

async fn world(robot_secret: &str) -> World {
    drop(rustls::crypto::ring::default_provider().install_default());
    let shutdown = CancellationToken::new();
    let robot = RobotConfig { secret: Some(SECRET.to_owned()), tokens: vec![], keywords: vec![], per_minute: 20, mute: Duration::from_mins(10) };
    let any = "127.0.0.1:0".parse().unwrap();
    let inbox = run_inbox(InboxConfig { dingtalk: any, smtp: Some(any), robot, keep: 100 }, shutdown.clone()).await.unwrap();
    let (http, smtp) = (inbox.addresses().http.to_string(), inbox.addresses().smtp.unwrap().to_string());
    let routes = format!(
        "global: {{smtp_smarthost: '{smtp}', smtp_from: 'watchdog@example.org', smtp_require_tls: false}}\n\
         route: {{receiver: all}}\n\
         receivers:\n  - name: all\n    webhook_configs:\n      - url: http://127.0.0.1:9099/dingtalk/ops/send\n      - url: http://{http}/nowhere\n    email_configs: [{{to: 'ops@example.org, night@example.org'}}]\n"
    );
    let robots = format!("targets: {{ops: {{url: 'http://{http}/robot/send?access_token=t', secret_file: secret}}}}\n");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), format!("{robot_secret}\n")).unwrap();
    let routes = router::config::load("alertmanager.yml", &routes).unwrap().config;
    let robots = router::dingtalk::load("dingtalk.yml", &robots).unwrap().config;
    let around = Surroundings {
        own_addresses: vec!["127.0.0.1:9099".to_owned()],
        lang: Lang::Zh,
        timezone: "Asia/Shanghai".to_owned(),
        ..Surroundings::default()
    };
    let setup = Setup::link(routes, robots, &[], &around).unwrap().config;
    let courier = Courier::new(dir.path().to_path_buf()).unwrap();
    World { inbox, setup, courier, _shutdown: shutdown.drop_guard(), dir }
}

fn delivery(world: &World, kind: &str) -> Delivery {
    let labels = Labels::from_pairs([("alertname", "CollectorHung"), ("severity", "critical"), ("process", "collector")]);
    let annotations = Labels::from_pairs([("summary", "采集进程卡死")]);
    let alert = NotifiedAlert {
        status: Status::Firing,
        labels: labels.clone(),
        annotations: annotations.clone(),
        starts_at: 1_700_000_000_000,
        ends_at: NOT_ENDED,
        generator_url: String::new(),
        fingerprint: labels.fingerprint(),
    };
    let notification = Notification {
        version: "4".to_owned(),
        group_key: "{}:{}".to_owned(),
        truncated_alerts: 0,
        status: Status::Firing,
        receiver: "all".to_owned(),
        group_labels: Labels::default(),
        common_labels: labels,
        common_annotations: annotations,
        external_url: "http://127.0.0.1:9099".to_owned(),
        alerts: vec![alert],
        reason: NotifyReason::FirstNotification,
        groups: 1,
    };
    let integration = world.setup.integrations("all").iter().find(|way| way.as_str() == kind).unwrap().clone();
    Delivery { id: DeliveryId(1), receiver: "all".into(), integration, notification, attempt: 1, idempotency_key: "incident-1".to_owned() }
}

/// The wall clock: the robot refuses a signature that is an hour off.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn a_robot_takes_a_signed_message_with_the_alert_in_it() {
    let world = world(SECRET).await;
    let outcome = world.courier.carry(&world.setup, &delivery(&world, "dingtalk"), now_ms()).await;
    assert_eq!(outcome, Outcome::Ok);
    let messages = world.inbox.messages();
    let Content::Dingtalk { title, text, .. } = &messages[0].content else { panic!("{messages:?}") };
    assert!(title.contains("CollectorHung") && text.contains("采集进程卡死"), "{title}\n{text}");
}

#[tokio::test]
async fn a_wrong_secret_is_final_and_the_reason_names_no_token() {
    let world = world("SECwrong").await;
    let outcome = world.courier.carry(&world.setup, &delivery(&world, "dingtalk"), now_ms()).await;
    let Outcome::Permanent { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("310000") && !reason.contains("access_token"), "{reason}");
    assert!(world.inbox.messages().is_empty());
}

#[tokio::test]
async fn a_missing_secret_file_is_named() {
    let world = world(SECRET).await;
    std::fs::remove_file(world.dir.path().join("secret")).unwrap();
    let outcome = world.courier.carry(&world.setup, &delivery(&world, "dingtalk"), now_ms()).await;
    assert!(matches!(&outcome, Outcome::Permanent { reason } if reason.contains("secret")), "{outcome:?}");
}

#[tokio::test]
async fn what_may_pass_by_itself_is_tried_again() {
    let world = world(SECRET).await;
    for (action, expected) in [
        (r#"{"channel":"dingtalk","action":{"http":502}}"#, "retry"),
        (r#"{"channel":"dingtalk","action":"reset"}"#, "retry"),
        (r#"{"channel":"dingtalk","action":{"errcode":130101}}"#, "throttled"),
        (r#"{"channel":"dingtalk","action":{"errcode":300001}}"#, "permanent"),
    ] {
        world.inbox.fail(serde_json::from_str(action).unwrap());
        let outcome = world.courier.carry(&world.setup, &delivery(&world, "dingtalk"), now_ms()).await;
        assert_eq!(outcome.as_str(), expected, "{action}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_mail_arrives_at_both_addresses_and_4xx_is_tried_again_5xx_not() {
    let world = world(SECRET).await;
    let mail = delivery(&world, "email");
    assert_eq!(world.courier.carry(&world.setup, &mail, now_ms()).await, Outcome::Ok);
    let messages = world.inbox.messages();
    let Content::Mail { to, subject, body, .. } = &messages[0].content else { panic!("{messages:?}") };
    assert_eq!(to.len(), 2);
    assert!(subject.contains("CollectorHung") && body.contains("采集进程卡死"), "{subject}\n{body}");
    for (code, expected) in [(451, "retry"), (550, "permanent")] {
        world.inbox.fail(serde_json::from_str(&format!(r#"{{"channel":"smtp","action":{{"code":{code}}},"stage":"rcpt"}}"#)).unwrap());
        let outcome = world.courier.carry(&world.setup, &mail, now_ms()).await;
        assert_eq!(outcome.as_str(), expected, "{code}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_webhook_that_answers_404_is_final() {
    let world = world(SECRET).await;
    let outcome = world.courier.carry(&world.setup, &delivery(&world, "webhook"), now_ms()).await;
    assert!(matches!(&outcome, Outcome::Permanent { reason } if reason.starts_with("HTTP 404")), "{outcome:?}");
}
