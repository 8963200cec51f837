//! The page that shows messages as a phone would, in Chinese or English. It refreshes itself and loads nothing from elsewhere.

use super::markdown::{escape, to_html};
use super::store::{Content, Message};

/// Language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}

struct Words {
    title: &'static str,
    none: &'static str,
    to: &'static str,
    from: &'static str,
    other: &'static str,
    other_lang: &'static str,
    robot: &'static str,
    mail: &'static str,
    shown: &'static str,
}

const ZH: Words = Words {
    title: "收件箱(模拟)",
    none: "还没有消息。",
    to: "收件人",
    from: "发件人",
    other: "English",
    other_lang: "en",
    robot: "钉钉机器人",
    mail: "邮件",
    shown: "条消息,最新的在最前",
};
const EN: Words = Words {
    title: "Inbox (simulated)",
    none: "No messages yet.",
    to: "To",
    from: "From",
    other: "中文",
    other_lang: "zh",
    robot: "DingTalk robot",
    mail: "Mail",
    shown: "messages, newest first",
};

const STYLE: &str = "body{margin:0;background:#e9ebef;font:15px/1.5 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;color:#1f2329}\
main{max-width:30rem;margin:0 auto;background:#f5f6f7;min-height:100vh;padding:0 1rem 2rem}\
header{position:sticky;top:0;background:#f5f6f7;padding:.8rem 0;border-bottom:1px solid #d9dce2;display:flex;justify-content:space-between;align-items:baseline}\
h1{font-size:1.1rem;margin:0}.count{color:#646a73;font-size:.85rem;margin:.6rem 0}\
article{display:flex;gap:.6rem;margin:1rem 0}\
.face{flex:none;width:2.3rem;height:2.3rem;border-radius:.5rem;background:#3370ff;color:#fff;display:grid;place-items:center;font-size:.8rem}\
.mail .face{background:#7a5af8}.who{color:#646a73;font-size:.8rem}\
.bubble{background:#fff;border-radius:.2rem .8rem .8rem .8rem;padding:.6rem .9rem;overflow-wrap:anywhere;box-shadow:0 1px 2px #0001}\
.body{min-width:0;flex:1}.bubble h1,.bubble h2,.bubble h3,.bubble h4,.bubble h5,.bubble h6{font-size:1.05rem;margin:.2rem 0 .4rem}\
.bubble p{margin:.3rem 0}.bubble ul,.bubble ol{margin:.3rem 0;padding-left:1.3rem}\
blockquote{margin:.3rem 0;padding:.1rem .7rem;border-left:3px solid #c9cdd4;color:#51565d}\
a{color:#2559c8}.at{color:#2559c8}pre{white-space:pre-wrap;margin:.3rem 0;font:inherit}\
@media(prefers-color-scheme:dark){body{background:#111}main,header{background:#1b1c1e;color:#e6e6e6}.bubble{background:#2a2b2e}\
header{border-color:#3a3b3f}.who,.count,blockquote{color:#a5a9b0}a,.at{color:#7aa2ff}}";

// === impl Lang ===

impl Lang {
    /// From `?lang=` or the browser's wish; Chinese only if it is wished before English.
    pub(super) fn choose(asked: Option<&str>, accept: Option<&str>) -> Self {
        let wish = asked.or(accept).unwrap_or_default();
        if wish.trim_start().to_ascii_lowercase().starts_with("zh") { Self::Zh } else { Self::En }
    }

    fn words(self) -> &'static Words {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }
}

/// The page with all messages, newest first.
pub(super) fn render(messages: &[Message], lang: Lang) -> String {
    let words = lang.words();
    let code = match lang {
        Lang::Zh => "zh-CN",
        Lang::En => "en",
    };
    let mut html = format!(
        "<!doctype html><html lang=\"{code}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"3\"><title>{title}</title><style>{STYLE}</style></head><body><main>\
         <header><h1>{title}</h1><a href=\"?lang={other_lang}\">{other}</a></header>",
        title = words.title,
        other = words.other,
        other_lang = words.other_lang,
    );
    let count = if messages.is_empty() { words.none.to_owned() } else { format!("{} {}", messages.len(), words.shown) };
    html.extend(["<p class=\"count\">", &count, "</p>"]);
    for message in messages.iter().rev() {
        html.push_str(&article(message, words));
    }
    html.push_str("</main></body></html>\n");
    html
}

fn article(message: &Message, words: &Words) -> String {
    let time = local_time(message.time_ms);
    let (class, face, who, bubble) = match &message.content {
        Content::Dingtalk { token, msgtype, title, text, at } => {
            let who = format!("{} {} · {time}", words.robot, escape(&abbreviated(token)));
            let body = if matches!(msgtype.as_str(), "markdown" | "actionCard") { to_html(text) } else { format!("<pre>{}</pre>", escape(text)) };
            let mut bubble = String::new();
            // The title is the phone's banner; most texts repeat it as their heading.
            if !title.is_empty() && !text.contains(title.as_str()) {
                bubble.extend(["<p><b>", &escape(title), "</b></p>"]);
            }
            bubble.push_str(&body);
            for name in at {
                bubble.extend([" <span class=\"at\">@", &escape(name), "</span>"]);
            }
            ("chat", "Ding", who, bubble)
        }
        Content::Mail { from, to, subject, body, html } => {
            let who = format!("{} · {}: {} · {}: {} · {time}", words.mail, words.from, escape(from), words.to, escape(&to.join(", ")));
            let body = if body.is_empty() { html } else { body };
            ("mail", "@", who, format!("<p><b>{}</b></p><pre>{}</pre>", escape(subject), escape(body)))
        }
    };
    format!(
        "<article class=\"{class}\"><div class=\"face\">{face}</div><div class=\"body\"><div class=\"who\">#{} {who}</div><div class=\"bubble\">{bubble}</div></div></article>",
        message.seq
    )
}

fn abbreviated(token: &str) -> String {
    token.chars().take(8).collect()
}

fn local_time(time_ms: i64) -> String {
    let zone = jiff::tz::TimeZone::system();
    jiff::Timestamp::from_millisecond(time_ms).map(|at| at.to_zoned(zone).strftime("%H:%M:%S").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_messages_escaped_newest_first_in_both_languages() {
        let dingtalk = |seq, text: &str| Message {
            seq,
            time: String::new(),
            time_ms: 0,
            content: Content::Dingtalk {
                token: "t".into(),
                msgtype: "markdown".into(),
                title: "告警".into(),
                text: text.into(),
                at: vec!["all".into()],
            },
        };
        let messages = [dingtalk(1, "<img src=x>"), dingtalk(2, "### 告警 second")];
        let page = render(&messages, Lang::Zh);
        assert!(page.contains("&lt;img src=x&gt;") && !page.contains("<img"));
        assert!(page.find("second").unwrap() < page.find("&lt;img").unwrap());
        assert!(page.contains("收件箱"));
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(render(&[], Lang::En).contains("No messages yet."));
    }

    #[test]
    fn chooses_the_language() {
        for (asked, accept, lang) in
            [(Some("zh"), None, Lang::Zh), (None, Some("zh-CN,en;q=0.8"), Lang::Zh), (Some("en"), Some("zh"), Lang::En), (None, None, Lang::En)]
        {
            assert_eq!(Lang::choose(asked, accept), lang);
        }
    }
}
