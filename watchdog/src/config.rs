//! `watchdog.yml`: the keys of prometheus.yml where the concept is the same, and our own sections.
//!
//! Two levels: as written ([`written`], serde, strict) → validated ([`Config`]). All semantic errors are found in one pass, with their places, before a port opens.
//! Owns: what the file means. Must not know: what rules and routes mean (their cores read them).
//! Codes: `E301` no value, `E302` bad duration, `E303` bad size, `E304` bad URL or address, `E305` name used twice, `E306` unknown reference,
//! `E307` values contradict each other, `E308` known to Prometheus, not supported yet, `E309` unknown language or time zone, `E310` file not readable, `E311` bad name,
//! `E312` environment variable not set, `E313` not a word that the key takes, `E314` relabelling rule that cannot be applied, `W301` target listed twice.

pub mod job;
mod load;
pub(crate) mod text;
mod validate;
mod written;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diagnostics::Lang;
use promql::labels::Labels;
use promql::relabel::Rule;

use crate::queries::Limits as QueryLimits;

pub use job::{Alertmanager, Job};
pub use load::{Loaded, Source, load, parse};
pub(crate) use text::duration;

/// The whole configuration, validated. Paths are absolute or relative to the working directory, never to the file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Defaults of scraping and evaluation.
    pub global: Global,
    /// Language of messages and page.
    pub lang: Lang,
    /// Time zone of the times people read.
    pub timezone: jiff::tz::TimeZone,
    /// Where state and series live.
    pub data_dir: PathBuf,
    /// Rule file patterns; a `*` matches within one directory level.
    pub rule_files: Vec<PathBuf>,
    /// Scrape jobs.
    pub jobs: Vec<Arc<Job>>,
    /// Alertmanagers that alerts are handed over to.
    pub alertmanagers: Vec<Alertmanager>,
    /// Changes the labels of alerts on their way there.
    pub alert_relabel: Vec<Rule>,
    /// HTTP probes.
    pub probes: Vec<Probe>,
    /// Processes looked at from outside.
    pub processes: Vec<Process>,
    /// Receivers behind `/restart/<name>`.
    pub restarts: Vec<Restart>,
    /// `alertmanager.yml` of the embedded router; `None`: alerts are only shown.
    pub alertmanager_file: Option<PathBuf>,
    /// `dingtalk.yml`.
    pub dingtalk_file: Option<PathBuf>,
    /// Memory and disk for series.
    pub storage: Storage,
    /// The page and the API.
    pub web: Web,
    /// Bounds of queries; flags set them, no key does.
    pub query: QueryLimits,
}

/// Defaults of scraping and evaluation (Prometheus, `global:`).
#[derive(Clone, Debug)]
pub struct Global {
    /// Between two scrapes of a target.
    pub scrape_interval: Duration,
    /// At most this long for one scrape.
    pub scrape_timeout: Duration,
    /// Between two evaluations of a rule group.
    pub evaluation_interval: Duration,
    /// Rules look this far back instead of at the present.
    pub query_offset: Duration,
    /// Added to alerts.
    pub external_labels: Labels,
}

/// One HTTP probe: a GET that succeeds on a status of 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Label `probe`.
    pub name: String,
    /// What is fetched.
    pub url: String,
    /// Between two probes.
    pub interval: Duration,
    /// At most this long.
    pub timeout: Duration,
    /// Further labels.
    pub labels: Labels,
}

/// One process to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Label `process`.
    pub name: String,
    /// Which one it is.
    pub matching: process::matching::Match,
    /// Between two looks.
    pub interval: Duration,
}

/// One restart receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The last part of `/restart/<name>`.
    pub name: String,
    /// Name of the process it restarts.
    pub process: String,
    /// Guards, grace, verification.
    pub policy: process::restart::Policy,
    /// The program and its arguments, for method `child`.
    pub command: Vec<String>,
    /// Directory the child is started in.
    pub workdir: Option<PathBuf>,
    /// More environment for the child; ours is inherited.
    pub environment: BTreeMap<String, String>,
    /// Probe that proves the restart.
    pub verify_probe: Option<String>,
    /// Expression whose result is not empty once data progresses.
    pub verify_expr: Option<String>,
}

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// How long series are kept.
    pub retention: Duration,
    /// Bytes on disk.
    pub size: u64,
    /// Bytes of samples in memory.
    pub memory_limit: u64,
}

