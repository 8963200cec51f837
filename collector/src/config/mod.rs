//! `collector.yml`: as written → validated. All semantic errors come at once, each with its place; nothing is opened before all are gone.
//!
//! Owns: the keys, their defaults and limits, the old collector's environment variables. Must not know: sockets, venues' protocols.

mod delivery;
pub mod environment;
mod proxy;
mod units;
mod validate;
mod written;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use delivery::{Access, Bounds, Buffers, DeadLetterConfig, Delivery, Discard, LoginFile, NatsConfig, SpoolConfig, Storage, StreamConfig};
use diagnostics::{Diagnostic, Lang, Severity, yaml};
pub use environment::Environment;
use marketdata::{Exchange, FusionConfig, MarketType, Output, Publication};
pub use proxy::{Login, ProxyConfig};
pub(crate) use units::duration;

use crate::pressure::Limits;

/// A validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Language of what people read; `None`: from the environment.
    pub lang: Option<Lang>,
    /// Venues, each pair of exchange and market type once.
    pub venues: Vec<VenueConfig>,
    /// NATS, when configured.
    pub nats: Option<NatsConfig>,
    /// How much may wait for NATS in memory.
    pub buffers: Buffers,
    /// Where authoritative records wait when NATS does not take them.
    pub spool: SpoolConfig,
    /// Where previews go that memory has no room for.
    pub dead_letter: DeadLetterConfig,
    /// The recorder: when configured, or by default when NATS is not.
    pub recorder: Option<RecorderConfig>,
    /// Listeners.
    pub http: HttpConfig,
    /// Log.
    pub log: LogConfig,
    /// From the stop signal to the exit, at most.
    pub shutdown_deadline: Duration,
    /// What the process may use, and how it becomes smaller.
    pub pressure: PressureConfig,
    /// While much comes, messages may wait this long to be read together; zero: never.
    pub gather: Duration,
}

/// What the process may use, and how it becomes smaller. A limit that is not given follows from cgroup, rlimit and host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PressureConfig {
    /// Resident bytes.
    pub memory: Option<Limits>,
    /// Open descriptors.
    pub descriptors: Option<Limits>,
    /// Open sockets.
    pub sockets: Option<Limits>,
    /// A figure must be well below a limit for this long before its level is left.
    pub dwell: Duration,
    /// The allocator is purged this often without pressure, in a quiet moment; `None`: never.
    pub gc_interval: Option<Duration>,
}

/// One venue.
#[derive(Clone, Debug, PartialEq)]
pub struct VenueConfig {
    /// Who runs it.
    pub exchange: Exchange,
    /// Which of its markets.
    pub market_type: MarketType,
    /// Symbols as `BASE-QUOTE`, each once.
    pub symbols: Vec<String>,
    /// Base URL of the WebSocket, when not the venue's own.
    pub ws_url: Option<String>,
    /// Base URL of the REST interface, when not the venue's own.
    pub rest_url: Option<String>,
    /// Published levels a side.
    pub depth: u16,
    /// What leaves of a symbol, and how often.
    pub output: Output,
    /// The same for symbols that differ.
    pub overrides: Vec<(String, Output)>,
    /// How fusion is computed.
    pub fusion: FusionConfig,
    /// Whether trades are collected.
    pub trades: bool,
    /// Proxies on the way to it.
    pub proxy: ProxyConfig,
    /// Authorities to trust besides the compiled-in ones, in PEM form.
    pub ca_file: Option<PathBuf>,
    /// Where its raw input is kept, if it is.
    pub capture: Option<CaptureConfig>,
    /// How often its instrument list is read again.
    pub listing: ListingConfig,
}

/// How often a venue's instrument list is read again, and what is gone is cleaned up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingConfig {
    /// Between two readings; symbols that have appeared are collected from then on, those that are gone are unsubscribed.
    pub interval: Duration,
    /// Between two sweeps, which drop the metric series of instruments that are gone.
    pub cleanup_interval: Duration,
}

/// The capture of a venue's raw input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Directory of its files.
    pub dir: PathBuf,
    /// Bytes the venue's files may take there; then the oldest is removed.
    pub max_bytes: u64,
}

/// Bounds of a sink's queue, whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Records.
    pub records: usize,
    /// Payload bytes.
    pub bytes: usize,
}

/// The built-in recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderConfig {
    /// Directory of its files.
    pub dir: PathBuf,
    /// Bytes all its files may take.
    pub max_total: u64,
    /// Bytes after which a stream begins a new file.
    pub rotate: u64,
    /// Time after which it does.
    pub rotate_after: Duration,
    /// Lines wait this long for others before they are packed and written.
    pub flush: Duration,
    /// Bytes of lines that may wait.
    pub buffer: usize,
    /// Threads that pack and write.
    pub save_concurrency: u32,
    /// Bounds of the queue in front of it.
    pub queue: QueueConfig,
}

/// Listeners, what `/health` grants, and who may see `/debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// `/health` and its like.
    pub health: SocketAddr,
    /// `/metrics`.
    pub metrics: SocketAddr,
    /// After the start, how long `/health` answers 200 although unhealthy.
    pub health_grace: Duration,
    /// File with the bearer token for `/debug`; `None`: nobody may.
    pub token_file: Option<PathBuf>,
}

