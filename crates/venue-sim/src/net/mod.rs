//! Listeners for servers that must be able to misbehave.

mod breakable;

pub(crate) use breakable::{BreakHandle, BreakableListener};
