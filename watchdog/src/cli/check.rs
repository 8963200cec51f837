//! `watchdog check rules|config`: everything that is wrong, in one run, with its place.
//!
//! Owns: which files are read and how findings are shown. Must not know: what rules and routes mean.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use diagnostics::{Format, Lang, Severity};

use super::check_rules::{self, RuleFiles};
use super::{counted, language, print};
use crate::findings::Findings;
use crate::prepared::prepare;

/// What is checked.
#[derive(Clone, Debug, Subcommand)]
pub enum Check {
    /// Find what is wrong in rule files, as promtool check rules does, and what would not work as meant
    #[command(
        after_help = "Examples:\n  watchdog check rules rules/*.yml\n  watchdog check rules --strict --format github rules/*.yml\n  watchdog check rules --online http://127.0.0.1:9099 rules/*.yml\n\nExit codes: 0 no error, 1 an error (with --strict: a warning), 2 wrong use, 3 a warning with --lint-fatal"
    )]
    Rules(RuleFiles),
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
    #[command(flatten)]
    shown: Shown,
}

/// How findings are shown, and which of them fail.
#[derive(Args, Clone, Debug)]
pub struct Shown {
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

/// Runs the command: 0 nothing found but warnings, 1 an error was found (or a warning, with `--strict`), 3 a warning with `--lint-fatal`.
pub async fn run(check: Check) -> ExitCode {
    let (shown, lint_fatal, (mut findings, rules)) = match check {
        Check::Rules(files) => {
            let found = check_rules::find(&files).await;
            (files.shown, files.lint_fatal, found)
        }
        Check::Config(files) => {
            let found = check_configs(&files.files);
            (files.shown, false, found)
        }
    };
    findings.list.dedup();
    let lang = language(shown.lang.as_deref());
    let form = match shown.format {
        Form::Text => Format::Text,
        Form::Json => Format::Json,
        Form::Github => Format::Github,
    };
    let text = findings.render(lang, form);
    if !text.is_empty() {
        print(text.trim_end());
    }
    if matches!(shown.format, Form::Text) {
        print(&summary(&findings, rules, lang));
    }
    ExitCode::from(match (findings.has_errors(), findings.list.is_empty()) {
        (true, _) => 1,
        (false, false) if shown.strict => 1,
        (false, false) if lint_fatal => 3,
        _ => 0,
    })
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
