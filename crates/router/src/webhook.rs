//! The request a webhook gets: URL and body, both of which may be templates.
//!
//! Owns: what is posted. Must not know: HTTP.

use gotemplate::Escape;

use crate::config::{Payload, Secret, SecretSource, Webhook};
use crate::message::{Style, data};
use crate::notification::{Notification, payload_v4};
use crate::setup::Setup;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where to.
    pub url: SecretSource,
    /// JSON.
    pub body: String,
}

impl Setup {
    /// The request that tells a webhook of a notification: Alertmanager's payload, or the user's own.
    ///
    /// # Errors
    /// A template that could not be carried out; trying again will not help.
    pub fn webhook_request(&self, webhook: &Webhook, notification: &Notification, now_ms: i64) -> Result<WebhookRequest, String> {
        let templated = webhook.url.inline().filter(|url| url.contains("{{"));
        if templated.is_none() && webhook.payload.is_none() {
            return Ok(WebhookRequest { url: webhook.url.clone(), body: payload_v4(notification, webhook.max_alerts) });
        }
        let style = Style { lang: self.lang, zone: &self.timezone, now_ms, escape: Escape::Text };
        let data = data::data(notification, &style, &[]);
        let render = |text: &str| style.render(self.alertmanager_templates(), ("webhook", text), &data);
        let url = match templated {
            Some(text) => SecretSource::Inline(Secret::new(render(text)?)),
            None => webhook.url.clone(),
        };
        let body = match &webhook.payload {
            Some(payload) => filled(payload, &render)?.to_string(),
            None => payload_v4(notification, webhook.max_alerts),
        };
        Ok(WebhookRequest { url, body })
    }
}

/// A payload with its texts rendered.
fn filled(payload: &Payload, render: &dyn Fn(&str) -> Result<String, String>) -> Result<serde_json::Value, String> {
    Ok(match payload {
        Payload::Plain(value) => value.clone(),
        Payload::Template(text) => render(text)?.into(),
        Payload::List(items) => items.iter().map(|item| filled(item, render)).collect::<Result<Vec<_>, _>>()?.into(),
        Payload::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.clone(), filled(value, render)?)));
            serde_json::Value::Object(entries.collect::<Result<serde_json::Map<_, _>, String>>()?)
        }
    })
}
