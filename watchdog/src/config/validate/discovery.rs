//! Where targets come from, and how they are relabelled: of scrape jobs and of Alertmanagers alike.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text as Bilingual};
use promql::relabel::{Action, Draft, Rule};

use super::findings::Findings;
use crate::config::job::{Discovery, FileSd, Group};
use crate::config::written::{self, Relabel, StaticConfig, Text};

/// `refresh_interval` when none is written, as in Prometheus.
const REFRESH: Duration = Duration::from_mins(5);

pub(super) fn of(groups: &[StaticConfig], files: &[written::FileSd], rules: &[Spanned<Relabel>], base: &Path, findings: &mut Findings) -> Discovery {
    Discovery {
        groups: static_groups(groups, findings),
        files: files.iter().map(|one| file_sd(one, base, findings)).collect(),
        relabel: rules.iter().filter_map(|rule| relabel(rule, findings)).collect(),
    }
}

fn static_groups(written: &[StaticConfig], findings: &mut Findings) -> Vec<Group> {
    let mut seen = BTreeSet::new();
    let mut groups = Vec::new();
    for group in written {
        for target in &group.targets {
            if target.value.is_empty() || target.value.contains('/') {
                findings.unknown_value("E304", target, ("HOST:PORT", "主机:端口"));
            } else if !seen.insert((&target.value, &group.labels)) {
                let message = Bilingual::new(format!("the target `{}` is listed twice", target.value), format!("目标 `{}` 重复", target.value));
                findings.add(place_of(target), Diagnostic::warning("W301", message));
            }
        }
        groups.push(Group { targets: group.targets.iter().map(|target| target.value.clone()).collect(), labels: group.labels.clone() });
    }
    groups
}

fn file_sd(written: &written::FileSd, base: &Path, findings: &mut Findings) -> FileSd {
    for file in &written.files {
        let (dir, name) = file.value.rsplit_once('/').unwrap_or(("", &file.value));
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if dir.contains('*') || !matches!(extension, "json" | "yml" | "yaml") {
            findings.unknown_value(
                "E313",
                file,
                ("a .json, .yml or .yaml file; `*` in the last part only", ".json、.yml 或 .yaml 文件；`*` 只能出现在最后一段"),
            );
        }
    }
    FileSd {
        patterns: written.files.iter().map(|file| base.join(&file.value)).collect(),
        refresh: findings.positive(written.refresh_interval.as_ref(), REFRESH),
    }
}

/// A rule that can be applied, or a finding.
pub(super) fn relabel(written: &Spanned<Relabel>, findings: &mut Findings) -> Option<Rule> {
    let rule = &written.value;
    let action = action(rule.action.as_ref(), findings)?;
    let draft = Draft {
        source_labels: rule.source_labels.clone(),
        separator: rule.separator.clone(),
        regex: rule.regex.clone(),
        modulus: rule.modulus.unwrap_or(0),
        target_label: rule.target_label.clone(),
        replacement: rule.replacement.clone(),
        action,
    };
    let made = Rule::new(draft);
    if let Err(error) = &made {
        let message = Bilingual::new(format!("relabelling rule: {error}"), format!("重写标签规则：{error}"));
        findings.add(place_of(written), Diagnostic::error("E314", message));
    }
    made.ok()
}

fn action(written: Option<&Text>, findings: &mut Findings) -> Option<Action> {
    let Some(word) = written else { return Some(Action::default()) };
    let found = Action::of_word(&word.value);
    if found.is_none() {
        let names = Action::ALL.map(Action::as_str).join(", ");
        findings.unknown_value("E313", word, (&names, &names));
    }
    found
}
