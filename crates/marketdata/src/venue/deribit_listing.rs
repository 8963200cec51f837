//! Deribit's instrument list: names, scales, what amounts count.
//!
//! Source: docs.deribit.com, `public/get_instruments`. Amounts of inverse contracts (`reversed`: `BTC-PERPETUAL`) are in US dollars, those of linear
//! ones (`BTC_USDC-PERPETUAL`) in the base currency; neither are contracts. Must not know: which instruments are wanted.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::Malformed;
use crate::instrument::{Exchange, Instrument, Listing, MarketType, Unit};
use crate::price::{MAX_DIGITS, Scale};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Vec<Entry<'a>>,
}

/// One entry, as far as it is read. Numbers stay text.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow)]
    base_currency: Cow<'a, str>,
    #[serde(borrow)]
    quote_currency: Cow<'a, str>,
    #[serde(borrow, default)]
    settlement_period: Cow<'a, str>,
    #[serde(borrow, default)]
    instrument_type: Cow<'a, str>,
    #[serde(borrow)]
    tick_size: &'a RawValue,
    #[serde(borrow)]
    min_trade_amount: &'a RawValue,
    is_active: bool,
}

/// Decimals held beyond those of the step: ticks have become finer while a contract lived.
const SPARE_DECIMALS: u8 = 2;

/// Cannot be narrowed; futures of all currencies are a few hundred entries.
pub(super) fn path(_symbols: &[&str]) -> String {
    "/api/v2/public/get_instruments?currency=any&kind=future&expired=false".to_owned()
}

/// An entry whose numbers cannot be read is left out; it takes down no other.
pub(super) fn parse(body: &str) -> Result<Vec<Listing>, Malformed> {
    let answer: Answer<'_> = serde_json::from_str(body).map_err(|error| Malformed { what: "not a list of instruments", at: error.column() })?;
    Ok(answer.result.iter().filter(|entry| entry.settlement_period == "perpetual").filter_map(Entry::listing).collect())
}

// === impl Entry ===

impl Entry<'_> {
    fn listing(&self) -> Option<Listing> {
        let symbol = format!("{}-{}", self.base_currency, self.quote_currency);
        let scales = (scale(self.tick_size.get())?, scale(self.min_trade_amount.get())?);
        let inverse = self.instrument_type == "reversed";
        let instrument = Instrument {
            unit: if inverse { Unit::Quote } else { Unit::Base },
            ..Instrument::new(Exchange::Deribit, MarketType::Perpetual, (&self.instrument_name, &symbol), scales)
        };
        Some(Listing { instrument, trading: self.is_active })
    }
}

/// Shows the decimals of the step, which may be written with an exponent.
fn scale(step: &str) -> Option<Scale> {
    let needed = (0..=MAX_DIGITS).find(|digits| Scale::new(*digits).parse(step).is_ok())?;
    Some(Scale::new(needed.saturating_add(SPARE_DECIMALS)).showing(needed))
}
