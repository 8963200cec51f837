//! HTTP clients: one for everything that asks for nothing special, others made when a job's settings need one. No proxy but the configured ones.
//!
//! Owns: how connections are made. Must not know: what is fetched. Each request sets its own time limit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect;
use router::config::{Auth, HttpConfig, TlsConfig};
use rustls::{ClientConfig, RootCertStore};

use crate::deliver::oauth2::Tokens;
use crate::deliver::{secret, tls as tls_config};

/// Longest wait for a connection; the request's own limit may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Clients by their settings, kept as long as a configuration names them.
#[derive(Debug, Default)]
pub struct Clients(Vec<(Settings, Result<Client, String>)>);

/// A client, and the tokens that it was given.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    tokens: Arc<Tokens>,
}

/// What makes one client different from another.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    tls: TlsConfig,
    /// Content of the files of `tls`, so that a changed certificate makes a new client.
    files: Vec<Option<Vec<u8>>>,
    base: PathBuf,
    proxy_url: Option<String>,
    no_proxy: String,
    proxy_from_environment: bool,
    compression: bool,
}

/// The TLS configuration of clients without settings of their own: ring, the bundled web roots.
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
    builder(ClientConfig::clone(tls)).no_proxy().build().context("HTTP client")
}

fn builder(tls: ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("tidemark-watchdog/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(2)
}

// === impl Client ===

impl Client {
    /// For requests.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Adds what says who we are. Files are read each time, so that a rotated secret is taken without a reload.
    ///
    /// # Errors
    /// When a secret file cannot be read (names the file), or no token is given.
    pub async fn identified(
        &self,
        mut request: reqwest::RequestBuilder,
        config: &HttpConfig,
        base: &Path,
    ) -> Result<reqwest::RequestBuilder, String> {
        let read = |source| secret::read(source, base);
        request = match &config.auth {
            Auth::None => request,
            Auth::OAuth2(settings) => request.bearer_auth(self.tokens.get(&self.http, base, settings).await?),
            Auth::Basic { username, password } => request.basic_auth(read(username)?, password.as_ref().map(read).transpose()?),
            Auth::Header { kind, credentials } => request.header(AUTHORIZATION, format!("{kind} {}", read(credentials)?)),
        };
        for (name, values) in &config.headers {
            for value in values {
                request = request.header(name, read(value)?);
            }
        }
        Ok(request)
    }
}

// === impl Settings ===

impl Settings {
    /// Those of a scrape job or an Alertmanager.
    pub fn new(http: &HttpConfig, base: &Path, compression: bool) -> Self {
        Self {
            files: http.tls.files().map(|path| std::fs::read(base.join(path)).ok()).collect(),
            tls: http.tls.clone(),
            base: base.to_path_buf(),
            proxy_url: http.proxy_url.clone(),
            no_proxy: http.no_proxy.clone(),
            proxy_from_environment: http.proxy_from_environment,
            compression,
        }
    }

    /// Redirects are the caller's, who knows which headers may go where.
    fn build(&self) -> Result<Client, String> {
        let mut builder = builder(tls_config::configured(&self.tls, &self.base)?).redirect(redirect::Policy::none());
        if !self.compression {
            builder = builder.no_gzip();
        }
        builder = match &self.proxy_url {
            Some(url) => {
                let proxy = reqwest::Proxy::all(url).map_err(|error| format!("proxy_url: {}", error.without_url()))?;
                builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&self.no_proxy)))
            }
            None if self.proxy_from_environment => builder,
            None => builder.no_proxy(),
        };
        let http = builder.build().map_err(|error| error.without_url().to_string())?;
        Ok(Client { http, tokens: Arc::default() })
    }
}

// === impl Clients ===

impl Clients {
    /// The client with these settings, or why there is none.
    pub fn get(&mut self, settings: &Settings) -> Result<Client, String> {
        if let Some((_, client)) = self.0.iter().find(|(known, _)| known == settings) {
            return client.clone();
        }
        let client = settings.build();
        self.0.push((settings.clone(), client.clone()));
        client
    }

    /// Forgets clients that none of these settings asks for.
    pub fn keep(&mut self, wanted: &[Settings]) {
        self.0.retain(|(known, _)| wanted.contains(known));
    }
}
