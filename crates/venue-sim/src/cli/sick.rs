//! `venue-sim sick`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use venue_sim::CancellationToken;
use venue_sim::sick::{Caps, RunningSick, SickConfig, read_script, run_sick};

use super::tell_ports;

/// Arguments of `sick`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where metrics, health and the control path listen.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// What happens by itself: a YAML list of {at: 5s, orders: {hang: true}}.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Cap of leaked memory, MiB.
    #[arg(long, default_value_t = Caps::default().memory_mb)]
    max_memory_mb: usize,
    /// Cap of leaked descriptors.
    #[arg(long, default_value_t = Caps::default().fds)]
    max_fds: usize,
    /// Cap of sockets in CLOSE_WAIT.
    #[arg(long, default_value_t = Caps::default().close_wait)]
    max_close_wait: usize,
    /// Write the address to this file too.
    #[arg(long, value_name = "FILE")]
    ports_file: Option<PathBuf>,
}

/// Is sick until SIGTERM, if it hears it, or SIGINT.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let script = arguments.script.as_deref().map(read_script).transpose()?.unwrap_or_default();
    let caps = Caps { memory_mb: arguments.max_memory_mb, fds: arguments.max_fds, close_wait: arguments.max_close_wait };
    let shutdown = CancellationToken::new();
    let sick = run_sick(SickConfig { listen: arguments.listen, script, caps }, shutdown.clone()).await?;
    tell_ports(&sick.addresses(), arguments.ports_file.as_deref())?;
    wait_for_signal(&sick).await?;
    shutdown.cancel();
    sick.stopped().await;
    Ok(())
}

async fn wait_for_signal(sick: &RunningSick) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => {
                if !sick.ignores_sigterm() {
                    return Ok(());
                }
                tracing::warn!("SIGTERM ignored, as told");
            }
        }
    }
}
