//! `payload` of a webhook: any YAML, whose texts are templates, in place of the standard body.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value whose texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A value without text in it.
    Plain(serde_json::Value),
    /// A template.
    Template(String),
    /// A list.
    List(Vec<Payload>),
    /// An object.
    Object(BTreeMap<String, Payload>),
}

struct PayloadVisitor;

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PayloadVisitor)
    }
}

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Payload, E> {
        Ok(Payload::Plain(serde_json::Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Payload, E> {
        Ok(Payload::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Payload, E> {
        Ok(Payload::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Payload, E> {
        Ok(Payload::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Payload, E> {
        Ok(Payload::Plain(value.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Payload, E> {
        Ok(Payload::Template(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Payload, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Payload::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Payload, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            entries.insert(key, value);
        }
        Ok(Payload::Object(entries))
    }
}
