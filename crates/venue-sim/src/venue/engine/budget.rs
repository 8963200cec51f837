//! The REST budget of one address: weight per time, 429 above it, 418 for those who go on (Binance rest-api.md "IP Limits").

use std::time::{Duration, Instant};

/// Requests a throttled client may still send before it is banned.
const OFFENCES_MAX: u32 = 10;
/// Length of the first ban.
const BAN: Duration = Duration::from_mins(2);

/// The budget.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u32,
    length: Duration,
    used: u32,
    window: Option<Instant>,
    offences: u32,
    banned_until: Option<Instant>,
}

/// What a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer it.
    Granted,
    /// 429, try again after so many seconds.
    Throttled(u64),
    /// 418, banned for so many seconds.
    Banned(u64),
}

// === impl Budget ===

impl Budget {
    /// A budget of `limit` weight in each `length` of time.
    pub(super) fn new(limit: u32, length: Duration) -> Self {
        Self { limit, length, used: 0, window: None, offences: 0, banned_until: None }
    }

    /// The limit.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// The weight used in this length of time.
    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// Charges a request.
    pub(super) fn charge(&mut self, weight: u32, now: Instant) -> Verdict {
        if let Some(until) = self.banned_until
            && until > now
        {
            return Verdict::Banned(seconds_until(until, now));
        }
        self.banned_until = None;
        let window = *self.window.get_or_insert(now);
        if now.saturating_duration_since(window) >= self.length {
            self.window = Some(now);
            self.used = 0;
            self.offences = 0;
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= self.limit {
            return Verdict::Granted;
        }
        self.offences += 1;
        if self.offences > OFFENCES_MAX {
            self.banned_until = Some(now + BAN);
            return Verdict::Banned(BAN.as_secs());
        }
        let window = self.window.unwrap_or(now);
        Verdict::Throttled(seconds_until(window + self.length, now))
    }
}

fn seconds_until(then: Instant, now: Instant) -> u64 {
    then.saturating_duration_since(now).as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_then_bans_then_forgives() {
        let start = Instant::now();
        let mut budget = Budget::new(100, Duration::from_mins(1));
        assert_eq!(budget.charge(100, start), Verdict::Granted);
        assert_eq!(budget.charge(5, start + Duration::from_secs(10)), Verdict::Throttled(51));
        for _ in 0..9 {
            assert!(matches!(budget.charge(5, start + Duration::from_secs(10)), Verdict::Throttled(_)));
        }
        assert_eq!(budget.charge(5, start + Duration::from_secs(10)), Verdict::Banned(120));
        assert!(matches!(budget.charge(5, start + Duration::from_secs(100)), Verdict::Banned(_)));
        assert_eq!(budget.charge(5, start + Duration::from_secs(131)), Verdict::Granted);
    }
}
