//! Who a process is, for ever: a pid alone is used again.
//!
//! Owns: the triple and its text form. Must not know: whether the process lives.
use std::fmt;

use serde::{Deserialize, Serialize};

/// Boot, pid and start: no two processes of a host ever share all three.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: start in clock ticks after boot.
    pub start_ticks: u64,
}

impl fmt::Display for Identity {
    /// `pid@ticks/boot`, the boot id cut to its first 8 characters; for logs and messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boot: String = self.boot_id.chars().take(8).collect();
        write!(f, "{}@{}/{boot}", self.pid, self.start_ticks)
    }
}
