//! `http_config` and `tls_config`: how a webhook is reached.
//!
//! Owns: the validated forms. Must not know: any HTTP or TLS library.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::SecretSource;

/// `http_config`, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// At most one kind.
    pub auth: Auth,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 may be used.
    pub enable_http2: bool,
    /// Proxy for this receiver.
    pub proxy_url: Option<String>,
    /// Hosts reached without the proxy.
    pub no_proxy: String,
    /// Whether `HTTP_PROXY` and its kin are obeyed.
    pub proxy_from_environment: bool,
    /// TLS settings.
    pub tls: TlsConfig,
    /// Additional headers, several values each.
    pub headers: BTreeMap<String, Vec<SecretSource>>,
}

/// How we show who we are.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// HTTP basic.
    Basic {
        /// User name.
        username: SecretSource,
        /// Password.
        password: Option<SecretSource>,
    },
    /// `Authorization: <kind> <credentials>`
    Header {
        /// `Bearer` unless configured.
        kind: String,
        /// The credentials.
        credentials: SecretSource,
    },
}

/// `tls_config`, validated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsConfig {
    /// Roots in PEM, or a file of them; `None`: the bundled ones.
    pub ca: Option<SecretSource>,
    /// Client certificate in PEM.
    pub cert: Option<SecretSource>,
    /// Its key.
    pub key: Option<SecretSource>,
    /// Name to check the server's certificate against.
    pub server_name: Option<String>,
    /// Take any certificate.
    pub insecure_skip_verify: bool,
    /// `TLS10` … `TLS13`; we speak 1.2 and 1.3.
    pub min_version: Option<String>,
    /// As above.
    pub max_version: Option<String>,
}

// === impl HttpConfig ===

impl Default for HttpConfig {
    /// Alertmanager's: redirects followed, HTTP/2 allowed, nothing else.
    fn default() -> Self {
        Self {
            auth: Auth::None,
            follow_redirects: true,
            enable_http2: true,
            proxy_url: None,
            no_proxy: String::new(),
            proxy_from_environment: false,
            tls: TlsConfig::default(),
            headers: BTreeMap::new(),
        }
    }
}

// === impl TlsConfig ===

impl TlsConfig {
    /// Files the shell must read for it.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca, &self.cert, &self.key].into_iter().flatten().filter_map(|source| match source {
            SecretSource::File(path) => Some(path),
            SecretSource::Inline(_) => None,
        })
    }
}
