//! As written → validated: every finding in one pass.
//!
//! Owns: defaults, references between sections, what contradicts what. A value that cannot be read is replaced by its default, so that the rest is still checked.

mod alerting;
mod discovery;
mod findings;
mod http;
mod jobs;
mod restarts;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diagnostics::{Diagnostic, Lang, Severity};
use promql::labels::Labels;

use self::findings::Findings;
use super::written::{self, File, Text};
use super::{Config, Global, Probe, Process, QueryLimits, Storage, Web};

/// The configuration unless there is an error, and all findings.
pub(super) fn validate(path: PathBuf, name: &str, file: File) -> (Option<Config>, Vec<Diagnostic>) {
    let mut findings = Findings::new(name);
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    unsupported(&file, &mut findings);
    let global = global(&file.global, &mut findings);
    let probes = probes(&file.probes, &global, &mut findings);
    let processes = processes(&file.processes, &base, &global, &mut findings);
    let defaults = jobs::Defaults { written: &file.global, global: &global, base: &base };
    let jobs = jobs::jobs(&file.scrape_configs, defaults, &mut findings);
    let config = Config {
        jobs: jobs.into_iter().map(Arc::new).collect(),
        alertmanagers: alerting::alertmanagers(&file.alerting, &base, &mut findings),
        alert_relabel: alerting::alert_relabel(&file.alerting, &mut findings),
        restarts: restarts::restarts(&file.restarts, &base, &processes, &probes, &mut findings),
        lang: lang(file.lang.as_ref(), &mut findings),
        timezone: timezone(file.timezone.as_ref(), &mut findings),
        data_dir: base.join(file.data_dir.as_ref().map_or("data/watchdog", |dir| dir.value.as_str())),
        rule_files: file.rule_files.iter().map(|pattern| base.join(&pattern.value)).collect(),
        alertmanager_file: file.alertmanager.as_ref().map(|file| base.join(&file.config_file.value)),
        dingtalk_file: file.dingtalk.as_ref().map(|file| base.join(&file.config_file.value)),
        storage: storage(&file.storage, &mut findings),
        web: web(&file.web, &base, &mut findings),
        query: QueryLimits::default(),
        global,
        probes,
        processes,
        path,
    };
    let findings = findings.into_vec();
    let usable = findings.iter().all(|found| found.severity != Severity::Error);
    (usable.then_some(config), findings)
}

fn unsupported(file: &File, findings: &mut Findings) {
    findings.unsupported("scrape_config_files", &file.scrape_config_files);
    findings.unsupported("tracing", &file.tracing);
    findings.unsupported("otlp", &file.otlp);
    findings.unsupported("query_log_file", &file.global.query_log_file);
    findings.unsupported("scrape_failure_log_file", &file.global.scrape_failure_log_file);
    for (key, value) in [
        ("scrape_native_histograms", &file.global.scrape_native_histograms),
        ("convert_classic_histograms_to_nhcb", &file.global.convert_classic_histograms_to_nhcb),
        ("extra_scrape_metrics", &file.global.extra_scrape_metrics),
    ] {
        findings.not_switched_on(key, value.as_ref());
    }
    for scheme in file.global.metric_name_validation_scheme.iter().filter(|scheme| scheme.value != "utf8") {
        findings.not_supported_yet("metric_name_validation_scheme", diagnostics::yaml::place_of(scheme));
    }
    for scheme in file.global.metric_name_escaping_scheme.iter().filter(|scheme| scheme.value != "allow-utf-8") {
        findings.not_supported_yet("metric_name_escaping_scheme", diagnostics::yaml::place_of(scheme));
    }
    findings.unsupported("tsdb", &file.storage.tsdb);
    findings.unsupported("exemplars", &file.storage.exemplars);
    for (key, list) in [("remote_write", &file.remote_write), ("remote_read", &file.remote_read)] {
        if let Some(first) = list.first() {
            findings.not_supported_yet(key, diagnostics::yaml::place_of(first));
        }
    }
}

fn global(written: &written::Global, findings: &mut Findings) -> Global {
    let scrape_interval = findings.positive(written.scrape_interval.as_ref(), Duration::from_mins(1));
    let default_timeout = scrape_interval.min(Duration::from_secs(10));
    let global = Global {
        scrape_interval,
        scrape_timeout: findings.positive(written.scrape_timeout.as_ref(), default_timeout),
        evaluation_interval: findings.positive(written.evaluation_interval.as_ref(), Duration::from_mins(1)),
        query_offset: findings.duration(written.rule_query_offset.as_ref(), Duration::ZERO),
        external_labels: Labels::from_pairs(written.external_labels.clone()),
    };
    if let Some(timeout) = written.scrape_timeout.as_ref().filter(|_| global.scrape_timeout > global.scrape_interval) {
        findings.contradiction(timeout, "the scrape timeout is longer than the scrape interval", "抓取超时比抓取间隔更长");
    }
    global
}

