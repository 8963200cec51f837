//! What the collector says of itself on `/metrics`: cells of atomics, a catalogue of names, the text format.
//!
//! Owns: the registry and its rendering. Must not know: venues, sockets, who reads the page.
//! The data path holds handles ([`Counter`], [`Gauge`], [`Histogram`]) and touches atomics only; the page is rendered from the same cells by another thread.

pub mod catalogue;
mod cells;
pub mod old_names;
pub mod process;
mod registry;
mod structure;
mod text;

pub use catalogue::{Kind, Spec};
pub(crate) use cells::whole;
pub use cells::{Counter, Gauge, Histogram};
pub use registry::{MAX_SERIES_PER_FAMILY, Registry};
pub use structure::{Bound, Size, Structure};
pub use text::CONTENT_TYPE;
