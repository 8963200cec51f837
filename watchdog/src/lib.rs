//! The watchdog: scrapes, probes and looks at processes, evaluates rules, routes alerts, tells people, restarts.
//!
//! Owns: sockets, files, clocks, threads, signals. What is decided is in the cores: `rules`, `router`, `process`.
#![deny(unsafe_code)]

pub mod alerting;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod doors;
pub mod findings;
pub mod forward;
pub mod healthcheck;
pub mod http_client;
pub mod inspect;
pub mod itself;
pub mod journal;
pub mod memory;
pub mod metrics;
pub mod observe;
pub mod patterns;
pub mod pidfd;
pub mod prepared;
pub mod probe;
pub mod queries;
pub mod redact;
pub mod reload;
pub mod restarts;
pub mod routing;
pub mod run;
pub mod schedule;
pub mod scrape;
pub mod setup;
pub mod signals;
pub mod sources;
pub mod storage;
pub mod targets;
pub mod views;
pub mod web;
