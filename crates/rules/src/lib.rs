//! rules
#![forbid(unsafe_code)]
