//! `venue-sim run`: a configuration file, or flags for the usual cases.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::de::DeserializeOwned;
use venue_sim::duration::Span;
use venue_sim::venue::config::{AtEnd, FeedConfig, LimitsConfig, ReplayConfig, Start, VenueConfig, VenuesConfig, WalkConfig};
use venue_sim::{FaultSpec, VenueKind, run_venues};

use super::{cancelled_by_signals, tell_ports};

/// The kinds of faults, in the order of `FaultKind`.
const FAULTS: &str = "drop_diff duplicate_diff reorder_diff malformed_frame unknown_event silent_streams quiet_book keep_alive sequence_reset no_snapshot \
checksum_absent checksum_wrong refuse_subscribe unknown_delete null_previous reorder_acks too_many_requests tcp_reset half_open cut_frame close server_shutdown \
refuse_connect slow_handshake rest_429 rest_418 rest_500 rest_403 rest_timeout rest_slow rest_stale rest_reset";

/// What `--help` says behind the options.
fn control_paths() -> String {
    format!(
        "Control paths, on every venue's port:\n  \
         GET  /control/state[?venue=V]            counts, positions, faults\n  \
         GET  /control/book?symbol=S[&seq=N]      the true book after an update\n  \
         POST /control/fault                      {{\"kind\": K, \"symbol\": S, \"for\": \"3s\", \"count\": N, \"venue\": V}} or a list\n  \
         POST /control/clear                      no more faults\n  \
         POST /control/list?instrument=SOL-USDT   another instrument of this venue\n  \
         POST /control/delist?symbol=S            one less\n\n\
         Kinds of faults:\n  {}",
        FAULTS.replace(' ', "\n  ")
    )
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_long_help = control_paths())]
pub(crate) struct Arguments {
    /// Configuration (YAML: venues, faults); the flags below are the short form of the usual cases.
    #[arg(long, conflicts_with_all = ["spot_replay", "spot_walk", "usdm_replay", "usdm_walk", "okx_spot_walk", "okx_swap_walk", "deribit_walk"])]
    config: Option<PathBuf>,
    /// Binance Spot from a recording.
    #[arg(long, value_name = "FILE", conflicts_with = "spot_walk")]
    spot_replay: Option<PathBuf>,
    /// Binance Spot as a random walk of instruments: BTC-USDT,PEPE-USDT.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    spot_walk: Vec<String>,
    /// Where Binance Spot listens.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    spot_listen: SocketAddr,
    /// Binance futures from a recording.
    #[arg(long, value_name = "FILE", conflicts_with = "usdm_walk")]
    usdm_replay: Option<PathBuf>,
    /// Binance futures as a random walk of instruments.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    usdm_walk: Vec<String>,
    /// Where Binance futures listen.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    usdm_listen: SocketAddr,
    /// OKX spot (/ws/v5/public, /ws/v5/business, /api/v5) as a random walk of instruments: BTC-USDT. Ports key okx_spot.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    okx_spot_walk: Vec<String>,
    /// Where OKX spot listens.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    okx_spot_listen: SocketAddr,
    /// OKX swaps, the same paths on a port of their own: BTC-USDT is BTC-USDT-SWAP there. Ports key okx_swap.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    okx_swap_walk: Vec<String>,
    /// Where OKX swaps listen.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    okx_swap_listen: SocketAddr,
    /// Deribit perpetuals (/ws/api/v2, /api/v2) as a random walk: BTC-USD is BTC-PERPETUAL there, BTC-USDC is BTC_USDC-PERPETUAL. Ports key deribit.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    deribit_walk: Vec<String>,
    /// Where Deribit listens.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    deribit_listen: SocketAddr,
    /// Speed of replays: 1 as recorded, 0 as fast as the readers take it.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Play recordings again and again; ids and times go on.
    #[arg(long = "loop")]
    again: bool,
    /// Write today's times into replayed messages.
    #[arg(long)]
    retime: bool,
    /// Begin replays at once instead of with the first subscription.
    #[arg(long)]
    immediately: bool,
    /// Seed of walks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Book changes per second and instrument of walks.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Interval of @depth@100ms in walks, for load beyond the venue's: 2400us makes 417 events per second and book.
    #[arg(long, value_name = "TIME")]
    depth_interval: Option<Span>,
    /// Life of a connection, shorter than the venue's.
    #[arg(long, value_name = "TIME")]
    max_life: Option<Span>,
    /// After how long without a word OKX closes with 4004, shorter than its 30 s.
    #[arg(long, value_name = "TIME")]
    idle: Option<Span>,
    /// After how long without a change OKX repeats the last sequence number, shorter than its 60 s.
    #[arg(long, value_name = "TIME")]
    keep_alive: Option<Span>,
    /// By how many milliseconds the venues' clocks are ahead of this machine's; negative: behind.
    #[arg(long, value_name = "MS", default_value_t = 0, allow_negative_numbers = true)]
    clock_skew_ms: i64,
    /// Events per symbol whose books /control/book knows.
    #[arg(long, value_name = "EVENTS")]
    history: Option<usize>,
    /// Fault script (YAML list: at, venue, kind, symbol, for, count).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Write the addresses to this file too.
    #[arg(long, value_name = "FILE")]
    ports_file: Option<PathBuf>,
}

