//! Instruments: what a venue lists, what we call it, and the scales its numbers are held at.
//!
//! Owns: names (venue's, ours, of exchange and market), scales, look-up. Must not know: connections, books.

use crate::price::{NumberError, Price, Quantity, Scale, decimals_needed};

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
    /// Futures with a date. Not collected; recordings have them.
    Futures,
    /// Options. Not collected; recordings have them.
    Options,
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
    /// What one unit of the venue's sizes stands for; [`Multiplier::ONE`] where the venue sends quantities.
    pub multiplier: Multiplier,
    /// What quantities count.
    pub unit: Unit,
}

/// What quantities of an instrument count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The base currency: of `BTC-USDT`, bitcoins.
    Base,
    /// The quote currency. Inverse contracts (OKX `BTC-USD-SWAP`, Deribit `BTC-PERPETUAL`) are worth so many dollars each, whatever the price.
    Quote,
    /// Contracts, whose worth is not known: a recording has no instrument list.
    Contracts,
}

/// An exact factor `mantissa × 10^-digits`.
///
/// OKX swaps send contracts; one is `ctVal × ctMult` of the base currency (0.01 BTC), or of the quote currency where they are inverse (100 USD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    mantissa: i64,
    digits: u8,
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
    /// Which of them are collected now; the others were, and may come back.
    collected: Vec<bool>,
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
    /// All.
    pub const ALL: [MarketType; 4] = [MarketType::Spot, MarketType::Perpetual, MarketType::Futures, MarketType::Options];

    /// The word used in subjects, labels and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            MarketType::Spot => "spot",
            MarketType::Perpetual => "perpetual",
            MarketType::Futures => "futures",
            MarketType::Options => "options",
        }
    }
}

// === impl Instrument ===

impl Instrument {
    /// An instrument whose venue sends quantities in the base currency. `names` are the venue's and ours, `scales` of price and quantity.
    pub fn new(exchange: Exchange, market_type: MarketType, names: (&str, &str), scales: (Scale, Scale)) -> Self {
        let ((raw, symbol), (price, quantity)) = (names, scales);
        let (multiplier, unit) = (Multiplier::ONE, Unit::Base);
        Self { exchange, market_type, raw: raw.into(), symbol: symbol.into(), price, quantity, multiplier, unit }
    }

    /// What so much is worth in the quote currency, in units of 10^-[`worth_digits`](Self::worth_digits): exact; 0 where that is not known.
    pub fn worth(&self, price: Price, quantity: Quantity) -> i128 {
        match self.unit {
            Unit::Base => i128::from(price.0) * i128::from(quantity.0),
            Unit::Quote => quantity.0.into(),
            Unit::Contracts => 0,
        }
    }

    /// Decimals of a [`worth`](Self::worth).
    pub const fn worth_digits(&self) -> u8 {
        match self.unit {
            Unit::Base => self.price.digits() + self.quantity.digits(),
            Unit::Quote | Unit::Contracts => self.quantity.digits(),
        }
    }

    /// The scale of sizes as the venue writes them, and what one of it is as a quantity at the instrument's scale.
    pub(crate) const fn sizes(&self) -> (Scale, i64) {
        (Scale::new(self.quantity.digits().saturating_sub(self.multiplier.digits)), self.multiplier.mantissa)
    }

    /// A size as the venue writes it, as a quantity at the instrument's scale; exact or an error.
    pub fn parse_quantity(&self, text: &str) -> Result<Quantity, NumberError> {
        let Multiplier { mantissa, digits } = self.multiplier;
        if mantissa == 1 && digits == 0 {
            return self.quantity.parse(text).map(Quantity);
        }
        let sizes = Scale::new(self.quantity.digits().saturating_sub(digits));
        sizes.parse(text)?.checked_mul(mantissa).map(Quantity).ok_or(NumberError::OutOfRange)
    }
}

// === impl Unit ===

impl Unit {
    /// The word in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Base => "base",
            Unit::Quote => "quote",
            Unit::Contracts => "contracts",
        }
    }
}

// === impl Multiplier ===

impl Multiplier {
    /// Sizes are quantities.
    pub const ONE: Multiplier = Multiplier { mantissa: 1, digits: 0 };

    /// From its parts.
    pub const fn of(mantissa: i64, digits: u8) -> Self {
        Self { mantissa, digits }
    }

    /// Mantissa and digits.
    pub const fn parts(self) -> (i64, u8) {
        (self.mantissa, self.digits)
    }

