//! The command line: arguments in, exit code out.
//!
//! Exit codes: 0 fine; 1 not fine (a health check that fails, a stop past its deadline, a recording that is not whole); 2 wrong arguments;
//! 65 not a recording; 66 a recording cannot be read; 74 records cannot be written; 69 a port or directory is taken;
//! 70 a part of the program ended by itself; 78 the configuration cannot be used.

mod replay;
mod spool;
mod tap;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use diagnostics::{Diagnostic, EXIT_CONFIG, Format, Lang, Severity, Text, render_all};

use crate::config::{self, Environment, Loaded};
use crate::metrics::Registry;
use crate::signals::Signals;
use crate::{Deps, Outcome, VERSION};

/// A port or directory is taken (sysexits `EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// Something inside ended that should not have (sysexits `EX_SOFTWARE`).
const EXIT_SOFTWARE: u8 = 70;

/// Two for each verb.
const EXAMPLES: &str = "Examples:
  collector run
  collector run --config collector.yml --lang zh
  collector check
  collector check --config collector.yml --format github
  collector explain E510
  collector explain --list
  collector spool ls
  collector spool purge --stream trade --yes
  collector healthcheck
  collector healthcheck --url http://127.0.0.1:8087/ready
  collector tap 'trade.>' --count 3
  collector tap orderbook.binance.spot.BTC-USDT --pretty
  collector replay data/capture/binance.spot
  collector replay --publish every --out records.ndjson recording.gz

Exit codes: 0 fine; 1 not well, stopped past its deadline, or a recording is not whole; 2 wrong arguments; 65 not a recording;
66 a recording cannot be read; 69 a port or directory is taken; 70 a part of the program ended by itself; 78 the configuration cannot be used";

#[derive(Debug, Parser)]
#[command(name = "collector", version, about = "Order books and trades from crypto venues, kept exact, to NATS and disk", long_about = None, after_help = EXAMPLES)]
struct Arguments {
    /// Language of messages: zh or en (default: the configuration's `lang`, then LANG)
    #[arg(long, global = true, value_name = "zh|en")]
    lang: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect until SIGTERM
    Run {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = "collector.yml")]
        config: PathBuf,
    },
    /// Check a configuration; nothing is opened
    Check {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = "collector.yml")]
        config: PathBuf,
        /// Form of the findings
        #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
        format: CheckFormat,
    },
    /// What waits on disk for NATS: list it, send it, remove it; for a collector that does not run
    Spool(spool::Arguments),
    /// Say what the code of an error means
    Explain {
        /// Code as a finding shows it
        #[arg(required_unless_present = "list")]
        code: Option<String>,
        /// All codes
        #[arg(long)]
        list: bool,
    },
    /// Ask a running collector how it is; exit code 0 when it answers 200
    Healthcheck {
        /// Page to ask
        #[arg(long, default_value = "http://127.0.0.1:8087/health")]
        url: String,
    },
    /// Run recordings through the core again; the records go to standard output, one a line, the summary to standard error
    Replay(replay::Arguments),
    /// Show live messages from NATS
    Tap(tap::Arguments),
    /// Show the version
    Version,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CheckFormat {
    Text,
    Json,
    Github,
}

/// A configuration file that was read, with what was found in it.
struct File {
    name: String,
    text: String,
    loaded: Loaded,
    lang: Lang,
}

/// Runs the command line; the exit code is for the process.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _closed_output = error.print();
            return ExitCode::from(code);
        }
    };
    let asked = arguments.lang.as_deref();
    match arguments.command {
        Command::Run { config } => run(&config, asked, environment),
        Command::Check { config, format } => check(&config, format, asked, environment),
        Command::Spool(arguments) => spool::run(arguments, asked, environment),
        Command::Explain { code, .. } => explain(code.as_deref(), Lang::choose(asked, languages(environment))),
        Command::Healthcheck { url } => healthcheck(&url),
        Command::Tap(arguments) => tap::run(&arguments, environment),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Version => {
            say(&format!("collector {VERSION}\n"));
            ExitCode::SUCCESS
        }
    }
}

fn check(path: &Path, format: CheckFormat, asked: Option<&str>, environment: &Environment) -> ExitCode {
    let file = File::read(path, asked, environment);
    say(&file.shown(match format {
        CheckFormat::Text => Format::Text,
        CheckFormat::Json => Format::Json,
        CheckFormat::Github => Format::Github,
    }));
    if file.loaded.config.is_none() {
        return exit_config();
    }
    if matches!(format, CheckFormat::Text) {
        let fine = Text::new(format!("{}: configuration is valid\n", file.name), format!("{}：配置有效\n", file.name));
        say(fine.get(file.lang));
    }
    ExitCode::SUCCESS
}

