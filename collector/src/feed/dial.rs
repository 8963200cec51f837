//! The way to a host: name, TCP, proxy, TLS; the same for WebSockets and REST, and every failure with the name of its hop.
//!
//! Owns: the order of addresses, time limits, socket options. Must not know: what is said on the connection.
//! A peer that vanishes without a word is noticed by the kernel: keep-alive probes an idle connection, and `TCP_USER_TIMEOUT` ends one whose
//! writes are not acknowledged (tcp(7)); silence of a living peer is the core's to judge.

mod proxy;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::http::Uri;

use proxy::Proxies;

use super::network::{Cause, ConnectError, Hop};
use super::tls;
use crate::config::VenueConfig;

/// From the first look-up to the connection that can be used, at most; below the core's own limit of ten seconds, so that the hop is known.
const PATIENCE: Duration = Duration::from_secs(9);
/// An address that has not answered after this gets company (RFC 8305, "Connection Attempt Delay").
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const ADDRESSES_MOST: usize = 8;
/// Data sent and not acknowledged for this long ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// Probes of an idle connection: after this, then each so often, then so many.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// An open connection, encrypted or not.
pub(super) type Stream = MaybeTlsStream<TcpStream>;

/// How a venue is reached.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    tls: Arc<ClientConfig>,
    proxies: Arc<Proxies>,
}

/// Which hop an attempt has come to, for the message when its time is up.
#[derive(Clone, Debug)]
pub(super) struct Progress(Rc<Cell<Hop>>);

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encrypted: bool,
}

// === impl Target ===

impl Target {
    /// The host of a ws, wss, http or https URL.
    pub(super) fn of(uri: &Uri) -> Result<Self, ConnectError> {
        let bad = |why: &str| ConnectError::new(Hop::Url, Cause::BadUrl, why);
        let encrypted = match uri.scheme_str() {
            Some("wss" | "https") => true,
            Some("ws" | "http") => false,
            _ => return Err(bad("not a ws, wss, http or https URL")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }), encrypted })
    }
}

// === impl Progress ===

impl Progress {
    pub(super) fn new() -> Self {
        Self(Rc::new(Cell::new(Hop::Url)))
    }

    pub(super) fn at(&self, hop: Hop) {
        self.0.set(hop);
    }

    /// Runs the attempt within [`PATIENCE`]; what takes too long fails at the hop it has come to.
    pub(super) async fn within<T>(&self, attempt: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
        let too_slow = |_| Err(ConnectError::new(self.0.get(), Cause::TimedOut, format!("not done within {} s", PATIENCE.as_secs())));
        timeout(PATIENCE, attempt).await.unwrap_or_else(too_slow)
    }
}

// === impl Dialer ===

impl Dialer {
    /// For this venue; its proxy login and authorities are read.
    ///
    /// # Errors
    /// What cannot be read, in words for the operator.
    pub(super) fn new(venue: &VenueConfig) -> Result<Self, String> {
        let proxies = Proxies::new(&venue.proxy).map_err(|error| format!("`proxy_auth`: {error}"))?;
        let tls = tls::client_config(venue.ca_file.as_deref()).map_err(|error| match &venue.ca_file {
            Some(file) => format!("`ca_file` {}: {error}", file.display()),
            None => error.to_string(),
        })?;
        Ok(Self { tls, proxies: Arc::new(proxies) })
    }

    /// Opens a connection to the URL's host, through its proxy if it has one. Dropping the future gives it up.
    pub(super) async fn open(&self, uri: &Uri, progress: &Progress) -> Result<Stream, ConnectError> {
        let target = Target::of(uri)?;
        let tcp = if let Some(proxy) = self.proxies.of(&target) {
            Box::pin(proxy.open(&target, progress)).await?
        } else {
            progress.at(Hop::Dns);
            let addresses = look_up(&target.host, target.port).await?;
            progress.at(Hop::Tcp);
            open_tcp(addresses).await?
        };
        if !target.encrypted {
            return Ok(MaybeTlsStream::Plain(tcp));
        }
        progress.at(Hop::Tls);
        let name = ServerName::try_from(target.host).map_err(|error| ConnectError::new(Hop::Url, Cause::BadUrl, error))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(name, tcp).await.map(MaybeTlsStream::Rustls).map_err(|error| tls::failure(&error))
    }
}

/// The addresses of a name, in the order in which they are tried.
async fn look_up(host: &str, port: u16) -> Result<VecDeque<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok([SocketAddr::new(address, port)].into());
    }
    let not_found = |why: String| ConnectError::new(Hop::Dns, Cause::NameNotFound, format!("{host}: {why}"));
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| not_found(error.to_string()))?;
    let ordered = interleaved(found);
    if ordered.is_empty() { Err(not_found("no address".to_owned())) } else { Ok(ordered) }
}

/// The two families in turn, beginning with the resolver's first (RFC 8305, section 4).
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let all: Vec<SocketAddr> = addresses.collect();
    let first_is_v6 = all.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = VecDeque::new();
    while ordered.len() < ADDRESSES_MOST {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            break;
        }
        ordered.extend(one.into_iter().chain(other));
    }
    ordered
}

/// The first address that answers; each gets a head start over the next.
async fn open_tcp(mut addresses: VecDeque<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut attempts: FuturesUnordered<LocalBoxFuture<'static, (SocketAddr, io::Result<TcpStream>)>> = FuturesUnordered::new();
    let mut failure = ConnectError::new(Hop::Tcp, Cause::Unreachable, "no address to try");
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.push(Box::pin(async move { (address, TcpStream::connect(address).await) }));
        }
        tokio::select! {
            next = attempts.next() => match next {
                Some((_, Ok(tcp))) => {
                    tune(&tcp).map_err(|error| ConnectError::io(Hop::Tcp, &error))?;
                    return Ok(tcp);
                }
                Some((address, Err(error))) => failure = ConnectError::new(Hop::Tcp, Cause::of(&error), format!("{address}: {error}")),
                None => return Err(failure),
            },
            () = sleep(NEXT_ADDRESS), if !addresses.is_empty() => {}
        }
    }
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, KEEP_ALIVE.0)?;
    sockopt::set_tcp_keepintvl(tcp, KEEP_ALIVE.1)?;
    sockopt::set_tcp_keepcnt(tcp, KEEP_ALIVE.2)?;
    sockopt::set_tcp_user_timeout(tcp, u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

#[cfg(test)]
mod tests;
