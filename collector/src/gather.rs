//! Reading in portions: while much comes, a thread that has nothing left to do waits a moment before it looks again, so that one wake-up reads many
//! messages. At 20,000 messages a second it is the wake-ups that cost, not the messages.
//!
//! Owns: the measured rate, the length of the moment. Must not know: what is read. What comes alone is never waited with: the pause is made after a
//! reading, and only while some are expected in it, or many where each of them is to leave soon ([`Haste`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::metrics::{Histogram, Registry, catalogue as names};

/// How soon what is read is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It leaves in portions anyway.
    Little,
    /// Each message leaves by itself: it is waited with only when they come so fast that one by one they would take the processor.
    Much,
}

/// The pause of one thread. Only that thread writes to it.
#[derive(Debug)]
pub(crate) struct Gather {
    /// The longest pause; zero: none.
    most: Duration,
    /// A pause is only made when so many messages come in its longest.
    worth: f64,
    start: Instant,
    /// Messages since the rate was measured.
    messages: AtomicU64,
    /// When that was, nanoseconds after the start.
    measured: AtomicU64,
    /// How long to wait now, in nanoseconds.
    pause: AtomicU64,
    /// How long it was waited.
    waited: Histogram,
}

/// The rate is measured over this.
const MEASURED: Duration = Duration::from_millis(20);
/// About so many messages are waited for: more would fill the socket's buffer for nothing.
const ENOUGH: f64 = 128.0;

// === impl Gather ===

impl Gather {
    /// For the named thread; `most` is the longest that a message may wait, half of it in haste.
    pub(crate) fn new(thread: &str, (most, haste): (Duration, Haste), registry: &Registry) -> Self {
        Self {
            most: most / haste.part(),
            worth: haste.worth(),
            start: Instant::now(),
            messages: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            pause: AtomicU64::new(0),
            waited: registry.histogram(&names::GATHER_DURATION, &[thread]),
        }
    }

    /// So many messages were read.
    pub(crate) fn took(&self, messages: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// Called when the thread has nothing left to do, before it sleeps until something comes.
    pub(crate) fn rest(&self) {
        if self.most.is_zero() {
            return;
        }
        let pause = self.judge(self.start.elapsed());
        if !pause.is_zero() {
            let begun = Instant::now();
            std::thread::sleep(pause);
            self.waited.observe_duration(begun.elapsed());
        }
    }

    /// How long to wait, by the rate of late.
    fn judge(&self, now: Duration) -> Duration {
        let since = Duration::from_nanos(self.measured.load(Ordering::Relaxed));
        let elapsed = now.saturating_sub(since);
        if elapsed >= MEASURED {
            let rate = self.messages.swap(0, Ordering::Relaxed) as f64 / elapsed.as_secs_f64();
            let pause =
                if rate * self.most.as_secs_f64() < self.worth { Duration::ZERO } else { self.most.min(Duration::from_secs_f64(ENOUGH / rate)) };
            self.measured.store(nanoseconds(now), Ordering::Relaxed);
            self.pause.store(nanoseconds(pause), Ordering::Relaxed);
        }
        Duration::from_nanos(self.pause.load(Ordering::Relaxed))
    }
}

// === impl Haste ===

impl Haste {
    /// The part of the configured pause that is made.
    const fn part(self) -> u32 {
        match self {
            Self::Little => 1,
            Self::Much => 2,
        }
    }

    /// A pause of 2 ms is made from 2,000 messages a second on, and half of one from 12,000 on.
    const fn worth(self) -> f64 {
        match self {
            Self::Little => 4.0,
            Self::Much => 12.0,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pause at a steady rate, parked each millisecond.
    fn pause_at(per_second: u64, gather: &Gather, from: u64) -> Duration {
        let mut pause = Duration::ZERO;
        for millisecond in from..from + 100 {
            gather.took(per_second / 1_000);
            pause = gather.judge(Duration::from_millis(millisecond));
        }
        pause
    }

    #[test]
    fn the_pause_follows_the_rate() {
        let gather = Gather::new("test", (Duration::from_millis(2), Haste::Little), &Registry::new());
        assert_eq!(pause_at(1_000, &gather, 100), Duration::ZERO, "few: each is read when it comes");
        assert_eq!(pause_at(20_000, &gather, 200), Duration::from_millis(2));
        let fast = pause_at(640_000, &gather, 300);
        assert!(fast > Duration::from_micros(190) && fast < Duration::from_micros(210), "about 128 messages: {fast:?}");
        assert_eq!(gather.judge(Duration::from_secs(10)), Duration::ZERO, "after a silence");
    }

    #[test]
    fn what_is_in_haste_waits_at_high_rates_only() {
        let gather = Gather::new("test", (Duration::from_millis(2), Haste::Much), &Registry::new());
        assert_eq!(pause_at(10_000, &gather, 100), Duration::ZERO);
        assert_eq!(pause_at(20_000, &gather, 200), Duration::from_millis(1));
        assert_eq!(pause_at(10_000, &gather, 300), Duration::ZERO);
    }

    #[test]
    fn without_a_bound_nothing_waits() {
        let gather = Gather::new("test", (Duration::ZERO, Haste::Little), &Registry::new());
        assert_eq!(pause_at(640_000, &gather, 100), Duration::ZERO);
    }
}
