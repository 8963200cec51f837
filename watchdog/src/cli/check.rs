//! `watchdog check rules|config`: everything that is wrong, in one run, with its place.
//!
//! Owns: which files are read and how findings are shown. Must not know: what rules and routes mean.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use diagnostics::{Diagnostic, Format, Lang, Severity, Text};
use rules::RuleSource;

use super::{language, print};
use crate::config;
use crate::findings::Findings;
use crate::patterns::expand;
use crate::setup;

/// What is checked.
#[derive(Clone, Debug, Subcommand)]
pub enum Check {
    /// Rule files, as promtool check rules does, and more
    Rules(Files),
    /// watchdog.yml with every file it names
    Config(Files),
}

/// Files and how findings are shown.
#[derive(Args, Clone, Debug)]
pub struct Files {
    /// Files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Form of the findings
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
    /// Language: zh or en
    #[arg(long)]
    lang: Option<String>,
    /// Findings that are only warnings also make the command fail
    #[arg(long)]
    strict: bool,
}

/// Form of the findings.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// With source line and caret
    Text,
    /// One JSON object a line
    Json,
    /// Workflow commands of a code host
    Github,
}

/// Runs the command: 0 nothing found but warnings, 1 an error was found (or a warning, with `--strict`).
pub fn run(check: Check) -> ExitCode {
    let (files, mut findings, counted) = match check {
        Check::Rules(files) => {
            let (findings, counted) = check_rules(&files.files);
            (files, findings, counted)
        }
        Check::Config(files) => {
            let mut findings = Findings::default();
            let counted = files.files.iter().map(|path| check_config(path, &mut findings)).sum();
            (files, findings, counted)
        }
    };
    findings.list.dedup();
    let lang = language(files.lang.as_deref());
    let form = match files.format {
        Form::Text => Format::Text,
        Form::Json => Format::Json,
        Form::Github => Format::Github,
    };
    let shown = findings.render(lang, form);
    if !shown.is_empty() {
        print(shown.trim_end());
    }
    if matches!(files.format, Form::Text) {
        print(&summary(&findings, counted, lang));
    }
    let failed = findings.has_errors() || (files.strict && !findings.list.is_empty());
    ExitCode::from(u8::from(failed))
}

/// Findings in rule files, and how many rules there are.
fn check_rules(files: &[PathBuf]) -> (Findings, usize) {
    let mut findings = Findings::default();
    let sources: Vec<(String, String)> = files.iter().filter_map(|path| source(path, &mut findings)).collect();
    let counted = add_rules(&sources, &mut findings);
    (findings, counted)
}

/// Checks files given as name and text together: a group or a lint may concern two of them.
fn add_rules(files: &[(String, String)], findings: &mut Findings) -> usize {
    let sources: Vec<RuleSource<'_>> = files.iter().map(|(file, text)| RuleSource { file, text }).collect();
    let checked = rules::check(&sources, &rules::CheckOptions::default());
    for (file, text) in files {
        findings.add(file, text, checked.diagnostics.iter().filter(|found| found.file == *file).cloned());
    }
    checked.rules.groups.iter().map(|group| group.rules.len()).sum()
}

/// Name and text of a file; a finding when it cannot be read.
fn source(path: &Path, findings: &mut Findings) -> Option<(String, String)> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Some((file, text)),
        Err(error) => {
            let text = Text::new(format!("cannot read {file}: {error}"), format!("无法读取 {file}：{error}"));
            findings.list.push(Diagnostic::error("E310", text).in_file(file));
            None
        }
    }
}

/// Findings in a configuration and in every file it names, and how many rules those hold.
fn check_config(path: &Path, findings: &mut Findings) -> usize {
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err((found, source)) => {
            findings.add(&source.name, &source.text, found);
            return 0;
        }
    };
    findings.add(&loaded.source.name, &loaded.source.text, loaded.warnings);
    let files: Vec<PathBuf> = loaded.config.rule_files.iter().flat_map(|pattern| expand(pattern)).collect();
    let sources: Vec<(String, String)> = files.iter().filter_map(|path| source(path, findings)).collect();
    let counted = add_rules(&sources, findings);
    let linked = match setup::load(&loaded.config) {
        Ok(linked) => linked.map(|linked| linked.findings).unwrap_or_default(),
        Err(found) => found,
    };
    findings.list.extend(linked.list);
    findings.sources.extend(linked.sources);
    counted
}

fn summary(findings: &Findings, rules: usize, lang: Lang) -> String {
    let of = |severity| findings.list.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    match lang {
        Lang::En => format!("{rules} rules, {errors} errors, {warnings} warnings"),
        Lang::Zh => format!("{rules} 条规则，{errors} 个错误，{warnings} 个警告"),
    }
}
