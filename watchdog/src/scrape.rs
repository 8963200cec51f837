//! Scraping: one task a target, so that a hanging target costs its own time limit and nobody else's.
//!
//! Owns: the fetch with its limits, `up` and its companions, stale markers after failures (Prometheus documentation, "Jobs and instances").
//! Must not know: rules. What a page becomes is in [`page`].

mod page;

use std::sync::Arc;
use std::time::{Duration, Instant};

use promql::exposition::Format;
use promql::labels::Labels;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use rules::Observation;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Target;
use crate::metrics::{Registry, list};
use crate::observe::{Sink, Source, named};
use crate::schedule::until_next;
use crate::web::view::{StreamView, TargetView};

/// Why a scrape failed; the word is the label value `outcome`.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// No answer within the time limit, the body included.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// Another status than 200.
    #[error("the target answered with status {0}")]
    Status(u16),
    /// The decoded body is over the limit.
    #[error("the page is over the limit of {0} bytes")]
    BodyTooLarge(u64),
    /// No exposition: by its content type or its text.
    #[error("{0}")]
    NotExposition(String),
}

/// One look at a target, done: what [`Scraper`] found out.
#[derive(Debug)]
pub struct Scraped {
    /// Page samples with all labels and, where the page states it, their time; the reason when the scrape failed.
    pub result: Result<Vec<(Labels, f64, Option<i64>)>, ScrapeError>,
    /// How long it took.
    pub took: Duration,
}

/// Everything a scrape task needs besides its target.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The shared client.
    pub client: reqwest::Client,
    /// Where observations go.
    pub sink: Sink,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
    /// What the page shows of targets and their streams.
    pub views: tokio::sync::mpsc::Sender<(TargetView, Vec<StreamView>)>,
}

/// A target over time.
#[derive(Debug)]
struct Scraper {
    target: Target,
    source: Source,
    failures: u32,
}

// === impl ScrapeError ===

impl ScrapeError {
    /// The word in metric and page.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Connection(_) => "connection",
            Self::Status(_) => "status",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::NotExposition(_) => "not_exposition",
        }
    }
}

// === impl Scraper ===

impl Scraper {
    /// The observation of one scrape: the page, or nothing of it; `up` and its companions always.
    fn observe(&mut self, at_ms: i64, scraped: Scraped) -> (Observation, TargetView) {
        let up = scraped.result.is_ok();
        let view = TargetView {
            job: self.target.job.clone(),
            instance: self.target.instance.clone(),
            process: self.target.labels.get("process").unwrap_or_default().to_owned(),
            up: Some(up),
            at_ms,
            seconds: scraped.took.as_secs_f64(),
            samples: scraped.result.as_ref().map_or(0, Vec::len),
            error: scraped.result.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        };
        self.failures = if up { 0 } else { self.failures.saturating_add(1) };
        let mut samples = scraped.result.unwrap_or_default();
        let scraped_count = samples.len();
        let own = [
            ("up", if up { 1.0 } else { 0.0 }),
            ("scrape_duration_seconds", scraped.took.as_secs_f64()),
            ("scrape_samples_scraped", scraped_count as f64),
        ];
        samples.extend(own.into_iter().map(|(name, value)| (named(name, &self.target.labels), value, None)));
        let tolerated = !up && self.failures < self.target.stale_after_failures;
        let observation = if tolerated { self.source.observe_partly(at_ms, samples) } else { self.source.observe(at_ms, samples) };
        (observation, view)
    }

    /// What remains when the target leaves the configuration: stale markers.
    fn end(&mut self, at_ms: i64) -> Observation {
        self.source.observe(at_ms, Vec::new())
    }
}

/// Scrapes `target` on its grid until `stop`; its series end then.
pub async fn run(target: Target, around: Surroundings, stop: CancellationToken) {
    let mut scraper = Scraper { target, source: Source::default(), failures: 0 };
    loop {
        let wait = until_next(around.clock.now().wall_ms, scraper.target.interval, &scraper.target.url);
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let at_ms = around.clock.now().wall_ms;
        let scraped = tokio::select! {
            () = stop.cancelled() => break,
            scraped = scrape(&around.client, &scraper.target) => scraped,
        };
        let outcome = scraped.result.as_ref().err().map_or("ok", ScrapeError::as_str);
        around.metrics.add(&list::SCRAPES, &[&scraper.target.job, outcome], 1.0);
        let streams = scraped.result.as_ref().map(|samples| page::streams(samples)).unwrap_or_default();
        let (observation, view) = scraper.observe(at_ms, scraped);
        around.sink.send(observation);
        // The page's view is a convenience: when its task is behind, this look is not shown.
        let _ = around.views.try_send((view, streams));
    }
    around.sink.send(scraper.end(around.clock.now().wall_ms));
}

/// One scrape of a target, within its time limit.
pub async fn scrape(client: &reqwest::Client, target: &Target) -> Scraped {
    let started = Instant::now();
    let result = match tokio::time::timeout(target.timeout, fetch(client, target)).await {
        Ok(Ok((body, format))) => page::samples(&body, format, target),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ScrapeError::Timeout(target.timeout)),
    };
    Scraped { result, took: started.elapsed() }
}

async fn fetch(client: &reqwest::Client, target: &Target) -> Result<(Vec<u8>, Format), ScrapeError> {
    let seconds = target.timeout.as_secs_f64().to_string();
    let request = client.get(&target.url).header(ACCEPT, Format::ACCEPT).header("X-Prometheus-Scrape-Timeout-Seconds", seconds);
    let mut response = request.send().await.map_err(|error| ScrapeError::Connection(root_cause(error)))?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(ScrapeError::Status(response.status().as_u16()));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::from_content_type(content_type).map_err(|error| ScrapeError::NotExposition(error.to_string()))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ScrapeError::Connection(root_cause(error)))? {
        if (body.len() + chunk.len()) as u64 > target.body_size_limit {
            return Err(ScrapeError::BodyTooLarge(target.body_size_limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, format))
}

/// The innermost error: "Connection refused", without the URL, which may hold secrets.
pub fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut source: &dyn std::error::Error = &error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}

#[cfg(test)]
mod tests;
