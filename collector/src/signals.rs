//! Signals: the first asks to stop in order, the second ends at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Registered from the moment it is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Exit code after the second signal: what a shell reports of a process that SIGTERM has ended.
const EXIT_AT_ONCE: i32 = 128 + 15;

// === impl Signals ===

impl Signals {
    /// Registers for SIGTERM, SIGINT and SIGHUP (a terminal that closes); within a runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn register() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, hangup: signal(SignalKind::hangup())? })
    }

    /// Waits for the first signal; from then on the next one ends the process.
    pub async fn stop_requested(mut self) {
        let name = self.next().await;
        tracing::info!(signal = name, "stopping: a second signal ends at once");
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(EXIT_AT_ONCE);
        });
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
