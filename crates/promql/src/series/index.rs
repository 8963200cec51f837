//! Which slots hold a label value: the way from matchers to series. Must not know: samples.
use std::collections::BTreeMap;

use crate::labels::{Labels, MatchOp, Matcher};

/// Bytes an entry of a map costs beside its text, about.
const ENTRY_BYTES: usize = 64;

/// Slots by label name and value, each list ascending. As large as the series it indexes, which are bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    slots: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<u32>>>,
    bytes: usize,
}

/// Slots that may match; every one has still to be checked.
#[derive(Debug)]
pub(super) enum Candidates {
    /// Only these, ascending.
    Some(Vec<u32>),
    /// No matcher narrows them down.
    All,
}

impl Index {
    pub(super) fn insert(&mut self, labels: &Labels, slot: u32) {
        for (name, value) in labels {
            if !self.slots.contains_key(name) {
                self.slots.insert(name.into(), BTreeMap::new());
                self.bytes += name.len() + ENTRY_BYTES;
            }
            let Some(values) = self.slots.get_mut(name) else { continue };
            let list = if let Some(list) = values.get_mut(value) {
                list
            } else {
                self.bytes += value.len() + ENTRY_BYTES;
                values.entry(value.into()).or_default()
            };
            if let Err(at) = list.binary_search(&slot) {
                list.insert(at, slot);
                self.bytes += size_of::<u32>();
            }
        }
    }

    pub(super) fn remove(&mut self, labels: &Labels, slot: u32) {
        for (name, value) in labels {
            let Some(values) = self.slots.get_mut(name) else { continue };
            let Some(list) = values.get_mut(value) else { continue };
            if let Ok(at) = list.binary_search(&slot) {
                list.remove(at);
                self.bytes = self.bytes.saturating_sub(size_of::<u32>());
            }
            if list.is_empty() {
                values.remove(value);
                self.bytes = self.bytes.saturating_sub(value.len() + ENTRY_BYTES);
            }
            if values.is_empty() {
                self.slots.remove(name);
                self.bytes = self.bytes.saturating_sub(name.len() + ENTRY_BYTES);
            }
        }
    }

    /// The slots to look at: the shortest list of an equality, or else the values a pattern matches, or else all.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Candidates {
        let equal = matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty());
        if let Some(shortest) = equal.map(|matcher| self.list(matcher)).min_by_key(|list| list.len()) {
            return Candidates::Some(shortest.to_vec());
        }
        // A matcher that takes the empty value also takes series without the label, which no list names.
        match matchers.iter().find(|matcher| !matcher.matches("")) {
            None => Candidates::All,
            Some(matcher) => {
                let values = self.slots.get(&*matcher.name).into_iter().flatten();
                let mut slots: Vec<u32> = values.filter(|(value, _)| matcher.matches(value)).flat_map(|(_, list)| list).copied().collect();
                slots.sort_unstable();
                Candidates::Some(slots)
            }
        }
    }

    fn list(&self, matcher: &Matcher) -> &[u32] {
        self.slots.get(&*matcher.name).and_then(|values| values.get(&*matcher.value)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}
