//! Small messages of the program itself, as its heartbeat, over the sink's connection: core NATS, best effort, never waited for.
//! Must not know: records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Messages that may wait.
const CAPACITY: usize = 64;

/// The sender's side. Cloning shares it.
#[derive(Clone, Debug)]
pub struct CoreOut {
    messages: mpsc::Sender<(String, Bytes)>,
    connected: Arc<AtomicBool>,
}

/// The sink's side.
#[derive(Debug)]
pub(super) struct CoreIn {
    pub(super) messages: mpsc::Receiver<(String, Bytes)>,
    connected: Arc<AtomicBool>,
}

/// Both sides.
pub(super) fn core_out() -> (CoreOut, CoreIn) {
    let (sender, messages) = mpsc::channel(CAPACITY);
    let connected = Arc::new(AtomicBool::new(false));
    (CoreOut { messages: sender, connected: Arc::clone(&connected) }, CoreIn { messages, connected })
}

// === impl CoreOut ===

impl CoreOut {
    /// Hands a message over; `false` when there is no connection, or too many messages wait.
    pub fn try_publish(&self, subject: String, body: Bytes) -> bool {
        self.connected.load(Ordering::Relaxed) && self.messages.try_send((subject, body)).is_ok()
    }
}

// === impl CoreIn ===

impl CoreIn {
    /// Whether there is a connection now; without one, what waits is dropped.
    pub(super) fn connected(&mut self, is_connected: bool) {
        self.connected.store(is_connected, Ordering::Relaxed);
        while !is_connected && self.messages.try_recv().is_ok() {}
    }
}
