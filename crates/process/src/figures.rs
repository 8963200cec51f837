//! One look at a process, and the `proc_*` samples it yields.
//!
//! Owns: metric names, labels and units of what is seen from outside; rates between two looks. Must not know: the label that names the process (the shell adds
//! `process="…"`), how or when the look was taken. Every part of a look is optional: a file that may not be read is data.
use std::time::Duration;

use crate::descriptors::{Descriptors, Kind};
use crate::identity::Identity;
use crate::limits::Limit;
use crate::sockets::{SocketCounts, TcpState};
use crate::stat::{RunState, Stat};
use crate::status::Status;

/// Constants of the host that turn ticks and pages into seconds and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// This boot.
    pub boot_id: String,
    /// `btime` of `/proc/stat`: boot in unix seconds.
    pub boot_time_s: u64,
    /// Clock ticks a second (100 on Linux).
    pub ticks_per_second: u64,
    /// Bytes a page.
    pub page_bytes: u64,
}

/// What one look found; `None` where a file could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// `/proc/PID/stat`.
    pub stat: Option<Stat>,
    /// `/proc/PID/status`.
    pub status: Option<Status>,
    /// Number of open descriptors, from the size of `/proc/PID/fd` (Linux 6.2) or by counting.
    pub open_fds: Option<u64>,
    /// Soft limit of open files.
    pub max_fds: Option<Limit>,
    /// Descriptors by kind, from the links.
    pub descriptors: Option<Descriptors>,
    /// TCP sockets of the process by state.
    pub sockets: Option<SocketCounts>,
}

/// One sample of a process: the metric name, at most one label besides `process`, the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Metric name.
    pub name: &'static str,
    /// Label name and value.
    pub label: Option<(&'static str, &'static str)>,
    /// Value.
    pub value: f64,
}

/// A metric that a look can yield, for `/metrics` and its documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Metric name.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// What it says, with its unit and its source.
    pub help: &'static str,
}

/// Every metric of this module.
pub const MEANINGS: &[Meaning] = &[
    Meaning { name: "proc_up", kind: "gauge", help: "1 while the process exists (and is no zombie), 0 while none matches" },
    Meaning { name: "proc_resident_memory_bytes", kind: "gauge", help: "resident set, VmRSS of /proc/PID/status" },
    Meaning { name: "proc_anon_bytes", kind: "gauge", help: "anonymous memory, RssAnon of /proc/PID/status: what a leak grows" },
    Meaning { name: "proc_swap_bytes", kind: "gauge", help: "swapped memory, VmSwap of /proc/PID/status" },
    Meaning { name: "proc_virtual_memory_bytes", kind: "gauge", help: "virtual size, field 23 of /proc/PID/stat" },
    Meaning { name: "proc_threads", kind: "gauge", help: "threads" },
    Meaning { name: "proc_cpu_seconds_total", kind: "counter", help: "user and system time" },
    Meaning { name: "proc_start_time_seconds", kind: "gauge", help: "start, unix seconds" },
    Meaning { name: "proc_state", kind: "gauge", help: "1 for the state the process is in, 0 for the others" },
    Meaning { name: "proc_open_fds", kind: "gauge", help: "open descriptors" },
    Meaning { name: "proc_max_fds", kind: "gauge", help: "soft limit of open files; +Inf when unlimited" },
    Meaning { name: "proc_fds", kind: "gauge", help: "open descriptors by kind; absent where the links may not be read" },
    Meaning { name: "proc_sockets", kind: "gauge", help: "TCP sockets by state; absent where the links may not be read" },
];

// === impl Host ===

impl Host {
    /// The identity of the process that `stat` is of.
    pub fn identity(&self, stat: &Stat) -> Identity {
        Identity { boot_id: self.boot_id.clone(), pid: stat.pid, start_ticks: stat.start_ticks }
    }

