//! All series of the process, readable without a lock.
//!
//! Registration copies the family's list and swaps it in (rare: at start, and for a reason seen for the first time), so the page is rendered
//! from an immutable list even while the data path is stuck. Removal, when an instrument is gone, does the same; a series whose handle is still
//! held is set aside and shown again when the instrument is back, so that its owner need not know that it was gone.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::catalogue::{self, Kind, Spec};
use super::cells::{Counter, Gauge, Histogram};
use super::text;

/// Series a family may have; further ones are counted in `collector_metric_series_refused_total`, by family, and not shown.
pub const MAX_SERIES_PER_FAMILY: usize = 2_000;

/// A series itself, its shared handle's counts, and its place in the list.
const SERIES_BYTES: usize = size_of::<Series>() + 16 + size_of::<usize>();

/// The catalogue's families with their series.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Family>,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) spec: &'static Spec,
    pub(super) series: ArcSwap<Vec<Arc<Series>>>,
    /// Removed, with a handle held by somebody.
    aside: ArcSwap<Vec<Arc<Series>>>,
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
        let families = catalogue::ALL.iter().map(|spec| Family { spec, series: ArcSwap::default(), aside: ArcSwap::default() }).collect();
        Self { families }
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

    /// Drops every series that carries all of these labels; returns how many. For an instrument that is gone: its exchange, market type and
    /// symbol, and once more its subjects.
    pub fn remove(&self, labels: &[(&str, &str)]) -> usize {
        self.of_all(labels, Family::remove)
    }

    /// Shows those series again that carry all of these labels, were removed and have a handle that is still held; returns how many.
    pub fn restore(&self, labels: &[(&str, &str)]) -> usize {
        self.of_all(labels, Family::restore)
    }

    /// Does something with the rendered pairs in every family that has all of these labels.
    fn of_all(&self, labels: &[(&str, &str)], act: fn(&Family, &[String]) -> usize) -> usize {
        if labels.is_empty() {
            return 0;
        }
        let pairs: Vec<String> = labels.iter().map(|(name, value)| text::labels(&[name], &[value])).collect();
        let with_all = |family: &&Family| labels.iter().all(|(name, _)| family.spec.labels.contains(name));
        self.families.iter().filter(with_all).map(|family| act(family, &pairs)).sum()
    }

    /// Label values, in the order of the catalogue, and value of every series of the counter or gauge `spec`.
    pub fn values(&self, spec: &Spec) -> Vec<(Vec<String>, f64)> {
        let Some(family) = self.families.iter().find(|family| family.spec.name == spec.name) else { return Vec::new() };
        let value = |series: &Arc<Series>| {
            let value = match &series.cell {
                Cell::Counter(counter) => counter.get() as f64,
                Cell::Gauge(gauge) => gauge.get(),
                Cell::Histogram(_) => return None,
            };
            Some((text::values(&series.labels), value))
        };
        family.series.load().iter().filter_map(value).collect()
    }

    /// How many series there are, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let lists = self.families.iter().map(|family| family.series.load());
        lists.fold((0, 0), |(count, bytes), list| {
            let of_list: usize = list.iter().map(|series| SERIES_BYTES + series.labels.capacity() + series.cell.bytes()).sum();
            (count + list.len(), bytes + of_list)
        })
    }

    /// How many series there may be in all.
    pub fn bound(&self) -> usize {
        self.families.len() * MAX_SERIES_PER_FAMILY
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
        // The family of refusals itself has one series a family at most, and so never gets here.
        if full {
            self.counter(&catalogue::METRIC_SERIES_REFUSED, &[spec.name]).inc();
        }
        outcome
    }
}

// === impl Family ===

impl Family {
    /// Drops the series that carry all of these rendered pairs; sets those aside whose handle somebody holds.
    fn remove(&self, pairs: &[String]) -> usize {
        let gone = take(&self.series, |series| series.has_all(pairs));
        self.aside.rcu(|list| {
            let known = list.iter().filter(|series| series.cell.is_held());
            let more = gone.iter().filter(|series| series.cell.is_held());
            known.chain(more).take(MAX_SERIES_PER_FAMILY).cloned().collect::<Vec<_>>()
        });
        gone.len()
    }

    /// Puts series that were set aside back, unless others with their labels have been made meanwhile.
    fn restore(&self, pairs: &[String]) -> usize {
        let back = take(&self.aside, |series| series.has_all(pairs));
        let mut restored = 0;
        self.series.rcu(|list| {
            let mut longer = list.to_vec();
            longer.extend(back.iter().filter(|series| !list.iter().any(|known| known.labels == series.labels)).cloned());
            longer.truncate(MAX_SERIES_PER_FAMILY.max(list.len()));
            restored = longer.len() - list.len();
            longer
        });
        restored
    }
}

