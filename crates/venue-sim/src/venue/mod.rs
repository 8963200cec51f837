//! Fake venues on loopback: real WebSocket and HTTP, the venues' own messages, limits and faults.
//!
//! The way of the data: a feed ([`replay`], [`walk`]) → [`market`] (the true book, the depth streams) → [`fault`] → [`engine`] → [`connection`].
//! What venues have in common is here; what only one does is in [`binance`], [`okx`] and [`deribit`].

mod binance;
pub mod book;
pub mod config;
mod connection;
mod deal;
mod deribit;
pub mod engine;
pub mod fault;
mod frames;
mod front;
mod happening;
mod http;
pub mod kind;
mod market;
mod okx;
mod path;
mod preset;
mod recording;
mod replay;
mod rng;
mod run;
mod session;
mod walk;
pub mod wire;

pub use run::{Address, RunningVenues, VenueHandle, run_venues};