    /// The product of decimal texts, each greater than zero.
    pub fn product(factors: &[&str]) -> Result<Self, NumberError> {
        let mut product = Self::ONE;
        for factor in factors {
            let digits = decimals_needed(factor);
            let mantissa = Scale::new(digits).parse(factor)?;
            product.mantissa = product.mantissa.checked_mul(mantissa).filter(|mantissa| *mantissa > 0).ok_or(NumberError::OutOfRange)?;
            product.digits += digits;
        }
        while product.digits > 0 && product.mantissa % 10 == 0 {
            product.mantissa /= 10;
            product.digits -= 1;
        }
        Ok(product)
    }

    /// Decimals that a whole number of sizes needs as a quantity.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// The factor in units of 10^-[`digits`](Self::digits).
    pub const fn mantissa(self) -> i64 {
        self.mantissa
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
        let mut catalog = Self { instruments: Vec::new(), collected: Vec::new(), by_raw: Vec::new() };
        for instrument in instruments {
            if catalog.find(&instrument.raw).is_some() {
                return None;
            }
            catalog.put(instrument)?;
        }
        Some(catalog)
    }

    /// Adds an instrument, or takes back one of the same name, as it is now: its id. `None` when there is no room.
    pub(crate) fn put(&mut self, instrument: Instrument) -> Option<InstrumentId> {
        if let Some(id) = self.find(&instrument.raw) {
            *self.instruments.get_mut(id.index())? = instrument;
            *self.collected.get_mut(id.index())? = true;
            return Some(id);
        }
        let id = InstrumentId(u16::try_from(self.instruments.len()).ok().filter(|id| usize::from(*id) < Self::MAX)?);
        let place = self.by_raw.partition_point(|other| self.name(*other) < &*instrument.raw);
        self.by_raw.insert(place, id);
        self.instruments.push(instrument);
        self.collected.push(true);
        Some(id)
    }

    /// No longer collected; its name and its id stay known.
    pub(crate) fn retire(&mut self, id: InstrumentId) {
        if let Some(collected) = self.collected.get_mut(id.index()) {
            *collected = false;
        }
    }

    pub(crate) fn is_collected(&self, id: InstrumentId) -> bool {
        self.collected.get(id.index()).is_some_and(|collected| *collected)
    }

    fn name(&self, id: InstrumentId) -> &str {
        self.get(id).map_or("", |instrument| &*instrument.raw)
    }

    pub(crate) fn get(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index())
    }

    pub(crate) fn find(&self, raw: &str) -> Option<InstrumentId> {
        self.by_raw.binary_search_by(|id| self.name(*id).cmp(raw)).ok().and_then(|at| self.by_raw.get(at).copied())
    }

    pub(crate) fn all(&self) -> &[Instrument] {
        &self.instruments
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn named(raw: &str) -> Instrument {
        let scale = Scale::new(8);
        Instrument::new(Exchange::Binance, MarketType::Spot, (raw, raw), (scale, scale))
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

    #[test]
    fn an_instrument_that_comes_back_keeps_its_id() {
        let mut catalog = Catalog::new(vec![named("B"), named("A")]).unwrap();
        catalog.retire(InstrumentId(0));
        assert!(!catalog.is_collected(InstrumentId(0)) && catalog.is_collected(InstrumentId(1)));
        assert_eq!(catalog.put(named("C")), Some(InstrumentId(2)));
        assert_eq!(catalog.put(named("B")), Some(InstrumentId(0)));
        assert!(catalog.is_collected(InstrumentId(0)));
        assert_eq!(["A", "B", "C"].map(|name| catalog.find(name).unwrap().0), [1, 0, 2]);
    }

    #[test]
    fn contracts_become_quantities_exactly() {
        // (ctVal, ctMult, digits of the quantity's scale, size, quantity as text)
        let rows = [
            ("0.01", "1", 4, "415", Ok("4.1500")),
            ("0.01", "1", 4, "0.07", Ok("0.0007")),
            ("0.1", "1", 1, "12", Ok("1.2")),
            ("100", "1", 0, "3", Ok("300")),
            ("10000000", "1", 1, "2.5", Ok("25000000.0")),
            ("0.001", "10", 2, "7", Ok("0.07")),
            ("0.01", "1", 4, "0.001", Err(NumberError::TooPrecise)),
            ("10000000", "1", 1, "99999999999", Err(NumberError::OutOfRange)),
            ("0.01", "1", 4, "x", Err(NumberError::NotADecimal)),
        ];
        for (value, factor, digits, size, expected) in rows {
            let multiplier = Multiplier::product(&[value, factor]).unwrap();
            let instrument = Instrument { quantity: Scale::new(digits), multiplier, ..named("X") };
            let read = instrument.parse_quantity(size).map(|quantity| instrument.quantity.text(quantity.0));
            assert_eq!(read, expected.map(str::to_owned), "{size} × {value} × {factor}");
        }
        assert!(Multiplier::product(&["0", "1"]).is_err() && Multiplier::product(&["-1"]).is_err());
    }
}
