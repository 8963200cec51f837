//! The old collector's environment variables: each is honoured, or named in a warning that says what to use instead. None is silently ignored.
//!
//! [`TABLE`] is the one list; `docs/collector.md` holds the same table, and a test keeps the two equal.

use std::collections::BTreeMap;

use diagnostics::{Diagnostic, Text};

/// The variables of the process, as read once at start.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

/// What becomes of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It sets this key and wins over the file.
    Sets(&'static str),
    /// It says which proxies lead to the venues that have no `proxy` of their own.
    Proxies,
    /// It has no effect here; the sentences say why and what to use instead.
    Gone {
        /// English.
        en: &'static str,
        /// Chinese.
        zh: &'static str,
    },
}

/// One variable, or all that end in a suffix (`*_API_KEY`).
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name; a leading `*` stands for an exchange's name.
    pub name: &'static str,
    /// What becomes of it.
    pub fate: Fate,
}

const WATCHDOG: Fate = Fate::Gone {
    en: "supervision is the watchdog's: see `restarts` in watchdog.yml and rules/",
    zh: "监管由 watchdog 负责：见 watchdog.yml 的 `restarts` 与 rules/",
};
const OLD_FILE: Fate = Fate::Gone {
    en: "the old YAML is not read: write collector.yml and give it with --config",
    zh: "不再读取旧的 YAML：请编写 collector.yml 并用 --config 指定",
};
const ONE_PROCESS: Fate = Fate::Gone {
    en: "there is one process and no mode; its ports and the recorder's directory keep a second one out",
    zh: "只有一个进程，没有模式之分；端口与记录目录的锁防止重复启动",
};
const PUBLIC_DATA: Fate =
    Fate::Gone { en: "only public data is collected: keys are not needed and not read", zh: "只采集公开数据：不需要也不读取密钥" };

/// Every variable of the old collector. Where two set one key, the earlier wins.
pub const TABLE: &[Variable] = &[
    Variable { name: "MARKETPRISM_NATS_URL", fate: Fate::Sets("nats.url") },
    Variable { name: "NATS_URL", fate: Fate::Sets("nats.url") },
    Variable { name: "MARKETPRISM_NATS_SERVERS", fate: Fate::Sets("nats.url") },
    Variable { name: "HEALTH_CHECK_PORT", fate: Fate::Sets("http.health") },
    Variable { name: "METRICS_PORT", fate: Fate::Sets("http.metrics") },
    Variable { name: "HEALTH_GRACE_SECONDS", fate: Fate::Sets("http.health_grace") },
    Variable { name: "MARKETPRISM_LOG_LEVEL", fate: Fate::Sets("log.level") },
    Variable { name: "LOG_LEVEL", fate: Fate::Sets("log.level") },
    Variable { name: "MARKETPRISM_LOG_JSON", fate: Fate::Sets("log.format") },
    Variable { name: "SAVE_CONCURRENCY", fate: Fate::Sets("recorder.save_concurrency") },
    Variable { name: "BUFFER_HIGH", fate: Fate::Sets("buffers.*.high") },
    Variable { name: "BUFFER_EMERGENCY", fate: Fate::Sets("buffers.*.emergency") },
    Variable { name: "PRICES_BUFFER_HIGH", fate: Fate::Sets("buffers.trade.high") },
    Variable { name: "PRICES_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.trade.emergency") },
    Variable { name: "ORDERBOOK_BUFFER_HIGH", fate: Fate::Sets("buffers.orderbook.high") },
    Variable { name: "ORDERBOOK_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.orderbook.emergency") },
    Variable { name: "OFI_BUFFER_HIGH", fate: Fate::Sets("buffers.ofi.high") },
    Variable { name: "OFI_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.ofi.emergency") },
    Variable { name: "CVD_BUFFER_HIGH", fate: Fate::Sets("buffers.cvd.high") },
    Variable { name: "CVD_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.cvd.emergency") },
    Variable { name: "FEATURES_BUFFER_HIGH", fate: Fate::Sets("buffers.feature.high") },
    Variable { name: "FEATURES_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.feature.emergency") },
    Variable { name: "FUSION_BUFFER_HIGH", fate: Fate::Sets("buffers.fusion.high") },
    Variable { name: "FUSION_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.fusion.emergency") },
    Variable { name: "EVENTS_BUFFER_HIGH", fate: Fate::Sets("buffers.event.high") },
    Variable { name: "EVENTS_BUFFER_EMERGENCY", fate: Fate::Sets("buffers.event.emergency") },
    Variable { name: "COLLECTOR_ENABLE_HTTP", fate: Fate::Gone { en: "the HTTP pages are always on", zh: "HTTP 页面始终开启" } },
    Variable {
        name: "MARKETPRISM_LOG_FILE",
        fate: Fate::Gone { en: "the log goes to standard error: redirect it there", zh: "日志写到标准错误：请在那里重定向" },
    },
    Variable { name: "MARKETPRISM_UNIFIED_DATA_COLLECTION_CONFIG", fate: OLD_FILE },
    Variable { name: "MARKETPRISM_CONFIG_PATH", fate: OLD_FILE },
    Variable { name: "COLLECTOR_MODE", fate: ONE_PROCESS },
    Variable { name: "MARKETPRISM_COLLECTOR_LOCK", fate: ONE_PROCESS },
    Variable { name: "ALLOW_MULTIPLE", fate: ONE_PROCESS },
    Variable { name: "COLLECTOR_MON_INTERVAL", fate: WATCHDOG },
    Variable { name: "COLLECTOR_CPU_THRESHOLD", fate: WATCHDOG },
    Variable { name: "COLLECTOR_MEMORY_MB", fate: WATCHDOG },
    Variable { name: "COLLECTOR_MEM_PCT", fate: WATCHDOG },
    Variable { name: "COLLECTOR_MAX_UPTIME_H", fate: WATCHDOG },
    Variable { name: "COLLECTOR_MAX_RESTART", fate: WATCHDOG },
    Variable { name: "COLLECTOR_RESTART_COOLDOWN", fate: WATCHDOG },
    Variable { name: "AUTO_RESTART_ON_HEALTH_CRITICAL", fate: WATCHDOG },
    Variable { name: "HTTPS_PROXY", fate: Fate::Proxies },
    Variable { name: "https_proxy", fate: Fate::Proxies },
    Variable { name: "HTTP_PROXY", fate: Fate::Proxies },
    Variable { name: "http_proxy", fate: Fate::Proxies },
    Variable { name: "ALL_PROXY", fate: Fate::Proxies },
    Variable { name: "all_proxy", fate: Fate::Proxies },
    Variable { name: "NO_PROXY", fate: Fate::Proxies },
    Variable { name: "no_proxy", fate: Fate::Proxies },
    Variable { name: "*_API_KEY", fate: PUBLIC_DATA },
    Variable { name: "*_API_SECRET", fate: PUBLIC_DATA },
    Variable { name: "*_PASSPHRASE", fate: PUBLIC_DATA },
];

