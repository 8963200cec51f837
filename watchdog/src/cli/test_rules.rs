//! `watchdog test rules`: unit tests of rules in promtool's format, on the engine that runs live.
//!
//! Owns: which files are read, which tests are chosen, what is printed, the exit code. Must not know: how a test is run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use diagnostics::{Diagnostic, Format, Lang, Place, Severity, Text};
use promql::regex::compile_search;
use rules::unittest::{self, Failure, Outcome, TestFile};
use rules::{CheckOptions, Lints, RuleSet, RuleSource, UnknownKeys};

use super::{counted, language, print, print_error};
use crate::findings::Findings;
use crate::patterns::expand;

/// What is tested.
#[derive(Clone, Debug, Subcommand)]
pub enum Test {
    /// Run unit tests of rules, as promtool test rules does
    Rules(TestRules),
}

/// Test files, and which of their tests.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  watchdog test rules rules/tests/*.yml\n  watchdog test rules --run hung --junit report.xml rules/tests/collector.test.yml\n\nExit codes: 0 all passed, 1 a test failed or a file could not be used, 2 wrong use"
)]
pub struct TestRules {
    /// Test files; their rule_files are relative to each of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests whose name this pattern matches; may be given several times
    #[arg(long, value_name = "REGEX")]
    run: Vec<String>,
    /// Write the outcomes as JUnit XML, for a build server
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show the lines that differ in colour
    #[arg(long)]
    diff: bool,
    /// Accept keys that neither rule files nor tests have
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Language: zh or en
    #[arg(long)]
    lang: Option<String>,
}

/// What became of one test file.
struct Report {
    file: String,
    /// What is wrong with the test file or its rule files.
    findings: Findings,
    /// One per test; empty when the files could not be used.
    outcomes: Vec<Outcome>,
}

/// How a report is shown.
#[derive(Clone, Copy)]
struct Style {
    lang: Lang,
    coloured: bool,
}

/// Runs the command: 0 all passed, 1 a test failed or a file could not be used, 2 wrong use.
pub fn run(Test::Rules(args): Test) -> ExitCode {
    let style = Style { lang: language(args.lang.as_deref()), coloured: args.diff };
    let patterns = match args.run.iter().map(|pattern| compile_search(pattern)).collect::<Result<Vec<_>, _>>() {
        Ok(patterns) => patterns,
        Err(error) => {
            print_error(&format!("watchdog test rules: --run: {error}"));
            return ExitCode::from(2);
        }
    };
    let wanted = |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(name));
    let unknown_keys = if args.ignore_unknown_fields { UnknownKeys::Ignore } else { UnknownKeys::Refuse };
    let mut reports = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let report = Report::of(path, unknown_keys, wanted);
        print(report.shown(style).trim_end());
        reports.push(report);
    }
    print(&summary(&reports, style.lang));
    let written = args.junit.as_deref().is_none_or(|path| write_junit(path, &reports, style.lang));
    ExitCode::from(u8::from(!written || !reports.iter().all(Report::passed)))
}

// === impl Report ===

impl Report {
    fn of(path: &Path, unknown_keys: UnknownKeys, wanted: impl Fn(&str) -> bool) -> Self {
        let mut findings = Findings::default();
        let outcomes = match prepare(path, unknown_keys, &mut findings) {
            Some((tests, rules)) => unittest::run(&tests, &rules, wanted),
            None => Vec::new(),
        };
        Self { file: path.display().to_string(), findings, outcomes }
    }

    fn passed(&self) -> bool {
        !self.findings.has_errors() && self.outcomes.iter().all(Outcome::passed)
    }

    fn shown(&self, style: Style) -> String {
        let mut out = format!("{}\n{}", self.file, self.findings.render(style.lang, Format::Text));
        let (passed, failed) = match style.lang {
            Lang::En => ("ok    ", "FAILED"),
            Lang::Zh => ("通过", "失败"),
        };
        for outcome in &self.outcomes {
            let word = if outcome.passed() { passed } else { failed };
            out.extend(["  ", word, "  ", &*outcome.name, "\n"]);
            for failure in &outcome.failures {
                out.push_str(&painted(&failure.render(&self.file, style.lang), style.coloured));
            }
        }
        out
    }

