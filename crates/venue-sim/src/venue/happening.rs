//! What a feed (a replay or a walk) tells the engine.

use super::wire::DepthUpdate;

/// One thing that happened at the venue.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// The book changed.
    Diff {
        /// The change.
        update: DepthUpdate,
        /// The recorded text, when nothing in it had to be changed.
        verbatim: Option<String>,
    },
    /// An event of another stream.
    Event {
        /// Symbol, as the venue writes it.
        symbol: String,
        /// Full stream name.
        stream: String,
        /// JSON of the event.
        data: String,
    },
    /// A replay passed the recording's own REST snapshot.
    SnapshotPassed {
        /// Symbol.
        symbol: String,
    },
    /// A replay is about to begin again: the engine must bring its book to the recording's start.
    Rewound {
        /// Symbol.
        symbol: String,
    },
    /// The feed is over.
    Ended,
}