    /// How long a process with this start has run, `since_boot` after the boot (`CLOCK_BOOTTIME`): a step of the wall clock makes nobody older or younger.
    pub fn age(&self, start_ticks: u64, since_boot: Duration) -> Duration {
        since_boot.saturating_sub(Duration::from_millis(start_ticks.saturating_mul(1000) / self.ticks_per_second.max(1)))
    }
}

// === impl Look ===

impl Look {
    /// The samples of this look. A process that is gone yields `proc_up 0` alone, so that the rest goes stale.
    pub fn figures(&self, host: &Host) -> Vec<Figure> {
        let mut out = vec![plain("proc_up", if self.is_alive() { 1.0 } else { 0.0 })];
        if !self.is_alive() {
            return out;
        }
        if let Some(stat) = &self.stat {
            stat_figures(stat, host, &mut out);
        }
        self.memory_figures(host, &mut out);
        self.descriptor_figures(&mut out);
        out
    }

    /// Whether the look found a process that is not dead already.
    pub fn is_alive(&self) -> bool {
        self.stat.as_ref().is_some_and(|stat| stat.state != Some(RunState::Zombie))
    }

    /// Share of one core used since an earlier look at the same process, `elapsed` ago; `None` when it cannot be told.
    pub fn cpu_ratio_since(&self, before: &Self, elapsed: Duration, host: &Host) -> Option<f64> {
        let (now, then) = (self.stat.as_ref()?, before.stat.as_ref()?);
        if now.pid != then.pid || now.start_ticks != then.start_ticks || elapsed.is_zero() {
            return None;
        }
        let ticks = (now.utime + now.stime).checked_sub(then.utime + then.stime)?;
        Some(ticks as f64 / host.ticks_per_second.max(1) as f64 / elapsed.as_secs_f64())
    }

    /// The resident set is read from `status`, and from the page count of `stat` where `status` may not be read.
    fn memory_figures(&self, host: &Host, out: &mut Vec<Figure>) {
        let status = self.status.unwrap_or_default();
        let from_pages = self.stat.as_ref().map(|stat| stat.rss_pages.saturating_mul(host.page_bytes));
        let sizes = [
            ("proc_resident_memory_bytes", status.rss_bytes.or(from_pages)),
            ("proc_anon_bytes", status.anon_bytes),
            ("proc_swap_bytes", status.swap_bytes),
        ];
        out.extend(sizes.into_iter().filter_map(|(name, bytes)| Some(plain(name, bytes? as f64))));
    }

    fn descriptor_figures(&self, out: &mut Vec<Figure>) {
        if let Some(open) = self.open_fds {
            out.push(plain("proc_open_fds", open as f64));
        }
        if let Some(limit) = self.max_fds {
            out.push(plain("proc_max_fds", if let Limit::At(most) = limit { most as f64 } else { f64::INFINITY }));
        }
        if let Some(found) = &self.descriptors {
            out.extend(Kind::ALL.map(|kind| labelled("proc_fds", ("kind", kind.as_str()), found.count(kind) as f64)));
        }
        if let Some(sockets) = &self.sockets {
            out.extend(TcpState::ALL.map(|state| labelled("proc_sockets", ("state", state.as_str()), sockets.get(state) as f64)));
        }
    }
}

fn stat_figures(stat: &Stat, host: &Host, out: &mut Vec<Figure>) {
    let ticks = host.ticks_per_second.max(1) as f64;
    out.push(plain("proc_cpu_seconds_total", (stat.utime + stat.stime) as f64 / ticks));
    out.push(plain("proc_start_time_seconds", host.boot_time_s as f64 + stat.start_ticks as f64 / ticks));
    out.push(plain("proc_virtual_memory_bytes", stat.vsize_bytes as f64));
    out.push(plain("proc_threads", stat.threads as f64));
    out.extend(RunState::ALL.map(|state| labelled("proc_state", ("state", state.as_str()), if stat.state == Some(state) { 1.0 } else { 0.0 })));
}

