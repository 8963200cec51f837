//! collector

fn main() {}
