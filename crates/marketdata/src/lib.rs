//! Market data without I/O: venue protocols as state machines that are fed `(now, input)` and return effects.
//!
//! Owns: what an instrument, a level, a book, an update id and a trade are; each venue's rules; when a book may be published; what leaves as a
//! message. Must not know: sockets, HTTP, NATS, files, clocks, randomness. The collector's shell, the replay command and the tests run this same code.
//!
//! # Driving it
//!
//! One [`Venue`] per configured venue. The shell keeps a `Vec<Effect>`, calls [`Venue::handle`] with each [`Input`] and carries out what was pushed:
//!
//! ```text
//!  Effect::Connect{conn,url}   open a WebSocket            → Input::Connected{conn} | Input::Closed{conn,..}
//!  Effect::Send{conn,text}     write a text frame
//!  Effect::Close{conn,reason}  close it (answer optional; the id is never used again)
//!  Effect::Fetch{fetch,url}    one GET, no retry           → Input::Fetched{fetch,..} | Input::FetchFailed{fetch,..}
//!  Effect::Book{instrument}    publish: read `venue.book(instrument)` now, encode with `message::encode_book`
//!  Effect::Delta{instrument}   publish: take `venue.delta(instrument)` now, encode with `message::encode_delta`
//!  Effect::Preview{..}         publish: read `venue.preview(instrument)` now, encode with `message::encode_preview`
//!  Effect::Trade(trade)        publish: encode with `message::encode_trade`
//!  Effect::Event(event)        log and count: `event.kind.as_str()`, `event.kind.reason()`
//! ```
//!
//! Text frames come in as `Input::Frame`; WebSocket ping, pong and binary frames as `Input::Activity` (the socket answers pings itself).
//! The shell sleeps until [`Venue::next_timeout`] (monotonic) and then sends [`Input::Timeout`]; calling early or late is harmless.
//! The first `Input::Timeout` opens the connections. Effects of one call are in order; carry them out before the next call.
//!
//! # What holds
//!
//! * Nothing is published for an instrument unless it is [`SyncState::Synced`]: [`Venue::book`] is `None` otherwise.
//! * A gap invalidates the book at once, with one named [`Reason`]; books are rebuilt, never patched.
//! * Only levels the venue has vouched for are held: beyond a snapshot's last level nothing is known, so nothing is kept (see [`book`]).
//!   Fewer than the published depth is said (`complete: false`), and a deeper snapshot is fetched.
//! * Every buffer is bounded; the bounds are in [`Tuning`] and the fill in [`InstrumentStatus`] and [`VenueStats`].
#![forbid(unsafe_code)]

pub mod book;
pub mod delta;
pub mod effect;
pub mod feed;
pub mod instrument;
pub mod kind;
pub mod message;
pub mod preview;
pub mod price;
pub mod sequence;
mod session;
mod sync;
pub mod venue;

pub use book::{Book, DepthBounds, Level, Side};
pub use delta::{BookDelta, DeltaForm};
pub use effect::{ConnId, Effect, Event, EventKind, FetchId, Input, Reason, Response, SnapshotTrouble, StreamKind};
pub use instrument::{Exchange, Instrument, InstrumentId, Listing, MarketType, Multiplier, Unit};
pub use kind::{RecordKind, RecordKinds};
pub use message::{BookView, Stamp, Trade};
pub use preview::fusion::FusionConfig;
pub use preview::{Bar, PreviewView};
pub use price::{NumberError, Price, Quantity, Scale};
pub use session::SilenceBounds;
pub use sync::{BufferBounds, SyncState};
pub use venue::{
    AllowanceFigures, Allowances, BookCondition, InstrumentStatus, KeptFrame, Output, Pressure, Priority, Publication, TradeCounts, Tuning, Venue,
    VenueConfig, VenueError, VenueKind, VenueStats,
};
