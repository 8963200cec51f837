//! The text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).

use std::fmt::Write as _;

use super::catalogue::Spec;
use super::cells::Histogram;
use super::registry::{Cell, Family};

/// The media type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn render(families: &[Family]) -> String {
    let mut page = String::with_capacity(64 * 1024);
    for family in families {
        head(&mut page, family.spec);
        for series in family.series.load().iter() {
            match &series.cell {
                Cell::Counter(counter) => line(&mut page, family.spec.name, &series.labels, counter.get()),
                Cell::Gauge(gauge) => line(&mut page, family.spec.name, &series.labels, Float(gauge.get())),
                Cell::Histogram(histogram) => buckets(&mut page, family.spec.name, &series.labels, histogram),
            }
        }
    }
    page
}

/// Label pairs as they stand between the braces, values escaped.
pub(super) fn labels(names: &[&str], values: &[&str]) -> String {
    let mut out = String::new();
    for (name, value) in names.iter().zip(values) {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
    }
    out
}

/// The values of label pairs that [`labels`] has made.
pub(super) fn values(labels: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = labels;
    while let Some((_, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.chars();
        while let Some(c) = chars.next().filter(|c| *c != '"') {
            match if c == '\\' { chars.next() } else { Some(c) } {
                Some('n') if c == '\\' => value.push('\n'),
                Some(plain) => value.push(plain),
                None => {}
            }
        }
        values.push(value);
        rest = chars.as_str();
    }
    values
}

fn head(page: &mut String, spec: &Spec) {
    let help = spec.help.replace('\\', "\\\\").replace('\n', "\\n");
    put(page, format_args!("# HELP {} {help}\n# TYPE {} {}\n", spec.name, spec.name, spec.kind.as_str()));
}

fn line(page: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    if labels.is_empty() {
        put(page, format_args!("{name} {value}\n"));
    } else {
        put(page, format_args!("{name}{{{labels}}} {value}\n"));
    }
}

fn buckets(page: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut total = 0;
    for (bound, count) in histogram.cumulative() {
        put(page, format_args!("{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}\n", Float(bound)));
        total = count;
    }
    line(page, &format!("{name}_sum"), labels, Float(histogram.sum()));
    line(page, &format!("{name}_count"), labels, total);
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _infallible = page.write_fmt(text);
}

/// A float as the format writes it.
struct Float(f64);

impl std::fmt::Display for Float {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_infinite() { f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" }) } else { write!(f, "{}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Registry, catalogue};
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let awkward = ["x\"y", "c\\\n", ",d=\"e\""];
        let written = labels(&["a", "b", "c"], &awkward);
        assert_eq!(written, "a=\"x\\\"y\",b=\"c\\\\\\n\",c=\",d=\\\"e\\\"\"");
        assert_eq!(values(&written), awkward);
        assert!(values("").is_empty());
    }

    #[test]
    fn a_histogram_counts_up_to_infinity() {
        let registry = Registry::new();
        let histogram = registry.histogram(&catalogue::LOOP_STALL_DURATION, &[]);
        histogram.observe(0.0001);
        histogram.observe(1e9);
        let page = registry.render();
        assert!(page.contains("collector_loop_stall_duration_seconds_bucket{le=\"0.001\"} 1\n"), "{page}");
        assert!(page.contains("collector_loop_stall_duration_seconds_bucket{le=\"+Inf\"} 2\n"));
        assert!(page.contains("collector_loop_stall_duration_seconds_count 2\n"));
    }

    #[test]
    fn every_family_has_help_and_type_even_without_series() {
        let page = Registry::new().render();
        for spec in catalogue::ALL {
            assert!(page.contains(&format!("# TYPE {} {}\n", spec.name, spec.kind.as_str())));
        }
    }
}
