//! Pressure: how near the process is to its budget of memory, descriptors and sockets, and what is done about it, step by step. Alarm, never die.
//!
//! Owns: the budget, the levels and their steps, the signs by which the other threads hear of them, the allocator's figures.
//! Must not know: books, sinks, pages; what a step means to them is theirs ([`Controls`]).
//!
//! [`Machine`], [`Trend`], [`Ledger`] and [`Budget`] are pure: figures and the time in, decisions out. [`watch`] looks at `/proc/self` once a
//! second, on the control thread, and carries the decisions out; so pressure is seen and told also while the data loop is stuck.

pub mod allocator;
pub mod budget;
mod controls;
mod level;
mod look;
mod machine;
mod meter;
mod mirrors;
mod suspects;
mod trend;
pub mod watch;

pub use budget::{Allowance, Budget, Origin, Surroundings};
pub use controls::Controls;
pub use level::{Level, Limits, Reason, Resource, Step};
pub use machine::{Decision, Figures, Machine, NamedEvent, Pace};
pub use suspects::{Ledger, Suspicion};
pub use trend::Trend;
