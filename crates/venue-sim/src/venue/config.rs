//! What a simulation is to do, as written in YAML or assembled from flags or by a test.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::deribit::talk::CREDITS;
use super::fault::FaultSpec;
use super::kind::VenueKind;
use super::okx::talk::REQUESTS_PER_HOUR;
use crate::duration::Span;

/// A whole simulation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenuesConfig {
    /// The venues to play.
    #[serde(default)]
    pub venues: Vec<VenueConfig>,
    /// The fault script.
    #[serde(default)]
    pub faults: Vec<FaultSpec>,
}

/// One venue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    /// Which venue.
    pub venue: VenueKind,
    /// Where it listens; port 0 takes a free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// Where its data come from.
    pub feed: FeedConfig,
    /// Limits other than the venue's own.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// By how many milliseconds its clock is ahead of this machine's; negative: behind. Recordings keep their own times.
    #[serde(default)]
    pub clock_skew_ms: i64,
}

/// Where data come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedConfig {
    /// A recording.
    Replay(ReplayConfig),
    /// A seeded random walk.
    Walk(WalkConfig),
}

/// A replay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayConfig {
    /// The recording, `.gz` or plain.
    pub file: PathBuf,
    /// The recorded instrument, `BASE-QUOTE`.
    #[serde(default = "btc_usdt")]
    pub instrument: String,
    /// 1 = as recorded, 10 = ten times as fast, 0 = as fast as the readers take it (nothing is lost, nobody is dropped for being slow).
    #[serde(default = "one")]
    pub speed: f64,
    /// What happens at the end.
    #[serde(default)]
    pub at_end: AtEnd,
    /// When it begins.
    #[serde(default)]
    pub start: Start,
    /// Write today's times into the messages.
    #[serde(default)]
    pub retime: bool,
}

/// What a replay does at the end of its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtEnd {
    /// Connections stay open and silent.
    #[default]
    Stop,
    /// One event bridges the end to the start, ids and times go on.
    Loop,
}

/// When a replay begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At once.
    Immediately,
    /// With the first subscription.
    #[default]
    FirstSubscriber,
    /// When each of these streams has a subscriber.
    Streams(Vec<String>),
    /// With `POST /control/start`.
    Control,
}

/// A random walk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkConfig {
    /// Instruments, `BASE-QUOTE`; known bases have plausible prices and steps, others get some.
    pub instruments: Vec<String>,
    /// The same seed makes the same walk.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Book changes per second and instrument.
    #[serde(default = "fifty")]
    pub changes_per_second: u32,
    /// How often the walk moves, and so the interval of the fastest streams.
    #[serde(default = "twenty_ms")]
    pub step: Span,
}

/// Limits; what is absent is the venue's own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Interval of ping frames.
    #[serde(default)]
    pub ping_interval: Option<Span>,
    /// How long to wait for the pong.
    #[serde(default)]
    pub pong_timeout: Option<Span>,
    /// Life of a connection.
    #[serde(default)]
    pub max_life: Option<Span>,
    /// Client messages per second.
    #[serde(default)]
    pub inbound_per_second: Option<u32>,
    /// Request weight per minute (OKX: requests in 2 s; Deribit: requests in 5 s).
    #[serde(default)]
    pub weight_per_minute: Option<u32>,
    /// After how long without a word on either side OKX closes with 4004.
    #[serde(default)]
    pub idle: Option<Span>,
    /// After how long without a change OKX repeats the last sequence number.
    #[serde(default)]
    pub keep_alive: Option<Span>,
    /// New connections per second.
    #[serde(default)]
    pub connects_per_second: Option<u32>,
    /// Subscribe and unsubscribe requests an hour of an OKX connection.
    #[serde(default)]
    pub requests_per_hour: Option<u32>,
    /// Subscription credits of a Deribit connection; a call costs 3000.
    #[serde(default)]
    pub credits: Option<u64>,
    /// Lets Deribit heartbeats be shorter than the venue's 10 s, down to 1 s.
    #[serde(default)]
    pub short_heartbeats: bool,
    /// Interval of `@depth@100ms` in a walk, for load beyond the venue's: the walk moves as often and each step is an event.
    #[serde(default)]
    pub depth_interval: Option<Span>,
    /// Frames queued for one connection; at speed > 0 a reader that lags further is dropped.
    #[serde(default)]
    pub queue_frames: Option<usize>,
    /// Events per symbol for which the book is remembered.
    #[serde(default)]
    pub history_events: Option<usize>,
}

