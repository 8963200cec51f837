//! The one place where clocks are read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::clock::Now;

/// Reads both clocks; tests bring their own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// This moment.
    fn now(&self) -> Now;
}

/// The host's clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

// === impl SystemClock ===

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        // A clock before 1970 reads as 1970: nothing here depends on more.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now::new(self.0.elapsed(), i64::try_from(wall.as_millis()).unwrap_or(i64::MAX))
    }
}
