//! This host: constants and small reads of /proc.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use process::Host;

/// The id of this boot; empty when the kernel does not tell (then no process of another boot is ever taken for one of this).
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The constants that figures need.
///
/// # Errors
/// When /proc/stat cannot be read or has no boot time.
pub fn read() -> io::Result<Host> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let boot_time_s = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    Ok(Host {
        boot_id: boot_id(),
        boot_time_s: boot_time_s.ok_or_else(|| io::Error::other("/proc/stat has no btime"))?,
        ticks_per_second: rustix::param::clock_ticks_per_second(),
        page_bytes: rustix::param::page_size() as u64,
    })
}

/// How long this host has run, time asleep included.
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A file of a process as text; `None` when it may not be read or the process is gone.
pub fn read_proc(pid: u32, file: &str) -> Option<String> {
    // The kernel tells no size, and most of these files are smaller than a page: read at once.
    let mut bytes = Vec::with_capacity(4096);
    File::open(format!("/proc/{pid}/{file}")).ok()?.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Every process id that /proc lists.
pub fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
