//! The outcome of a restart as news: told to whom the alert that caused it is told, as its labels are routed.
//!
//! Owns: names, texts in two languages. Must not know: routes, how news looks in a message.

use std::time::Duration;

use diagnostics::Lang;
use process::restart::{Failure, Report, Stage, Wait};
use router::labels::{ALERTNAME, Labels};
use router::{Announcement, Notice};

/// The news that this report is, about the process of this name.
pub(super) fn news(report: &Report, process: &str, lang: Lang) -> Announcement {
    let (name, notice) = match &report.stage {
        Stage::Verified => ("RestartSucceeded", Notice::Done),
        Stage::Failed(..) => ("RestartFailed", Notice::Failed),
        _ => ("RestartHeld", Notice::Held),
    };
    Announcement {
        // The same outcome, told again after our own death, is the same news.
        id: format!("restart:{}:{}:{}:{}:{}", report.target, report.attempt, report.stage.as_str(), report.stage.reason(), incidents(report)),
        labels: labels(report, process, name),
        annotations: Labels::from_pairs([
            ("summary", summary(report, process, lang)),
            ("description", description(report, lang)),
            ("incident", incidents(report)),
        ]),
        notice,
    }
}

/// The labels of the alert that caused it, under our own name.
fn labels(report: &Report, process: &str, name: &str) -> Labels {
    let own = [(ALERTNAME.to_owned(), name.to_owned()), ("process".to_owned(), process.to_owned()), ("restart".to_owned(), report.target.clone())];
    let severity = ("severity".to_owned(), "critical".to_owned());
    Labels::from_pairs(std::iter::once(severity).chain(report.request.labels.clone()).chain(own))
}

fn incidents(report: &Report) -> String {
    report.request.incidents.iter().cloned().collect::<Vec<_>>().join(" ")
}

fn summary(report: &Report, process: &str, lang: Lang) -> String {
    let alert = &report.request.alert;
    let took = report.took.as_secs_f64();
    match (&report.stage, lang) {
        (Stage::Verified, Lang::En) => format!("{process} was restarted because of {alert} and works again after {took:.1} s"),
        (Stage::Verified, Lang::Zh) => format!("{process} 因 {alert} 已重启，{took:.1} 秒后恢复正常"),
        (Stage::Failed(failure, _), Lang::En) => format!("the restart of {process} because of {alert} failed: {}", failure_text(failure, lang)),
        (Stage::Failed(failure, _), Lang::Zh) => format!("{process} 因 {alert} 重启失败：{}", failure_text(failure, lang)),
        (stage, Lang::En) => format!("{process} is not restarted because of {alert}: {}", hold_text(stage, lang)),
        (stage, Lang::Zh) => format!("{process} 未因 {alert} 重启：{}", hold_text(stage, lang)),
    }
}

fn failure_text(failure: &Failure, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    let text = match failure {
        Failure::SignalDenied if zh => "没有权限发送信号",
        Failure::SignalDenied => "the signal is not permitted",
        Failure::NotGone if zh => "SIGKILL 之后进程仍未退出（卡在内核中）",
        Failure::NotGone => "the process outlived SIGKILL (stuck in the kernel)",
        Failure::StartFailed(why) if zh => return format!("无法启动（{why}）"),
        Failure::StartFailed(why) => return format!("it could not be started ({why})"),
        Failure::NoNewProcess if zh => "没有出现新进程",
        Failure::NoNewProcess => "no new process appeared",
        Failure::DiedAgain if zh => "新进程又退出了",
        Failure::DiedAgain => "the new process ended again",
        Failure::ProbeFailed if zh => "新进程的探测一直失败",
        Failure::ProbeFailed => "the probe of the new process kept failing",
        Failure::NoProgress if zh => "新进程没有新数据",
        Failure::NoProgress => "the new process has no new data",
    };
    text.to_owned()
}

