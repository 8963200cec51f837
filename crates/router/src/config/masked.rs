//! The file's own text with its secrets covered: what pages and the API may show.
//!
//! A secret is known by the key it is written under, wherever that stands, so that the secrets of integrations that are not delivered are covered too.

use std::fmt;
use std::ops::Range;

use diagnostics::yaml::Spanned;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What stands in a secret's place. Alertmanager and amtool write the same.
const COVER: &str = "<secret>";

/// Any YAML, as far as covering needs to know it.
enum Node {
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Scalar,
    Empty,
}

struct NodeVisitor;

/// `text` with every secret covered; all of it covered when it is not YAML.
pub(crate) fn masked(file: &str, text: &str) -> String {
    let Ok(root) = diagnostics::yaml::read::<Spanned<Node>>(file, text) else {
        return COVER.to_owned();
    };
    let mut secrets = Vec::new();
    collect(&root, "", false, &mut secrets);
    secrets.sort_by_key(|range: &Range<usize>| range.start);
    secrets.dedup();
    let mut out = text.to_owned();
    for range in secrets.into_iter().rev() {
        let ends_line = text.get(range.clone()).is_some_and(|secret| secret.ends_with('\n'));
        if text.is_char_boundary(range.start) && text.is_char_boundary(range.end) {
            out.replace_range(range, if ends_line { "<secret>\n" } else { COVER });
        }
    }
    out
}

/// Whether values under `key` are secrets. `…_file` names a file, not a secret.
fn is_secret(key: &str, parent: &str) -> bool {
    let ends = ["password", "secret", "secrets", "token", "_key", "credentials", "webhook_url", "access_key", "api_url"];
    let url = key == "url" && matches!(parent, "webhook_configs" | "targets" | "incidentio_configs" | "slack_configs");
    url || key == "key" || key == "slack_app_url" || ends.iter().any(|end| key.ends_with(end))
}

fn collect(node: &Spanned<Node>, parent: &str, secret: bool, out: &mut Vec<Range<usize>>) {
    match &node.value {
        Node::Scalar if secret => out.extend(range_of(node)),
        Node::Scalar | Node::Empty => {}
        Node::List(items) => items.iter().for_each(|item| collect(item, parent, secret, out)),
        Node::Map(entries) => {
            for (key, value) in entries {
                let below = if parent == "targets" || !key.ends_with("_configs") && parent.ends_with("_configs") { parent } else { key };
                collect(value, below, secret || is_secret(key, parent), out);
            }
        }
    }
}

fn range_of(node: &Spanned<Node>) -> Option<Range<usize>> {
    let span = node.defined.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let len = usize::try_from(span.byte_len()?).ok()?;
    Some(start..start.checked_add(len)?)
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_and_the_rest_is_untouched() {
        let text = "global:\n  smtp_auth_password: 'p\"w' # kept\n  smtp_auth_password_file: /run/x\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://u:p@h/x\n    http_config:\n      basic_auth: {username: u, password: \"x\"}\n      proxy_url: http://proxy\n  slack_configs:\n  - api_url: https://hooks/1\n";
        let shown = masked("f", text);
        assert_eq!(
            shown,
            "global:\n  smtp_auth_password: <secret> # kept\n  smtp_auth_password_file: /run/x\nreceivers:\n- name: a\n  webhook_configs:\n  - url: <secret>\n    http_config:\n      basic_auth: {username: u, password: <secret>}\n      proxy_url: http://proxy\n  slack_configs:\n  - api_url: <secret>\n"
        );
    }

    #[test]
    fn an_alias_is_covered_where_it_is_defined_and_a_block_keeps_its_shape() {
        let text = "x: &k\n  secret: |\n    abc\n    def\ny: *k\nz: 1\n";
        assert_eq!(masked("f", text), "x: &k\n  secret: |\n    <secret>\ny: *k\nz: 1\n");
    }
}