/// What new connections are told of the limits.
#[derive(Debug, Clone)]
pub(super) struct Manners {
    /// Requests an hour of an OKX connection.
    pub requests_per_hour: u32,
    /// Subscription credits of a Deribit connection.
    pub credits: u64,
    /// Heartbeats may be shorter than the venue's.
    pub short_heartbeats: bool,
}

// === impl Manners ===

impl Manners {
    /// The venues' own, with what the configuration changes.
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            requests_per_hour: limits.requests_per_hour.unwrap_or(REQUESTS_PER_HOUR),
            credits: limits.credits.unwrap_or(CREDITS),
            short_heartbeats: limits.short_heartbeats,
        }
    }
}

impl Default for Manners {
    fn default() -> Self {
        Self::new(&LimitsConfig::default())
    }
}

// === impl VenueConfig ===

impl VenueConfig {
    /// A venue on a free loopback port with the venue's own limits.
    pub fn new(venue: VenueKind, feed: FeedConfig) -> Self {
        Self { venue, listen: any_port(), feed, limits: LimitsConfig::default(), clock_skew_ms: 0 }
    }
}

// === impl ReplayConfig ===

impl ReplayConfig {
    /// The recording of `BTC-USDT` in `file`, once, at a speed, from the first subscription.
    pub fn new(file: PathBuf, speed: f64) -> Self {
        Self { file, instrument: btc_usdt(), speed, at_end: AtEnd::Stop, start: Start::FirstSubscriber, retime: false }
    }
}

// === impl WalkConfig ===

impl WalkConfig {
    /// A walk of instruments with a seed.
    pub fn new(instruments: &[&str], seed: u64) -> Self {
        let instruments = instruments.iter().map(|&name| name.to_owned()).collect();
        Self { instruments, seed, changes_per_second: fifty(), step: twenty_ms() }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn btc_usdt() -> String {
    "BTC-USDT".to_owned()
}

fn one() -> f64 {
    1.0
}

fn seed() -> u64 {
    1
}

fn fifty() -> u32 {
    50
}

fn twenty_ms() -> Span {
    Span(std::time::Duration::from_millis(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_whole_and_wrong_keys_are_refused() {
        let config: VenuesConfig = serde_saphyr::from_str(
            "venues:\n\
             - venue: binance_spot\n\
             \x20 listen: 127.0.0.1:7001\n\
             \x20 feed: {replay: {file: spot.gz, speed: 0, at_end: loop, start: {streams: [btcusdt@trade]}, retime: true}}\n\
             \x20 limits: {ping_interval: 5s, max_life: 10m}\n\
             - venue: binance_usdm\n\
             \x20 feed: {walk: {instruments: [BTC-USDT], seed: 4}}\n\
             faults: [{at: 3s, kind: rest_429, count: 2, retry_after: 1}]\n",
        )
        .unwrap();
        let [spot, usdm] = config.venues.as_slice() else { panic!("two venues") };
        let FeedConfig::Replay(replay) = &spot.feed else { panic!("a replay") };
        assert_eq!((replay.at_end, &replay.start), (AtEnd::Loop, &Start::Streams(vec!["btcusdt@trade".into()])));
        assert_eq!(spot.limits.max_life, Some(Span(std::time::Duration::from_mins(10))));
        assert!(matches!(&usdm.feed, FeedConfig::Walk(walk) if walk.seed == 4 && walk.changes_per_second == 50));
        assert_eq!(config.faults.len(), 1);
        assert!(serde_saphyr::from_str::<VenuesConfig>("venue: []\n").is_err());
    }
}
