//! What messages say: `messages/*.json` is a notification as a webhook gets it, beside it stand the robot's message and the mail in both languages.
//! A new case is a new file.
#![expect(clippy::disallowed_methods, reason = "tests read their cases")]

use std::sync::Arc;

use crate::golden::{compare, files};
use diagnostics::Lang;
use router::config::Email;
use router::delivery::Integration;
use router::notification::{Notification, parse_payload_v4};
use router::{Setup, Surroundings, config, dingtalk};

/// 2026-11-21 14:00:00 UTC.
const NOW_MS: i64 = 1_795_269_600_000;

const ROUTES: &str = "route: {receiver: r}
receivers:
- name: r
  webhook_configs: [{url: 'http://127.0.0.1:9099/dingtalk/ops/send'}]
  email_configs: [{to: 'a@x, b@x', from: wd@x, smarthost: 'h:25', headers: {reply-to: ops@x}, threading: {enabled: true}}]
";

const ROBOTS: &str = "targets:
  ops: {url: 'http://h/robot/send?access_token=a', secret: SECx, mention: {mobiles: ['13800000000']}}
  all: {url: 'http://h/robot/send?access_token=b', mention: {all: true}}
  own: {url: 'http://h/robot/send?access_token=c', message: {title: '{{ .Status | toUpper }} {{ len .Alerts.Firing }}', text: '{{ range .Alerts }}- {{ .Labels.alertname }} {{ .StartsAt.Format \"15:04\" }} {{ index .Labels \"x\" | markdown }}{{ \"\\n\" }}{{ end }}{{ range .AtMobiles }}@{{ . }}{{ end }}'}}
  broken: {url: 'http://h/robot/send?access_token=d', message: {text: '{{ index .Alerts 99 }}'}}
";

fn setup(lang: Lang, templates: &[(String, String)]) -> Arc<Setup> {
    let config = config::load("alertmanager.yml", ROUTES).unwrap().config;
    let robots = dingtalk::load("dingtalk.yml", ROBOTS).unwrap().config;
    let surroundings = Surroundings {
        own_addresses: vec!["127.0.0.1:9099".to_owned()],
        external_url: "http://wd:9099".to_owned(),
        lang,
        timezone: "Asia/Shanghai".to_owned(),
        ..Surroundings::default()
    };
    Setup::link(config, robots, templates, &surroundings).unwrap().config
}

fn email(setup: &Setup) -> Email {
    let found = setup.integrations("r").iter().find_map(|one| if let Integration::Email(email) = &**one { Some(email) } else { None });
    *found.unwrap().clone()
}

fn sample(name: &str) -> Notification {
    parse_payload_v4(&std::fs::read(crate::golden::tests_path(&format!("messages/{name}.json"))).unwrap()).unwrap()
}

/// A notification of `count` alerts.
fn many(count: usize) -> Notification {
    let mut many = sample("one_critical");
    let one = many.alerts[0].clone();
    many.alerts = (0..count)
        .map(|at| {
            let mut alert = one.clone();
            alert.labels = router::labels::Labels::from_pairs(alert.labels.iter().chain([("n", at.to_string().as_str())]));
            alert.fingerprint = alert.labels.fingerprint();
            alert
        })
        .collect();
    many
}

#[test]
fn every_notification_is_worded_as_expected() {
    let files = files("messages", ".json");
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let notification = parse_payload_v4(&std::fs::read(&path).unwrap()).unwrap();
        for (lang, ending) in [(Lang::Zh, "zh"), (Lang::En, "en")] {
            let setup = setup(lang, &[]);
            let message = setup.dingtalk_message("ops", &notification, NOW_MS).unwrap();
            assert_eq!(message.note, None);
            let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
            let shown = format!("title: {}\nat: {}\n\n{}\n", message.title, body["at"], message.text);
            compare(&path.with_extension(format!("{ending}.md")), &shown);
            let mail = setup.mail(&email(&setup), &notification, NOW_MS).unwrap();
            let head = format!("From: {}\nTo: {}\nSubject: {}\n{:?}\n\n", mail.from, mail.to.join(" | "), mail.subject, mail.headers);
            let shown = format!("{head}{}\n{}", mail.text.unwrap_or_default(), mail.html.unwrap_or_default());
            compare(&path.with_extension(format!("{ending}.mail")), &shown);
        }
    }
}

