//! `watchdog hold` and `watchdog release`: asks the running watchdog to restart nothing for a while, and to restart again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::web::Switch;
use crate::{cli, config, http_client};

/// Which restart, and where the watchdog is.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// Name under `restarts:`
    name: String,
    /// Configuration, for address and token
    #[arg(long, default_value = "watchdog.yml")]
    config: PathBuf,
    /// Address of the page, instead of the configuration's
    #[arg(long)]
    url: Option<String>,
    /// File with the token, instead of the configuration's `web.token_file`
    #[arg(long)]
    token_file: Option<PathBuf>,
}

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Runs the command: 0 done, 1 not.
pub async fn run(target: Target, to: Switch) -> ExitCode {
    match ask(target, to).await {
        Ok(said) => {
            cli::print(said.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            cli::print_error(&format!("watchdog: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn ask(target: Target, to: Switch) -> anyhow::Result<String> {
    let (base, token_file) = place(&target)?;
    let verb = match to {
        Switch::Hold => "hold",
        Switch::Release => "release",
    };
    let mut request = http_client::client(&http_client::tls()?)?.post(format!("{}/restart/{}/{verb}", base.trim_end_matches('/'), target.name));
    if let Some(path) = token_file {
        request = request.bearer_auth(token(&path)?);
    }
    let answer = request.timeout(WITHIN).send().await.with_context(|| format!("{base} does not answer"))?;
    let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
    anyhow::ensure!(status.is_success(), "{}", said.trim_end());
    Ok(said)
}

/// Address and token file: what the arguments say, else the configuration.
fn place(target: &Target) -> anyhow::Result<(String, Option<PathBuf>)> {
    if let Some(url) = &target.url {
        return Ok((url.clone(), target.token_file.clone()));
    }
    let Ok(loaded) = config::load(&target.config) else {
        anyhow::bail!("{} cannot be used; see `watchdog check config`, or give --url", target.config.display())
    };
    Ok((format!("http://{}", loaded.config.web.listen), target.token_file.clone().or(loaded.config.web.token_file)))
}

fn token(path: &Path) -> anyhow::Result<String> {
    let token = std::fs::read_to_string(path).with_context(|| format!("token file {}", path.display()))?;
    Ok(token.trim().to_owned())
}
