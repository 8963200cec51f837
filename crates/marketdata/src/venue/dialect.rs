//! What differs between venues, as a table.
//!
//! Owns: [`Dialect`]: constants and pure functions, one static value per venue in its own small file. Must not know: state of any kind.
//!
//! # Another channel
//!
//! Funding rates, open interest, liquidations, a volatility index: a channel is one small file beside the venue's, with a function that reads its
//! payload into a record of its own. What it takes: a variant of [`StreamKind`] (its word is the first word of the subject), its name in each
//! dialect's [`Wire::stream`], a variant of [`Frame`] that the dialect's [`decode`](Dialect::decode) hands out, and an encoder in `message`.
//! Subscribing, acknowledgement, silence, renewal, pauses and hand-over go by [`StreamKind`] and need nothing new; only a book needs a snapshot.
//! Outside of the core it takes a [`RecordKind`](crate::RecordKind): subject, metrics, freshness, buffers and recorder follow from that.
//!
//! Where the channels are: OKX `funding-rate` and `open-interest` and Deribit's `perpetual.X.100ms` come over the connections there are. Binance's
//! futures send `markPrice` and `forceOrder` on the path `/market` alone: there a slot must know its path, today the dialect's one.

use std::time::Duration;

use crate::effect::StreamKind;
use crate::feed::{Frame, Malformed, SnapshotFrame};
use crate::instrument::{Exchange, Listing, MarketType};
use crate::sequence::Rule;

/// One venue's rules.
pub(crate) struct Dialect {
    pub(crate) exchange: Exchange,
    /// Of what its instrument list has.
    pub(crate) market_type: MarketType,
    /// What one connection can carry: a recording of it may have more than is collected.
    pub(crate) carries: &'static [MarketType],
    pub(crate) ws_url: &'static str,
    /// Appended to the WebSocket base.
    pub(crate) ws_path: &'static str,
    pub(crate) rest_url: &'static str,
    pub(crate) rule: Rule,
    pub(crate) limits: Limits,
    pub(crate) snapshots: Snapshots,
    pub(crate) wire: Wire,
    /// Hands out the records of a frame in their order; what was handed out before an error counts.
    pub(crate) decode: Decode,
    /// Whose book has lost a delta by a text that could not be read, as far as it can be told.
    pub(crate) lost: fn(&str) -> Option<&str>,
    pub(crate) listing_path: fn(&[&str]) -> String,
    pub(crate) listing: fn(&str) -> Result<Vec<Listing>, Malformed>,
}

/// Reads a frame.
pub(crate) type Decode = for<'a> fn(&'a str, &mut dyn FnMut(Frame<'a>)) -> Result<(), Malformed>;

/// What a venue bears, with a margin.
pub(crate) struct Limits {
    /// Longest silence of a healthy connection, pings included.
    pub(crate) idle: Duration,
    /// Silence of a book after which it is suspect.
    pub(crate) stale_after: Duration,
    /// Requests a second on a connection.
    pub(crate) messages_per_second: u32,
    /// Subscribe and unsubscribe requests an hour on a connection.
    pub(crate) requests_per_hour: u32,
    /// The same in a period from one address, over all its connections, where the venue counts so.
    pub(crate) requests_per_address: Option<(u32, Duration)>,
    /// Longest request.
    pub(crate) request_bytes: usize,
    pub(crate) streams_per_connection: usize,
    pub(crate) connects_per_5_minutes: u32,
    /// Between two attempts to connect.
    pub(crate) connect_spacing: Duration,
    /// REST weight that may be spent in a period.
    pub(crate) weight: (u32, Duration),
}

/// How a book begins.
pub(crate) struct Snapshots {
    pub(crate) source: SnapshotSource,
    /// Levels a side that are asked for over REST.
    pub(crate) limit: usize,
    /// The venue keeps the first `limit` levels for its readers and tells what enters and leaves them: nothing beyond is unknown to a reader.
    pub(crate) windowed: bool,
    /// Path of a snapshot, appended to the REST base: symbol, levels.
    pub(crate) path: fn(&str, usize) -> String,
    pub(crate) weight: fn(usize) -> u32,
    pub(crate) read: fn(&str) -> Result<SnapshotFrame<'_>, Malformed>,
}

/// Where the first state of a book comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotSource {
    /// Over REST, and joined to the stream by its ids.
    Rest,
    /// Over the stream, after each subscription. Over REST only when none comes. A gap is mended by subscribing anew.
    Stream,
}

/// What is said to a venue. Requests have an id, given as a number.
pub(crate) struct Wire {
    /// Name of a stream in requests, from the venue's symbol.
    pub(crate) stream: fn(&str, StreamKind) -> String,
    pub(crate) subscribe: fn(u64, &[String]) -> String,
    pub(crate) unsubscribe: fn(u64, &[String]) -> String,
    /// Whether streams are acknowledged by name; then those of an answered request that were not named are refused.
    pub(crate) answers: Answers,
    /// Said first on a new connection.
    pub(crate) greeting: Option<fn(u64) -> String>,
    /// Said after so much silence, to be answered.
    pub(crate) ping: Option<(Duration, fn() -> String)>,
    /// The answer to a [`Frame::Challenge`].
    pub(crate) challenged: Option<fn(u64) -> String>,
}

/// How a subscription is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The request as a whole.
    Whole,
    /// Each stream of it, one by one; there is no answer to the whole.
    Each,
    /// The streams that were subscribed are listed; others were not.
    Listed,
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialect({} {})", self.exchange.as_str(), self.market_type.as_str())
    }
}
