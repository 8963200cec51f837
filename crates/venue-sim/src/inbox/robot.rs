//! What a DingTalk custom robot checks, in its order, and its answers (facts of the open platform's "custom robot" pages and of reported replies).
//! Decides and answers; the HTTP side carries it. Time is passed in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::store::Content;

/// Skew of the signature's time that is accepted.
const SKEW_MS: i64 = 3_600_000;
/// Largest body.
const BODY_MAX: usize = 20_000;
/// Idempotency keys remembered.
const UUIDS: usize = 256;
/// Robots whose rate is remembered.
const ROBOTS: usize = 64;
const MINUTE: Duration = Duration::from_mins(1);

/// The robot's checks and limits.
#[derive(Debug, Clone)]
pub struct RobotConfig {
    /// Secret of the signature; `None`: not checked.
    pub secret: Option<String>,
    /// Known tokens; empty: any token is a robot.
    pub tokens: Vec<String>,
    /// The title or the text must hold one of these; empty: not checked.
    pub keywords: Vec<String>,
    /// Messages per minute and robot.
    pub per_minute: usize,
    /// Length of the mute after too many.
    pub mute: Duration,
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Post<'a> {
    /// Query parameters.
    pub query: &'a [(String, String)],
    /// Content type.
    pub content_type: &'a str,
    /// Body.
    pub body: &'a [u8],
}

/// The answer: an error code and text, and what is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `errcode`.
    pub code: i64,
    /// `errmsg`.
    pub message: String,
    /// The accepted message, unless it repeats one.
    pub accepted: Option<Content>,
}

/// The robot.
#[derive(Debug)]
pub(super) struct Robot {
    config: RobotConfig,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    robots: BTreeMap<String, Rate>,
    uuids: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Rate {
    sent: VecDeque<Instant>,
    mute_until: Option<Instant>,
}

// === impl RobotConfig ===

impl Default for RobotConfig {
    fn default() -> Self {
        let secret = Some("SECvenue-sim-test-secret".to_owned());
        Self { secret, tokens: Vec::new(), keywords: Vec::new(), per_minute: 20, mute: Duration::from_mins(10) }
    }
}

// === impl Robot ===

impl Robot {
    /// A robot with nothing sent yet.
    pub(super) fn new(config: RobotConfig) -> Self {
        Self { config, memory: Mutex::new(Memory::default()) }
    }

    /// Judges one post.
    pub(super) fn receive(&self, post: Post<'_>, wall_ms: i64, now: Instant) -> Verdict {
        match self.check(post, wall_ms, now) {
            Ok(accepted) => Verdict { code: 0, message: "ok".to_owned(), accepted },
            Err((code, message)) => Verdict { code, message, accepted: None },
        }
    }

    fn check(&self, post: Post<'_>, wall_ms: i64, now: Instant) -> Result<Option<Content>, (i64, String)> {
        let refuse = |code: i64, message: &str| Err((code, message.to_owned()));
        let token = find(post.query, "access_token").unwrap_or_default();
        if token.is_empty() || !self.config.tokens.is_empty() && !self.config.tokens.iter().any(|known| known == token) {
            return refuse(300_001, "token is not exist");
        }
        if !post.content_type.to_ascii_lowercase().starts_with("application/json") {
            return refuse(43_004, "无效的HTTP HEADER Content-Type");
        }
        if post.body.len() > BODY_MAX {
            return refuse(460_101, "message too long, exceed 20000 bytes");
        }
        let Ok(body) = serde_json::from_slice::<Value>(post.body) else { return refuse(40_035, "缺少参数 json") };
        let content = read(token, &body)?;
        self.check_signature(post.query, wall_ms)?;
        self.check_keywords(&content)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if !memory.may_send(token, &self.config, now) {
            let limit = self.config.per_minute;
            return Err((130_101, format!("send too fast, exceed {limit} times per minute")));
        }
        let repeats = body.get("msgUuid").and_then(Value::as_str).is_some_and(|uuid| memory.repeats(uuid));
        Ok((!repeats).then_some(content))
    }

    fn check_signature(&self, query: &[(String, String)], wall_ms: i64) -> Result<(), (i64, String)> {
        let Some(secret) = &self.config.secret else { return Ok(()) };
        let stamp = find(query, "timestamp").unwrap_or_default();
        let sent_ms: Option<i64> = stamp.parse().ok();
        if sent_ms.is_none_or(|ms| (wall_ms - ms).abs() > SKEW_MS) {
            return Err((310_000, "invalid timestamp, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]".to_owned()));
        }
        if find(query, "sign") != Some(signature(stamp, secret).as_str()) {
            return Err((310_000, "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]".to_owned()));
        }
        Ok(())
    }

    fn check_keywords(&self, content: &Content) -> Result<(), (i64, String)> {
        let Content::Dingtalk { title, text, .. } = content else { return Ok(()) };
        let holds = |word: &String| title.contains(word.as_str()) || text.contains(word.as_str());
        if self.config.keywords.is_empty() || self.config.keywords.iter().any(holds) {
            return Ok(());
        }
        Err((310_000, "keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]".to_owned()))
    }
}

// === impl Memory ===

impl Memory {
    fn may_send(&mut self, token: &str, config: &RobotConfig, now: Instant) -> bool {
        if self.robots.len() >= ROBOTS && !self.robots.contains_key(token) {
            self.robots.pop_first();
        }
        let rate = self.robots.entry(token.to_owned()).or_default();
        if rate.mute_until.is_some_and(|until| until > now) {
            return false;
        }
        rate.mute_until = None;
        while rate.sent.front().is_some_and(|&at| now.saturating_duration_since(at) >= MINUTE) {
            rate.sent.pop_front();
        }
        if rate.sent.len() >= config.per_minute {
            rate.mute_until = Some(now + config.mute);
            return false;
        }
        rate.sent.push_back(now);
        true
    }

