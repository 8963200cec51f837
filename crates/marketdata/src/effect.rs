//! The seam between the core and its shell: what goes in, what comes out, and the names of every decision.
//!
//! Owns: [`Input`] and [`Effect`]; what a venue says of itself is in [`event`]. Must not know: how any is carried out.

pub mod event;

use std::time::Duration;

use crate::instrument::InstrumentId;
use crate::kind::RecordKind;
use crate::message::Trade;

pub use event::{Event, EventKind, Reason, SnapshotTrouble, StreamKind};

/// One connection attempt; never used again after it ended, so that late frames of an old connection are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// One REST request; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// What a shell tells a [`Venue`](crate::Venue).
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The WebSocket is open.
    Connected {
        /// Which.
        conn: ConnId,
    },
    /// A text frame.
    Frame {
        /// On which connection.
        conn: ConnId,
        /// The whole text.
        text: &'a str,
    },
    /// A ping, pong or binary frame: the peer is alive, but said nothing.
    Activity {
        /// On which connection.
        conn: ConnId,
    },
    /// The connection ended, or never opened.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// A REST answer arrived, whatever its status.
    Fetched {
        /// Which request.
        fetch: FetchId,
        /// The answer.
        response: Response<'a>,
    },
    /// A REST request got no answer.
    FetchFailed {
        /// Which request.
        fetch: FetchId,
        /// [`SnapshotTrouble::Timeout`] or [`SnapshotTrouble::Network`].
        trouble: SnapshotTrouble,
    },
    /// Time has passed.
    Timeout,
}

/// A REST answer.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, if given.
    pub retry_after: Option<Duration>,
    /// `X-MBX-USED-WEIGHT-1M`, if given.
    pub used_weight: Option<u32>,
    /// The body as text; empty if it is not UTF-8.
    pub body: &'a str,
}

/// What a shell is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a WebSocket.
    Connect {
        /// Its id from now on.
        conn: ConnId,
        /// Where.
        url: String,
    },
    /// Write a text frame.
    Send {
        /// On which connection.
        conn: ConnId,
        /// The whole text.
        text: String,
    },
    /// Close a connection, also one that is still being opened.
    Close {
        /// Which.
        conn: ConnId,
        /// Why.
        reason: Reason,
    },
    /// One GET request.
    Fetch {
        /// Its id.
        fetch: FetchId,
        /// The whole URL.
        url: String,
    },
    /// Publish this instrument's book: read [`Venue::book`](crate::Venue::book) before the next input.
    Book {
        /// Which.
        instrument: InstrumentId,
    },
    /// Publish what changed in this instrument's book since the delta before: take [`Venue::delta`](crate::Venue::delta) before the next input.
    Delta {
        /// Which.
        instrument: InstrumentId,
    },
    /// Publish a preview of the second that has closed: read [`Venue::preview`](crate::Venue::preview) before the next input.
    Preview {
        /// Which instrument's.
        instrument: InstrumentId,
        /// Which of its kinds.
        kind: RecordKind,
    },
    /// Publish this trade.
    Trade(Trade),
    /// Something worth a log line and a count.
    Event(Event),
}