/// Those of [`TABLE`] whose value is a proxy.
pub(super) const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// What `*` stands for.
const EXCHANGES: [&str; 3] = ["BINANCE", "OKX", "DERIBIT"];

// === impl Environment ===

impl Environment {
    /// The variables of this process. What is not UTF-8 is read with replacement characters.
    pub fn of_process() -> Self {
        std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect()
    }

    /// The value of a variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The winning variable for `key` and its value.
    pub(super) fn setting(&self, key: &str) -> Option<(&'static str, &str)> {
        TABLE.iter().filter(|row| row_key(row) == key).find_map(|row| Some((row.name, self.get(row.name)?)))
    }

    /// A warning for each variable that is set and has no effect.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for row in TABLE {
            if let Fate::Gone { en, zh } = row.fate {
                let set = row.names().into_iter().filter(|name| self.get(name).is_some() && !self.is_already_so(name));
                found.extend(set.map(|name| without_effect(&name, Text::new(en, zh))));
            } else if let Fate::Sets(key) = row.fate
                && let Some((winner, _)) = self.setting(key)
                && winner != row.name
                && self.get(row.name).is_some()
            {
                found.push(without_effect(row.name, Text::new(format!("`{winner}` is set and wins"), format!("`{winner}` 已设置，优先生效"))));
            }
        }
        found
    }

    /// Whether the variable asks for what is the case anyway.
    fn is_already_so(&self, name: &str) -> bool {
        name == "COLLECTOR_ENABLE_HTTP" && self.get(name).is_some_and(|value| truth(value) == Some(true))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

// === impl Variable ===

impl Variable {
    /// The names the row stands for.
    pub fn names(&self) -> Vec<String> {
        match self.name.strip_prefix('*') {
            Some(suffix) => EXCHANGES.iter().map(|exchange| format!("{exchange}{suffix}")).collect(),
            None => vec![self.name.to_owned()],
        }
    }
}

/// Yes or no as the old collector read it.
pub(super) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The table as `docs/collector.md` has it.
pub fn to_markdown() -> String {
    let fate = |row: &Variable| match row.fate {
        Fate::Sets(key) => format!("sets `{key}`"),
        Fate::Proxies => "says which proxies lead to the venues that have no `proxy` of their own; upper case wins".to_owned(),
        Fate::Gone { en, .. } => format!("no effect, with a warning: {en}"),
    };
    let rows = TABLE.iter().map(|row| format!("| `{}` | {} |\n", row.name, fate(row)));
    ["| variable | what becomes of it |\n|---|---|\n".to_owned()].into_iter().chain(rows).collect()
}

/// The key a variable sets; empty when it sets none.
fn row_key(row: &Variable) -> &'static str {
    match row.fate {
        Fate::Sets(key) => key,
        Fate::Proxies | Fate::Gone { .. } => "",
    }
}

fn without_effect(name: &str, why: Text) -> Diagnostic {
    let message = Text::new(format!("environment variable `{name}` has no effect"), format!("环境变量 `{name}` 不起作用"));
    Diagnostic::warning("W501", message).hint(why)
}
