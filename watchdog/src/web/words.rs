//! The page's words in two languages, and times and sizes as people read them.
#![expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the template hands over references")]

use diagnostics::Lang;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Picks a word in the page's language; used by the template.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// Language of the page.
    pub(super) lang: Lang,
    /// Zone of its times.
    pub(super) zone: TimeZone,
    /// When it is rendered, unix milliseconds.
    pub(super) now_ms: i64,
}

// === impl Words ===

impl Words {
    /// English or Chinese.
    pub(super) fn t<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        match self.lang {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }

    /// A state's word.
    pub(super) fn state<'a>(&self, state: &'a str) -> &'a str {
        match (self.lang, state) {
            (Lang::En, _) => state,
            (Lang::Zh, "firing") => "触发",
            (Lang::Zh, "pending") => "待定",
            (Lang::Zh, "inactive") => "正常",
            (Lang::Zh, "unknown") => "未评估",
            (Lang::Zh, "resolved") => "恢复",
            (Lang::Zh, "begun") => "已开始",
            (Lang::Zh, "waiting") => "等待",
            (Lang::Zh, "terminating") => "正在终止 (SIGTERM)",
            (Lang::Zh, "killing") => "正在强制结束 (SIGKILL)",
            (Lang::Zh, "starting") => "正在启动",
            (Lang::Zh, "verifying") => "验证中",
            (Lang::Zh, "verified" | "succeeded") => "成功",
            (Lang::Zh, "failed") => "失败",
            (Lang::Zh, "refused") => "已拒绝",
            (Lang::Zh, "held") => "已暂停",
            (Lang::Zh, "released") => "已恢复",
            (Lang::Zh, "running") => "运行中",
            (Lang::Zh, "sleeping" | "idle") => "休眠",
            (Lang::Zh, "disk_sleep") => "等待磁盘 (D)",
            (Lang::Zh, "stopped") => "已停止 (T)",
            (Lang::Zh, "traced") => "被跟踪 (t)",
            (Lang::Zh, "zombie") => "僵尸",
            (Lang::Zh, "first_start") => "首次启动",
            (Lang::Zh, "exit") => "进程退出",
            (Lang::Zh, "operator") => "人工",
            (Lang::Zh, other) => other,
        }
    }

    /// Why a message was sent, from the word that router, log and payload use.
    pub(super) fn why<'a>(&self, reason: &'a str) -> &'a str {
        match (self.lang, reason) {
            (Lang::En, "none") => "told by the watchdog itself",
            (Lang::En, _) => reason,
            (Lang::Zh, "first notification") => "首次通知",
            (Lang::Zh, "new alerts added") => "有新告警",
            (Lang::Zh, "some alerts resolved") => "部分已恢复",
            (Lang::Zh, "all alerts resolved") => "全部已恢复",
            (Lang::Zh, "repeat interval elapsed") => "到期再次提醒",
            (Lang::Zh, "none") => "看门狗自身消息",
            (Lang::Zh, other) => other,
        }
    }

    /// How long ago, in the largest two units.
    pub(super) fn ago(&self, then_ms: &i64) -> String {
        if *then_ms <= 0 {
            return self.t("never", "从未").to_owned();
        }
        let seconds = (self.now_ms - then_ms).max(0) / 1_000;
        let short = match seconds {
            0..60 => format!("{seconds} s"),
            60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
            3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
            _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
        };
        match self.lang {
            Lang::En => format!("{short} ago"),
            Lang::Zh => format!("{}前", short.replace("min", "分").replace(" s", " 秒").replace(" h", " 小时").replace(" d", " 天")),
        }
    }

    /// Clock time in the page's zone.
    pub(super) fn clock(&self, ms: &i64) -> String {
        match Timestamp::from_millisecond(*ms) {
            Ok(time) if *ms > 0 => time.to_zoned(self.zone.clone()).strftime("%m-%d %H:%M:%S").to_string(),
            _ => "–".to_owned(),
        }
    }

    /// Clock time, or a dash.
    pub(super) fn clock_or_dash(&self, ms: &Option<i64>) -> String {
        self.clock(&ms.unwrap_or(0))
    }

    /// Bytes in MB with one digit.
    #[expect(clippy::unused_self, reason = "the template calls all words alike")]
    pub(super) fn megabytes(&self, bytes: &Option<u64>) -> String {
        bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6))
    }

    /// A count, or a dash.
    #[expect(clippy::unused_self, reason = "the template calls all words alike")]
    pub(super) fn count(&self, number: &Option<u64>) -> String {
        number.map_or_else(|| "–".to_owned(), |number| number.to_string())
    }

    /// A value as an ops engineer reads it: whole numbers as they are, others with four significant digits.
    #[expect(clippy::unused_self, reason = "the template calls all words alike")]
    pub(super) fn value(&self, v: &f64) -> String {
        let magnitude = v.abs();
        match magnitude {
            _ if v.fract() == 0.0 && magnitude < 1e9 => format!("{v}"),
            _ if !(1e-3..1e9).contains(&magnitude) => format!("{v:.3e}"),
            100.0.. => format!("{v:.1}"),
            1.0.. => format!("{v:.3}"),
            _ => format!("{v:.4}"),
        }
    }

    /// The half of a text `English / 中文` that is in the page's language.
    pub(super) fn half<'a>(&self, text: &'a str) -> &'a str {
        router::half(text, self.lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_two_languages() {
        let en = |now_ms| Words { lang: Lang::En, zone: TimeZone::UTC, now_ms };
        let zh = Words { lang: Lang::Zh, ..en(62_000) };
        assert_eq!(en(62_000).ago(&1_000), "1 min 1 s ago");
        assert_eq!(zh.ago(&1_000), "1 分 1 秒前");
        assert_eq!(en(62_000).ago(&0), "never");
        assert_eq!(en(90_001_000).ago(&1_000), "1 d 1 h ago");
    }

    #[test]
    fn every_reason_of_a_message_has_words() {
        let words = Words { lang: Lang::Zh, zone: TimeZone::UTC, now_ms: 0 };
        for reason in router::notification::NotifyReason::ALL {
            assert!(!words.why(reason.as_str()).is_ascii(), "{}", reason.as_str());
        }
    }

    #[test]
    fn values_keep_what_an_engineer_reads() {
        let words = Words { lang: Lang::En, zone: TimeZone::UTC, now_ms: 0 };
        for (value, shown) in
            [(12.0, "12"), (194.712, "194.7"), (0.25, "0.2500"), (3.1e9, "3.100e9"), (2.34567, "2.346"), (-2.5, "-2.500"), (0.0, "0")]
        {
            assert_eq!(words.value(&value), shown);
        }
    }

    #[test]
    fn clock_times_are_local() {
        let words = Words { lang: Lang::Zh, zone: TimeZone::get("Asia/Shanghai").unwrap(), now_ms: 0 };
        assert_eq!(words.clock(&1_700_000_000_000), "11-15 06:13:20");
        assert_eq!(words.clock(&0), "–");
    }
}
