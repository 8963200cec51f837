//! `venue-sim inbox`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use venue_sim::duration::Span;
use venue_sim::inbox::{InboxConfig, RobotConfig, run_inbox};

use super::{cancelled_by_signals, tell_ports};

/// Arguments of `inbox`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the DingTalk robot, the page, the list and the control paths listen.
    #[arg(long, alias = "web", default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    dingtalk: SocketAddr,
    /// Where the mail server listens.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    smtp: SocketAddr,
    /// Secret of the robot's signature.
    #[arg(long, env = "VENUE_SIM_DINGTALK_SECRET", default_value = "SECvenue-sim-test-secret", hide_env_values = true)]
    secret: String,
    /// Do not check signatures.
    #[arg(long)]
    unsigned: bool,
    /// Only these tokens are robots; absent: any.
    #[arg(long, value_delimiter = ',')]
    token: Vec<String>,
    /// A message must hold one of these words.
    #[arg(long, value_delimiter = ',')]
    keyword: Vec<String>,
    /// Messages per minute and robot before it is muted.
    #[arg(long, default_value_t = 20)]
    per_minute: usize,
    /// Length of the mute.
    #[arg(long, default_value = "10m")]
    mute: Span,
    /// Messages kept.
    #[arg(long, default_value_t = 500)]
    keep: usize,
    /// Write the addresses to this file too.
    #[arg(long, value_name = "FILE")]
    ports_file: Option<PathBuf>,
}

/// Takes messages until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let shutdown = cancelled_by_signals()?;
    let secret = (!arguments.unsigned).then_some(arguments.secret);
    let (tokens, keywords) = (arguments.token, arguments.keyword);
    let robot = RobotConfig { secret, tokens, keywords, per_minute: arguments.per_minute, mute: arguments.mute.0 };
    let config = InboxConfig { dingtalk: arguments.dingtalk, smtp: Some(arguments.smtp), robot, keep: arguments.keep };
    let inbox = run_inbox(config, shutdown.clone()).await?;
    tell_ports(inbox.addresses(), arguments.ports_file.as_deref())?;
    shutdown.cancelled().await;
    inbox.stopped().await;
    Ok(())
}
