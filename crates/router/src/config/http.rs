//! `http_config` and `tls_config`: how a webhook is reached.
//!
//! Owns: the validated forms. Must not know: any HTTP or TLS library.

use std::collections::BTreeMap;
use std::path::PathBuf;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Place, Text};

use super::findings::{Findings, hint};
use super::receivers::secret;
use super::scalars::Word;
use super::{Secret, SecretSource, url, written};

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
    /// OAuth 2, client credentials.
    OAuth2(Box<OAuth2>),
}

/// `oauth2`: the worker fetches a token by client credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2 {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Option<SecretSource>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Where the token comes from.
    pub token_url: String,
    /// Further form fields.
    pub endpoint_params: BTreeMap<String, String>,
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

/// An `http_config` as meant.
pub(super) fn config(written: &Spanned<written::Http>, findings: &mut Findings) -> HttpConfig {
    let http = &written.value;
    HttpConfig {
        auth: auth(http, place_of(written), findings),
        follow_redirects: http.follow_redirects.unwrap_or(true),
        enable_http2: http.enable_http2.unwrap_or(true),
        proxy_url: http.proxy_url.as_ref().map(|word| checked_url(word, findings)),
        no_proxy: http.no_proxy.clone().unwrap_or_default(),
        proxy_from_environment: http.proxy_from_environment,
        tls: http.tls_config.as_ref().map(|own| tls(&own.value, findings)).unwrap_or_default(),
        headers: http.http_headers.iter().map(|(name, header)| (name.clone(), header_values(header))).collect(),
    }
}

fn header_values(header: &written::Header) -> Vec<SecretSource> {
    let inline = header.values.iter().chain(&header.secrets).map(|text| SecretSource::Inline(Secret::new(text.clone())));
    inline.chain(header.files.iter().map(|path| SecretSource::File(path.into()))).collect()
}

fn checked_url(word: &Word, findings: &mut Findings) -> String {
    if url::parse(&word.value).is_none() && !word.value.starts_with("socks5") {
        let message = Text::new(format!("`{}` is not a URL", word.value), format!("`{}` 不是 URL", word.value));
        findings.error("E221", place_of(word), message);
    }
    word.value.clone()
}

/// The one kind of authentication that is given; more than one is a finding.
fn auth(http: &written::Http, place: Place, findings: &mut Findings) -> Auth {
    let bearer = secret(http.bearer_token.as_ref(), http.bearer_token_file.as_ref(), "bearer_token", findings);
    let bearer = bearer.map(|credentials| Auth::Header { kind: "Bearer".to_owned(), credentials });
    let basic = http.basic_auth.as_ref().map(|basic| basic_auth(basic, findings));
    let header = http.authorization.as_ref().and_then(|own| authorization(own, findings));
    let oauth2 = http.oauth2.as_ref().map(|own| oauth2(own, findings));
    let given: Vec<Auth> = [bearer, basic, header, oauth2].into_iter().flatten().collect();
    if given.len() > 1 {
        let message = Text::new("more than one kind of authentication", "认证方式多于一种");
        hint(findings.error("E222", place, message), "keep one of basic_auth, authorization, oauth2", "basic_auth、authorization、oauth2 只保留一种");
    }
    given.into_iter().next().unwrap_or_default()
}

fn basic_auth(written: &Spanned<written::BasicAuth>, findings: &mut Findings) -> Auth {
    let basic = &written.value;
    let password = secret(basic.password.as_ref(), basic.password_file.as_ref(), "password", findings);
    let username = secret(basic.username.as_ref(), basic.username_file.as_ref(), "username", findings);
    Auth::Basic { username: username.unwrap_or(SecretSource::Inline(Secret::new(""))), password }
}

fn authorization(written: &Spanned<written::Authorization>, findings: &mut Findings) -> Option<Auth> {
    let own = &written.value;
    let kind = own.kind.clone().unwrap_or_else(|| "Bearer".to_owned());
    if kind.eq_ignore_ascii_case("basic") {
        let message = Text::new("authorization type `Basic` is written as `basic_auth`", "authorization 类型 `Basic` 应写成 `basic_auth`");
        findings.error("E225", place_of(written), message);
    }
    let credentials = secret(own.credentials.as_ref(), own.credentials_file.as_ref(), "credentials", findings)?;
    Some(Auth::Header { kind, credentials })
}

fn oauth2(written: &Spanned<written::OAuth2>, findings: &mut Findings) -> Auth {
    let own = &written.value;
    if own.client_id.is_empty() || own.token_url.is_none() {
        let message = Text::new("oauth2 needs `client_id` and `token_url`", "oauth2 需要 `client_id` 和 `token_url`");
        findings.error("E225", place_of(written), message);
    }
    Auth::OAuth2(Box::new(OAuth2 {
        client_id: own.client_id.clone(),
        client_secret: secret(own.client_secret.as_ref(), own.client_secret_file.as_ref(), "client_secret", findings),
        scopes: own.scopes.clone(),
        token_url: own.token_url.as_ref().map(|word| checked_url(word, findings)).unwrap_or_default(),
        endpoint_params: own.endpoint_params.clone(),
    }))
}

/// A `tls_config` as meant.
pub(super) fn tls(written: &written::Tls, findings: &mut Findings) -> TlsConfig {
    for version in [&written.min_version, &written.max_version].into_iter().flatten() {
        if !matches!(version.value.as_str(), "TLS10" | "TLS11" | "TLS12" | "TLS13") {
            let message = Text::new(format!("`{}` is not a TLS version", version.value), format!("`{}` 不是 TLS 版本", version.value));
            findings.error("E225", place_of(version), message).expected = Some(Text::same("TLS10 | TLS11 | TLS12 | TLS13"));
        }
    }
    TlsConfig {
        ca: secret(written.ca.as_ref(), written.ca_file.as_ref(), "ca", findings),
        cert: secret(written.cert.as_ref(), written.cert_file.as_ref(), "cert", findings),
        key: secret(written.key.as_ref(), written.key_file.as_ref(), "key", findings),
        server_name: written.server_name.clone(),
        insecure_skip_verify: written.insecure_skip_verify,
        min_version: written.min_version.as_ref().map(|word| word.value.clone()),
        max_version: written.max_version.as_ref().map(|word| word.value.clone()),
    }
}
