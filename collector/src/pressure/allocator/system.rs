//! The system's allocator: it tells nothing that can be read safely, and gives back what it likes when it likes.

use super::{NoProfile, OptionInForce, Statistics};

/// The name on pages.
pub const NAME: &str = "system";

/// Not told: glibc's own figures leave out what is mapped directly, and are read through an unsafe call.
pub const fn statistics() -> Option<Statistics> {
    None
}

/// Not told either.
pub const fn allocations() -> Option<u64> {
    None
}

/// Not possible without an unsafe call.
pub const fn purge() -> bool {
    false
}

/// None that are ours.
pub const fn options() -> Vec<OptionInForce> {
    Vec::new()
}

/// None is kept.
///
/// # Errors
/// Always.
pub const fn heap_profile() -> Result<Vec<u8>, NoProfile> {
    Err(NoProfile::NotBuilt)
}
