//! `watchdog explain CODE`: what a code means and what to do.

use std::process::ExitCode;

use clap::Args;
use diagnostics::{Lang, closest};

use super::{language, print};

/// Says what an error code means.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  watchdog explain E002\n  watchdog explain --list")]
pub struct Explain {
    /// Code as a finding shows it
    #[arg(required_unless_present = "list")]
    code: Option<String>,
    /// All codes
    #[arg(long)]
    list: bool,
    /// Language: zh or en
    #[arg(long)]
    lang: Option<String>,
}

/// Every code of every part, in order: code, English, Chinese.
pub fn all_codes() -> Vec<(&'static str, &'static str, &'static str)> {
    let parts = [diagnostics::CODES, rules::explain::CODES, router::explain::CODES, crate::config::CODES];
    let mut all: Vec<_> = parts.into_iter().flatten().copied().collect();
    all.sort_unstable();
    all
}

/// Runs the command: 0 found, 2 no such code.
pub fn run(args: &Explain) -> ExitCode {
    let lang = language(args.lang.as_deref());
    let line = |(code, en, zh): &(&str, &str, &str)| format!("{code}  {}", if lang == Lang::Zh { zh } else { en });
    let codes = all_codes();
    if args.list {
        for code in &codes {
            print(&line(code));
        }
        return ExitCode::SUCCESS;
    }
    let asked = args.code.as_deref().unwrap_or_default().to_ascii_uppercase();
    if let Some(found) = codes.iter().find(|(code, _, _)| *code == asked) {
        print(&line(found));
        return ExitCode::SUCCESS;
    }
    let near = closest(&asked, codes.iter().map(|(code, _, _)| *code)).map(|near| format!("; {near}?")).unwrap_or_default();
    print(&match lang {
        Lang::En => format!("no code {asked}{near}"),
        Lang::Zh => format!("没有代码 {asked}{near}"),
    });
    ExitCode::from(2)
}
