//! Conditions: what is not as it should be although data flows, said by whoever knows it, shown by `/health` as degraded.

use std::sync::atomic::{AtomicU32, Ordering};

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Authoritative records wait on disk.
    SpoolInUse,
    /// The spool has reached its bound: records of the oldest segments were given up.
    SpoolBound,
    /// NATS without acknowledgements: loss is possible.
    CoreMode,
    /// Preview records went to the dead letter and have not been replayed.
    DeadLetters,
    /// The disk takes no records: full, read-only or failing.
    DiskRefuses,
}

/// The conditions that hold; written by their owners, read by the HTTP thread.
#[derive(Debug, Default)]
pub struct Conditions(AtomicU32);

// === impl Condition ===

impl Condition {
    /// All.
    pub const ALL: [Self; 5] = [Self::SpoolInUse, Self::SpoolBound, Self::CoreMode, Self::DeadLetters, Self::DiskRefuses];

    /// The word on the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SpoolInUse => "spool_in_use",
            Self::SpoolBound => "spool_bound",
            Self::CoreMode => "core_mode",
            Self::DeadLetters => "dead_letters",
            Self::DiskRefuses => "disk_refuses",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

// === impl Conditions ===

impl Conditions {
    /// It holds from now on.
    pub fn raise(&self, condition: Condition) {
        self.0.fetch_or(condition.bit(), Ordering::Relaxed);
    }

    /// It holds no more.
    pub fn clear(&self, condition: Condition) {
        self.0.fetch_and(!condition.bit(), Ordering::Relaxed);
    }

    /// Whether it holds.
    pub fn holds(&self, condition: Condition) -> bool {
        self.0.load(Ordering::Relaxed) & condition.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_is_its_own() {
        let conditions = Conditions::default();
        for condition in Condition::ALL {
            conditions.raise(condition);
            assert_eq!(Condition::ALL.into_iter().filter(|other| conditions.holds(*other)).count(), 1, "{condition:?}");
            conditions.clear(condition);
        }
        assert!(Condition::ALL.into_iter().all(|condition| !conditions.holds(condition)));
    }
}
