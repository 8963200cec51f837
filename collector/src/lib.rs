//! The collector: sockets, REST, sinks, disk and HTTP around the core `marketdata`.
//!
//! Owns: threads, I/O, configuration, metrics. Must not know: what makes a book right (that is the core's), the watchdog.
//!
//! # Threads
//!
//! ```text
//! data      one current-thread runtime: a loop per venue (`feed`), which drives the core and offers records to the sinks
//! sink-*    one thread per sink, behind a bounded queue (`sink`)
//! main      HTTP pages, signals, pressure, the order of stopping (`run`, `http`, `pressure`): shares only atomics with the others
//! log       writes lines to standard error (`logging`)
//! ```
//!
//! Entry points: [`run`] for the whole, [`feed::venue_loop`] for the way of a frame, [`config::load`] for the configuration.
#![forbid(unsafe_code)]

pub mod cli;
pub mod clocks;
pub mod conditions;
pub mod config;
pub mod feed;
mod gather;
mod heartbeat;
pub mod http;
pub mod kept_frames;
pub mod logging;
pub mod metrics;
pub mod pressure;
pub mod replay;
mod run;
pub mod signals;
pub mod sink;
pub mod state;
pub mod stream;
mod utc;

pub use run::{Deps, Outcome, RunError, run};

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