    /// For JUnit, which knows tests only: a file that could not be used is a test that failed.
    fn outcomes_for_junit(&self) -> Vec<Outcome> {
        if !self.findings.has_errors() {
            return self.outcomes.clone();
        }
        let message = Text::same(self.findings.render(Lang::En, Format::Text).trim_end());
        let place = Place { line: 1, column: 1, len: 0 };
        let failure = Failure { place, message, expected: Vec::new(), got: Vec::new() };
        vec![Outcome { name: "rule files".to_owned(), place, failures: vec![failure] }]
    }
}

/// The test file and the rules that it names; `None` when one of them cannot be used.
fn prepare(path: &Path, unknown_keys: UnknownKeys, findings: &mut Findings) -> Option<(TestFile, RuleSet)> {
    let (file, text) = findings.read(path)?;
    let tests = match unittest::read(&file, &text, unknown_keys) {
        Ok(tests) => tests,
        Err(found) => {
            findings.list.extend(found);
            return None;
        }
    };
    let base = path.parent().unwrap_or(Path::new(""));
    let mut sources = Vec::new();
    for (pattern, place) in &tests.rule_files {
        let files: Vec<PathBuf> = expand(&base.join(pattern)).into_iter().filter(|path| path.exists()).collect();
        if files.is_empty() {
            let message = Text::new(format!("`{pattern}` names no file"), format!("`{pattern}` 没有对应的文件"));
            let hint = Text::new("a path here is relative to this test file", "此处的路径相对于本测试文件");
            findings.list.push(Diagnostic::warning("W130", message).in_file(file.as_str()).at(*place).hint(hint));
        }
        sources.extend(files.iter().filter_map(|path| findings.read(path)));
    }
    let sources: Vec<RuleSource<'_>> = sources.iter().map(|(file, text)| RuleSource { file, text }).collect();
    let checked = rules::check(&sources, &CheckOptions { unknown_keys, lints: Lints::None, ..CheckOptions::default() });
    findings.list.extend(checked.diagnostics.into_iter().filter(|found| found.severity == Severity::Error));
    (!findings.has_errors()).then_some((tests, checked.rules))
}

/// With colours for a terminal: red was expected and did not come, green came and was not expected.
fn painted(text: &str, coloured: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let colour = match line.as_bytes() {
            [b' ', b' ', b' ', b' ', b'-', ..] if coloured => "\u{1b}[31m",
            [b' ', b' ', b' ', b' ', b'+', ..] if coloured => "\u{1b}[32m",
            _ => "",
        };
        out.extend([colour, line, if colour.is_empty() { "\n" } else { "\u{1b}[0m\n" }]);
    }
    out
}

fn summary(reports: &[Report], lang: Lang) -> String {
    let run: usize = reports.iter().map(|report| report.outcomes.len()).sum();
    let failed = reports.iter().flat_map(|report| &report.outcomes).filter(|outcome| !outcome.passed()).count();
    let unusable = reports.iter().filter(|report| report.findings.has_errors()).count();
    match (lang, unusable) {
        (Lang::En, 0) => format!("{}, {failed} failed", counted(run, "test")),
        (Lang::En, _) => format!("{}, {failed} failed, {} could not be used", counted(run, "test"), counted(unusable, "file")),
        (Lang::Zh, 0) => format!("{run} 个测试，{failed} 个失败"),
        (Lang::Zh, _) => format!("{run} 个测试，{failed} 个失败，{unusable} 个文件无法使用"),
    }
}

/// Writes the report for a build server; false after saying why not.
fn write_junit(path: &Path, reports: &[Report], lang: Lang) -> bool {
    let files: Vec<(String, Vec<Outcome>)> = reports.iter().map(|report| (report.file.clone(), report.outcomes_for_junit())).collect();
    let Err(error) = std::fs::write(path, unittest::junit(&files)) else { return true };
    let path = path.display();
    print_error(&match lang {
        Lang::En => format!("cannot write {path}: {error}"),
        Lang::Zh => format!("无法写入 {path}：{error}"),
    });
    false
}
