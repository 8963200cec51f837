//! The bounded queue between the data path and a sink's thread: bounded in records and in bytes, with its figures as metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use marketdata::RecordKind;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use super::{ByKind, Record, Refusal, Sink};
use crate::config::QueueConfig;
use crate::metrics::{Bound, Gauge, Registry, Structure, catalogue as names};

/// The entrance; a [`Sink`].
#[derive(Debug)]
pub struct Inlet {
    name: &'static str,
    records: mpsc::Sender<Record>,
    level: Arc<Level>,
    accepted: ByKind,
    registry: Arc<Registry>,
}

/// The exit.
#[derive(Debug)]
pub struct Outlet {
    records: mpsc::Receiver<Record>,
    level: Arc<Level>,
}

/// What waits, shared by both ends.
#[derive(Debug)]
struct Level {
    bytes: AtomicUsize,
    bytes_most: usize,
    length_shown: Vec<Gauge>,
    bytes_shown: Gauge,
    size: Structure,
}

/// A queue for the sink `name` within these bounds; one more gauge may show its length.
pub fn queue(name: &'static str, bounds: QueueConfig, registry: &Arc<Registry>, also_shown: Option<Gauge>) -> (Inlet, Outlet) {
    registry.gauge(&names::QUEUE_CAPACITY, &[name]).set_count(bounds.records);
    registry.gauge(&names::QUEUE_BYTES_CAPACITY, &[name]).set_count(bounds.bytes);
    let length_shown = [registry.gauge(&names::QUEUE_LENGTH, &[name])].into_iter().chain(also_shown).collect();
    let bytes_shown = registry.gauge(&names::QUEUE_BYTES, &[name]);
    let size = Structure::register(registry, &format!("queue_{name}"), Bound::Bytes(bounds.bytes));
    let level = Arc::new(Level { bytes: AtomicUsize::new(0), bytes_most: bounds.bytes, length_shown, bytes_shown, size });
    let (sender, receiver) = mpsc::channel(bounds.records);
    let accepted = ByKind::new(registry, &names::SINK_ACCEPTED, name);
    let inlet = Inlet { name, records: sender, level: Arc::clone(&level), accepted, registry: Arc::clone(registry) };
    (inlet, Outlet { records: receiver, level })
}

// === impl Inlet ===

impl Inlet {
    /// Whether there would be room for this record behind those that wait and others, so many and so many bytes, that are to be [`put`](Self::put) before it.
    /// Who has asked this has offered it: a refusal is counted, and so is acceptance.
    pub(crate) fn admit(&self, record: &Record, (others, bytes): (usize, usize)) -> Result<(), Refusal> {
        let waits = self.level.bytes.load(Ordering::Relaxed) + bytes;
        let outcome = if self.records.is_closed() {
            Err(Refusal::Closed)
        } else if waits + record.payload.len() > self.level.bytes_most {
            Err(Refusal::QueueBytes)
        } else if self.records.capacity() <= others {
            Err(Refusal::QueueFull)
        } else {
            Ok(())
        };
        self.counted(record.kind, outcome)
    }

    /// Puts a record in that was [admitted](Self::admit): there is room for it, and it is lost only with the exit.
    pub(crate) fn put(&self, record: &Record) {
        let _lost_with_the_exit = self.try_offer(record);
    }

    /// Bytes of payloads that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.level.bytes.load(Ordering::Relaxed)
    }

    fn counted(&self, kind: RecordKind, outcome: Result<(), Refusal>) -> Result<(), Refusal> {
        match outcome {
            Ok(()) => self.accepted.inc(kind),
            Err(reason) => self.registry.counter(&names::SINK_REFUSED, &[self.name, kind.as_str(), reason.as_str()]).inc(),
        }
        outcome
    }

    fn try_offer(&self, record: &Record) -> Result<(), Refusal> {
        let size = record.payload.len();
        if self.level.bytes.load(Ordering::Relaxed) + size > self.level.bytes_most {
            return Err(Refusal::QueueBytes);
        }
        // Counted before it is sent: the other end may take it, and subtract, at once.
        let bytes = self.level.bytes.fetch_add(size, Ordering::Relaxed) + size;
        match self.records.try_send(record.clone()) {
            Ok(()) => {
                self.level.show(self.records.max_capacity() - self.records.capacity(), bytes);
                Ok(())
            }
            Err(refused) => {
                self.level.bytes.fetch_sub(size, Ordering::Relaxed);
                Err(match refused {
                    TrySendError::Full(_) => Refusal::QueueFull,
                    TrySendError::Closed(_) => Refusal::Closed,
                })
            }
        }
    }
}

impl Sink for Inlet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn offer(&mut self, record: &Record) -> Result<(), Refusal> {
        self.counted(record.kind, self.try_offer(record))
    }
}

// === impl Outlet ===

impl Outlet {
    /// Waits for records and appends up to `most`; `false` when the queue is empty and closed for ever.
    pub async fn take(&mut self, into: &mut Vec<Record>, most: usize) -> bool {
        let taken = self.records.recv_many(into, most).await;
        self.left(into, taken);
        taken > 0
    }

