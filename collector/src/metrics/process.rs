//! The process as `/proc/self` shows it: the `process_*` families and the TCP sockets.
//!
//! Owns: reading and parsing of `/proc/self`. Must not know: who asks, and what a good figure would be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use super::catalogue as names;
use super::{Counter, Gauge, Registry};

/// One reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Resident bytes.
    pub resident: u64,
    /// Virtual bytes.
    pub virtual_size: u64,
    /// User and system CPU seconds.
    pub cpu_seconds: f64,
    /// Start, unix seconds.
    pub start_seconds: f64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub open_fds: usize,
    /// TCP sockets by kernel state name.
    pub tcp: BTreeMap<&'static str, usize>,
    /// The most resident bytes there ever were (VmHWM of `/proc/self/status`).
    pub peak_resident: u64,
    /// Bytes of memory in the machine.
    pub host_memory: u64,
}

/// The handles of the families, and what turns ticks and pages into seconds and bytes.
#[derive(Debug)]
pub struct ProcessMetrics {
    gauges: Vec<(Gauge, Figure)>,
    tcp: Vec<(&'static str, Gauge)>,
    failures: Counter,
    last: Reading,
}

/// What a gauge shows of a reading.
type Figure = fn(&Reading) -> f64;

/// State numbers of `/proc/net/tcp` (include/net/tcp_states.h), by index from 1.
const TCP_STATES: [&str; 11] =
    ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"];

/// Above this much resident memory its proportional part is not asked for: the walk takes 4 s for 200 GB.
const PROPORTIONAL_MOST: u64 = 2 << 30;

// === impl ProcessMetrics ===

impl ProcessMetrics {
    /// Registers the families.
    pub fn new(registry: &Registry) -> Self {
        let gauge = |spec| registry.gauge(spec, &[]);
        let resident: Figure = |r| r.resident as f64;
        let open: Figure = |r| r.open_fds as f64;
        let threads: Figure = |r| r.threads as f64;
        let connections: Figure = |r| r.tcp.iter().filter(|(state, _)| **state != "LISTEN").map(|(_, n)| *n as f64).sum();
        registry.gauge(&names::PROCESS_MAX_FDS, &[]).set(max_fds());
        Self {
            gauges: vec![
                (gauge(&names::PROCESS_RESIDENT), resident),
                (gauge(&names::PROCESS_RSS), resident),
                (gauge(&names::MARKETPRISM_RSS), resident),
                (gauge(&names::MEMORY_PEAK), |r| r.peak_resident as f64),
                (gauge(&names::MEMORY_PERCENT), |r| r.resident as f64 / r.host_memory as f64 * 100.0),
                (gauge(&names::PROCESS_VIRTUAL), |r| r.virtual_size as f64),
                (gauge(&names::PROCESS_CPU), |r| r.cpu_seconds),
                (gauge(&names::PROCESS_START), |r| r.start_seconds),
                (gauge(&names::PROCESS_OPEN_FDS), open),
                (gauge(&names::FILE_DESCRIPTORS), open),
                (gauge(&names::PROCESS_THREADS), threads),
                (gauge(&names::THREAD_COUNT), threads),
                (gauge(&names::TCP_CONNECTIONS), connections),
            ],
            tcp: TCP_STATES.iter().map(|state| (*state, registry.gauge(&names::TCP_CONNECTIONS_COUNT, &[state]))).collect(),
            failures: registry.counter(&names::PROC_READ_FAILURES, &[]),
            last: Reading::default(),
        }
    }

    /// Reads `/proc/self` and sets the cells; what cannot be read keeps its last value and is counted.
    pub fn refresh(&mut self) -> &Reading {
        match Reading::take(&self.last) {
            Ok(reading) => self.last = reading,
            Err(_) => self.failures.inc(),
        }
        for (gauge, value_of) in &self.gauges {
            gauge.set(value_of(&self.last));
        }
        for (state, gauge) in &self.tcp {
            gauge.set_count(self.last.tcp.get(state).copied().unwrap_or(0));
        }
        &self.last
    }
}

// === impl Reading ===

impl Reading {
    fn take(last: &Self) -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let mut reading = parse_stat(&stat).ok_or(io::ErrorKind::InvalidData)?;
        // The start does not change: the system's boot time is read once.
        reading.start_seconds = last.start_seconds;
        if reading.start_seconds == 0.0 {
            reading.start_seconds = start_seconds(&stat, &fs::read_to_string("/proc/stat")?).unwrap_or(0.0);
        }
        reading.peak_resident = peak(&fs::read_to_string("/proc/self/status")?).unwrap_or(reading.resident);
        reading.host_memory = host_memory();
        let sockets = count_descriptors(&mut reading)?;
        for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            // A kernel without IPv6 has no tcp6.
            if let Ok(text) = fs::read_to_string(table) {
                count_states(&text, &sockets, &mut reading.tcp);
            }
        }
        Ok(reading)
    }
}

impl Reading {
    /// Proportional set size in bytes: resident memory, with what is shared counted in parts. Not part of a reading, as the kernel walks all pages for it
    /// and holds up their owner meanwhile; `None` where it may not be read, or where there is so much that the walk would be felt.
    pub fn proportional(&self) -> Option<u64> {
        let rollup = (self.resident < PROPORTIONAL_MOST).then(|| fs::read_to_string("/proc/self/smaps_rollup"))?;
        kibibytes(&rollup.ok()?, "Pss:")
    }
}

