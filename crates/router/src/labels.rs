//! Label sets of alerts and groups, their fingerprint and text.
//!
//! Owns: order, equality, hash and text form as Alertmanager clients see them. Must not know: what any label means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The label that names an alert.
pub const ALERTNAME: &str = "alertname";
/// The label that ranks an alert.
pub const SEVERITY: &str = "severity";

/// A label or annotation set, sorted by name, no name twice; cheap to clone. Written as a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

/// FNV-1a over a sorted label set, the identity of an alert (prometheus/common `model/signature.go`); 16 lower-case hex digits as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

// === impl Labels ===

impl Labels {
    /// A set from pairs in any order; a later pair of the same name wins. Empty values are kept (annotations may be empty): see [`Labels::without_empty`].
    pub fn from_pairs<N: Into<Box<str>>, V: Into<Box<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let sorted: BTreeMap<Box<str>, Box<str>> = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(sorted.into_iter().collect())
    }

    /// The value of `name`, if present.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(have, _)| (**have).cmp(name)).ok().and_then(|at| self.0.get(at)).map(|(_, value)| &**value)
    }

    /// The value of `name`, `""` when absent: absent and empty are the same to matchers and to `equal`.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// Name and value of each, in order of name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// Those with a value.
    #[must_use]
    pub fn without_empty(&self) -> Self {
        if self.0.iter().all(|(_, value)| !value.is_empty()) {
            return self.clone();
        }
        Self(self.0.iter().filter(|(_, value)| !value.is_empty()).cloned().collect())
    }

    /// Those that `other` has with the same value.
    #[must_use]
    pub fn shared_with(&self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.0, &other.0) {
            return self.clone();
        }
        Self(self.0.iter().filter(|(name, value)| other.get(name) == Some(value)).cloned().collect())
    }

    /// The identity of an alert with these labels.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = FNV_OFFSET;
        for (name, value) in self.iter() {
            hash = fnv(hash, name.as_bytes());
            hash = fnv(hash, &[0xff]);
            hash = fnv(hash, value.as_bytes());
            hash = fnv(hash, &[0xff]);
        }
        Fingerprint(hash)
    }
}

impl fmt::Display for Labels {
    /// `{a="b", c="d"}`, as in a group key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={}", if at == 0 { "" } else { ", " }, quoted(value))?;
        }
        f.write_str("}")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::from_pairs)
    }
}

// === impl Fingerprint ===

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Fingerprint {
    /// The fingerprint that `text` (hex) spells.
    pub fn from_hex(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16).map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("a fingerprint has 16 hexadecimal digits"))
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
    }
    hash
}

/// `value` in double quotes with Go's escapes for what would break out of them.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last three were computed from the definition, the first two are also published values.
    #[test]
    fn fingerprints_are_alertmanagers() {
        for (pairs, expected) in [
            (vec![("severity", "warning"), ("job", "foo")], "9266ef3da838ad95"),
            (vec![("severity", "critical"), ("job", "foo")], "3b15fd163d36582e"),
            (vec![("foo", "bar")], "3fff2c2d7595e046"),
            (vec![], "cbf29ce484222325"),
            (vec![("alertname", "test"), ("severity", "critical")], "40801dbbada52816"),
        ] {
            assert_eq!(Labels::from_pairs(pairs.clone()).fingerprint().to_string(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn text_is_sorted_and_escaped() {
        let labels = Labels::from_pairs([("b", "x\"y\n"), ("a", "1")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="x\"y\n"}"#);
    }

    #[test]
    fn json_form_comes_back_equal() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "")]);
        let json = serde_json::to_string(&labels).unwrap();
        assert_eq!(json, r#"{"a":"","b":"2"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&json).unwrap(), labels);
    }
}
