//! What a venue says of itself: events, and the words for their reasons. The same word stands in log, metric, page and record.
//!
//! Owns: the events and their words. Must not know: who is told.

use std::fmt;
use std::time::Duration;

use crate::effect::{ConnId, Effect};
use crate::instrument::InstrumentId;
use crate::message::Trade;
use crate::venue::Pressure;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The instrument it concerns; `None`: the venue or a connection.
    pub instrument: Option<InstrumentId>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A connection opened.
    Connected(ConnId),
    /// A connection ended or was given up.
    Disconnected(ConnId, Reason),
    /// A book became exact: first synchronisation or after a resync.
    Synced,
    /// A book is built anew: it stopped being exact, or the deltas that wait for its snapshot are of no use. It is not published until the next `Synced`.
    Resync(Reason),
    /// A snapshot could not be used; another will be fetched.
    SnapshotRetry(SnapshotTrouble),
    /// A deeper snapshot is fetched beside the running book, because few levels are left that the venue vouched for.
    Refresh,
    /// The venue counts its updates anew (OKX, after a maintenance): the chain is unbroken, and a lower sequence follows a higher one.
    SequenceReset {
        /// The last id of the old count.
        from: u64,
        /// The first of the new one.
        to: u64,
    },
    /// The venue changed or removed levels that the book does not hold. Absolute quantities make it right again, but it should not be.
    UnknownLevel,
    /// A silent stream is subscribed anew, before its connection is replaced.
    Renewed(StreamKind),
    /// Trades are missing, both ends included.
    TradeGap {
        /// First missing id.
        from: u64,
        /// Last missing id.
        to: u64,
    },
    /// Subscribed, acknowledged, and nothing ever came within the bound.
    NoFirstData(StreamKind),
    /// Data came before, and none since the bound.
    Stale(StreamKind),
    /// Data came again after `NoFirstData` or `Stale`.
    Fresh(StreamKind),
    /// The venue refused a subscription.
    Refused(StreamKind),
    /// A side of the book is empty; not published until both have levels.
    EmptySide,
    /// A frame could not be read; kept in [`Venue::malformed`](crate::Venue::malformed).
    Malformed,
    /// A replacement connection is being prepared while the old one runs.
    HandOverStarted(Reason),
    /// The replacement took over.
    HandOverDone,
    /// The venue limits our REST requests; none is sent for this long.
    RestLimited(Duration),
    /// A trade worth as much as is configured to be told.
    LargeTrade(Trade),
    /// The collector gives up comfort to stay within its budget, or takes it back.
    Pressure(Pressure),
    /// An instrument of low priority is not collected for a while.
    Paused(Reason),
    /// It is collected again.
    Resumed(Reason),
}

/// Kind of stream of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// Order book deltas.
    Book,
    /// Trades.
    Trade,
}

/// Why a book is rebuilt or a connection replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The update ids do not join: a delta is missing.
    Gap,
    /// Best bid at or over best ask.
    Crossed,
    /// A delta could not be read.
    Malformed,
    /// The published snapshot turned out older than the first delta.
    SnapshotTooOld,
    /// More deltas came before a usable snapshot than the buffer holds.
    BufferOverflow,
    /// The peer closed or reset the connection, or it never opened.
    Closed,
    /// The connection did not open in time.
    ConnectTimeout,
    /// A subscription was not answered in time.
    SubscribeTimeout,
    /// Nothing at all, not even a ping, for longer than the bound.
    Silent,
    /// Alive, but no stream gives data for longer than the bound.
    NoData,
    /// The venue announced that it closes the connection.
    ServerShutdown,
    /// Replaced before the venue's limit on a connection's life.
    AgeLimit,
    /// The collector is short of something; see [`Pressure`].
    Pressure,
    /// The venue ends the connection because we asked too much.
    RateLimited,
    /// Nothing is collected over it any more.
    Unused,
}

/// Why a snapshot could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotTrouble {
    /// Older than the first buffered delta, or than what was already published.
    TooOld,
    /// Best bid at or over best ask.
    Crossed,
    /// Not the venue's format, or numbers that do not fit the instrument's scale.
    Malformed,
    /// 429: too many requests.
    RateLimited,
    /// 418 or 403: banned or blocked.
    Banned,
    /// Any other status than 200.
    Status,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Network,
}

// === impl Event ===

impl Event {
    pub(crate) const fn of(instrument: InstrumentId, kind: EventKind) -> Effect {
        Effect::Event(Event { instrument: Some(instrument), kind })
    }

    pub(crate) const fn venue(kind: EventKind) -> Effect {
        Effect::Event(Event { instrument: None, kind })
    }
}

// === impl EventKind ===

