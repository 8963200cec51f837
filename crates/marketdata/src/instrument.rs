//! Instruments: what a venue lists, what we call it, and the scales its numbers are held at.
//!
//! Owns: names (venue's, ours, of exchange and market), scales, look-up. Must not know: connections, books.

use crate::price::Scale;

/// Who runs the venue; the second word of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exchange {
    /// Binance, spot and futures.
    Binance,
    /// OKX.
    Okx,
    /// Deribit.
    Deribit,
}

/// Kind of market; the third word of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarketType {
    /// Spot.
    Spot,
    /// Perpetual swaps and futures.
    Perpetual,
}

/// Place of an instrument in its venue's list, as given to [`Venue::new`](crate::Venue::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentId(pub u16);

/// An instrument that is collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Who runs the venue.
    pub exchange: Exchange,
    /// Kind of market.
    pub market_type: MarketType,
    /// The venue's own name, as in its messages: `BTCUSDT`.
    pub raw: Box<str>,
    /// Ours, `BASE-QUOTE`: `BTC-USDT`.
    pub symbol: Box<str>,
    /// Scale of prices.
    pub price: Scale,
    /// Scale of quantities.
    pub quantity: Scale,
}

/// One entry of a venue's instrument list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The instrument, ready to be collected.
    pub instrument: Instrument,
    /// Whether the venue trades it now.
    pub trading: bool,
}

/// The instruments of one venue, found by id or by the venue's name.
#[derive(Debug)]
pub(crate) struct Catalog {
    instruments: Vec<Instrument>,
    /// Ids ordered by the venue's name, for binary search.
    by_raw: Vec<InstrumentId>,
}

// === impl Exchange ===

impl Exchange {
    /// The word used in subjects, labels and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Exchange::Binance => "binance",
            Exchange::Okx => "okx",
            Exchange::Deribit => "deribit",
        }
    }
}

// === impl MarketType ===

impl MarketType {
    /// The word used in subjects, labels and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            MarketType::Spot => "spot",
            MarketType::Perpetual => "perpetual",
        }
    }
}

// === impl InstrumentId ===

impl InstrumentId {
    /// As an index of the venue's list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

// === impl Catalog ===

impl Catalog {
    /// Most instruments of one venue.
    pub(crate) const MAX: usize = 4_096;

    /// `None` when there are more than [`MAX`](Self::MAX) or one is named twice.
    pub(crate) fn new(instruments: Vec<Instrument>) -> Option<Self> {
        if instruments.len() > Self::MAX {
            return None;
        }
        let mut named: Vec<(&str, u16)> = instruments.iter().zip(0u16..).map(|(instrument, id)| (&*instrument.raw, id)).collect();
        named.sort_unstable();
        if named.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return None;
        }
        let by_raw = named.iter().map(|&(_, id)| InstrumentId(id)).collect();
        Some(Self { instruments, by_raw })
    }

    pub(crate) fn get(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index())
    }

    pub(crate) fn find(&self, raw: &str) -> Option<InstrumentId> {
        let name = |id: &InstrumentId| self.get(*id).map_or("", |instrument| &*instrument.raw);
        self.by_raw.binary_search_by(|id| name(id).cmp(raw)).ok().and_then(|at| self.by_raw.get(at).copied())
    }

    pub(crate) fn all(&self) -> &[Instrument] {
        &self.instruments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(raw: &str) -> Instrument {
        let scale = Scale::new(8);
        Instrument { exchange: Exchange::Binance, market_type: MarketType::Spot, raw: raw.into(), symbol: raw.into(), price: scale, quantity: scale }
    }

    #[test]
    fn every_instrument_is_found_by_the_venues_name_and_nothing_else_is() {
        let names = ["ETHUSDT", "BTCUSDT", "1000PEPEUSDT", "币安人生USDT"];
        let catalog = Catalog::new(names.iter().map(|name| named(name)).collect()).unwrap();
        for (name, id) in names.iter().zip(0u16..) {
            assert_eq!(catalog.find(name), Some(InstrumentId(id)));
        }
        assert_eq!(catalog.find("BTCUSD"), None);
        assert_eq!(catalog.find(""), None);
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        assert!(Catalog::new(vec![named("A"), named("B"), named("A")]).is_none());
    }
}
