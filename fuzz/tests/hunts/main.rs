//! Every reader of bytes that nobody vouches for: no panic, bounded memory, promises kept.
//!
//! `cargo test -p fuzz` tries some thousand inputs of each; `TIDEMARK_FUZZ_SECONDS=600 cargo test --release -p fuzz exposition` hunts for longer.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod allocator;
mod language;
mod market;
mod page;
mod planted;
mod rule_files;
mod store;

use fuzz::{Gauge, Plan, Target};

const GAUGE: Gauge = Gauge { reset: allocator::reset, peak: allocator::peak };

/// Hunts, and fails with what was found.
fn hunt(target: &Target<'_>, runs: u64) {
    match target.hunt(&Plan::from_environment(runs), GAUGE) {
        Ok(hunted) => println!("{}: {} inputs, {} shapes of answers, at most {} bytes held", target.name, hunted.runs, hunted.shapes, hunted.peak),
        Err(finding) => panic!("{finding}"),
    }
}

/// Seeds that are text.
fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
