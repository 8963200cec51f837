//! Alertmanager's generic webhook: POST of the version 4 payload. 2xx is success; 5xx and 429 are tried again, anything else is final
//! (Alertmanager documentation, "webhook_config").

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use router::WebhookRequest;
use router::config::{Auth, HttpConfig, Webhook};
use router::delivery::Outcome;

use super::{oauth2, read_reply, secret, tls, without_url};

/// Longest `Retry-After` that is obeyed.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

pub(super) async fn send(shared: &reqwest::Client, base: &Path, webhook: &Webhook, asked: WebhookRequest) -> Outcome {
    let request = match request(shared, base, webhook, &asked).await {
        Ok(request) => request,
        Err(reason) => return Outcome::Permanent { reason },
    };
    let request = match webhook.timeout {
        Some(timeout) => request.timeout(timeout),
        None => request,
    };
    let sent = request.header(CONTENT_TYPE, "application/json").body(asked.body).send().await;
    let reply = match sent {
        Ok(reply) => reply,
        Err(error) if error.is_builder() => return Outcome::Permanent { reason: "the webhook's url is not a URL".to_owned() },
        Err(error) => return Outcome::retry(without_url(error)),
    };
    let status = reply.status();
    if status.is_success() {
        return Outcome::Ok;
    }
    let after = reply.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let body = read_reply(reply).await.unwrap_or_default();
    let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let reason = format!("HTTP {}: {}", status.as_u16(), said.trim());
    if status.is_server_error() || status.as_u16() == 429 {
        Outcome::Retry { after: after.map(Duration::from_secs).map(|wait| wait.min(RETRY_AFTER_MAX)), reason }
    } else {
        Outcome::Permanent { reason }
    }
}

async fn request(shared: &reqwest::Client, base: &Path, webhook: &Webhook, asked: &WebhookRequest) -> Result<reqwest::RequestBuilder, String> {
    let url = secret::read(&asked.url, base)?;
    let client = if needs_own_client(&webhook.http) { own_client(base, &webhook.http)? } else { shared.clone() };
    let mut request = client.post(url);
    request = match &webhook.http.auth {
        Auth::None => request,
        Auth::Basic { username, password } => {
            let password = password.as_ref().map(|source| secret::read(source, base)).transpose()?;
            request.basic_auth(secret::read(username, base)?, password)
        }
        Auth::OAuth2(settings) => request.bearer_auth(oauth2::token(&client, base, settings).await?),
        Auth::Header { kind, credentials } => request.header("authorization", format!("{kind} {}", secret::read(credentials, base)?)),
    };
    for (name, values) in &webhook.http.headers {
        for value in values {
            request = request.header(name, secret::read(value, base)?);
        }
    }
    Ok(request)
}

fn needs_own_client(http: &HttpConfig) -> bool {
    let HttpConfig { auth: _, headers: _, enable_http2: _, no_proxy: _, follow_redirects, proxy_url, proxy_from_environment: _, tls } = http;
    !follow_redirects || proxy_url.is_some() || *tls != router::config::TlsConfig::default()
}

fn own_client(base: &Path, http: &HttpConfig) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder().timeout(super::ATTEMPT_WITHIN).tls_backend_preconfigured(tls::configured(&http.tls, base)?);
    if !http.follow_redirects {
        builder = builder.redirect(reqwest::redirect::Policy::none());
    }
    if let Some(proxy) = &http.proxy_url {
        let except = reqwest::NoProxy::from_string(&http.no_proxy);
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(without_url)?.no_proxy(except));
    }
    builder.build().map_err(without_url)
}
