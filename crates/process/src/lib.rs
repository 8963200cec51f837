//! process
#![forbid(unsafe_code)]
