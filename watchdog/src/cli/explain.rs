//! `watchdog explain CODE`: what a code means and what to do.

use std::process::ExitCode;

use clap::Args;
use diagnostics::{Lang, closest};

use super::{language, print};

/// Says what an error code means.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  watchdog explain E002\n  watchdog explain --list --lang zh\n\nExit codes: 0 found, 2 no such code")]
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

/// Code, English, Chinese.
type Code = (&'static str, &'static str, &'static str);

/// The parts that codes belong to, with a heading each.
const PARTS: [(&str, &[Code]); 4] = [
    ("Any YAML file / 所有 YAML 文件", diagnostics::CODES),
    ("Rule files and rule tests / 规则文件与规则测试", rules::explain::CODES),
    ("alertmanager.yml, dingtalk.yml, templates / 路由、钉钉与模板", router::explain::CODES),
    ("watchdog.yml", crate::config::CODES),
];

/// Every code of every part, in order.
pub fn all_codes() -> Vec<Code> {
    let mut all: Vec<_> = PARTS.into_iter().flat_map(|(_, codes)| codes).copied().collect();
    all.sort_unstable();
    all
}

/// The same, one table a part, as docs/errors.md has them.
pub fn to_markdown() -> String {
    let mut out = String::new();
    for (heading, codes) in PARTS {
        out.extend(["## ", heading, "\n\n| code | meaning | 含义 |\n|---|---|---|\n"]);
        for (code, en, zh) in codes {
            out.extend(["| `", code, "` | ", en, " | ", zh, " |\n"]);
        }
        out.push('\n');
    }
    out
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