/// The log on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A level or a filter (`info`, `info,collector=debug`).
    pub filter: String,
    /// Form of the lines.
    pub format: LogFormat,
    /// Lines of one message that pass in an interval.
    pub repeat_limit: u32,
    /// That interval.
    pub repeat_interval: Duration,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What reading a configuration gave.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, when nothing in it is an error.
    pub config: Option<Config>,
    /// Everything found, errors and warnings, in the order of the file, then of the environment.
    pub findings: Vec<Diagnostic>,
}

/// Every code of this program's findings, with what it means and what to do; those below `E500` belong to the reading of YAML.
pub const CODES: &[(&str, &str, &str)] = &[
    ("E501", "A value is not understood: write it as the message expects.", "无法理解的值：请按提示的形式书写。"),
    ("E502", "A value is out of its limits.", "值超出范围。"),
    (
        "E503",
        "An unknown venue, market, language, level or format; the nearest known one is named.",
        "未知的交易所、市场、语言、级别或格式；提示最接近的名字。",
    ),
    ("E504", "Something is given twice.", "重复配置。"),
    ("E505", "There is nothing to collect, or nowhere to put it.", "没有可采集的内容，或没有输出。"),
    ("E506", "An environment variable of the old collector has a value that is not understood.", "旧采集器的环境变量的值无法理解。"),
    ("E507", "The configuration file cannot be read.", "无法读取配置文件。"),
    ("E510", "A port is taken; the message names the process and the option.", "端口被占用；消息给出进程与选项。"),
    ("E511", "An address cannot be listened on.", "无法监听该地址。"),
    (
        "E512",
        "The recorder cannot use its directory: no permission, or another collector records there.",
        "记录器无法使用其目录：权限不足，或另一采集器正在写入。",
    ),
    (
        "E513",
        "`nats.url`, or a file that `nats` names (`ca_file`, `cert_file`, `key_file`, `nkey_file`, `credentials_file`), cannot be used.",
        "`nats.url` 或 `nats` 指定的文件（`ca_file`、`cert_file`、`key_file`、`nkey_file`、`credentials_file`）无法使用。",
    ),
    (
        "E514",
        "A venue cannot be dialed as configured: its `ca_file` or its proxy's login cannot be read.",
        "无法按配置连接交易所：无法读取 `ca_file` 或代理登录。",
    ),
    ("E515", "The spool belongs to another process, or cannot be used.", "spool 正被另一进程使用，或无法使用。"),
    ("E520", "`http.token_file` cannot be read, or holds less than 16 characters.", "`http.token_file` 无法读取，或内容不足 16 个字符。"),
    (
        "W501",
        "An environment variable of the old collector has no effect; the hint says what to use instead.",
        "旧采集器的环境变量不起作用；提示给出替代办法。",
    ),
    ("W502", "An environment variable wins over this value of the file.", "环境变量优先于文件中的此值。"),
    (
        "W503",
        "`nats.mode: core` acknowledges nothing: what was in the socket when a server died may be lost.",
        "`nats.mode: core` 没有确认：服务器宕机时套接字中的数据可能丢失。",
    ),
];

// === impl Config ===

impl Config {
    /// Whether a book or its delta leaves with every update somewhere.
    pub fn publishes_every_update(&self) -> bool {
        let every = |output: &Output| output.book == Publication::EveryUpdate || output.delta == Some(Publication::EveryUpdate);
        self.venues.iter().any(|venue| every(&venue.output) || venue.overrides.iter().any(|(_, output)| every(output)))
    }
}

// === impl VenueConfig ===

impl VenueConfig {
    /// What leaves of this symbol.
    pub fn output_of(&self, symbol: &str) -> &Output {
        self.overrides.iter().find(|(known, _)| known == symbol).map_or(&self.output, |(_, output)| output)
    }
}

// === impl PressureConfig ===

impl Default for PressureConfig {
    fn default() -> Self {
        Self { memory: None, descriptors: None, sockets: None, dwell: Duration::from_secs(30), gc_interval: Some(Duration::from_mins(5)) }
    }
}

// === impl ListingConfig ===

impl Default for ListingConfig {
    fn default() -> Self {
        Self { interval: Duration::from_hours(1), cleanup_interval: Duration::from_mins(30) }
    }
}

// === impl QueueConfig ===

impl QueueConfig {
    /// 8,192 records or 8 MiB.
    pub const DEFAULT: Self = Self { records: 8_192, bytes: 8 << 20 };
}

/// Reads the configuration `text` of `file`, with the environment's say.
pub fn load(file: &str, text: &str, environment: &Environment) -> Loaded {
    let (written, mut findings) = yaml::read_all::<written::Root>(file, text);
    let Some(written) = written else { return Loaded { config: None, findings } };
    let (config, found) = validate::validate(file, written, environment);
    findings.extend(found);
    // What has no place in the file is of the file as a whole, or of the environment.
    findings.sort_by_key(|finding| (finding.place.is_none(), finding.place));
    let sound = findings.iter().all(|finding| finding.severity < Severity::Error);
    Loaded { config: sound.then_some(config), findings }
}

/// [`CODES`] as `docs/collector.md` has them.
pub fn codes_to_markdown() -> String {
    let rows = CODES.iter().map(|(code, en, zh)| format!("| `{code}` | {en} | {zh} |\n"));
    ["| code | meaning | 含义 |\n|---|---|---|\n".to_owned()].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests;
