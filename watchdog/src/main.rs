//! watchdog

fn main() {}
