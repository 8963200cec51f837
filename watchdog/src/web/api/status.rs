//! What this program is and how it is set up, in Prometheus's shape. Must not know: what the configuration means.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use promql::parse::print_duration;
use serde_json::json;

use super::rules::time;
use super::{Api, Reply, Success};

/// The version of Prometheus whose API this speaks. Grafana decides by it what to ask for; our own version is the revision.
const SPOKEN: &str = "3.5.0";

/// `/api/v1/status/buildinfo`.
pub(super) async fn build() -> Reply {
    let ours = concat!("tidemark-watchdog-", env!("CARGO_PKG_VERSION"));
    Success::of(&json!({"version": SPOKEN, "revision": ours, "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}))
}

/// `/api/v1/status/runtimeinfo`.
pub(super) async fn runtime(State(api): State<Arc<Api>>) -> Reply {
    let reload = api.board.reload.load();
    let retention = api.facts.config.load().as_ref().as_ref().map_or_else(String::new, |(config, _)| {
        let days = promql::parse::print_duration(i64::try_from(config.storage.retention.as_millis()).unwrap_or(i64::MAX));
        format!("{days} or {}MiB", config.storage.size >> 20)
    });
    Success::of(&json!({
        "startTime": time(Some(api.started_ms)),
        "serverTime": time(Some((api.now_ms)())),
        "CWD": std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
        "hostname": rustix::system::uname().nodename().to_string_lossy(),
        "reloadConfigSuccess": reload.error.is_empty(),
        "lastConfigTime": time(Some(reload.at_ms)),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": retention,
    }))
}

/// `/api/v1/status/config`.
pub(super) async fn config(State(api): State<Arc<Api>>) -> Reply {
    let config = api.facts.config.load();
    Success::of(&json!({"yaml": config.as_ref().as_ref().map_or("", |(_, text)| text.as_str())}))
}

/// `/api/v1/status/flags`: those that have Prometheus's names; everything else is in the configuration.
pub(super) async fn flags(State(api): State<Arc<Api>>) -> Reply {
    let limits = api.queries.limits();
    let duration = |of: Duration| print_duration(i64::try_from(of.as_millis()).unwrap_or(i64::MAX));
    Success::of(&json!({
        "query.lookback-delta": duration(limits.lookback),
        "query.max-concurrency": limits.at_once.to_string(),
        "query.max-samples": limits.samples.to_string(),
        "query.timeout": duration(limits.within),
    }))
}