    fn repeats(&mut self, uuid: &str) -> bool {
        if self.uuids.iter().any(|known| known == uuid) {
            return true;
        }
        self.uuids.push_back(uuid.to_owned());
        if self.uuids.len() > UUIDS {
            self.uuids.pop_front();
        }
        false
    }
}

/// Base64 of HMAC-SHA256 over `timestamp LF secret`, with the secret as the key.
pub(super) fn signature(timestamp: &str, secret: &str) -> String {
    // HMAC takes a key of any length, so this cannot fail; an empty signature matches nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn read(token: &str, body: &Value) -> Result<Content, (i64, String)> {
    let msgtype = body.get("msgtype").and_then(Value::as_str).unwrap_or_default();
    let object = body.get(msgtype).filter(|object| object.is_object());
    let Some(object) = object else { return Err((400_105, format!("unsupported msgtype: {msgtype}"))) };
    let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (title, text) = match msgtype {
        "text" => (String::new(), field("content")),
        "markdown" | "link" | "actionCard" => (field("title"), field("text")),
        "feedCard" => (String::new(), object.get("links").map(ToString::to_string).unwrap_or_default()),
        _ => return Err((400_105, format!("unsupported msgtype: {msgtype}"))),
    };
    if text.is_empty() || msgtype == "markdown" && title.is_empty() {
        return Err((40_035, "缺少参数 title or text".to_owned()));
    }
    Ok(Content::Dingtalk { token: token.to_owned(), msgtype: msgtype.to_owned(), title, text, at: mentions(body.get("at").unwrap_or(&json!({}))) })
}

fn mentions(at: &Value) -> Vec<String> {
    let list = |name: &str| at.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let names = list("atMobiles").into_iter().chain(list("atUserIds")).filter_map(|name| name.as_str().map(str::to_owned));
    let all = at.get("isAtAll").and_then(Value::as_bool).unwrap_or_default();
    names.chain(all.then(|| "all".to_owned())).collect()
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn query(stamp: i64, sign: &str) -> Vec<(String, String)> {
        [("access_token", "t"), ("timestamp", &stamp.to_string()), ("sign", sign)].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec()
    }

    fn send(robot: &Robot, query: &[(String, String)], body: &[u8], now: Instant) -> i64 {
        robot.receive(Post { query, content_type: "application/json; charset=utf-8", body }, NOW_MS, now).code
    }

    fn markdown(text: &str) -> Vec<u8> {
        json!({"msgtype": "markdown", "markdown": {"title": "t", "text": text}, "at": {"atMobiles": ["138"], "isAtAll": true}})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn signs_as_published() {
        assert_eq!(signature("1577262236757", "this is secret"), "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM=");
        assert_eq!(signature("1700000000000", "SECexample0123456789"), "figG6qqCA/lRh0hsGCW2zNtNV5znkAFut5BI0zKhqnQ=");
    }

    #[test]
    fn refuses_with_the_robots_codes() {
        let config = RobotConfig { keywords: vec!["alert".into()], ..RobotConfig::default() };
        let secret = config.secret.clone().unwrap();
        let robot = Robot::new(config);
        let now = Instant::now();
        let good = query(NOW_MS, &signature(&NOW_MS.to_string(), &secret));
        let old_ms = NOW_MS - SKEW_MS - 1;
        let old = query(old_ms, &signature(&old_ms.to_string(), &secret));
        type Row<'a> = (&'a [(String, String)], Vec<u8>, i64);
        let rows: [Row<'_>; 8] = [
            (&good, markdown("an alert"), 0),
            (&good, markdown("nothing"), 310_000),
            (&query(NOW_MS, "x"), markdown("an alert"), 310_000),
            (&old, markdown("an alert"), 310_000),
            (&[], markdown("an alert"), 300_001),
            (&good, b"{".to_vec(), 40_035),
            (&good, br#"{"msgtype":"smoke","smoke":{}}"#.to_vec(), 400_105),
            (&good, markdown(&format!("alert {}", "x".repeat(20_000))), 460_101),
        ];
        for (query, body, code) in rows {
            assert_eq!(send(&robot, query, &body, now), code, "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
        }
        let form = Post { query: &good, content_type: "text/plain", body: &markdown("an alert") };
        assert_eq!(robot.receive(form, NOW_MS, now).code, 43_004);
    }

    #[test]
    fn too_many_in_a_minute_mute_the_robot() {
        let robot = Robot::new(RobotConfig { secret: None, per_minute: 3, mute: Duration::from_secs(100), ..RobotConfig::default() });
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let post = |seconds| send(&robot, &query(0, ""), &markdown("x"), at(seconds));
        assert_eq!([post(0), post(1), post(2), post(3), post(90), post(104)], [0, 0, 0, 130_101, 130_101, 0]);
    }

    #[test]
    fn a_repeated_uuid_is_accepted_and_not_kept_twice() {
        let robot = Robot::new(RobotConfig { secret: None, ..RobotConfig::default() });
        let body = json!({"msgtype": "text", "text": {"content": "x"}, "msgUuid": "u1"}).to_string().into_bytes();
        let query = query(0, "");
        let post = Post { query: &query, content_type: "application/json", body: &body };
        assert!(robot.receive(post, NOW_MS, Instant::now()).accepted.is_some());
        let again = robot.receive(post, NOW_MS, Instant::now());
        assert_eq!((again.code, again.accepted), (0, None));
    }
}
