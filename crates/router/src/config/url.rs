//! The parts of an http URL that decide where a webhook goes.

/// An http or https URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// Lower-case host, IPv6 without brackets.
    pub(crate) host: String,
    /// Given, or the scheme's own.
    pub(crate) port: u16,
    /// Path without query, at least `/`.
    pub(crate) path: &'a str,
}

/// `text` as a URL, if it is one.
pub(crate) fn parse(text: &str) -> Option<Url<'_>> {
    let (default_port, rest) = match text.split_once("://")? {
        ("http", rest) => (80, rest),
        ("https", rest) => (443, rest),
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    let (host, port) = host_and_port(authority, default_port)?;
    let path = path.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
    let clean = !host.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    clean.then_some(Url { host, port, path })
}

/// `host:port`, `[v6]:port` or either without port.
pub(crate) fn host_and_port(authority: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    Some((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, expected) in [
            ("http://127.0.0.1:9099/dingtalk/ops/send", Some(("127.0.0.1", 9099, "/dingtalk/ops/send"))),
            ("https://u:p@Example.com/x?y=/z", Some(("example.com", 443, "/x"))),
            ("http://[::1]:80", Some(("::1", 80, "/"))),
            ("ftp://h/", None),
            ("h:80/x", None),
            ("http:///x", None),
            ("http://h:port/", None),
            ("http://h /", None),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.as_ref().map(|url| (url.host.as_str(), url.port, url.path)), expected, "{text}");
        }
    }
}