fn hold_text(stage: &Stage, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    match stage {
        Stage::Waiting(wait @ (Wait::PerHour | Wait::PerDay), long) if zh => {
            format!("重启次数已达上限（{}），{} 分钟后才会再试", wait.as_str(), minutes(*long))
        }
        Stage::Waiting(wait, long) => format!("the budget is used up ({}), it is tried again in {} min", wait.as_str(), minutes(*long)),
        Stage::Refused(refusal) if zh => format!("已拒绝（{}）", refusal.as_str()),
        other => format!("refused ({})", other.reason()),
    }
}

fn minutes(long: Duration) -> u64 {
    long.as_secs().div_ceil(60)
}

fn description(report: &Report, lang: Lang) -> String {
    let process = |identity: &Option<process::Identity>| identity.as_ref().map_or_else(|| "–".to_owned(), |identity| identity.pid.to_string());
    let (old, new) = (process(&report.old), process(&report.new));
    let again = match &report.stage {
        Stage::Failed(_, Some(wait)) if lang == Lang::Zh => format!("，{} 分钟内会再试", minutes(*wait).max(1)),
        Stage::Failed(_, Some(wait)) => format!(", tried again within {} min", minutes(*wait).max(1)),
        Stage::Failed(_, None) if lang == Lang::Zh => "，不再自动重试，需要人工处理".to_owned(),
        Stage::Failed(_, None) => ", not tried again; a person is needed".to_owned(),
        _ => String::new(),
    };
    match (report.attempt, lang) {
        (0, Lang::En) => format!("first start, pid {new}{again}"),
        (0, Lang::Zh) => format!("首次启动，进程 {new}{again}"),
        (attempt, Lang::En) => format!("attempt {attempt}, pid {old} → {new}{again}"),
        (attempt, Lang::Zh) => format!("第 {attempt} 次，进程 {old} → {new}{again}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use process::restart::{Cause, Request};

    use super::*;

    fn report(stage: Stage) -> Report {
        let labels = BTreeMap::from([
            ("alertname".to_owned(), "CollectorHung".to_owned()),
            ("severity".to_owned(), "warning".to_owned()),
            ("team".to_owned(), "md".to_owned()),
        ]);
        let request = Request { incidents: BTreeSet::from(["f@1".into()]), alert: "CollectorHung".into(), cause: Cause::Alert, labels };
        Report { target: "collector".into(), attempt: 3, request, stage, old: None, new: None, took: Duration::from_millis(12_340) }
    }

    #[test]
    fn the_news_keeps_the_labels_that_routes_look_at() {
        let news = news(&report(Stage::Verified), "collector", Lang::En);
        assert_eq!((news.labels.value("alertname"), news.notice), ("RestartSucceeded", Notice::Done));
        assert_eq!((news.labels.value("severity"), news.labels.value("team"), news.labels.value("process")), ("warning", "md", "collector"));
        assert_eq!(news.annotations.value("incident"), "f@1");
        assert!(news.annotations.value("summary").contains("works again after 12.3 s"));
    }

    #[test]
    fn a_failure_says_why_and_what_comes_in_both_languages() {
        let failed = report(Stage::Failed(Failure::ProbeFailed, Some(Duration::from_secs(90))));
        let zh = news(&failed, "collector", Lang::Zh);
        assert_eq!(zh.notice, Notice::Failed);
        assert!(zh.annotations.value("summary").contains("探测一直失败"));
        assert!(zh.annotations.value("description").contains("2 分钟内会再试"));
        let for_good = report(Stage::Failed(Failure::NotGone, None));
        assert!(news(&for_good, "collector", Lang::En).annotations.value("description").contains("a person is needed"));
    }

    #[test]
    fn the_same_outcome_is_the_same_news_and_the_next_attempt_is_not() {
        let first = report(Stage::Verified);
        let next = Report { attempt: 4, ..first.clone() };
        assert_eq!(news(&first, "p", Lang::En).id, news(&Report { took: Duration::ZERO, ..first.clone() }, "p", Lang::Zh).id);
        assert_ne!(news(&first, "p", Lang::En).id, news(&next, "p", Lang::En).id);
        assert_eq!(news(&report(Stage::Waiting(Wait::PerDay, Duration::from_hours(2))), "p", Lang::En).notice, Notice::Held);
    }
}
