//! One connection to one server, from the socket to the end of it. It never connects again by itself and forgets nothing behind its owner's back:
//! what was not acknowledged is the owner's to send again, in order, on the next one.
//!
//! Owns: socket, TLS, the opening exchange, the two buffers, the watch over a silent peer. Must not know: records, JetStream.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::login::Fields;
use super::wire::{self, Malformed, Op};

/// For each step of opening a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Without a word from the server for this long, it is asked whether it is there.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// After being asked, it has this long.
const DEAD_AFTER: Duration = Duration::from_secs(10);
/// What is read at a time.
const READ: usize = 32 << 10;
/// Buffers larger than this are given back when they are empty.
const KEPT: usize = 256 << 10;

/// A socket, with or without TLS.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection.
pub(super) struct Connection {
    stream: Box<dyn Duplex>,
    /// Read and not yet taken; from `taken` on.
    inbound: Vec<u8>,
    taken: usize,
    /// Where the socket puts what it has.
    chunk: Vec<u8>,
    /// To be written; from `written` on.
    outbound: Vec<u8>,
    written: usize,
    info: ServerInfo,
    /// PINGs sent and PONGs received.
    pings: u64,
    pongs: u64,
    /// When the server was last heard, and when it was asked.
    heard: Duration,
    asked: Option<Duration>,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerInfo {
    pub(super) server_name: String,
    pub(super) version: String,
    pub(super) max_payload: usize,
    pub(super) headers: bool,
    pub(super) jetstream: bool,
    tls_required: bool,
    /// What is to be signed by who has a key.
    nonce: Option<String>,
    /// Lame duck mode: it is about to go.
    pub(super) ldm: bool,
}

/// What the server said, as far as it matters to the owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// A message for us.
    Message(wire::Message<'a>),
    /// Everything up to our PING of this number was handled.
    Pong(u64),
    /// It is about to go.
    LameDuck,
    /// It complains.
    Complaint(&'a str),
}

// === impl Connection ===

impl Connection {
    /// Opens a connection and waits until the server has taken our CONNECT.
    pub(super) async fn open(address: &Address, tls: &Arc<ClientConfig>, now: Duration) -> io::Result<Self> {
        let tcp = within("TCP", TcpStream::connect((address.host.as_str(), address.port))).await?;
        tcp.set_nodelay(true)?;
        let (inbound, outbound) = (Vec::with_capacity(READ), Vec::with_capacity(READ));
        let mut connection = Self {
            stream: Box::new(tcp),
            inbound,
            taken: 0,
            chunk: vec![0; READ],
            outbound,
            written: 0,
            info: ServerInfo::default(),
            pings: 0,
            pongs: 0,
            heard: now,
            asked: None,
        };
        within("INFO", connection.until(|connection| connection.info.max_payload > 0)).await?;
        if !connection.info.headers {
            return Err(io::Error::other("the server does not know headers (NATS 2.2 or later is needed)"));
        }
        if address.tls || connection.info.tls_required {
            let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            let plain = std::mem::replace(&mut connection.stream, Box::new(tokio::io::empty()));
            connection.stream = Box::new(within("TLS", TlsConnector::from(Arc::clone(tls)).connect(name, plain)).await?);
        }
        let connect = hello(&address.login.fields(connection.info.nonce.as_deref())?);
        wire::line(&mut connection.outbound, format_args!("CONNECT {connect}\r\n"));
        connection.ping();
        within("CONNECT", connection.until(|connection| connection.pongs > 0)).await?;
        Ok(connection)
    }

    /// The server.
    pub(super) fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Where publications are appended.
    pub(super) fn outbound(&mut self) -> &mut Vec<u8> {
        &mut self.outbound
    }

    /// Bytes that the socket has not taken yet.
    pub(super) fn unwritten(&self) -> usize {
        self.outbound.len() - self.written
    }

    /// Appends a PING.
    pub(super) fn ping(&mut self) {
        self.outbound.extend_from_slice(b"PING\r\n");
        self.pings += 1;
    }

    /// PINGs sent so far.
    pub(super) fn pings(&self) -> u64 {
        self.pings
    }

    /// Whether a PING waits for its PONG.
    pub(super) fn is_asked(&self) -> bool {
        self.pings > self.pongs
    }

    /// Waits until something was read, or everything was written.
    ///
    /// # Errors
    /// The connection has ended; it is of no further use.
    pub(super) async fn progress(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The same, once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.poll_write(cx)?;
        let read = self.poll_read(cx)?;
        if written || read { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Writes what the socket takes now. Whoever waits for the connection must poll it again if anything is left: nobody else is woken for it.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) fn write_now(&mut self) -> io::Result<()> {
        let mut nobody = Context::from_waker(Waker::noop());
        self.poll_write(&mut nobody).map(|_emptied| ())
    }

    /// Writes what the socket takes; whether that emptied the buffer.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.outbound.is_empty() {
            return Ok(false);
        }
        while let Some(rest) = self.outbound.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
        }
        // Only TLS holds anything back.
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) {
            flushed?;
        }
        self.outbound.clear();
        self.outbound.shrink_to(KEPT);
        self.written = 0;
        Ok(true)
    }

    /// Reads what is there, one buffer full at most; whether anything was.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.taken > 0 {
            self.inbound.drain(..self.taken);
            self.taken = 0;
        }
        let mut buffer = ReadBuf::new(&mut self.chunk);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(())) => {
                self.inbound.extend_from_slice(buffer.filled());
                Ok(true)
            }
        }
    }

    /// Tells everything the server said, as far as it is whole.
    ///
    /// # Errors
    /// What it said is no protocol, or ends the connection.
    pub(super) fn hear(&mut self, now: Duration, mut told: impl FnMut(Heard<'_>)) -> io::Result<()> {
        while let Some((op, length)) = wire::parse(self.inbound.get(self.taken..).unwrap_or_default()).map_err(malformed)? {
            self.taken += length;
            (self.heard, self.asked) = (now, None);
            match op {
                Op::Message(message) => told(Heard::Message(message)),
                Op::Ok => {}
                Op::Ping => self.outbound.extend_from_slice(b"PONG\r\n"),
                Op::Pong => {
                    self.pongs += 1;
                    told(Heard::Pong(self.pongs));
                }
                Op::Info(json) => {
                    self.info = serde_json::from_slice(json).map_err(io::Error::other)?;
                    if self.info.ldm {
                        told(Heard::LameDuck);
                    }
                }
                Op::Error(text) => told(Heard::Complaint(std::str::from_utf8(text).unwrap_or("(not UTF-8)"))),
            }
        }
        if self.taken == self.inbound.len() {
            self.inbound.clear();
            self.inbound.shrink_to(KEPT);
            self.taken = 0;
        }
        Ok(())
    }

    /// Asks a server that has been silent, and says when it has not answered.
    ///
    /// # Errors
    /// It is dead: the connection is of no further use.
    pub(super) fn watch(&mut self, now: Duration) -> io::Result<()> {
        match self.asked {
            Some(asked) if now.saturating_sub(asked) >= DEAD_AFTER => Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer")),
            None if now.saturating_sub(self.heard) >= ASK_AFTER => {
                self.ping();
                self.asked = Some(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn until(&mut self, happened: impl Fn(&Self) -> bool) -> io::Result<()> {
        loop {
            let (now, mut complaint) = (self.heard, None);
            self.hear(now, |heard| {
                if let Heard::Complaint(text) = heard {
                    complaint.get_or_insert_with(|| refused(text));
                }
            })?;
            if let Some(refused) = complaint {
                return Err(refused);
            }
            if happened(self) {
                return Ok(());
            }
            self.progress().await?;
        }
    }
}

/// The body of CONNECT.
fn hello(login: &Fields) -> String {
    let mut text =
        String::from("{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"echo\":false,\"protocol\":1,\"lang\":\"rust\"");
    let mut field = |name: &str, value: &str| {
        // Writing into a String cannot fail; a JSON string escapes what must be.
        let _infallible = write!(text, ",\"{name}\":{}", serde_json::Value::from(value));
    };
    field("name", "tidemark-collector");
    field("version", crate::VERSION);
    for (name, value) in login {
        field(name, value);
    }
    text.push('}');
    text
}

async fn within<T>(step: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(PATIENCE, work).await {
        Ok(outcome) => outcome.map_err(|error| io::Error::new(error.kind(), format!("{step}: {error}"))),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{step}: no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// The server's complaint as the end of the connection.
pub(super) fn refused(complaint: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, complaint.trim_matches('\'').to_owned())
}

fn malformed(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server's answer is not NATS: {error}"))
}
