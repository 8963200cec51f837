//! The real program with real processes, sockets, signals and a real disk.

mod config_errors;
mod kills;
mod reloads;
mod restarts;
mod robot;
mod stage;
mod watching;