/// The page and the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where people reach us; empty: the listen address.
    pub external_url: String,
    /// File with the token that changing requests need.
    pub token_file: Option<PathBuf>,
    /// Whether changing requests from loopback need no token.
    pub trust_loopback: bool,
    /// Links in the page's head: title and URL.
    pub links: Vec<(String, String)>,
}

/// The codes of this file's findings: code, English, Chinese.
pub const CODES: &[(&str, &str, &str)] = &[
    ("E301", "A value is missing or empty where one is needed. Fill it in.", "此处缺少必需的值，请填写。"),
    (
        "E302",
        "Not a duration, or zero where it must be above. Write units from large to small, each once: 1h30m, 15s, 500ms.",
        "不是有效的时长，或此处必须大于零。单位从大到小各写一次：1h30m、15s、500ms。",
    ),
    (
        "E303",
        "Not a size. Write a number and a unit: 16MB, 1GB, 512KB (powers of 1024).",
        "不是有效的大小。请写数字加单位：16MB、1GB、512KB（按 1024 计）。",
    ),
    ("E304", "Not an URL or an address that can be used here.", "此处的 URL 或地址无效。"),
    ("E305", "A name or target is used twice. Rename or remove one of the two.", "名称或目标重复，请改名或删除其中一个。"),
    ("E306", "A name refers to an entry of another section that does not exist.", "引用了另一部分中不存在的条目。"),
    ("E307", "Two values contradict each other, or a method is not known.", "两个值互相矛盾，或方式未知。"),
    (
        "E308",
        "Prometheus knows this key, this version does not. Remove it, or keep a Prometheus beside for it.",
        "这是 Prometheus 的配置项，此版本尚不支持。请删除，或保留 Prometheus 来处理它。",
    ),
    (
        "E309",
        "An unknown language or time zone. Languages: zh, en. Time zones: IANA names such as Asia/Shanghai.",
        "未知的语言或时区。语言：zh、en；时区使用 IANA 名称，例如 Asia/Shanghai。",
    ),
    (
        "E310",
        "A file cannot be read. Check that it exists and that the watchdog's user may read it.",
        "文件无法读取，请检查文件是否存在以及运行用户的权限。",
    ),
    ("E311", "Not a name: letters, digits, `-`, `_` and `.` are allowed.", "名称无效：只能使用字母、数字、`-`、`_` 和 `.`。"),
    (
        "E312",
        "A file names an environment variable as ${NAME}, and it is not set. Export it before the start, or give a file instead: url_file, secret_file.",
        "文件中以 ${NAME} 引用的环境变量没有设置。请在启动前 export，或改用文件：url_file、secret_file。",
    ),
    ("E313", "Not one of the values that this key takes; the finding lists them.", "不是该配置项可用的值；可用的值见提示。"),
    (
        "E314",
        "A relabelling rule lacks a field that its action needs, has one that the action does not take, or its regex is none.",
        "重写标签规则缺少该动作所需的字段、含有该动作不接受的字段，或正则表达式无效。",
    ),
    (
        "E340",
        "`--online` asked a server for the names of its metrics, and it did not tell. Give the address of a running watchdog or Prometheus.",
        "`--online` 向服务器询问指标名，但没有得到回答。请给出运行中的 watchdog 或 Prometheus 的地址。",
    ),
    (
        "W301",
        "A target is listed twice with the same labels; it is scraped once. Remove one of the two.",
        "同一目标以相同标签列出两次，只会抓取一次。请删除其中一个。",
    ),
];

// === impl Config ===

impl Config {
    /// Where people reach the page, without a slash at the end.
    pub fn external_url(&self) -> String {
        let configured = self.web.external_url.trim_end_matches('/');
        if configured.is_empty() { format!("http://{}", self.web.listen) } else { configured.to_owned() }
    }

    /// Files of certificates and keys that HTTP clients are made with.
    pub fn certificates(&self) -> impl Iterator<Item = PathBuf> {
        let jobs = self.jobs.iter().map(|job| (&job.http, &job.base));
        let clients = jobs.chain(self.alertmanagers.iter().map(|one| (&one.http, &one.base)));
        clients.flat_map(|(http, base)| http.tls.files().map(move |path| base.join(path)))
    }

    /// The restart receiver of this name.
    pub fn restart(&self, name: &str) -> Option<&Restart> {
        self.restarts.iter().find(|restart| restart.name == name)
    }
}
