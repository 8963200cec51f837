//! `watchdog check rules|config`: everything that is wrong, in one run, with its place.
//!
//! Owns: which files are read and how findings are shown. Must not know: what rules and routes mean.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use diagnostics::{Format, Lang, Severity};
use rules::RuleSource;

use super::{counted, language, print};
use crate::findings::Findings;
use crate::prepared::prepare;

/// What is checked.
#[derive(Clone, Debug, Subcommand)]
pub enum Check {
    /// Find what is wrong in rule files, as promtool check rules does, and what would not work as meant
    #[command(
        after_help = "Examples:\n  watchdog check rules rules/*.yml\n  watchdog check rules --strict --format github rules/*.yml\n\nExit codes: 0 no error, 1 an error (with --strict: a warning), 2 wrong use"
    )]
    Rules(Files),
    /// Find what is wrong in watchdog.yml and in every file that it names: rules, routes, templates, robots
    #[command(
        after_help = "Examples:\n  watchdog check config watchdog.yml\n  watchdog check config --lang zh --format json watchdog.yml\n\nExit codes: 0 no error, 1 an error (with --strict: a warning), 2 wrong use"
    )]
    Config(Files),
}

/// Files and how findings are shown.
#[derive(Args, Clone, Debug)]
pub struct Files {
    /// Files to check
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Form of the findings
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
    /// Language: zh or en
    #[arg(long)]
    lang: Option<String>,
    /// Fail on warnings too
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
    let (files, (mut findings, rules)) = match check {
        Check::Rules(files) => {
            let found = check_rules(&files.files);
            (files, found)
        }
        Check::Config(files) => {
            let found = check_configs(&files.files);
            (files, found)
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
        print(&summary(&findings, rules, lang));
    }
    let failed = findings.has_errors() || (files.strict && !findings.list.is_empty());
    ExitCode::from(u8::from(failed))
}

/// Findings in rule files, and how many rules there are.
fn check_rules(files: &[PathBuf]) -> (Findings, Option<usize>) {
    let mut findings = Findings::default();
    let sources: Vec<(String, String)> = files.iter().filter_map(|path| findings.read(path)).collect();
    let sources: Vec<RuleSource<'_>> = sources.iter().map(|(file, text)| RuleSource { file, text }).collect();
    // All together: a group or a lint may concern two of them.
    let checked = rules::check(&sources, &rules::CheckOptions::default());
    findings.list.extend(checked.diagnostics);
    (findings, Some(checked.counts.iter().sum()))
}

/// Findings in configurations and in every file that they name, and how many rules those hold when all can be used; exactly what `run` looks at.
fn check_configs(files: &[PathBuf]) -> (Findings, Option<usize>) {
    let (mut findings, mut rules) = (Findings::default(), Some(0));
    for path in files {
        let found = match prepare(path) {
            Ok(prepared) => {
                let held: usize = prepared.rules.groups.iter().map(|group| group.rules.len()).sum();
                rules = rules.map(|rules| rules + held);
                prepared.findings
            }
            Err(found) => {
                rules = None;
                found
            }
        };
        findings.list.extend(found.list);
        findings.sources.extend(found.sources);
    }
    (findings, rules)
}

fn summary(findings: &Findings, rules: Option<usize>, lang: Lang) -> String {
    let of = |severity| findings.list.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    match lang {
        Lang::En => {
            let rules = rules.map(|rules| counted(rules, "rule") + ", ").unwrap_or_default();
            format!("{rules}{}, {}", counted(errors, "error"), counted(warnings, "warning"))
        }
        Lang::Zh => format!("{}{errors} 个错误，{warnings} 个警告", rules.map(|rules| format!("{rules} 条规则，")).unwrap_or_default()),
    }
}
