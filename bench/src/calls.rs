//! What a message costs in system calls, by stage, and in allocations: counted by `perf trace` and by the collector's own allocator.
//!
//! `perf` slows each call down a little, so that at full speed a call carries somewhat more than it does without. It needs root.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::pipeline::{Client, Places, Rig, Shape, settled};
use crate::process::{Program, get, signal};

/// Messages before counting begins: everything is touched.
const WARM_UP: u64 = 50_000;
/// The collector shows its allocations once a second.
const SHOWN: Duration = Duration::from_millis(1_200);

/// What a system call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Frames,
    Publications,
    Acknowledgements,
    Marks,
    HandOver,
    Waiting,
    Others,
}

/// Of one client and shape, per thousand messages.
struct Counted {
    calls: BTreeMap<Stage, f64>,
    /// None without jemalloc.
    allocations: Option<f64>,
}

/// Prints the table.
pub(crate) fn run(places: Places<'_>, messages: u64) -> Result<()> {
    let mut columns = Vec::new();
    for (name, client) in [("(i)", Client::Conflated), ("(ii)", Client::Delta)] {
        for shape in [Shape::Full, Shape::Paced] {
            columns.push((format!("{name} {}", shape.title()), count(places, (client, shape), shape.of(messages))?));
        }
    }
    println!("calls: system calls of the collector per 1,000 messages, and allocations; {messages} messages at full speed");
    let row = |what: &str, cell: &dyn Fn(&Counted) -> String| {
        let cells: Vec<String> = columns.iter().map(|(_, counted)| format!("{:>16}", cell(counted))).collect();
        println!("  {what:<54}{}", cells.concat());
    };
    let titles: Vec<String> = columns.iter().map(|(title, _)| format!("{title:>16}")).collect();
    println!("  {:<54}{}", "", titles.concat());
    for stage in Stage::ALL {
        row(stage.title(), &|counted| format!("{:.1}", counted.calls.get(&stage).copied().unwrap_or(0.0)));
    }
    row("all of them", &|counted| format!("{:.1}", counted.calls.values().sum::<f64>()));
    row("allocations, of all threads", &|counted| counted.allocations.map_or("not counted".to_owned(), |count| format!("{count:.1}")));
    Ok(())
}

/// Counts while the collector reads so many messages.
fn count(places: Places<'_>, (client, shape): (Client, Shape), messages: u64) -> Result<Counted> {
    let rig = Rig::start(places, client)?;
    rig.venue.send(WARM_UP, shape.pace());
    settled(&rig.collector)?;
    let file = rig.dir.join("calls.txt");
    let mut perf = trace(&rig, &file)?;
    let before = (rig.venue.sent(), allocations(&rig.metrics));
    rig.venue.send(messages, shape.pace());
    settled(&rig.collector)?;
    let after = (allocations(&rig.metrics), rig.venue.sent());
    signal(perf.pid(), "INT")?;
    perf.ended_within(Duration::from_secs(30))?;
    let thousands = (after.1 - before.0) as f64 / 1_000.0;
    let summary = fs::read_to_string(&file).context("perf has written nothing")?;
    let calls = by_stage(&summary).into_iter().map(|(stage, calls)| (stage, calls / thousands)).collect();
    Ok(Counted { calls, allocations: before.1.zip(after.0).map(|(before, after)| (after - before) / thousands) })
}

/// Starts to count the calls of every thread; they are written to the file at the end.
fn trace(rig: &Rig, file: &Path) -> Result<Program> {
    let mut command = Command::new("perf");
    command.args(["trace", "-s", "-p", &rig.collector.pid().to_string(), "-o"]).arg(file);
    let mut perf = Program::start("perf", &rig.dir, &mut command).context("system calls are counted by `perf trace`")?;
    if perf.ended_within(SHOWN)?.is_some() {
        bail!("`perf trace` ended at once: {}", fs::read_to_string(rig.dir.join("perf.log")).unwrap_or_default().trim());
    }
    Ok(perf)
}

/// Allocations of the collector so far, as it shows them.
fn allocations(metrics: &str) -> Option<f64> {
    sleep(SHOWN);
    let page = get(metrics, "/metrics");
    page.lines().find_map(|line| line.strip_prefix("collector_allocations_total ")?.parse().ok())
}

/// The calls in a summary: a head ` data (4711), 11538 events, 54.0%` for each thread, and below it a row for each call: name, count, ….
fn by_stage(summary: &str) -> BTreeMap<Stage, f64> {
    let (mut calls, mut thread) = (BTreeMap::new(), "");
    for line in summary.lines() {
        if let Some((head, _)) = line.split_once(" events, ") {
            thread = head.split_once(" (").map_or("", |(name, _)| name.trim());
            continue;
        }
        let mut words = line.split_whitespace();
        let (Some(call), Some(Ok(count))) = (words.next(), words.next().map(str::parse::<f64>)) else { continue };
        *calls.entry(Stage::of(thread, call)).or_insert(0.0) += count;
    }
    calls
}

// === impl Stage ===

impl Stage {
    const ALL: [Self; 7] = [Self::Frames, Self::Publications, Self::Acknowledgements, Self::Marks, Self::HandOver, Self::Waiting, Self::Others];

    fn of(thread: &str, call: &str) -> Self {
        match (thread, call) {
            ("data", "recvfrom" | "read") => Self::Frames,
            ("data" | "sink-nats", "sendto" | "writev") => Self::Publications,
            ("sink-nats", "recvfrom") => Self::Acknowledgements,
            ("sink-nats", "pwrite64") => Self::Marks,
            ("data" | "sink-nats", "write" | "futex" | "read") => Self::HandOver,
            ("data" | "sink-nats", "epoll_wait" | "clock_nanosleep") => Self::Waiting,
            _ => Self::Others,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Frames => "frames: recvfrom of the data thread",
            Self::Publications => "publications: sendto",
            Self::Acknowledgements => "acknowledgements: recvfrom of the sink's thread",
            Self::Marks => "marks of what a kill would catch: pwrite64",
            Self::HandOver => "one thread calls the other: write, futex",
            Self::Waiting => "waiting: epoll_wait, clock_nanosleep",
            Self::Others => "others: pages, heartbeat, watch over the process",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_by_thread_and_call() {
        let summary = "\n Summary of events:\n\n data (17), 115 events, 54.0%\n\n   syscall            calls  errors  total       min\n                                     (msec)    (msec)\n   --------------- --------  ------ -------- ---------\n   recvfrom            2850      0   151.896     0.021\n   sendto               100      0     1.000     0.021\n\n sink-nats (18), 9 events, 4.0%\n\n   recvfrom              7      0     1.0     0.1\n   sendto                5      0     1.0     0.1\n   mremap                3      0     1.0     0.1\n";
        let expected = [(Stage::Frames, 2850.0), (Stage::Publications, 105.0), (Stage::Acknowledgements, 7.0), (Stage::Others, 3.0)];
        assert_eq!(by_stage(summary), BTreeMap::from(expected));
    }
}
