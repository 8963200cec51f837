//! A fetched page → samples with the target's labels. Must not know: sockets.

use promql::exposition::{Entry, Format, Limits, parse};
use promql::labels::{Labels, METRIC_NAME};

use super::ScrapeError;
use crate::config::Target;
use crate::web::view::StreamView;

/// The metric that tells when each stream last had data (docs/metrics-collector.md).
const LAST_DATA: &str = "collector_stream_last_data_timestamp_seconds";

/// Every sample of the page, or the reason why it is none. A page with one bad line is dropped whole: half a page would look like ended series.
pub(super) fn samples(body: &[u8], format: Format, target: &Target) -> Result<Vec<(Labels, f64, Option<i64>)>, ScrapeError> {
    let mut limits = Limits { body_bytes: usize::try_from(target.body_size_limit).unwrap_or(usize::MAX), ..Limits::default() };
    if target.sample_limit > 0 {
        limits.samples = target.sample_limit;
    }
    let broken = |error: promql::exposition::ParseError| ScrapeError::NotExposition(error.to_string());
    let mut out = Vec::new();
    for entry in parse(body, format, &limits).map_err(broken)? {
        if let Entry::Sample(sample) = entry.map_err(broken)? {
            let own_time = sample.t_ms.filter(|_| target.honor_timestamps);
            out.push((merge(&sample.to_labels(), target), sample.value, own_time));
        }
    }
    Ok(out)
}

/// Page labels with target labels (Prometheus documentation, "Configuration", `honor_labels`): on a conflict the page's label is kept as `exported_…`,
/// or, with `honor_labels`, wins.
fn merge(page: &Labels, target: &Target) -> Labels {
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(page.len() + target.labels.len());
    for (name, value) in page {
        let conflict = name != METRIC_NAME && target.labels.get(name).is_some();
        let name = if conflict && !target.honor_labels { exported(name, page, &target.labels) } else { name.to_owned() };
        pairs.push((name, value.to_owned()));
    }
    for (name, value) in &target.labels {
        if !target.honor_labels || page.get(name).is_none() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }
    Labels::from_pairs(pairs)
}

/// `exported_` as often as needed for a name that neither side has.
fn exported(name: &str, page: &Labels, target: &Labels) -> String {
    let mut name = format!("exported_{name}");
    while page.get(&name).is_some() || target.get(&name).is_some() {
        name.insert_str(0, "exported_");
    }
    name
}

/// What the page tells of market data streams, for the status page.
pub(super) fn streams(samples: &[(Labels, f64, Option<i64>)]) -> Vec<StreamView> {
    let label = |labels: &Labels, name: &str| labels.get(name).unwrap_or_default().to_owned();
    samples
        .iter()
        .filter(|(labels, ..)| labels.metric_name() == LAST_DATA)
        .map(|(labels, value, _)| StreamView {
            process: label(labels, "process"),
            exchange: label(labels, "exchange"),
            market_type: label(labels, "market_type"),
            symbol: label(labels, "symbol"),
            kind: label(labels, "kind"),
            last_ms: milliseconds(*value),
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and a time out of range is shown as the end of the range")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(honor_labels: bool) -> Target {
        Target {
            job: "c".into(),
            instance: "h:1".into(),
            url: "http://h:1/metrics".into(),
            labels: Labels::from_pairs([("job", "c"), ("instance", "h:1")]),
            interval: std::time::Duration::from_secs(5),
            timeout: std::time::Duration::from_secs(3),
            honor_labels,
            honor_timestamps: false,
            body_size_limit: 1_000,
            sample_limit: 2,
            stale_after_failures: 1,
        }
    }

    fn read(body: &str, target: &Target) -> Result<Vec<String>, &'static str> {
        let samples = samples(body.as_bytes(), Format::Text, target).map_err(|error| error.as_str())?;
        Ok(samples.iter().map(|(labels, value, own)| format!("{labels} {value} {own:?}")).collect())
    }

    #[test]
    fn target_labels_win_and_the_pages_are_kept_as_exported() {
        let page = "m{job=\"x\",exported_job=\"y\"} 1 1000\n";
        assert_eq!(
            read(page, &target(false)),
            Ok(vec!["m{exported_exported_job=\"x\", exported_job=\"y\", instance=\"h:1\", job=\"c\"} 1 None".into()])
        );
        assert_eq!(read(page, &target(true)), Ok(vec!["m{exported_job=\"y\", instance=\"h:1\", job=\"x\"} 1 None".into()]));
    }

    #[test]
    fn a_page_over_its_limits_or_no_exposition_is_a_failure() {
        for page in ["a 1\nb 1\nc 1\n", "<html>502</html>\n", "a 1\nb", &"# x\n".repeat(300)] {
            assert_eq!(read(page, &target(false)), Err("not_exposition"), "{page}");
        }
    }
}
