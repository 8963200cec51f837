//! What is scraped, and where alerts go, in Prometheus's shape. Must not know: how it is done.

use std::sync::Arc;

use axum::extract::State;
use promql::exposition::MetricKind;
use promql::labels::Labels;
use serde_json::{Map, Value, json};

use super::params::Params;
use super::rules::time;
use super::{Api, ApiError, Reply, Success};
use crate::metrics::list;
use crate::targets::{Target, duration_text};
use crate::web::view::TargetView;

/// `/api/v1/targets`.
pub(super) async fn targets(State(api): State<Arc<Api>>, params: Params) -> Reply {
    let state = params.get("state");
    if !["", "any", "active", "dropped"].contains(&state) {
        return Err(ApiError::parameter("state", format_args!("not supported value {state:?}")));
    }
    let pool = params.get("scrapePool");
    let (views, found) = (api.board.targets.load(), api.board.found.load());
    let jobs: Vec<_> = found.iter().filter(|found| pool.is_empty() || pool == found.job).collect();
    let seen = |target: &Target| {
        views.iter().find(|view| view.job == label(target, "job") && view.instance == label(target, "instance") && view.url == target.url)
    };
    let active = jobs.iter().flat_map(|found| &found.targets).map(|target| shown(target, seen(target)));
    let active: Vec<Value> = if state == "dropped" { Vec::new() } else { active.collect() };
    let dropped = jobs.iter().flat_map(|found| found.dropped_labels.iter().map(|labels| (&found.job, labels)));
    let dropped = dropped.map(|(job, labels)| json!({"discoveredLabels": pairs(labels), "scrapePool": job}));
    let dropped: Vec<Value> = if state == "active" { Vec::new() } else { dropped.collect() };
    // Prometheus counts them only where they are asked for.
    let counts = (state != "active").then(|| jobs.iter().map(|found| (found.job.clone(), found.dropped.into())).collect::<Map<_, _>>());
    Success::of(&json!({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts}))
}

/// `/api/v1/scrape_pools`.
pub(super) async fn pools(State(api): State<Arc<Api>>) -> Reply {
    let found = api.board.found.load();
    let mut jobs: Vec<&str> = found.iter().map(|found| found.job.as_str()).collect();
    jobs.sort_unstable();
    Success::of(&json!({ "scrapePools": jobs }))
}

/// `/api/v1/alertmanagers`: the router is in this process.
pub(super) async fn alertmanagers() -> Reply {
    Success::of(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))
}

/// `/api/v1/metadata`.
pub(super) async fn metadata(params: Params) -> Reply {
    let most = match params.limit()? {
        0 => usize::MAX,
        limit => limit,
    };
    let metric = params.get("metric");
    let ours = list::ALL.iter().map(|metric| (metric.name, metric.kind, metric.help));
    let observed = list::OBSERVED.iter().map(|(name, help)| (*name, MetricKind::Gauge, *help));
    let known = ours.chain(observed).filter(|(name, ..)| metric.is_empty() || metric == *name);
    let of = |(name, kind, help): (&str, MetricKind, &str)| (name.to_owned(), json!([{"type": kind.as_str(), "unit": "", "help": help}]));
    Success::of(&known.take(most).map(of).collect::<Map<_, _>>())
}

fn shown(target: &Target, view: Option<&TargetView>) -> Value {
    let up = view.and_then(|view| view.up);
    let health = up.map_or("unknown", |up| if up { "up" } else { "down" });
    json!({
        "discoveredLabels": pairs(&target.discovered),
        "labels": pairs(&target.labels),
        "scrapePool": target.job.name,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": view.map_or("", |view| view.error.as_str()),
        "lastScrape": time(view.filter(|view| view.at_ms > 0).map(|view| view.at_ms)),
        "lastScrapeDuration": view.map_or(0.0, |view| view.seconds),
        "health": health,
        "scrapeInterval": duration_text(target.interval),
        "scrapeTimeout": duration_text(target.timeout),
    })
}

fn pairs(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn label<'a>(target: &'a Target, name: &str) -> &'a str {
    target.labels.get(name).unwrap_or_default()
}
