//! All series of the process, readable without a lock.
//!
//! Registration copies the family's list and swaps it in (rare: at start, and for a reason seen for the first time), so the page is rendered
//! from an immutable list even while the data path is stuck.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::catalogue::{self, Kind, Spec};
use super::cells::{Counter, Gauge, Histogram};
use super::text;

/// Series a family may have; further ones are counted in `collector_metric_series_refused_total` and not shown.
pub const MAX_SERIES_PER_FAMILY: usize = 2_000;

/// The catalogue's families with their series.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Family>,
    refused: Counter,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) spec: &'static Spec,
    pub(super) series: ArcSwap<Vec<Arc<Series>>>,
}

#[derive(Debug)]
pub(super) struct Series {
    /// As it stands between the braces: `exchange="binance",kind="trade"`.
    pub(super) labels: String,
    pub(super) cell: Cell,
}

#[derive(Clone, Debug)]
pub(super) enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

// === impl Registry ===

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Every family of the catalogue, without series.
    pub fn new() -> Self {
        let families = catalogue::ALL.iter().map(|spec| Family { spec, series: ArcSwap::default() }).collect();
        let registry = Self { families, refused: Counter::default() };
        registry.register(&catalogue::METRIC_SERIES_REFUSED, &[], || Cell::Counter(registry.refused.clone()));
        registry
    }

    /// The counter `spec` with these label values, in the order of the catalogue; made if it is new.
    pub fn counter(&self, spec: &'static Spec, values: &[&str]) -> Counter {
        match self.register(spec, values, || Cell::Counter(Counter::default())) {
            Cell::Counter(counter) => counter,
            Cell::Gauge(_) | Cell::Histogram(_) => Counter::default(),
        }
    }

    /// The gauge `spec` with these label values; made, with value 0, if it is new. A float counter of the catalogue is also kept as a gauge cell.
    pub fn gauge(&self, spec: &'static Spec, values: &[&str]) -> Gauge {
        match self.register(spec, values, || Cell::Gauge(Gauge::default())) {
            Cell::Gauge(gauge) => gauge,
            Cell::Counter(_) | Cell::Histogram(_) => Gauge::default(),
        }
    }

    /// The histogram `spec` with these label values; made if it is new.
    pub fn histogram(&self, spec: &'static Spec, values: &[&str]) -> Histogram {
        let bounds = match spec.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        match self.register(spec, values, || Cell::Histogram(Histogram::new(bounds))) {
            Cell::Histogram(histogram) => histogram,
            Cell::Counter(_) | Cell::Gauge(_) => Histogram::new(bounds),
        }
    }

    /// The page in text format 0.0.4: HELP and TYPE of every family of the catalogue, then its series.
    pub fn render(&self) -> String {
        text::render(&self.families)
    }

    fn register(&self, spec: &'static Spec, values: &[&str], make: impl FnOnce() -> Cell) -> Cell {
        debug_assert_eq!(spec.labels.len(), values.len(), "label values of {}", spec.name);
        let fresh = make();
        let Some(family) = self.families.iter().find(|family| family.spec.name == spec.name) else {
            return fresh;
        };
        let labels = text::labels(spec.labels, values);
        let series = Arc::new(Series { labels, cell: fresh });
        let mut outcome = series.cell.clone();
        let mut full = false;
        family.series.rcu(|list| {
            full = false;
            if let Some(known) = list.iter().find(|known| known.labels == series.labels) {
                outcome = known.cell.clone();
                return Arc::clone(list);
            }
            if list.len() >= MAX_SERIES_PER_FAMILY {
                full = true;
                return Arc::clone(list);
            }
            outcome = series.cell.clone();
            let mut longer = Vec::with_capacity(list.len() + 1);
            longer.extend(list.iter().map(Arc::clone));
            longer.push(Arc::clone(&series));
            Arc::new(longer)
        });
        if full {
            self.refused.inc();
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_labels_share_one_cell() {
        let registry = Registry::new();
        registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &["trade.a"]).inc();
        registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &["trade.a"]).add(2);
        assert!(registry.render().contains("marketprism_nats_messages_published_total{subject=\"trade.a\"} 3\n"));
    }

    #[test]
    fn a_family_stops_growing_at_its_bound_and_says_so() {
        let registry = Registry::new();
        for n in 0..MAX_SERIES_PER_FAMILY + 5 {
            registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &[&n.to_string()]).inc();
        }
        let page = registry.render();
        assert_eq!(page.matches("\nmarketprism_nats_messages_published_total{").count(), MAX_SERIES_PER_FAMILY);
        assert!(page.contains("\ncollector_metric_series_refused_total 5\n"));
    }
}
