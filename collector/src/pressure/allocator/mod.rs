//! The allocator: what it holds, giving its free pages back, and the profile of the heap.
//!
//! Owns: everything that differs between jemalloc (feature `jemalloc`, release builds) and the system's allocator. Must not know: when to purge.

#[cfg(feature = "jemalloc")]
mod jemalloc;
#[cfg(not(feature = "jemalloc"))]
mod system;

#[cfg(feature = "jemalloc")]
pub use jemalloc::{NAME, allocations, heap_profile, options, purge, statistics};
#[cfg(not(feature = "jemalloc"))]
pub use system::{NAME, allocations, heap_profile, options, purge, statistics};
use thiserror::Error;

/// What the allocator holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Handed out to the program.
    pub allocated: u64,
    /// In pages of which something is handed out; more than `allocated` by what is scattered between.
    pub active: u64,
    /// Of the allocator's own bookkeeping.
    pub metadata: u64,
    /// In memory: active, bookkeeping, and free pages not yet given back.
    pub resident: u64,
    /// Mapped from the system.
    pub mapped: u64,
    /// Given back, with the addresses kept; costs no memory.
    pub retained: u64,
}

/// One option of the allocator, as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionInForce {
    /// Its name.
    pub name: &'static str,
    /// The value in force.
    pub value: String,
    /// The value this program was built for, where that is another.
    pub expected: Option<&'static str>,
}

/// Why there is no profile of the heap.
#[derive(Debug, Error)]
pub enum NoProfile {
    /// The system's allocator keeps none.
    #[error("this build uses the system's allocator, which keeps no profile: build with `--features collector/jemalloc` (make release)")]
    NotBuilt,
    /// jemalloc could, but was not started so.
    #[error("profiling is off: start the collector with _RJEM_MALLOC_CONF=prof:true,lg_prof_sample:19 in its environment")]
    NotStarted,
    /// It could not be written or read.
    #[error("the profile could not be taken: {0}")]
    Failed(String),
}

// === impl Statistics ===

impl Statistics {
    /// Names and figures, in the order of the metric's label `kind`.
    pub const fn kinds(&self) -> [(&'static str, u64); 6] {
        [
            ("allocated", self.allocated),
            ("active", self.active),
            ("metadata", self.metadata),
            ("resident", self.resident),
            ("mapped", self.mapped),
            ("retained", self.retained),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_build_cannot_do_it_says() {
        let (statistics, purged) = (statistics(), purge());
        if cfg!(feature = "jemalloc") {
            let statistics = statistics.unwrap();
            assert!(statistics.resident >= statistics.active && statistics.active >= statistics.allocated, "{statistics:?}");
            assert!(purged && options().iter().any(|option| option.name == "narenas"), "{:?}", options());
        } else {
            assert_eq!((statistics, purged, options()), (None, false, vec![]));
            assert!(matches!(heap_profile(), Err(NoProfile::NotBuilt)));
        }
    }
}