/// Takes the series out of a list that `wanted` names.
fn take(list: &ArcSwap<Vec<Arc<Series>>>, wanted: impl Fn(&Series) -> bool) -> Vec<Arc<Series>> {
    let mut taken = Vec::new();
    list.rcu(|list| {
        let (gone, kept) = list.iter().cloned().partition::<Vec<_>, _>(|series| wanted(series));
        taken = gone;
        if taken.is_empty() { Arc::clone(list) } else { Arc::new(kept) }
    });
    taken
}

// === impl Series ===

impl Series {
    fn has_all(&self, pairs: &[String]) -> bool {
        pairs.iter().all(|pair| self.has(pair))
    }

    /// Whether the rendered pair is one of the labels. A quote inside a value is escaped, so `",` stands only between pairs.
    fn has(&self, pair: &str) -> bool {
        self.labels.match_indices(pair).any(|(at, _)| {
            let before = self.labels.get(..at).unwrap_or_default();
            let after = self.labels.get(at + pair.len()..).unwrap_or_default();
            (before.is_empty() || before.ends_with("\",")) && (after.is_empty() || after.starts_with(','))
        })
    }
}

// === impl Cell ===

impl Cell {
    /// Whether somebody besides the list holds a handle.
    fn is_held(&self) -> bool {
        let holders = match self {
            Self::Counter(counter) => counter.holders(),
            Self::Gauge(gauge) => gauge.holders(),
            Self::Histogram(histogram) => histogram.holders(),
        };
        holders > 1
    }

    /// Heap bytes behind the handle.
    fn bytes(&self) -> usize {
        match self {
            Self::Counter(_) | Self::Gauge(_) => 24,
            Self::Histogram(histogram) => histogram.bytes(),
        }
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
        assert!(page.contains("\ncollector_metric_series_refused_total{family=\"marketprism_nats_messages_published_total\"} 5\n"));
        assert!(registry.size().0 <= registry.bound() && registry.size().1 > MAX_SERIES_PER_FAMILY * 50);
    }

    #[test]
    fn the_series_of_an_instrument_that_is_gone_go_and_no_others() {
        let registry = Registry::new();
        for symbol in ["A-B", "A-B2", "X,symbol=\\\"A-B\\\""] {
            for market in ["spot", "perpetual"] {
                registry.gauge(&catalogue::BOOK_LEVELS, &["binance", market, symbol]).set(1.0);
                registry.counter(&catalogue::RESYNCS, &["binance", market, symbol, "gap"]).inc();
            }
        }
        registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &["trade.binance.spot.A-B"]).inc();
        let before = registry.size().0;
        assert_eq!(registry.remove(&[("exchange", "binance"), ("market_type", "spot"), ("symbol", "A-B")]), 2);
        assert_eq!(registry.remove(&[("exchange", "binance"), ("market_type", "spot"), ("symbol", "A-B")]), 0);
        assert_eq!(registry.remove(&[("subject", "trade.binance.spot.A-B")]), 1);
        assert_eq!((registry.remove(&[]), registry.size().0), (0, before - 3));
        let left = registry.values(&catalogue::BOOK_LEVELS);
        assert!(left.iter().all(|(labels, _)| labels[1..] != ["spot", "A-B"]) && left.len() == 5, "{left:?}");
        // What nobody holds begins anew.
        registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &["trade.binance.spot.A-B"]).inc();
        assert_eq!(format!("{:?}", registry.values(&catalogue::NATS_MESSAGES_PUBLISHED)), r#"[(["trade.binance.spot.A-B"], 1.0)]"#);
    }

    #[test]
    fn a_series_whose_handle_is_held_comes_back_with_its_instrument() {
        let registry = Registry::new();
        let subject = [("subject", "trade.binance.spot.A-B")];
        let held = registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &["trade.binance.spot.A-B"]);
        held.inc();
        assert_eq!((registry.remove(&subject), registry.restore(&[("subject", "trade.binance.spot.X-Y")])), (1, 0));
        assert!(registry.values(&catalogue::NATS_MESSAGES_PUBLISHED).is_empty());
        held.inc();
        assert_eq!((registry.restore(&subject), registry.restore(&subject)), (1, 0));
        assert_eq!(registry.values(&catalogue::NATS_MESSAGES_PUBLISHED), [(vec!["trade.binance.spot.A-B".to_owned()], 2.0)]);
        // Another with its labels has been made meanwhile: that one stays.
        registry.remove(&subject);
        registry.counter(&catalogue::NATS_MESSAGES_PUBLISHED, &["trade.binance.spot.A-B"]).add(7);
        assert_eq!(registry.restore(&subject), 0);
        assert_eq!(format!("{:?}", registry.values(&catalogue::NATS_MESSAGES_PUBLISHED)), r#"[(["trade.binance.spot.A-B"], 7.0)]"#);
    }
}
