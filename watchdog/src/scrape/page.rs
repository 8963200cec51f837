//! A fetched page → series by number. What a page says again and again is recognised by its text; labels are made once, when a series is new.
//!
//! Owns: merging with the target's labels, relabelling, limits, `up` and its companions, which series end. Must not know: sockets.

use std::collections::BTreeMap;
use std::sync::Arc;

use promql::Sample;
use promql::exposition::{Entry, Format, Limits, ParseError, SampleLine, parse};
use promql::labels::{Labels, METRIC_NAME};
use promql::relabel;
use promql::series::{Kept, Known, ScrapeCache, StampedBy};
use rules::Page;

use super::ScrapeError;
use crate::observe::named;
use crate::targets::Target;
use crate::web::view::StreamView;

/// What a scrape tells of itself (Prometheus documentation, "Jobs and instances"); their numbers come first.
const REPORT: [&str; 5] = ["up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"];

/// The metric that tells when each stream last had data (docs/metrics-collector.md).
const LAST_DATA: &str = "collector_stream_last_data_timestamp_seconds";

/// What a page held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples on it.
    pub scraped: usize,
    /// Those that relabelling left.
    pub kept: usize,
    /// Series that were not on the page before.
    pub added: usize,
}

/// The pages of one target over time.
#[derive(Debug)]
pub struct Reader {
    target: Arc<Target>,
    source: u64,
    /// The source whose series this one goes on with.
    replaces: Option<u64>,
    /// Whether the rule engine knows of this source.
    told: bool,
    cache: ScrapeCache,
    page: Page,
    counts: Counts,
    /// Streams of market data, by the number of the series that tells of them.
    streams: BTreeMap<u32, StreamView>,
}

// === impl Reader ===

impl Reader {
    /// A reader of `target`'s pages; `source` is a number that no other has.
    pub fn new(target: Arc<Target>, source: u64) -> Self {
        Self {
            target,
            source,
            replaces: None,
            told: false,
            cache: ScrapeCache::new(u32::try_from(REPORT.len()).unwrap_or(0)),
            page: Page::default(),
            counts: Counts::default(),
            streams: BTreeMap::new(),
        }
    }

    /// Goes on with other settings for the same target. When they change what a page's text means, everything is learnt anew; no series ends by that.
    pub fn set_target(&mut self, target: Arc<Target>, source: u64) {
        let meaning = |target: &Target| {
            let (job, limits) = (&target.job, target.job.limits);
            let limits = (limits.labels, limits.label_name_length, limits.label_value_length);
            (target.labels.clone(), job.honor_labels, job.metric_relabel.clone(), limits)
        };
        if meaning(&self.target) == meaning(&target) {
            self.target = target;
        } else {
            let replaces = if self.told { Some(self.source) } else { self.replaces };
            *self = Self { replaces, ..Self::new(target, source) };
        }
    }

    /// Reads a page; [`accept`](Self::accept) makes it count.
    ///
    /// # Errors
    /// When it is no exposition or over a limit; half a page would look like ended series, so nothing of it counts.
    pub fn read(&mut self, body: &[u8], format: Format) -> Result<(), ScrapeError> {
        self.counts = Counts::default();
        self.page = Page::default();
        self.cache.begin();
        let outcome = self.read_all(body, format);
        if outcome.is_err() {
            self.abandon();
        }
        outcome
    }

    fn read_all(&mut self, body: &[u8], format: Format) -> Result<(), ScrapeError> {
        let body_bytes = usize::try_from(self.target.job.limits.body_size).unwrap_or(usize::MAX);
        let mut parser = parse(body, format, &Limits { body_bytes, ..Limits::default() }).map_err(broken)?;
        self.page.samples.reserve(self.cache.len());
        loop {
            if let Some((value, t_ms)) = self.cache.expected().and_then(|key| parser.sample_of(key)) {
                let (own_ms, stamped) = self.time(t_ms);
                if let Some(known) = self.cache.see_expected(stamped) {
                    self.take(known, value, own_ms);
                }
                continue;
            }
            match parser.next() {
                None => break,
                Some(Err(error)) => return Err(broken(error)),
                Some(Ok(Entry::Sample(sample))) => {
                    let (own_ms, stamped) = self.time(sample.t_ms);
                    let known = match self.cache.see(sample.key, stamped) {
                        Some(known) => known,
                        None => self.learn(&sample, stamped)?,
                    };
                    self.take(known, sample.value, own_ms);
                }
                Some(Ok(_)) => {}
            }
        }
        let limit = self.target.job.limits.samples;
        if limit > 0 && self.counts.kept > limit { Err(ScrapeError::SampleLimit { found: self.counts.kept, limit }) } else { Ok(()) }
    }

    /// The sample's own time if it counts, and who is taken to have given it.
    fn time(&self, t_ms: Option<i64>) -> (Option<i64>, StampedBy) {
        let job = &self.target.job;
        let own_ms = t_ms.filter(|_| job.honor_timestamps);
        let by = if own_ms.is_some() && !job.track_timestamps_staleness { StampedBy::Page } else { StampedBy::Scrape };
        (own_ms, by)
    }

