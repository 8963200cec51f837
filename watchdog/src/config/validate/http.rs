//! The keys of an HTTP client: credentials, headers, TLS, proxy; Prometheus's `<http_config>`.

use std::collections::BTreeMap;

use diagnostics::Place;
use diagnostics::yaml::{Spanned, place_of};
use router::config::{Auth, HttpConfig, Secret, SecretSource, TlsConfig};

use super::findings::Findings;
use crate::config::written::scrape::{Authorization, BasicAuth, Header, Http, OAuth2, Tls};

/// Headers that are ours to set, or that another key sets.
const RESERVED: [&str; 12] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
];

/// The settings, each contradiction found; `place` is that of the whole entry.
pub(super) fn http(written: &Http<'_>, place: Place, findings: &mut Findings) -> HttpConfig {
    let (proxy_url, no_proxy, proxy_from_environment) = written.proxy;
    if let Some(url) = proxy_url {
        findings.http_url(url);
        if proxy_from_environment {
            findings.contradiction(
                url,
                "`proxy_url` and `proxy_from_environment` exclude each other",
                "`proxy_url` 与 `proxy_from_environment` 不能同时使用",
            );
        }
    }
    HttpConfig {
        auth: auth(written, place, findings),
        follow_redirects: written.follow_redirects,
        enable_http2: written.enable_http2,
        proxy_url: proxy_url.map(|url| url.value.clone()),
        no_proxy: no_proxy.map(|hosts| hosts.value.clone()).unwrap_or_default(),
        proxy_from_environment,
        tls: written.tls.map(|tls| tls_config(tls, findings)).unwrap_or_default(),
        headers: headers(written.headers, findings),
    }
}

/// The one way to show who we are.
fn auth(written: &Http<'_>, place: Place, findings: &mut Findings) -> Auth {
    let text = |word: Option<&Spanned<String>>| word.map(|word| word.value.clone());
    let bearer = one_of((text(written.bearer.0), text(written.bearer.1)), ("bearer_token", place), findings);
    let bearer = bearer.map(|credentials| Auth::Header { kind: "Bearer".to_owned(), credentials });
    let basic = written.basic_auth.map(|basic| basic_auth(basic, findings));
    let header = written.authorization.and_then(|own| authorization(own, findings));
    let token = written.oauth2.map(|own| oauth2(own, findings));
    let mut given = [bearer, basic, header, token].into_iter().flatten();
    let first = given.next().unwrap_or_default();
    if given.next().is_some() {
        findings.conflict(
            place,
            "more than one of basic_auth, authorization, bearer_token, oauth2; keep one",
            "basic_auth、authorization、bearer_token、oauth2 只能保留一种",
        );
    }
    first
}

fn basic_auth(written: &Spanned<BasicAuth>, findings: &mut Findings) -> Auth {
    let (basic, place) = (&written.value, place_of(written));
    let username = one_of((basic.username.clone(), basic.username_file.clone()), ("username", place), findings);
    let password = one_of((basic.password.clone(), basic.password_file.clone()), ("password", place), findings);
    Auth::Basic { username: username.unwrap_or(SecretSource::Inline(Secret::new(""))), password }
}

fn authorization(written: &Spanned<Authorization>, findings: &mut Findings) -> Option<Auth> {
    let (own, place) = (&written.value, place_of(written));
    let kind = own.kind.as_deref().map(str::trim).filter(|kind| !kind.is_empty()).unwrap_or("Bearer").to_owned();
    if kind.eq_ignore_ascii_case("basic") {
        findings.conflict(place, "authorization type `Basic` is written as `basic_auth`", "authorization 类型 `Basic` 应写成 `basic_auth`");
    }
    let credentials = one_of((own.credentials.clone(), own.credentials_file.clone()), ("credentials", place), findings)?;
    Some(Auth::Header { kind, credentials })
}

