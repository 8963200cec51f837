//! One look at one process: its files become a [`Look`]; what may not be read is `None`.

use process::Look;
use process::descriptors::Descriptors;
use process::limits::max_open_files;
use process::sockets::SocketCounts;
use process::stat::Stat;
use process::status::Status;

use super::host::read_proc;

/// Descriptors read at most; above, the kinds and sockets are left out and the count alone is told.
const LINKS_MAX: u64 = 200_000;

/// Looks at the process. The counts are cheap at any size; the links cost about 1.2 µs each, the socket table about 1.2 ms (measured, docs).
pub fn look_at(pid: u32) -> Look {
    let glance = glance_at(pid);
    let descriptors = if glance.open_fds.is_some_and(|open| open > LINKS_MAX) { None } else { links(pid) };
    let sockets = descriptors.as_ref().and_then(|held| sockets(pid, held));
    Look { descriptors, sockets, ..glance }
}

/// The figures that cost next to nothing at any size: no links, and not the kernel's table of all sockets, which costs more than everything else together.
pub fn glance_at(pid: u32) -> Look {
    Look {
        stat: read_proc(pid, "stat").and_then(|text| Stat::parse(&text).ok()),
        status: read_proc(pid, "status").map(|text| Status::parse(&text)),
        open_fds: count_fds(pid).or_else(|| links(pid).as_ref().map(Descriptors::total)),
        max_fds: read_proc(pid, "limits").and_then(|text| max_open_files(&text)),
        ..Look::default()
    }
}

/// The size of `/proc/PID/fd` is the number of descriptors (Linux 6.2; 0 before), and may be read without any privilege.
fn count_fds(pid: u32) -> Option<u64> {
    let size = std::fs::metadata(format!("/proc/{pid}/fd")).ok()?.len();
    (size > 0).then_some(size)
}

/// Every descriptor by its link; one that closes meanwhile is skipped.
pub(super) fn links(pid: u32) -> Option<Descriptors> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut found = Descriptors::default();
    let mut denied = false;
    for entry in entries.flatten() {
        match std::fs::read_link(entry.path()) {
            Ok(link) => found.add(&link.to_string_lossy()),
            Err(error) => denied |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    (!denied).then_some(found)
}

fn sockets(pid: u32, held: &Descriptors) -> Option<SocketCounts> {
    let mut counts = SocketCounts::default();
    counts.add_table(&read_proc(pid, "net/tcp")?, held);
    if let Some(table) = read_proc(pid, "net/tcp6") {
        counts.add_table(&table, held);
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use process::sockets::TcpState;

    use super::*;

    #[test]
    fn we_see_ourselves_as_we_are() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let look = look_at(std::process::id());
        assert!(look.is_alive());
        assert!(look.status.unwrap().rss_bytes.unwrap() > 100_000);
        assert!(look.open_fds.unwrap() >= 3);
        assert!(look.sockets.unwrap().get(TcpState::Listen) >= 1);
        drop(listener);
    }

    #[test]
    fn nobody_is_an_empty_look() {
        assert_eq!(look_at(u32::MAX), Look::default());
    }
}
