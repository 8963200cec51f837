//! Shapes of values that YAML authors write in more than one way.

use std::fmt;

use diagnostics::Place;
use diagnostics::yaml::{Spanned, place_of};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A text with its place.
pub type Word = Spanned<String>;

/// A list of texts with their places. (A lone text is refused, as Alertmanager 0.33 does.)
pub type Words = Vec<Word>;

/// A mapping of texts, in the order written, with the places of keys and values.
#[derive(Clone, Debug, Default)]
pub struct Pairs(pub Vec<(Word, Word)>);

struct PairsVisitor;

// === impl Pairs ===

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key()? {
            pairs.push((key, map.next_value()?));
        }
        Ok(Pairs(pairs))
    }
}

/// Each text with its place.
pub(crate) fn each(words: &Spanned<Words>) -> Vec<(&str, Place)> {
    words.value.iter().map(|word| (word.value.as_str(), place_of(word))).collect()
}
