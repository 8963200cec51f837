//! Delivery to a real NATS server that is killed, paused, full or without JetStream: every accepted record arrives exactly once and in order.
// `cfg(test)` is always true here; it tells clippy that helper functions are test code too.
#![expect(clippy::float_cmp, reason = "metrics compared here are whole numbers")]

#[cfg(test)]
mod access;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod disks;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod lives;
#[cfg(test)]
#[path = "../shared/nats_server.rs"]
mod nats_server;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod program;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tap;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod world;
