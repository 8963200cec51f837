//! `alerting:`: the Alertmanagers that alerts are handed over to, as Prometheus does.

use std::path::Path;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use promql::relabel::Rule;

use super::discovery::{self, relabel};
use super::findings::Findings;
use super::http::http;
use super::scheme;
use crate::config::job;
use crate::config::written::{Alerting, Alertmanager};

pub(super) fn alertmanagers(written: &Alerting, base: &Path, findings: &mut Findings) -> Vec<job::Alertmanager> {
    written.alertmanagers.iter().map(|entry| alertmanager(entry, base, findings)).collect()
}

/// What changes the labels of alerts on their way.
pub(super) fn alert_relabel(written: &Alerting, findings: &mut Findings) -> Vec<Rule> {
    written.alert_relabel_configs.iter().filter_map(|rule| relabel(rule, findings)).collect()
}

fn alertmanager(entry: &Spanned<Alertmanager>, base: &Path, findings: &mut Findings) -> job::Alertmanager {
    let config = &entry.value;
    for (key, value) in config.unsupported() {
        findings.unsupported(key, value);
    }
    findings.unsupported("alert_relabel_configs", &config.alert_relabel_configs);
    findings.unsupported("sigv4", &config.sigv4);
    if let Some(version) = config.api_version.as_ref().filter(|version| version.value != "v2") {
        findings.unknown_value("E313", version, ("`v2`, the only one that Alertmanager still has", "`v2`（Alertmanager 目前唯一的版本）"));
    }
    let prefix = config.path_prefix.as_ref().map_or("", |prefix| prefix.value.trim_matches('/'));
    job::Alertmanager {
        discovery: discovery::of(&config.static_configs, &config.file_sd_configs, &config.relabel_configs, base, findings),
        scheme: scheme(config.scheme.as_ref(), findings),
        path_prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") },
        timeout: findings.positive(config.timeout.as_ref(), Duration::from_secs(10)),
        http: http(&config.http(), place_of(entry), findings),
        base: base.to_path_buf(),
    }
}
