//! `/proc/PID/status`: `Key:\tvalue` lines (proc(5), "status"). A kernel thread has no `Vm*` lines; an old kernel lacks some keys.
//!
//! Owns: the keys this program uses, each optional. Must not know: which of them an alert reads.

/// The keys of `/proc/PID/status` that are used; sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Effective user id.
    pub euid: Option<u32>,
    /// `VmRSS`: anonymous + file + shared pages in memory.
    pub rss_bytes: Option<u64>,
    /// `RssAnon`: what a leak grows.
    pub anon_bytes: Option<u64>,
    /// `RssFile`.
    pub file_bytes: Option<u64>,
    /// `VmSwap`.
    pub swap_bytes: Option<u64>,
    /// `VmHWM`: the highest resident set so far.
    pub peak_bytes: Option<u64>,
    /// `Threads`.
    pub threads: Option<u64>,
    /// `CoreDumping`: a core is being written; a kill now would lose it.
    pub core_dumping: Option<bool>,
}

// === impl Status ===

impl Status {
    /// Reads what is there; a line that cannot be read counts as absent.
    pub fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match key {
                "Uid" => status.euid = value.split_ascii_whitespace().nth(1).and_then(|uid| uid.parse().ok()),
                "VmRSS" => status.rss_bytes = kibibytes(value),
                "RssAnon" => status.anon_bytes = kibibytes(value),
                "RssFile" => status.file_bytes = kibibytes(value),
                "VmSwap" => status.swap_bytes = kibibytes(value),
                "VmHWM" => status.peak_bytes = kibibytes(value),
                "Threads" => status.threads = value.parse().ok(),
                "CoreDumping" => status.core_dumping = value.parse::<u8>().ok().map(|flag| flag != 0),
                _ => {}
            }
        }
        status
    }
}

/// `1234 kB` in bytes; the kernel's "kB" is 1024 bytes.
fn kibibytes(value: &str) -> Option<u64> {
    let number: u64 = value.strip_suffix("kB")?.trim_end().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_bytes_and_what_is_missing_stays_unknown() {
        let text = "Name:\tfeed\nUid:\t10001\t10002\t10001\t10001\nVmHWM:\t   90000 kB\nVmRSS:\t   61284 kB\nRssAnon:\t   40000 kB\nThreads:\t9\nCoreDumping:\t1\n";
        let status = Status::parse(text);
        assert_eq!((status.rss_bytes, status.anon_bytes, status.peak_bytes), (Some(61284 * 1024), Some(40000 * 1024), Some(90000 * 1024)));
        assert_eq!((status.euid, status.threads, status.core_dumping), (Some(10002), Some(9), Some(true)));
        assert_eq!((status.swap_bytes, status.file_bytes), (None, None));
    }

    #[test]
    fn a_damaged_line_is_an_absent_line() {
        assert_eq!(Status::parse("VmRSS:\tmany kB\nThreads\nUid:\t1"), Status::default());
    }
}
