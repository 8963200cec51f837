//! Kinds of records that leave: which are authoritative, and the words they are known by.
//!
//! Owns: the list of kinds. Must not know: how any record is computed, written or delivered.

use crate::effect::StreamKind;

/// What a published record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// The first N levels of a book.
    OrderBook,
    /// A trade.
    Trade,
    /// What changed in a book since the delta before, chained by sequence.
    OrderBookDelta,
    /// Best-level order-flow imbalance of one second (Cont, Kukanov, Stoikov).
    Ofi,
    /// Signed taker volume, cumulative from 00:00 UTC.
    Cvd,
    /// Weighted z-scores of ofi and cvd.
    Fusion,
    /// One-second bar of book and trades.
    Feature,
    /// Something that happened to a stream: resync, gap, stale, crossed, large trade.
    Event,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordKinds(u16);

// === impl RecordKind ===

impl RecordKind {
    /// All, in the order of [`index`](Self::index).
    pub const ALL: [RecordKind; 8] = [
        RecordKind::OrderBook,
        RecordKind::Trade,
        RecordKind::OrderBookDelta,
        RecordKind::Ofi,
        RecordKind::Cvd,
        RecordKind::Fusion,
        RecordKind::Feature,
        RecordKind::Event,
    ];

    /// First word of a subject and of a message id; also the label `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            RecordKind::OrderBook => "orderbook",
            RecordKind::Trade => "trade",
            RecordKind::OrderBookDelta => "orderbook_delta",
            RecordKind::Ofi => "ofi",
            RecordKind::Cvd => "cvd",
            RecordKind::Fusion => "fusion",
            RecordKind::Feature => "feature",
            RecordKind::Event => "event",
        }
    }

    /// Those that are computed here, once a second or when something happens; each can be switched on and off.
    pub const PREVIEWS: [RecordKind; 5] = [RecordKind::Ofi, RecordKind::Cvd, RecordKind::Fusion, RecordKind::Feature, RecordKind::Event];

    /// Place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether its silence means something: a book or trades that stay away are missed. The other kinds follow from these, or are silent by nature.
    pub const fn is_watched(self) -> bool {
        matches!(self, RecordKind::OrderBook | RecordKind::Trade)
    }

    /// Whether it comes from the venue and must never be lost; the others are previews, computed from them, and may be shed.
    pub const fn is_authoritative(self) -> bool {
        matches!(self, RecordKind::OrderBook | RecordKind::Trade | RecordKind::OrderBookDelta)
    }
}

// === impl RecordKinds ===

impl RecordKinds {
    /// None.
    pub const NONE: RecordKinds = RecordKinds(0);

    /// These and this one.
    #[must_use]
    pub const fn with(self, kind: RecordKind) -> Self {
        Self(self.0 | 1 << kind.index())
    }

    /// Whether this one is among them.
    pub const fn has(self, kind: RecordKind) -> bool {
        self.0 & 1 << kind.index() != 0
    }

    /// Them, in the order of [`RecordKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = RecordKind> {
        RecordKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl From<StreamKind> for RecordKind {
    fn from(kind: StreamKind) -> Self {
        match kind {
            StreamKind::Book => RecordKind::OrderBook,
            StreamKind::Trade => RecordKind::Trade,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_its_place_and_every_word_is_its_own() {
        for (place, kind) in RecordKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), place);
            assert!(RecordKind::ALL[..place].iter().all(|other| other.as_str() != kind.as_str()));
        }
    }

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let set = RecordKinds::NONE.with(RecordKind::Event).with(RecordKind::Ofi).with(RecordKind::Ofi);
        assert_eq!(set.iter().collect::<Vec<_>>(), [RecordKind::Ofi, RecordKind::Event]);
        assert!(RecordKind::PREVIEWS.iter().all(|kind| !kind.is_authoritative() && !RecordKinds::NONE.has(*kind)));
    }

    #[test]
    fn a_venues_stream_and_its_record_have_one_word() {
        for stream in StreamKind::ALL {
            assert_eq!(RecordKind::from(stream).as_str(), stream.as_str());
            assert!(RecordKind::from(stream).is_authoritative());
        }
    }
}
