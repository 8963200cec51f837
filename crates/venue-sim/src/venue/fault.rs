//! Faults: what a script or a test may ask for, when each is due, and how often it still applies.
//! Decides only; the engine, the connections and the REST side carry it out.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::kind::VenueKind;
use crate::duration::Span;

/// Names of the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A diff is lost on the way.
    DropDiff,
    /// A diff is sent twice.
    DuplicateDiff,
    /// A diff is sent after the one that follows it.
    ReorderDiff,
    /// A frame is cut short: text that is no JSON.
    MalformedFrame,
    /// Frames carry an unknown event type.
    UnknownEvent,
    /// Streams stay subscribed and silent; pings go on.
    SilentStreams,
    /// A book does not move: nothing to send (OKX sends its keep-alive).
    QuietBook,
    /// OKX: after the next update, one with the same number and no levels.
    KeepAlive,
    /// OKX: the sequence falls back, chained by `prevSeqId`, as after maintenance.
    SequenceReset,
    /// OKX: a subscription brings no snapshot.
    NoSnapshot,
    /// OKX: the checksum field is missing.
    ChecksumAbsent,
    /// OKX: the checksum is a number that means nothing.
    ChecksumWrong,
    /// A subscription of a listed symbol is refused (OKX 60018; Deribit leaves it out of the result).
    RefuseSubscribe,
    /// Deribit: an update deletes a level that was never there.
    UnknownDelete,
    /// Deribit: the first notification has `prev_change_id: null`.
    NullPrevious,
    /// Acknowledgements come late and in reverse: that of one request waits for that of the next (a second at most), and data come first.
    ReorderAcks,
    /// Deribit: error 10028 for the next call, and the end of the session.
    TooManyRequests,
    /// Connections end with RST.
    TcpReset,
    /// Nothing is read or written any more while the socket stays open; after `for` it is reset.
    HalfOpen,
    /// Half a frame, then the end of the connection.
    CutFrame,
    /// A proper close frame with `code`.
    Close,
    /// The notice (Binance `serverShutdown`, OKX 64008, Deribit none), and the close `for` later (5 s when not given).
    ServerShutdown,
    /// New connections are dropped before the handshake.
    RefuseConnect,
    /// New connections wait `delay` (3 s when not given) for the handshake.
    SlowHandshake,
    /// HTTP 429 with `Retry-After`.
    #[serde(rename = "rest_429")]
    Rest429,
    /// HTTP 418 with `Retry-After`.
    #[serde(rename = "rest_418")]
    Rest418,
    /// HTTP 500.
    #[serde(rename = "rest_500")]
    Rest500,
    /// The firewall's HTML page with HTTP 403.
    #[serde(rename = "rest_403")]
    Rest403,
    /// The request is taken and never answered (`delay`, 60 s when not given).
    RestTimeout,
    /// The answer comes after `delay` (3 s when not given); its content is of the moment of asking.
    RestSlow,
    /// A snapshot that was right some seconds ago.
    RestStale,
    /// The connection of the request ends with RST.
    RestReset,
}

/// One fault as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// When: on the venue's clock since its feed began (equal to real time at speed 1). Absent or over the control endpoint: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// Which venue; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<VenueKind>,
    /// What.
    pub kind: FaultKind,
    /// Which symbol, as the venue writes it; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// How long it applies, in real time.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// How many times it applies; with neither `for` nor `count` once, except for `silent_streams` and `quiet_book`, which then stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Close code of `close`, 1001 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Delay of `rest_slow`, `rest_timeout` and `slow_handshake`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// `Retry-After` of `rest_429` and `rest_418`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// A fault in force.
#[derive(Debug)]
struct Active {
    spec: FaultSpec,
    until: Option<Instant>,
    left: Option<u32>,
    applied: u64,
}

/// All faults of one venue: those to come, those in force, and how often each kind struck.
#[derive(Debug, Default)]
pub struct FaultBoard {
    scheduled: Vec<FaultSpec>,
    active: Vec<Active>,
    struck: std::collections::BTreeMap<FaultKind, u64>,
}

/// A fault on the board, for the state page.
#[derive(Debug, Clone, Serialize)]
pub struct FaultStatus {
    /// As written.
    pub spec: FaultSpec,
    /// Times it struck so far.
    pub applied: u64,
}

// === impl FaultKind ===

impl FaultKind {
    /// Whether it acts on the open connections at once instead of waiting on the board.
    pub fn strikes_connections(self) -> bool {
        matches!(self, Self::TcpReset | Self::HalfOpen | Self::CutFrame | Self::Close | Self::ServerShutdown)
    }
}

// === impl FaultSpec ===

impl FaultSpec {
    /// A fault of a kind, once, everywhere, now.
    pub fn once(kind: FaultKind) -> Self {
        Self { at: None, venue: None, kind, symbol: None, lasts: None, count: None, code: None, delay: None, retry_after: None }
    }

    /// The same for one symbol.
    pub fn on(mut self, symbol: &str) -> Self {
        self.symbol = Some(symbol.to_owned());
        self
    }

    /// The same, `count` times.
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// The same, for a length of time.
    pub fn lasting(mut self, length: Duration) -> Self {
        self.lasts = Some(Span(length));
        self
    }

    /// Whether it concerns this venue.
    pub fn concerns(&self, venue: VenueKind) -> bool {
        self.venue.is_none_or(|v| v == venue)
    }

