//! TLS in front of a fake: certificates made at start by an authority of its own, and the ways in which a handshake fails.
//!
//! ```no_run
//! # async fn example(venue: std::net::SocketAddr) -> anyhow::Result<()> {
//! let shutdown = venue_sim::CancellationToken::new();
//! let front = venue_sim::tls::run_tls_front(venue_sim::tls::TlsConfig::new(&["localhost", "127.0.0.1"], venue), shutdown).await?;
//! std::fs::write("ca.pem", front.authority_pem())?;
//! println!("wss://localhost:{}", front.address().port());
//! # Ok(())
//! # }
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Patience with a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a front shows to its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Certificate {
    /// A good certificate of the front's authority.
    #[default]
    Good,
    /// One that has expired.
    Expired,
    /// None: the front takes the connection and never says a word.
    Stalled,
}

/// A front to start.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Names and addresses in the certificate.
    pub names: Vec<String>,
    /// Where the plain fake listens.
    pub upstream: SocketAddr,
    /// What clients see.
    pub certificate: Certificate,
}

/// A running front.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    authority_pem: String,
    tasks: TaskTracker,
}

struct Identity {
    authority_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Starts a front on a free loopback port. It runs until `shutdown`.
pub async fn run_tls_front(config: TlsConfig, shutdown: CancellationToken) -> Result<TlsFront> {
    let identity = identity(&config)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server.with_single_cert(identity.chain, identity.key)?));
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for TLS")?;
    let (address, tasks) = (listener.local_addr()?, TaskTracker::new());
    let inner = tasks.clone();
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((client, _)) = accepted else { continue };
            let (acceptor, shutdown, config) = (acceptor.clone(), shutdown.clone(), config.clone());
            inner.spawn(async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    // A client that does not trust the certificate hangs up; that is its answer.
                    _ended = serve(client, &acceptor, &config) => {}
                }
            });
        }
    });
    tasks.close();
    Ok(TlsFront { address, authority_pem: identity.authority_pem, tasks })
}

async fn serve(client: TcpStream, acceptor: &TlsAcceptor, config: &TlsConfig) -> Option<()> {
    if config.certificate == Certificate::Stalled {
        std::future::pending::<()>().await;
    }
    client.set_nodelay(true).ok()?;
    let mut client = tokio::time::timeout(HANDSHAKE, acceptor.accept(client)).await.ok()?.ok()?;
    let mut upstream = TcpStream::connect(config.upstream).await.ok()?;
    upstream.set_nodelay(true).ok()?;
    copy_bidirectional(&mut client, &mut upstream).await.ok().map(|_| ())
}

/// An authority and a certificate that it has signed.
fn identity(config: &TlsConfig) -> Result<Identity> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "venue-sim authority");
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(config.names.clone())?;
    leaf.distinguished_name.push(DnType::CommonName, "venue-sim");
    if config.certificate == Certificate::Expired {
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    }
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Identity { authority_pem, chain: vec![certificate.der().clone()], key })
}

// === impl TlsConfig ===

impl TlsConfig {
    /// A front with a good certificate for these names and addresses.
    pub fn new(names: &[&str], upstream: SocketAddr) -> Self {
        Self { names: names.iter().map(|&name| name.to_owned()).collect(), upstream, certificate: Certificate::Good }
    }

    /// The same, showing something else.
    pub fn showing(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }
}

// === impl TlsFront ===

impl TlsFront {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority, for a client's list of trusted ones.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// Waits until it has ended after `shutdown`.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}
