//! `watchdog check rules`: rule files from the command line or standard input, with promtool's options and the metrics that really exist.
//!
//! Owns: what is read, and the look at a running server. Must not know: what rules mean, how findings are shown.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use diagnostics::{Diagnostic, Text};
use rules::{CheckOptions, Lints, RuleSource, UnknownKeys};

use super::check::Shown;
use crate::findings::Findings;
use crate::http_client;

/// Longest wait for the names of metrics.
const WITHIN: Duration = Duration::from_secs(10);
/// Where the watchdog listens by default.
const OWN_PAGE: &str = "http://127.0.0.1:9099";

/// Rule files, and how strictly to look.
#[derive(Args, Clone, Debug)]
pub struct RuleFiles {
    /// Files to check; none: standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which warnings are looked for
    #[arg(long, value_enum, default_value = "all")]
    lint: Lint,
    /// Exit with 3 when there are warnings
    #[arg(long)]
    pub(super) lint_fatal: bool,
    /// Keys that are none are no error
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Ask a running watchdog or Prometheus which metrics exist, and name those that rules use and no target exposes
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = OWN_PAGE)]
    online: Option<String>,
    /// Time between two scrapes, for the warning on ranges that are too short
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    scrape_interval: Option<i64>,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// Which warnings are looked for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lint {
    /// All
    All,
    /// Rules that are there twice, as promtool's default
    DuplicateRules,
    /// None
    None,
}

/// Findings in rule files, and how many rules there are.
pub(super) async fn find(files: &RuleFiles) -> (Findings, Option<usize>) {
    let mut findings = Findings::default();
    let sources = read(&files.files, &mut findings);
    let options = CheckOptions {
        unknown_keys: if files.ignore_unknown_fields { UnknownKeys::Ignore } else { UnknownKeys::Refuse },
        lints: files.lint.into(),
        scrape_interval_ms: files.scrape_interval,
        known_metrics: match &files.online {
            Some(url) => known_metrics(url, &mut findings).await,
            None => None,
        },
    };
    let sources: Vec<RuleSource<'_>> = sources.iter().map(|(file, text)| RuleSource { file, text }).collect();
    // All together: a group or a lint may concern two of them.
    let checked = rules::check(&sources, &options);
    findings.list.extend(checked.diagnostics);
    (findings, Some(checked.counts.iter().sum()))
}

fn read(files: &[PathBuf], findings: &mut Findings) -> Vec<(String, String)> {
    if !files.is_empty() {
        return files.iter().filter_map(|path| findings.read(path)).collect();
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    match read {
        Ok(_) => {
            findings.add("<stdin>", &text, []);
            vec![("<stdin>".to_owned(), text)]
        }
        Err(error) => {
            let message = Text::new(format!("standard input cannot be read: {error}"), format!("无法读取标准输入：{error}"));
            findings.list.push(Diagnostic::error("E310", message));
            Vec::new()
        }
    }
}

/// Every metric name the server at `url` knows (`/api/v1/label/__name__/values`); when it does not tell, that is an error: the user asked for it.
async fn known_metrics(url: &str, findings: &mut Findings) -> Option<BTreeSet<String>> {
    match ask(url).await {
        Ok(names) => Some(names),
        Err(error) => {
            let message = Text::new(format!("no metric names from {url}: {error:#}"), format!("无法从 {url} 取得指标名：{error:#}"));
            let hint = Text::new(
                "give the address of a running watchdog or Prometheus with --online URL",
                "请用 --online URL 给出运行中的 watchdog 或 Prometheus 的地址",
            );
            findings.list.push(Diagnostic::error("E340", message).hint(hint));
            None
        }
    }
}

async fn ask(url: &str) -> anyhow::Result<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Answer {
        data: BTreeSet<String>,
    }
    let client = http_client::client(&http_client::tls()?)?;
    let address = format!("{}/api/v1/label/__name__/values", url.trim_end_matches('/'));
    let answer = client.get(address).timeout(WITHIN).send().await.map_err(reqwest::Error::without_url)?;
    anyhow::ensure!(answer.status().is_success(), "status {}", answer.status());
    let body = answer.bytes().await.map_err(reqwest::Error::without_url)?;
    Ok(serde_json::from_slice::<Answer>(&body)?.data)
}

fn duration_ms(text: &str) -> Result<i64, String> {
    promql::parse::duration_ms(text).ok_or_else(|| format!("`{text}` is not a duration such as 15s or 1m"))
}

impl From<Lint> for Lints {
    fn from(lint: Lint) -> Self {
        match lint {
            Lint::All => Self::All,
            Lint::DuplicateRules => Self::Duplicates,
            Lint::None => Self::None,
        }
    }
}
