//! What flows through a template: Go's values, as far as templates can see a difference between them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Zoned;

/// A value; cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `nil`, and what an `any` map gives for a missing key; prints `<no value>`.
    #[default]
    Nil,
    /// bool
    Bool(bool),
    /// Any of Go's integers.
    Int(i64),
    /// float64
    Float(f64),
    /// string
    Str(Arc<str>),
    /// A string that HTML output must not escape (`template.HTML`).
    Html(Arc<str>),
    /// time.Time
    Time(Arc<Zoned>),
    /// time.Duration, in nanoseconds.
    Duration(i64),
    /// A slice.
    List(Arc<[Value]>),
    /// A map with string keys, sorted.
    Map(Arc<Map>),
    /// A struct, or a type with methods.
    Object(Arc<dyn Object>),
}

/// A map with string keys in their order.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// The entries.
    pub entries: BTreeMap<Arc<str>, Value>,
    /// What a missing key gives: `""` for a map of strings, nil for a map of anything (Go's `missingkey=zero`).
    pub missing: Value,
}

/// A value with fields or methods. A template reaches both as `.Name`; fields are looked up first.
pub trait Object: fmt::Debug + Send + Sync {
    /// Go's name of the type, for messages: `template.KV`.
    fn type_name(&self) -> &str;

    /// The field `name`.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// The result of the method `name`; `None` when there is no such method.
    ///
    /// # Errors
    /// A text for the user, shown as `error calling NAME: TEXT`.
    fn method(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let _ = (name, args);
        None
    }

    /// The list or map this value is underneath, for `range`, `len`, `index`, truth and printing.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// The fields in order, as `%v` prints them; not used when there is an [`underlying`](Self::underlying) value or a [`text`](Self::text).
    fn fields(&self) -> Vec<(Arc<str>, Value)> {
        Vec::new()
    }

    /// What the type's own `String` method prints, if it has one.
    fn text(&self) -> Option<String> {
        None
    }
}

/// A plain struct: named fields in order, no methods.
#[derive(Clone, Debug)]
pub struct Struct {
    name: &'static str,
    fields: Vec<(Arc<str>, Value)>,
}

// === impl Value ===

impl Value {
    /// A string.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(text.as_ref().into())
    }

    /// A list of strings.
    pub fn list_of(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::List(texts.into_iter().map(Self::str).collect())
    }

    /// A list.
    pub fn list(values: impl IntoIterator<Item = Self>) -> Self {
        Self::List(values.into_iter().collect())
    }

    /// A map of strings: a missing key gives `""`.
    pub fn strings<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = pairs.into_iter().map(|(key, value)| (Arc::from(key.as_ref()), Self::str(value))).collect();
        Self::Map(Arc::new(Map { entries, missing: Self::str("") }))
    }

    /// A map of anything: a missing key gives nil.
    pub fn map<K: AsRef<str>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = pairs.into_iter().map(|(key, value)| (Arc::from(key.as_ref()), value)).collect();
        Self::Map(Arc::new(Map { entries, missing: Self::Nil }))
    }

    /// A struct named `name` (for messages) with these fields.
    pub fn record(name: &'static str, fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(Arc::new(Struct { name, fields: fields.into_iter().map(|(key, value)| (Arc::from(key), value)).collect() }))
    }

    /// A value with methods.
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }

    /// The time at unix milliseconds, in UTC; out of range is clamped.
    pub fn time_ms(unix_ms: i64) -> Self {
        Self::Time(Arc::new(crate::time::at_ms(unix_ms)))
    }

    /// Go's name of the type, for messages.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::List(list) if !list.is_empty() && list.iter().all(|item| matches!(item, Self::Str(_))) => "[]string",
            Self::List(_) => "[]interface {}",
            Self::Map(map) if matches!(map.missing, Self::Str(_)) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(object) => object.type_name(),
        }
    }

    /// Go's truth: not the zero value, not empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(v) => *v,
            Self::Int(v) | Self::Duration(v) => *v != 0,
            Self::Float(v) => *v != 0.0,
            Self::Str(v) | Self::Html(v) => !v.is_empty(),
            Self::Time(_) => true,
            Self::List(v) => !v.is_empty(),
            Self::Map(v) => !v.entries.is_empty(),
            Self::Object(v) => v.underlying().is_none_or(|value| value.is_true()),
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(v) | Self::Html(v) => Some(v),
            _ => None,
        }
    }

    /// A whole number: an integer, a duration's nanoseconds, or a float without a fraction (Go's untyped constants such as `28800e9`).
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(v) | Self::Duration(v) => Some(*v),
            Self::Float(v) => whole(*v),
            _ => None,
        }
    }

    /// The list or map underneath an object; any other value itself.
    #[must_use]
    pub fn data(&self) -> Self {
        match self {
            Self::Object(object) => object.underlying().unwrap_or_else(|| self.clone()),
            other => other.clone(),
        }
    }
}

/// `v` as an integer if it is one, in range.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before the cast")]
pub(crate) fn whole(v: f64) -> Option<i64> {
    let in_range = v.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
    in_range.then_some(v as i64)
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}

impl From<usize> for Value {
    fn from(v: usize) -> Self {
        Self::Int(i64::try_from(v).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float(v)
    }
}

impl From<Zoned> for Value {
    fn from(v: Zoned) -> Self {
        Self::Time(Arc::new(v))
    }
}

impl From<Vec<Value>> for Value {
    fn from(v: Vec<Value>) -> Self {
        Self::List(v.into())
    }
}

// === impl Map ===

impl Map {
    /// The value of `key`, or what a missing key gives.
    pub fn get(&self, key: &str) -> Value {
        self.entries.get(key).unwrap_or(&self.missing).clone()
    }
}

// === impl Object for Struct ===

impl Object for Struct {
    fn type_name(&self) -> &str {
        self.name
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.clone())
    }

    fn fields(&self) -> Vec<(Arc<str>, Value)> {
        self.fields.clone()
    }
}
