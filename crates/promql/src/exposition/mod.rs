//! A page of metrics becomes samples: the Prometheus text format 0.0.4 and OpenMetrics 1.0, UTF-8 names included.
//!
//! Owns: the grammar of both formats, positions of errors, limits on a page, and the rendering of a page. Borrows from the page; nothing is copied
//! until an escape has to be decoded. Must not know: targets, relabelling, series, HTTP (except how a `Content-Type` names a format).
//!
//! Sources: Prometheus documentation "Exposition formats"; OpenMetrics 1.0.0; what Prometheus accepts beyond them is noted where it is done.
//!
//! ```
//! use promql::exposition::{parse, Entry, Format, Limits};
//!
//! let page = b"# TYPE up gauge\nup{job=\"a\"} 1\n";
//! let mut values = Vec::new();
//! for entry in parse(page, Format::Text, &Limits::default())? {
//!     if let Entry::Sample(sample) = entry? {
//!         values.push((sample.key, sample.to_labels().to_string(), sample.value));
//!     }
//! }
//! assert_eq!(values, [("up{job=\"a\"}", "up{job=\"a\"}".to_owned(), 1.0)]);
//! # Ok::<(), promql::exposition::ParseError>(())
//! ```
mod cursor;
mod error;
mod format;
mod line;
mod number;
mod page;
mod plain;
mod render;
mod series_text;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use error::{ParseError, Reason};
pub use format::{Format, Protocol, UnsupportedContentType};
pub use page::{Parser, parse};
pub use render::{write_metadata, write_sample};
pub use series_text::LabelPairs;

use crate::labels::{Labels, METRIC_NAME};

/// What one page may hold; each has its own [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the decoded body.
    pub body_bytes: usize,
    /// Sample lines.
    pub samples: usize,
    /// Labels of one sample, the metric name counted as Prometheus counts it.
    pub labels: usize,
    /// Bytes of one label name as written.
    pub label_name_bytes: usize,
    /// Bytes of one label value as written; the metric name counts as one.
    pub label_value_bytes: usize,
}

/// One entry of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# HELP`
    Help {
        /// The metric family.
        family: Cow<'a, str>,
        /// What it means, escapes decoded.
        text: Cow<'a, str>,
    },
    /// `# TYPE`
    Type {
        /// The metric family.
        family: Cow<'a, str>,
        /// Its kind.
        kind: MetricKind,
    },
    /// `# UNIT` (OpenMetrics)
    Unit {
        /// The metric family.
        family: Cow<'a, str>,
        /// Its unit; empty when it has none.
        unit: &'a str,
    },
    /// A sample line.
    Sample(SampleLine<'a>),
}

/// The kind a `# TYPE` line states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// `counter`
    Counter,
    /// `gauge`
    Gauge,
    /// `histogram`
    Histogram,
    /// `gaugehistogram` (OpenMetrics)
    GaugeHistogram,
    /// `summary`
    Summary,
    /// `info` (OpenMetrics)
    Info,
    /// `stateset` (OpenMetrics)
    StateSet,
    /// `untyped` or, in OpenMetrics, `unknown`
    Unknown,
}

/// A sample line: checked, not yet copied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleLine<'a> {
    /// The text from the name to the closing brace. Equal keys are equal series, so a cache can map it to a series without decoding a label.
    pub key: &'a str,
    /// The value; a NaN is Prometheus's ordinary one, never the stale marker.
    pub value: f64,
    /// The time the page states, unix milliseconds.
    pub t_ms: Option<i64>,
    pub(crate) raw_name: &'a str,
}

// === impl Limits ===

impl Default for Limits {
    /// Bounds no healthy page comes near: 64 MiB, a million samples, 128 labels, names of 1 KiB, values of 16 KiB.
    fn default() -> Self {
        Self { body_bytes: 64 << 20, samples: 1_000_000, labels: 128, label_name_bytes: 1 << 10, label_value_bytes: 16 << 10 }
    }
}

// === impl SampleLine ===

impl<'a> SampleLine<'a> {
    /// The metric name, escapes decoded.
    pub fn name(&self) -> Cow<'a, str> {
        series_text::unescape(self.raw_name)
    }

    /// Name and value of each label as written in order, escapes decoded; without the metric name.
    pub fn labels(&self) -> LabelPairs<'a> {
        LabelPairs::of_key(self.key)
    }

    /// The label set, `__name__` included.
    pub fn to_labels(&self) -> Labels {
        let name = (Cow::Borrowed(METRIC_NAME), self.name());
        Labels::from_pairs(std::iter::once(name).chain(self.labels()))
    }
}

// === impl MetricKind ===

impl MetricKind {
    /// The word in a `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }

    /// The kind `word` names in a page of `format`.
    pub(crate) fn of_word(word: &str, format: Format) -> Option<Self> {
        let kind = match word {
            "untyped" => return (format == Format::Text).then_some(Self::Unknown),
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "gaugehistogram" => Self::GaugeHistogram,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "unknown" => Self::Unknown,
            _ => return None,
        };
        let in_both = matches!(kind, Self::Counter | Self::Gauge | Self::Histogram | Self::Summary);
        (in_both || format == Format::OpenMetrics).then_some(kind)
    }
}
