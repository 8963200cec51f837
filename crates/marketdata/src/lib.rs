//! marketdata
#![forbid(unsafe_code)]
