//! The heartbeat: every ten seconds a small message on `health.collector.<host>-<pid>`, core NATS, in the old collector's shape with true contents.
//!
//! Owns: its subject and body. Must not know: NATS (the sink carries it). Without a connection it is counted and not kept: an old heartbeat says nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use marketdata::{Exchange, MarketType};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::VERSION;
use crate::metrics::process::parse_stat;
use crate::metrics::{Registry, catalogue as names};
use crate::state::State;

/// Between two beats, as the old collector had it.
const EVERY: Duration = Duration::from_secs(10);

/// Beats until told to stop.
pub(crate) async fn beat(state: Arc<State>, registry: Arc<Registry>, stop: CancellationToken) {
    let identity = Identity::of_process();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // Only a collector that publishes to NATS has a heartbeat there.
        let Some(out) = state.core_out.get() else { continue };
        let sent = out.try_publish(identity.subject(), Bytes::from(identity.body(&state, &registry)));
        registry.counter(&names::HEARTBEATS, &[if sent { "sent" } else { "not_connected" }]).inc();
    }
}

/// Who beats.
struct Identity {
    hostname: String,
    pid: u32,
}

// === impl Identity ===

impl Identity {
    fn of_process() -> Self {
        Self { hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(), pid: std::process::id() }
    }

    fn instance(&self) -> String {
        format!("{}-{}", self.hostname, self.pid)
    }

    /// One word of a subject may hold no dot, wildcard or blank.
    fn subject(&self) -> String {
        let word = self.instance().replace(|c: char| matches!(c, '.' | '*' | '>') || c.is_whitespace() || c.is_control(), "-");
        format!("health.collector.{word}")
    }

    fn body(&self, state: &State, registry: &Registry) -> String {
        let now = state.clock.now();
        let venues: BTreeSet<(Exchange, MarketType)> = state.streams.iter().map(|stream| (stream.exchange, stream.market_type)).collect();
        let is_up = |(exchange, market): &&(Exchange, MarketType)| {
            registry.gauge(&names::WEBSOCKET_CONNECTED, &[exchange.as_str(), market.as_str()]).get() > 0.0
        };
        let exchanges: BTreeSet<&str> = venues.iter().map(|(exchange, _)| exchange.as_str()).collect();
        let resident = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| parse_stat(&stat)).map(|reading| reading.resident);
        json!({
            "service": "data-collector",
            "instance": self.instance(),
            "hostname": self.hostname,
            "pid": self.pid,
            "ts": now.wall_ms / 1_000,
            "uptime_sec": now.mono.as_secs(),
            "active_managers": venues.iter().filter(is_up).count(),
            "exchanges": exchanges,
            "rss": resident,
            "version": VERSION,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clocks::SystemClock;
    use crate::config;

    #[test]
    fn the_body_has_the_old_shape_and_says_what_is_so() {
        let identity = Identity { hostname: "md 1.example".to_owned(), pid: 7 };
        assert_eq!(identity.subject(), "health.collector.md-1-example-7");
        let text = "venues: [{name: binance, market: spot, symbols: [A-B]}, {name: binance, market: perpetual, symbols: [A-B]}]";
        let config = config::load("c", text, &config::Environment::default()).config.unwrap();
        let (state, registry) = (State::new(&config, SystemClock::shared()), Registry::new());
        registry.gauge(&names::WEBSOCKET_CONNECTED, &["binance", "spot"]).set(2.0);
        let body: serde_json::Value = serde_json::from_str(&identity.body(&state, &registry)).unwrap();
        assert_eq!((&body["instance"], &body["pid"], &body["active_managers"]), (&json!("md 1.example-7"), &json!(7), &json!(1)));
        assert_eq!(body["exchanges"], json!(["binance"]));
        assert!(body["rss"].as_u64().unwrap() > 100_000 && body["ts"].as_i64().unwrap() > 1_600_000_000);
    }
}