/// `http` or `https`; `http` when none is written.
fn scheme(written: Option<&Text>, findings: &mut Findings) -> String {
    const DEFAULT: &str = "http";
    let Some(scheme) = written else { return DEFAULT.to_owned() };
    if !matches!(scheme.value.as_str(), "http" | "https") {
        findings.unknown_value("E313", scheme, ("`http` or `https`", "`http` 或 `https`"));
        return DEFAULT.to_owned();
    }
    scheme.value.clone()
}

fn probes(written: &[diagnostics::yaml::Spanned<written::Probe>], global: &Global, findings: &mut Findings) -> Vec<Probe> {
    findings.unique(written.iter().map(|probe| &probe.value.name));
    written
        .iter()
        .map(|probe| {
            let probe = &probe.value;
            findings.http_url(&probe.url);
            let interval = findings.positive(probe.interval.as_ref(), global.scrape_interval);
            let timeout = findings.positive(probe.timeout.as_ref(), interval.min(global.scrape_timeout));
            if let Some(text) = probe.timeout.as_ref().filter(|_| timeout > interval) {
                findings.contradiction(text, "the timeout is longer than the interval", "超时比间隔更长");
            }
            Probe {
                name: probe.name.value.clone(),
                url: probe.url.value.clone(),
                interval,
                timeout,
                labels: Labels::from_pairs(probe.labels.clone()),
            }
        })
        .collect()
}

fn processes(written: &[diagnostics::yaml::Spanned<written::Process>], base: &Path, global: &Global, findings: &mut Findings) -> Vec<Process> {
    findings.unique(written.iter().map(|process| &process.value.name));
    written
        .iter()
        .map(|process| {
            let process = &process.value;
            let matching = &process.matching.value;
            if matching.exe.is_none() && matching.argv.is_empty() && matching.listen.is_none() && matching.pidfile.is_none() {
                findings.no_condition(diagnostics::yaml::place_of(&process.matching));
            }
            Process {
                name: process.name.value.clone(),
                matching: process::matching::Match {
                    exe: matching.exe.clone(),
                    argv: matching.argv.clone(),
                    listen: matching.listen,
                    pidfile: matching.pidfile.as_ref().map(|file| base.join(file).display().to_string()),
                },
                interval: findings.positive(process.interval.as_ref(), global.scrape_interval),
            }
        })
        .collect()
}

fn lang(written: Option<&Text>, findings: &mut Findings) -> Lang {
    let Some(text) = written else { return crate::cli::language(None) };
    Lang::from_tag(&text.value).unwrap_or_else(|| {
        findings.unknown_value("E309", text, ("`zh` or `en`", "`zh` 或 `en`"));
        Lang::default()
    })
}

fn timezone(written: Option<&Text>, findings: &mut Findings) -> jiff::tz::TimeZone {
    let Some(text) = written else { return jiff::tz::TimeZone::UTC };
    jiff::tz::TimeZone::get(&text.value).unwrap_or_else(|_| {
        findings.unknown_value("E309", text, ("an IANA time zone such as `Asia/Shanghai`", "IANA 时区名称，例如 `Asia/Shanghai`"));
        jiff::tz::TimeZone::UTC
    })
}

fn storage(written: &written::Storage, findings: &mut Findings) -> Storage {
    Storage {
        retention: findings.positive(written.retention.as_ref(), Duration::from_hours(168)),
        size: findings.size(written.size.as_ref(), 1 << 30),
        memory_limit: findings.size(written.memory_limit.as_ref(), 16 << 20),
    }
}

fn web(written: &written::Web, base: &Path, findings: &mut Findings) -> Web {
    let default = SocketAddr::from(([127, 0, 0, 1], 9099));
    let listen = written.listen.as_ref().map_or(default, |text| {
        text.value.parse().unwrap_or_else(|_| {
            findings.unknown_value("E304", text, ("an address and port such as `127.0.0.1:9099`", "地址和端口，例如 `127.0.0.1:9099`"));
            default
        })
    });
    if let Some(url) = written.external_url.as_ref().filter(|url| !url.value.is_empty()) {
        findings.http_url(url);
    }
    written.links.iter().for_each(|link| findings.http_url(&link.url));
    Web {
        listen,
        external_url: written.external_url.as_ref().map(|url| url.value.clone()).unwrap_or_default(),
        token_file: written.token_file.as_ref().filter(|file| !file.value.is_empty()).map(|file| base.join(&file.value)),
        trust_loopback: written.trust_loopback,
        links: written.links.iter().map(|link| (link.title.clone(), link.url.value.clone())).collect(),
    }
}
