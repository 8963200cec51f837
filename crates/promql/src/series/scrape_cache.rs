//! From the text of a series on a page to the series, without decoding labels; and which series a page no longer has.
//! Must not know: the store, relabelling (whoever fills it has done that).
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::store::SeriesId;

/// What a target's last good page had. One per target; it remembers the page's order, and a page in the same order costs one comparison a line.
///
/// A page counts whole or not at all: read it to its end first, keeping its [`SampleLine`](crate::exposition::SampleLine)s (they borrow), then
/// [`begin`](Self::begin), [`see`](Self::see) each, [`learn`](Self::learn) the unknown ones, [`finish`](Self::finish). A failed page: only
/// [`fail`](Self::fail).
#[derive(Debug)]
pub struct ScrapeCache {
    capacity: usize,
    /// In the order of the page.
    entries: Vec<Entry>,
    // unordered: looked up, never iterated
    by_key: HashMap<Arc<str>, usize>,
    /// Where the next key is expected.
    next: usize,
    round: u64,
    uncached: u64,
}

/// What the cache knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its series.
    Series(SeriesId),
    /// Relabelling drops it.
    Dropped,
}

/// Who gave a sample its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampedBy {
    /// The scrape: the series gets a stale marker when it vanishes.
    Scrape,
    /// The page: it gets none (Prometheus documentation, "Querying basics: Staleness").
    Page,
}

#[derive(Debug)]
struct Entry {
    key: Arc<str>,
    known: Known,
    seen: u64,
    /// Whether it was in the last good page with the scrape's time, so that it may still need a stale marker.
    live: bool,
}

impl ScrapeCache {
    /// A cache of at most `capacity` keys; samples beyond it are looked up by labels each time and counted.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, entries: Vec::new(), by_key: HashMap::new(), next: 0, round: 0, uncached: 0 }
    }

    /// Starts a page.
    pub fn begin(&mut self) {
        self.round += 1;
        self.next = 0;
    }

    /// What a key stands for, and notes that this page has it.
    pub fn see(&mut self, key: &str, stamped: StampedBy) -> Option<Known> {
        let expected = self.entries.get(self.next).is_some_and(|entry| *entry.key == *key);
        let at = if expected { self.next } else { *self.by_key.get(key)? };
        self.next = at + 1;
        let round = self.round;
        let entry = self.entries.get_mut(at)?;
        entry.seen = round;
        entry.live = stamped == StampedBy::Scrape;
        Some(entry.known)
    }

    /// Remembers what a key stands for, in place of what was known of it.
    pub fn learn(&mut self, key: &str, known: Known, stamped: StampedBy) {
        let live = stamped == StampedBy::Scrape;
        if let Some(entry) = self.by_key.get(key).and_then(|&at| self.entries.get_mut(at)) {
            (entry.known, entry.seen, entry.live) = (known, self.round, live);
            return;
        }
        if self.entries.len() >= self.capacity {
            self.uncached += 1;
            return;
        }
        let key: Arc<str> = key.into();
        self.by_key.insert(Arc::clone(&key), self.entries.len());
        self.entries.push(Entry { key, known, seen: self.round, live });
    }

    /// Ends a good page: the series that the page before had and this one has not, which now get a stale marker. Their keys are forgotten.
    pub fn finish(&mut self) -> Vec<SeriesId> {
        let round = self.round;
        if self.entries.iter().all(|entry| entry.seen == round) {
            return Vec::new();
        }
        // Two keys may stand for one series (labels in another order, relabelling): it is gone only when both are.
        let present: BTreeSet<SeriesId> = self.entries.iter().filter(|entry| entry.seen == round).filter_map(Entry::series).collect();
        let gone: BTreeSet<SeriesId> = self.entries.iter().filter(|entry| entry.seen != round && entry.live).filter_map(Entry::series).collect();
        self.entries.retain(|entry| entry.seen == round);
        self.by_key = self.entries.iter().enumerate().map(|(at, entry)| (Arc::clone(&entry.key), at)).collect();
        gone.difference(&present).copied().collect()
    }

    /// After a failed scrape, or when the target goes: every series that still needs a stale marker. Keys stay known.
    pub fn fail(&mut self) -> Vec<SeriesId> {
        let gone: BTreeSet<SeriesId> = self.entries.iter().filter(|entry| entry.live).filter_map(Entry::series).collect();
        self.entries.iter_mut().for_each(|entry| entry.live = false);
        gone.into_iter().collect()
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often a key was not remembered because the cache was full.
    pub fn uncached(&self) -> u64 {
        self.uncached
    }
}

// === impl Entry ===

impl Entry {
    fn series(&self) -> Option<SeriesId> {
        match self.known {
            Known::Series(id) => Some(id),
            Known::Dropped => None,
        }
    }
}
