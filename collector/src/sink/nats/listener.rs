//! Messages of a subject as they come, for `collector tap`: a connection of its own, core NATS, nothing acknowledged.
//! Must not know: what a message says.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::connection::{Connection, Heard, refused};
use super::wire;
use crate::config::Access;

/// How often a silent server is asked, and the caller told that time has passed.
const TICK: Duration = Duration::from_secs(1);

/// What a listener is told.
pub(crate) enum Told<'a> {
    /// Connected to this server and version, and subscribed.
    Subscribed(&'a str, &'a str),
    /// A message: subject and body.
    Message(&'a str, &'a [u8]),
    /// A second has passed.
    Tick,
}

/// Subscribes at the first of the servers that answers, and tells until `told` breaks off.
///
/// # Errors
/// When no server takes us, or the connection ends.
pub(crate) async fn listen(access: &Access, subject: &str, mut told: impl FnMut(Told<'_>) -> ControlFlow<()>) -> io::Result<()> {
    let begun = Instant::now();
    let mut connection = connect(access).await?;
    wire::line(connection.outbound(), format_args!("SUB {subject} 1\r\n"));
    // A refusal of the subject comes before the PONG.
    connection.ping();
    let info = connection.info().clone();
    if told(Told::Subscribed(&info.server_name, &info.version)).is_break() {
        return Ok(());
    }
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            progress = connection.progress() => progress?,
            _ = ticks.tick() => {
                connection.watch(begun.elapsed())?;
                if told(Told::Tick).is_break() {
                    return Ok(());
                }
            }
        }
        let mut outcome: ControlFlow<io::Result<()>> = ControlFlow::Continue(());
        connection.hear(begun.elapsed(), |heard| {
            if outcome.is_continue() {
                outcome = heard_one(&heard, &mut told);
            }
        })?;
        if let ControlFlow::Break(end) = outcome {
            return end;
        }
    }
}

/// Tells a message; breaks with the end of the listening.
fn heard_one(heard: &Heard<'_>, told: &mut impl FnMut(Told<'_>) -> ControlFlow<()>) -> ControlFlow<io::Result<()>> {
    match heard {
        Heard::Message(message) => {
            let subject = String::from_utf8_lossy(message.subject);
            if told(Told::Message(&subject, message.payload)).is_break() { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
        }
        Heard::Complaint(text) => ControlFlow::Break(Err(refused(text))),
        Heard::Pong(_) | Heard::LameDuck => ControlFlow::Continue(()),
    }
}

async fn connect(access: &Access) -> io::Result<Connection> {
    let (addresses, tls) = super::approach(access)?;
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no server is given");
    for address in addresses {
        match Connection::open(&address, &tls, Duration::ZERO).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = io::Error::new(error.kind(), format!("{}:{}: {error}", address.host, address.port)),
        }
    }
    Err(last)
}
