//! The seam to the network: what the venue loop needs of sockets and REST; tests and replays put their own behind it.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use thiserror::Error;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Opens WebSockets.
pub trait Connector {
    /// One attempt. Dropping the future gives it up.
    fn connect(&self, url: String) -> LocalBoxFuture<'static, Result<Box<dyn Link>, ConnectError>>;
}

/// An open WebSocket.
pub trait Link {
    /// Queues a text frame; it is written as the link is polled.
    fn send(&mut self, text: String) -> Result<(), String>;
    /// The next thing that happened. Nothing more comes after [`Wire::Ended`].
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Wire>;
    /// Closes it in order, within a bound, and gives the socket back to the system.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
}

/// What comes from a WebSocket.
#[derive(Debug)]
pub enum Wire {
    /// A text frame.
    Text(Utf8Bytes),
    /// A sign of life without content.
    Activity,
    /// The end, and why.
    Ended(String),
}

/// REST.
pub trait Rest {
    /// One GET, within the client's time limit, with at most `most` bytes of body.
    fn get(&self, url: String, most: usize) -> LocalBoxFuture<'static, Result<Reply, RestFailure>>;
}

/// A REST answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds, when given so.
    pub retry_after: Option<Duration>,
    /// `X-MBX-USED-WEIGHT-1M`.
    pub used_weight: Option<u32>,
    /// Body; empty when it is not UTF-8.
    pub body: String,
}

/// Why a REST request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestFailure {
    /// None in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("{0}")]
    Network(String),
    /// Longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Why a WebSocket did not open, and at which hop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{hop}: {message}")]
pub struct ConnectError {
    /// Where it failed.
    pub hop: Hop,
    /// What was said.
    pub message: String,
}

/// The steps of opening a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The URL itself.
    Url,
    /// Finding the address of the name.
    Dns,
    /// Opening the TCP connection.
    Tcp,
    /// Agreeing on encryption.
    Tls,
    /// The HTTP upgrade.
    Handshake,
}

/// Both, as one venue loop uses them.
#[derive(Clone)]
pub struct Network {
    /// WebSockets.
    pub connector: Rc<dyn Connector>,
    /// REST.
    pub rest: Rc<dyn Rest>,
}

/// Makes a [`Network`] on the data thread, where it stays.
pub type NetworkMaker = Box<dyn FnOnce() -> anyhow::Result<Network> + Send>;

// === impl Hop ===

impl Hop {
    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Network ===

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}
