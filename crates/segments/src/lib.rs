//! segments
#![forbid(unsafe_code)]
