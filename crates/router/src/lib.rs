//! router
#![forbid(unsafe_code)]
