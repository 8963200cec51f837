//! Lines that repeat: of each place in the code, with the same words in its fields, the first few of an interval pass; the rest is counted and said
//! once, at its end. A storm of one message thus hides no other, and fills no disk.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::metrics::Counter;

/// Messages that are told apart; what is beyond counts as one.
const KEYS_MOST: usize = 1_024;
/// Longest beginning of a message that is kept for the summary.
const WORDS_MOST: usize = 120;
/// Where the summaries come from; they are never held back.
pub(super) const TARGET: &str = "collector::logging::repeats";

/// The filter.
#[derive(Debug)]
pub(super) struct Repeats {
    /// Lines of one message that pass in one interval.
    most: u32,
    interval: Duration,
    windows: Mutex<BTreeMap<u64, Window>>,
    suppressed: Counter,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    passed: u32,
    suppressed: u64,
    words: String,
}

/// What was held back of one message in one interval.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) words: String,
    pub(super) suppressed: u64,
}

/// Hashes the words of an event's fields, and takes the beginning of its message.
struct Reader {
    hasher: DefaultHasher,
    words: String,
}

// === impl Repeats ===

impl Repeats {
    pub(super) fn new(most: u32, interval: Duration, suppressed: Counter) -> Self {
        Self { most, interval, windows: Mutex::default(), suppressed }
    }

    /// Whether this line passes.
    fn passes(&self, now: Instant, key: u64, words: impl FnOnce() -> String) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // Everything beyond the bound shares one place.
        let key = if windows.len() < KEYS_MOST || windows.contains_key(&key) { key } else { 0 };
        let window = windows.entry(key).or_insert_with(|| Window { since: now, passed: 0, suppressed: 0, words: words() });
        if window.passed < self.most {
            window.passed += 1;
            return true;
        }
        window.suppressed += 1;
        self.suppressed.inc();
        false
    }

    /// Ends the intervals that are over; what was held back in them.
    pub(super) fn end(&self, now: Instant) -> Vec<Summary> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        windows.retain(|_, window| {
            let over = now.saturating_duration_since(window.since) >= self.interval;
            if over && window.suppressed > 0 {
                ended.push(Summary { words: std::mem::take(&mut window.words), suppressed: window.suppressed });
            }
            !over
        });
        ended
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }
}

impl<S: Subscriber> Filter<S> for &'static Repeats {
    fn enabled(&self, _metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _context: &Context<'_, S>) -> bool {
        if event.metadata().target() == TARGET {
            return true;
        }
        let mut reader = Reader { hasher: DefaultHasher::new(), words: String::new() };
        event.metadata().callsite().hash(&mut reader.hasher);
        event.record(&mut reader);
        let Reader { hasher, words } = reader;
        self.passes(Instant::now(), hasher.finish(), || words)
    }
}

// === impl Reader ===

impl Visit for Reader {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.words.extend(value.chars().take(WORDS_MOST));
        } else {
            field.name().hash(&mut self.hasher);
            value.hash(&mut self.hasher);
        }
    }

    /// Numbers differ from line to line and make no other message of it; so does the message's own text.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.words.extend(format!("{value:?}").chars().take(WORDS_MOST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_an_interval_pass_and_the_rest_is_told_once() {
        let repeats = Repeats::new(3, Duration::from_secs(10), Counter::default());
        let start = Instant::now();
        let passed = (0..10).filter(|_| repeats.passes(start, 1, || "cannot connect".to_owned())).count();
        assert_eq!((passed, repeats.passes(start, 2, || "other".to_owned())), (3, true));
        assert_eq!(repeats.end(start + Duration::from_secs(9)), []);
        let told = Summary { words: "cannot connect".to_owned(), suppressed: 7 };
        assert_eq!(repeats.end(start + Duration::from_secs(10)), [told]);
        assert!(repeats.passes(start + Duration::from_secs(11), 1, String::new), "a new interval");
        assert_eq!(repeats.suppressed.get(), 7);
    }

    #[test]
    fn messages_beyond_the_bound_share_a_place() {
        let repeats = Repeats::new(1, Duration::from_secs(10), Counter::default());
        let now = Instant::now();
        let passed = (1..=5_000).filter(|key| repeats.passes(now, *key, String::new)).count();
        assert_eq!(passed, KEYS_MOST + 1);
        assert!(repeats.windows.lock().unwrap().len() <= KEYS_MOST + 1);
    }
}