fn run(path: &Path, asked: Option<&str>, environment: &Environment) -> ExitCode {
    let file = File::read(path, asked, environment);
    complain(&file.shown(Format::Text));
    let Some(config) = file.loaded.config else { return exit_config() };
    let registry = Arc::new(Registry::new());
    let _log = match crate::logging::start(&config.log, &registry) {
        Ok(log) => log,
        Err(error) => return fail(&error),
    };
    let deps = match Deps::real(&config, registry) {
        Ok(deps) => deps,
        Err(found) => {
            complain(&render_all(&found, |_| None, file.lang, Format::Text));
            return ExitCode::from(EXIT_UNAVAILABLE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let outcome = runtime.block_on(async {
        let signals = Signals::register()?;
        anyhow::Ok(crate::run(config, signals.stop_requested(), deps).await?)
    });
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::DeadlineMissed) => ExitCode::FAILURE,
        Ok(Outcome::Broken) => ExitCode::from(EXIT_SOFTWARE),
        Err(error) => fail(&error),
    }
}

/// What a code means, or all of them; 2 for one that does not exist.
fn explain(code: Option<&str>, lang: Lang) -> ExitCode {
    let codes = diagnostics::CODES.iter().chain(config::CODES);
    let asked = |known: &str| code.is_none_or(|code| code.eq_ignore_ascii_case(known));
    let mut found = String::new();
    codes.filter(|(known, ..)| asked(known)).for_each(|(known, en, zh)| found.extend([known, "  ", if lang == Lang::Zh { zh } else { en }, "\n"]));
    if found.is_empty() {
        let code = code.unwrap_or_default();
        complain(
            Text::new(format!("no code {code}; see collector explain --list\n"), format!("没有代码 {code}；见 collector explain --list\n")).get(lang),
        );
        return ExitCode::from(2);
    }
    say(&found);
    ExitCode::SUCCESS
}

/// Where the environment says which language.
fn languages(environment: &Environment) -> [&str; 3] {
    ["LC_ALL", "LC_MESSAGES", "LANG"].map(|variable| environment.get(variable).unwrap_or_default())
}

/// One GET; success is status 200.
fn healthcheck(url: &str) -> ExitCode {
    match status_of(url) {
        Ok(200) => ExitCode::SUCCESS,
        Ok(status) => {
            complain(&format!("{url}: status {status}\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("{url}: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn status_of(url: &str) -> anyhow::Result<u16> {
    let patience = Duration::from_secs(5);
    let rest = url.strip_prefix("http://").ok_or_else(|| anyhow::anyhow!("only http:// is asked"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let target = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = target.to_socket_addrs()?.next().ok_or_else(|| anyhow::anyhow!("no address for {host}"))?;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head)?.strip_prefix("HTTP/1.1 ").ok_or_else(|| anyhow::anyhow!("not an HTTP answer"))?;
    Ok(status.parse()?)
}

// === impl File ===

impl File {
    fn read(path: &Path, asked: Option<&str>, environment: &Environment) -> Self {
        let name = path.display().to_string();
        let (text, loaded) = match std::fs::read_to_string(path) {
            Ok(text) => {
                let loaded = config::load(&name, &text, environment);
                (text, loaded)
            }
            Err(error) => (String::new(), Loaded { config: None, findings: vec![unreadable(&name, &error)] }),
        };
        let from_file = loaded.config.as_ref().and_then(|config| config.lang);
        let lang = asked.and_then(Lang::from_tag).or(from_file).unwrap_or_else(|| Lang::choose(None, languages(environment)));
        Self { name, text, loaded, lang }
    }

    fn shown(&self, format: Format) -> String {
        render_all(&self.loaded.findings, |name| (name == self.name).then_some(self.text.as_str()), self.lang, format)
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostic {
    let found = Diagnostic::error("E507", Text::new(format!("cannot be read: {error}"), format!("无法读取：{error}"))).in_file(name);
    debug_assert_eq!(found.severity, Severity::Error);
    found.hint(Text::new(
        "give the file with --config FILE; collector.yml in the repository is an example",
        "请用 --config 指定文件；仓库中的 collector.yml 是示例",
    ))
}

fn exit_config() -> ExitCode {
    ExitCode::from(u8::try_from(EXIT_CONFIG).unwrap_or(1))
}

fn fail(error: &anyhow::Error) -> ExitCode {
    complain(&format!("collector: {error:#}\n"));
    ExitCode::FAILURE
}

fn say(text: &str) {
    // A reader that has gone away does not want to know.
    let _closed_output = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _closed_output = std::io::stderr().write_all(text.as_bytes());
}
