//! Binance's `exchangeInfo`: names and scales of instruments.
//!
//! Owns: reading the list of spot and futures. Read once at a start, so by serde. Must not know: which instruments are wanted.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::feed::Malformed;
use crate::instrument::{Exchange, Instrument, Listing, MarketType};
use crate::price::{NumberError, Scale};

#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<Symbol<'a>>,
}

/// One entry, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Symbol<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) base_asset: Option<Cow<'a, str>>,
    #[serde(borrow)]
    quote_asset: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) contract_type: Option<Cow<'a, str>>,
    price_precision: Option<u8>,
    quantity_precision: Option<u8>,
    #[serde(borrow, default)]
    filters: Vec<Filter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    #[serde(borrow)]
    filter_type: Cow<'a, str>,
    #[serde(borrow)]
    tick_size: Option<Cow<'a, str>>,
    #[serde(borrow)]
    max_price: Option<Cow<'a, str>>,
    #[serde(borrow)]
    step_size: Option<Cow<'a, str>>,
    #[serde(borrow)]
    max_qty: Option<Cow<'a, str>>,
}

/// Spot prints eight decimals of everything, whatever the steps.
const SPOT_DECIMALS: u8 = 8;

/// The listings of one market that `wanted` accepts. An entry whose numbers cannot be read is left out; it takes down no other.
pub(super) fn parse(body: &str, market_type: MarketType, wanted: fn(&Symbol<'_>) -> bool) -> Result<Vec<Listing>, Malformed> {
    let info: ExchangeInfo<'_> = serde_json::from_str(body).map_err(|error| Malformed { what: "not an exchangeInfo", at: error.column() })?;
    Ok(info.symbols.iter().filter(|symbol| wanted(symbol)).filter_map(|symbol| listing(symbol, market_type)).collect())
}

fn listing(symbol: &Symbol<'_>, market_type: MarketType) -> Option<Listing> {
    let (base, quote) = (symbol.base_asset.as_deref()?, symbol.quote_asset.as_deref()?);
    let price = symbol.scale("PRICE_FILTER", symbol.price_precision).ok()?;
    let quantity = symbol.scale("LOT_SIZE", symbol.quantity_precision).ok()?;
    let names = (symbol.symbol.as_ref(), &*format!("{base}-{quote}"));
    let instrument = Instrument::new(Exchange::Binance, market_type, names, (price, quantity));
    Some(Listing { instrument, trading: symbol.status == "TRADING" })
}

// === impl Symbol ===

impl Symbol<'_> {
    /// From the step and maximum of a filter; what is shown is the market's fixed precision (futures lists it, spot prints eight).
    fn scale(&self, filter_type: &str, precision: Option<u8>) -> Result<Scale, NumberError> {
        let shown = precision.unwrap_or(SPOT_DECIMALS);
        let filter = self.filters.iter().find(|filter| filter.filter_type == filter_type);
        let bounds =
            filter.and_then(|f| Some((f.tick_size.as_deref().or(f.step_size.as_deref())?, f.max_price.as_deref().or(f.max_qty.as_deref())?)));
        let Some((step, most)) = bounds else { return Ok(Scale::new(shown)) };
        // A step written with fewer decimals than are printed still leaves room for them.
        let padded = match step.split_once('.') {
            Some((whole, fraction)) => format!("{whole}.{fraction:0<width$}", width = usize::from(shown)),
            None if shown > 0 => format!("{step}.{:0<width$}", "", width = usize::from(shown)),
            None => step.to_owned(),
        };
        Ok(Scale::from_listing(&padded, most)?.showing(shown))
    }
}

/// Percent-encodes what a query may not carry bare; symbols can be Chinese.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
