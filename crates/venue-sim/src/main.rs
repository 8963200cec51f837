//! venue-sim

fn main() {}
