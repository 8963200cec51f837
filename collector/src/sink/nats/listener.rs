//! Messages of a subject as they come, for `collector tap`: a connection of its own, core NATS, nothing acknowledged.
//! Must not know: what a message says.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::connection::{Connection, Heard};
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
        while let Some(heard) = connection.hear(begun.elapsed())? {
            match heard {
                Heard::Message(message) => {
                    let subject = String::from_utf8_lossy(message.subject);
                    if told(Told::Message(&subject, message.payload)).is_break() {
                        return Ok(());
                    }
                }
                Heard::Complaint(text) => return Err(io::Error::new(io::ErrorKind::PermissionDenied, text.trim_matches('\'').to_owned())),
                Heard::Pong(_) | Heard::LameDuck => {}
            }
        }
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
