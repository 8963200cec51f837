//! From what a configuration and its files list to what is scraped: the labels of a target, relabelling, its URL.
//!
//! Owns: which labels a target begins with and which remain (Prometheus documentation, "Configuration", `<relabel_config>`). Must not know: sockets, tasks.

pub mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use promql::labels::Labels;
use promql::parse::print_duration;
use promql::relabel;

use crate::config::job::{Discovery, Group, Job};
use crate::config::text;

/// Where a target is.
pub const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
/// Labels that are not shown to rules.
const INTERNAL: &str = "__";

/// Targets one job may have; what is beyond is refused and told.
pub const TARGETS_LIMIT: usize = 10_000;
/// Dropped targets that are kept to be shown.
const DROPPED_SHOWN: usize = 100;

/// One scrape target.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its job.
    pub job: Arc<Job>,
    /// Its labels, `job` and `instance` included.
    pub labels: Labels,
    /// Those that relabelling was given.
    pub discovered: Labels,
    /// What is fetched.
    pub url: String,
    /// Between two scrapes.
    pub interval: Duration,
    /// At most this long, the body included.
    pub timeout: Duration,
    /// Why none of the job's targets is scraped: how many there are, and how many may be.
    pub over_limit: Option<(usize, usize)>,
}

/// Why what is listed is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No `__address__`.
    #[error("no address")]
    NoAddress,
    /// An address that is none.
    #[error("{0:?} is not a valid address")]
    Address(String),
    /// An interval or time limit that is none.
    #[error("{0} is {1:?}; expected a duration above zero")]
    Duration(&'static str, String),
    /// The time limit is longer than the interval.
    #[error("the scrape timeout is longer than the scrape interval")]
    Timeout,
    /// The job has as many as may be.
    #[error("over the limit of {TARGETS_LIMIT} targets")]
    TooMany,
    /// Parts that make no URL.
    #[error("no URL: {0}")]
    Url(String),
}

/// The targets of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The job's name.
    pub job: String,
    /// To be scraped.
    pub targets: Vec<Arc<Target>>,
    /// How many relabelling dropped.
    pub dropped: usize,
    /// Labels of the first of them.
    pub dropped_labels: Vec<Labels>,
    /// What cannot be scraped: its address and why.
    pub refused: Vec<(String, TargetError)>,
}

/// The targets of a job, each once; `listed` are the groups of its files.
pub fn of(job: &Arc<Job>, listed: &[Group]) -> Found {
    let mut found = Found { job: job.name.clone(), ..Found::default() };
    let mut targets: Vec<Target> = Vec::new();
    let mut seen = BTreeSet::new();
    for discovered in discovered(&job.discovery, listed) {
        let discovered = with_defaults(job, &discovered);
        let address = || discovered.get(ADDRESS).unwrap_or_default().to_owned();
        match target(job, &discovered) {
            Ok(Some(target)) if seen.contains(&(target.labels.clone(), target.url.clone())) => {}
            Ok(Some(_)) if targets.len() >= TARGETS_LIMIT => found.refused.push((address(), TargetError::TooMany)),
            Ok(Some(target)) => {
                seen.insert((target.labels.clone(), target.url.clone()));
                targets.push(target);
            }
            Ok(None) => {
                found.dropped += 1;
                if found.dropped_labels.len() < DROPPED_SHOWN {
                    found.dropped_labels.push(discovered);
                }
            }
            Err(error) => found.refused.push((address(), error)),
        }
    }
    let (count, limit) = (targets.len(), job.limits.targets);
    let over_limit = (limit > 0 && count > limit).then_some((count, limit));
    found.targets = targets.into_iter().map(|target| Arc::new(Target { over_limit, ..target })).collect();
    found
}

/// The label sets that discovery gives, before anything is added.
pub fn discovered<'a>(discovery: &'a Discovery, listed: &'a [Group]) -> impl Iterator<Item = Labels> + 'a {
    let addresses = |group: &'a Group| group.targets.iter().map(move |address| (group, address));
    discovery.groups.iter().chain(listed).flat_map(addresses).map(|(group, address)| {
        let own = group.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
        Labels::from_pairs(own.chain([(ADDRESS.to_owned(), address.clone())]))
    })
}

/// One label set as a target; `None` when relabelling drops it.
fn target(job: &Arc<Job>, discovered: &Labels) -> Result<Option<Target>, TargetError> {
    let Some(labels) = relabel::apply(discovered, &job.discovery.relabel) else { return Ok(None) };
    let get = |name: &str| labels.get(name).unwrap_or_default();
    let address = get(ADDRESS);
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::Address(address.to_owned()));
    }
    let interval = duration(INTERVAL, get(INTERVAL))?;
    let timeout = duration(TIMEOUT, get(TIMEOUT))?;
    if timeout > interval {
        return Err(TargetError::Timeout);
    }
    let url = url(job, &labels)?;
    let mut shown = labels.filtered(|name| !name.starts_with(INTERNAL));
    if shown.get("instance").is_none() {
        shown = shown.with("instance", address);
    }
    Ok(Some(Target { job: Arc::clone(job), labels: shown, discovered: discovered.clone(), url, interval, timeout, over_limit: None }))
}

/// What relabelling sees: the discovered labels, and the job's settings where those say nothing.
fn with_defaults(job: &Job, discovered: &Labels) -> Labels {
    let settings = [
        ("job".to_owned(), job.name.clone()),
        (INTERVAL.to_owned(), duration_text(job.interval)),
        (TIMEOUT.to_owned(), duration_text(job.timeout)),
        (PATH.to_owned(), job.metrics_path.clone()),
        (SCHEME.to_owned(), job.scheme.clone()),
    ];
    let params = job.params.iter().filter_map(|(name, values)| Some((format!("{PARAM}{name}"), values.first()?.clone())));
    let own = discovered.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Labels::from_pairs(settings.into_iter().chain(params).chain(own))
}

/// A duration as Prometheus writes it.
pub fn duration_text(of: Duration) -> String {
    print_duration(i64::try_from(of.as_millis()).unwrap_or(i64::MAX))
}

fn duration(name: &'static str, written: &str) -> Result<Duration, TargetError> {
    text::duration(written).filter(|read| !read.is_zero()).ok_or_else(|| TargetError::Duration(name, written.to_owned()))
}

/// The URL that labels describe; `__param_…` replaces the first value of a parameter.
fn url(job: &Job, labels: &Labels) -> Result<String, TargetError> {
    let get = |name: &str| labels.get(name).unwrap_or_default();
    let mut params: BTreeMap<&str, Vec<&str>> =
        job.params.iter().map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect())).collect();
    for (name, value) in labels {
        if let Some(name) = name.strip_prefix(PARAM) {
            let values = params.entry(name).or_default();
            match values.first_mut() {
                Some(first) => *first = value,
                None => values.push(value),
            }
        }
    }
    let bad = |error: &dyn std::fmt::Display| TargetError::Url(error.to_string());
    let written = format!("{}://{}{}", get(SCHEME), get(ADDRESS), get(PATH));
    let mut url = reqwest::Url::parse(&written).map_err(|error| bad(&error))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad(&written));
    }
    for (name, value) in params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))) {
        url.query_pairs_mut().append_pair(name, value);
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests;
