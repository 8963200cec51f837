//! As written → validated: every finding in one pass.
//!
//! Owns: defaults, references between sections, what contradicts what. A value that cannot be read is replaced by its default, so that the rest is still checked.

mod findings;
mod restarts;
mod targets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use diagnostics::{Diagnostic, Lang, Severity};
use promql::labels::Labels;

use self::findings::Findings;
use super::written::{self, File, Text};
use super::{Config, Global, Probe, Process, Storage, Web};

/// The configuration unless there is an error, and all findings.
pub(super) fn validate(path: PathBuf, name: &str, file: File) -> (Option<Config>, Vec<Diagnostic>) {
    let mut findings = Findings::new(name);
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    unsupported(&file, &mut findings);
    let global = global(&file.global, &mut findings);
    let probes = probes(&file.probes, &global, &mut findings);
    let processes = processes(&file.processes, &base, &global, &mut findings);
    let config = Config {
        targets: targets::targets(&file.scrape_configs, &file.global, &global, &mut findings),
        restarts: restarts::restarts(&file.restarts, &base, &processes, &probes, &mut findings),
        lang: lang(file.lang.as_ref(), &mut findings),
        timezone: timezone(file.timezone.as_ref(), &mut findings),
        data_dir: base.join(file.data_dir.as_ref().map_or("data/watchdog", |dir| dir.value.as_str())),
        rule_files: file.rule_files.iter().map(|pattern| base.join(&pattern.value)).collect(),
        alertmanager_file: file.alertmanager.as_ref().map(|file| base.join(&file.config_file.value)),
        dingtalk_file: file.dingtalk.as_ref().map(|file| base.join(&file.config_file.value)),
        storage: storage(&file.storage, &mut findings),
        web: web(&file.web, &base, &mut findings),
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
    findings.unsupported("rule_query_offset", &file.global.rule_query_offset);
    findings.unsupported("query_log_file", &file.global.query_log_file);
    findings.unsupported("scrape_protocols", &file.global.scrape_protocols);
    findings.unsupported("alert_relabel_configs", &file.alerting.alert_relabel_configs);
    findings.unsupported("tsdb", &file.storage.tsdb);
    findings.unsupported("exemplars", &file.storage.exemplars);
    for (key, list) in [("remote_write", &file.remote_write), ("remote_read", &file.remote_read), ("alertmanagers", &file.alerting.alertmanagers)] {
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
        external_labels: Labels::from_pairs(written.external_labels.clone()),
    };
    if let Some(timeout) = written.scrape_timeout.as_ref().filter(|_| global.scrape_timeout > global.scrape_interval) {
        findings.contradiction(timeout, "the scrape timeout is longer than the scrape interval", "抓取超时比抓取间隔更长");
    }
    global
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
