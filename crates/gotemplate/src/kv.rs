//! Alertmanager's `KV`: a label set in a message, with the methods templates call on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::value::{Map, Object, Value};

/// A set of names and values (labels, annotations) with `SortedPairs`, `Names`, `Values`, `Remove`.
#[derive(Clone, Debug)]
pub struct Kv(Arc<Map>);

/// The list of `SortedPairs`, with `Names` and `Values`.
#[derive(Clone, Debug)]
struct Pairs(Vec<(Arc<str>, Value)>);

// === impl Kv ===

impl Kv {
    /// From names and values.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = pairs.into_iter().map(|(key, value)| (Arc::from(key.as_ref()), Value::str(value))).collect();
        Self::of(entries)
    }

    /// As a value for a template.
    pub fn value<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
        Value::object(Self::new(pairs))
    }

    fn of(entries: BTreeMap<Arc<str>, Value>) -> Self {
        Self(Arc::new(Map { entries, missing: Value::str("") }))
    }

    /// `alertname` first, then by name.
    fn sorted_pairs(&self) -> Pairs {
        let first = self.0.entries.get_key_value("alertname");
        let rest = self.0.entries.iter().filter(|(key, _)| &***key != "alertname");
        Pairs(first.into_iter().chain(rest).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn remove(&self, names: &[Value]) -> Self {
        let names: Vec<Value> =
            names.iter().flat_map(|arg| if let Value::List(list) = arg.data() { list.to_vec() } else { vec![arg.clone()] }).collect();
        let gone = |key: &str| names.iter().any(|name| name.as_str() == Some(key));
        Self::of(self.0.entries.iter().filter(|(key, _)| !gone(key)).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Object for Kv {
    fn type_name(&self) -> &'static str {
        "template.KV"
    }

    fn method(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let value = match name {
            "SortedPairs" => Value::object(self.sorted_pairs()),
            "Names" => self.sorted_pairs().names(),
            "Values" => self.sorted_pairs().values(),
            "Remove" => Value::object(self.remove(args)),
            "String" => Value::from(self.sorted_pairs().joined()),
            _ => return None,
        };
        Some(Ok(value))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Map(self.0.clone()))
    }

    fn text(&self) -> Option<String> {
        Some(self.sorted_pairs().joined())
    }
}

// === impl Pairs ===

/// `SortedPairs` of a name–value list that a caller already has in order.
pub fn pairs<K: AsRef<str>, V: AsRef<str>>(in_order: impl IntoIterator<Item = (K, V)>) -> Value {
    Value::object(Pairs(in_order.into_iter().map(|(key, value)| (Arc::from(key.as_ref()), Value::str(value))).collect()))
}

impl Pairs {
    fn names(&self) -> Value {
        Value::list(self.0.iter().map(|(key, _)| Value::Str(key.clone())))
    }

    fn values(&self) -> Value {
        Value::list(self.0.iter().map(|(_, value)| value.clone()))
    }

    /// `name=value` of each, as the type prints itself.
    fn joined(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
    }
}

impl Object for Pairs {
    fn type_name(&self) -> &'static str {
        "template.Pairs"
    }

    fn method(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Names" => Some(Ok(self.names())),
            "Values" => Some(Ok(self.values())),
            "String" => Some(Ok(Value::from(self.joined()))),
            _ => None,
        }
    }

    fn text(&self) -> Option<String> {
        Some(self.joined())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::list(
            self.0.iter().map(|(key, value)| Value::record("template.Pair", [("Name", Value::Str(key.clone())), ("Value", value.clone())])),
        ))
    }
}
