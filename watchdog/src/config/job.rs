//! A scrape job and an Alertmanager to hand alerts over to, validated: what Prometheus's `scrape_configs` and `alertmanagers` say.
//!
//! Owns: what the keys mean once they are read. Must not know: YAML, sockets, which targets there are now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use promql::exposition::{Format, Protocol};
use promql::relabel::Rule;
use router::config::HttpConfig;

/// Body limit when none is configured: a page this large is no exposition of a process.
pub const BODY_SIZE_LIMIT: u64 = 16 << 20;

/// One entry of `scrape_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// `job_name`.
    pub name: String,
    /// Where targets come from, before they are relabelled.
    pub discovery: Discovery,
    /// Between two scrapes, unless relabelling says otherwise.
    pub interval: Duration,
    /// At most this long for one scrape, the body included.
    pub timeout: Duration,
    /// `http` or `https`, unless relabelling says otherwise.
    pub scheme: String,
    /// Path, unless relabelling says otherwise.
    pub metrics_path: String,
    /// Query parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether a page's own labels win over the target's.
    pub honor_labels: bool,
    /// Whether a page's own timestamps are kept.
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own get stale markers too.
    pub track_timestamps_staleness: bool,
    /// The `Accept` header.
    pub accept: String,
    /// The format of a page whose content type names none; `None`: such a page is a failed scrape.
    pub fallback: Option<Format>,
    /// Whether gzip is asked for.
    pub compression: bool,
    /// Credentials, headers, TLS, proxy.
    pub http: HttpConfig,
    /// Directory that files of `http` are relative to.
    pub base: PathBuf,
    /// Bounds of a page and of the job.
    pub limits: Limits,
    /// Applied to what a page says.
    pub metric_relabel: Vec<Rule>,
    /// Failed scrapes in a row before stale markers are written.
    pub stale_after_failures: u32,
}

/// Where targets come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovery {
    /// Listed in the configuration.
    pub groups: Vec<Group>,
    /// Listed in files.
    pub files: Vec<FileSd>,
    /// Applied to each.
    pub relabel: Vec<Rule>,
}

/// Targets with labels in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Addresses.
    pub targets: Vec<String>,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
}

/// One entry of `file_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSd {
    /// Files; the last part may hold `*`.
    pub patterns: Vec<PathBuf>,
    /// They are read again this often, besides when they change.
    pub refresh: Duration,
}

/// Bounds of a page and of a job; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a page, decoded. Never 0: a page without a bound could take all memory.
    pub body_size: u64,
    /// Samples of a page, after relabelling.
    pub samples: usize,
    /// Labels of a sample, after relabelling.
    pub labels: usize,
    /// Bytes of a label name.
    pub label_name_length: usize,
    /// Bytes of a label value.
    pub label_value_length: usize,
    /// Targets of the job.
    pub targets: usize,
}

/// One entry of `alerting.alertmanagers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    /// Where they are.
    pub discovery: Discovery,
    /// `http` or `https`.
    pub scheme: String,
    /// Before `/api/v2/alerts`.
    pub path_prefix: String,
    /// At most this long for one request.
    pub timeout: Duration,
    /// Credentials, headers, TLS, proxy.
    pub http: HttpConfig,
    /// Directory that files of `http` are relative to.
    pub base: PathBuf,
}

// === impl Job ===

impl Default for Job {
    /// A job without targets, with Prometheus's defaults.
    fn default() -> Self {
        Self {
            name: String::new(),
            discovery: Discovery::default(),
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(10),
            scheme: "http".to_owned(),
            metrics_path: "/metrics".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            accept: Protocol::accept(&Protocol::DEFAULT),
            fallback: None,
            compression: true,
            http: HttpConfig::default(),
            base: PathBuf::new(),
            limits: Limits { body_size: BODY_SIZE_LIMIT, ..Limits::default() },
            metric_relabel: Vec::new(),
            stale_after_failures: 1,
        }
    }
}
