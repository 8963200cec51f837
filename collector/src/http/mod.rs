//! The HTTP pages: `/metrics`, `/health` and `/debug` with their like, on the control thread, which shares only atomics with the data path.
//!
//! Owns: listeners, connections, pages. Must not know: how data is collected.

pub(crate) mod body;
pub mod debug;
pub mod health;
mod pages;
pub mod ports;
mod reserve;
mod server;

pub use pages::Pages;
pub use ports::Listeners;
pub use server::serve;