/// Plays until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let shutdown = cancelled_by_signals()?;
    let mut config = match &arguments.config {
        Some(file) => read_yaml::<VenuesConfig>(file)?,
        None => from_flags(&arguments)?,
    };
    if let Some(file) = &arguments.faults {
        config.faults.extend(read_yaml::<Vec<FaultSpec>>(file)?);
    }
    let venues = run_venues(config, shutdown.clone()).await?;
    tell_ports(&venues.addresses(), arguments.ports_file.as_deref())?;
    shutdown.cancelled().await;
    venues.stopped().await;
    Ok(())
}

fn from_flags(arguments: &Arguments) -> Result<VenuesConfig> {
    let spot = feed(arguments, arguments.spot_replay.as_deref(), &arguments.spot_walk);
    let usdm = feed(arguments, arguments.usdm_replay.as_deref(), &arguments.usdm_walk);
    let limits = LimitsConfig {
        depth_interval: arguments.depth_interval,
        max_life: arguments.max_life,
        idle: arguments.idle,
        keep_alive: arguments.keep_alive,
        history_events: arguments.history,
        ..LimitsConfig::default()
    };
    let venue = |venue, listen, feed: Option<FeedConfig>| {
        feed.map(|feed| VenueConfig { listen, limits: limits.clone(), clock_skew_ms: arguments.clock_skew_ms, ..VenueConfig::new(venue, feed) })
    };
    let walk = |names: &[String]| feed(arguments, None, names);
    let venues: Vec<_> = [
        venue(VenueKind::BinanceSpot, arguments.spot_listen, spot),
        venue(VenueKind::BinanceUsdm, arguments.usdm_listen, usdm),
        venue(VenueKind::OkxSpot, arguments.okx_spot_listen, walk(&arguments.okx_spot_walk)),
        venue(VenueKind::OkxSwap, arguments.okx_swap_listen, walk(&arguments.okx_swap_walk)),
        venue(VenueKind::Deribit, arguments.deribit_listen, walk(&arguments.deribit_walk)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if venues.is_empty() {
        bail!(
            "nothing to play: give --config, or --spot-replay, --spot-walk, --usdm-replay, --usdm-walk, --okx-spot-walk, --okx-swap-walk, --deribit-walk"
        );
    }
    Ok(VenuesConfig { venues, faults: Vec::new() })
}

fn feed(arguments: &Arguments, replay: Option<&Path>, walk: &[String]) -> Option<FeedConfig> {
    if let Some(file) = replay {
        let at_end = if arguments.again { AtEnd::Loop } else { AtEnd::Stop };
        let start = if arguments.immediately { Start::Immediately } else { Start::FirstSubscriber };
        let config = ReplayConfig { at_end, start, retime: arguments.retime, ..ReplayConfig::new(file.to_owned(), arguments.speed) };
        return Some(FeedConfig::Replay(config));
    }
    let names: Vec<&str> = walk.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| FeedConfig::Walk(WalkConfig { changes_per_second: arguments.rate, ..WalkConfig::new(&names, arguments.seed) }))
}

/// Reads a YAML file; the error names file, line and column.
fn read_yaml<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{}", file.display()))
}

#[cfg(test)]
mod tests {
    use venue_sim::FaultKind;

    use super::*;

    #[test]
    fn every_fault_of_the_help_is_one() {
        for word in FAULTS.split(' ') {
            assert!(serde_json::from_str::<FaultKind>(&format!("\"{word}\"")).is_ok(), "{word}");
        }
    }
}
