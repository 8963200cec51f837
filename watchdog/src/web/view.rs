//! What the page shows, as plain values. The tasks of the shell fill them; nothing here decides anything.
//!
//! Owns: the shape of what a person sees at a glance. Must not know: engines, sockets, HTML.

mod rules;
mod wish;

use std::collections::BTreeMap;
use std::sync::Arc;

use ::rules::GroupView;
use arc_swap::ArcSwap;
use serde::Serialize;

pub(super) use self::rules::short;
pub use self::wish::Wish;
use crate::targets::Found;

/// A scrape target.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetView {
    /// `job` label.
    pub job: String,
    /// `instance` label.
    pub instance: String,
    /// `process` label, `""` if none.
    pub process: String,
    /// What is fetched.
    pub url: String,
    /// Last scrape succeeded; `None` before the first.
    pub up: Option<bool>,
    /// When it was last scraped, unix milliseconds.
    pub at_ms: i64,
    /// How long that took, seconds.
    pub seconds: f64,
    /// Samples on the page.
    pub samples: usize,
    /// Why it failed, `""` if it did not.
    pub error: String,
    /// The same in Chinese.
    pub error_zh: String,
}

/// A probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProbeView {
    /// Its name.
    pub name: String,
    /// What it asks.
    pub url: String,
    /// Last result; `None` before the first.
    pub ok: Option<bool>,
    /// How long that took, seconds.
    pub seconds: f64,
    /// Why it failed, `""` if it did not.
    pub error: String,
    /// The same in Chinese.
    pub error_zh: String,
}

/// A process as seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProcessView {
    /// Its name in `processes:`.
    pub name: String,
    /// Process id; `None` when no process matches.
    pub pid: Option<i32>,
    /// The kernel's state, as `proc_state` names it.
    pub state: String,
    /// Unix milliseconds of its start.
    pub started_ms: Option<i64>,
    /// Resident bytes.
    pub rss_bytes: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// Their soft limit.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Sockets by the kernel's state name.
    pub sockets: BTreeMap<String, u64>,
}

/// A stream of market data and when it last had data.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StreamView {
    /// `process` label of the target that tells of it.
    pub process: String,
    /// `exchange` label.
    pub exchange: String,
    /// `market_type` label.
    pub market_type: String,
    /// `symbol` label.
    pub symbol: String,
    /// `kind` label.
    pub kind: String,
    /// Unix milliseconds of the last data; 0: none ever.
    pub last_ms: i64,
}

/// One alert of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlertView {
    /// `pending` or `firing`.
    pub state: String,
    /// Labels as text, without `alertname`.
    pub labels: String,
    /// Value at the last evaluation.
    pub value: f64,
    /// Unix milliseconds since when the condition holds.
    pub active_ms: i64,
    /// The summary annotation.
    pub summary: String,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleView {
    /// Group.
    pub group: String,
    /// Alert or record name.
    pub name: String,
    /// `severity` label as written, `""` if none.
    pub severity: String,
    /// Expression.
    pub expr: String,
    /// `for`, seconds.
    pub for_seconds: f64,
    /// `inactive`, `pending`, `firing`, or `unknown` before the first evaluation; `recording` for a recording rule.
    pub state: String,
    /// Evaluation error, `""` if none.
    pub error: String,
    /// Why it cannot alarm now: metrics it names that no series has.
    pub missing: Vec<String>,
    /// How much of the history it looks back on is there, `12m / 1h`; `""` when all of it.
    pub history: String,
    /// Its alerts.
    pub alerts: Vec<AlertView>,
}

/// Series on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StorageView {
    /// Whether the last write succeeded; otherwise series live in memory only.
    pub ok: bool,
    /// Bytes; `None` before the first write.
    pub bytes: Option<u64>,
    /// Unix milliseconds of the oldest sample; `None` before the first block.
    pub oldest_ms: Option<i64>,
    /// Files found damaged and set aside since the start.
    pub damaged: u64,
    /// Samples of new series that were refused since the start.
    pub refused: u64,
}

/// One message that was sent, is being sent, or failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeliveryView {
    /// Unix milliseconds of the outcome.
    pub at_ms: i64,
    /// Receiver.
    pub receiver: String,
    /// `dingtalk`, `email`, `webhook`, `restart`.
    pub integration: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// Why it was sent.
    pub reason: String,
    /// What it is about: names of the alerts.
    pub alerts: String,
    /// `ok`, `retry`, `throttled`, `permanent`.
    pub outcome: String,
    /// Error text, `""` if none.
    pub error: String,
    /// Which attempt.
    pub attempt: u32,
}

/// A restart, asked for or done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RestartView {
    /// Unix milliseconds of the last change.
    pub at_ms: i64,
    /// Process.
    pub process: String,
    /// Alert or cause.
    pub cause: String,
    /// Named state or outcome: `term`, `kill`, `verify`, `succeeded`, `held`, …
    pub state: String,
    /// More, for a person.
    pub detail: String,
}

/// The configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReloadView {
    /// Unix milliseconds of the last load that succeeded.
    pub at_ms: i64,
    /// Errors of the last attempt if it failed, rendered; `""` if it succeeded.
    pub error: String,
    /// Directory of the rule files, for people who want to edit one.
    pub rule_files: Vec<String>,
}

/// The newest of each part; a part is replaced whole by the task that owns it.
#[derive(Debug, Default)]
pub struct Board {
    /// Scrape targets.
    pub targets: ArcSwap<Vec<TargetView>>,
    /// The same as discovered, job by job.
    pub found: ArcSwap<Vec<Found>>,
    /// Probes.
    pub probes: ArcSwap<Vec<ProbeView>>,
    /// Processes.
    pub processes: ArcSwap<Vec<ProcessView>>,
    /// Market data streams.
    pub streams: ArcSwap<Vec<StreamView>>,
    /// Groups with their rules and alerts, as they were drawn last; one that did not change is the same as before.
    pub groups: ArcSwap<Vec<Arc<GroupView>>>,
    /// The wish to have them drawn anew.
    pub wish: Wish,
    /// Series on disk.
    pub storage: ArcSwap<StorageView>,
    /// Latest messages, newest first.
    pub deliveries: ArcSwap<Vec<DeliveryView>>,
    /// Latest restarts, newest first.
    pub restarts: ArcSwap<Vec<RestartView>>,
    /// Names of the restarts that a person holds.
    pub held: ArcSwap<Vec<String>>,
    /// Configuration.
    pub reload: ArcSwap<ReloadView>,
}

// === impl Board ===

impl Board {
    /// The groups as they are now.
    pub async fn groups_now(&self) -> Arc<Vec<Arc<GroupView>>> {
        self.wish.ask().await;
        self.groups.load_full()
    }

    /// The rules of all groups, as they were drawn last.
    pub fn rules(&self) -> Vec<RuleView> {
        self.groups.load().iter().flat_map(|group| rules::of_group(group)).collect()
    }
}
