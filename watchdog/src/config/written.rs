//! `watchdog.yml` as written: one struct a section, unknown keys refused. What Prometheus knows and this version does not is named, not ignored.

pub(super) mod scrape;

use std::collections::BTreeMap;

use diagnostics::yaml::Spanned;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub(super) use scrape::{Alerting, Alertmanager, FileSd, Relabel, ScrapeConfig, StaticConfig};

pub(super) type Text = Spanned<String>;
pub(super) type Unsupported = Option<Spanned<IgnoredAny>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) global: Global,
    pub(super) lang: Option<Text>,
    pub(super) timezone: Option<Text>,
    pub(super) data_dir: Option<Text>,
    pub(super) rule_files: Vec<Text>,
    pub(super) scrape_configs: Vec<Spanned<ScrapeConfig>>,
    pub(super) probes: Vec<Spanned<Probe>>,
    pub(super) processes: Vec<Spanned<Process>>,
    pub(super) restarts: Vec<Spanned<Restart>>,
    pub(super) alertmanager: Option<ConfigFile>,
    pub(super) alerting: Alerting,
    pub(super) dingtalk: Option<ConfigFile>,
    pub(super) storage: Storage,
    pub(super) remote_write: Vec<Spanned<IgnoredAny>>,
    pub(super) remote_read: Vec<Spanned<IgnoredAny>>,
    pub(super) scrape_config_files: Unsupported,
    pub(super) tracing: Unsupported,
    pub(super) otlp: Unsupported,
    pub(super) web: Web,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Global {
    pub(super) scrape_interval: Option<Text>,
    pub(super) scrape_timeout: Option<Text>,
    pub(super) evaluation_interval: Option<Text>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) body_size_limit: Option<Text>,
    pub(super) sample_limit: Option<usize>,
    pub(super) label_limit: Option<usize>,
    pub(super) label_name_length_limit: Option<usize>,
    pub(super) label_value_length_limit: Option<usize>,
    pub(super) target_limit: Option<usize>,
    #[serde(rename = "keep_dropped_targets")]
    pub(super) _keep_dropped_targets: Option<IgnoredAny>,
    pub(super) scrape_protocols: Option<Vec<Text>>,
    pub(super) rule_query_offset: Option<Text>,
    pub(super) metric_name_validation_scheme: Option<Text>,
    pub(super) metric_name_escaping_scheme: Option<Text>,
    pub(super) scrape_native_histograms: Option<Spanned<bool>>,
    #[serde(rename = "always_scrape_classic_histograms")]
    pub(super) _always_scrape_classic_histograms: Option<IgnoredAny>,
    pub(super) convert_classic_histograms_to_nhcb: Option<Spanned<bool>>,
    pub(super) extra_scrape_metrics: Option<Spanned<bool>>,
    /// Of Go's garbage collector: nothing here.
    #[serde(rename = "runtime")]
    pub(super) _runtime: Option<IgnoredAny>,
    pub(super) query_log_file: Unsupported,
    pub(super) scrape_failure_log_file: Unsupported,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    pub(super) name: Text,
    pub(super) url: Text,
    pub(super) interval: Option<Text>,
    pub(super) timeout: Option<Text>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Process {
    pub(super) name: Text,
    #[serde(rename = "match")]
    pub(super) matching: Spanned<Match>,
    pub(super) interval: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Match {
    pub(super) exe: Option<String>,
    pub(super) argv: Vec<String>,
    pub(super) listen: Option<u16>,
    pub(super) pidfile: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Restart {
    pub(super) name: Text,
    pub(super) process: Text,
    pub(super) method: Text,
    #[serde(default)]
    pub(super) command: Vec<String>,
    pub(super) workdir: Option<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    pub(super) grace: Option<Text>,
    pub(super) evidence: Option<Text>,
    #[serde(default)]
    pub(super) verify: Verify,
    #[serde(default)]
    pub(super) guard: Guard,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Verify {
    pub(super) probe: Option<Text>,
    pub(super) expr: Option<Text>,
    pub(super) within: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Guard {
    pub(super) min_uptime: Option<Text>,
    pub(super) cooldown: Option<Text>,
    pub(super) cooldown_max: Option<Text>,
    pub(super) reset_after: Option<Text>,
    pub(super) per_hour: Option<u32>,
    pub(super) per_day: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) config_file: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Storage {
    pub(super) retention: Option<Text>,
    pub(super) size: Option<Text>,
    pub(super) memory_limit: Option<Text>,
    pub(super) tsdb: Unsupported,
    pub(super) exemplars: Unsupported,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Web {
    pub(super) listen: Option<Text>,
    pub(super) external_url: Option<Text>,
    pub(super) token_file: Option<Text>,
    pub(super) trust_loopback: bool,
    pub(super) links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) title: String,
    pub(super) url: Text,
}
