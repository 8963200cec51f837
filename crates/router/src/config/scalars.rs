//! Shapes of values that YAML authors write in more than one way.

use std::fmt;

use diagnostics::Place;
use diagnostics::yaml::{Spanned, place_of};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A text with its place.
pub type Word = Spanned<String>;

/// One text or a list of texts; always inside a [`Spanned`], which is the place of a lone text.
#[derive(Clone, Debug)]
pub enum Words {
    /// A text by itself.
    One(String),
    /// A list.
    Many(Vec<Word>),
}

/// A mapping of texts, in the order written, with the places of keys and values.
#[derive(Clone, Debug, Default)]
pub struct Pairs(pub Vec<(Word, Word)>);

struct WordsVisitor;
struct PairsVisitor;

// === impl Words ===

impl Words {
    /// Each text with its place.
    pub(crate) fn each(words: &Spanned<Self>) -> Vec<(&str, Place)> {
        match &words.value {
            Self::One(text) => vec![(text.as_str(), place_of(words))],
            Self::Many(list) => list.iter().map(|word| (word.value.as_str(), place_of(word))).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Words, E> {
        Ok(Words::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Words::Many(words))
    }
}

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