fn plain(name: &'static str, value: f64) -> Figure {
    Figure { name, label: None, value }
}

fn labelled(name: &'static str, label: (&'static str, &'static str), value: f64) -> Figure {
    Figure { name, label: Some(label), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host { boot_id: "b".into(), boot_time_s: 1_700_000_000, ticks_per_second: 100, page_bytes: 4096 }
    }

    fn stat(state: RunState, utime: u64) -> Stat {
        Stat { pid: 5, comm: "c".into(), state: Some(state), ppid: 1, utime, stime: 50, threads: 3, start_ticks: 1_000, vsize_bytes: 9, rss_pages: 2 }
    }

    fn value(figures: &[Figure], name: &str, label: Option<&str>) -> Option<f64> {
        figures.iter().find(|figure| figure.name == name && figure.label.map(|(_, value)| value) == label).map(|figure| figure.value)
    }

    #[test]
    fn a_full_look_yields_every_metric_that_is_documented() {
        let mut descriptors = Descriptors::default();
        descriptors.add("socket:[1]");
        let status = Status { rss_bytes: Some(1), anon_bytes: Some(2), swap_bytes: Some(3), ..Status::default() };
        let look = Look {
            stat: Some(stat(RunState::Stopped, 150)),
            status: Some(status),
            open_fds: Some(7),
            max_fds: Some(Limit::Unlimited),
            descriptors: Some(descriptors),
            sockets: Some(SocketCounts::default()),
        };
        let figures = look.figures(&host());
        let mut names: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        names.dedup();
        let mut documented: Vec<&str> = MEANINGS.iter().map(|meaning| meaning.name).collect();
        documented.sort_unstable();
        assert_eq!(names, documented);
        assert_eq!(value(&figures, "proc_state", Some("stopped")), Some(1.0));
        assert_eq!(value(&figures, "proc_state", Some("running")), Some(0.0));
        assert_eq!(value(&figures, "proc_cpu_seconds_total", None), Some(2.0));
        assert_eq!(value(&figures, "proc_start_time_seconds", None), Some(1_700_000_010.0));
        assert_eq!(value(&figures, "proc_max_fds", None), Some(f64::INFINITY));
        assert_eq!(value(&figures, "proc_sockets", Some("CLOSE_WAIT")), Some(0.0));
    }

    #[test]
    fn nothing_and_a_zombie_are_down() {
        for look in [Look::default(), Look { stat: Some(stat(RunState::Zombie, 0)), open_fds: Some(0), ..Look::default() }] {
            assert_eq!(look.figures(&host()), [plain("proc_up", 0.0)]);
        }
    }

    #[test]
    fn what_could_not_be_read_is_absent_not_zero() {
        let look = Look { stat: Some(stat(RunState::Sleeping, 1)), ..Look::default() };
        let figures = look.figures(&host());
        assert_eq!(value(&figures, "proc_up", None), Some(1.0));
        assert!(figures.iter().all(|figure| figure.name != "proc_sockets" && figure.name != "proc_open_fds"));
    }

    #[test]
    fn a_cpu_rate_needs_the_same_process() {
        let before = Look { stat: Some(stat(RunState::Running, 100)), ..Look::default() };
        let mut after = Look { stat: Some(stat(RunState::Running, 300)), ..Look::default() };
        assert_eq!(after.cpu_ratio_since(&before, Duration::from_secs(4), &host()), Some(0.5));
        after.stat.as_mut().unwrap().start_ticks += 1;
        assert_eq!(after.cpu_ratio_since(&before, Duration::from_secs(4), &host()), None);
    }

    #[test]
    fn age_counts_from_the_start_and_never_goes_below_zero() {
        assert_eq!(host().age(1_000, Duration::from_secs(70)), Duration::from_mins(1));
        assert_eq!(host().age(1_000, Duration::from_secs(9)), Duration::ZERO);
    }
}
