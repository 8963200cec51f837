//! `scrape_configs:`: Prometheus's schema and meaning, one [`Job`] an entry.

use std::collections::BTreeSet;
use std::path::Path;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text as Bilingual};
use promql::exposition::Protocol;

use super::discovery::{self, relabel};
use super::findings::Findings;
use super::http::http;
use crate::config::job::{BODY_SIZE_LIMIT, Job, Limits};
use crate::config::written::{self, ScrapeConfig, Text};
use crate::config::{Global, validate::scheme};

/// What jobs take from the rest of the file.
#[derive(Clone, Copy)]
pub(super) struct Defaults<'a> {
    pub(super) written: &'a written::Global,
    pub(super) global: &'a Global,
    pub(super) base: &'a Path,
}

pub(super) fn jobs(written: &[Spanned<ScrapeConfig>], defaults: Defaults<'_>, findings: &mut Findings) -> Vec<Job> {
    unique_jobs(written, findings);
    written.iter().map(|config| job(config, defaults, findings)).collect()
}

fn unique_jobs(written: &[Spanned<ScrapeConfig>], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for name in written.iter().map(|config| &config.value.job_name) {
        if name.value.is_empty() {
            findings.missing(place_of(name), "job_name is empty", "job_name 为空");
        }
        if !seen.insert(name.value.as_str()) {
            let message = Bilingual::new(format!("the job `{}` is configured twice", name.value), format!("任务 `{}` 重复", name.value));
            findings.add(place_of(name), Diagnostic::error("E305", message));
        }
    }
}

fn job(entry: &Spanned<ScrapeConfig>, defaults: Defaults<'_>, findings: &mut Findings) -> Job {
    let config = &entry.value;
    unsupported(config, findings);
    let global = defaults.global;
    let interval = findings.positive(config.scrape_interval.as_ref(), global.scrape_interval);
    let timeout = findings.positive(config.scrape_timeout.as_ref(), global.scrape_timeout.min(interval));
    if let Some(text) = config.scrape_timeout.as_ref().filter(|_| timeout > interval) {
        findings.contradiction(text, "the scrape timeout is longer than the scrape interval", "抓取超时比抓取间隔更长");
    }
    let protocols = config.scrape_protocols.as_ref().or(defaults.written.scrape_protocols.as_ref());
    Job {
        name: config.job_name.value.clone(),
        discovery: discovery::of(&config.static_configs, &config.file_sd_configs, &config.relabel_configs, defaults.base, findings),
        interval,
        timeout,
        scheme: scheme(config.scheme.as_ref(), findings),
        metrics_path: metrics_path(config.metrics_path.as_ref(), findings),
        params: config.params.clone(),
        honor_labels: config.honor_labels,
        honor_timestamps: config.honor_timestamps.unwrap_or(true),
        track_timestamps_staleness: config.track_timestamps_staleness,
        accept: accept(protocols, findings),
        fallback: config.fallback_scrape_protocol.as_ref().and_then(|word| protocol(word, findings)).and_then(Protocol::format),
        compression: config.enable_compression.unwrap_or(true),
        http: http(&config.http(), place_of(entry), findings),
        base: defaults.base.to_path_buf(),
        limits: limits(config, defaults.written, findings),
        metric_relabel: config.metric_relabel_configs.iter().filter_map(|rule| relabel(rule, findings)).collect(),
        stale_after_failures: stale_after(config.stale_after_failures.as_ref(), findings),
    }
}

fn stale_after(written: Option<&Spanned<u32>>, findings: &mut Findings) -> u32 {
    written.map_or(1, |number| {
        if number.value == 0 {
            findings.missing(place_of(number), "stale_after_failures must be at least 1", "stale_after_failures 至少为 1");
        }
        number.value.max(1)
    })
}

fn limits(config: &ScrapeConfig, global: &written::Global, findings: &mut Findings) -> Limits {
    let body_size = findings.size(config.body_size_limit.as_ref().or(global.body_size_limit.as_ref()), BODY_SIZE_LIMIT);
    let either = |own: Option<usize>, shared: Option<usize>| own.or(shared).unwrap_or(0);
    Limits {
        body_size: if body_size == 0 { BODY_SIZE_LIMIT } else { body_size },
        samples: either(config.sample_limit, global.sample_limit),
        labels: either(config.label_limit, global.label_limit),
        label_name_length: either(config.label_name_length_limit, global.label_name_length_limit),
        label_value_length: either(config.label_value_length_limit, global.label_value_length_limit),
        targets: either(config.target_limit, global.target_limit),
    }
}

fn metrics_path(written: Option<&Text>, findings: &mut Findings) -> String {
    const DEFAULT: &str = "/metrics";
    let Some(path) = written.filter(|path| !path.value.is_empty()) else { return DEFAULT.to_owned() };
    if !path.value.starts_with('/') {
        findings.unknown_value("E304", path, ("a path that begins with `/`", "以 `/` 开头的路径"));
        return DEFAULT.to_owned();
    }
    path.value.clone()
}

fn accept(written: Option<&Vec<Text>>, findings: &mut Findings) -> String {
    match written {
        Some(words) => {
            let protocols: Vec<Protocol> = words.iter().filter_map(|word| protocol(word, findings)).collect();
            if protocols.is_empty() { Protocol::accept(&Protocol::DEFAULT) } else { Protocol::accept(&protocols) }
        }
        None => Protocol::accept(&Protocol::DEFAULT),
    }
}

fn protocol(word: &Text, findings: &mut Findings) -> Option<Protocol> {
    let found = Protocol::of_word(&word.value);
    if found.is_none() {
        let names = Protocol::ALL.map(Protocol::as_str).join(", ");
        findings.unknown_value("E313", word, (&names, &names));
    }
    found
}

fn unsupported(config: &ScrapeConfig, findings: &mut Findings) {
    for (key, value) in config.unsupported() {
        findings.unsupported(key, value);
    }
    findings.unsupported("scrape_failure_log_file", &config.scrape_failure_log_file);
    for (key, value) in [
        ("scrape_native_histograms", &config.scrape_native_histograms),
        ("convert_classic_histograms_to_nhcb", &config.convert_classic_histograms_to_nhcb),
        ("extra_scrape_metrics", &config.extra_scrape_metrics),
    ] {
        findings.not_switched_on(key, value.as_ref());
    }
    for scheme in config.metric_name_validation_scheme.iter().filter(|scheme| scheme.value != "utf8") {
        findings.not_supported_yet("metric_name_validation_scheme", place_of(scheme));
    }
    for scheme in config.metric_name_escaping_scheme.iter().filter(|scheme| scheme.value != "allow-utf-8") {
        findings.not_supported_yet("metric_name_escaping_scheme", place_of(scheme));
    }
}
