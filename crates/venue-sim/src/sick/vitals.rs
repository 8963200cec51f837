//! The program's own figures from /proc/self, as a Python client library would export them. Linux only; what cannot be read is left out.

use std::collections::HashSet;
use std::fs;

/// Size of a page: 4 KiB wherever this runs; the simulator only has to look plausible on others.
const PAGE: u64 = 4096;
/// Ticks per second of /proc times.
const TICKS: f64 = 100.0;

/// Figures of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Vitals {
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Virtual memory, bytes.
    pub virtual_bytes: u64,
    /// CPU time used, seconds.
    pub cpu_seconds: f64,
    /// Open descriptors.
    pub open_fds: u64,
    /// TCP sockets in any state.
    pub tcp: u64,
    /// TCP sockets in CLOSE_WAIT.
    pub close_wait: u64,
    /// Start, seconds since 1970.
    pub start_seconds: f64,
}

// === impl Vitals ===

impl Vitals {
    /// Reads them now.
    pub(super) fn read() -> Self {
        let mut vitals = Self::default();
        if let Ok(statm) = fs::read_to_string("/proc/self/statm") {
            let mut pages = statm.split_ascii_whitespace().filter_map(|field| field.parse::<u64>().ok());
            vitals.virtual_bytes = pages.next().unwrap_or_default() * PAGE;
            vitals.resident_bytes = pages.next().unwrap_or_default() * PAGE;
        }
        if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
            vitals.read_stat(&stat);
        }
        vitals.read_descriptors();
        vitals
    }

    fn read_stat(&mut self, stat: &str) {
        // Fields are counted behind the last bracket: the name may hold blanks and brackets.
        let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
        let number = |at: usize| fields.get(at - 3).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default() as f64;
        self.cpu_seconds = (number(14) + number(15)) / TICKS;
        self.start_seconds = boot_seconds() + number(22) / TICKS;
    }

    fn read_descriptors(&mut self) {
        let links = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        let mut sockets = HashSet::new();
        for link in links {
            self.open_fds += 1;
            let name = link.to_string_lossy();
            if let Some(inode) = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
                sockets.insert(inode.to_owned());
            }
        }
        for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            let text = fs::read_to_string(table).unwrap_or_default();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split_ascii_whitespace().collect();
                if let (Some(&state), Some(&inode)) = (fields.get(3), fields.get(9))
                    && sockets.contains(inode)
                {
                    self.tcp += 1;
                    self.close_wait += u64::from(state == "08");
                }
            }
        }
    }
}

fn boot_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let before = Vitals::read();
        assert!(before.resident_bytes > 1 << 20 && before.open_fds > 2 && before.start_seconds > 1.6e9, "{before:?}");
        let _listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert!(Vitals::read().tcp >= 1);
    }
}
