//! `watchdog healthcheck`: asks the running watchdog, for a container's health check.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::{cli, config, http_client};

/// Asks the running watchdog whether it is well.
#[derive(Args, Clone, Debug)]
pub struct Healthcheck {
    /// Configuration, for the address
    #[arg(long, default_value = "watchdog.yml")]
    config: PathBuf,
    /// Address of the page, instead of the configuration's
    #[arg(long)]
    url: Option<String>,
}

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_secs(3);

/// Runs the command: 0 well, 1 not.
pub async fn run(arguments: Healthcheck) -> ExitCode {
    match ask(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::print_error(&format!("watchdog healthcheck: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn ask(arguments: Healthcheck) -> anyhow::Result<()> {
    let base = match arguments.url {
        Some(url) => url,
        None => match config::load(&arguments.config) {
            Ok(loaded) => format!("http://{}", loaded.config.web.listen),
            Err(_) => anyhow::bail!("{} cannot be used; see `watchdog check config`, or give --url", arguments.config.display()),
        },
    };
    let client = http_client::client(&http_client::tls()?)?;
    let answer = client.get(format!("{}/-/healthy", base.trim_end_matches('/'))).timeout(WITHIN).send().await?;
    anyhow::ensure!(answer.status().is_success(), "status {}", answer.status());
    Ok(())
}
