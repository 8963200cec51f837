//! What will go wrong in the demo, when, and what must be seen for it to count.
//!
//! Owns: the timeline and the list of expectations. Must not know: how a message is fetched or a process is stopped.

use std::time::Duration;

/// When, counted from the first data, the collector is stopped dead and the sick program begins to leak.
pub(super) const TROUBLE_AFTER: Duration = Duration::from_secs(8);
/// When, counted from the first data, the sick program hangs.
pub(super) const HANG_AFTER: Duration = Duration::from_secs(32);
/// All of it has to be seen this long after the start.
pub(super) const DEADLINE: Duration = Duration::from_mins(5);

/// The process under the watchdog that plays itself.
pub(super) const COLLECTOR: &str = "collector";
/// The program in the part of the old collector.
pub(super) const LEGACY: &str = "legacy-collector";

/// One thing that must be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expected {
    /// Every stream of the collector has data.
    DataFlows,
    /// A message about this alert on this process arrived.
    Fired(&'static str, &'static str),
    /// A mail about this alert on this process arrived.
    Mailed(&'static str, &'static str),
    /// The message that a restart of this process ended well arrived.
    Restarted(&'static str),
    /// This process has another pid than before its trouble.
    NewProcess(&'static str),
    /// Books published after the restart equal the venue's own at the same update id.
    BooksExact,
    /// The message that this alert is over arrived.
    Resolved(&'static str, &'static str),
}

/// All that the demo shows, in the order in which it should happen.
pub(super) fn expectations() -> Vec<Expected> {
    vec![
        Expected::DataFlows,
        Expected::Fired("CollectorHung", COLLECTOR),
        Expected::Mailed("CollectorHung", COLLECTOR),
        Expected::Restarted(COLLECTOR),
        Expected::NewProcess(COLLECTOR),
        Expected::BooksExact,
        Expected::Resolved("CollectorHung", COLLECTOR),
        Expected::Fired("CloseWait", LEGACY),
        Expected::Fired("FDLeakDetected", LEGACY),
        Expected::Fired("CollectorHung", LEGACY),
        Expected::Restarted(LEGACY),
        Expected::NewProcess(LEGACY),
        Expected::Resolved("CollectorHung", LEGACY),
        Expected::Resolved("CloseWait", LEGACY),
        Expected::Resolved("FDLeakDetected", LEGACY),
    ]
}

// === impl Expected ===

impl Expected {
    /// What was seen, as a line of the demo's output; English and Chinese.
    pub(super) fn seen(&self) -> String {
        match self {
            Self::DataFlows => "data flows on every stream / 所有数据流已有数据".to_owned(),
            Self::Fired(alert, process) => format!("message: {alert} on {process} / 已收到告警"),
            Self::Mailed(alert, process) => format!("mail: {alert} on {process} / 已收到邮件"),
            Self::Restarted(process) => format!("message: {process} was restarted and verified / 已收到重启完成消息"),
            Self::NewProcess(process) => format!("{process} runs as a new process / 进程已更换"),
            Self::BooksExact => "books after the restart equal the venue's / 重启后盘口与交易所一致".to_owned(),
            Self::Resolved(alert, process) => format!("message: {alert} on {process} is resolved / 已收到恢复消息"),
        }
    }

    /// What is missing, for the one who runs the check.
    pub(super) fn missing(&self) -> String {
        match self {
            Self::DataFlows => "no data on every stream of the collector".to_owned(),
            Self::Fired(alert, process) => format!("alert {alert} on {process} never reached the inbox: is the rule {alert} in rules/?"),
            Self::Mailed(alert, process) => format!("no mail about {alert} on {process} reached the inbox"),
            Self::Restarted(process) => format!("no message that {process} was restarted"),
            Self::NewProcess(process) => format!("{process} is still the process it was"),
            Self::BooksExact => "no book published after the restart was found equal to the venue's".to_owned(),
            Self::Resolved(alert, process) => format!("alert {alert} on {process} was never resolved in the inbox"),
        }
    }
}
