//! Messages on their way: one attempt at a time, judged and reported back.
//!
//! Owns: the wire of each kind of message. What a message says, when it is sent again and how many a minute are allowed is decided in
//! `crates/router`; restarts are not messages and are handled elsewhere. Must not know: routes, groups, rules.

mod dingtalk;
mod email;
pub(crate) mod oauth2;
pub(crate) mod secret;
pub(crate) mod tls;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use router::delivery::{Delivery, Integration, Outcome};
use router::{Setup, notification::Notification};

use crate::routing::Deliver;
pub use secret::SecretError;

/// Longest wait for one attempt, whatever its kind.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const REPLY_LIMIT: usize = 64 * 1024;

/// Carries messages.
#[derive(Clone, Debug)]
pub struct Courier {
    http: reqwest::Client,
    base: PathBuf,
}

/// Why the courier cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {0}")]
pub struct CourierError(#[from] reqwest::Error);

// === impl Courier ===

impl Courier {
    /// A courier; secret files of the configuration are relative to `base`.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(base: PathBuf) -> Result<Self, CourierError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::bundled_roots())
            .timeout(ATTEMPT_WITHIN)
            .connect_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(1)
            .user_agent(concat!("tidemark-watchdog/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, base })
    }

    /// One attempt. Never fails otherwise than by its outcome, never takes much longer than ten seconds.
    pub async fn carry(&self, setup: &Setup, delivery: &Delivery, now_ms: i64) -> Outcome {
        let attempt = async {
            match &*delivery.integration {
                Integration::DingTalk { target, .. } => self.send_dingtalk(setup, target, &delivery.notification, now_ms).await,
                Integration::Webhook(webhook) => self.send_webhook(setup, webhook, delivery, now_ms).await,
                Integration::Email(email) => self.send_email(setup, email, delivery, now_ms).await,
                Integration::Restart { name } => Outcome::Permanent { reason: format!("restart {name} is not a message") },
            }
        };
        match tokio::time::timeout(ATTEMPT_WITHIN + Duration::from_secs(1), attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::retry(format!("no answer within {} s", ATTEMPT_WITHIN.as_secs())),
        }
    }

    /// A message to a robot, for a delivery, for `notify test`, or handed over by another Alertmanager.
    pub async fn send_dingtalk(&self, setup: &Setup, target: &str, notification: &Notification, now_ms: i64) -> Outcome {
        match setup.dingtalk_message(target, notification, now_ms) {
            Some(message) => dingtalk::send(&self.http, &self.base, &message, now_ms).await,
            None => Outcome::Permanent { reason: format!("no robot `{target}` in dingtalk.yml") },
        }
    }

    async fn send_webhook(&self, setup: &Setup, webhook: &router::config::Webhook, delivery: &Delivery, now_ms: i64) -> Outcome {
        match setup.webhook_request(webhook, &delivery.notification, now_ms) {
            Ok(asked) => webhook::send(&self.http, &self.base, webhook, asked).await,
            Err(reason) => Outcome::Permanent { reason },
        }
    }

    async fn send_email(&self, setup: &Setup, email: &router::config::Email, delivery: &Delivery, now_ms: i64) -> Outcome {
        match setup.mail(email, &delivery.notification, now_ms) {
            Ok(mail) => email::send(&self.base, email, &mail, &delivery.idempotency_key).await,
            Err(reason) => Outcome::Permanent { reason },
        }
    }
}

impl Deliver for Courier {
    fn deliver(&self, setup: Arc<Setup>, delivery: Delivery, now_ms: i64) -> BoxFuture<'static, Outcome> {
        let courier = self.clone();
        Box::pin(async move { courier.carry(&setup, &delivery, now_ms).await })
    }
}

/// At most [`REPLY_LIMIT`] bytes of an answer.
async fn read_reply(mut reply: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        let room = REPLY_LIMIT.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body)
}

/// What went wrong on the way, without the URL: it may hold a token.
fn without_url(error: reqwest::Error) -> String {
    use std::error::Error;
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