    fn take(&mut self, known: Known, value: f64, own_ms: Option<i64>) {
        self.counts.scraped += 1;
        let Known::Series(number) = known else { return };
        self.counts.kept += 1;
        match own_ms {
            Some(t_ms) => self.page.stamped.push((number, Sample { t_ms, v: value })),
            None => self.page.samples.push((number, value)),
        }
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.last_ms = milliseconds(value);
        }
    }

    /// Labels of a series that is new on the page.
    fn learn(&mut self, sample: &SampleLine<'_>, stamped: StampedBy) -> Result<Known, ScrapeError> {
        let job = &self.target.job;
        let merged = merge(&sample.to_labels(), &self.target);
        let Some(labels) = relabel::apply(&merged, &job.metric_relabel).filter(|labels| !labels.is_empty()) else {
            return Ok(self.cache.learn(sample.key, Kept::Dropped, stamped));
        };
        if labels.metric_name().is_empty() {
            return Err(ScrapeError::NotExposition(format!("relabelling leaves no metric name: {labels}")));
        }
        check_limits(&labels, &self.target)?;
        let known = self.cache.learn(sample.key, Kept::Series, stamped);
        if let Known::Series(number) = known {
            self.counts.added += 1;
            if labels.metric_name() == LAST_DATA {
                self.streams.insert(number, stream(&labels));
            }
            self.page.learned.push((number, labels));
        }
        Ok(known)
    }

    /// The page that was read, and what ended with it.
    pub fn accept(&mut self) -> Page {
        let vanished = self.cache.finish();
        vanished.freed.iter().for_each(|number| drop(self.streams.remove(number)));
        let mut page = std::mem::take(&mut self.page);
        (page.stale, page.freed, page.replaces) = (vanished.stale, vanished.freed, self.replaces.take());
        page
    }

    /// Forgets the page that was read: it is none, or nobody can take it.
    pub fn abandon(&mut self) {
        self.cache.abandon();
        for (number, _) in std::mem::take(&mut self.page).learned {
            self.streams.remove(&number);
        }
    }

    /// A failed scrape with which every series of the page ends.
    pub fn ended(&mut self) -> Page {
        Page { stale: self.cache.fail(), replaces: self.replaces.take(), ..Page::default() }
    }

    /// The end of the target: its report ends too.
    pub fn last(&mut self) -> Page {
        let mut page = self.ended();
        page.stale.extend((0..).take(REPORT.len()));
        Page { source: self.source, last: true, ..page }
    }

    /// Adds `up` and its companions: whether it went well, how long it took.
    pub fn report(&mut self, page: &mut Page, up: f64, seconds: f64) {
        let Counts { scraped, kept, added } = self.counts;
        page.source = self.source;
        for (number, (name, value)) in (0..).zip(REPORT.iter().zip([up, seconds, scraped as f64, kept as f64, added as f64])) {
            if !self.told {
                page.learned.push((number, named(name, &self.target.labels)));
            }
            page.samples.push((number, value));
        }
        self.told = true;
    }

    /// What the last page held.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Says that no page came at all.
    pub fn no_page(&mut self) {
        self.counts = Counts::default();
    }

    /// What the last good page told of market data streams, for the status page.
    pub fn streams(&self) -> Vec<StreamView> {
        self.streams.values().cloned().collect()
    }
}

fn broken(error: ParseError) -> ScrapeError {
    ScrapeError::NotExposition(error.to_string())
}

/// Page labels with target labels (Prometheus documentation, "Configuration", `honor_labels`): on a conflict the page's label is kept as `exported_…`,
/// or, with `honor_labels`, wins.
fn merge(page: &Labels, target: &Target) -> Labels {
    let honor = target.job.honor_labels;
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(page.len() + target.labels.len());
    for (name, value) in page {
        let conflict = name != METRIC_NAME && target.labels.get(name).is_some();
        let name = if conflict && !honor { exported(name, page, &target.labels) } else { name.to_owned() };
        pairs.push((name, value.to_owned()));
    }
    for (name, value) in &target.labels {
        if !honor || page.get(name).is_none() {
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

/// The limits on labels; they count after relabelling, and one series over them fails the whole page.
fn check_limits(labels: &Labels, target: &Target) -> Result<(), ScrapeError> {
    let limits = target.job.limits;
    let over = |what: &'static str, found: usize, limit: usize| {
        let series = labels.metric_name().chars().take(50).collect();
        if limit > 0 && found > limit { Err(ScrapeError::LabelLimit { what, series, found, limit }) } else { Ok(()) }
    };
    over("label_limit", labels.len(), limits.labels)?;
    for (name, value) in labels {
        over("label_name_length_limit", name.len(), limits.label_name_length)?;
        over("label_value_length_limit", value.len(), limits.label_value_length)?;
    }
    Ok(())
}

fn stream(labels: &Labels) -> StreamView {
    let label = |name: &str| labels.get(name).unwrap_or_default().to_owned();
    StreamView {
        process: label("process"),
        exchange: label("exchange"),
        market_type: label("market_type"),
        symbol: label("symbol"),
        kind: label("kind"),
        last_ms: 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and a time out of range is shown as the end of the range")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests;
