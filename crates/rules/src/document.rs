//! YAML as a tree that knows where each part stands, so that everything wrong with a file can be said in one run.
//!
//! Owns: types of values, unknown and missing keys. Must not know: what a rule is.

use std::fmt;

use diagnostics::yaml::{Spanned, place_of, read_all};
use diagnostics::{Diagnostic, Place, Text, closest};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::check::UnknownKeys;
use crate::scalar;

/// A part of a document.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Nothing: `key:` or `~`.
    Null,
    /// Text that was quoted or is nothing but text.
    Text(String),
    /// A plain number or boolean; its text is in the source.
    Plain,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<Key>, Spanned<Node>)>),
}

/// A key; one that is no text (`1: x`) is kept as it prints.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(crate) String);

/// A mapping whose keys are being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'d> {
    entries: &'d [(Spanned<Key>, Spanned<Node>)],
    pub(crate) place: Place,
}

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) place: Place,
    /// Byte where the value is defined in the source, for places inside it.
    at: Option<usize>,
}

/// A file being read: its text, and what is wrong with it so far.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    pub(crate) file: &'t str,
    pub(crate) source: &'t str,
    pub(crate) found: Vec<Diagnostic>,
    unknown_keys: UnknownKeys,
}

// === impl Node ===

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl Node {
    /// What this is, for messages.
    fn kind(&self) -> Text {
        match self {
            Self::Null => Text::new("nothing", "空"),
            Self::Text(_) | Self::Plain => Text::new("a text", "文本"),
            Self::List(_) => Text::new("a list", "列表"),
            Self::Map(_) => Text::new("a mapping", "映射"),
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

// === impl Fields ===

impl<'d> Fields<'d> {
    /// The value of `key`; nothing when it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'d Spanned<Node>> {
        let found = self.entries.iter().find(|(name, _)| name.value.0 == key).map(|(_, value)| value);
        found.filter(|value| !matches!(value.value, Node::Null))
    }

    /// Where `key` is written.
    pub(crate) fn key_place(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|(name, _)| name.value.0 == key).map(|(name, _)| place_of(name))
    }
}

// === impl Written ===

impl Written {
    /// The place of `len` characters from byte `offset` of the text on, in the file.
    pub(crate) fn inside(&self, source: &str, offset: usize, len: usize) -> Place {
        match self.at {
            Some(at) => scalar::place_inside(source, at, (&self.text, offset), len).unwrap_or(self.place),
            None => self.place,
        }
    }
}

// === impl Document ===

impl<'t> Document<'t> {
    pub(crate) fn new(file: &'t str, source: &'t str, unknown_keys: UnknownKeys) -> Self {
        Self { file, source, found: Vec::new(), unknown_keys }
    }

    /// The tree of the file; `None` after saying why there is none.
    pub(crate) fn tree(&mut self) -> Option<Spanned<Node>> {
        let (tree, misread) = read_all::<Spanned<Node>>(self.file, self.source);
        self.found.extend(misread);
        tree
    }

    pub(crate) fn say(&mut self, diagnostic: Diagnostic, place: Place) {
        self.found.push(diagnostic.in_file(self.file).at(place));
    }

    fn wrong_type(&mut self, node: &Spanned<Node>, expected: Text) {
        let kind = node.value.kind();
        let message = Text::new(format!("found {}", kind.en), format!("此处是{}", kind.zh));
        self.say(Diagnostic::error("E004", message).expected(expected), place_of(node));
    }

    /// The entries of a mapping; keys that are not among `known` are reported, unless `known` is empty.
    pub(crate) fn fields<'d>(&mut self, node: &'d Spanned<Node>, known: &[&str]) -> Option<Fields<'d>> {
        let Node::Map(entries) = &node.value else {
            self.wrong_type(node, Text::new("a mapping", "映射"));
            return None;
        };
        for (key, _) in entries {
            let checked = !known.is_empty() && self.unknown_keys == UnknownKeys::Refuse;
            if checked && !known.contains(&key.value.0.as_str()) {
                self.unknown_key(key, known);
            }
        }
        Some(Fields { entries, place: place_of(node) })
    }

    fn unknown_key(&mut self, key: &Spanned<Key>, known: &[&str]) {
        let name = &key.value.0;
        let list = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let mut found = Diagnostic::error("E002", Text::new(format!("unknown key `{name}`"), format!("未知的键 `{name}`")));
        found = found.expected(Text::new(format!("one of {list}"), format!("以下之一：{list}")));
        if let Some(near) = closest(name, known.iter().copied()) {
            found = found.hint(Text::new(format!("did you mean `{near}`?"), format!("是否想写 `{near}`？")));
        }
        self.say(found, place_of(key));
    }

    /// The items of a list; nothing when it is absent.
    pub(crate) fn list<'d>(&mut self, node: Option<&'d Spanned<Node>>) -> &'d [Spanned<Node>] {
        match node.map(|node| (&node.value, node)) {
            Some((Node::List(items), _)) => items,
            Some((_, node)) => {
                self.wrong_type(node, Text::new("a list", "列表"));
                &[]
            }
            None => &[],
        }
    }

    /// A text; numbers and booleans are taken as they are written.
    pub(crate) fn text(&mut self, node: &Spanned<Node>) -> Option<Written> {
        let span = node.defined.span();
        let at = span.byte_offset().and_then(|at| usize::try_from(at).ok());
        let place = place_of(node);
        match &node.value {
            Node::Text(text) => Some(Written { text: text.clone(), place, at }),
            Node::Plain => {
                let raw = at.and_then(|at| self.source.get(at..)).map(scalar::plain_text).unwrap_or_default();
                Some(Written { text: raw.to_owned(), place, at })
            }
            Node::Null => Some(Written { text: String::new(), place, at: None }),
            _ => {
                self.wrong_type(node, Text::new("a text", "文本"));
                None
            }
        }
    }

    /// Names and texts of a mapping, in the order they are written; nothing when it is absent.
    pub(crate) fn texts(&mut self, node: Option<&Spanned<Node>>) -> Vec<(Written, Written)> {
        let Some(fields) = node.and_then(|node| self.fields(node, &[])) else { return Vec::new() };
        let mut found = Vec::with_capacity(fields.entries.len());
        for (key, value) in fields.entries {
            if let Some(text) = self.text(value) {
                found.push((Written { text: key.value.0.clone(), place: place_of(key), at: None }, text));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "a: 1e3\nb: \"2\"\nc: [x, true, ~]\nd: &one {k: v}\ne: *one\nf:\n  <<: *one\n  m: n\n";

    #[test]
    fn a_tree_knows_its_places_and_texts() {
        let mut document = Document::new("f.yml", SAMPLE, UnknownKeys::Refuse);
        let tree = document.tree().unwrap();
        let fields = document.fields(&tree, &[]).unwrap();
        let a = document.text(fields.get("a").unwrap()).unwrap();
        assert_eq!((a.text.as_str(), a.place), ("1e3", Place { line: 1, column: 4, len: 3 }));
        assert_eq!(document.text(fields.get("b").unwrap()).unwrap().text, "2");
        let list = document.list(fields.get("c"));
        assert_eq!((list.len(), document.text(&list[1]).unwrap().text.as_str()), (3, "true"));
        assert_eq!(document.texts(fields.get("e"))[0].1.text, "v");
        assert_eq!(document.texts(fields.get("f")).iter().map(|(k, v)| format!("{}={}", k.text, v.text)).collect::<Vec<_>>().join(","), "m=n,k=v");
        assert!(document.found.is_empty(), "{:?}", document.found);
    }

    #[test]
    fn every_wrong_key_and_type_is_reported_in_one_run() {
        let mut document = Document::new("f.yml", "grops: 1\nlist: {a: b}\n", UnknownKeys::Refuse);
        let tree = document.tree().unwrap();
        let fields = document.fields(&tree, &["groups", "list"]).unwrap();
        assert!(document.list(fields.get("list")).is_empty());
        let codes: Vec<_> = document.found.iter().map(|found| (found.code, found.place.map(|p| p.line))).collect();
        assert_eq!(codes, [("E002", Some(1)), ("E004", Some(2))]);
    }
}
