//! How a venue is configured: what the operator chooses, and the bounds with their defaults.
//!
//! Owns: [`VenueKind`], [`VenueConfig`], [`Tuning`]. Must not know: configuration files (the shell reads them).

use std::time::Duration;

use thiserror::Error;

use crate::book::DepthBounds;
use crate::feed::Malformed;
use crate::instrument::{Exchange, Listing, MarketType};
use crate::kind::{RecordKind, RecordKinds};
use crate::preview::fusion::FusionConfig;
use crate::session::SilenceBounds;
use crate::sync::BufferBounds;
use crate::venue::dialect::{Dialect, SnapshotSource};
use crate::venue::{binance_spot, binance_usdm, deribit, okx};

/// The venues that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VenueKind {
    /// Binance Spot.
    BinanceSpot,
    /// Binance USDⓈ-M futures, perpetual contracts.
    BinanceUsdm,
    /// OKX, spot.
    OkxSpot,
    /// OKX, perpetual swaps.
    OkxSwap,
    /// Deribit, perpetual contracts.
    Deribit,
}

/// One venue as the operator wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct VenueConfig {
    /// Which venue.
    pub kind: VenueKind,
    /// Base of the WebSocket URL, without the path of its streams; [`VenueKind::default_ws_url`].
    pub ws_url: String,
    /// Base of the REST URL; [`VenueKind::default_rest_url`].
    pub rest_url: String,
    /// Levels published of each side.
    pub depth: usize,
    /// What leaves of an instrument, and how often.
    pub output: Output,
    /// The same for instruments that differ, by our symbol.
    pub overrides: Vec<(Box<str>, Output)>,
    /// How fusion is computed.
    pub fusion: FusionConfig,
    /// Whether trades are collected too.
    pub trades: bool,
    /// Bounds and waits.
    pub tuning: Tuning,
}

/// What leaves of one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// How often its book leaves.
    pub book: Publication,
    /// How often its delta leaves; `None`: never.
    pub delta: Option<Publication>,
    /// Which previews are made, of [`RecordKind::PREVIEWS`].
    pub previews: RecordKinds,
    /// A trade worth at least this many units of the quote currency is an event.
    pub large_trade: Option<u64>,
    /// What goes first when the collector is short of something.
    pub priority: Priority,
}

/// How much an instrument matters; see [`Pressure`](crate::Pressure).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// May be paused.
    Low,
    /// Is always collected.
    #[default]
    Normal,
}

/// How often a book is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// After every delta.
    EveryUpdate,
    /// At most once in this time, the newest state.
    Conflated(Duration),
}

/// Bounds and waits; [`Tuning::of`] has each venue's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// A connection must open within this.
    pub connect_timeout: Duration,
    /// A subscription must be answered within this.
    pub subscribe_timeout: Duration,
    /// A snapshot must arrive within this.
    pub fetch_timeout: Duration,
    /// Nothing at all, pings included, for this long: the connection is dead.
    pub idle: Duration,
    /// A connection is replaced at this age, before the venue cuts it.
    pub max_age: Duration,
    /// A replacement has this long to get exact; then it takes over as it is.
    pub hand_over_timeout: Duration,
    /// Silence of a book stream.
    pub book_silence: SilenceBounds,
    /// Silence of a trade stream.
    pub trade_silence: SilenceBounds,
    /// Streams in one subscribe request.
    pub streams_per_request: usize,
    /// Streams on one connection; more instruments open more connections.
    pub streams_per_connection: usize,
    /// Levels a side that a snapshot is asked for.
    pub snapshot_limit: usize,
    /// Levels held.
    pub levels: DepthBounds,
    /// Deltas that wait for a snapshot.
    pub buffer: BufferBounds,
    /// Least time between two refreshes of one book.
    pub refresh_every: Duration,
    /// How long the first snapshot waits for a first delta.
    pub quiet: Duration,
    /// Back-off of snapshots: first wait, doubled up to the second.
    pub snapshot_backoff: (Duration, Duration),
    /// Back-off of connections: first wait, doubled up to the second.
    pub connect_backoff: (Duration, Duration),
    /// Replacing a connection for the silence of a book stream, which may be nothing but a quiet market: first wait, doubled up to the second.
    pub replace_backoff: (Duration, Duration),
    /// Snapshots under way at once.
    pub fetches_in_flight: usize,
    /// REST weight that may be spent in a period; below the venue's limit.
    pub weight: (u32, Duration),
    /// Connections opened in five minutes; below the venue's limit.
    pub connects_per_5_minutes: u32,
    /// Between two attempts to connect.
    pub connect_spacing: Duration,
    /// Spreads the waits of several collectors: waits are stretched by a factor of ½ to 1 that follows from it. The shell draws it once.
    pub jitter_seed: u64,
}

