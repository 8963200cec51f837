//! Words and safe text: severities, durations, times, what a label may look like in a message.
//!
//! Labels and annotations may come from a scraped page, so from anybody: in messages they are capped, kept to one line and stripped of what
//! would make links, mentions or formatting.

use diagnostics::Lang;
use jiff::tz::TimeZone;

use crate::alert::UnixMs;
use crate::labels::SEVERITY;
use crate::notification::{NOTICE, Notification, NotifiedAlert, Status};

/// Characters of a label's value in a message.
pub(crate) const LABEL_MAX: usize = 120;
/// Characters of an annotation in a message.
pub(crate) const ANNOTATION_MAX: usize = 600;

/// Emoji and word of an alert's state and severity.
pub(crate) fn severity(alert: &NotifiedAlert, lang: Lang) -> (&'static str, &'static str) {
    let zh = lang == Lang::Zh;
    let notice = match alert.annotations.value(NOTICE) {
        "done" => Some(("🔁", if zh { "已重启" } else { "Restarted" })),
        "failed" => Some(("❌", if zh { "重启失败" } else { "Restart failed" })),
        "held" => Some(("✋", if zh { "未重启" } else { "Not restarted" })),
        _ => None,
    };
    notice.unwrap_or_else(|| match (alert.status, alert.labels.value(SEVERITY)) {
        (Status::Resolved, _) => ("✅", if zh { "已恢复" } else { "Resolved" }),
        (Status::Firing, "critical" | "page" | "emergency" | "disaster") => ("🔴", if zh { "严重" } else { "Critical" }),
        (Status::Firing, "warning" | "warn") => ("🟠", if zh { "警告" } else { "Warning" }),
        (Status::Firing, "info" | "notice" | "none") => ("🔵", if zh { "提示" } else { "Info" }),
        (Status::Firing, _) => ("🟡", if zh { "告警" } else { "Alert" }),
    })
}

/// Whether it is news that went well, for which nobody is called.
pub(crate) fn is_good_news(alert: &NotifiedAlert) -> bool {
    alert.annotations.value(NOTICE) == "done"
}

/// How urgent a firing alert is, for choosing the one that names the whole message: lower is more.
pub(crate) fn urgency(alert: &NotifiedAlert) -> u8 {
    let word = severity(alert, Lang::En).1;
    ["Critical", "Restart failed", "Warning", "Alert", "Not restarted", "Info", "Restarted"]
        .iter()
        .position(|one| *one == word)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(9)
}

/// The most urgent alert of a notification.
pub(crate) fn leading(notification: &Notification) -> Option<&NotifiedAlert> {
    notification.alerts.iter().min_by_key(|alert| urgency(alert))
}

/// What an alert is about: its instance, else its process, symbol, job or host.
pub(crate) fn subject(alert: &NotifiedAlert) -> &str {
    // An announcement is about a process.
    let first = if alert.annotations.value(NOTICE).is_empty() { "instance" } else { "process" };
    [first, "instance", "process", "symbol", "job", "host"].iter().map(|name| alert.labels.value(name)).find(|value| !value.is_empty()).unwrap_or("")
}

/// A span in words: `3m 20s`, `3 分 20 秒`; days are the largest unit, at most two units are shown.
pub(crate) fn span(ms: i64, lang: Lang) -> String {
    let seconds = ms.max(0) / 1_000;
    let units = [(86_400, "d", "天"), (3_600, "h", "小时"), (60, "m", "分"), (1, "s", "秒")];
    let mut parts = Vec::new();
    let mut left = seconds;
    for (size, en, zh) in units {
        if left >= size {
            parts.push(if lang == Lang::Zh { format!("{} {zh}", left / size) } else { format!("{}{en}", left / size) });
            left %= size;
        }
    }
    match parts.len() {
        0 => (if lang == Lang::Zh { "0 秒" } else { "0s" }).to_owned(),
        _ => parts.into_iter().take(2).collect::<Vec<_>>().join(" "),
    }
}

/// A time in the configured zone: `2026-11-21 22:00:05 +08:00`.
pub(crate) fn clock(ms: UnixMs, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MIN).to_zoned(zone.clone());
    at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// An annotation in the language of the message: `<name>_zh` or `<name>_en` when there is one, else the right half of `English / 中文`, else all of it.
pub(crate) fn localized<'a>(alert: &'a NotifiedAlert, name: &str, lang: Lang) -> &'a str {
    let suffix = if lang == Lang::Zh { "zh" } else { "en" };
    let own = alert.annotations.value(&format!("{name}_{suffix}"));
    if own.is_empty() { half(alert.annotations.value(name), lang) } else { own }
}

