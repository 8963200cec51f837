//! `collector.yml` as it is written: keys, types, places. Meaning is given to it by `validate`.

use diagnostics::yaml::Spanned;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    pub(super) lang: Option<Spanned<String>>,
    pub(super) venues: Option<Spanned<Vec<Venue>>>,
    pub(super) nats: Option<Nats>,
    pub(super) recorder: Option<Recorder>,
    #[serde(default)]
    pub(super) http: Http,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) shutdown: Shutdown,
    #[serde(default)]
    pub(super) pressure: Pressure,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Venue {
    pub(super) name: Spanned<String>,
    pub(super) market: Spanned<String>,
    pub(super) symbols: Spanned<Vec<Spanned<String>>>,
    pub(super) ws_url: Option<Spanned<String>>,
    pub(super) rest_url: Option<Spanned<String>>,
    pub(super) depth: Option<Spanned<u32>>,
    pub(super) trades: Option<bool>,
    pub(super) publish: Option<Spanned<String>>,
    pub(super) delta: Option<Spanned<String>>,
    pub(super) previews: Option<Vec<Spanned<String>>>,
    pub(super) large_trade: Option<Spanned<u64>>,
    pub(super) priority: Option<Spanned<String>>,
    pub(super) proxy: Option<Spanned<String>>,
    pub(super) proxy_auth: Option<ProxyAuth>,
    pub(super) ca_file: Option<String>,
    pub(super) capture: Option<Capture>,
    #[serde(default)]
    pub(super) overrides: Vec<Override>,
    #[serde(default)]
    pub(super) fusion: Fusion,
}

/// What leaves of some symbols, where it differs from the venue's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    pub(super) symbols: Spanned<Vec<Spanned<String>>>,
    pub(super) publish: Option<Spanned<String>>,
    pub(super) delta: Option<Spanned<String>>,
    pub(super) previews: Option<Vec<Spanned<String>>>,
    pub(super) large_trade: Option<Spanned<u64>>,
    pub(super) priority: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fusion {
    pub(super) ofi: Option<Spanned<f64>>,
    pub(super) cvd: Option<Spanned<f64>>,
    pub(super) half_life: Option<Spanned<String>>,
    pub(super) warm_up: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyAuth {
    pub(super) file: Option<Spanned<String>>,
    pub(super) env: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capture {
    pub(super) dir: Spanned<String>,
    pub(super) max_bytes: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nats {
    pub(super) url: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) queue: Queue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) records: Option<Spanned<u32>>,
    pub(super) bytes: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorder {
    pub(super) enabled: Option<bool>,
    pub(super) dir: Option<Spanned<String>>,
    pub(super) max_total: Option<Spanned<String>>,
    pub(super) rotate: Option<Spanned<String>>,
    pub(super) rotate_after: Option<Spanned<String>>,
    pub(super) flush: Option<Spanned<String>>,
    pub(super) buffer: Option<Spanned<String>>,
    pub(super) save_concurrency: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) queue: Queue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) health: Option<Spanned<String>>,
    pub(super) metrics: Option<Spanned<String>>,
    pub(super) health_grace: Option<Spanned<String>>,
    pub(super) token_file: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pressure {
    pub(super) memory: Option<Spanned<Sizes>>,
    pub(super) descriptors: Option<Spanned<Counts>>,
    pub(super) sockets: Option<Spanned<Counts>>,
    pub(super) dwell: Option<Spanned<String>>,
    pub(super) gc_interval: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sizes {
    pub(super) soft: Spanned<String>,
    pub(super) hard: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pub(super) soft: Spanned<u32>,
    pub(super) hard: Spanned<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Option<Spanned<String>>,
    pub(super) format: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shutdown {
    pub(super) deadline: Option<Spanned<String>>,
}
