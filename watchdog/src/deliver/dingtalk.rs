//! A signed POST to a robot. Its answer is judged by `router::dingtalk::classify`.

use std::path::Path;

use reqwest::header::CONTENT_TYPE;
use router::delivery::Outcome;
use router::dingtalk::{Message, classify, signed_url};

use super::{read_reply, secret, without_url};

pub(super) async fn send(http: &reqwest::Client, base: &Path, message: &Message, now_ms: i64) -> Outcome {
    let url = match address(base, message, now_ms) {
        Ok(url) => url,
        Err(reason) => return Outcome::Permanent { reason },
    };
    let sent = http.post(url).header(CONTENT_TYPE, "application/json; charset=utf-8").body(message.body.clone()).send().await;
    let reply = match sent {
        Ok(reply) => reply,
        Err(error) if error.is_builder() => return Outcome::Permanent { reason: "the robot's url is not a URL".to_owned() },
        Err(error) => return Outcome::retry(without_url(error)),
    };
    let status = reply.status().as_u16();
    match read_reply(reply).await {
        Ok(body) => classify(status, &body).outcome,
        Err(error) => Outcome::retry(without_url(error)),
    }
}

/// The robot's URL, signed at this moment where it has a secret.
fn address(base: &Path, message: &Message, now_ms: i64) -> Result<String, String> {
    let url = secret::read(&message.url, base)?;
    match &message.secret {
        Some(key) => Ok(signed_url(&url, &secret::read(key, base)?, now_ms)),
        None => Ok(url),
    }
}
