//! Which proxies lead to a venue, as configured. A login is never shown.

use std::fmt;
use std::path::PathBuf;

use super::Environment;

/// The proxies of a venue: URLs with scheme http, socks5 or socks5h.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// For ws and http.
    pub http: Option<String>,
    /// For wss and https.
    pub https: Option<String>,
    /// Hosts that are reached without, as `NO_PROXY` writes them.
    pub no: String,
    /// The login, where the URL does not have it.
    pub login: Option<Login>,
}

/// Where `user:password` is.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// Here, from an environment variable.
    Text(String),
    /// In this file.
    File(PathBuf),
}

/// The schemes that are spoken to a proxy.
pub(super) const SCHEMES: [&str; 3] = ["http://", "socks5://", "socks5h://"];

// === impl ProxyConfig ===

impl ProxyConfig {
    /// One proxy for everything.
    pub(super) fn all(url: &str, login: Option<Login>) -> Self {
        Self { http: Some(url.to_owned()), https: Some(url.to_owned()), no: String::new(), login }
    }

    /// As the usual variables say; upper case wins.
    pub(super) fn of_environment(environment: &Environment) -> Self {
        let get = |upper: &str, lower: &str| environment.get(upper).or_else(|| environment.get(lower)).map(str::to_owned);
        let all = get("ALL_PROXY", "all_proxy");
        Self {
            http: get("HTTP_PROXY", "http_proxy").or_else(|| all.clone()),
            https: get("HTTPS_PROXY", "https_proxy").or(all),
            no: get("NO_PROXY", "no_proxy").unwrap_or_default(),
            login: None,
        }
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &Option<String>| url.as_deref().map(without_login);
        let fields = (shown(&self.http), shown(&self.https));
        f.debug_struct("ProxyConfig").field("http", &fields.0).field("https", &fields.1).field("no", &self.no).field("login", &self.login).finish()
    }
}

// === impl Login ===

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// Whether it is a URL of a proxy that can be used; one without a scheme is taken for http, as curl does.
pub(super) fn is_proxy(url: &str) -> bool {
    let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).or_else(|| (!url.contains("://")).then_some(url));
    rest.is_some_and(|rest| {
        let host = rest.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
        !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/')
    })
}

/// The URL as it may be shown.
pub(super) fn without_login(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
}
