//! A token by client credentials (RFC 6749, 4.4), asked for with each message: messages are few, and a token kept would be one more secret in memory.

use std::path::Path;

use router::config::OAuth2;
use serde::Deserialize;

use super::{read_reply, secret, without_url};

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// A fresh token; the error says what the token endpoint answered, never a secret.
pub(super) async fn token(http: &reqwest::Client, base: &Path, settings: &OAuth2) -> Result<String, String> {
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
    let granted: Granted = serde_json::from_slice(&body).map_err(|error| format!("oauth2: no access_token in the answer: {error}"))?;
    Ok(granted.access_token)
}

fn escape(text: &str) -> String {
    gotemplate::escape::url_query(text)
}
