//! A token by client credentials (RFC 6749, 4.4): asked for with each message, as messages are few; kept until it expires for scrapes and alerts handed over.

use std::path::Path;
use std::time::{Duration, Instant};

use router::config::OAuth2;
use serde::Deserialize;

use super::{read_reply, secret, without_url};

/// A token is not used in its last seconds: the request must arrive before it expires.
const SPARE: Duration = Duration::from_secs(10);
/// For a token whose answer does not say.
const UNSAID: Duration = Duration::from_mins(1);

/// What the endpoint answers.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: Option<f64>,
}

/// Tokens that are still good, by what they were asked for with; few, as configurations name few.
#[derive(Debug, Default)]
pub(crate) struct Tokens(tokio::sync::Mutex<Vec<(OAuth2, String, Instant)>>);

// === impl Tokens ===

impl Tokens {
    /// A token that is good now; asked for when there is none. Others who want one meanwhile wait for the same answer.
    pub(crate) async fn get(&self, http: &reqwest::Client, base: &Path, settings: &OAuth2) -> Result<String, String> {
        let mut kept = self.0.lock().await;
        kept.retain(|(_, _, until)| *until > Instant::now());
        if let Some((_, token, _)) = kept.iter().find(|(of, _, _)| of == settings) {
            return Ok(token.clone());
        }
        let granted = granted(http, base, settings).await?;
        let good_for = granted.expires_in.map_or(Some(UNSAID), |seconds| Duration::try_from_secs_f64(seconds).ok()?.checked_sub(SPARE));
        if let Some(until) = good_for.and_then(|good_for| Instant::now().checked_add(good_for)) {
            kept.push((settings.clone(), granted.access_token.clone(), until));
        }
        Ok(granted.access_token)
    }
}

/// A fresh token; the error says what the token endpoint answered, never a secret.
pub(super) async fn token(http: &reqwest::Client, base: &Path, settings: &OAuth2) -> Result<String, String> {
    granted(http, base, settings).await.map(|granted| granted.access_token)
}

async fn granted(http: &reqwest::Client, base: &Path, settings: &OAuth2) -> Result<Granted, String> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    if !settings.scopes.is_empty() {
        form.push(("scope", settings.scopes.join(" ")));
    }
    form.extend(settings.endpoint_params.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let body: String = form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&");
    let secret = settings.client_secret.as_ref().map(|source| secret::read(source, base)).transpose()?;
    let asked = http.post(&settings.token_url).basic_auth(&settings.client_id, secret);
    let asked = asked.header("content-type", "application/x-www-form-urlencoded").body(body);
    let reply = asked.send().await.map_err(|error| format!("oauth2: {}", without_url(error)))?;
    let status = reply.status();
    let body = read_reply(reply).await.map_err(|error| format!("oauth2: {}", without_url(error)))?;
    if !status.is_success() {
        return Err(format!("oauth2: the token endpoint answered HTTP {}", status.as_u16()));
    }
    serde_json::from_slice(&body).map_err(|error| format!("oauth2: no access_token in the answer: {error}"))
}

fn escape(text: &str) -> String {
    gotemplate::escape::url_query(text)
}