    /// The same from a thread without a runtime.
    pub fn take_blocking(&mut self, into: &mut Vec<Record>, most: usize) -> bool {
        let taken = self.records.blocking_recv_many(into, most);
        self.left(into, taken);
        taken > 0
    }

    /// Appends up to `most` records that are there, without waiting; `false` when the queue is empty and closed for ever.
    pub fn take_ready(&mut self, into: &mut Vec<Record>, most: usize) -> bool {
        let mut taken = 0;
        let goes_on = loop {
            if taken == most {
                break true;
            }
            match self.records.try_recv() {
                Ok(record) => into.push(record),
                Err(TryRecvError::Empty) => break true,
                Err(TryRecvError::Disconnected) => break taken > 0,
            }
            taken += 1;
        };
        if taken > 0 {
            self.left(into, taken);
        }
        goes_on
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of payloads that wait.
    pub fn bytes(&self) -> usize {
        self.level.bytes.load(Ordering::Relaxed)
    }

    /// Whether less than half of the queue is taken.
    pub fn has_room(&self) -> bool {
        self.records.len() < self.records.max_capacity() / 2
    }

    /// Whether the entrance is gone, so that nothing new will come.
    pub fn is_closed(&self) -> bool {
        self.records.is_closed() || self.records.sender_strong_count() == 0
    }

    fn left(&self, into: &[Record], taken: usize) {
        let size: usize = into.iter().rev().take(taken).map(|record| record.payload.len()).sum();
        let bytes = self.level.bytes.fetch_sub(size, Ordering::Relaxed) - size;
        self.level.show(self.records.len(), bytes);
    }
}

// === impl Level ===

impl Level {
    fn show(&self, length: usize, bytes: usize) {
        for gauge in &self.length_shown {
            gauge.set_count(length);
        }
        self.bytes_shown.set_count(bytes);
        self.size.set(length, bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(size: usize) -> Record {
        Record {
            stream: 0,
            kind: RecordKind::Trade,
            sequence: 1,
            event_ts_ms: 1,
            payload: Bytes::from(vec![b'x'; size]),
            offered: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn the_queue_is_bounded_in_records_and_in_bytes_and_each_refusal_has_its_name() {
        let registry = Arc::new(Registry::new());
        let (mut inlet, mut outlet) = queue("test", QueueConfig { records: 3, bytes: 100 }, &registry, None);
        assert_eq!(inlet.offer(&record(60)), Ok(()));
        assert_eq!(inlet.offer(&record(60)), Err(Refusal::QueueBytes));
        assert_eq!(inlet.offer(&record(1)), Ok(()));
        assert_eq!(inlet.offer(&record(1)), Ok(()));
        assert_eq!(inlet.offer(&record(1)), Err(Refusal::QueueFull));
        let mut taken = Vec::new();
        assert!(outlet.take_blocking(&mut taken, 10));
        assert_eq!(taken.len(), 3);
        let page = registry.render();
        for line in [
            "collector_sink_accepted_total{sink=\"test\",kind=\"trade\"} 3",
            "collector_sink_refused_total{sink=\"test\",kind=\"trade\",reason=\"queue_bytes\"} 1",
            "collector_sink_refused_total{sink=\"test\",kind=\"trade\",reason=\"queue_full\"} 1",
            "collector_sink_queue_length{sink=\"test\"} 0",
            "collector_sink_queue_bytes{sink=\"test\"} 0",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        drop(outlet);
        assert_eq!(inlet.offer(&record(1)), Err(Refusal::Closed));
    }

    #[test]
    fn what_is_admitted_has_its_place_kept() {
        let registry = Arc::new(Registry::new());
        let (inlet, mut outlet) = queue("test", QueueConfig { records: 3, bytes: 100 }, &registry, None);
        inlet.put(&record(10));
        assert_eq!(inlet.admit(&record(10), (0, 0)), Ok(()));
        assert_eq!(inlet.admit(&record(10), (1, 10)), Ok(()));
        assert_eq!(inlet.admit(&record(10), (2, 20)), Err(Refusal::QueueFull));
        assert_eq!(inlet.admit(&record(81), (1, 10)), Err(Refusal::QueueBytes));
        inlet.put(&record(10));
        inlet.put(&record(10));
        let mut taken = Vec::new();
        assert!(outlet.take_ready(&mut taken, 10));
        assert_eq!(taken.len(), 3);
        let page = registry.render();
        assert!(page.contains("collector_sink_accepted_total{sink=\"test\",kind=\"trade\"} 2"), "{page}");
        drop(outlet);
        assert_eq!(inlet.admit(&record(1), (0, 0)), Err(Refusal::Closed));
    }

    #[test]
    fn a_closed_queue_is_emptied_before_it_ends() {
        let registry = Arc::new(Registry::new());
        let (mut inlet, mut outlet) = queue("test", QueueConfig { records: 3, bytes: 100 }, &registry, None);
        inlet.offer(&record(1)).unwrap();
        drop(inlet);
        let mut taken = Vec::new();
        assert!(outlet.is_closed() && outlet.take_blocking(&mut taken, 10));
        assert!(!outlet.take_blocking(&mut taken, 10));
        assert_eq!(taken.len(), 1);
    }
}
