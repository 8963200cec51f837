//! Scraping: one task a target, so that a hanging target costs its own time limit and nobody else's.
//!
//! Owns: when a target is scraped, why a scrape failed, when failures end its series. The fetch is in [`fetch`], what a page becomes in [`page`].
//! Must not know: rules.

mod fetch;
pub mod page;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diagnostics::Text;
use rules::{Observation, Page};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::page::Reader;
use crate::clock::Clock;
use crate::http_client::Client;
use crate::metrics::{Registry, list};
use crate::observe::Sink;
use crate::schedule::until_next;
use crate::targets::Target;
use crate::web::Board;
use crate::web::view::{StreamView, TargetView};

/// A scrape that begins this late or less is stamped with the time at which it was due, so that samples stand evenly (Prometheus, `scrape.timestamp-tolerance`).
const STAMP_TOLERANCE_MS: i64 = 2;

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
    /// Redirects that lead nowhere.
    #[error("redirected {0}")]
    Redirect(String),
    /// The decoded body is over the limit.
    #[error("the page is over the limit of {0} bytes (body_size_limit)")]
    BodyTooLarge(u64),
    /// No exposition: by its content type or its text.
    #[error("{0}")]
    NotExposition(String),
    /// Too many samples.
    #[error("{found} samples, over the sample_limit of {limit}")]
    SampleLimit {
        /// After relabelling.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A series over one of the limits on labels.
    #[error("series {series}: {found}, over the {what} of {limit}")]
    LabelLimit {
        /// Which limit.
        what: &'static str,
        /// Its metric name, cut.
        series: String,
        /// What was found.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The job has too many targets: none is scraped.
    #[error("the job has {found} targets, over the target_limit of {limit}")]
    TargetLimit {
        /// Targets after relabelling.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The request cannot be made: a certificate, a secret file, a header.
    #[error("{0}")]
    Setup(String),
}

/// What a task scrapes, and with which client; the text says why there is none.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The target.
    pub target: Arc<Target>,
    /// The client.
    pub client: Result<Client, String>,
}

/// Everything a scrape task needs besides its target.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where observations go.
    pub sink: Sink,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Registry>,
    /// What the page shows of targets and their streams.
    pub views: tokio::sync::mpsc::Sender<(TargetView, Vec<StreamView>)>,
    /// Where it stands which targets there are.
    pub board: Arc<Board>,
    /// Numbers for sources; none is given twice.
    pub sources: Arc<AtomicU64>,
}

/// A target over time.
#[derive(Debug)]
struct Scraper {
    target: Arc<Target>,
    reader: Reader,
    failures: u32,
    /// How long the last page was.
    page_bytes: usize,
}

// === impl ScrapeError ===

impl ScrapeError {
    /// The word in metric and page.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Connection(_) => "connection",
            Self::Status(_) => "status",
            Self::Redirect(_) => "redirect",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::NotExposition(_) => "not_exposition",
            Self::SampleLimit { .. } => "sample_limit",
            Self::LabelLimit { what, .. } => what,
            Self::TargetLimit { .. } => "target_limit",
            Self::Setup(_) => "setup",
        }
    }

    /// The sentence for people; what other programs and the parser say stays in their words.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::Timeout(within) => format!("{within:?} 内没有完整应答"),
            Self::Connection(why) => format!("连接失败：{why}"),
            Self::Status(status) => format!("目标返回状态码 {status}"),
            Self::Redirect(why) => format!("重定向无法完成：{why}"),
            Self::BodyTooLarge(limit) => format!("页面超过 {limit} 字节（body_size_limit）"),
            Self::NotExposition(why) => format!("不是可读的指标页面：{why}"),
            Self::SampleLimit { found, limit } => format!("样本数 {found}，超过 sample_limit 的 {limit}"),
            Self::LabelLimit { what, series, found, limit } => format!("序列 {series}：{found}，超过 {what} 的 {limit}"),
            Self::TargetLimit { found, limit } => format!("任务有 {found} 个目标，超过 target_limit 的 {limit}"),
            Self::Setup(why) => format!("无法发出请求：{why}"),
        };
        Text::new(self.to_string(), zh)
    }
}

// === impl Surroundings ===

impl Surroundings {
    /// A number that no source had before.
    pub fn next_source(&self) -> u64 {
        self.sources.fetch_add(1, Ordering::Relaxed)
    }
}

// === impl Scraper ===

impl Scraper {
    fn new(target: Arc<Target>, source: u64) -> Self {
        Self { reader: Reader::new(Arc::clone(&target), source), target, failures: 0, page_bytes: 0 }
    }

    fn set_target(&mut self, target: Arc<Target>, source: u64) {
        self.reader.set_target(Arc::clone(&target), source);
        self.target = target;
    }

