//! `restarts:`: methods, guards and what a restart is verified by.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use diagnostics::yaml::Spanned;
use process::restart::{Guard, Method, Policy, Verify};

use super::findings::{Findings, place};
use crate::config::written::{self, Text};
use crate::config::{Probe, Process, Restart};

/// Methods that DESIGN names and this version does not have.
const LATER: [&str; 4] = ["docker", "systemd", "command", "http"];

pub(super) fn restarts(
    written: &[Spanned<written::Restart>],
    base: &Path,
    processes: &[Process],
    probes: &[Probe],
    findings: &mut Findings,
) -> Vec<Restart> {
    findings.unique(written.iter().map(|restart| &restart.value.name));
    one_each(written, findings);
    written
        .iter()
        .map(|entry| {
            let restart = &entry.value;
            findings.reference(&restart.process, "processes", processes.iter().map(|process| process.name.as_str()));
            if let Some(probe) = &restart.verify.probe {
                findings.reference(probe, "probes", probes.iter().map(|probe| probe.name.as_str()));
            }
            let method = method(&restart.method, findings);
            command(entry, method, findings);
            Restart {
                name: restart.name.value.clone(),
                process: restart.process.value.clone(),
                policy: policy(restart, method, findings),
                command: restart.command.clone(),
                workdir: Some(restart.workdir.as_ref().map_or_else(|| base.to_path_buf(), |dir| base.join(dir)))
                    .filter(|dir| !dir.as_os_str().is_empty()),
                environment: restart.environment.clone(),
                verify_probe: restart.verify.probe.as_ref().map(|probe| probe.value.clone()),
                verify_expr: restart.verify.expr.as_ref().map(|expr| expr.value.clone()),
            }
        })
        .collect()
}

/// Two that restart one process would fight.
fn one_each(written: &[Spanned<written::Restart>], findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for restart in written.iter().map(|entry| &entry.value) {
        if let Some(first) = seen.insert(restart.process.value.as_str(), restart.name.value.as_str()) {
            let process = &restart.process.value;
            let (en, zh) = (format!("`{process}` is restarted by `{first}` already"), format!("`{process}` 已由 `{first}` 负责重启"));
            findings.contradiction(&restart.process, &en, &zh);
        }
    }
}

fn method(written: &Text, findings: &mut Findings) -> Method {
    match written.value.as_str() {
        "child" => Method::Child,
        "signal" => Method::Signal,
        later if LATER.contains(&later) => {
            findings.unknown_value(
                "E307",
                written,
                ("`child` or `signal` (the others come with a later version)", "`child` 或 `signal`（其余方式将在后续版本提供）"),
            );
            Method::Signal
        }
        _ => {
            findings.unknown_value("E307", written, ("`child` or `signal`", "`child` 或 `signal`"));
            Method::Signal
        }
    }
}

fn command(entry: &Spanned<written::Restart>, method: Method, findings: &mut Findings) {
    let restart = &entry.value;
    match method {
        Method::Child if restart.command.is_empty() => {
            findings.missing(place(entry), "method `child` needs a `command`", "`child` 方式需要 `command`");
        }
        Method::Signal if !restart.command.is_empty() => {
            findings.contradiction(
                &restart.method,
                "method `signal` starts nothing; remove `command` or use `child`",
                "`signal` 方式不会启动进程；请删除 `command` 或改用 `child`",
            );
        }
        _ => {}
    }
}

fn policy(restart: &written::Restart, method: Method, findings: &mut Findings) -> Policy {
    let s = Duration::from_secs;
    let guard = &restart.guard;
    let cooldown = findings.duration(guard.cooldown.as_ref(), s(30));
    Policy {
        method,
        grace: findings.duration(restart.grace.as_ref(), s(15)),
        evidence_within: findings.duration(restart.evidence.as_ref(), s(5)),
        gone_within: s(30),
        verify: Verify {
            within: findings.positive(restart.verify.within.as_ref(), Duration::from_mins(1)),
            probe: restart.verify.probe.is_some(),
            progress: restart.verify.expr.is_some(),
        },
        guard: Guard {
            min_uptime: findings.duration(guard.min_uptime.as_ref(), Duration::from_mins(1)),
            cooldown,
            cooldown_max: findings.duration(guard.cooldown_max.as_ref(), Duration::from_mins(30)).max(cooldown),
            per_hour: guard.per_hour.unwrap_or(3),
            per_day: guard.per_day.unwrap_or(6),
            reset_after: findings.positive(guard.reset_after.as_ref(), Duration::from_mins(30)),
        },
    }
}
