//! From the text of a series on a page to the number its source gave it, without decoding labels; and which series a page no longer has.
//! Must not know: stores, labels, relabelling (whoever fills it has done that).
use std::collections::HashMap;
use std::sync::Arc;

/// What a source's last good page had. One per source; it remembers the page's order, and a page in the same order costs one comparison a line.
///
/// A page counts whole or not at all: [`begin`](Self::begin), [`see`](Self::see) each sample, [`learn`](Self::learn) the unknown ones, then
/// [`finish`](Self::finish), or [`abandon`](Self::abandon) when the page turns out to be none. It never holds more than two pages had: keys that a
/// good page lacks are forgotten with it.
#[derive(Debug)]
pub struct ScrapeCache {
    /// Numbers below it are the caller's own.
    reserved: u32,
    /// By number, less `reserved`.
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Numbers in the order of the last good page.
    order: Vec<u32>,
    /// Numbers in the order of the page at hand.
    page: Vec<(u32, StampedBy)>,
    learned: Vec<u32>,
    /// Where in `order` the next key is expected.
    next: usize,
    /// Only while pages come in changing order; empty otherwise.
    // unordered: looked up, never iterated
    by_key: HashMap<Arc<str>, u32>,
    round: u64,
}

/// What the cache knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The number of its series.
    Series(u32),
    /// Relabelling drops it.
    Dropped,
}

/// Whether a key stands for a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It does.
    Series,
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

/// What a good page no longer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vanished {
    /// Series that get a stale marker. Two keys may stand for one series, of which one may still be there.
    pub stale: Vec<u32>,
    /// Numbers that mean nothing any more, those of `stale` included; they will be given out again.
    pub freed: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: the number is free.
    key: Option<Arc<str>>,
    kept: Kept,
    /// Its place in `order`.
    at: usize,
    /// The last good page that had it.
    seen: u64,
    /// Whether it was in the last good page with the scrape's time, so that it may still need a stale marker.
    live: bool,
}

impl ScrapeCache {
    /// An empty cache; numbers below `reserved` are left to the caller.
    pub fn new(reserved: u32) -> Self {
        Self {
            reserved,
            entries: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            page: Vec::new(),
            learned: Vec::new(),
            next: 0,
            by_key: HashMap::new(),
            round: 0,
        }
    }

    /// Starts a page.
    pub fn begin(&mut self) {
        self.abandon();
    }

    /// The key that comes next if the page is like the last one.
    pub fn expected(&self) -> Option<&str> {
        self.entry(*self.order.get(self.next)?)?.key.as_deref()
    }

    /// Notes that the page has the [`expected`](Self::expected) key, and says what it stands for.
    pub fn see_expected(&mut self, stamped: StampedBy) -> Option<Known> {
        let number = *self.order.get(self.next)?;
        Some(self.note(number, self.next, stamped))
    }

    /// What a key stands for, and notes that the page has it.
    pub fn see(&mut self, key: &str, stamped: StampedBy) -> Option<Known> {
        if self.expected() == Some(key) {
            return self.see_expected(stamped);
        }
        if self.by_key.is_empty() {
            self.index();
        }
        let number = *self.by_key.get(key)?;
        let at = self.entry(number)?.at;
        Some(self.note(number, at, stamped))
    }

    /// Remembers a key that was not known.
    pub fn learn(&mut self, key: &str, kept: Kept, stamped: StampedBy) -> Known {
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { key: None, kept, at: 0, seen: 0, live: false });
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX).saturating_add(self.reserved)
        });
        let key: Arc<str> = key.into();
        // A page may name a series twice: the second time it must be found.
        self.by_key.insert(Arc::clone(&key), number);
        // Its place in the last page's order is where that order goes on.
        let at = self.next;
        if let Some(entry) = self.entry_mut(number) {
            *entry = Entry { key: Some(key), kept, at, seen: 0, live: false };
        }
        self.learned.push(number);
        self.page.push((number, stamped));
        known(number, kept)
    }

    /// Ends a good page.
    pub fn finish(&mut self) -> Vanished {
        self.round += 1;
        let (round, mut page) = (self.round, std::mem::take(&mut self.page));
        for (at, &(number, stamped)) in page.iter().enumerate() {
            if let Some(entry) = self.entry_mut(number) {
                // Of two lines of one key the first is its place.
                entry.at = if entry.seen == round { entry.at } else { at };
                (entry.seen, entry.live) = (round, stamped == StampedBy::Scrape);
            }
        }
        let numbers = page.iter().map(|(number, _)| *number);
        if numbers.clone().eq(self.order.iter().copied()) {
            self.by_key = HashMap::new();
        } else {
            self.order.clear();
            self.order.extend(numbers);
        }
        page.clear();
        self.page = page;
        self.learned.clear();
        self.next = 0;
        self.sweep()
    }

    /// Forgets what the last good page did not have.
    fn sweep(&mut self) -> Vanished {
        let mut vanished = Vanished::default();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            if entry.seen == self.round {
                continue;
            }
            let Some(key) = entry.key.take() else { continue };
            self.by_key.remove(&key);
            let number = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(self.reserved);
            self.free.push(number);
            if entry.kept == Kept::Series {
                vanished.freed.push(number);
                if entry.live {
                    vanished.stale.push(number);
                }
            }
        }
        vanished
    }

    /// Ends a page that is none: as if it had never begun.
    pub fn abandon(&mut self) {
        self.page.clear();
        self.next = 0;
        for number in std::mem::take(&mut self.learned) {
            if let Some(key) = self.entry_mut(number).and_then(|entry| entry.key.take()) {
                self.by_key.remove(&key);
                self.free.push(number);
            }
        }
    }

    /// After a failed scrape, or when the source goes: every series that still needs a stale marker. Keys stay known.
    pub fn fail(&mut self) -> Vec<u32> {
        let mut stale = Vec::new();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            if std::mem::take(&mut entry.live) && entry.kept == Kept::Series {
                stale.push(u32::try_from(at).unwrap_or(u32::MAX).saturating_add(self.reserved));
            }
        }
        stale
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn note(&mut self, number: u32, at: usize, stamped: StampedBy) -> Known {
        self.next = at + 1;
        self.page.push((number, stamped));
        known(number, self.entry(number).map_or(Kept::Dropped, |entry| entry.kept))
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number.checked_sub(self.reserved)? as usize)
    }

    fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(number.checked_sub(self.reserved)? as usize)
    }

    fn index(&mut self) {
        let numbered = (self.reserved..).zip(&self.entries);
        self.by_key = numbered.filter_map(|(number, entry)| Some((Arc::clone(entry.key.as_ref()?), number))).collect();
    }
}

