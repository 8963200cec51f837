//! What is seen of the collector at one moment: /proc from outside, `/metrics` from inside.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Result;

use crate::process;

/// Head of the table.
pub(crate) const HEADER: &str = "     t    RSS MB  peak MB   fds  sockets  threads  tasks  series  symbol series  books  messages/s  done";

/// One look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Memory and CPU.
    pub(crate) process: process::Look,
    /// Descriptors.
    pub(crate) descriptors: usize,
    /// Those that are sockets.
    pub(crate) sockets: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// What the page says.
    pub(crate) tally: Tally,
}

/// The metrics page in figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Sample lines.
    pub(crate) series: usize,
    /// Those with a symbol or a subject.
    pub(crate) of_symbols: usize,
    /// Books that are proven equal to the venue's.
    pub(crate) books_in_step: usize,
    /// Tasks alive, over all runtimes.
    pub(crate) tasks: f64,
    /// Messages received since the start.
    pub(crate) messages: f64,
    /// Loops that panicked.
    pub(crate) panics: f64,
    /// Entries of the collector's own structures.
    pub(crate) structures: BTreeMap<String, f64>,
    /// Records in the spool.
    pub(crate) spooled: f64,
    /// Whether NATS is connected.
    pub(crate) nats_connected: f64,
    /// Records refused or dropped, over all sinks.
    pub(crate) lost: f64,
}

/// A counter's rate between two rows.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: (Duration, f64),
}

// === impl Meter ===

impl Meter {
    /// The rate since the last call.
    pub(crate) fn rate(&mut self, at: Duration, count: f64) -> f64 {
        let (then, before) = std::mem::replace(&mut self.last, (at, count));
        let seconds = at.saturating_sub(then).as_secs_f64();
        if seconds < 0.5 { 0.0 } else { (count - before).max(0.0) / seconds }
    }
}

// === impl Look ===

impl Look {
    /// A look at a process.
    pub(crate) fn of(pid: u32, process: process::Look, tally: Tally) -> Result<Self> {
        let links: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        let sockets = links.iter().filter(|link| link.to_string_lossy().starts_with("socket:")).count();
        let threads = fs::read_dir(format!("/proc/{pid}/task"))?.count();
        Ok(Self { process, descriptors: links.len(), sockets, threads, tally })
    }

    /// Its row of the table.
    pub(crate) fn row(&self, at: Duration, messages_per_second: f64, done: &str) -> String {
        let Self { process, descriptors, sockets, threads, tally } = self;
        let seconds = at.as_secs();
        format!(
            "{:>3}:{:02}  {:>8.1} {:>8.1} {descriptors:>5} {sockets:>8} {threads:>8} {:>6.0} {:>7} {:>14} {:>6} {messages_per_second:>11.0}  {done}",
            seconds / 60,
            seconds % 60,
            process.rss_mb,
            process.peak_mb,
            tally.tasks,
            tally.series,
            tally.of_symbols,
            tally.books_in_step,
        )
    }
}

// === impl Tally ===

impl Tally {
    /// Reads a metrics page; one that did not come is all zeros.
    pub(crate) fn read(page: &str) -> Self {
        let mut tally = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ').and_then(|(series, value)| Some((series, value.parse::<f64>().ok()?))) else {
                continue;
            };
            let name = series.split('{').next().unwrap_or_default();
            tally.series += 1;
            tally.of_symbols += usize::from(series.contains("symbol=\"") || series.contains("subject=\""));
            match name {
                "marketprism_orderbook_sync_status" => tally.books_in_step += usize::from(value > 0.0),
                "collector_tasks" => tally.tasks += value,
                "marketprism_websocket_messages_received_total" => tally.messages += value,
                "collector_spool_records" => tally.spooled += value,
                "marketprism_nats_connected" => tally.nats_connected += value,
                "collector_task_panics_total" => tally.panics += value,
                "collector_sink_dropped_total" | "collector_sink_refused_total" => tally.lost += value,
                "collector_structure_length" => {
                    tally.structures.insert(series.to_owned(), value);
                }
                _ => {}
            }
        }
        tally
    }
}