impl EventKind {
    /// The name, for logs and metric labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            EventKind::Connected(_) => "connected",
            EventKind::Disconnected(..) => "disconnected",
            EventKind::Synced => "synced",
            EventKind::Resync(_) => "resync",
            EventKind::SnapshotRetry(_) => "snapshot_retry",
            EventKind::Refresh => "refresh",
            EventKind::SequenceReset { .. } => "sequence_reset",
            EventKind::UnknownLevel => "unknown_level",
            EventKind::Renewed(_) => "renewed",
            EventKind::TradeGap { .. } => "trade_gap",
            EventKind::NoFirstData(_) => "no_first_data",
            EventKind::Stale(_) => "stale",
            EventKind::Fresh(_) => "fresh",
            EventKind::Refused(_) => "refused",
            EventKind::EmptySide => "empty_side",
            EventKind::Malformed => "malformed",
            EventKind::HandOverStarted(_) => "hand_over_started",
            EventKind::HandOverDone => "hand_over_done",
            EventKind::RestLimited(_) => "rest_limited",
            EventKind::LargeTrade(_) => "large_trade",
            EventKind::Pressure(_) => "pressure",
            EventKind::Paused(_) => "paused",
            EventKind::Resumed(_) => "resumed",
        }
    }

    /// The reason word, or the stream's kind, or nothing.
    pub const fn reason(&self) -> &'static str {
        match self {
            EventKind::Disconnected(_, reason)
            | EventKind::Resync(reason)
            | EventKind::HandOverStarted(reason)
            | EventKind::Paused(reason)
            | EventKind::Resumed(reason) => reason.as_str(),
            EventKind::Pressure(level) => level.as_str(),
            EventKind::SnapshotRetry(trouble) => trouble.as_str(),
            EventKind::NoFirstData(kind) | EventKind::Stale(kind) | EventKind::Fresh(kind) | EventKind::Refused(kind) | EventKind::Renewed(kind) => {
                kind.as_str()
            }
            _ => "",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            EventKind::TradeGap { from, to } => write!(f, " {from}-{to}"),
            EventKind::SequenceReset { from, to } => write!(f, " {from} to {to}"),
            EventKind::RestLimited(wait) => write!(f, " {} s", wait.as_secs()),
            _ if self.reason().is_empty() => Ok(()),
            _ => write!(f, " {}", self.reason()),
        }
    }
}

// === impl StreamKind ===

impl StreamKind {
    /// Both, in the order of [`index`](Self::index).
    pub const ALL: [StreamKind; 2] = [StreamKind::Book, StreamKind::Trade];

    /// The first word of a subject.
    pub const fn as_str(self) -> &'static str {
        match self {
            StreamKind::Book => "orderbook",
            StreamKind::Trade => "trade",
        }
    }

    /// Place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

// === impl Reason ===

impl Reason {
    /// All, in the order of [`index`](Self::index).
    pub const ALL: [Reason; 15] = [
        Reason::Gap,
        Reason::Crossed,
        Reason::Malformed,
        Reason::SnapshotTooOld,
        Reason::BufferOverflow,
        Reason::Closed,
        Reason::ConnectTimeout,
        Reason::SubscribeTimeout,
        Reason::Silent,
        Reason::NoData,
        Reason::ServerShutdown,
        Reason::AgeLimit,
        Reason::Pressure,
        Reason::RateLimited,
        Reason::Unused,
    ];

    /// The word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Gap => "gap",
            Reason::Crossed => "crossed",
            Reason::Malformed => "malformed",
            Reason::SnapshotTooOld => "snapshot_too_old",
            Reason::BufferOverflow => "buffer_overflow",
            Reason::Closed => "closed",
            Reason::ConnectTimeout => "connect_timeout",
            Reason::SubscribeTimeout => "subscribe_timeout",
            Reason::Silent => "silent",
            Reason::NoData => "no_data",
            Reason::ServerShutdown => "server_shutdown",
            Reason::AgeLimit => "age_limit",
            Reason::Pressure => "pressure",
            Reason::RateLimited => "rate_limited",
            Reason::Unused => "unused",
        }
    }

    /// Place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

// === impl SnapshotTrouble ===

impl SnapshotTrouble {
    /// All, in the order of [`index`](Self::index).
    pub const ALL: [SnapshotTrouble; 8] = [
        SnapshotTrouble::TooOld,
        SnapshotTrouble::Crossed,
        SnapshotTrouble::Malformed,
        SnapshotTrouble::RateLimited,
        SnapshotTrouble::Banned,
        SnapshotTrouble::Status,
        SnapshotTrouble::Timeout,
        SnapshotTrouble::Network,
    ];

    /// The word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            SnapshotTrouble::TooOld => "snapshot_too_old",
            SnapshotTrouble::Crossed => "crossed",
            SnapshotTrouble::Malformed => "malformed",
            SnapshotTrouble::RateLimited => "rate_limited",
            SnapshotTrouble::Banned => "banned",
            SnapshotTrouble::Status => "status",
            SnapshotTrouble::Timeout => "timeout",
            SnapshotTrouble::Network => "network",
        }
    }

    /// Place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_its_place_and_every_word_is_its_own() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert!(Reason::ALL[..place].iter().all(|other| other.as_str() != reason.as_str()));
        }
        for (place, trouble) in SnapshotTrouble::ALL.into_iter().enumerate() {
            assert_eq!(trouble.index(), place);
            assert!(SnapshotTrouble::ALL[..place].iter().all(|other| other.as_str() != trouble.as_str()));
        }
    }

    #[test]
    fn an_event_reads_as_a_log_line() {
        assert_eq!(EventKind::Resync(Reason::Gap).to_string(), "resync gap");
        assert_eq!(EventKind::TradeGap { from: 5, to: 9 }.to_string(), "trade_gap 5-9");
        assert_eq!(EventKind::SequenceReset { from: 15, to: 3 }.to_string(), "sequence_reset 15 to 3");
        assert_eq!(EventKind::Stale(StreamKind::Trade).to_string(), "stale trade");
        assert_eq!(EventKind::Synced.to_string(), "synced");
    }
}
