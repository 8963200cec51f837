//! Which slots hold a label value: the way from matchers to series. Must not know: samples.
use std::borrow::Cow;
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

/// Slots that may match.
#[derive(Debug)]
pub(super) struct Candidates<'m> {
    /// Only these, ascending; none when no matcher narrows them down.
    pub(super) slots: Option<Cow<'m, [u32]>>,
    /// The matchers that have still to be asked.
    pub(super) unchecked: Vec<&'m Matcher>,
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

    /// The slots to look at: those that all equalities name, or else those of the values that a pattern matches, or else all.
    pub(super) fn candidates<'m>(&'m self, matchers: &'m [Matcher]) -> Candidates<'m> {
        let is_named = |matcher: &&Matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty();
        let (named, mut unchecked): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(is_named);
        let mut lists: Vec<&[u32]> = named.into_iter().map(|matcher| self.list(matcher)).collect();
        lists.sort_unstable_by_key(|list| list.len());
        if let [only] = *lists.as_slice() {
            return Candidates { slots: Some(Cow::Borrowed(only)), unchecked };
        }
        if let [shortest, others @ ..] = lists.as_slice() {
            let in_all = |slot: &&u32| others.iter().all(|list| list.binary_search(slot).is_ok());
            return Candidates { slots: Some(shortest.iter().filter(in_all).copied().collect()), unchecked };
        }
        // A matcher that takes the empty value also takes series without the label, which no list names.
        let Some(at) = unchecked.iter().position(|matcher| !matcher.matches("")) else { return Candidates { slots: None, unchecked } };
        let matcher = unchecked.remove(at);
        let values = self.slots.get(&*matcher.name).into_iter().flatten();
        let mut slots: Vec<u32> = values.filter(|(value, _)| matcher.matches(value)).flat_map(|(_, list)| list).copied().collect();
        slots.sort_unstable();
        Candidates { slots: Some(Cow::Owned(slots)), unchecked }
    }

    fn list(&self, matcher: &Matcher) -> &[u32] {
        self.slots.get(&*matcher.name).and_then(|values| values.get(&*matcher.value)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}