/// Why a venue cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VenueError {
    /// Nothing to collect.
    #[error("no instruments")]
    NoInstruments,
    /// More than ids can name, or a venue's name twice.
    #[error("too many instruments, or one of them twice")]
    Instruments,
    /// A name that has no place in a subject or in JSON.
    #[error("instrument name {0:?} has a character that subjects or JSON cannot carry")]
    Name(String),
    /// An instrument of another venue.
    #[error("instrument {0} is not of this venue")]
    Foreign(String),
    /// A bound of zero.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// Published depth deeper than a snapshot.
    #[error("depth {depth} is deeper than a snapshot ({limit} levels)")]
    TooDeep {
        /// Asked for.
        depth: usize,
        /// Levels a snapshot has.
        limit: usize,
    },
}

// === impl VenueKind ===

impl VenueKind {
    /// All venues.
    pub const ALL: [VenueKind; 5] = [VenueKind::BinanceSpot, VenueKind::BinanceUsdm, VenueKind::OkxSpot, VenueKind::OkxSwap, VenueKind::Deribit];

    /// The word in configuration and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            VenueKind::BinanceSpot => "binance_spot",
            VenueKind::BinanceUsdm => "binance_usdm",
            VenueKind::OkxSpot => "okx_spot",
            VenueKind::OkxSwap => "okx_swap",
            VenueKind::Deribit => "deribit",
        }
    }

    pub(crate) const fn dialect(self) -> &'static Dialect {
        match self {
            VenueKind::BinanceSpot => &binance_spot::DIALECT,
            VenueKind::BinanceUsdm => &binance_usdm::DIALECT,
            VenueKind::OkxSpot => &okx::SPOT,
            VenueKind::OkxSwap => &okx::SWAP,
            VenueKind::Deribit => &deribit::PERPETUAL,
        }
    }

    /// Who runs it.
    pub const fn exchange(self) -> Exchange {
        self.dialect().exchange
    }

    /// Kind of market.
    pub const fn market_type(self) -> MarketType {
        self.dialect().market_type
    }

    /// Most levels a side that can be published.
    pub const fn deepest(self) -> usize {
        let tuning = Tuning::of(self);
        if tuning.snapshot_limit < tuning.levels.kept { tuning.snapshot_limit } else { tuning.levels.kept }
    }

    /// The venue's public WebSocket base.
    pub const fn default_ws_url(self) -> &'static str {
        self.dialect().ws_url
    }

    /// The venue's public REST base.
    pub const fn default_rest_url(self) -> &'static str {
        self.dialect().rest_url
    }

    /// Where the instrument list is fetched. `symbols` (`BTC-USDT`) narrows it where the venue can; the answer to a narrowed request is an error
    /// (status 400) when one of them does not exist: then fetch the whole list (no symbols) to name near ones.
    pub fn listing_url(self, rest_url: &str, symbols: &[&str]) -> String {
        format!("{}{}", rest_url.trim_end_matches('/'), (self.dialect().listing_path)(symbols))
    }

    /// Reads the instrument list.
    pub fn parse_listing(self, body: &str) -> Result<Vec<Listing>, Malformed> {
        (self.dialect().listing)(body)
    }
}

// === impl Output ===

