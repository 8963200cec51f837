//! Signals: SIGTERM and SIGINT end in order, a second one at once; SIGHUP reads the configuration again.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Exit code of a program ended by a second SIGTERM: 128 + 15, as shells count.
const ENDED_AT_ONCE: i32 = 143;

/// Listens from now on. `shutdown` is cancelled by the first SIGTERM or SIGINT; each SIGHUP is a message.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn listen(shutdown: CancellationToken) -> std::io::Result<mpsc::Receiver<()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (tell, hangups) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => end(&shutdown),
                _ = interrupt.recv() => end(&shutdown),
                // One waiting wish is enough.
                _ = hangup.recv() => drop(tell.try_send(())),
            }
        }
    });
    Ok(hangups)
}

fn end(shutdown: &CancellationToken) {
    if shutdown.is_cancelled() {
        tracing::warn!("a second signal: ending at once");
        std::process::exit(ENDED_AT_ONCE);
    }
    tracing::info!("ending in order; a second signal ends at once");
    shutdown.cancel();
}