fn host_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// `VmHWM:     1234 kB`, in bytes (proc_pid_status(5)).
fn peak(status: &str) -> Option<u64> {
    kibibytes(status, "VmHWM:")
}

/// The line that begins with this word, `Pss:   1234 kB`, in bytes.
fn kibibytes(text: &str, word: &str) -> Option<u64> {
    let kibibytes = text.lines().find_map(|line| line.strip_prefix(word))?.trim().strip_suffix("kB")?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

fn max_fds() -> f64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map_or(f64::INFINITY, |limit| limit as f64)
}

/// The fields after the command name, which may itself hold blanks and parentheses (proc_pid_stat(5)).
fn stat_fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect())
}

/// The figures of `/proc/self/stat`.
pub(crate) fn parse_stat(stat: &str) -> Option<Reading> {
    let fields = stat_fields(stat)?;
    // Field numbers of proc_pid_stat(5), less 3: the first field here is number 3, the state.
    let number = |nth: usize| fields.get(nth - 3).and_then(|field| field.parse::<u64>().ok());
    let ticks = number(14)? + number(15)?;
    Some(Reading {
        cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        threads: number(20)?,
        virtual_size: number(23)?,
        resident: number(24)? * rustix::param::page_size() as u64,
        ..Reading::default()
    })
}

/// Boot time plus the start in ticks since boot (field 22).
fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let ticks: f64 = stat_fields(stat)?.get(22 - 3)?.parse().ok()?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// Counts the open descriptors and returns the inodes of those that are sockets.
fn count_descriptors(reading: &mut Reading) -> io::Result<BTreeSet<u64>> {
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        reading.open_fds += 1;
        let target = fs::read_link(entry?.path()).unwrap_or_default();
        let inode: Option<u64> = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        sockets.extend(inode);
    }
    // The directory itself was open while it was read.
    reading.open_fds = reading.open_fds.saturating_sub(1);
    Ok(sockets)
}

/// Adds the rows of a `/proc/net/tcp` table whose inode is in `ours` (proc_net(5): state is the 4th column, inode the 10th).
fn count_states(table: &str, ours: &BTreeSet<u64>, states: &mut BTreeMap<&'static str, usize>) {
    for row in table.lines().skip(1) {
        let mut columns = row.split_ascii_whitespace();
        let state = columns.nth(3).and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let inode = columns.nth(5).and_then(|text| text.parse::<u64>().ok());
        let name = state.and_then(|n| TCP_STATES.get(n.checked_sub(1)?));
        if let (Some(name), Some(true)) = (name, inode.map(|inode| ours.contains(&inode))) {
            *states.entry(name).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 100 8192 3 0";
        let reading = parse_stat(stat).unwrap();
        assert_eq!((reading.threads, reading.virtual_size), (9, 8192));
        assert_eq!(reading.resident, 3 * rustix::param::page_size() as u64);
        let hertz = rustix::param::clock_ticks_per_second() as f64;
        assert!((reading.cpu_seconds - 300.0 / hertz).abs() < 1e-9);
        assert!((start_seconds(stat, "cpu 1\nbtime 1000\n").unwrap() - (1000.0 + 100.0 / hertz)).abs() < 1e-9);
    }

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    1200 kB\n"), Some(1_228_800));
        assert_eq!(peak("Name:\tx\n"), None);
    }

    #[test]
    fn only_own_sockets_are_counted_by_state() {
        let table = "  sl  local rem st tx rx tr tm retr uid timeout inode\n\
            0: 0100007F:1F97 00000000:0000 0A 0:0 00:0 0 0 0 11 1 x\n\
            1: 0100007F:1F97 0100007F:9999 08 0:0 00:0 0 0 0 12 1 x\n\
            2: 0100007F:1F97 0100007F:9998 08 0:0 00:0 0 0 0 99 1 x\n";
        // Columns between state and inode: queues, timer, retransmits, uid, timeout.
        let mut states = BTreeMap::new();
        count_states(table, &BTreeSet::from([11, 12]), &mut states);
        assert_eq!(states, BTreeMap::from([("LISTEN", 1), ("CLOSE_WAIT", 1)]));
    }

    #[test]
    fn this_process_has_figures_and_its_listener_is_seen() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Registry::new();
        let mut metrics = ProcessMetrics::new(&registry);
        let reading = metrics.refresh().clone();
        assert!(reading.resident > 100_000 && reading.open_fds >= 3 && reading.threads >= 1, "{reading:?}");
        assert!(reading.start_seconds > 1.6e9, "{reading:?}");
        assert!(reading.peak_resident >= reading.resident / 2 && reading.host_memory > reading.resident, "{reading:?}");
        assert!(reading.proportional().is_none_or(|bytes| bytes > 0 && bytes <= reading.resident * 2), "{:?}", reading.proportional());
        assert!(Reading { resident: PROPORTIONAL_MOST, ..Reading::default() }.proportional().is_none());
        assert!(reading.tcp.get("LISTEN").is_some_and(|n| *n >= 1), "{reading:?}");
    }
}
