//! A server's URL: `nats://` or `tls://`, who we are, where it is. Must not know: sockets.

use thiserror::Error;

use super::login::Login;

/// The port when the URL gives none.
const PORT: u16 = 4222;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Name or IP address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the scheme demands TLS; the server may demand it as well.
    pub(super) tls: bool,
    pub(super) login: Login,
}

/// A URL that is none.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected nats://[user:password@]host[:port] or tls://…")]
pub(super) struct BadUrl;

// === impl Address ===

impl std::str::FromStr for Address {
    type Err = BadUrl;

    fn from_str(url: &str) -> Result<Self, BadUrl> {
        let (tls, rest) =
            [("nats://", false), ("tls://", true)].into_iter().find_map(|(scheme, tls)| Some((tls, url.strip_prefix(scheme)?))).ok_or(BadUrl)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = match rest.rsplit_once('@') {
            None => (Login::Nobody, rest),
            Some((who, place)) => (login(who)?, place),
        };
        let (host, port) = match place.rsplit_once(':') {
            // A colon within brackets belongs to an IPv6 address.
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| BadUrl)?),
            _ => (place, PORT),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['/', '@']) || host.contains(char::is_whitespace) {
            return Err(BadUrl);
        }
        Ok(Self { host: host.to_owned(), port, tls, login })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, tls, .. } = self;
        let scheme = if *tls { "tls" } else { "nats" };
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

/// What stands before the `@`.
fn login(text: &str) -> Result<Login, BadUrl> {
    Ok(match text.split_once(':') {
        None => Login::Token(decoded(text)?),
        Some((user, password)) => Login::Password { user: decoded(user)?, password: decoded(password)? },
    })
}

/// Undoes `%40` and the like.
fn decoded(text: &str) -> Result<String, BadUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || (rest.next()? as char).to_digit(16);
            let value = digit().zip(digit()).ok_or(BadUrl)?;
            bytes.push(u8::try_from(value.0 * 16 + value.1).map_err(|_| BadUrl)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| BadUrl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_all_forms_are_read_and_secrets_are_not_shown() {
        let password = Login::Password { user: "me".into(), password: "p@:ss".into() };
        for (url, host, port, tls, login) in [
            ("nats://localhost", "localhost", 4222, false, Login::Nobody),
            ("nats://10.0.0.1:4333/", "10.0.0.1", 4333, false, Login::Nobody),
            ("tls://n.example:1", "n.example", 1, true, Login::Nobody),
            ("nats://[::1]:5", "::1", 5, false, Login::Nobody),
            ("nats://[::1]", "::1", 4222, false, Login::Nobody),
            ("nats://tok@h", "h", 4222, false, Login::Token("tok".into())),
            ("nats://me:p%40%3Ass@h:1", "h", 1, false, password),
        ] {
            let address: Address = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((address.host.as_str(), address.port, address.tls, &address.login), (host, port, tls, &login), "{url}");
            assert!(!format!("{address} {address:?}").contains("p@:ss"));
        }
        for url in ["", "nats://", "http://a", "nats://a:x", "nats://a:99999", "nats://a b", "nats://u:%zz@a"] {
            assert_eq!(url.parse::<Address>(), Err(BadUrl), "{url}");
        }
    }
}
