//! The seam to the network: what the venue loop needs of sockets and REST; tests and replays put their own behind it.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use thiserror::Error;

use crate::config::VenueConfig;

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
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Wire<'_>>;
    /// Closes it in order, within a bound, and gives the socket back to the system.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
    /// Bytes of its buffers.
    fn bytes(&self) -> usize {
        0
    }
}

/// What comes from a WebSocket.
#[derive(Debug)]
pub enum Wire<'a> {
    /// A text frame, lent until the link is polled again.
    Text(&'a str),
    /// A sign of life without content.
    Activity,
    /// The end, and why.
    Ended(String),
}

/// REST.
pub trait Rest {
    /// One GET, within the client's time limit, with at most `most` bytes of body.
    fn get(&self, url: String, most: usize) -> LocalBoxFuture<'static, Result<Reply, RestFailure>>;
    /// Closes the connections that wait for a next request; a client that keeps none has nothing to do.
    fn close_idle(&self) {}
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
    /// No connection.
    #[error("{0}")]
    Connect(ConnectError),
    /// The connection broke, or what came is not HTTP.
    #[error("{0}")]
    Network(String),
    /// Longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Why a connection did not open: at which hop, the reason's word, and what was said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{hop} {cause}: {message}")]
pub struct ConnectError {
    /// Where it failed.
    pub hop: Hop,
    /// Why.
    pub cause: Cause,
    /// What was said; never a secret.
    pub message: String,
}

/// The steps of opening a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Hop {
    /// The URL itself.
    Url,
    /// Finding the address of the name.
    Dns,
    /// Opening the TCP connection.
    Tcp,
    /// Reaching the proxy, and being led on by it.
    Proxy,
    /// Agreeing on encryption.
    Tls,
    /// The HTTP upgrade.
    Handshake,
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cause {
    /// The URL cannot be used.
    BadUrl,
    /// The name has no address, or the resolver failed.
    NameNotFound,
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// No route.
    Unreachable,
    /// The peer ended it.
    Reset,
    /// This process or system has no descriptor or local port left.
    Exhausted,
    /// The proxy wants a login, or another one.
    AuthRequired,
    /// The proxy does not lead there.
    Forbidden,
    /// The proxy does not reach the venue.
    TargetUnreachable,
    /// The certificate's time is over.
    CertificateExpired,
    /// The certificate's time has not begun; or this machine's clock is wrong.
    CertificateNotYetValid,
    /// The certificate's issuer is not trusted: perhaps a `ca_file` is missing.
    CertificateUnknownIssuer,
    /// The certificate is for other names.
    CertificateWrongName,
    /// The certificate is not accepted for another reason.
    CertificateInvalid,
    /// An HTTP status other than the one hoped for.
    Status,
    /// The peer does not speak the protocol.
    Protocol,
    /// Any other trouble of the system.
    Io,
}

/// Both, as one venue loop uses them.
#[derive(Clone)]
pub struct Network {
    /// WebSockets.
    pub connector: Rc<dyn Connector>,
    /// REST.
    pub rest: Rc<dyn Rest>,
}

/// Makes the [`Network`] of a venue on the data thread, where it stays.
pub type NetworkMaker = Box<dyn FnMut(&VenueConfig) -> anyhow::Result<Network> + Send>;

// === impl ConnectError ===

impl ConnectError {
    pub(super) fn new(hop: Hop, cause: Cause, message: impl ToString) -> Self {
        Self { hop, cause, message: message.to_string() }
    }

    pub(super) fn io(hop: Hop, error: &std::io::Error) -> Self {
        Self::new(hop, Cause::of(error), error)
    }
}

// === impl Hop ===

impl Hop {
    /// All, in the order of opening.
    pub const ALL: [Self; 6] = [Self::Url, Self::Dns, Self::Tcp, Self::Proxy, Self::Tls, Self::Handshake];

    /// The word in metrics, logs and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Proxy => "proxy",
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

// === impl Cause ===

impl Cause {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::BadUrl,
        Self::NameNotFound,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::Reset,
        Self::Exhausted,
        Self::AuthRequired,
        Self::Forbidden,
        Self::TargetUnreachable,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateUnknownIssuer,
        Self::CertificateWrongName,
        Self::CertificateInvalid,
        Self::Status,
        Self::Protocol,
        Self::Io,
    ];

    /// The word in metrics, logs and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::NameNotFound => "name_not_found",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Exhausted => "exhausted",
            Self::AuthRequired => "auth_required",
            Self::Forbidden => "forbidden",
            Self::TargetUnreachable => "target_unreachable",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateUnknownIssuer => "certificate_unknown_issuer",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::CertificateInvalid => "certificate_invalid",
            Self::Status => "status",
            Self::Protocol => "protocol",
            Self::Io => "io",
        }
    }

    /// What an error of a socket means.
    pub(super) fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::TimedOut => Self::TimedOut,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Self::Unreachable,
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof | Kind::NotConnected => Self::Reset,
            Kind::AddrNotAvailable => Self::Exhausted,
            _ if error.raw_os_error().is_some_and(|code| EXHAUSTED.iter().any(|known| known.raw_os_error() == code)) => Self::Exhausted,
            _ => Self::Io,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the system says when there is no descriptor or no memory for a socket.
const EXHAUSTED: [rustix::io::Errno; 4] = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOBUFS, rustix::io::Errno::NOMEM];

// === impl Network ===

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}
