//! The links in `/proc/PID/fd`: what each descriptor is (proc(5), "fd").
//!
//! Owns: the kinds, the inode in a socket's link. Must not know: what state a socket is in (see [`crate::sockets`]).
use std::collections::BTreeSet;

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `socket:[inode]`
    Socket,
    /// `pipe:[inode]`
    Pipe,
    /// `anon_inode:[eventpoll]`, `eventfd`, `timerfd`, `inotify`, …
    Anonymous,
    /// A path, a device or a deleted file
    File,
}

/// How many descriptors of each kind a process holds, and the inodes of its sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    counts: [u64; 4],
    sockets: BTreeSet<u64>,
}

// === impl Kind ===

impl Kind {
    /// Every kind, in the order of the metric's label values.
    pub const ALL: [Self; 4] = [Self::Socket, Self::Pipe, Self::Anonymous, Self::File];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::Anonymous => "anon_inode",
            Self::File => "file",
        }
    }

    /// The kind of a link's text.
    pub fn of_link(link: &str) -> Self {
        match link.split_once(':') {
            Some(("socket", _)) => Self::Socket,
            Some(("pipe", _)) => Self::Pipe,
            Some(("anon_inode", _)) => Self::Anonymous,
            _ => Self::File,
        }
    }
}

// === impl Descriptors ===

impl Descriptors {
    /// Counts one descriptor by the text of its link.
    pub fn add(&mut self, link: &str) {
        let kind = Kind::of_link(link);
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
        }
        if let Some(inode) = socket_inode(link) {
            self.sockets.insert(inode);
        }
    }

    /// How many of this kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether the process holds the socket with this inode.
    pub fn holds_socket(&self, inode: u64) -> bool {
        self.sockets.contains(&inode)
    }
}

/// The inode in `socket:[inode]`.
pub fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_has_a_kind_and_sockets_keep_their_inode() {
        let mut found = Descriptors::default();
        for link in ["socket:[91]", "socket:[92]", "pipe:[7]", "anon_inode:[eventpoll]", "/var/log/a:b (deleted)", "/dev/null", "socket:[x]"] {
            found.add(link);
        }
        assert_eq!(Kind::ALL.map(|kind| found.count(kind)), [3, 1, 1, 2]);
        assert_eq!(found.total(), 7);
        assert!(found.holds_socket(91) && found.holds_socket(92) && !found.holds_socket(7));
    }
}
