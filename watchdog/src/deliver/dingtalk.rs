//! A signed POST to a robot. Its answer is judged by `router::dingtalk::classify`.

use reqwest::header::CONTENT_TYPE;
use router::delivery::Outcome;
use router::dingtalk::{Message, classify, signed_url};

use super::{read_reply, without_url};

pub(super) async fn send(http: &reqwest::Client, message: &Message, now_ms: i64) -> Outcome {
    let url = match &message.secret {
        Some(secret) => signed_url(message.url.reveal(), secret.reveal(), now_ms),
        None => message.url.reveal().to_owned(),
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
