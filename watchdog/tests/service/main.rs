//! The real program with real processes, sockets, signals and a real disk.
// Always true here; it tells clippy that helper functions are test code too.
#![cfg(test)]

mod config_errors;
mod disk;
mod forwarding;
mod kills;
mod queries;
mod reloads;
mod restarts;
mod robot;
mod scraping;
mod stage;
mod storage;
mod watching;
