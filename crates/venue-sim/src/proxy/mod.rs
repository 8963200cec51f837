//! Fake proxies on loopback: HTTP CONNECT and SOCKS5, with a user and a password if wanted, and in the ways in which a proxy fails.
//!
//! A proxy resolves names itself: a test gives it routes (`stream.example:9443` → where a fake listens), so that a client that looks the name up
//! by itself, or dials past the proxy, is found out. What was asked is kept.

mod connect;
mod socks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Patience with a client that does not say what it wants.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// Which words a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// `CONNECT host:port HTTP/1.1` (RFC 9110 §9.3.6).
    HttpConnect,
    /// SOCKS version 5 (RFC 1928, RFC 1929).
    Socks5,
}

/// How a proxy behaves towards the next clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// It does what is asked.
    #[default]
    Forward,
    /// It refuses: HTTP 403, SOCKS "connection not allowed by ruleset".
    Refuse,
    /// It cannot reach the target: HTTP 502, SOCKS "host unreachable".
    Unreachable,
    /// It takes the request and never answers.
    Stall,
    /// It hangs up instead of answering.
    HangUp,
    /// It answers with what is no answer.
    Babble,
}

/// A proxy to start.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Its words.
    pub kind: ProxyKind,
    /// User and password, if it asks for them.
    pub credentials: Option<(String, String)>,
    /// Where `host:port` really is; what is not here must be an address.
    pub routes: BTreeMap<String, SocketAddr>,
}

/// A running proxy.
#[derive(Debug)]
pub struct RunningProxy {
    address: SocketAddr,
    config: ProxyConfig,
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Shared {
    manner: Mutex<Manner>,
    seen: Mutex<Seen>,
}

/// What a proxy has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Targets as they were asked for, `host:port`.
    pub asked: Vec<String>,
    /// Tunnels that were opened.
    pub opened: u64,
    /// Tunnels that are open now.
    pub open: u64,
    /// Clients without the right user and password.
    pub denied: u64,
}

/// What came of a request; the words for it are the proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Open,
    Refused,
    Unreachable,
    Denied,
}

/// Starts a proxy on a free loopback port. It runs until `shutdown`.
pub async fn run_proxy(config: ProxyConfig, shutdown: CancellationToken) -> Result<RunningProxy> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the proxy")?;
    let (address, tasks, shared) = (listener.local_addr()?, TaskTracker::new(), Arc::new(Shared::default()));
    let (inner, state, settings) = (tasks.clone(), Arc::clone(&shared), config.clone());
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((client, _)) = accepted else { continue };
            let (state, settings, shutdown) = (Arc::clone(&state), settings.clone(), shutdown.clone());
            inner.spawn(async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = serve(client, &settings, &state) => {}
                }
            });
        }
    });
    tasks.close();
    Ok(RunningProxy { address, config, shared, tasks })
}

async fn serve(mut client: TcpStream, config: &ProxyConfig, shared: &Shared) {
    drop(client.set_nodelay(true));
    let outcome = match config.kind {
        ProxyKind::HttpConnect => tokio::time::timeout(HEAD_PATIENCE, connect::greet(&mut client, config, shared)).await,
        ProxyKind::Socks5 => tokio::time::timeout(HEAD_PATIENCE, socks::greet(&mut client, config, shared)).await,
    };
    let Ok(Some(mut upstream)) = outcome else { return };
    shared.with(|seen| (seen.opened, seen.open) = (seen.opened + 1, seen.open + 1));
    // However a tunnel ends, it has ended.
    drop(copy_bidirectional(&mut client, &mut upstream).await);
    shared.with(|seen| seen.open -= 1);
}

/// Decides what becomes of a request and opens the way; a manner without an answer ends or holds the connection here.
async fn dial(target: &str, config: &ProxyConfig, shared: &Shared) -> Option<Result<TcpStream, Verdict>> {
    shared.with(|seen| seen.asked.push(target.to_owned()));
    match shared.manner() {
        Manner::Forward => {}
        Manner::Refuse => return Some(Err(Verdict::Refused)),
        Manner::Unreachable => return Some(Err(Verdict::Unreachable)),
        Manner::HangUp | Manner::Babble => return None,
        Manner::Stall => std::future::pending().await,
    }
    let Some(address) = config.routes.get(target).copied().or_else(|| target.parse().ok()) else { return Some(Err(Verdict::Unreachable)) };
    Some(TcpStream::connect(address).await.map_err(|_| Verdict::Unreachable))
}

// === impl ProxyConfig ===

impl ProxyConfig {
    /// A proxy that asks for no password and knows no names.
    pub fn new(kind: ProxyKind) -> Self {
        Self { kind, credentials: None, routes: BTreeMap::new() }
    }

    /// The same, asking for a user and a password.
    pub fn guarded(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// The same, knowing where a `host:port` really is.
    pub fn route(mut self, target: &str, address: SocketAddr) -> Self {
        self.routes.insert(target.to_owned(), address);
        self
    }
}

// === impl RunningProxy ===

impl RunningProxy {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, with user and password if it asks for them.
    pub fn url(&self) -> String {
        let scheme = if self.config.kind == ProxyKind::HttpConnect { "http" } else { "socks5h" };
        let user = self.config.credentials.as_ref().map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        format!("{scheme}://{user}{}", self.address)
    }

    /// Behaves so from now on; tunnels that are open stay.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has ended after `shutdown`.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

// === impl Shared ===

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
