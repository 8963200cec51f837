//! The core as a whole, without sockets: recordings, named faults, random fault scripts.
//!
//! `cfg(test)` marks the modules as tests for the lints, which otherwise know only the `#[test]` functions as such.
#[cfg(test)]
mod chained_recordings;
#[cfg(test)]
mod follower;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod market;
#[cfg(test)]
mod pressure;
#[cfg(test)]
mod random_faults;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod wire;
