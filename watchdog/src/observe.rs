//! What sources tell the rule engine: samples at a time, and series that ended.
//!
//! Owns: staleness (a series missing from the following look of its source gets a stale marker; Prometheus documentation, "Staleness"), time that never goes
//! back within a source. Must not know: what a sample means.

use std::collections::BTreeSet;

use promql::Sample;
use promql::labels::{Labels, METRIC_NAME};
use rules::Observation;
use tokio::sync::mpsc;

use crate::metrics::{Registry, list};

/// Staleness and time of one source.
#[derive(Debug, Default)]
pub struct Source {
    last_ms: i64,
    /// Series of the last look that carry our time: series with times of their own end by lookback.
    seen: BTreeSet<Labels>,
}

/// A place in the queue to the rule engine.
#[derive(Debug)]
pub struct Room<'a>(mpsc::Permit<'a, Observation>);

/// The way to the rule engine: a bounded queue. A full queue means that the engine is far behind; the observation is dropped and counted, as a missed scrape is.
#[derive(Clone, Debug)]
pub struct Sink {
    to: mpsc::Sender<Observation>,
    metrics: std::sync::Arc<Registry>,
}

// === impl Source ===

impl Source {
    /// The observation of a look at `now_ms`; series that the last look had and this one has not get a stale marker.
    pub fn observe(&mut self, now_ms: i64, samples: Vec<(Labels, f64, Option<i64>)>) -> Observation {
        let at_ms = now_ms.max(self.last_ms.saturating_add(1));
        self.last_ms = at_ms;
        let mut out = Observation { at_ms, ..Observation::default() };
        let mut seen = BTreeSet::new();
        for (labels, v, own_ms) in samples {
            if let Some(t_ms) = own_ms {
                out.stamped.push((labels, Sample { t_ms, v }));
            } else {
                seen.insert(labels.clone());
                out.samples.push((labels, v));
            }
        }
        out.stale = self.seen.difference(&seen).cloned().collect();
        self.seen = seen;
        out
    }

    /// The observation that adds `samples` and ends nothing: a failed look that is not yet taken for the end of the series.
    pub fn observe_partly(&mut self, now_ms: i64, samples: Vec<(Labels, f64, Option<i64>)>) -> Observation {
        let kept = self.seen.clone();
        self.seen.clear();
        let observation = self.observe(now_ms, samples);
        self.seen.extend(kept);
        observation
    }
}

// === impl Sink ===

impl Sink {
    /// A sink and the end that the rule task reads.
    pub fn new(capacity: usize, metrics: std::sync::Arc<Registry>) -> (Self, mpsc::Receiver<Observation>) {
        let (to, from) = mpsc::channel(capacity);
        metrics.set(&list::QUEUE_CAPACITY, &["observations"], capacity as f64);
        (Self { to, metrics }, from)
    }

    /// Hands an observation over.
    pub fn send(&self, observation: Observation) {
        if let Some(room) = self.room() {
            room.send(observation);
        }
    }

    /// A place for one observation, or `None` when the queue is full (counted) or has ended.
    pub fn room(&self) -> Option<Room<'_>> {
        let waiting = self.to.max_capacity().saturating_sub(self.to.capacity());
        self.metrics.set(&list::QUEUE_LENGTH, &["observations"], waiting as f64);
        let permit = self.to.try_reserve();
        if let Err(mpsc::error::TrySendError::Full(())) = &permit {
            self.metrics.add(&list::QUEUE_DROPPED, &["observations"], 1.0);
        }
        permit.ok().map(Room)
    }
}

// === impl Room ===

impl Room<'_> {
    /// Puts the observation there.
    pub fn send(self, observation: Observation) {
        self.0.send(observation);
    }
}

/// The labels of a series of our own making: a metric name on top of a source's labels.
pub fn named(name: &str, labels: &Labels) -> Labels {
    labels.with(METRIC_NAME, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Labels {
        named(name, &Labels::default())
    }

    fn told(observation: &Observation) -> (Vec<&str>, Vec<&str>) {
        (observation.samples.iter().map(|(labels, _)| labels.metric_name()).collect(), observation.stale.iter().map(Labels::metric_name).collect())
    }

    #[test]
    fn a_series_that_is_missing_from_the_next_look_ends() {
        let mut source = Source::default();
        source.observe(1_000, vec![(series("a"), 1.0, None), (series("b"), 2.0, None), (series("own"), 3.0, Some(5))]);
        let next = source.observe(2_000, vec![(series("a"), 1.0, None)]);
        assert_eq!(told(&next), (vec!["a"], vec!["b"]));
        assert_eq!(told(&source.observe(3_000, vec![(series("a"), 1.0, None)])), (vec!["a"], vec![]), "the marker is written once");
    }

    #[test]
    fn time_never_goes_back() {
        let mut source = Source::default();
        source.observe(5_000, vec![(series("a"), 1.0, None)]);
        assert_eq!(source.observe(1_000, vec![]).at_ms, 5_001);
    }

    #[test]
    fn a_failure_that_is_tolerated_ends_nothing_yet() {
        let mut source = Source::default();
        source.observe(1_000, vec![(series("a"), 1.0, None)]);
        assert_eq!(told(&source.observe_partly(2_000, vec![(series("up"), 0.0, None)])), (vec!["up"], vec![]));
        assert_eq!(told(&source.observe(3_000, vec![(series("up"), 0.0, None)])), (vec!["up"], vec!["a"]));
    }
}
