//! A configuration's text without its secrets. Must not know: what the configuration means.

/// Keys whose value is shown to nobody. One that ends in `_file` names a file, which is no secret.
const SECRET: [&str; 9] = ["password", "secret", "token", "credentials", "api_key", "access_key", "secrets", "pass", "private_key"];

/// What stands in place of a secret, as in Prometheus.
pub const SHOWN: &str = "<secret>";

/// Where on its line a value stands: in a flow mapping a comma or brace ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Block,
    Flow,
}

/// The text with the values of secret keys, user information in URLs and access tokens in them replaced; what a secret spans over further lines is left out.
pub fn redacted(yaml: &str) -> String {
    lines(yaml).into_iter().flatten().map(|line| line + "\n").collect()
}

/// The same with every line in its place: those that a secret spans are empty.
pub fn redacted_in_place(yaml: &str) -> String {
    lines(yaml).into_iter().map(|line| line.unwrap_or_default() + "\n").collect()
}

/// Each line without secrets; `None` for one that is all secret.
fn lines(yaml: &str) -> Vec<Option<String>> {
    // Lines further right than this belong to a secret.
    let mut within: Option<usize> = None;
    let shown = |line: &str| {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if within.is_some_and(|of| indent > of && !line.trim().is_empty()) {
            return None;
        }
        let (shown, open) = line_without_secrets(line);
        within = open.then_some(indent);
        Some(urls_without_secrets(&shown))
    };
    yaml.lines().map(shown).collect()
}

/// The line, and whether its last secret may go on in the lines below.
fn line_without_secrets(line: &str) -> (String, bool) {
    let mut out = String::new();
    let mut rest = line;
    let mut open = false;
    while let Some(colon) = rest.find(':') {
        let (before, after) = rest.split_at(colon + 1);
        out.push_str(before);
        rest = after;
        if !is_secret(before) || !(after.is_empty() || after.starts_with([' ', '\t'])) {
            continue;
        }
        let value = after.trim_start();
        if is_variable(value) {
            open = false;
            continue;
        }
        let inside = if out.matches('{').count() > out.matches('}').count() { Inside::Flow } else { Inside::Block };
        let end = value_end(value, inside);
        open = value.is_empty() || value.starts_with(['|', '>']) || end == value.len();
        out.push(' ');
        out.push_str(SHOWN);
        rest = value.get(end..).unwrap_or("");
    }
    out.push_str(rest);
    (out, open)
}

/// Whether the value is `${NAME}` and nothing else: the name of a variable is no secret.
fn is_variable(value: &str) -> bool {
    let inner = value.trim_start_matches(['"', '\'']).strip_prefix("${").and_then(|rest| rest.split_once('}'));
    inner.is_some_and(|(name, rest)| {
        let rest = rest.trim_start_matches(['"', '\'']);
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && (rest.is_empty() || rest.starts_with([',', '}', ']', ' ', '\t']))
    })
}

/// Whether the last word before the colon is a secret's key.
fn is_secret(before: &str) -> bool {
    let key = before.trim_end_matches(':').trim_end_matches(['"', '\'']);
    let word = key.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next().unwrap_or("").to_ascii_lowercase();
    SECRET.iter().any(|secret| word == *secret || word.ends_with(&format!("_{secret}")) || word.ends_with(&format!("-{secret}")))
}

/// Where a value ends on its line: at its closing quote or bracket, in a flow mapping before what ends an entry, else with the line.
fn value_end(value: &str, inside: Inside) -> usize {
    let close = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => Some(quote),
        Some('[') => Some(']'),
        Some('{') => Some('}'),
        _ => None,
    };
    let found = match close {
        Some(close) => value.char_indices().skip(1).find(|(_, c)| *c == close).map(|(at, _)| at + 1),
        None if inside == Inside::Flow => value.find([',', '}']),
        None => None,
    };
    // What goes on behind a closing quote was none: too much is left out rather than too little.
    let ends = |at: &usize| value.get(*at..).is_some_and(|rest| rest.is_empty() || rest.starts_with([',', '}', ']', ' ', '\t']));
    found.filter(ends).unwrap_or(value.len())
}

/// `https://user:word@host` and `?access_token=word` without what is secret in them.
fn urls_without_secrets(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}' | ']')).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        let host_end = url.find(['/', '?', '#']).unwrap_or(url.len());
        let url = match url.get(..host_end).and_then(|authority| authority.rfind('@')) {
            Some(at) => format!("{SHOWN}{}", url.get(at..).unwrap_or("")),
            None => url.to_owned(),
        };
        out.push_str(&query_without_secrets(&url));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn query_without_secrets(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={SHOWN}"),
            _ => part.to_owned(),
        })
        .collect();
    format!("{path}?{}", parts.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_and_nothing_else_is() {
        for (written, shown) in [
            ("password: hunter2\n", "password: <secret>\n"),
            ("  basic_auth: {username: a, password: \"b, c\", x: 1}\n", "  basic_auth: {username: a, password: <secret>, x: 1}\n"),
            ("bearer_token: 'it''s'\nother: 1\n", "bearer_token: <secret>\nother: 1\n"),
            ("secret: |\n  line one\n  line two\nnext: 1\n", "secret: <secret>\nnext: 1\n"),
            ("password:\n    hunter2\nnext: 1\n", "password: <secret>\nnext: 1\n"),
            ("- credentials: abc # my own\n- job: x\n", "- credentials: <secret>\n- job: x\n"),
            ("secret: ${NAME}\nx: {secret: '${OTHER}', password: p}\n", "secret: ${NAME}\nx: {secret: '${OTHER}', password: <secret>}\n"),
            ("password: hunter,2}\nx: 1\n", "password: <secret>\nx: 1\n"),
            ("secret: ${NAME}hunter2\npassword: ${hunter 2}\n", "secret: <secret>\npassword: <secret>\n"),
            ("secrets: [a, b]\n", "secrets: <secret>\n"),
            ("token_file: t\npassword_file: p\nexpr: sum by (token) (x)\n", "token_file: t\npassword_file: p\nexpr: sum by (token) (x)\n"),
            ("url: https://u:p@h:1/x?access_token=abc&b=c\n", "url: https://<secret>@h:1/x?access_token=<secret>&b=c\n"),
            ("a: 1\n\n# comment: kept\n", "a: 1\n\n# comment: kept\n"),
        ] {
            assert_eq!(redacted(written), shown, "{written}");
            assert_eq!(redacted_in_place(written).lines().count(), written.lines().count(), "{written}");
        }
    }

    #[test]
    fn every_kind_of_secret_is_known() {
        for key in ["password", "auth_password", "client_secret", "api_key", "bearer_token", "X-Auth-Token", "credentials"] {
            assert!(!redacted(&format!("{key}: hidden")).contains("hidden"), "{key}");
        }
    }
}
