//! The collector's process: nothing but the way into the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use collector::config::Environment;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    collector::cli::main(std::env::args_os(), &Environment::of_process())
}
