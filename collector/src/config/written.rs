//! `collector.yml` as it is written: keys, types, places. Meaning is given to it by `validate`.

use diagnostics::yaml::Spanned;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    pub(super) lang: Option<Spanned<String>>,
    pub(super) venues: Option<Spanned<Vec<Venue>>>,
    pub(super) nats: Option<Nats>,
    #[serde(default)]
    pub(super) buffers: Buffers,
    #[serde(default)]
    pub(super) spool: Store,
    #[serde(default)]
    pub(super) dead_letter: Store,
    pub(super) recorder: Option<Recorder>,
    #[serde(default)]
    pub(super) http: Http,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) shutdown: Shutdown,
    #[serde(default)]
    pub(super) pressure: Pressure,
    #[serde(default)]
    pub(super) instruments: Instruments,
    pub(super) gather: Option<Spanned<String>>,
}

/// How often the venues' instrument lists are read again.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Instruments {
    pub(super) listing_interval: Option<Spanned<String>>,
    pub(super) cleanup_interval: Option<Spanned<String>>,
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
    pub(super) ca_file: Option<Spanned<String>>,
    pub(super) cert_file: Option<Spanned<String>>,
    pub(super) key_file: Option<Spanned<String>>,
    pub(super) nkey_file: Option<Spanned<String>>,
    pub(super) credentials_file: Option<Spanned<String>>,
    pub(super) mode: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) streams: Streams,
    pub(super) in_flight: Option<Spanned<u32>>,
    pub(super) accept_within: Option<Spanned<String>>,
    pub(super) ack_timeout: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) queue: Queue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Streams {
    #[serde(default)]
    pub(super) orderbook: Stream,
    #[serde(default)]
    pub(super) trade: Stream,
    #[serde(default)]
    pub(super) orderbook_delta: Stream,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    pub(super) name: Option<Spanned<String>>,
    pub(super) storage: Option<Spanned<String>>,
    pub(super) discard: Option<Spanned<String>>,
    pub(super) max_bytes: Option<Spanned<String>>,
    pub(super) max_age: Option<Spanned<String>>,
    pub(super) duplicate_window: Option<Spanned<String>>,
    pub(super) replicas: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Buffers {
    pub(super) orderbook: Option<Marks>,
    pub(super) trade: Option<Marks>,
    pub(super) orderbook_delta: Option<Marks>,
    pub(super) ofi: Option<Marks>,
    pub(super) cvd: Option<Marks>,
    pub(super) fusion: Option<Marks>,
    pub(super) feature: Option<Marks>,
    pub(super) event: Option<Marks>,
    #[serde(default)]
    pub(super) bytes: ByteMarks,
    pub(super) preview_max_age: Option<Spanned<String>>,
    pub(super) adapt: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marks {
    pub(super) high: Option<Spanned<u32>>,
    pub(super) emergency: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByteMarks {
    pub(super) high: Option<Spanned<String>>,
    pub(super) emergency: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) dir: Option<Spanned<String>>,
    pub(super) max_total: Option<Spanned<String>>,
    pub(super) max_age: Option<Spanned<String>>,
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
    pub(super) repeat_limit: Option<Spanned<u32>>,
    pub(super) repeat_interval: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shutdown {
    pub(super) deadline: Option<Spanned<String>>,
}
