//! Proxies: which one leads to a host, and its handshake (HTTP CONNECT, SOCKS5).
//!
//! Which: hyper-util's matcher, which reads `NO_PROXY` as curl does. The handshake of HTTP is hyper's, because its answer has a status worth
//! telling; that of SOCKS5 (RFC 1928, 1929) is tokio-socks'.

use std::fmt;
use std::io;

use bytes::Bytes;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_socks::TargetAddr;
use tokio_socks::tcp::Socks5Stream;

use super::{Progress, Target, look_up, open_tcp};
use crate::config::{Login, ProxyConfig};
use crate::feed::network::{Cause, ConnectError, Hop};
use crate::http::body::Whole;

/// The proxies of a venue.
pub(super) struct Proxies(Matcher);

/// One proxy, chosen for one target.
pub(super) struct Proxy {
    host: String,
    port: u16,
    way: Way,
}

enum Way {
    Connect(Option<HeaderValue>),
    Socks {
        login: Option<(String, String)>,
        /// socks5: names are looked up here; socks5h: by the proxy.
        names_here: bool,
    },
}

// === impl Proxies ===

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The matcher's own form leaves logins out.
        self.0.fmt(f)
    }
}

impl Proxies {
    /// As configured; a login in a file is read.
    pub(super) fn new(config: &ProxyConfig) -> io::Result<Self> {
        let login = match &config.login {
            None => None,
            Some(Login::Text(text)) => Some(text.clone()),
            Some(Login::File(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
                Some(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        };
        let url = |url: &Option<String>| url.as_deref().map(|url| with_login(url, login.as_deref())).unwrap_or_default();
        Ok(Self(Matcher::builder().http(url(&config.http)).https(url(&config.https)).no(config.no.clone()).build()))
    }

    /// The proxy that leads there, if any.
    pub(super) fn of(&self, target: &Target) -> Option<Proxy> {
        let scheme = if target.encrypted { "https" } else { "http" };
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        let uri = Uri::builder().scheme(scheme).authority(host).path_and_query("/").build().ok()?;
        Proxy::of(&self.0.intercept(&uri)?)
    }
}

/// The URL with the login in it, in the form in which the matcher takes one apart again.
fn with_login(url: &str, login: Option<&str>) -> String {
    let (Some(login), Some((scheme, rest))) = (login, url.split_once("://")) else { return url.to_owned() };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    format!("{scheme}://{}:{}@{rest}", escaped(user), escaped(password))
}

/// Every byte but letters and digits as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

// === impl Proxy ===

impl Proxy {
    fn of(chosen: &Intercept) -> Option<Self> {
        let uri = chosen.uri();
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (way, port) = match uri.scheme_str() {
            Some("socks5" | "socks5h") => {
                let login = chosen.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
                (Way::Socks { login, names_here: uri.scheme_str() == Some("socks5") }, 1080)
            }
            _ => (Way::Connect(chosen.basic_auth().cloned()), 80),
        };
        Some(Self { host, port: uri.port_u16().unwrap_or(port), way })
    }

    /// A connection to the target that goes through here.
    pub(super) async fn open(&self, target: &Target, progress: &Progress) -> Result<TcpStream, ConnectError> {
        let destination = match &self.way {
            Way::Socks { names_here: true, .. } => {
                progress.at(Hop::Dns);
                look_up(&target.host, target.port).await?.pop_front().map(TargetAddr::Ip)
            }
            _ => None,
        };
        progress.at(Hop::Proxy);
        let tcp = async { open_tcp(look_up(&self.host, self.port).await?).await };
        let tcp = tcp.await.map_err(|error| self.failed(error.cause, format!("not reached: {}", error.message)))?;
        match &self.way {
            Way::Connect(login) => self.connect(tcp, target, login.as_ref()).await,
            Way::Socks { login, .. } => {
                let by_name = || match target.host.parse() {
                    Ok(address) => TargetAddr::Ip(std::net::SocketAddr::new(address, target.port)),
                    Err(_) => TargetAddr::Domain(target.host.clone().into(), target.port),
                };
                let destination = destination.unwrap_or_else(by_name);
                let opened = match login {
                    None => Socks5Stream::connect_with_socket(tcp, destination).await,
                    Some((user, password)) => Socks5Stream::connect_with_password_and_socket(tcp, destination, user, password).await,
                };
                opened.map(Socks5Stream::into_inner).map_err(|error| self.failed(socks_cause(&error), error))
            }
        }
    }

    /// HTTP CONNECT (RFC 9110, section 9.3.6).
    async fn connect(&self, tcp: TcpStream, target: &Target, login: Option<&HeaderValue>) -> Result<TcpStream, ConnectError> {
        let broken = |error: hyper::Error| self.failed(if error.is_parse() { Cause::Protocol } else { Cause::Reset }, error);
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        let authority = format!("{host}:{}", target.port);
        let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header(HOST, &authority);
        if let Some(login) = login {
            request = request.header(PROXY_AUTHORIZATION, login);
        }
        let request = request.body(Whole::from(Bytes::new())).map_err(|error| ConnectError::new(Hop::Url, Cause::BadUrl, error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.map_err(broken)?;
        // Ends with the upgrade, or with the sender.
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.failed(status_cause(status), format!("CONNECT {authority}: status {status}")));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            // The client speaks first, so nothing can have been read yet.
            Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
            _ => Err(self.failed(Cause::Protocol, "it spoke before it was asked")),
        }
    }

    fn failed(&self, cause: Cause, message: impl fmt::Display) -> ConnectError {
        ConnectError::new(Hop::Proxy, cause, format!("{}:{}: {message}", self.host, self.port))
    }
}

fn status_cause(status: StatusCode) -> Cause {
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Cause::AuthRequired,
        StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => Cause::Forbidden,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Cause::TargetUnreachable,
        _ => Cause::Status,
    }
}

fn socks_cause(error: &tokio_socks::Error) -> Cause {
    use tokio_socks::Error as Socks;
    match error {
        Socks::Io(error) => Cause::of(error),
        Socks::NoAcceptableAuthMethods | Socks::PasswordAuthFailure(_) | Socks::InvalidAuthValues(_) => Cause::AuthRequired,
        Socks::ConnectionNotAllowedByRuleset | Socks::CommandNotSupported => Cause::Forbidden,
        Socks::NetworkUnreachable | Socks::HostUnreachable | Socks::ConnectionRefused | Socks::TtlExpired | Socks::GeneralSocksServerFailure => {
            Cause::TargetUnreachable
        }
        _ => Cause::Protocol,
    }
}