/// One half of a text in two languages, `English / 中文`, if it is such a text: no Chinese before the stroke, some after it; else all of it.
pub fn half(text: &str, lang: Lang) -> &str {
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let strokes = text.match_indices(" / ").filter_map(|(at, stroke)| Some((text.get(..at)?, text.get(at + stroke.len()..)?)));
    let halves = strokes.filter(|(en, zh)| !en.contains(is_chinese) && zh.contains(is_chinese));
    match (halves.last(), lang) {
        (Some((en, _)), Lang::En) => en,
        (Some((_, zh)), Lang::Zh) => zh,
        (None, _) => text,
    }
}

/// At most `max` characters, in one line.
pub(crate) fn capped(text: &str, max: usize) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// Capped text that means only itself inside a line of DingTalk's markdown: no emphasis, code, link, image, tag or mention.
/// (Headings and quotes begin lines, and this text holds no line break.)
pub(crate) fn plain(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for c in capped(text, max).chars() {
        match c {
            '*' | '_' | '`' | '[' | ']' | '<' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            // A full-width sign looks alike and calls nobody.
            '@' => out.push('＠'),
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// `text` as a link's target when it is a plain http, https or relative link; what could leave the parentheses is encoded.
pub(crate) fn link(text: &str, base: &str) -> Option<String> {
    let text = text.trim();
    let clean = !text.is_empty() && text.len() <= 2_000 && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    let absolute = text.starts_with("http://") || text.starts_with("https://");
    let relative = !text.contains("://") && !text.contains(':') && !base.is_empty();
    let whole = if absolute { text.to_owned() } else { format!("{}/{}", base.trim_end_matches('/'), text.trim_start_matches('/')) };
    (clean && (absolute || relative))
        .then(|| whole.replace('(', "%28").replace(')', "%29").replace('"', "%22").replace('<', "%3C").replace('>', "%3E"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;
    use crate::notification::NOT_ENDED;

    fn alert(annotations: &[(&str, &str)]) -> NotifiedAlert {
        let annotations = Labels::from_pairs(annotations.iter().copied());
        let (labels, generator_url) = (Labels::default(), String::new());
        NotifiedAlert { status: Status::Firing, labels, annotations, starts_at: 0, ends_at: NOT_ENDED, generator_url, fingerprint: <_>::default() }
    }

    #[test]
    fn spans_have_two_units() {
        for (ms, en, zh) in [
            (0, "0s", "0 秒"),
            (59_999, "59s", "59 秒"),
            (200_000, "3m 20s", "3 分 20 秒"),
            (90_061_000, "1d 1h", "1 天 1 小时"),
            (3_600_000, "1h", "1 小时"),
        ] {
            assert_eq!((span(ms, Lang::En), span(ms, Lang::Zh)), (en.to_owned(), zh.to_owned()));
        }
    }

    #[test]
    fn an_annotation_is_shown_in_one_language() {
        for (text, en, zh) in [
            ("Memory is 3 GB / 内存已达 3 GB", "Memory is 3 GB", "内存已达 3 GB"),
            ("a / b / 内存 / 磁盘", "a / b", "内存 / 磁盘"),
            ("only English a / b", "only English a / b", "only English a / b"),
            ("只有中文 / 内存", "只有中文 / 内存", "只有中文 / 内存"),
        ] {
            let alert = alert(&[("summary", text)]);
            assert_eq!((localized(&alert, "summary", Lang::En), localized(&alert, "summary", Lang::Zh)), (en, zh));
        }
        let own = alert(&[("summary", "x"), ("summary_zh", "甲")]);
        assert_eq!((localized(&own, "summary", Lang::En), localized(&own, "summary", Lang::Zh)), ("x", "甲"));
    }

    #[test]
    fn hostile_text_means_only_itself() {
        assert_eq!(plain("[x](http://evil) @138 **b**\n# h_<i>", 100), r"\[x\](http://evil) ＠138 \*\*b\*\* # h\_\<i>");
        assert_eq!(plain("汉字汉字汉字", 4), "汉字汉字…");
    }

    #[test]
    fn links_are_http_or_relative() {
        assert_eq!(link("http://h/a(b)", "").as_deref(), Some("http://h/a%28b%29"));
        assert_eq!(link("docs/runbooks/A.md", "http://w:9099/").as_deref(), Some("http://w:9099/docs/runbooks/A.md"));
        for text in ["javascript:alert(1)", "docs/a b", "", "file:///etc/passwd"] {
            assert_eq!(link(text, "http://w"), None, "{text}");
        }
        assert_eq!(link("docs/a", ""), None);
    }
}
