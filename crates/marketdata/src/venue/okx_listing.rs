//! OKX's instrument list: names, scales, what a contract is worth.
//!
//! Source: OKX API guide, v5, "Get instruments". Read at a start and now and then, so by serde. Must not know: which instruments are wanted.

use std::borrow::Cow;

use serde::Deserialize;

use crate::feed::Malformed;
use crate::instrument::{Exchange, Instrument, Listing, MarketType, Multiplier, Unit};
use crate::price::{NumberError, Scale, decimals_needed};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Vec<Entry<'a>>,
}

/// One entry, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow, default)]
    ct_val: Cow<'a, str>,
    #[serde(borrow, default)]
    ct_mult: Cow<'a, str>,
    #[serde(borrow, default)]
    ct_type: Cow<'a, str>,
    #[serde(borrow)]
    tick_sz: Cow<'a, str>,
    #[serde(borrow)]
    lot_sz: Cow<'a, str>,
    #[serde(borrow, default)]
    max_lmt_sz: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
}

/// Where the list says nothing of the largest order.
const MAX_SIZE: &str = "1000000000";
/// Decimals of prices held beyond the tick's: ticks have become finer while a contract lived.
const SPARE_DECIMALS: u8 = 2;

pub(super) fn spot_path(_symbols: &[&str]) -> String {
    "/api/v5/public/instruments?instType=SPOT".to_owned()
}

pub(super) fn swap_path(_symbols: &[&str]) -> String {
    "/api/v5/public/instruments?instType=SWAP".to_owned()
}

pub(super) fn spot(body: &str) -> Result<Vec<Listing>, Malformed> {
    parse(body, MarketType::Spot)
}

pub(super) fn swap(body: &str) -> Result<Vec<Listing>, Malformed> {
    parse(body, MarketType::Perpetual)
}

/// An entry whose numbers cannot be read is left out; it takes down no other.
fn parse(body: &str, market_type: MarketType) -> Result<Vec<Listing>, Malformed> {
    let answer: Answer<'_> = serde_json::from_str(body).map_err(|error| Malformed { what: "not a list of instruments", at: error.column() })?;
    if answer.code != "0" {
        return Err(Malformed { what: "the answer is an error", at: 0 });
    }
    Ok(answer.data.iter().filter_map(|entry| entry.listing(market_type).ok().flatten()).collect())
}

// === impl Entry ===

impl Entry<'_> {
    fn listing(&self, market_type: MarketType) -> Result<Option<Listing>, NumberError> {
        let raw = &*self.inst_id;
        let (symbol, multiplier, unit) = match market_type {
            MarketType::Spot => (raw, Multiplier::ONE, Unit::Base),
            MarketType::Perpetual => {
                let Some(symbol) = raw.strip_suffix("-SWAP") else { return Ok(None) };
                let unit = if self.ct_type == "inverse" { Unit::Quote } else { Unit::Base };
                (symbol, Multiplier::product(&[&self.ct_val, if self.ct_mult.is_empty() { "1" } else { &self.ct_mult }])?, unit)
            }
            MarketType::Futures | MarketType::Options => return Ok(None),
        };
        let price = Scale::new(decimals_needed(&self.tick_sz).saturating_add(SPARE_DECIMALS)).showing(0);
        Scale::new(price.digits()).parse(&self.tick_sz)?;
        let instrument =
            Instrument { multiplier, unit, ..Instrument::new(Exchange::Okx, market_type, (raw, symbol), (price, self.quantity_scale(multiplier)?)) };
        Ok(Some(Listing { instrument, trading: self.state == "live" }))
    }

    /// Room for many of the largest orders in one level, after multiplication; the venue pads no zeros.
    fn quantity_scale(&self, multiplier: Multiplier) -> Result<Scale, NumberError> {
        let most = if self.max_lmt_sz.is_empty() { MAX_SIZE } else { &self.max_lmt_sz };
        let whole = most.split('.').next().unwrap_or(most);
        // The digits of a product are at most the digits of both factors.
        let factor = multiplier.mantissa().to_string();
        let widest = if multiplier.mantissa() == 1 { whole.to_owned() } else { format!("{whole}{factor}") };
        let sizes = Scale::from_listing(&self.lot_sz, &widest)?;
        Ok(Scale::new(sizes.digits().saturating_add(multiplier.digits())).showing(0))
    }
}
