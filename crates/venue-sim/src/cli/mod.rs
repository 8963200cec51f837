//! Subcommands, and what they share: the runtime, the log, the signals that end them, and the line that tells the addresses.
//! A new subcommand is a variant of [`Command`] and a module with `Arguments` and `run`.

mod inbox;
mod run;
mod sick;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Fake venues, inboxes and sick programs, for demonstrations and tests.
#[derive(Debug, Parser)]
#[command(name = "venue-sim", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job on one machine, offline: everything at once, with what goes wrong and how it is cured.
    Demo(crate::demo::DemoArgs),
    /// Fake venues with real WebSocket and HTTP, from a recording or a random walk.
    Run(Box<run::Arguments>),
    /// A DingTalk robot and a mail server that check, answer and show what they get.
    Inbox(inbox::Arguments),
    /// A program that leaks, hangs and spins on command, in the part of the old collector.
    Sick(sick::Arguments),
}

/// Runs the subcommand to its end.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("runtime")?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Demo(arguments) => crate::demo::run(arguments).await,
            Command::Run(arguments) => run::run(*arguments).await,
            Command::Inbox(arguments) => inbox::run(arguments).await,
            Command::Sick(arguments) => sick::run(arguments).await,
        }
    });
    // Nothing that still runs is worth waiting for.
    runtime.shutdown_background();
    result
}

/// A token that SIGINT and SIGTERM cancel.
fn cancelled_by_signals() -> Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}

/// Writes one line of JSON to the standard output, and to a file if asked: whoever started this learns the ports that were chosen.
fn tell_ports<T: Serialize>(ports: &T, file: Option<&Path>) -> Result<()> {
    let line = serde_json::to_string(ports)?;
    if let Some(file) = file {
        // Renamed into place, so that a reader never sees half of it.
        let partial = file.with_extension("partial");
        std::fs::write(&partial, format!("{line}\n")).with_context(|| format!("{}", partial.display()))?;
        std::fs::rename(&partial, file).with_context(|| format!("{}", file.display()))?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush().context("standard output")
}
