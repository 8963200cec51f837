//! Measurements of both programs, side by side with a peer in the same run on the same machine.
//!
//! `make bench` builds the release binaries and runs all of it; a name runs one: `cargo run --release -p bench -- watchdog`.
//! `make soak` keeps the collector between faults for as long as is wanted.
//! Figures are what /proc says of the processes; what counts are ratios within one run.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "figures are printed")]

mod calls;
mod collector;
mod engine;
mod nats;
mod page;
mod parser;
mod pipeline;
mod process;
mod recorder;
mod soak;
mod storage;
mod venue;
mod watchdog;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// RSS and CPU of the collector under depth messages.
    Collector,
    /// CPU and memory per message beside cryptofeed and barter-data, published to a real JetStream.
    Pipeline,
    /// System calls by stage and allocations of the collector per message; needs `perf`, and so no part of all.
    Calls,
    /// Venue's write to subscriber of NATS.
    Latency,
    /// CPU and memory at the venues' real pace.
    Pace,
    /// Bytes of records before and after packing, by kind and level of gzip, and what recording costs.
    Recorder,
    /// How long books are out of step after each kind of fault.
    Recovery,
    /// What an evaluation of rules costs.
    Rules,
    /// What reading a page of metrics costs, beside prometheus-parse.
    Parser,
    /// RSS and CPU of the watchdog beside a real Prometheus.
    Watchdog,
    /// RSS and answers of the watchdog with a week of series on disk.
    Storage,
    /// Minutes or hours of storms, faults and restarts around the collector; fails when it does not come back to its base.
    Soak,
    /// All measurements; not the soak, not the calls.
    All,
}

/// Measures the release binaries.
#[derive(Debug, Parser)]
struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    subject: Subject,
    /// Directory with collector, watchdog and venue-sim
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Directory with the real prometheus
    #[arg(long, default_value = "target/tools/bin")]
    tools: PathBuf,
    /// Directory with the peers that `make bench-peers` builds
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
    /// Directory with recorded frames, for `recorder`; without them it packs what the fake venues send
    #[arg(long, default_value = "../shared/recordings")]
    recordings: PathBuf,
    /// Tables of `watchdog`; all when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    table: Vec<watchdog::Table>,
    /// Clients of `pipeline`; all when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    client: Vec<pipeline::Client>,
    /// Shapes of `pipeline`; all when none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    shape: Vec<pipeline::Shape>,
    /// Messages of the pipeline at full speed
    #[arg(long, default_value_t = 2_000_000)]
    messages: u64,
    /// Seconds of each measurement, after the warm-up
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Minutes of the soak
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Exchanges of the soak
    #[arg(long, value_delimiter = ',', default_value = "binance,okx,deribit")]
    exchanges: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let bin_dir = args.bin_dir.canonicalize()?;
    let length = Duration::from_secs(args.seconds);
    if args.subject == Subject::Soak {
        let length = Duration::from_secs(args.minutes * 60);
        return soak::run(&soak::Plan { bin_dir: &bin_dir, tools: &args.tools, length, exchanges: &args.exchanges });
    }
    if matches!(args.subject, Subject::Collector | Subject::All) {
        collector::run(&bin_dir, length)?;
    }
    let places = pipeline::Places { bin_dir: &bin_dir, tools: &args.tools, peers: &args.peers };
    if matches!(args.subject, Subject::Pipeline | Subject::All) {
        pipeline::run(places, args.messages, (&args.client, &args.shape));
    }
    if args.subject == Subject::Calls {
        calls::run(places, args.messages)?;
    }
    if matches!(args.subject, Subject::Latency | Subject::All) {
        pipeline::latency(places, length)?;
    }
    if matches!(args.subject, Subject::Pace | Subject::All) {
        collector::at_real_pace(&bin_dir, &args.tools, length)?;
    }
    if matches!(args.subject, Subject::Recorder | Subject::All) {
        recorder::run(&bin_dir, &args.tools, (&args.recordings, length))?;
    }
    if matches!(args.subject, Subject::Recovery | Subject::All) {
        soak::recovery::run(&soak::Plan { bin_dir: &bin_dir, tools: &args.tools, length, exchanges: &args.exchanges })?;
    }
    if matches!(args.subject, Subject::Rules | Subject::All) {
        engine::run()?;
    }
    if matches!(args.subject, Subject::Parser | Subject::All) {
        parser::run()?;
    }
    if matches!(args.subject, Subject::Watchdog | Subject::All) {
        watchdog::run(&bin_dir, &args.tools, length, &args.table)?;
    }
    if matches!(args.subject, Subject::Storage | Subject::All) {
        storage::run(&bin_dir, length)?;
    }
    Ok(())
}