/// The token is asked for with the settings of the job's own client.
fn oauth2(written: &Spanned<OAuth2>, findings: &mut Findings) -> Auth {
    let (own, place) = (&written.value, place_of(written));
    findings.http_url(&own.token_url);
    if own.client_id.is_empty() {
        findings.missing(place, "client_id is empty", "client_id 为空");
    }
    for (key, value) in [
        ("oauth2.tls_config", &own.tls_config),
        ("oauth2.proxy_url", &own.proxy_url),
        ("oauth2.no_proxy", &own.no_proxy),
        ("oauth2.proxy_connect_header", &own.proxy_connect_header),
    ] {
        findings.unsupported(key, value);
    }
    findings.not_switched_on("oauth2.proxy_from_environment", own.proxy_from_environment.as_ref());
    Auth::OAuth2(Box::new(router::config::OAuth2 {
        client_id: own.client_id.clone(),
        client_secret: one_of((own.client_secret.clone(), own.client_secret_file.clone()), ("client_secret", place), findings),
        scopes: own.scopes.clone(),
        token_url: own.token_url.value.clone(),
        endpoint_params: own.endpoint_params.clone(),
    }))
}

fn tls_config(written: &Spanned<Tls>, findings: &mut Findings) -> TlsConfig {
    let (tls, place) = (&written.value, place_of(written));
    for version in [&tls.min_version, &tls.max_version].into_iter().flatten() {
        if !matches!(version.value.as_str(), "TLS10" | "TLS11" | "TLS12" | "TLS13") {
            findings.unknown_value("E313", version, ("TLS10, TLS11, TLS12 or TLS13", "TLS10、TLS11、TLS12 或 TLS13"));
        }
    }
    let cert = one_of((tls.cert.clone(), tls.cert_file.clone()), ("cert", place), findings);
    let key = one_of((tls.key.clone(), tls.key_file.clone()), ("key", place), findings);
    if cert.is_some() != key.is_some() {
        findings.conflict(place, "a client certificate needs both `cert_file` and `key_file`", "客户端证书需要同时给出 `cert_file` 与 `key_file`");
    }
    TlsConfig {
        ca: one_of((tls.ca.clone(), tls.ca_file.clone()), ("ca", place), findings),
        cert,
        key,
        server_name: tls.server_name.clone().filter(|name| !name.is_empty()),
        insecure_skip_verify: tls.insecure_skip_verify,
        min_version: tls.min_version.as_ref().map(|version| version.value.clone()),
        max_version: tls.max_version.as_ref().map(|version| version.value.clone()),
    }
}

fn headers(written: &BTreeMap<String, Spanned<Header>>, findings: &mut Findings) -> BTreeMap<String, Vec<SecretSource>> {
    let mut out = BTreeMap::new();
    for (name, header) in written {
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            let (en, zh) = (format!("the header `{name}` cannot be set here"), format!("此处不能设置请求头 `{name}`"));
            findings.conflict(place_of(header), &en, &zh);
        }
        let Header { values, secrets, files } = &header.value;
        let inline = values.iter().chain(secrets).map(|text| SecretSource::Inline(Secret::new(text.clone())));
        out.insert(name.clone(), inline.chain(files.iter().map(|path| SecretSource::File(path.into()))).collect());
    }
    out
}

/// A value that is given in place or in a file; both at once is a finding.
fn one_of((inline, file): (Option<String>, Option<String>), (key, place): (&str, Place), findings: &mut Findings) -> Option<SecretSource> {
    let (inline, file) = (inline.filter(|text| !text.is_empty()), file.filter(|path| !path.is_empty()));
    if inline.is_some() && file.is_some() {
        let (en, zh) = (format!("`{key}` and `{key}_file` exclude each other"), format!("`{key}` 与 `{key}_file` 不能同时使用"));
        findings.conflict(place, &en, &zh);
    }
    inline.map(|text| SecretSource::Inline(Secret::new(text))).or(file.map(|path| SecretSource::File(path.into())))
}