impl Output {
    /// Books conflated to 100 ms, no deltas, events.
    pub const DEFAULT: Self = Self {
        book: Publication::Conflated(Duration::from_millis(100)),
        delta: None,
        previews: RecordKinds::NONE.with(RecordKind::Event),
        large_trade: None,
        priority: Priority::Normal,
    };
}

// === impl Priority ===

impl Priority {
    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
        }
    }
}

// === impl VenueConfig ===

impl VenueConfig {
    /// The defaults of a venue: 100 levels, conflated to 100 ms, with trades, at the public URLs.
    pub fn new(kind: VenueKind) -> Self {
        Self {
            kind,
            ws_url: kind.default_ws_url().to_owned(),
            rest_url: kind.default_rest_url().to_owned(),
            depth: 100,
            output: Output::DEFAULT,
            overrides: Vec::new(),
            fusion: FusionConfig::DEFAULT,
            trades: true,
            tuning: Tuning::of(kind),
        }
    }

    /// What leaves of the instrument with this symbol of ours.
    pub fn output_of(&self, symbol: &str) -> &Output {
        self.overrides.iter().find(|(known, _)| &**known == symbol).map_or(&self.output, |(_, output)| output)
    }

    pub(crate) fn check(&self) -> Result<(), VenueError> {
        let tuning = &self.tuning;
        let bounds = [
            ("depth", self.depth),
            ("streams_per_connection", tuning.streams_per_connection / 2),
            ("snapshot_limit", tuning.snapshot_limit),
            ("levels.kept", tuning.levels.kept),
            ("buffer.deltas", tuning.buffer.deltas),
            ("fetches_in_flight", tuning.fetches_in_flight),
            ("weight", tuning.weight.0 as usize),
            ("weight period", usize::try_from(tuning.weight.1.as_secs()).unwrap_or(usize::MAX)),
            ("connects_per_5_minutes", tuning.connects_per_5_minutes as usize),
        ];
        if let Some((name, _)) = bounds.into_iter().find(|&(_, bound)| bound == 0) {
            return Err(VenueError::Zero(name));
        }
        let limit = tuning.snapshot_limit.min(tuning.levels.kept);
        if self.depth > limit { Err(VenueError::TooDeep { depth: self.depth, limit }) } else { Ok(()) }
    }
}

// === impl Tuning ===

impl Tuning {
    /// The defaults of a venue.
    pub const fn of(kind: VenueKind) -> Self {
        let (limits, snapshots) = (&kind.dialect().limits, &kind.dialect().snapshots);
        let seconds = Duration::from_secs;
        // A snapshot that comes with the stream may have any number of levels; what it brought is kept as far as it is of use.
        let levels = match snapshots.source {
            SnapshotSource::Rest => DepthBounds { most: 1_500, kept: 1_000 },
            SnapshotSource::Stream => DepthBounds { most: 4_000, kept: 3_000 },
        };
        Self {
            connect_timeout: seconds(10),
            subscribe_timeout: seconds(10),
            fetch_timeout: seconds(10),
            idle: limits.idle,
            max_age: seconds(23 * 3_600),
            hand_over_timeout: seconds(60),
            book_silence: SilenceBounds { first_data: seconds(30), stale_after: limits.stale_after },
            trade_silence: SilenceBounds { first_data: seconds(300), stale_after: seconds(300) },
            streams_per_request: 100,
            streams_per_connection: limits.streams_per_connection,
            snapshot_limit: snapshots.limit,
            levels,
            buffer: BufferBounds { deltas: 4_096, levels: 131_072 },
            refresh_every: seconds(5),
            quiet: seconds(2),
            snapshot_backoff: (Duration::from_millis(250), seconds(30)),
            connect_backoff: (Duration::from_millis(500), seconds(60)),
            replace_backoff: (seconds(60), seconds(1_800)),
            fetches_in_flight: 4,
            weight: limits.weight,
            connects_per_5_minutes: limits.connects_per_5_minutes,
            connect_spacing: limits.connect_spacing,
            jitter_seed: 0,
        }
    }
}