    fn matches(&self, kind: FaultKind, symbol: &str) -> bool {
        self.kind == kind && self.symbol.as_deref().is_none_or(|s| s == symbol)
    }
}

// === impl FaultBoard ===

impl FaultBoard {
    /// A board with a script; entries of other venues are left out.
    pub fn new(venue: VenueKind, script: &[FaultSpec]) -> Self {
        let mut scheduled: Vec<_> = script.iter().filter(|spec| spec.concerns(venue)).cloned().collect();
        scheduled.sort_by_key(|spec| spec.at);
        Self { scheduled, ..Self::default() }
    }

    /// The next scripted fault that is due at `elapsed` on the venue's clock.
    pub fn due(&mut self, elapsed: Duration) -> Option<FaultSpec> {
        let first = self.scheduled.first()?;
        if first.at.unwrap_or_default().0 > elapsed { None } else { Some(self.scheduled.remove(0)) }
    }

    /// When the next scripted fault is due, on the venue's clock.
    pub fn next_due(&self) -> Option<Duration> {
        self.scheduled.first().map(|spec| spec.at.unwrap_or_default().0)
    }

    /// Puts a fault in force from `now`.
    pub fn start(&mut self, spec: FaultSpec, now: Instant) {
        let until = spec.lasts.map(|span| now + span.0);
        let stays = matches!(spec.kind, FaultKind::SilentStreams | FaultKind::QuietBook);
        let left = spec.count.or_else(|| (until.is_none() && !stays).then_some(1));
        self.active.push(Active { spec, until, left, applied: 0 });
    }

    /// Takes one strike of a kind, if such a fault is in force for the symbol.
    pub fn strike(&mut self, kind: FaultKind, symbol: &str, now: Instant) -> Option<FaultSpec> {
        if self.active.is_empty() {
            return None;
        }
        self.active.retain(|fault| fault.until.is_none_or(|until| until > now) && fault.left != Some(0));
        let fault = self.active.iter_mut().find(|fault| fault.spec.matches(kind, symbol))?;
        fault.left = fault.left.map(|n| n.saturating_sub(1));
        fault.applied += 1;
        *self.struck.entry(kind).or_default() += 1;
        Some(fault.spec.clone())
    }

    /// Whether a fault of a kind is in force for the symbol; nothing is used up.
    pub fn holds(&self, kind: FaultKind, symbol: &str, now: Instant) -> bool {
        self.active.iter().any(|fault| fault.until.is_none_or(|until| until > now) && fault.left != Some(0) && fault.spec.matches(kind, symbol))
    }

    /// Counts a fault that acted on connections.
    pub fn struck_connections(&mut self, kind: FaultKind, connections: u64) {
        *self.struck.entry(kind).or_default() += connections;
    }

    /// Ends all faults in force and forgets the script.
    pub fn clear(&mut self) {
        self.scheduled.clear();
        self.active.clear();
    }

    /// The faults in force.
    pub fn status(&self) -> Vec<FaultStatus> {
        self.active.iter().map(|fault| FaultStatus { spec: fault.spec.clone(), applied: fault.applied }).collect()
    }

    /// How often each kind struck.
    pub fn struck(&self) -> &std::collections::BTreeMap<FaultKind, u64> {
        &self.struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_due_in_order_and_only_here() {
        let script: Vec<FaultSpec> = serde_saphyr::from_str(
            "- {at: 5s, venue: binance_spot, kind: drop_diff, symbol: BTCUSDT, count: 2}\n\
             - {at: 1s, kind: rest_429, for: 10s, retry_after: 3}\n\
             - {at: 2s, venue: binance_usdm, kind: close}\n",
        )
        .unwrap();
        let mut board = FaultBoard::new(VenueKind::BinanceSpot, &script);
        assert!(board.due(Duration::from_millis(900)).is_none());
        assert_eq!(board.due(Duration::from_secs(9)).unwrap().kind, FaultKind::Rest429);
        assert_eq!(board.next_due(), Some(Duration::from_secs(5)));
        assert_eq!(board.due(Duration::from_secs(9)).unwrap().kind, FaultKind::DropDiff);
        assert!(board.due(Duration::from_secs(9)).is_none());
    }

    #[test]
    fn counts_and_times_run_out() {
        let now = Instant::now();
        let mut board = FaultBoard::default();
        board.start(FaultSpec::once(FaultKind::DropDiff).on("BTCUSDT").times(2), now);
        board.start(FaultSpec::once(FaultKind::RestStale).lasting(Duration::from_secs(1)), now);
        assert!(board.strike(FaultKind::DropDiff, "ETHUSDT", now).is_none());
        assert!(board.strike(FaultKind::DropDiff, "BTCUSDT", now).is_some());
        assert!(board.strike(FaultKind::DropDiff, "BTCUSDT", now).is_some());
        assert!(board.strike(FaultKind::DropDiff, "BTCUSDT", now).is_none());
        assert!(board.strike(FaultKind::RestStale, "", now).is_some());
        assert!(board.strike(FaultKind::RestStale, "", now + Duration::from_secs(2)).is_none());
    }

    #[test]
    fn unknown_kinds_and_fields_are_errors() {
        assert!(serde_json::from_str::<FaultSpec>(r#"{"kind":"explode"}"#).is_err());
        assert!(serde_json::from_str::<FaultSpec>(r#"{"kind":"close","when":1}"#).is_err());
    }
}
