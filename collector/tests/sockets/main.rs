//! The collector as a whole, over real sockets, against simulated venues in the same process.
// `cfg(test)` is always true here; it tells clippy that helper functions are test code too.
#![expect(clippy::float_cmp, reason = "metrics compared here are whole numbers")]

#[cfg(test)]
mod capture;
#[cfg(test)]
mod chained;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod host;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod nats;
#[cfg(test)]
#[path = "../shared/nats_server.rs"]
mod nats_server;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod paused;
#[cfg(test)]
mod place;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod world;
