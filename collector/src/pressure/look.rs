//! A cheap look at this process: resident memory, CPU time, descriptors and which of them are sockets.
//!
//! Owns: two descriptors that are opened once, so that a look needs none later, when there may be none left.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{Dir, readlinkat_raw};

/// What a look saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Resident bytes.
    pub(super) resident: Option<u64>,
    /// User and system CPU seconds.
    pub(super) cpu_seconds: Option<f64>,
    /// Open descriptors.
    pub(super) descriptors: Option<u64>,
    /// Those that are sockets.
    pub(super) sockets: Option<u64>,
}

/// The open files of `/proc/self`.
#[derive(Debug)]
pub(super) struct Looker {
    stat: File,
    descriptors: Dir,
}

// === impl Looker ===

impl Looker {
    /// Opens them.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { stat: File::open("/proc/self/stat")?, descriptors: Dir::new(File::open("/proc/self/fd")?)? })
    }

    /// One look; what cannot be read is `None`.
    pub(super) fn look(&mut self) -> Seen {
        let (resident, cpu_seconds) = self.memory_and_cpu().unzip();
        let (descriptors, sockets) = self.count().ok().unzip();
        Seen { resident, cpu_seconds, descriptors, sockets }
    }

    fn memory_and_cpu(&self) -> Option<(u64, f64)> {
        // Over 52 numbers and a name of at most 16 bytes.
        let mut buffer = [0_u8; 2_048];
        let length = self.stat.read_at(&mut buffer, 0).ok()?;
        let reading = crate::metrics::process::parse_stat(std::str::from_utf8(buffer.get(..length)?).ok()?)?;
        Some((reading.resident, reading.cpu_seconds))
    }

    fn count(&mut self) -> io::Result<(u64, u64)> {
        self.descriptors.rewind();
        let (mut all, mut sockets) = (0, 0);
        while let Some(entry) = self.descriptors.read() {
            let entry = entry?;
            if entry.file_name().to_bytes().first().is_none_or(|first| !first.is_ascii_digit()) {
                continue;
            }
            all += 1;
            // `socket:[12345678]`: the beginning says enough.
            let mut target = [0_u8; 8];
            // A descriptor may be closed between the listing and this.
            if readlinkat_raw(self.descriptors.fd()?, entry.file_name(), &mut target).is_ok() && &target == b"socket:[" {
                sockets += 1;
            }
        }
        Ok((all, sockets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_socket_and_a_new_file_are_seen() {
        let mut looker = Looker::new().unwrap();
        let before = looker.look();
        assert!(before.resident.unwrap() > 100_000 && before.cpu_seconds.is_some(), "{before:?}");
        let sockets: Vec<_> = (0..40).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let files: Vec<_> = (0..40).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = looker.look();
        // Other tests of this process open and close some of their own meanwhile.
        assert!(after.sockets.unwrap() >= before.sockets.unwrap() + 20, "{before:?} {after:?}");
        assert!(after.descriptors.unwrap() >= before.descriptors.unwrap() + 60, "{before:?} {after:?}");
        drop((sockets, files));
    }
}
