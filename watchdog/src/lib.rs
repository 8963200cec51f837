//! The watchdog: scrapes, probes and looks at processes, evaluates rules, routes alerts, tells people, restarts.
//!
//! Owns: sockets, files, clocks, threads, signals. What is decided is in the cores: `rules`, `router`, `process`.
#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod http_client;
pub mod inspect;
pub mod metrics;
pub mod observe;
pub mod pidfd;
pub mod probe;
pub mod restarts;
pub mod schedule;
pub mod scrape;
pub mod web;
