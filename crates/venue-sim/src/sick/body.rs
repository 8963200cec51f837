//! The body that carries the ailments: real pages, real descriptors, real half-closed sockets, a real busy thread, each up to its cap.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Caps;
use super::orders::Symptoms;

const MIB: f64 = 1_048_576.0;
/// Most that one beat leaks, whatever the rate is.
const BEAT_BYTES_MAX: f64 = 64.0 * MIB;
const BEAT_FDS_MAX: f64 = 256.0;

/// What the program carries.
#[derive(Debug)]
pub(super) struct Body {
    caps: Caps,
    memory: Vec<Vec<u8>>,
    memory_bytes: usize,
    bytes_owed: f64,
    files: Vec<File>,
    files_owed: f64,
    peer: TcpListener,
    peer_address: SocketAddr,
    close_wait: Vec<TcpStream>,
    spinning: Option<Arc<AtomicBool>>,
}

/// How much of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Burden {
    /// Leaked memory, bytes.
    pub memory_bytes: usize,
    /// Leaked descriptors.
    pub fds: usize,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: usize,
    /// A thread spins.
    pub spinning: bool,
}

// === impl Body ===

impl Body {
    /// A healthy body. It opens the listener that will be the closing peer of its own sockets.
    pub(super) fn new(caps: Caps) -> Result<Self> {
        let peer = TcpListener::bind(("127.0.0.1", 0)).context("a listener for the CLOSE_WAIT peers")?;
        let peer_address = peer.local_addr()?;
        let (memory, files, close_wait) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { caps, memory, memory_bytes: 0, bytes_owed: 0.0, files, files_owed: 0.0, peer, peer_address, close_wait, spinning: None })
    }

    /// Lets everything grow by one beat.
    pub(super) fn beat(&mut self, symptoms: &Symptoms, beat: Duration) {
        self.bytes_owed += (symptoms.leak_memory_mb_per_s * MIB * beat.as_secs_f64()).min(BEAT_BYTES_MAX);
        self.files_owed += (symptoms.leak_fds_per_s * beat.as_secs_f64()).min(BEAT_FDS_MAX);
        self.leak_memory();
        self.leak_files();
        self.hold_close_wait(symptoms.close_wait.min(self.caps.close_wait));
    }

    /// Starts or stops the busy thread.
    pub(super) fn spin(&mut self, wanted: bool) {
        if wanted && self.spinning.is_none() {
            let goes_on = Arc::new(AtomicBool::new(true));
            let flag = Arc::clone(&goes_on);
            std::thread::spawn(move || {
                while flag.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            self.spinning = Some(goes_on);
        } else if !wanted && let Some(flag) = self.spinning.take() {
            flag.store(false, Ordering::Relaxed);
        }
    }

    /// Gives everything back.
    pub(super) fn heal(&mut self) {
        self.memory = Vec::new();
        self.files.clear();
        self.close_wait.clear();
        (self.memory_bytes, self.bytes_owed, self.files_owed) = (0, 0.0, 0.0);
        self.spin(false);
    }

    /// How much of each.
    pub(super) fn burden(&self) -> Burden {
        let (memory_bytes, fds, close_wait) = (self.memory_bytes, self.files.len(), self.close_wait.len());
        Burden { memory_bytes, fds, close_wait, spinning: self.spinning.is_some() }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "owed bytes are at least 0 and at most the beat's bound")]
    fn leak_memory(&mut self) {
        let cap = self.caps.memory_mb << 20;
        let bytes = (self.bytes_owed as usize).min(cap.saturating_sub(self.memory_bytes));
        if bytes == 0 {
            self.bytes_owed = self.bytes_owed.min(BEAT_BYTES_MAX);
            return;
        }
        self.bytes_owed = (self.bytes_owed - bytes as f64).min(BEAT_BYTES_MAX);
        // Written, so that the pages are resident.
        self.memory.push(vec![0xA5; bytes]);
        self.memory_bytes += bytes;
    }

    fn leak_files(&mut self) {
        while self.files_owed >= 1.0 {
            self.files_owed -= 1.0;
            if self.files.len() < self.caps.fds
                && let Ok(file) = File::open("/dev/null")
            {
                self.files.push(file);
            }
        }
    }

    /// A socket whose peer has closed and which is not closed here is in CLOSE_WAIT for as long as it is kept.
    fn hold_close_wait(&mut self, wanted: usize) {
        self.close_wait.truncate(wanted);
        while self.close_wait.len() < wanted {
            let Ok(socket) = TcpStream::connect(self.peer_address) else { return };
            // The accepted end is dropped at once: that is the peer's close.
            if self.peer.accept().is_err() {
                return;
            }
            self.close_wait.push(socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ailments_grow_to_their_caps_and_heal() {
        let mut body = Body::new(Caps { memory_mb: 3, fds: 4, close_wait: 2 }).unwrap();
        let symptoms = Symptoms { leak_memory_mb_per_s: 10.0, leak_fds_per_s: 25.0, close_wait: 9, ..Symptoms::default() };
        body.beat(&symptoms, Duration::from_millis(100));
        assert_eq!(body.burden(), Burden { memory_bytes: 1 << 20, fds: 2, close_wait: 2, spinning: false });
        for _ in 0..9 {
            body.beat(&symptoms, Duration::from_millis(100));
        }
        assert_eq!(body.burden(), Burden { memory_bytes: 3 << 20, fds: 4, close_wait: 2, spinning: false });
        body.heal();
        assert_eq!(body.burden(), Burden { memory_bytes: 0, fds: 0, close_wait: 0, spinning: false });
    }
}
