//! The core as a whole, without sockets: recordings, named faults, random fault scripts.
mod frames;
mod market;
mod random_faults;
mod recordings;
mod scenarios;
mod simulation;
