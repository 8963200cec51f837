//! The one HTTP client: one TLS configuration, one connection pool, no proxy surprises for loopback targets.
//!
//! Owns: how connections are made. Must not know: what is fetched. Each request sets its own time limit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::{ClientConfig, RootCertStore};

/// Longest wait for a connection; the request's own limit may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The TLS configuration that every client of this program shares: ring, the bundled web roots.
///
/// # Errors
/// When the library refuses its own defaults.
pub fn tls() -> anyhow::Result<Arc<ClientConfig>> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().context("TLS versions")?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// A client over that configuration.
///
/// # Errors
/// When the library cannot build one.
pub fn client(tls: &Arc<ClientConfig>) -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(tls))
        .user_agent(concat!("tidemark-watchdog/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(2)
        .build()
        .context("HTTP client")
}
