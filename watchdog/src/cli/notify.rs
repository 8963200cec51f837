//! `watchdog notify test`: a message to one receiver, to see that it arrives and what it looks like.
//!
//! Owns: the sample alert and what is printed. Must not know: how messages are rendered or carried.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use diagnostics::{EXIT_CONFIG, Format, Lang};
use router::Setup;
use router::delivery::{Delivery, DeliveryId, Integration, Outcome};
use router::labels::Labels;
use router::notification::{NOT_ENDED, Notification, NotifiedAlert, NotifyReason, Status};

use super::{language, now_ms, print};
use crate::deliver::Courier;
use crate::{config, setup};

/// Sends a test message to a receiver, or shows what would be sent.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  watchdog notify test --receiver dingtalk --dry-run\n  watchdog notify test --receiver dingtalk --send\n\nExit codes: 0 accepted, 1 not accepted, 2 no such receiver, 78 the configuration cannot be used"
)]
pub struct NotifyTest {
    /// Configuration of the watchdog
    #[arg(long, default_value = "watchdog.yml")]
    config: PathBuf,
    /// Receiver of alertmanager.yml
    #[arg(long)]
    receiver: String,
    /// Send it
    #[arg(long, conflicts_with = "dry_run", required_unless_present = "dry_run")]
    send: bool,
    /// Show it and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Language of this command's output: zh or en
    #[arg(long)]
    lang: Option<String>,
}

/// Runs the command: 0 all were accepted, 1 at least one was not, 2 no such receiver, 78 the configuration cannot be used.
pub async fn run(args: NotifyTest) -> ExitCode {
    let lang = language(args.lang.as_deref());
    let linked = match load(&args, lang) {
        Ok(linked) => linked,
        Err(code) => return code,
    };
    let ways = linked.setup.integrations(&args.receiver);
    if ways.is_empty() {
        let known: Vec<&str> = linked.setup.config.receivers.iter().map(|receiver| &*receiver.name).collect();
        let said = match lang {
            Lang::En => format!("receiver `{}` has nothing to send with; receivers: {}", args.receiver, known.join(", ")),
            Lang::Zh => format!("接收者 `{}` 没有可用的发送方式；现有接收者：{}", args.receiver, known.join("、")),
        };
        print(&said);
        return ExitCode::from(2);
    }
    let mut failed = false;
    for way in ways {
        let delivery = sample(&args.receiver, way.clone(), &linked.setup);
        if args.dry_run {
            print(&preview(&linked.setup, &delivery));
        } else {
            failed |= !send(&linked, &delivery, lang).await;
        }
    }
    ExitCode::from(u8::from(failed))
}

fn load(args: &NotifyTest, lang: Lang) -> Result<setup::Linked, ExitCode> {
    let refused = ExitCode::from(u8::try_from(EXIT_CONFIG).unwrap_or(1));
    let loaded = config::load(&args.config).map_err(|(found, source)| {
        let mut findings = crate::findings::Findings::default();
        findings.add(&source.name, &source.text, found);
        print(&findings.render(lang, Format::Text));
        refused
    })?;
    match setup::load(&loaded.config) {
        Ok(Some(linked)) => Ok(linked),
        Ok(None) => {
            print(
                "watchdog.yml names no alertmanager.config_file: there are no receivers / watchdog.yml 未设置 alertmanager.config_file，没有接收者",
            );
            Err(refused)
        }
        Err(findings) => {
            print(&findings.render(lang, Format::Text));
            Err(refused)
        }
    }
}

/// One firing alert that says it is a test.
fn sample(receiver: &str, integration: Arc<Integration>, setup: &Setup) -> Delivery {
    let now_ms = now_ms();
    let labels =
        Labels::from_pairs([("alertname", "TidemarkTest"), ("severity", "warning"), ("process", "collector"), ("instance", "127.0.0.1:9092")]);
    let annotations = Labels::from_pairs([
        ("summary", "This is a test message / 这是一条测试消息"),
        ("description", "Sent by `watchdog notify test`; nothing is wrong / 由 `watchdog notify test` 发送，系统正常"),
    ]);
    let alert = NotifiedAlert {
        status: Status::Firing,
        labels: labels.clone(),
        annotations: annotations.clone(),
        starts_at: now_ms,
        ends_at: NOT_ENDED,
        generator_url: setup.external_url.clone(),
        fingerprint: labels.fingerprint(),
    };
    let notification = Notification {
        version: "4".to_owned(),
        group_key: "{}:{alertname=\"TidemarkTest\"}".to_owned(),
        truncated_alerts: 0,
        status: Status::Firing,
        receiver: receiver.to_owned(),
        group_labels: Labels::from_pairs([("alertname", "TidemarkTest")]),
        common_labels: labels,
        common_annotations: annotations,
        external_url: setup.external_url.clone(),
        alerts: vec![alert],
        reason: NotifyReason::None,
        groups: 1,
    };
    let idempotency_key = format!("test-{now_ms}");
    Delivery { id: DeliveryId(0), receiver: receiver.into(), integration, notification, attempt: 1, idempotency_key }
}

/// What would be sent, without tokens.
fn preview(setup: &Setup, delivery: &Delivery) -> String {
    let notification = &delivery.notification;
    let body = match &*delivery.integration {
        Integration::DingTalk { target, .. } => match setup.dingtalk_message(target, notification, now_ms()) {
            Some(message) => format!("{}\n\n{}", message.title, message.text),
            None => format!("no robot `{target}`"),
        },
        Integration::Webhook(webhook) => setup.webhook_request(webhook, notification, now_ms()).map_or_else(|error| error, |request| request.body),
        Integration::Email(email) => match setup.mail(email, notification, now_ms()) {
            Ok(mail) => format!("To: {}\nSubject: {}\n\n{}", mail.to.join(", "), mail.subject, mail.text.or(mail.html).unwrap_or_default()),
            Err(error) => error,
        },
        Integration::Restart { name } => format!("restart of {name}: only a firing alert asks for it, a test never does"),
    };
    format!("== {} · {} ==\n{body}\n", delivery.receiver, delivery.integration.as_str())
}

/// Sends it and says how it went; true when it was accepted.
async fn send(linked: &setup::Linked, delivery: &Delivery, lang: Lang) -> bool {
    let way = delivery.integration.as_str();
    if matches!(*delivery.integration, Integration::Restart { .. }) {
        print(&preview(&linked.setup, delivery));
        return true;
    }
    let outcome = match Courier::new(linked.base.clone()) {
        Ok(courier) => courier.carry(&linked.setup, delivery, now_ms()).await,
        Err(error) => Outcome::Permanent { reason: error.to_string() },
    };
    let (accepted, reason) = match outcome {
        Outcome::Ok => (true, String::new()),
        Outcome::Retry { reason, .. } | Outcome::Throttled { reason, .. } | Outcome::Permanent { reason } => (false, reason),
    };
    print(&match (accepted, lang) {
        (true, Lang::En) => format!("{way}: accepted"),
        (true, Lang::Zh) => format!("{way}：已接收"),
        (false, Lang::En) => format!("{way}: failed: {reason}"),
        (false, Lang::Zh) => format!("{way}：失败：{reason}"),
    });
    accepted
}