#[test]
fn a_message_is_never_too_long_and_says_what_is_left_out() {
    let setup = setup(Lang::Zh, &[]);
    for count in [1, 30, 49, 51, 10_000] {
        let message = setup.dingtalk_message("ops", &many(count), NOW_MS).unwrap();
        assert!(message.body.len() < 20_000, "{count} alerts make {} bytes", message.body.len());
        let shown = message.text.matches("####").count().max(1);
        let left_out = message.text.split("另有 ").nth(1).map_or(0, |rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
        assert_eq!(shown + left_out, count, "{}", message.text);
        assert!(message.text.ends_with("@13800000000"), "{}", message.text);
    }
    assert!(setup.dingtalk_message("ops", &many(51), NOW_MS).unwrap().text.matches("####").count() >= 15);
}

#[test]
fn one_alert_with_huge_texts_still_fits() {
    let mut huge = sample("one_critical");
    let text = "汉字".repeat(20_000);
    huge.alerts[0].annotations = router::labels::Labels::from_pairs([("summary", text.as_str()), ("description", &text), ("action", &text)]);
    let setup = setup(Lang::Zh, &[]);
    for target in ["ops", "own"] {
        let message = setup.dingtalk_message(target, &huge, NOW_MS).unwrap();
        assert!(message.body.len() < 20_000, "{}", message.body.len());
    }
}

#[test]
fn a_template_of_the_users_own_sees_the_documented_data() {
    let message = setup(Lang::Zh, &[]).dingtalk_message("own", &sample("several"), NOW_MS).unwrap();
    assert_eq!(message.title, "FIRING 2");
    assert_eq!(message.text, "- NoData 21:59 \n- NoData 21:59 \n- NoData 21:00 \n@13700000000\n\n**[另有 3 条未显示](http://wd:9099)**");
}

#[test]
fn a_template_that_fails_is_replaced_by_ours_and_named() {
    let message = setup(Lang::En, &[]).dingtalk_message("broken", &sample("resolved"), NOW_MS).unwrap();
    let note = message.note.unwrap();
    assert!(note.en.contains("broken") && note.en.contains("99"), "{note:?}");
    assert!(message.text.contains("CollectorHighMemory"));
}

#[test]
fn templates_of_files_replace_ours() {
    let file = (
        "t.tmpl".to_owned(),
        "{{ define \"ding.link.title\" }}[keyword] {{ .Title | trimPrefix \"x\" }}{{ end }}{{ define \"email.default.subject\" }}S{{ end }}"
            .to_owned(),
    );
    let setup = setup(Lang::En, &[file]);
    let message = setup.dingtalk_message("ops", &sample("resolved"), NOW_MS).unwrap();
    assert_eq!(message.title, "[keyword] ✅ Resolved CollectorHighMemory 127.0.0.1:9092");
    // The file uses a function that only robots' templates have, so mail keeps ours.
    assert!(setup.mail(&email(&setup), &sample("resolved"), NOW_MS).unwrap().subject.starts_with("[RESOLVED]"));
}

#[test]
fn a_template_that_cannot_be_parsed_is_a_finding_with_its_place() {
    let config = config::load("alertmanager.yml", ROUTES).unwrap().config;
    let robots = dingtalk::load("dingtalk.yml", "targets: {ops: {url: 'http://h/x', message: {title: '{{ .X'}}}\n").unwrap().config;
    let files = [("t.tmpl".to_owned(), "line\n{{ nope }}".to_owned())];
    let surroundings = Surroundings { own_addresses: vec!["127.0.0.1:9099".to_owned()], timezone: "Mars/Base".to_owned(), ..Surroundings::default() };
    let found = Setup::link(config, robots, &files, &surroundings).unwrap_err();
    let shown: Vec<_> = found.iter().map(|one| (one.code, one.file.as_str(), one.place.map(|place| place.line))).collect();
    assert_eq!(shown, [("E233", "t.tmpl", Some(2)), ("E233", "dingtalk.yml", Some(1)), ("E234", "", None)]);
}

#[test]
fn everybody_is_called_only_for_a_fire() {
    let setup = setup(Lang::Zh, &[]);
    for (name, all) in [("one_critical", true), ("resolved", false)] {
        let message = setup.dingtalk_message("all", &sample(name), NOW_MS).unwrap();
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(body["at"]["isAtAll"], all, "{name}");
    }
    assert_eq!(setup.dingtalk_message("nobody", &sample("resolved"), NOW_MS), None);
}

#[test]
fn a_webhook_may_have_a_url_and_body_of_its_own() {
    let routes = "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://h/{{ .GroupLabels.alertname }}', payload: {text: '{{ .Title }}', n: 3, list: ['{{ .Status }}', null]}}, {url: 'http://h/', max_alerts: 1}]}]\n";
    let config = config::load("alertmanager.yml", routes).unwrap().config;
    let webhooks = config.receivers[0].webhooks.clone();
    let setup = Setup::link(config, dingtalk::Config::default(), &[], &Surroundings::default()).unwrap().config;
    let request = setup.webhook_request(&webhooks[0], &sample("resolved"), NOW_MS).unwrap();
    assert_eq!(request.url.inline(), Some("http://h/CollectorHighMemory"));
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body, serde_json::json!({"text": "✅ Resolved CollectorHighMemory 127.0.0.1:9092", "n": 3, "list": ["resolved", null]}));
    let request = setup.webhook_request(&webhooks[1], &sample("several"), NOW_MS).unwrap();
    assert_eq!(parse_payload_v4(request.body.as_bytes()).unwrap().truncated_alerts, 5);
}

#[test]
fn a_sample_is_sent_to_every_way_but_a_restart() {
    let setup = setup(Lang::Zh, &[]);
    let sample = setup.sample(NOW_MS, "r").unwrap();
    assert_eq!(sample.iter().map(|one| one.integration.as_str()).collect::<Vec<_>>(), ["dingtalk", "email"]);
    let message = setup.dingtalk_message("ops", &sample[0].notification, NOW_MS).unwrap();
    assert!(message.text.contains("测试"), "{}", message.text);
    assert_eq!(setup.sample(NOW_MS, "nobody"), None);
}
