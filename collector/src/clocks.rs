//! The clock of the shell: the one place of the collector that reads the time for the core.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clock::Now;

/// Reads both clocks together.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The reading.
    fn now(&self) -> Now;
}

/// A clock that all threads share.
pub type SharedClock = Arc<dyn Clock>;

/// The system's clocks; the monotonic one counts from the making of this value.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

// === impl SystemClock ===

impl SystemClock {
    /// A shared one that starts at zero now.
    pub fn shared() -> SharedClock {
        Arc::new(Self { start: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now::new(self.start.elapsed(), i64::try_from(wall.as_millis()).unwrap_or(i64::MAX))
    }
}