fn known(number: u32, kept: Kept) -> Known {
    match kept {
        Kept::Series => Known::Series(number),
        Kept::Dropped => Known::Dropped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a page of keys (`-` before one: relabelling drops it; `@`: the page gives it a time); what vanished.
    fn page(cache: &mut ScrapeCache, keys: &str) -> Vanished {
        see_all(cache, keys);
        cache.finish()
    }

    fn see_all(cache: &mut ScrapeCache, keys: &str) -> Vec<Known> {
        cache.begin();
        keys.split_whitespace()
            .map(|key| {
                let stamped = if key.starts_with('@') { StampedBy::Page } else { StampedBy::Scrape };
                let kept = if key.starts_with('-') { Kept::Dropped } else { Kept::Series };
                let key = key.trim_start_matches('@');
                cache.see(key, stamped).unwrap_or_else(|| cache.learn(key, kept, stamped))
            })
            .collect()
    }

    #[test]
    fn a_page_in_the_order_of_the_last_one_needs_no_index() {
        let mut cache = ScrapeCache::new(5);
        assert_eq!(see_all(&mut cache, "a b -c d"), [Known::Series(5), Known::Series(6), Known::Dropped, Known::Series(8)]);
        cache.finish();
        page(&mut cache, "a b -c d");
        assert!(cache.by_key.is_empty());
        cache.begin();
        assert_eq!(cache.expected(), Some("a"));
        assert_eq!(cache.see_expected(StampedBy::Scrape), Some(Known::Series(5)));
        assert_eq!(cache.expected(), Some("b"));
    }

    #[test]
    fn what_a_page_lacks_vanishes_once_and_its_number_is_given_out_again() {
        let mut cache = ScrapeCache::new(0);
        page(&mut cache, "a b @c -d");
        assert_eq!(page(&mut cache, "a"), Vanished { stale: vec![1], freed: vec![1, 2] });
        assert_eq!(page(&mut cache, "a"), Vanished::default());
        assert_eq!(cache.len(), 1);
        assert_eq!(see_all(&mut cache, "a e"), [Known::Series(0), Known::Series(3)]);
    }

    #[test]
    fn any_order_and_lines_that_come_twice_are_found() {
        let mut cache = ScrapeCache::new(0);
        page(&mut cache, "a b c d");
        for order in ["d c b a", "b a d c", "a a b c d d", "a b c d", "a x b c d", "a x b c d", "x d"] {
            let fresh: Vec<Known> = see_all(&mut cache, order);
            let again: Vec<Known> = {
                cache.finish();
                see_all(&mut cache, order)
            };
            assert_eq!(fresh, again, "{order}");
            cache.finish();
        }
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn a_page_that_turns_out_to_be_none_changes_nothing() {
        let mut cache = ScrapeCache::new(0);
        page(&mut cache, "a b");
        see_all(&mut cache, "b x y");
        cache.abandon();
        assert_eq!((cache.len(), cache.expected()), (2, Some("a")));
        assert_eq!(page(&mut cache, "a b"), Vanished::default());
    }

    #[test]
    fn a_failed_scrape_ends_what_is_live_once_and_keeps_the_numbers() {
        let mut cache = ScrapeCache::new(0);
        page(&mut cache, "a @b -c");
        assert_eq!((cache.fail(), cache.fail()), (vec![0], vec![]));
        assert_eq!(see_all(&mut cache, "a @b -c"), [Known::Series(0), Known::Series(1), Known::Dropped]);
        assert_eq!(cache.finish(), Vanished::default());
        assert_eq!(cache.fail(), [0]);
    }
}
