//! Who may come in: new connections in a second, connections at once (OKX "Connection": 3 a second; Deribit: 32 at once).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// The limits and the newcomers of the last second.
#[derive(Debug)]
pub(super) struct Doors {
    per_second: u32,
    at_once: usize,
    recent: VecDeque<Instant>,
}

// === impl Doors ===

impl Doors {
    /// Doors with a limit of newcomers and one of guests.
    pub(super) fn new(per_second: u32, at_once: usize) -> Self {
        Self { per_second, at_once, recent: VecDeque::new() }
    }

    /// Counts a newcomer; `false`: too many.
    pub(super) fn admit(&mut self, now: Instant, open: usize) -> bool {
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= SECOND) {
            self.recent.pop_front();
        }
        let admitted = open < self.at_once && self.recent.len() < self.per_second as usize;
        if admitted {
            self.recent.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_and_the_house_for_so_many() {
        let (start, mut doors) = (Instant::now(), Doors::new(2, 3));
        assert!(doors.admit(start, 0) && doors.admit(start, 1));
        assert!(!doors.admit(start + Duration::from_millis(900), 2));
        assert!(doors.admit(start + Duration::from_millis(1_001), 2));
        assert!(!doors.admit(start + Duration::from_secs(9), 3));
    }
}
