//! What a robot's answer means: done, later, throttled, never; with a sentence that tells an operator what to do.
//!
//! A robot answers HTTP 200 also when it refuses, so `errcode` decides (custom robot documentation, "error codes").

use std::time::Duration;

use diagnostics::Text;

use crate::delivery::Outcome;

/// An answer judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What to do; its reason is in English.
    pub outcome: Outcome,
    /// `errcode`; `None` when the body was not a robot's.
    pub errcode: Option<i64>,
    /// For people, in both languages.
    pub explanation: Text,
}

/// How long DingTalk mutes a robot that sent more than 20 messages in a minute.
pub const PENALTY: Duration = Duration::from_mins(10);

/// Judges a robot's reply by HTTP status and body.
pub fn classify(status: u16, body: &[u8]) -> Judgement {
    let reply: Option<Reply> = serde_json::from_slice(body).ok();
    match reply {
        Some(reply) => by_code(&reply),
        None => by_status(status),
    }
}

#[derive(serde::Deserialize)]
struct Reply {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

/// What kind of answer an errcode is.
#[derive(Clone, Copy)]
enum Kind {
    Done,
    Later,
    Throttled,
    Never,
}

fn by_code(reply: &Reply) -> Judgement {
    let (kind, en, zh) = meaning(reply);
    let explanation = if matches!(kind, Kind::Done) {
        Text::new(en, zh)
    } else {
        Text::new(
            format!("DingTalk errcode {}: {en} ({})", reply.errcode, reply.errmsg),
            format!("钉钉返回错误码 {}：{zh}（{}）", reply.errcode, reply.errmsg),
        )
    };
    Judgement { outcome: outcome(kind, &explanation), errcode: Some(reply.errcode), explanation }
}

fn outcome(kind: Kind, explanation: &Text) -> Outcome {
    let reason = explanation.en.clone();
    match kind {
        Kind::Done => Outcome::Ok,
        Kind::Later => Outcome::Retry { after: None, reason },
        Kind::Throttled => Outcome::Throttled { after: PENALTY, reason },
        Kind::Never => Outcome::Permanent { reason },
    }
}

fn by_status(status: u16) -> Judgement {
    let kind = match status {
        429 => Kind::Throttled,
        408 | 500..=599 | 200..=299 => Kind::Later,
        _ => Kind::Never,
    };
    let explanation = Text::new(
        format!("HTTP {status} without a robot's answer: a gateway or proxy, or not a robot's URL"),
        format!("HTTP {status}，且内容不是机器人的应答：可能是网关或代理的回应，或 URL 不是机器人地址"),
    );
    Judgement { outcome: outcome(kind, &explanation), errcode: None, explanation }
}

fn meaning(reply: &Reply) -> (Kind, &'static str, &'static str) {
    match reply.errcode {
        0 => (Kind::Done, "delivered", "已送达"),
        -1 => (Kind::Later, "DingTalk is busy", "钉钉系统繁忙，稍后重试"),
        310_000 => security(&reply.errmsg),
        130_101 | 410_100 => (
            Kind::Throttled,
            "too fast: more than 20 messages in a minute; the robot is muted for 10 minutes",
            "发送过快：每分钟超过 20 条，机器人被限流 10 分钟",
        ),
        300_001 | 300_005 | 400_101 => {
            (Kind::Never, "the access_token does not exist: check `url` of this target", "access_token 不存在：请检查该 target 的 url")
        }
        400_013 => (Kind::Never, "the group was dissolved", "群已解散"),
        400_102 => (Kind::Never, "the robot is disabled", "机器人已停用"),
        400_106 => (Kind::Never, "the robot is no longer in the group", "机器人已不在群中"),
        400_105 => (Kind::Never, "unsupported message type", "不支持的消息类型"),
        40_035 | 43_004 => (Kind::Never, "bad or missing JSON parameter", "JSON 参数错误或缺失"),
        34_015 => (Kind::Later, "sending failed inside DingTalk", "钉钉内部发送失败，稍后重试"),
        34_016 | 460_101 | 101_002 => (Kind::Never, "the message is too long", "消息过长"),
        90_030 => (Kind::Never, "the organisation's monthly quota of robot messages is used up", "组织本月的机器人消息额度已用完"),
        430_101..=430_104 => (Kind::Never, "refused by content moderation", "内容审核未通过"),
        88 => (Kind::Never, "refused by DingTalk's gateway (authentication)", "被钉钉网关拒绝（鉴权失败）"),
        _ => (Kind::Never, "refused", "被拒绝"),
    }
}

/// 310000 is one code for four mistakes; the text tells which.
fn security(errmsg: &str) -> (Kind, &'static str, &'static str) {
    if errmsg.contains("关键词") || errmsg.contains("keyword") {
        (
            Kind::Never,
            "the message contains none of the robot's keywords: put one into the title template, or use a signature",
            "消息不含机器人设置的关键词：请在标题模板中加入关键词，或改用加签",
        )
    } else if errmsg.contains("timestamp") || errmsg.contains("时间") {
        (Kind::Never, "the timestamp is off by more than an hour: check this host's clock", "时间戳偏差超过一小时：请检查本机时钟")
    } else if errmsg.contains("sign") || errmsg.contains("签名") {
        (Kind::Never, "the signature does not match: check `secret` of this target", "签名不匹配：请检查该 target 的 secret")
    } else if errmsg.to_ascii_lowercase().contains("ip") {
        (Kind::Never, "this host's address is not on the robot's list", "本机出口 IP 不在机器人的白名单中")
    } else {
        (Kind::Never, "refused by the robot's security settings", "未通过机器人的安全设置")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        for (status, body, word, errcode) in [
            (200, r#"{"errcode":0,"errmsg":"ok"}"#, "ok", Some(0)),
            (200, r#"{"errcode":-1,"errmsg":"system busy"}"#, "retry", Some(-1)),
            (200, r#"{"errcode":130101,"errmsg":"send too fast"}"#, "throttled", Some(130_101)),
            (200, r#"{"errcode":410100,"errmsg":"x"}"#, "throttled", Some(410_100)),
            (200, r#"{"errcode":310000,"errmsg":"keywords not in content"}"#, "permanent", Some(310_000)),
            (200, r#"{"errcode":300001,"errmsg":"token is not exist"}"#, "permanent", Some(300_001)),
            (200, r#"{"errcode":460101,"errmsg":"too long"}"#, "permanent", Some(460_101)),
            (200, r#"{"errcode":987654}"#, "permanent", Some(987_654)),
            (502, "<html>bad gateway</html>", "retry", None),
            (200, "<html>login</html>", "retry", None),
            (404, "", "permanent", None),
            (429, "", "throttled", None),
        ] {
            let judged = classify(status, body.as_bytes());
            assert_eq!((judged.outcome.as_str(), judged.errcode), (word, errcode), "{status} {body}");
        }
    }

    #[test]
    fn a_security_refusal_says_which_check_failed() {
        for (errmsg, en, zh) in [
            ("关键词不匹配", "keywords", "关键词"),
            ("invalid timestamp", "clock", "时钟"),
            ("sign not match", "`secret`", "签名"),
            ("ip 1.2.3.4 not in whitelist", "address", "白名单"),
        ] {
            let body = serde_json::json!({"errcode": 310_000, "errmsg": errmsg}).to_string();
            let judged = classify(200, body.as_bytes());
            assert!(judged.explanation.en.contains(en) && judged.explanation.zh.contains(zh), "{judged:?}");
        }
    }
}
