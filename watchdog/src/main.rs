//! The watchdog's program: arguments, logs, runtime. Everything else is in the library.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use diagnostics::{EXIT_CONFIG, Format};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use watchdog::cli::query_flags::QueryFlags;
use watchdog::cli::{check, explain, notify, switch, test_rules};
use watchdog::clock::SystemClock;
use watchdog::deliver::Courier;
use watchdog::prepared::{Flags, Prepared, prepare_with};
use watchdog::routing::Deliver;
use watchdog::run::{Deps, run};
use watchdog::web::Switch;
use watchdog::{healthcheck, signals};

/// Two for each verb; `watchdog VERB --help` says more.
const EXAMPLES: &str = "Examples:
  watchdog run
  watchdog run --config watchdog.yml --lang zh
  watchdog check config watchdog.yml
  watchdog check rules rules/*.yml
  watchdog test rules rules/tests/*.yml
  watchdog test rules --run hung rules/tests/collector.test.yml
  watchdog notify test --receiver dingtalk --dry-run
  watchdog notify test --receiver dingtalk --send
  watchdog hold collector
  watchdog release collector
  watchdog explain E002
  watchdog explain --list
  watchdog healthcheck
  watchdog healthcheck --url http://127.0.0.1:9099";

/// Watches processes: scrapes, probes, evaluates Prometheus rules, routes alerts, restarts.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch, until SIGTERM
    Run(Run),
    /// Find everything that is wrong in rule files or a configuration
    #[command(subcommand)]
    Check(check::Check),
    /// Run unit tests of rules
    #[command(subcommand)]
    Test(test_rules::Test),
    /// Try a receiver
    #[command(subcommand)]
    Notify(Notify),
    /// Restart nothing of this name until released
    #[command(
        after_help = "Examples:\n  watchdog hold collector\n  watchdog hold collector --url http://127.0.0.1:9099 --token-file token\n\nA hold survives a restart of the watchdog, and is shown on the page and in watchdog_restart_held.\nExit codes: 0 held, 1 not"
    )]
    Hold(switch::Target),
    /// Restart again what is held
    #[command(
        after_help = "Examples:\n  watchdog release collector\n  watchdog release collector --config watchdog.yml\n\nExit codes: 0 released, 1 not"
    )]
    Release(switch::Target),
    /// Say what an error code means
    Explain(explain::Explain),
    /// Ask the running watchdog whether it is well
    #[command(
        after_help = "Examples:\n  watchdog healthcheck\n  watchdog healthcheck --url http://127.0.0.1:9099\n\nExit codes: 0 it is well, 1 it is not or does not answer"
    )]
    Healthcheck(healthcheck::Healthcheck),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum Notify {
    /// Send a test message to a receiver, or show what would be sent
    Test(notify::NotifyTest),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  watchdog run\n  watchdog run --config watchdog.yml --log-format json\n  watchdog run --config prometheus.yml --listen 127.0.0.1:9099\n\nSIGHUP reads every file again; SIGTERM ends it and leaves its children running.\nExit codes: 0 ended as asked, 1 could not go on, 78 the configuration cannot be used"
)]
struct Run {
    /// Configuration: watchdog.yml, or a plain prometheus.yml
    #[arg(long, default_value = "watchdog.yml")]
    config: PathBuf,
    /// Where page and API listen, instead of web.listen: a plain prometheus.yml has no such key
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    query: QueryFlags,
    /// Language of errors on the terminal: zh or en
    #[arg(long)]
    lang: Option<String>,
    /// Form of the log
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

fn main() -> ExitCode {
    watchdog::memory::keep_little();
    let arguments = Arguments::parse();
    // Who connects first would find no cryptography otherwise; a second installation is refused and harmless.
    drop(rustls::crypto::ring::default_provider().install_default());
    match arguments.verb {
        Verb::Run(arguments) => service(&arguments),
        Verb::Check(what) => block_on(check::run(what)),
        Verb::Test(what) => test_rules::run(what),
        Verb::Notify(Notify::Test(arguments)) => block_on(notify::run(arguments)),
        Verb::Hold(target) => block_on(switch::run(target, Switch::Hold)),
        Verb::Release(target) => block_on(switch::run(target, Switch::Release)),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Healthcheck(arguments) => block_on(healthcheck::run(arguments)),
        Verb::Version => {
            watchdog::cli::print(concat!("watchdog ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}

/// Exit codes: 0 ended as asked, 1 could not go on, 78 the configuration cannot be used.
fn service(arguments: &Run) -> ExitCode {
    log(arguments.log_format);
    let lang = watchdog::cli::language(arguments.lang.as_deref());
    let flags = Flags { listen: arguments.listen, query: arguments.query.limits() };
    let prepared = match prepare_with(&arguments.config, flags) {
        Ok(prepared) => prepared,
        Err(findings) => {
            watchdog::cli::print_error(findings.render(lang, Format::Text).trim_end());
            return ExitCode::from(u8::try_from(EXIT_CONFIG).unwrap_or(1));
        }
    };
    let warnings = prepared.findings.render(lang, Format::Text);
    if !warnings.is_empty() {
        watchdog::cli::print_error(warnings.trim_end());
    }
    block_on(started(prepared))
}

async fn started(prepared: Prepared) -> ExitCode {
    let shutdown = CancellationToken::new();
    let result = match signals::listen(shutdown.clone()) {
        Ok(hangups) => {
            let deps = Deps { clock: Arc::new(SystemClock::default()), deliver: Box::new(|base: PathBuf| carrier(base)), hangups };
            run(prepared, shutdown, deps).await
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            watchdog::cli::print_error(&format!("watchdog: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn carrier(base: PathBuf) -> anyhow::Result<Arc<dyn Deliver>> {
    Ok(Arc::new(Courier::new(base)?))
}

fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    // One thread for everything that waits: the rule engine, which computes, has its own (`run::assembly`). A second one would be woken with almost every event,
    // and find nothing to do.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // A thread that is stuck in a dead disk or in /proc must not keep us.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            watchdog::cli::print_error(&format!("watchdog: no runtime: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Logging is set up once, here.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
