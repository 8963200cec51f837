//! The window of publications that wait for an answer. Every answer carries the number of its publication, no number is used twice, so an answer that
//! comes too late belongs to nobody and nothing is kept for it. Must not know: records, sockets.

use std::collections::VecDeque;
use std::time::Duration;

/// Where a publication came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Memory: a lane.
    Lane(usize),
    /// The spool of a kind: number of the record there.
    Spool {
        /// Place of the kind.
        kind: usize,
        /// Number in the log.
        record: u64,
    },
}

/// Unanswered publications in the order of sending.
#[derive(Debug)]
pub(crate) struct Window {
    /// Number of the first entry.
    base: u64,
    entries: VecDeque<Entry>,
    /// How many of them came from the spool.
    from_spool: usize,
    /// Entries from memory, and as many from the spool: a backlog takes no room from what has none.
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    origin: Origin,
    sent: Duration,
    answered: bool,
}

// === impl Window ===

impl Window {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { base: 0, entries: VecDeque::with_capacity(capacity), from_spool: 0, capacity }
    }

    /// Whether one more may be sent from memory.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() - self.from_spool < self.capacity
    }

    /// Whether one more may be sent from the spool.
    pub(crate) fn has_room_for_spool(&self) -> bool {
        self.from_spool < self.capacity
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Entries, also those answered behind one that is not.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of a new publication.
    pub(crate) fn push(&mut self, origin: Origin, now: Duration) -> u64 {
        self.from_spool += usize::from(matches!(origin, Origin::Spool { .. }));
        self.entries.push_back(Entry { origin, sent: now, answered: false });
        self.base + self.entries.len() as u64 - 1
    }

    /// Takes the answer to a publication: where it came from and when it was sent. `None`: not awaited, or any more.
    pub(crate) fn answer(&mut self, number: u64) -> Option<(Origin, Duration)> {
        let place = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let entry = self.entries.get_mut(place).filter(|entry| !entry.answered)?;
        entry.answered = true;
        let found = (entry.origin, entry.sent);
        self.advance();
        Some(found)
    }

    /// Gives up the oldest publication if it was sent before `before`.
    pub(crate) fn expire(&mut self, before: Duration) -> Option<Origin> {
        let oldest = self.entries.front_mut().filter(|entry| entry.sent < before)?;
        oldest.answered = true;
        let origin = oldest.origin;
        self.advance();
        Some(origin)
    }

    /// Nothing is awaited any more.
    pub(crate) fn clear(&mut self) {
        self.base += self.entries.len() as u64;
        self.entries.clear();
        self.from_spool = 0;
    }

    fn advance(&mut self) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.answered) {
            self.base += 1;
            self.from_spool -= usize::from(matches!(entry.origin, Origin::Spool { .. }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn answers_find_their_publication_once_and_late_ones_nobody() {
        let mut window = Window::new(3);
        let numbers: Vec<u64> = (0..3).map(|lane| window.push(Origin::Lane(lane), AT(lane as u64))).collect();
        assert!(!window.has_room());
        assert_eq!(window.answer(numbers[1]), Some((Origin::Lane(1), AT(1))));
        assert_eq!((window.answer(numbers[1]), window.len()), (None, 3));
        assert_eq!(window.answer(numbers[0]), Some((Origin::Lane(0), AT(0))));
        assert_eq!((window.len(), window.has_room()), (1, true));
        let next = window.push(Origin::Lane(9), AT(5));
        assert_eq!((window.expire(AT(2)), window.expire(AT(3)), window.expire(AT(4))), (None, Some(Origin::Lane(2)), None));
        window.clear();
        assert_eq!((window.answer(next), window.len()), (None, 0));
        for record in 0..3 {
            assert!(window.has_room_for_spool());
            window.push(Origin::Spool { kind: 0, record }, AT(6));
        }
        assert!(!window.has_room_for_spool() && window.has_room(), "a backlog leaves room for the others");
        window.expire(AT(7));
        assert!(window.has_room_for_spool());
        window.clear();
        assert!(window.push(Origin::Lane(0), AT(6)) > next, "a number is never used again");
    }
}
