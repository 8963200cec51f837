//! The health page as JSON, in the old collector's shape.
//!
//! Owns: names and forms of its fields. Must not know: how a verdict comes about.

use std::collections::BTreeMap;

use clock::Now;
use marketdata::RecordKind;
use serde_json::{Value, json};

use super::{Check, Report, Verdict, is_fresh, is_watched};
use crate::sink::Streams;
use crate::stream::{Stream, StreamState};
use crate::{VERSION, utc};

// === impl Report ===

impl Report {
    /// The page.
    pub fn to_json(&self) -> Value {
        let unhealthy = self.checks.values().filter(|check| check.verdict == Verdict::Unhealthy).count();
        let checks: serde_json::Map<String, Value> = self.checks.iter().map(|(name, check)| (name.clone(), check.to_json(name, self.now))).collect();
        let mut page = json!({
            "status": self.verdict.as_str(),
            "reasons": self.reasons,
            "phase": self.phase.as_str(),
            "timestamp": utc::rfc3339(self.now.wall_ms),
            "version": VERSION,
            "uptime": rounded(self.now.mono.as_secs_f64()),
            "checks": checks,
            "metrics": self.metrics,
            "summary": {"total_services": self.checks.len(), "healthy_services": self.checks.len() - unhealthy, "unhealthy_services": unhealthy, "check_duration": self.took.as_secs_f64()},
            "coverage": self.coverage,
            "streams": self.streams,
        });
        if let (Some(page), true) = (page.as_object_mut(), self.verdict == Verdict::Unhealthy) {
            let grace = json!({"applied": self.in_grace(), "uptime": rounded(self.now.mono.as_secs_f64()), "grace_seconds": self.grace.as_secs()});
            page.insert("grace".to_owned(), grace);
        }
        page
    }
}

// === impl Check ===

impl Check {
    fn to_json(&self, name: &str, now: Now) -> Value {
        json!({
            "name": name,
            "status": self.verdict.as_str(),
            "last_check": utc::rfc3339(now.wall_ms),
            "response_time": 0.0,
            "error_message": self.trouble,
            "details": self.details,
        })
    }
}

pub(super) fn stream_entry(stream: &Stream, now: Now) -> Value {
    let status = match (stream.age(now), stream.state()) {
        (_, StreamState::Unknown) => "unknown_symbol",
        (_, StreamState::Paused) => "paused",
        (_, StreamState::Delisted) => "delisted",
        (None, _) if !stream.is_watched() => "quiet",
        (None, _) => "never_came",
        (Some(_), _) if !is_fresh(stream, now) => {
            if stream.is_watched() {
                "stale"
            } else {
                "quiet"
            }
        }
        (Some(_), StreamState::Waiting) => "resyncing",
        (Some(_), _) => "healthy",
    };
    let mut entry = json!({
        "subject": stream.subject,
        "status": status,
        "state": stream.state().as_str(),
        "age_seconds": stream.age(now).map(|age| rounded(age.as_secs_f64())),
    });
    if let (Some(entry), RecordKind::OrderBook) = (entry.as_object_mut(), stream.kind) {
        entry.insert("book".to_owned(), stream.condition().as_str().into());
    }
    entry
}

/// Per kind and exchange, as the old page had it: the freshest record speaks for the exchange.
pub(super) fn coverage(streams: &Streams, now: Now) -> Value {
    let mut by_kind: BTreeMap<&str, BTreeMap<&str, Vec<&Stream>>> = BTreeMap::new();
    for stream in streams.iter().filter(|stream| is_watched(stream)) {
        let [exchange, _, _, kind] = stream.labels();
        by_kind.entry(kind).or_default().entry(exchange).or_default().push(stream);
    }
    let exchange = |streams: &Vec<&Stream>| {
        let last = streams.iter().map(|stream| stream.last_ms()).max().filter(|ms| *ms > 0);
        let age = streams.iter().filter_map(|stream| stream.age(now)).min();
        let fresh = streams.iter().filter(|stream| is_fresh(stream, now)).count();
        json!({
            "active_symbols": fresh,
            "last_success_ts": last.map(|ms| rounded(ms as f64 / 1_000.0)),
            "age_seconds": age.map(|age| rounded(age.as_secs_f64())),
            "status": if fresh == streams.len() { "healthy" } else if fresh > 0 { "degraded" } else { "unhealthy" },
        })
    };
    by_kind
        .iter()
        .map(|(kind, exchanges)| {
            ((*kind).to_owned(), exchanges.iter().map(|(name, streams)| ((*name).to_owned(), exchange(streams))).collect::<Value>())
        })
        .collect()
}

pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
