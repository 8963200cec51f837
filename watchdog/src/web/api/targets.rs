//! What is scraped, and where alerts go, in Prometheus's shape. Must not know: how it is done.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use promql::exposition::MetricKind;
use promql::labels::Labels;
use promql::parse::print_duration;
use serde_json::{Map, Value, json};

use super::params::Params;
use super::rules::time;
use super::{Api, ApiError, Reply, Success};
use crate::config::Target;
use crate::metrics::list;
use crate::web::view::TargetView;

/// `/api/v1/targets`.
pub(super) async fn targets(State(api): State<Arc<Api>>, params: Params) -> Reply {
    let state = params.get("state");
    if !["", "any", "active", "dropped"].contains(&state) {
        return Err(ApiError::parameter("state", format_args!("not supported value {state:?}")));
    }
    let pool = params.get("scrapePool");
    let views = api.board.targets.load();
    let config = api.facts.config.load();
    let all = config.iter().flat_map(|(config, _)| &config.targets);
    let wanted = all.filter(|target| state != "dropped" && (pool.is_empty() || pool == target.job));
    let active: Vec<Value> = wanted
        .map(|target| {
            let view = views.iter().find(|view| view.job == target.job && view.instance == target.instance);
            shown(target, view)
        })
        .collect();
    Success::of(&json!({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": null}))
}

/// `/api/v1/scrape_pools`.
pub(super) async fn pools(State(api): State<Arc<Api>>) -> Reply {
    let config = api.facts.config.load();
    let mut jobs: Vec<&str> = config.iter().flat_map(|(config, _)| &config.targets).map(|target| target.job.as_str()).collect();
    jobs.sort_unstable();
    jobs.dedup();
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
    let labels = pairs(&target.labels);
    let mut discovered = labels.clone();
    discovered.remove("instance");
    let (scheme, rest) = target.url.split_once("://").unwrap_or(("http", target.url.as_str()));
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    for (name, value) in [
        ("__address__", target.instance.clone()),
        ("__scheme__", scheme.to_owned()),
        ("__metrics_path__", path.split('?').next().unwrap_or(path).to_owned()),
        ("__scrape_interval__", duration(target.interval)),
        ("__scrape_timeout__", duration(target.timeout)),
    ] {
        discovered.insert(name.to_owned(), value.into());
    }
    json!({
        "discoveredLabels": discovered,
        "labels": labels,
        "scrapePool": target.job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": view.map_or("", |view| view.error.as_str()),
        "lastScrape": time(view.filter(|view| view.at_ms > 0).map(|view| view.at_ms)),
        "lastScrapeDuration": view.map_or(0.0, |view| view.seconds),
        "health": health,
        "scrapeInterval": duration(target.interval),
        "scrapeTimeout": duration(target.timeout),
    })
}

fn pairs(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn duration(of: Duration) -> String {
    print_duration(i64::try_from(of.as_millis()).unwrap_or(i64::MAX))
}
