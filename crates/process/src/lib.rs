//! A process seen from outside: text of `/proc` to figures, figures to `proc_*` samples, which process is meant, and when and how to restart it.
//!
//! Owns: the meaning of the kernel's text (proc(5)), process identity, matching, the restart arbiter with its guards and its ladder.
//! Must not know: files, clocks, signals, sockets; a shell reads and acts, this crate is told and decides.
//! Verdicts over time (leak, hang) get their own module beside [`figures`]; they read [`figures::Look`]s and never text.
#![forbid(unsafe_code)]

pub mod descriptors;
pub mod figures;
pub mod identity;
pub mod limits;
pub mod matching;
pub mod restart;
pub mod sockets;
pub mod stat;
pub mod status;

pub use figures::{Figure, Host, Look};
pub use identity::Identity;
