//! Fake venues, inboxes and sick programs, for the demonstration, for tests and for benches.
//!
//! Imports no other crate of the project, so that a misreading of a venue's manual is not shared with the collector. The binary is a thin shell over
//! these functions; tests of other crates start them in their own process:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use venue_sim::venue::config::{FeedConfig, VenueConfig, VenuesConfig, WalkConfig};
//! use venue_sim::{CancellationToken, VenueKind, run_venues};
//!
//! let feed = FeedConfig::Walk(WalkConfig::new(&["BTC-USDT"], 7));
//! let config = VenuesConfig { venues: vec![VenueConfig::new(VenueKind::BinanceSpot, feed)], faults: vec![] };
//! let shutdown = CancellationToken::new();
//! let venues = run_venues(config, shutdown.clone()).await?;
//! println!("{}/ws", venues.addresses()["binance_spot"].ws);
//! shutdown.cancel();
//! venues.stopped().await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod duration;
mod hex_escapes;
pub mod inbox;
mod net;
pub mod port;
pub mod proxy;
pub mod sick;
pub mod tls;
pub mod venue;

pub use tokio_util::sync::CancellationToken;
pub use venue::fault::{FaultKind, FaultSpec};
pub use venue::kind::VenueKind;
pub use venue::{Address, RunningVenues, VenueHandle, run_venues};
