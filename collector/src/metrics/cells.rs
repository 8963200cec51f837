//! The cells behind the series: one or a few atomics each, shared between the writer and the page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows. Cloning shares the cell.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A number that is set. Cloning shares the cell.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// Observations counted into buckets. Cloning shares the cells.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper bounds, rising, without +Inf.
    bounds: &'static [f64],
    /// One count per bound and one for +Inf, each not cumulative.
    counts: Vec<AtomicU64>,
    /// Bits of the f64 sum.
    sum: AtomicU64,
}

/// A figure that was set from a count, as the count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and a count is neither negative nor broken"
)]
pub(crate) const fn whole(value: f64) -> u64 {
    value as u64
}

// === impl Counter ===

impl Counter {
    /// Handles of this cell, the list's own included.
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Gauge ===

impl Gauge {
    /// Handles of this cell, the list's own included.
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// The value from now on.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The value from now on, from a count (exact up to 2^53).
    pub fn set_count(&self, value: usize) {
        self.set(value as f64);
    }

    /// The value last set, 0 before.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

// === impl Histogram ===

impl Histogram {
    /// Handles of this cell, the list's own included.
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let at = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _previous = self.0.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Counts one duration, in seconds.
    pub fn observe_duration(&self, value: Duration) {
        self.observe(value.as_secs_f64());
    }

    /// Bounds with cumulative counts, the last bound infinite.
    pub(super) fn cumulative(&self) -> Vec<(f64, u64)> {
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let mut total = 0;
        bounds
            .zip(&self.0.counts)
            .map(|(bound, count)| {
                total += count.load(Ordering::Relaxed);
                (bound, total)
            })
            .collect()
    }

    /// Heap bytes behind the handle.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Buckets>() + 16 + self.0.counts.len() * size_of::<AtomicU64>()
    }

    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Ordering::Relaxed))
    }
}
