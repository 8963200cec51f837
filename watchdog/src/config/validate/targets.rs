//! `scrape_configs:`: Prometheus's schema and meaning, one [`Target`] for each address.

use std::collections::BTreeSet;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text as Bilingual};
use promql::labels::Labels;

use super::findings::Findings;
use crate::config::written::{self, ScrapeConfig, Text};
use crate::config::{Global, Target};

/// Body limit when none is configured: a page this large is no exposition of a process.
const BODY_SIZE_LIMIT: u64 = 16 << 20;

pub(super) fn targets(written: &[Spanned<ScrapeConfig>], raw_global: &written::Global, global: &Global, findings: &mut Findings) -> Vec<Target> {
    unique_jobs(written, findings);
    let mut out = Vec::new();
    for config in written.iter().map(|config| &config.value) {
        unsupported(config, findings);
        let template = job(config, raw_global, global, findings);
        for (text, labels) in config.static_configs.iter().flat_map(|group| group.targets.iter().map(move |target| (target, &group.labels))) {
            let Some(target) = one(config, &template, text, labels, findings) else { continue };
            if out.iter().any(|other: &Target| other.labels == target.labels && other.url == target.url) {
                let message = Bilingual::new(format!("the target `{}` is listed twice", text.value), format!("目标 `{}` 重复", text.value));
                findings.add(place_of(text), Diagnostic::error("E305", message));
                continue;
            }
            out.push(target);
        }
    }
    out
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

/// What all targets of a job share.
fn job(config: &ScrapeConfig, raw_global: &written::Global, global: &Global, findings: &mut Findings) -> Target {
    let interval = findings.positive(config.scrape_interval.as_ref(), global.scrape_interval);
    let timeout = findings.positive(config.scrape_timeout.as_ref(), global.scrape_timeout.min(interval));
    if let Some(text) = config.scrape_timeout.as_ref().filter(|_| timeout > interval) {
        findings.contradiction(text, "the scrape timeout is longer than the scrape interval", "抓取超时比抓取间隔更长");
    }
    let limit = findings.size(config.body_size_limit.as_ref().or(raw_global.body_size_limit.as_ref()), BODY_SIZE_LIMIT);
    let stale_after = config.stale_after_failures.as_ref().map_or(1, |text| {
        if text.value == 0 {
            findings.missing(place_of(text), "stale_after_failures must be at least 1", "stale_after_failures 至少为 1");
        }
        text.value.max(1)
    });
    Target {
        job: config.job_name.value.clone(),
        instance: String::new(),
        url: String::new(),
        labels: Labels::default(),
        interval,
        timeout,
        honor_labels: config.honor_labels,
        honor_timestamps: config.honor_timestamps.unwrap_or(true),
        body_size_limit: if limit == 0 { BODY_SIZE_LIMIT } else { limit },
        sample_limit: config.sample_limit.or(raw_global.sample_limit).unwrap_or(0),
        stale_after_failures: stale_after,
    }
}

fn one(
    config: &ScrapeConfig,
    template: &Target,
    address: &Text,
    labels: &std::collections::BTreeMap<String, String>,
    findings: &mut Findings,
) -> Option<Target> {
    let scheme = config.scheme.as_ref().map_or("http", |scheme| scheme.value.as_str());
    let path = config.metrics_path.as_ref().map_or("/metrics", |path| path.value.as_str());
    let url = reqwest::Url::parse(&format!("{scheme}://{}{path}", address.value));
    let Some(mut url) = url.ok().filter(|_| matches!(scheme, "http" | "https") && !address.value.contains('/') && path.starts_with('/')) else {
        findings.unknown_value("E304", address, ("HOST:PORT", "主机:端口"));
        return None;
    };
    for (name, value) in config.params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))) {
        url.query_pairs_mut().append_pair(name, value);
    }
    let port = if scheme == "https" { ":443" } else { ":80" };
    let has_port = address.value.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let instance = if has_port { address.value.clone() } else { format!("{}{port}", address.value) };
    let own = [("job".to_owned(), template.job.clone()), ("instance".to_owned(), instance.clone())];
    let labels = Labels::from_pairs(own.into_iter().chain(labels.clone()));
    Some(Target { instance, url: url.to_string(), labels, ..template.clone() })
}

fn unsupported(config: &ScrapeConfig, findings: &mut Findings) {
    for (key, value) in [
        ("relabel_configs", &config.relabel_configs),
        ("metric_relabel_configs", &config.metric_relabel_configs),
        ("file_sd_configs", &config.file_sd_configs),
        ("http_sd_configs", &config.http_sd_configs),
        ("dns_sd_configs", &config.dns_sd_configs),
        ("docker_sd_configs", &config.docker_sd_configs),
        ("kubernetes_sd_configs", &config.kubernetes_sd_configs),
        ("consul_sd_configs", &config.consul_sd_configs),
        ("basic_auth", &config.basic_auth),
        ("authorization", &config.authorization),
        ("oauth2", &config.oauth2),
        ("tls_config", &config.tls_config),
        ("proxy_url", &config.proxy_url),
        ("scrape_protocols", &config.scrape_protocols),
        ("label_limit", &config.label_limit),
    ] {
        findings.unsupported(key, value);
    }
}