    /// One scrape, within its time limit; the page is read, but does not count yet.
    async fn scrape(&mut self, client: &Result<Client, String>) -> Result<(), ScrapeError> {
        self.reader.no_page();
        if let Some((found, limit)) = self.target.over_limit {
            return Err(ScrapeError::TargetLimit { found, limit });
        }
        let client = client.as_ref().map_err(|reason| ScrapeError::Setup(reason.clone()))?;
        let fetched = tokio::time::timeout(self.target.timeout, fetch::fetch(client, &self.target, self.page_bytes)).await;
        let fetched = fetched.map_err(|_| ScrapeError::Timeout(self.target.timeout))??;
        self.page_bytes = fetched.body.len();
        self.reader.read(&fetched.body, fetched.format)
    }

    /// The observation of a scrape: the page, or nothing of it; `up` and its companions always.
    fn observe(&mut self, at_ms: i64, result: &Result<(), ScrapeError>, took: Duration) -> Observation {
        let up = result.is_ok();
        self.failures = if up { 0 } else { self.failures.saturating_add(1) };
        let mut page = if up {
            self.reader.accept()
        } else if self.failures < self.target.job.stale_after_failures {
            // Nothing ends yet.
            Page::default()
        } else {
            self.reader.ended()
        };
        self.reader.report(&mut page, if up { 1.0 } else { 0.0 }, took.as_secs_f64());
        Observation { at_ms, page: Some(page), ..Observation::default() }
    }

    fn view(&self, at_ms: i64, result: &Result<(), ScrapeError>, took: Duration) -> TargetView {
        let error = result.as_ref().err().map(ScrapeError::text).unwrap_or_default();
        TargetView {
            up: Some(result.is_ok()),
            at_ms,
            seconds: took.as_secs_f64(),
            samples: self.reader.counts().scraped,
            error: error.en,
            error_zh: error.zh,
            ..blank_view(&self.target)
        }
    }
}

/// What the page shows of a target before its first scrape.
pub fn blank_view(target: &Target) -> TargetView {
    let label = |name: &str| target.labels.get(name).unwrap_or_default().to_owned();
    TargetView { job: label("job"), instance: label("instance"), process: label("process"), url: target.url.clone(), ..TargetView::default() }
}

/// Scrapes what it is assigned to on its grid until `stop`; its series end then.
pub async fn run(mut assigned: watch::Receiver<Assignment>, around: Surroundings, stop: CancellationToken) {
    let mut client = assigned.borrow_and_update().client.clone();
    let first = Arc::clone(&assigned.borrow().target);
    let mut scraper = Scraper::new(first, around.next_source());
    loop {
        let now_ms = around.clock.now().wall_ms;
        let wait = until_next(now_ms, scraper.target.interval, &scraper.target.url);
        tokio::select! {
            () = stop.cancelled() => break,
            Ok(()) = assigned.changed() => {
                let Assignment { target, client: other } = assigned.borrow_and_update().clone();
                scraper.set_target(target, around.next_source());
                client = other;
                continue;
            }
            () = tokio::time::sleep(wait) => {}
        }
        let due_ms = now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let at_ms = stamp_ms(around.clock.now().wall_ms, due_ms);
        let started = Instant::now();
        let result = tokio::select! {
            () = stop.cancelled() => break,
            result = scraper.scrape(&client) => result,
        };
        tell(&mut scraper, &around, at_ms, (&result, started.elapsed()));
    }
    around.sink.send(Observation { at_ms: around.clock.now().wall_ms, page: Some(scraper.reader.last()), ..Observation::default() });
}

/// Hands a scrape over to the rule engine and to the page.
fn tell(scraper: &mut Scraper, around: &Surroundings, at_ms: i64, (result, took): (&Result<(), ScrapeError>, Duration)) {
    let outcome = result.as_ref().err().map_or("ok", ScrapeError::as_str);
    around.metrics.add(&list::SCRAPES, &[&scraper.target.job.name, outcome], 1.0);
    let view = scraper.view(at_ms, result, took);
    let Some(room) = around.sink.room() else {
        // What nobody takes in must not be taken for known.
        scraper.reader.abandon();
        return;
    };
    room.send(scraper.observe(at_ms, result, took));
    let streams = if result.is_ok() { scraper.reader.streams() } else { Vec::new() };
    // The page's view is a convenience: when its task is behind, this look is not shown.
    let _ = around.views.try_send((view, streams));
}

/// The time a scrape's samples carry.
fn stamp_ms(now_ms: i64, due_ms: i64) -> i64 {
    if (0..=STAMP_TOLERANCE_MS).contains(&(now_ms - due_ms)) { due_ms } else { now_ms }
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
