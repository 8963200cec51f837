//! Measurements of both programs, side by side with a peer in the same run.
#![forbid(unsafe_code)]

fn main() {}
