//! Where accepted records go: a bounded queue, and behind it a thread of its own for each sink, so that a slow server or disk never reaches the data path.
//!
//! Owns: the record, the [`Sink`] seam, the queue. Must not know: venues, books, how a payload was made.
//! Policy: a record that finds the queue full is refused, by name and counted. A refused book is made up for by a newer state of the same book
//! (conflation comes before acceptance); a refused trade is lost and told. What is accepted is written, or counted as dropped with its reason.

mod deadletter;
mod fading;
mod marks;
pub mod nats;
mod outbox;
mod queue;
pub mod recorder;
pub(crate) mod spool;
mod watermark;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use marketdata::RecordKind;
pub use queue::{Inlet, Outlet, queue};

use crate::metrics::{Counter, Registry, Spec};
use crate::stream::Stream;

/// One message on its way out. Cloning shares the payload.
#[derive(Clone, Debug)]
pub struct Record {
    /// Place of its stream in the table given to the sink.
    pub stream: usize,
    /// Kind of the stream.
    pub kind: RecordKind,
    /// The venue's sequence: update id of a book, id of a trade. With `event_ts_ms` it makes the message id.
    pub sequence: u64,
    /// The venue's event time, unix ms; 0 where the venue gives none.
    pub event_ts_ms: i64,
    /// JSON body.
    pub payload: Bytes,
    /// When it was offered, monotonic.
    pub offered: Duration,
}

/// Why a record was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many records wait as the queue may hold.
    QueueFull,
    /// As many bytes wait as the queue may hold.
    QueueBytes,
    /// The sink has ended.
    Closed,
}

/// The data path's side of a sink. `offer` must return at once; it is called from the loop that reads the sockets.
pub trait Sink: Send {
    /// Name in logs and metric labels.
    fn name(&self) -> &'static str;
    /// Takes the record, or says why not.
    fn offer(&mut self, record: &Record) -> Result<(), Refusal>;
    /// The same, where nobody else wants the record.
    fn offer_whole(&mut self, record: Record) -> Result<(), Refusal> {
        self.offer(&record)
    }
    /// Called after the offers of one turn of the data path: what was offered should leave now, all of it together. Must return at once too.
    fn flush(&mut self) {}
    /// Whether it would rather be offered less for a moment: what it has taken leaves, but more slowly than it comes. Never while nothing leaves:
    /// what stands still must not hold up the reading.
    fn is_pressed(&self) -> bool {
        false
    }
}

/// The other side: a thread that writes, and ends when the sink is dropped and its queue is empty.
#[derive(Debug)]
pub struct Worker {
    /// The sink's name.
    pub name: &'static str,
    /// Resolves when everything accepted is written or counted.
    pub done: tokio::sync::oneshot::Receiver<()>,
    /// The thread itself.
    pub thread: std::thread::JoinHandle<()>,
}

/// A sink with both its sides.
pub struct Started {
    /// For the data path.
    pub sink: Box<dyn Sink>,
    /// To be awaited at the end; none for a sink that needs no thread.
    pub worker: Option<Worker>,
}

/// A counter of a sink for each kind of record.
#[derive(Debug)]
pub(crate) struct ByKind([Counter; RecordKind::ALL.len()]);

/// The table of streams, by [`Record::stream`].
pub type Streams = Arc<Vec<Stream>>;

// === impl Refusal ===

impl Refusal {
    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::Closed => "closed",
        }
    }
}

// === impl Started ===

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").field("sink", &self.sink.name()).field("worker", &self.worker).finish()
    }
}

// === impl ByKind ===

impl ByKind {
    /// The counters of the family `spec`, whose labels are sink and kind.
    pub(crate) fn new(registry: &Registry, spec: &'static Spec, sink: &str) -> Self {
        Self(RecordKind::ALL.map(|kind| registry.counter(spec, &[sink, kind.as_str()])))
    }

    /// One more of this kind.
    pub(crate) fn inc(&self, kind: RecordKind) {
        if let Some(counter) = self.0.get(kind.index()) {
            counter.inc();
        }
    }
}

// === impl Worker ===

impl Worker {
    /// Starts a named thread that runs `work`.
    pub(crate) fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let (ended, done) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("sink-{name}")).spawn(move || {
            work();
            // Nobody waits any more when the deadline has passed.
            let _nobody_waits = ended.send(());
        })?;
        Ok(Self { name, done, thread })
    }
}
