//! Our own metrics: what `/metrics` exports, and what we observe of ourselves as job `watchdog`.
//!
//! Owns: the values, their rendering. The list of metrics is [`list`]; `docs/metrics-watchdog.md` is held equal to it by a test. Must not know: who counts.

mod histogram;
pub mod list;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use promql::exposition::{Format, MetricKind, write_metadata, write_sample};
use promql::labels::{Labels, METRIC_NAME};

use histogram::Histogram;

/// One metric: its name, kind, label names and meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// Names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// Meaning, with the unit.
    pub help: &'static str,
}

/// The values. Written a few hundred times a second at most, so one lock is enough.
#[derive(Debug, Default)]
pub struct Registry {
    /// By name of the metric; its series in order of their label values.
    values: Mutex<BTreeMap<&'static str, Vec<Series>>>,
}

#[derive(Debug)]
struct Series {
    /// In the order of the metric's label names.
    label_values: Box<[Box<str>]>,
    /// All labels, the name too.
    labels: Labels,
    value: Value,
}

#[derive(Debug)]
enum Value {
    One(f64),
    Histogram(Box<Histogram>),
}

// === impl Registry ===

impl Registry {
    /// Adds `by` to a counter.
    pub fn add(&self, metric: &'static Metric, labels: &[&str], by: f64) {
        self.change(metric, labels, |value| {
            if let Value::One(value) = value {
                *value += by;
            }
        });
    }

    /// Sets a gauge.
    pub fn set(&self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.change(metric, labels, |before| *before = Value::One(value));
    }

    /// Counts a duration in a histogram.
    pub fn observe(&self, metric: &'static Metric, labels: &[&str], took: Duration) {
        self.change(metric, labels, |value| {
            if let Value::Histogram(histogram) = value {
                histogram.observe(took.as_secs_f64());
            }
        });
    }

    /// Changes a value, made if it is not there. One that is there is found without any memory of its own.
    fn change(&self, metric: &'static Metric, labels: &[&str], change: impl FnOnce(&mut Value)) {
        let mut values = self.lock();
        let series = values.entry(metric.name).or_default();
        let at = place(series, labels).unwrap_or_else(|at| {
            series.insert(at, Series::new(metric, labels));
            at
        });
        if let Some(series) = series.get_mut(at) {
            change(&mut series.value);
        }
    }

    /// Sets a gauge to 1 or 0.
    pub fn flag(&self, metric: &'static Metric, labels: &[&str], on: bool) {
        self.set(metric, labels, if on { 1.0 } else { 0.0 });
    }

    /// Forgets the series of `metric` whose first label has this value: its subject is gone from the configuration.
    pub fn forget(&self, metric: &'static Metric, first: &str) {
        if let Some(series) = self.lock().get_mut(metric.name) {
            series.retain(|series| series.label_values.first().is_none_or(|value| **value != *first));
        }
    }

    /// The present value (of a histogram: how many were counted), for tests and the page.
    pub fn get(&self, metric: &'static Metric, labels: &[&str]) -> Option<f64> {
        let values = self.lock();
        let series = values.get(metric.name)?;
        match &series.get(place(series, labels).ok()?)?.value {
            Value::One(value) => Some(*value),
            Value::Histogram(histogram) => Some(histogram.count() as f64),
        }
    }

    /// The page, text format 0.0.4.
    pub fn render(&self) -> String {
        let values = self.lock();
        let mut page = String::with_capacity(16 << 10);
        for metric in list::ALL {
            let Some(series) = values.get(metric.name).filter(|series| !series.is_empty()) else { continue };
            // Writing into a String does not fail.
            let _ = write_metadata(&mut page, Format::Text, (metric.name, metric.kind), metric.help);
            for Series { labels, value, .. } in series {
                let _ = match value {
                    Value::One(value) => write_sample(&mut page, Format::Text, labels, (*value, None)),
                    Value::Histogram(histogram) => histogram.write(&mut page, labels),
                };
            }
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Vec<Series>>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Series ===

impl Series {
    fn new(metric: &'static Metric, values: &[&str]) -> Self {
        debug_assert_eq!(metric.labels.len(), values.len(), "label values of {}", metric.name);
        let pairs = metric.labels.iter().copied().zip(values.iter().copied());
        Self {
            label_values: values.iter().map(|value| Box::from(*value)).collect(),
            labels: Labels::from_pairs(std::iter::once((METRIC_NAME, metric.name)).chain(pairs)),
            value: if metric.kind == MetricKind::Histogram { Value::Histogram(Box::default()) } else { Value::One(0.0) },
        }
    }
}

/// Where the series with these label values is, or belongs.
fn place(series: &[Series], values: &[&str]) -> Result<usize, usize> {
    series.binary_search_by(|series| series.label_values.iter().map(|value| &**value).cmp(values.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_reads_back_as_what_was_set() {
        let registry = Registry::default();
        registry.add(&list::SCRAPES, &["a\"b", "ok"], 2.0);
        registry.add(&list::SCRAPES, &["a\"b", "ok"], 1.0);
        registry.flag(&list::RELOAD_SUCCESSFUL, &[], true);
        let page = registry.render();
        let limits = promql::exposition::Limits::default();
        let read: Vec<(String, f64)> = promql::exposition::parse(page.as_bytes(), Format::Text, &limits)
            .unwrap()
            .filter_map(|entry| match entry.unwrap() {
                promql::exposition::Entry::Sample(sample) => Some((sample.to_labels().to_string(), sample.value)),
                _ => None,
            })
            .collect();
        assert_eq!(read.len(), 2, "{page}");
        assert!(read.iter().any(|(labels, value)| labels.contains("outcome=\"ok\"") && (*value - 3.0).abs() < f64::EPSILON), "{read:?}");
        registry.forget(&list::SCRAPES, "a\"b");
        assert!(!registry.render().contains("watchdog_scrapes_total"));
    }

    #[test]
    fn the_document_and_the_list_are_equal() {
        let document = include_str!("../../docs/metrics-watchdog.md");
        let documented: Vec<(&str, &str)> = document.lines().filter_map(row).collect();
        let mut expected: Vec<(String, String)> = list::ALL.iter().map(|metric| (metric.name.to_owned(), metric.kind.as_str().to_owned())).collect();
        expected.extend(process::figures::MEANINGS.iter().map(|meaning| (meaning.name.to_owned(), meaning.kind.to_owned())));
        expected.extend(list::OBSERVED.iter().map(|(name, _)| ((*name).to_owned(), "gauge".to_owned())));
        for (name, kind) in &documented {
            assert!(expected.iter().any(|(have, of)| have == name && of == kind), "docs/metrics-watchdog.md has {name} ({kind}), the code has not");
        }
        for (name, kind) in &expected {
            assert!(documented.contains(&(name, kind)), "{name} ({kind}) is missing in docs/metrics-watchdog.md");
        }
    }

    /// `| `name` | kind | …` of the document.
    fn row(line: &str) -> Option<(&str, &str)> {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name, cells.next()?))
    }
}
