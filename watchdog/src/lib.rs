//! watchdog
#![forbid(unsafe_code)]

pub mod web;
