//! A sample message, to try a receiver without an alert.

use clock::Now;
use diagnostics::Lang;

use super::Router;
use super::send::assemble;
use crate::delivery::{Delivery, DeliveryId};
use crate::labels::Labels;
use crate::notification::{NOT_ENDED, Notification, NotifiedAlert, NotifyReason, Status};
use crate::setup::Setup;

impl Router {
    /// Deliveries of a sample notification to every integration of a receiver, without touching any state; their outcome need not be reported.
    /// `None` when there is no such receiver.
    pub fn sample(&self, now: Now, receiver: &str) -> Option<Vec<Delivery>> {
        self.setup.sample(now.wall_ms, receiver)
    }
}

impl Setup {
    /// As [`Router::sample`], for a command line that runs no router. A restart is left out: trying it would restart something.
    pub fn sample(&self, wall_ms: i64, receiver: &str) -> Option<Vec<Delivery>> {
        self.config.receiver(receiver)?;
        let notification = sample_notification(self, wall_ms, receiver);
        let carried = self.integrations(receiver).iter().filter(|integration| integration.as_str() != "restart");
        let delivery = |(at, integration): (usize, &std::sync::Arc<crate::delivery::Integration>)| Delivery {
            id: DeliveryId(0),
            receiver: receiver.into(),
            integration: integration.clone(),
            notification: notification.clone(),
            attempt: 1,
            idempotency_key: format!("sample-{wall_ms}-{at}"),
        };
        Some(carried.enumerate().map(delivery).collect())
    }
}

fn sample_notification(setup: &Setup, wall_ms: i64, receiver: &str) -> Notification {
    let labels = Labels::from_pairs([("alertname", "TidemarkTest"), ("severity", "info"), ("instance", "test")]);
    let (summary, action) = match setup.lang {
        Lang::En => ("this is a test message, nothing is wrong", "nothing to do"),
        Lang::Zh => ("这是一条测试消息，没有故障", "无需处理"),
    };
    let alert = NotifiedAlert {
        status: Status::Firing,
        fingerprint: labels.fingerprint(),
        labels: labels.clone(),
        annotations: Labels::from_pairs([("summary", summary), ("action", action)]),
        starts_at: wall_ms,
        ends_at: NOT_ENDED,
        generator_url: String::new(),
    };
    Notification {
        receiver: receiver.to_owned(),
        group_labels: labels.filtered(|name| name == "alertname"),
        group_key: format!("test:{wall_ms}"),
        external_url: setup.external_url.clone(),
        ..assemble(vec![alert], NotifyReason::None)
    }
}
